//! The second way to live frames: pnet's data link channels.
//!
//! pnet's receiver tells neither direction nor losses and spins while an interface is down. So each channel gets a
//! socket of ours, whose filter lets through one direction alone: two sockets for an interface. We wait for the
//! sockets ourselves and ask pnet for a frame only where there is one. Our clone of the descriptor gives the
//! counters, clears the error of an interface that is down, and tells when the kernel saw a frame. By that time frames
//! of different channels are put in order: an answer must not come before what it answers.

use super::filter::{self, Selection};
use super::interfaces::{Interface, Interfaces, LinkEvent, Role};
use super::live::Tap;
use super::ring::explain_open;
use super::{Frame, SourceCounters};
use crate::packet::{Link, PacketType};
use crate::sys;
use crate::time::Timestamp;
use pnet::datalink::{self, Channel, DataLinkReceiver, NetworkInterface};
use pnet::util::MacAddr;
use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::time::Duration;

/// The longest frame that is read in full: an IP packet of 64 KiB, as the kernel's super-frames are, and the longest
/// link header before it.
const SNAPLEN: u16 = 65_535;
const READ_BUFFER: usize = 65_600;
/// How much the kernel may keep for each socket, which it allocates only as frames come. It takes 30 ms of a flood.
const SOCKET_BUFFER: libc::c_int = 16 << 20;
/// Interfaces that are watched at once: each takes two sockets and two buffers.
const MAX_INTERFACES: usize = 256;
/// Frames that one call hands out at most.
const BATCH: usize = 1024;
/// How long a frame waits for older ones of other channels: far longer than the kernel takes from stamping a frame to
/// putting it in a socket's buffer, and too short to be noticed.
const SETTLE: Duration = Duration::from_nanos(SETTLE_NANOS.cast_unsigned());
const SETTLE_NANOS: i64 = 2_000_000;

/// Link types whose frames, read from a raw socket, begin with an IP header (`linux/if_arp.h`): tunnels without
/// link headers, `ARPHRD_RAWIP`, `ARPHRD_TUNNEL`, `ARPHRD_TUNNEL6`, `ARPHRD_SIT`, `ARPHRD_NONE`.
const RAW_IP: [u16; 5] = [519, 768, 769, 776, 0xfffe];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// The channels of all interfaces that are watched.
#[derive(Default)]
pub(super) struct Channels {
    open: Vec<OpenChannel>,
    /// What the latest wait said of each channel.
    waited: Vec<libc::pollfd>,
    /// Indexes of interfaces that were reported as not watched.
    refused: Vec<u32>,
    handed_out: u64,
    dropped: u64,
}

struct OpenChannel {
    index: u32,
    way: Way,
    link: Link,
    socket: OwnedFd,
    receiver: Box<dyn DataLinkReceiver>,
    /// The time of the frame in `bytes`, if there is one that waits to be handed out.
    next: Option<Timestamp>,
    bytes: Vec<u8>,
}

impl Tap for Channels {
    fn has_frames(&self) -> bool {
        self.open.iter().any(|channel| channel.next.is_some())
    }

    fn wait(&mut self, others: &[libc::pollfd], timeout: Duration) -> io::Result<()> {
        let waits = self.open.iter().any(|channel| channel.next.is_some());
        let timeout = if waits { timeout.min(SETTLE) } else { timeout };
        self.waited.clear();
        self.waited.extend(self.open.iter().map(|channel| sys::readable(channel.socket.as_fd())));
        self.waited.extend_from_slice(others);
        sys::wait(&mut self.waited, timeout)
    }

    fn hand_out(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        for (channel, waited) in self.open.iter_mut().zip(&self.waited) {
            if waited.revents & libc::POLLERR != 0 {
                channel.take_error()?;
            }
            if waited.revents & libc::POLLIN != 0 {
                channel.fetch()?;
            }
        }
        // What is older than this has arrived in every channel.
        let settled = Timestamp::from_nanos(Timestamp::now().nanos() - SETTLE_NANOS);
        self.hand_out_until(settled, BATCH, sink)
    }

