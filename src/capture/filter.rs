//! Classic BPF programs that decide in the kernel which frames a packet socket gets at all.
//!
//! Which are wanted they tell by what the kernel knows about a frame beside its bytes (`SKF_AD_*`, `linux/filter.h`). A
//! program returns how many bytes of the frame are kept; 0 drops it, without a trace in the socket's counters.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_JA, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_LEN, BPF_RET, BPF_W,
    ETH_P_IP, ETH_P_IPV6, SKF_AD_IFINDEX, SKF_AD_OFF, SKF_AD_PKTTYPE, SKF_AD_PROTOCOL, SKF_AD_VLAN_TAG,
    SKF_AD_VLAN_TAG_PRESENT, sock_filter,
};

/// Most interfaces that a program can name: the kernel takes 4096 instructions.
pub(super) const MAX_INTERFACES: usize = 2000;

/// Bytes that are kept of a TCP segment: its headers with all their options (120 bytes at most in IPv4), and so much of
/// what follows that it has a [fingerprint](crate::packet::Fingerprint). Nobody looks at what is behind, which most of a
/// machine's traffic consists of.
const TCP_SEGMENT: u32 = 128;

/// Where an IPv4 header tells the protocol, and an IPv6 header the next header (RFC 791, RFC 8200).
const IPV4_PROTOCOL: u32 = 9;
const IPV6_NEXT_HEADER: u32 = 6;

/// The lower 12 bits of a VLAN tag are its id.
const VLAN_ID: u32 = 0x0fff;

/// Which interfaces' frames are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All, those too that come later.
    All,
    /// Those with these indexes.
    Only(Vec<u32>),
}

/// Keeps of each frame of the selected interfaces, whose first byte is that of its network header, the first `snaplen`
/// bytes; less of TCP.
pub(super) fn select(selection: &Selection, snaplen: u32) -> Vec<sock_filter> {
    let mut program = Vec::new();
    if let Selection::Only(indexes) = selection {
        let indexes = indexes.get(..MAX_INTERFACES).unwrap_or(indexes);
        program.push(load(SKF_AD_IFINDEX));
        for (&index, left) in indexes.iter().zip((0..indexes.len()).rev()) {
            // Two for each interface that is left, and what drops all others.
            let to_the_end = u32::try_from(2 * left + 1).unwrap_or(u32::MAX);
            program.extend([unless_equal_skip(index, 1), skip(to_the_end)]);
        }
        program.push(drop_frame());
    }
    program.extend(headers(snaplen));
    program
}

/// Keeps the first `snaplen` bytes, and of a TCP segment its headers. Of a frame that is shorter than what is kept no byte
/// is asked for: where there is none, the kernel drops the frame.
fn headers(snaplen: u32) -> [sock_filter; 11] {
    [
        statement(BPF_LD | BPF_W | BPF_LEN, 0),
        jump(BPF_JGT, TCP_SEGMENT, 0, 8),
        load(SKF_AD_PROTOCOL),
        unless_equal_skip(ETH_P_IP.cast_unsigned(), 2),
        load_byte(IPV4_PROTOCOL),
        skip(2),
        unless_equal_skip(ETH_P_IPV6.cast_unsigned(), 3),
        load_byte(IPV6_NEXT_HEADER),
        unless_equal_skip(libc::IPPROTO_TCP.cast_unsigned(), 1),
        keep(snaplen.min(TCP_SEGMENT)),
        keep(snaplen),
    ]
}

/// Drops everything.
pub(super) fn nothing() -> Vec<sock_filter> {
    vec![drop_frame()]
}

/// Keeps what this host sent, but for what it sent with a VLAN tag: that was seen on the VLAN's own device.
pub(super) fn outgoing(snaplen: u32) -> Vec<sock_filter> {
    let mut program = vec![load(SKF_AD_PKTTYPE), if_equal_skip(u32::from(libc::PACKET_OUTGOING), 1), drop_frame()];
    program.extend(untagged(snaplen));
    program
}

