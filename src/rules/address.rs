//! Addresses in rules: a range of one family, and sets of ranges.

use super::diagnostic::quoted;
use super::parsed::Parsed;
use super::ranges::Ranges;
use ipnetwork::{Ipv4Network, Ipv6Network};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses from `first` to `last`, both included, of one family; `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressRange {
    /// IPv4.
    V4 {
        /// Lowest address.
        first: Ipv4Addr,
        /// Highest address.
        last: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// Lowest address.
        first: Ipv6Addr,
        /// Highest address.
        last: Ipv6Addr,
    },
}

/// A set of addresses of both families, exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    /// IPv4 addresses.
    pub v4: Ranges<u32>,
    /// IPv6 addresses.
    pub v6: Ranges<u128>,
}

impl AddressRange {
    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (*self, address) {
            (Self::V4 { first, last }, IpAddr::V4(address)) => first <= address && address <= last,
            (Self::V6 { first, last }, IpAddr::V6(address)) => first <= address && address <= last,
            _ => false,
        }
    }
}

impl From<Ipv4Network> for AddressRange {
    fn from(network: Ipv4Network) -> Self {
        Self::V4 { first: network.network(), last: network.broadcast() }
    }
}

impl From<Ipv6Network> for AddressRange {
    fn from(network: Ipv6Network) -> Self {
        Self::V6 { first: network.network(), last: network.broadcast() }
    }
}

impl From<IpAddr> for AddressRange {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4 { first: address, last: address },
            IpAddr::V6(address) => Self::V6 { first: address, last: address },
        }
    }
}

impl AddressSet {
    /// Whether `address` is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    /// Whether all of `range` is in the set.
    pub fn covers(&self, range: &AddressRange) -> bool {
        match *range {
            AddressRange::V4 { first, last } => self.v4.covers(first.to_bits(), last.to_bits()),
            AddressRange::V6 { first, last } => self.v6.covers(first.to_bits(), last.to_bits()),
        }
    }

    /// Whether any address of `range` is in the set.
    pub fn overlaps(&self, range: &AddressRange) -> bool {
        match *range {
            AddressRange::V4 { first, last } => self.v4.overlaps(first.to_bits(), last.to_bits()),
            AddressRange::V6 { first, last } => self.v6.overlaps(first.to_bits(), last.to_bits()),
        }
    }

    /// The set as ranges, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = AddressRange> + '_ {
        let v4 = self.v4.iter().map(|(first, last)| AddressRange::V4 {
            first: Ipv4Addr::from_bits(first),
            last: Ipv4Addr::from_bits(last),
        });
        let v6 = self.v6.iter().map(|(first, last)| AddressRange::V6 {
            first: Ipv6Addr::from_bits(first),
            last: Ipv6Addr::from_bits(last),
        });
        v4.chain(v6)
    }
}

impl<'a> FromIterator<&'a AddressRange> for AddressSet {
    fn from_iter<I: IntoIterator<Item = &'a AddressRange>>(ranges: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match range {
                AddressRange::V4 { first, last } => v4.push((first.to_bits(), last.to_bits())),
                AddressRange::V6 { first, last } => v6.push((first.to_bits(), last.to_bits())),
            }
        }
        Self { v4: Ranges::from_ranges(v4), v6: Ranges::from_ranges(v6) }
    }
}

/// Reads an address (`192.0.2.1`), a network (`2001:db8::/32`) or a range (`192.0.2.1-192.0.2.9`).
pub(super) fn parse(text: &str) -> Result<Parsed<AddressRange>, String> {
    if text.contains('%') {
        return Err(format!("{} has a zone id; name the interface in an \"interface\" condition", quoted(text)));
    }
    if text.contains('/') && text.contains('-') {
        return Err(format!("{} is no range: its ends are addresses, not networks", quoted(text)));
    }
    if let Some((address, prefix)) = text.split_once('/') {
        network(text, address, prefix)
    } else if let Some((first, last)) = text.split_once('-') {
        range(single(first)?, single(last)?).map(Parsed::from)
    } else {
        single(text).map(AddressRange::from).map(Parsed::from)
    }
}

fn range(first: IpAddr, last: IpAddr) -> Result<AddressRange, String> {
    match (first, last) {
        _ if first.is_ipv4() != last.is_ipv4() => Err("a range can't begin in IPv4 and end in IPv6".to_owned()),
        _ if first > last => Err(format!("the range ends before it begins; write {last}-{first}")),
        (IpAddr::V4(first), IpAddr::V4(last)) => Ok(AddressRange::V4 { first, last }),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ok(AddressRange::V6 { first, last }),
        _ => Err("a range can't begin in IPv6 and end in IPv4".to_owned()),
    }
}

fn network(text: &str, address: &str, prefix: &str) -> Result<Parsed<AddressRange>, String> {
    let written: IpAddr = address.parse().map_err(|_| no_address(address))?;
    let most = if written.is_ipv4() { 32 } else { 128 };
    let length = prefix_length(prefix, most).map_err(|reason| match prefix.parse().ok().and_then(netmask_length) {
        Some(length) if written.is_ipv4() => format!("a netmask can't stand here; write {address}/{length}"),
        _ => reason,
    })?;
    let invalid = |_| format!("{} is not a network", quoted(text));
    let range = match written {
        IpAddr::V4(address) => AddressRange::from(Ipv4Network::new(address, length).map_err(invalid)?),
        IpAddr::V6(address) => match (address.to_ipv4_mapped(), length.checked_sub(96)) {
            (Some(v4), Some(length)) => return Err(mapped(text, format_args!("{v4}/{length}"))),
            _ => AddressRange::from(Ipv6Network::new(address, length).map_err(invalid)?),
        },
    };
    let warning = (range.first() != written)
        .then(|| format!("{text} has host bits set; it is taken as {}/{length}", range.first()));
    Ok(Parsed { value: range, warning })
}

/// The prefix length that `text` says, `most` at most, in its one spelling.
fn prefix_length(text: &str, most: u8) -> Result<u8, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u8>() {
        Ok(length) if digits && length <= most && text == length.to_string() => Ok(length),
        Ok(length) if digits && length <= most => {
            Err(format!("the prefix length /{text} has leading zeros; write /{length}"))
        }
        _ => Err(format!("{} is not a prefix length (0 to {most})", quoted(text))),
    }
}

/// The prefix length of a netmask without holes.
fn netmask_length(mask: Ipv4Addr) -> Option<u32> {
    let bits = mask.to_bits();
    (bits.leading_ones() + bits.trailing_zeros() >= 32).then(|| bits.leading_ones())
}

fn single(text: &str) -> Result<IpAddr, String> {
    match text.parse() {
        Ok(IpAddr::V6(address)) if let Some(v4) = address.to_ipv4_mapped() => Err(mapped(text, v4)),
        Ok(address) => Ok(address),
        Err(_) => Err(no_address(text)),
    }
}

fn mapped(text: &str, v4: impl fmt::Display) -> String {
    format!("{} is an IPv4 address in IPv6 spelling, which no packet carries; write {v4}", quoted(text))
}

/// Why `text` is not an address, with the right spelling where it can be told.
fn no_address(text: &str) -> String {
    let unzeroed: Vec<_> = text.split('.').map(|octet| octet.trim_start_matches('0')).collect();
    let unzeroed =
        unzeroed.iter().map(|octet| if octet.is_empty() { "0" } else { octet }).collect::<Vec<_>>().join(".");
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    let reason = if let (true, Ok(address)) = (text.contains('.'), unzeroed.parse::<Ipv4Addr>()) {
        format!(": leading zeros mean octal to some programs; write {address}")
    } else if bare != text && bare.parse::<IpAddr>().is_ok() {
        format!("; write {bare}")
    } else if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        format!(": ports have their own place; write {}", socket.ip())
    } else if text.bytes().any(|byte| byte.is_ascii_alphabetic()) && !text.contains(':') {
        "; names are not looked up".to_owned()
    } else {
        String::new()
    };
    format!("{} is not an IPv4 or IPv6 address{reason}", quoted(text))
}

impl AddressRange {
    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        match *self {
            Self::V4 { first, .. } => IpAddr::V4(first),
            Self::V6 { first, .. } => IpAddr::V6(first),
        }
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        match *self {
            Self::V4 { last, .. } => IpAddr::V4(last),
            Self::V6 { last, .. } => IpAddr::V6(last),
        }
    }

    /// The prefix length, if the range is a network.
    pub fn prefix_length(&self) -> Option<u8> {
        let (first, last, unused) = match *self {
            Self::V4 { first, last } => (first.to_bits().into(), last.to_bits().into(), 96),
            Self::V6 { first, last } => (first.to_bits(), last.to_bits(), 0),
        };
        let span: u128 = last - first;
        let is_network = span & span.wrapping_add(1) == 0 && first & span == 0;
        is_network.then(|| u8::try_from(span.leading_zeros() - unused).unwrap_or(0))
    }
}

impl fmt::Display for AddressRange {
    /// An address, a network (`198.51.100.0/24`), or first and last address with a hyphen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first(), self.last());
        match self.prefix_length() {
            _ if first == last => write!(f, "{first}"),
            Some(length) => write!(f, "{first}/{length}"),
            None => write!(f, "{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> String {
        let Parsed { value, warning } = parse(text).unwrap();
        assert_eq!(warning, None);
        value.to_string()
    }

    #[test]
    fn every_form_reads_and_prints_in_its_shortest_spelling() {
        for text in
            ["192.0.2.1", "198.51.100.0/24", "0.0.0.0/0", "203.0.113.10-203.0.113.20", "2001:db8::/32", "::/0", "::1"]
        {
            assert_eq!(reads(text), text);
        }
        assert_eq!(reads("192.0.2.0-192.0.2.255"), "192.0.2.0/24");
        assert_eq!(reads("192.0.2.1/32"), "192.0.2.1");
        assert_eq!(reads("2001:DB8:0:0::1"), "2001:db8::1");
        assert_eq!(reads("0.0.0.0-255.255.255.255"), "0.0.0.0/0");
        assert_eq!(reads("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "::/0");
    }

    #[test]
    fn host_bits_are_told_with_the_network_that_is_taken() {
        let Parsed { value, warning } = parse("192.168.1.7/24").unwrap();
        assert_eq!(value.to_string(), "192.168.1.0/24");
        assert_eq!(warning.unwrap(), "192.168.1.7/24 has host bits set; it is taken as 192.168.1.0/24");
        assert!(parse("2001:db8::1/64").unwrap().warning.unwrap().ends_with("2001:db8::/64"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_remedy() {
        for (text, end) in [
            ("10.0.0.0/08", "write /8"),
            ("10.0.0.0/+8", "is not a prefix length (0 to 32)"),
            ("10.0.0.0/33", "is not a prefix length (0 to 32)"),
            ("::/129", "is not a prefix length (0 to 128)"),
            ("10.0.0.0/", "is not a prefix length (0 to 32)"),
            ("192.168.1.0/255.255.255.0", "write 192.168.1.0/24"),
            ("192.168.1.0/255.0.255.0", "is not a prefix length (0 to 32)"),
            ("010.0.0.1", "write 10.0.0.1"),
            ("::ffff:10.0.0.1", "write 10.0.0.1"),
            ("::ffff:10.0.0.0/104", "write 10.0.0.0/8"),
            ("fe80::1%eth0", "name the interface in an \"interface\" condition"),
            ("[::1]", "write ::1"),
            ("192.0.2.1:80", "write 192.0.2.1"),
            (" 192.0.2.1", "write 192.0.2.1"),
            ("example.org", "names are not looked up"),
            ("192.0.2.300", "is not an IPv4 or IPv6 address"),
            ("", "is not an IPv4 or IPv6 address"),
            ("192.0.2.9-192.0.2.1", "write 192.0.2.1-192.0.2.9"),
            ("192.0.2.9-::1", "end in IPv6"),
        ] {
            let reason = parse(text).unwrap_err();
            assert!(reason.ends_with(end), "{text}: {reason}");
        }
    }
}