    fn follow(&mut self, interfaces: &Interfaces, selection: &Selection) -> io::Result<Vec<LinkEvent>> {
        let wanted: Vec<(&Interface, Role)> = interfaces
            .iter()
            .map(|link| (link, interfaces.role(link.index)))
            .filter(|(link, role)| wants(link, *role, selection))
            .collect();
        self.close_others(&wanted);
        // What the latest wait said was of other channels.
        self.waited.clear();
        let mut events = Vec::new();
        for (interface, role) in wanted {
            if self.open.iter().any(|channel| channel.index == interface.index) {
                continue;
            }
            let refusal = match link_of(interface.hardware) {
                None => Some("pnet cannot read its link headers".to_owned()),
                Some(_) if self.open.len() >= 2 * MAX_INTERFACES => {
                    Some(format!("pnet watches {MAX_INTERFACES} interfaces at most"))
                }
                Some(link) => match self.open(interface, role, link) {
                    Err(error) if is_shortage(&error) => Some(error.to_string()),
                    result => result.map(|()| None)?,
                },
            };
            if let Some(why) = refusal.filter(|_| !self.refused.contains(&interface.index)) {
                self.refused.push(interface.index);
                events.push(LinkEvent::NotWatched { name: interface.name.clone(), why });
            }
        }
        Ok(events)
    }

    fn counters(&mut self) -> SourceCounters {
        self.dropped += self.open.iter().map(OpenChannel::dropped).sum::<u64>();
        SourceCounters { frames: self.handed_out, dropped: self.dropped, freezes: 0 }
    }

    fn drain(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        for channel in &self.open {
            sys::attach_filter(channel.socket.as_fd(), &filter::nothing())?;
        }
        for channel in &mut self.open {
            channel.take_error()?;
            channel.fetch()?;
        }
        // What is left is what the sockets' buffers hold: an end in sight.
        self.hand_out_until(Timestamp::MAX, usize::MAX, sink)
    }
}

impl Channels {
    /// Hands out the frames of all channels that are not younger than `until`, oldest first, `limit` at most.
    fn hand_out_until(&mut self, until: Timestamp, limit: usize, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        for _ in 0..limit {
            let waiting = self.open.iter_mut().filter(|channel| channel.next.is_some_and(|time| time <= until));
            let Some(oldest) = waiting.min_by_key(|channel| channel.next) else { break };
            oldest.hand_out(sink);
            self.handed_out += 1;
            oldest.fetch()?;
        }
        Ok(())
    }

    /// Opens the channels of an interface. One that has vanished meanwhile is left to the news of it.
    fn open(&mut self, interface: &Interface, role: Role, link: Link) -> io::Result<()> {
        for way in [Way::In, Way::Out] {
            // What goes out on lo comes in at once.
            if role == Role::Loopback && way == Way::Out {
                continue;
            }
            match OpenChannel::open(interface, link, way) {
                Ok(channel) => self.open.push(channel),
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes the channels of interfaces that are not wanted (any more), keeping their counts.
    fn close_others(&mut self, wanted: &[(&Interface, Role)]) {
        let is_wanted = |index| wanted.iter().any(|(interface, _)| interface.index == index);
        let closed = self.open.iter().filter(|channel| !is_wanted(channel.index));
        self.dropped += closed.map(OpenChannel::dropped).sum::<u64>();
        self.open.retain(|channel| is_wanted(channel.index));
        self.refused.retain(|&index| is_wanted(index));
    }
}

impl OpenChannel {
    fn open(interface: &Interface, link: Link, way: Way) -> io::Result<Self> {
        // Protocol 0: nothing arrives before pnet binds the socket, to all protocols of this interface.
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(explain_open)?;
        let program = match way {
            Way::In => filter::incoming(u32::from(SNAPLEN)),
            Way::Out => filter::outgoing(u32::from(SNAPLEN)),
        };
        sys::attach_filter(socket.as_fd(), &program)?;
        // Beyond the limit that others have to keep, if we may; else up to it.
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &SOCKET_BUFFER)
            .or_else(|_| sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &SOCKET_BUFFER))?;
        let config = datalink::Config {
            read_buffer_size: READ_BUFFER,
            write_buffer_size: 0,
            // We wait before we ask.
            read_timeout: Some(Duration::ZERO),
            promiscuous: false,
            // pnet closes it, with an error too.
            socket_fd: Some(socket.try_clone()?.into_raw_fd()),
            ..datalink::Config::default()
        };
        let Channel::Ethernet(_, receiver) = datalink::channel(&as_pnet(interface), config)? else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        // The first question makes the kernel take stamps.
        let _ = sys::last_stamp(socket.as_fd());
        Ok(Self { index: interface.index, way, link, socket, receiver, next: None, bytes: Vec::new() })
    }

    /// Reads the next frame that is there, unless one waits already.
    fn fetch(&mut self) -> io::Result<()> {
        if self.next.is_some() {
            return Ok(());
        }
        match self.receiver.next() {
            Ok(bytes) => {
                self.bytes.clear();
                self.bytes.extend_from_slice(bytes);
                let stamp = sys::last_stamp(self.socket.as_fd());
                self.next = Some(stamp.map_or_else(Timestamp::now, |(s, nanos)| Timestamp::from_parts(s, nanos)));
                Ok(())
            }
            Err(error) if is_nothing(&error) => Ok(()),
            // pnet's word for POLLERR, which stays until somebody takes the error.
            Err(error) if error.kind() == io::ErrorKind::Other && error.raw_os_error().is_none() => self.take_error(),
            Err(error) => Err(error),
        }
    }

    /// Hands out the frame that waits.
    fn hand_out(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) {
        let Some(time) = self.next.take() else { return };
        let bytes = self.bytes.as_slice();
        sink(&Frame {
            time,
            interface: self.index,
            packet_type: Some(packet_type(self.way, self.link, bytes)),
            vlan: None,
            sender: sender(self.link, bytes),
            link: self.link,
            bytes,
            // Not told, and longer only where the frame is longer than any that the kernel makes.
            original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            read: None,
        });
    }

    /// Takes the pending error. That the interface is down or gone is none: the news of it comes otherwise, and when
    /// it is up again, the kernel goes on by itself.
    fn take_error(&self) -> io::Result<()> {
        match sys::take_error(self.socket.as_fd())? {
            Some(error) if !is_nothing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Frames that were dropped since this was asked last: reading sets the kernel's counter to zero.
    fn dropped(&self) -> u64 {
        sys::option(self.socket.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS)
            .map_or(0, |new: libc::tpacket_stats| u64::from(new.tp_drops))
    }
}

/// Whether an error only says that there is no frame now.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
        || matches!(error.raw_os_error(), Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO))
}

/// Whether an error says that there are too many open files, or too little memory, for one interface more.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Whether an interface's frames are the stack's, and selected.
fn wants(interface: &Interface, role: Role, selection: &Selection) -> bool {
    let selected = match selection {
        Selection::All => true,
        Selection::Only(indexes) => indexes.contains(&interface.index),
    };
    // A tap that is bound to a VRF makes the kernel show there what its members show, too.
    selected && matches!(role, Role::Stack | Role::Loopback | Role::Member(_))
}

/// What a raw socket's frames on this type of device begin with.
fn link_of(hardware: u16) -> Option<Link> {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(Link::Ethernet),
        _ => RAW_IP.contains(&hardware).then_some(Link::RawIp),
    }
}

