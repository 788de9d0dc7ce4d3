//! The pcapng format (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html>): sections of blocks.
//!
//! Blocks that carry no packet and describe no interface are passed over unread. A block is handed to `pcap-parser`
//! only when all of it is in the window, so that "incomplete" can only mean that it contradicts itself.

use super::ticks::Ticks;
use super::window::Window;
use super::{Damage, FileInterface, MAX_INTERFACES, MAX_RECORD, Step};
use crate::capture::Frame;
use crate::packet::PacketType;
use crate::time::Timestamp;
use pcap_parser::{
    BOM_MAGIC, Block, EPB_MAGIC, EnhancedPacketBlock, IDB_MAGIC, InterfaceDescriptionBlock, OptionCode, PcapNGOption,
    SHB_MAGIC, SPB_MAGIC, SectionHeaderBlock, SimplePacketBlock, parse_block_be, parse_block_le,
};
use std::io::Read;

/// Bytes of a block beside its body: type, length, and the length again at the end.
const BLOCK_FRAMING: usize = 12;
/// The block that carried packets before the enhanced packet block was made; still met in old files.
const OLD_PACKET_BLOCK: u32 = 2;
/// Bytes in front of the data of an old packet block.
const OLD_PACKET_HEADER: usize = 20;
/// `epb_flags`, which tells the direction.
const EPB_FLAGS: OptionCode = OptionCode(2);
/// Longest interface name that is kept, in bytes: Windows' device paths have about 50.
const MAX_NAME: usize = 255;

/// Whether a file that begins with these bytes is pcapng.
pub(super) fn is_section_header(magic: [u8; 4]) -> bool {
    u32::from_le_bytes(magic) == SHB_MAGIC
}

/// Reads the blocks of a pcapng file.
#[derive(Default)]
pub(super) struct Reader {
    big_endian: bool,
    /// The number of the section's first interface among all of the file.
    first: usize,
    /// What a packet needs to know of the section's interfaces.
    clocks: Vec<Clock>,
    /// The time of the latest packet; a simple packet block has none of its own.
    latest: Timestamp,
}

#[derive(Clone, Copy)]
struct Clock {
    ticks: Ticks,
    snaplen: u32,
}

/// The fields of a packet that the three kinds of packet blocks have in common.
struct Packet<'a> {
    /// Within the section.
    interface: usize,
    /// In ticks of the interface.
    time: Option<u64>,
    data: &'a [u8],
    original_len: u32,
    flags: u32,
}