/// Keeps what came in for this host, but for what has a VLAN tag: that is for the VLAN's own device, or for none.
pub(super) fn incoming(snaplen: u32) -> Vec<sock_filter> {
    let mut program = vec![
        load(SKF_AD_PKTTYPE),
        unless_equal_skip(u32::from(libc::PACKET_OUTGOING), 1),
        drop_frame(),
        unless_equal_skip(u32::from(libc::PACKET_OTHERHOST), 1),
        drop_frame(),
    ];
    program.extend(untagged(snaplen));
    program
}

/// Keeps frames without a VLAN tag; the id 0 stands for a priority, not for a VLAN.
fn untagged(snaplen: u32) -> [sock_filter; 8] {
    [
        load(SKF_AD_VLAN_TAG_PRESENT),
        unless_equal_skip(0, 1),
        keep(snaplen),
        load(SKF_AD_VLAN_TAG),
        statement(BPF_ALU | BPF_AND | BPF_K, VLAN_ID),
        unless_equal_skip(0, 1),
        keep(snaplen),
        drop_frame(),
    ]
}

fn load(field: i32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, (SKF_AD_OFF + field).cast_unsigned())
}

/// Loads a byte of the frame.
fn load_byte(at: u32) -> sock_filter {
    statement(BPF_LD | BPF_B | BPF_ABS, at)
}

fn keep(bytes: u32) -> sock_filter {
    statement(BPF_RET | BPF_K, bytes)
}

fn drop_frame() -> sock_filter {
    keep(0)
}

/// Skips `count` instructions unless the loaded value is `value`.
fn unless_equal_skip(value: u32, count: u8) -> sock_filter {
    jump(BPF_JEQ, value, 0, count)
}

/// Skips `count` instructions if the loaded value is `value`.
fn if_equal_skip(value: u32, count: u8) -> sock_filter {
    jump(BPF_JEQ, value, count, 0)
}

/// Skips `count` instructions.
fn skip(count: u32) -> sock_filter {
    statement(BPF_JMP | BPF_JA, count)
}

/// Skips so many instructions if the loaded value compares to `value` as asked, and so many otherwise.
fn jump(comparison: u32, value: u32, if_so: u8, otherwise: u8) -> sock_filter {
    sock_filter { jt: if_so, jf: otherwise, ..statement(BPF_JMP | comparison | BPF_K, value) }
}