/// The direction as the socket's filter knows it from the kernel; to whom a frame came in, by its own address.
fn packet_type(way: Way, link: Link, bytes: &[u8]) -> PacketType {
    match (way, link, bytes) {
        (Way::Out, ..) => PacketType::Outgoing,
        (Way::In, Link::Ethernet, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ..]) => PacketType::Broadcast,
        (Way::In, Link::Ethernet, [first, ..]) if first & 1 != 0 => PacketType::Multicast,
        _ => PacketType::Host,
    }
}

fn sender(link: Link, bytes: &[u8]) -> Option<[u8; 6]> {
    bytes.get(6..)?.first_chunk().copied().filter(|_| link == Link::Ethernet)
}

fn as_pnet(interface: &Interface) -> NetworkInterface {
    NetworkInterface {
        name: interface.name.clone(),
        description: String::new(),
        index: interface.index,
        mac: interface.address.map(MacAddr::from),
        ips: Vec::new(),
        flags: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_type_follows_from_the_kind_of_device() {
        assert_eq!([1, 772].map(link_of), [Some(Link::Ethernet); 2]);
        assert_eq!([768, 0xfffe].map(link_of), [Some(Link::RawIp); 2]);
        // PPP, GRE and monitoring radios have headers of their own.
        assert_eq!([512, 778, 803].map(link_of), [None; 3]);
    }

    #[test]
    fn the_packet_type_is_that_of_the_socket() {
        let to = |first| [first, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1];
        let of = |way, first| packet_type(way, Link::Ethernet, &to(first));
        assert_eq!(of(Way::In, 0xff), PacketType::Broadcast);
        assert_eq!(of(Way::In, 0x01), PacketType::Multicast);
        assert_eq!(of(Way::In, 0x02), PacketType::Host);
        assert_eq!(of(Way::Out, 0xff), PacketType::Outgoing);
        assert_eq!(packet_type(Way::In, Link::RawIp, &[0x45; 20]), PacketType::Host);
        assert_eq!(sender(Link::Ethernet, &to(2)), Some([2, 0, 0, 0, 0, 1]));
        assert_eq!((sender(Link::RawIp, &to(2)), sender(Link::Ethernet, &[0; 11])), (None, None));
    }
}
