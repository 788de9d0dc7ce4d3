//! DHCP (RFC 2131): which server an answer names as the one that it is from.
//!
//! The source of an answer is not that: a relay sends it with its own address, and when a lease is renewed the server
//! answers itself.

use super::span::Span;
use super::{Ip, Net, Ports, Transport};
use std::net::Ipv4Addr;

/// From a server to a client.
const ANSWER: Ports = Ports { src: 67, dst: 68 };
/// The version of IP that has it; in IPv6 it is another protocol.
const IPV4: u8 = 4;
/// Bytes of a UDP header, and of a message in front of its options, the magic cookie being the last of them.
const UDP_HEADER: u32 = 8;
const FIXED: u32 = 236;
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Options without a length, and the one with the address of the server (RFC 2132 sections 3.1, 3.2 and 9.7).
const PAD: u8 = 0;
const END: u8 = 255;
const SERVER_IDENTIFIER: u8 = 54;

/// The server that the IPv4 packet `payload`, which was read as `net`, says it is from, if it is an answer of DHCP.
#[inline]
pub(super) fn server(net: &Net, payload: Span<'_>) -> Option<Ipv4Addr> {
    match net {
        Net::Ip(Ip { transport: Transport::Udp(ANSWER), .. }) => named(payload),
        _ => None,
    }
}

#[cold]
fn named(packet: Span<'_>) -> Option<Ipv4Addr> {
    let &first = packet.bytes().first().filter(|first| **first >> 4 == IPV4)?;
    let message = packet.skip(u32::from(first & 0xf) * 4 + UDP_HEADER + FIXED);
    let mut options = message.bytes().strip_prefix(&MAGIC_COOKIE)?;
    loop {
        match *options {
            [PAD, ref rest @ ..] => options = rest,
            [SERVER_IDENTIFIER, 4, a, b, c, d, ..] => return Some(Ipv4Addr::new(a, b, c, d)),
            [END, ..] => return None,
            [_, length, ref rest @ ..] => options = rest.get(usize::from(length)..)?,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::ipv4_of;
    use std::net::Ipv4Addr;

    /// What an answer with these options says of its server.
    fn server(ports: &str, options: &str) -> Option<Ipv4Addr> {
        let fixed = "00".repeat(236);
        ipv4_of(17, &format!("{ports} 0200 0000 {fixed} 63825363 {options}")).dhcp_server
    }

    #[test]
    fn an_answer_names_its_server_wherever_the_option_stands() {
        let expected = Some(Ipv4Addr::new(10, 9, 0, 1));
        assert_eq!(server("0043 0044", "3604 0a090001 ff"), expected);
        assert_eq!(server("0043 0044", "350102 00 3304 00000258 3604 0a090001"), expected);
    }

    #[test]
    fn what_names_none_or_is_no_answer_has_none() {
        for options in ["350102 ff", "ff 3604 0a090001", "3603 0a0900", "36", "3604 0a09", "3510 02"] {
            assert_eq!(server("0043 0044", options), None, "{options}");
        }
        assert_eq!(server("0044 0043", "3604 0a090001 ff"), None, "a client's message");
        assert_eq!(ipv4_of(17, "0043 0044 0008 0000").dhcp_server, None, "an empty one");
    }
}