impl Reader {
    /// The block at the beginning of the window.
    pub(super) fn next<'w, R: Read>(
        &mut self,
        window: &'w mut Window<R>,
        interfaces: &mut Vec<FileInterface>,
    ) -> Result<Step<'w>, Damage> {
        let offset = window.offset();
        let damage = |what: String| Damage { offset, what };
        let Some(&header) = window.bytes().first_chunk::<BLOCK_FRAMING>() else { return Ok(Step::Need(BLOCK_FRAMING)) };
        let [t0, t1, t2, t3, l0, l1, l2, l3, b0, b1, b2, b3] = header;
        if is_section_header([t0, t1, t2, t3]) {
            self.big_endian = is_big_endian([b0, b1, b2, b3]).map_err(damage)?;
        }
        let (kind, len) = (self.u32([t0, t1, t2, t3]), self.u32([l0, l1, l2, l3]) as usize);
        if len < BLOCK_FRAMING || !len.is_multiple_of(4) {
            return Err(damage(format!("a block of length {len}, which is no multiple of 4 from {BLOCK_FRAMING} on")));
        }
        if !matches!(kind, SHB_MAGIC | IDB_MAGIC | EPB_MAGIC | SPB_MAGIC | OLD_PACKET_BLOCK) {
            return Ok(Step::Skip(len as u64));
        }
        if len > MAX_RECORD {
            return Err(damage(format!("{} of {len} bytes, at most {MAX_RECORD} are read", name(kind))));
        }
        if window.bytes().len() < len {
            return Ok(Step::Need(len));
        }
        let block = window.take(len);
        let trailer = block.last_chunk().map_or(0, |&bytes| self.u32(bytes)) as usize;
        // The rest of a section can be read whatever its header ends with: libpcap does so, too.
        if trailer != len && kind != SHB_MAGIC {
            return Err(damage(format!("{} of length {len} at its beginning and {trailer} at its end", name(kind))));
        }
        let parse = if self.big_endian { parse_block_be } else { parse_block_le };
        let Ok((_, block)) = parse(block) else {
            return Err(damage(format!("{} of {len} bytes whose parts do not fit into it", name(kind))));
        };
        self.block(block, interfaces).map_err(damage)
    }

    fn block<'w>(&mut self, block: Block<'w>, interfaces: &mut Vec<FileInterface>) -> Result<Step<'w>, String> {
        match block {
            Block::SectionHeader(block) => self.section(&block, interfaces.len()),
            Block::InterfaceDescription(block) => self.interface(&block, interfaces),
            Block::EnhancedPacket(block) => {
                let packet = self.enhanced_packet(&block)?;
                self.packet(&packet, interfaces)
            }
            Block::SimplePacket(block) => {
                let packet = self.simple_packet(&block);
                self.packet(&packet, interfaces)
            }
            Block::Unknown(block) => {
                let packet = self.old_packet(block.data).ok_or("an old packet block whose parts do not fit into it")?;
                self.packet(&packet, interfaces)
            }
            _ => Ok(Step::Passed),
        }
    }

    fn section(&mut self, block: &SectionHeaderBlock<'_>, interfaces: usize) -> Result<Step<'static>, String> {
        if block.major_version != 1 {
            return Err(format!(
                "a pcapng section of version {}.{}, only 1 is read",
                block.major_version, block.minor_version
            ));
        }
        self.first = interfaces;
        self.clocks.clear();
        Ok(Step::Passed)
    }

    fn interface(
        &mut self,
        block: &InterfaceDescriptionBlock<'_>,
        interfaces: &mut Vec<FileInterface>,
    ) -> Result<Step<'static>, String> {
        if interfaces.len() >= MAX_INTERFACES {
            return Err(format!("more than {MAX_INTERFACES} interfaces"));
        }
        let ticks = self.ticks(&block.options)?;
        self.clocks.push(Clock { ticks, snaplen: block.snaplen });
        let name = option(&block.options, OptionCode::IfName).map(|name| {
            let name = name.get(..MAX_NAME).unwrap_or(name);
            String::from_utf8_lossy(name).into_owned()
        });
        interfaces.push(FileInterface::new(name, block.linktype.0.cast_unsigned()));
        Ok(Step::Interface)
    }

    /// The clock that the options of an interface describe.
    fn ticks(&self, options: &[PcapNGOption<'_>]) -> Result<Ticks, String> {
        let resolution = option(options, OptionCode::IfTsresol).and_then(|value| value.first().copied()).unwrap_or(6);
        let offset = option(options, OptionCode::IfTsoffset).and_then(|value| value.first_chunk().copied());
        let number = if self.big_endian { i64::from_be_bytes } else { i64::from_le_bytes };
        Ticks::new(resolution, offset.map_or(0, number))
            .ok_or_else(|| format!("an interface whose time stamps have the resolution {resolution:#04x}"))
    }

    fn enhanced_packet<'w>(&self, block: &EnhancedPacketBlock<'w>) -> Result<Packet<'w>, String> {
        let flags = option(&block.options, EPB_FLAGS).and_then(|value| value.first_chunk().copied());
        let data = block.data.get(..block.caplen as usize).ok_or("a packet longer than its block")?;
        Ok(Packet {
            interface: block.if_id as usize,
            time: Some(u64::from(block.ts_high) << 32 | u64::from(block.ts_low)),
            data,
            original_len: block.origlen,
            flags: flags.map_or(0, |bytes| self.u32(bytes)),
        })
    }

    /// Its captured length is the smallest of the original length, the interface's snaplen and the room in the block.
    fn simple_packet<'w>(&self, block: &SimplePacketBlock<'w>) -> Packet<'w> {
        let snaplen = self.clocks.first().map_or(0, |clock| clock.snaplen);
        let captured = if snaplen == 0 { block.origlen } else { block.origlen.min(snaplen) };
        Packet {
            interface: 0,
            time: None,
            data: block.data.get(..captured as usize).unwrap_or(block.data),
            original_len: block.origlen,
            flags: 0,
        }
    }

    /// Interface and drop count in 16 bits each, time, captured and original length, data.
    fn old_packet<'w>(&self, body: &'w [u8]) -> Option<Packet<'w>> {
        let (&[i0, i1, _, _, h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, c2, c3, o0, o1, o2, o3], data) =
            body.split_first_chunk::<OLD_PACKET_HEADER>()?;
        let interface = if self.big_endian { u16::from_be_bytes([i0, i1]) } else { u16::from_le_bytes([i0, i1]) };
        Some(Packet {
            interface: usize::from(interface),
            time: Some(u64::from(self.u32([h0, h1, h2, h3])) << 32 | u64::from(self.u32([l0, l1, l2, l3]))),
            data: data.get(..self.u32([c0, c1, c2, c3]) as usize)?,
            original_len: self.u32([o0, o1, o2, o3]),
            flags: 0,
        })
    }

    fn packet<'w>(&mut self, packet: &Packet<'w>, interfaces: &mut [FileInterface]) -> Result<Step<'w>, String> {
        let number = self.first + packet.interface;
        let (Some(clock), Some(interface)) = (self.clocks.get(packet.interface), interfaces.get_mut(number)) else {
            return Err(format!("a packet of interface {}, which is not described", packet.interface));
        };
        self.latest = packet.time.map_or(self.latest, |ticks| clock.ticks.time(ticks));
        let Some(link) = interface.link else {
            interface.skipped += 1;
            return Ok(Step::Passed);
        };
        // The list is bounded by MAX_INTERFACES, and a packet by MAX_RECORD: both fit.
        let captured = u32::try_from(packet.data.len()).unwrap_or(u32::MAX);
        Ok(Step::Frame(Frame {
            time: self.latest,
            interface: u32::try_from(number).unwrap_or(u32::MAX),
            packet_type: packet_type(packet.flags),
            vlan: None,
            sender: None,
            link,
            bytes: packet.data,
            original_len: packet.original_len.max(captured),
            read: None,
        }))
    }

    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// Which byte order the magic of a section header tells.
