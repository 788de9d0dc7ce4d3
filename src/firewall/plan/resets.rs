//! What tells a reset that REJECT sends from one of the host's own in IPv6, be there a socket or none.
//!
//! The kernel's TCP leaves the checksum of what it sends to the device, or to what stands for it: in OUTPUT the field holds
//! the sum of the pseudo-header alone (RFC 8200 section 8.1). REJECT computes all of it. A whole one is the same as the sum
//! of the pseudo-header once in 65,536 times: then a reset of REJECT's is taken for the host's own.

use std::fmt::Write;

/// Length of an IPv6 header, where the TCP header of a reset begins: neither sends extension headers.
const TCP: u32 = 40;
/// Where the addresses begin.
const ADDRESSES: u32 = 8;
/// Where it tells how long what follows is: the length in the pseudo-header too, as neither sends extension headers. A
/// reset of a socket's has options.
const LENGTH: u32 = 4;
/// TCP, the rest of the pseudo-header.
const PROTOCOL: u32 = 6;
/// Where the checksum is in a TCP header.
const CHECKSUM: u32 = 16;
/// Sums of 16-bit words with the carry added are numbers modulo this.
const MODULUS: u32 = 0xffff;

// Instructions of classic BPF (`linux/bpf_common.h`).
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const ADD: u16 = 0x04;
const ADD_X: u16 = 0x0c;
const MODULO: u16 = 0x94;
const TO_X: u16 = 0x07;
const FROM_X: u16 = 0x87;
const JUMP_IF_X: u16 = 0x1d;
const RETURN: u16 = 0x06;

/// An instruction: code, how many to skip if true and if false, value.
type Instruction = (u16, u8, u8, u32);

/// A program for `-m bpf` that picks TCP segments without payload whose checksum is more than that of the pseudo-header.
pub(super) fn whole_checksum() -> String {
    let program = program();
    let mut text = program.len().to_string();
    for (code, jump_true, jump_false, value) in program {
        // Writing to a `String` can't fail.
        let _ = write!(text, ",{code} {jump_true} {jump_false} {value}");
    }
    text
}

fn program() -> Vec<Instruction> {
    let of = |code, value| (code, 0, 0, value);
    let add_word = |at| [of(LOAD_WORD, at), of(MODULO, MODULUS), of(ADD_X, 0), of(TO_X, 0)];
    let addresses = (ADDRESSES..TCP).step_by(4).flat_map(add_word);
    let end = [
        of(FROM_X, 0),
        of(ADD, PROTOCOL),
        of(MODULO, MODULUS),
        of(TO_X, 0),
        of(LOAD_HALF, TCP + CHECKSUM),
        of(MODULO, MODULUS),
        (JUMP_IF_X, 0, 1, 0),
        of(RETURN, 0),
        of(RETURN, u32::MAX),
    ];
    [of(LOAD_HALF, LENGTH), of(TO_X, 0)].into_iter().chain(addresses).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program on a packet, as the kernel would.
    fn picks(packet: &[u8]) -> bool {
        let program = program();
        let load = |at: u32, len: usize| {
            let at = usize::try_from(at).unwrap();
            packet[at..at + len].iter().fold(0_u32, |number, &byte| number << 8 | u32::from(byte))
        };
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
        loop {
            let (code, jump_true, jump_false, value) = program[at];
            at += 1;
            match code {
                LOAD_WORD => a = load(value, 4),
                LOAD_HALF => a = load(value, 2),
                ADD => a = a.wrapping_add(value),
                ADD_X => a = a.wrapping_add(x),
                MODULO => a %= value,
                TO_X => x = a,
                FROM_X => a = x,
                JUMP_IF_X => at += usize::from(if a == x { jump_true } else { jump_false }),
                RETURN => return value > 0,
                other => panic!("{other}"),
            }
        }
    }

    fn reset(checksum: u16, options: &[u8]) -> Vec<u8> {
        let words = u8::try_from(5 + options.len() / 4).unwrap();
        let mut packet = vec![0x60, 0, 0, 0, 0, words * 4, 6, 64];
        packet.extend("fd77::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
        packet.extend("fd77::2".parse::<std::net::Ipv6Addr>().unwrap().octets());
        packet.extend([0, 81, 0x0f, 0xa0, 0, 0, 0, 9, 0, 0, 0, 0, words << 4, 4, 0, 0]);
        packet.extend(checksum.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(options);
        packet
    }

    #[test]
    fn a_checksum_of_the_pseudo_header_alone_is_not_whole() {
        // 2 * 0xfd77 + 1 + 2 + 20 + 6, the carry added.
        let unfinished = 0xfb0c;
        assert!(!picks(&reset(unfinished, &[])));
        assert!(picks(&reset(unfinished + 1, &[])) && picks(&reset(0, &[])));
        let timestamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        assert!(!picks(&reset(unfinished + 12, &timestamps)) && picks(&reset(unfinished, &timestamps)));
    }

    #[test]
    fn it_is_written_as_iptables_reads_it() {
        let text = whole_checksum();
        assert!(text.starts_with("43,40 0 0 4,7 0 0 0,32 0 0 8,148 0 0 65535,12 0 0 0,7 0 0 0,32 0 0 12,"), "{text}");
        assert_eq!(text.split(',').count(), 44);
    }
}
