//! Files of blocked peers: one address or network a line, `#` and `;` begin a comment.
//!
//! A million lines is a normal file, so that the common forms have a reader of their own. What is in such a file is
//! never repeated in a message: it may be any file.

use super::address::AddressRange;
use super::diagnostic::Place;
use super::limits::{MAX_LIST_ERRORS, MAX_LIST_NETWORKS};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The networks in file order.
    pub(super) networks: Arc<[AddressRange]>,
    /// What is wrong, [`MAX_LIST_ERRORS`] at most; the last then counts the rest.
    pub(super) errors: Vec<(Place, String)>,
    /// How many networks have host bits set.
    pub(super) host_bits: usize,
    /// The line of the first of them.
    pub(super) first_host_bits: u32,
}

/// Reads a file of `most` networks at most.
pub(super) fn parse(bytes: &[u8], most: usize) -> Content {
    let (mut content, mut networks) = (Content::default(), Vec::new());
    let mut wrong = Wrong::default();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (line, number) in bytes.split(|&byte| byte == b'\n').zip(1..) {
        let uncommented = line.split(|byte| b"#;".contains(byte)).next().unwrap_or_default();
        let entry = uncommented.trim_ascii();
        if entry.is_empty() {
            continue;
        }
        let Some((range, has_host_bits)) = network(entry) else {
            wrong.note(number, uncommented);
            continue;
        };
        if networks.len() == most {
            let message = format!("more than {MAX_LIST_NETWORKS} networks in all block lists");
            wrong.places.push((Place { line: number, column: 1 }, message));
            break;
        }
        networks.push(range);
        if has_host_bits {
            content.host_bits += 1;
            content.first_host_bits = if content.host_bits == 1 { number } else { content.first_host_bits };
        }
    }
    content.errors = wrong.told();
    content.networks = networks.into();
    content
}

/// Lines that could not be read.
#[derive(Default)]
struct Wrong {
    places: Vec<(Place, String)>,
    more: usize,
}

impl Wrong {
    fn note(&mut self, line: u32, content: &[u8]) {
        if self.places.len() >= MAX_LIST_ERRORS {
            self.more += 1;
            return;
        }
        let indent = content.len() - content.trim_ascii_start().len();
        let column = u32::try_from(indent + 1).unwrap_or(u32::MAX);
        self.places.push((Place { line, column }, "this line is neither an address nor a network".to_owned()));
    }

    fn told(mut self) -> Vec<(Place, String)> {
        if self.more > 0
            && let Some((_, last)) = self.places.last_mut()
        {
            *last = format!("{last}, and {} more lines", self.more);
        }
        self.places
    }
}

/// An address or a network, and whether it has host bits set.
fn network(entry: &[u8]) -> Option<(AddressRange, bool)> {
    let slash = entry.iter().position(|&byte| byte == b'/');
    let (address, prefix) = match slash.and_then(|at| entry.split_at_checked(at)) {
        Some((address, prefix)) => (address, Some(small_number(prefix.get(1..)?, 128)?)),
        None => (entry, None),
    };
    let address = match ipv4(address) {
        Some(address) => IpAddr::V4(address),
        None => std::str::from_utf8(address).ok()?.parse().ok()?,
    };
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(u32::from(prefix.unwrap_or(32)));
            let host = if prefix.unwrap_or(32) > 32 { return None } else { host.unwrap_or(0) };
            let bits = address.to_bits();
            let (first, last) = (Ipv4Addr::from_bits(bits & !host), Ipv4Addr::from_bits(bits | host));
            Some((AddressRange::V4 { first, last }, bits & host != 0))
        }
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => None,
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(u32::from(prefix.unwrap_or(128))).unwrap_or(0);
            let bits = address.to_bits();
            let (first, last) = (Ipv6Addr::from_bits(bits & !host), Ipv6Addr::from_bits(bits | host));
            Some((AddressRange::V6 { first, last }, bits & host != 0))
        }
    }
}

/// Four octets with dots, in their one spelling.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = text.split(|&byte| byte == b'.');
    let mut bits = 0_u32;
    for _ in 0..4 {
        bits = bits << 8 | u32::from(small_number(octets.next()?, 255)?);
    }
    octets.next().is_none().then(|| Ipv4Addr::from_bits(bits))
}

/// A number of one to three digits without leading zeros, `most` at most.
fn small_number(digits: &[u8], most: u8) -> Option<u8> {
    let leading_zero = digits.len() > 1 && digits.first() == Some(&b'0');
    if digits.is_empty() || digits.len() > 3 || leading_zero {
        return None;
    }
    let number = digits
        .iter()
        .try_fold(0_u16, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u16::from(byte - b'0')))?;
    u8::try_from(number).ok().filter(|&number| number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> Vec<String> {
        let list = parse(text.as_bytes(), 100);
        assert_eq!(list.errors, []);
        list.networks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_common_public_formats_read() {
        let text =
            "# a list\r\n; of peers\r\n\r\n192.0.2.1\r\n  198.51.100.0/24 ; SBL1\n2001:db8::/32# x\n::1\n0.0.0.0/0";
        assert_eq!(reads(text), ["192.0.2.1", "198.51.100.0/24", "2001:db8::/32", "::1", "0.0.0.0/0"]);
        assert_eq!(reads(""), [""; 0]);
    }

    #[test]
    fn host_bits_are_counted_and_the_network_is_taken() {
        let list = parse(b"10.0.0.0/8\n10.0.0.1/8\n2001:db8::1/32\n", 100);
        assert_eq!((list.host_bits, list.first_host_bits), (2, 2));
        assert_eq!(list.networks[1], list.networks[0]);
    }

    #[test]
    fn an_error_has_its_place_and_not_the_content() {
        let list = parse(
            b"10.0.0.1\n\n  root:x:0\n10.0.0.256\n010.0.0.1\n10.0.0.0/33\n::ffff:1.2.3.4\n1.2.3\n\xff\xfe\n",
            100,
        );
        let lines: Vec<_> = list.errors.iter().map(|(place, _)| (place.line, place.column)).collect();
        assert_eq!(lines, [(3, 3), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 1)]);
        assert!(list.errors.iter().all(|(_, message)| !message.contains("root")));
    }

    #[test]
    fn errors_and_networks_are_bounded() {
        let list = parse("x\n".repeat(1_000).as_bytes(), 100);
        assert_eq!(list.errors.len(), 20);
        assert!(list.errors[19].1.ends_with(", and 980 more lines"));
        let list = parse("10.0.0.1\n".repeat(102).as_bytes(), 100);
        assert_eq!((list.errors.len(), list.errors[0].0.line), (1, 101));
    }
}