fn is_big_endian(magic: [u8; 4]) -> Result<bool, String> {
    if u32::from_le_bytes(magic) == BOM_MAGIC {
        Ok(false)
    } else if u32::from_be_bytes(magic) == BOM_MAGIC {
        Ok(true)
    } else {
        Err("a section header block without the magic number that tells its byte order".to_owned())
    }
}

/// The value of the first option with this code.
fn option<'a>(options: &'a [PcapNGOption<'_>], code: OptionCode) -> Option<&'a [u8]> {
    // A list ends at its end mark, whatever stands behind.
    let mut listed = options.iter().take_while(|option| option.code != OptionCode::EndOfOpt);
    listed.find(|option| option.code == code).and_then(|option| option.as_bytes().ok())
}

/// What `epb_flags` says of the way that a packet took: bits 0 and 1 the direction, bits 2 to 4 to whom it went.
fn packet_type(flags: u32) -> Option<PacketType> {
    const INBOUND: u32 = 1;
    const OUTBOUND: u32 = 2;
    match (flags & 3, flags >> 2 & 7) {
        (OUTBOUND, _) => Some(PacketType::Outgoing),
        (INBOUND, 2) => Some(PacketType::Multicast),
        (INBOUND, 3) => Some(PacketType::Broadcast),
        (INBOUND, 4) => Some(PacketType::OtherHost),
        (INBOUND, _) => Some(PacketType::Host),
        _ => None,
    }
}

/// A block's name, as an error message calls it.
fn name(kind: u32) -> &'static str {
    match kind {
        SHB_MAGIC => "a section header block",
        IDB_MAGIC => "an interface description block",
        EPB_MAGIC => "an enhanced packet block",
        SPB_MAGIC => "a simple packet block",
        _ => "an old packet block",
    }
}