fn statement(code: u32, k: u32) -> sock_filter {
    // Instruction codes have 16 bits.
    sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel knows about a frame, and its bytes.
    #[derive(Clone, Copy, Default)]
    struct Known {
        packet_type: u8,
        interface: u32,
        vlan: Option<u32>,
        ethertype: u32,
        len: u32,
        /// The byte at each place.
        byte: u8,
    }

    /// Runs a program as the kernel does; returns how many bytes it keeps.
    fn run(program: &[sock_filter], frame: Known) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let instruction = program[at];
            at += 1;
            match u32::from(instruction.code) {
                0x20 => {
                    accumulator = match instruction.k.cast_signed() - SKF_AD_OFF {
                        SKF_AD_PKTTYPE => u32::from(frame.packet_type),
                        SKF_AD_IFINDEX => frame.interface,
                        SKF_AD_VLAN_TAG => frame.vlan.unwrap_or(0),
                        SKF_AD_VLAN_TAG_PRESENT => u32::from(frame.vlan.is_some()),
                        SKF_AD_PROTOCOL => frame.ethertype,
                        field => panic!("field {field}"),
                    }
                }
                0x30 if instruction.k < frame.len => accumulator = u32::from(frame.byte),
                0x30 => return 0,
                0x80 => accumulator = frame.len,
                0x54 => accumulator &= instruction.k,
                0x05 => at += instruction.k as usize,
                0x15 => at += usize::from(if accumulator == instruction.k { instruction.jt } else { instruction.jf }),
                0x25 => at += usize::from(if accumulator > instruction.k { instruction.jt } else { instruction.jf }),
                0x06 => return instruction.k,
                code => panic!("code {code:#x}"),
            }
        }
    }

    #[test]
    fn instructions_are_the_kernels() {
        let program: Vec<_> =
            select(&Selection::Only(vec![7]), 2048).iter().map(|op| (op.code, op.jt, op.jf, op.k)).collect();
        let expected = [
            // The classic assembler's notation: ld [#ifindex]; jeq #7, 0, 1; ja 1; ret #0
            (0x20, 0, 0, 0xffff_f008),
            (0x15, 0, 1, 7),
            (0x05, 0, 0, 1),
            (0x06, 0, 0, 0),
            // ld #len; jgt #128, 0, 8; ld [#proto]; jeq #0x800, 0, 2; ldb [9]; ja 2; jeq #0x86dd, 0, 3; ldb [6]
            (0x80, 0, 0, 0),
            (0x25, 0, 8, 128),
            (0x20, 0, 0, 0xffff_f000),
            (0x15, 0, 2, 0x0800),
            (0x30, 0, 0, 9),
            (0x05, 0, 0, 2),
            (0x15, 0, 3, 0x86dd),
            (0x30, 0, 0, 6),
            // jeq #6, 0, 1; ret #128; ret #2048
            (0x15, 0, 1, 6),
            (0x06, 0, 0, 128),
            (0x06, 0, 0, 2048),
        ];
        assert_eq!(program, expected);
    }

    #[test]
    fn of_a_long_tcp_segment_the_headers_are_kept_and_all_of_anything_else() {
        let program = select(&Selection::All, 2048);
        for (ethertype, byte, len, kept) in [
            (0x0800, 6, 1500, 128),
            (0x86dd, 6, 1500, 128),
            (0x0800, 6, 128, 2048),
            (0x0800, 6, 3, 2048),
            (0x86dd, 0, 1500, 2048),
            (0x0800, 17, 1500, 2048),
            (0x0806, 6, 1500, 2048),
        ] {
            assert_eq!(run(&program, Known { ethertype, len, byte, ..Known::default() }), kept, "{ethertype:#x} {len}");
        }
        let short = select(&Selection::All, 96);
        assert_eq!(run(&short, Known { ethertype: 0x0800, byte: 6, len: 1500, ..Known::default() }), 96);
    }

    #[test]
    fn a_selection_keeps_the_named_interfaces_alone() {
        let named: Vec<u32> = (10..10 + 2000).collect();
        let program = select(&Selection::Only(named.clone()), 96);
        assert!(program.len() <= 4096);
        for interface in [0, 9, 10, 11, 300, 2009, 2010, u32::MAX] {
            let kept = run(&program, Known { interface, ..Known::default() });
            assert_eq!(kept, if named.contains(&interface) { 96 } else { 0 }, "{interface}");
        }
        assert_eq!(run(&select(&Selection::Only(Vec::new()), 96), Known::default()), 0);
        assert_eq!(run(&select(&Selection::All, 96), Known::default()), 96);
        assert_eq!(run(&nothing(), Known::default()), 0);
    }

    #[test]
    fn one_program_keeps_what_went_out_and_one_what_came_in() {
        for (packet_type, came, went) in [(0, 96, 0), (1, 96, 0), (2, 96, 0), (3, 0, 0), (4, 0, 96)] {
            for (vlan, has_id) in [(None, false), (Some(0x6000), false), (Some(0x6007), true), (Some(7), true)] {
                let frame = Known { packet_type, vlan, interface: 3, ..Known::default() };
                assert_eq!(run(&incoming(96), frame), if has_id { 0 } else { came });
                assert_eq!(run(&outgoing(96), frame), if has_id { 0 } else { went });
            }
        }
    }
}
