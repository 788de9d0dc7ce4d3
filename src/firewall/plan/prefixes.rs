//! Ranges of addresses as networks, exactly: what `-s` and `hash:net` take.

use super::sets::Content;
use crate::rules::ranges::{Number, Ranges};
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

/// An address as a number.
pub(super) trait Address: Number {
    /// Its length.
    const BITS: u32;
    /// As it is written.
    fn text(self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }
    /// Appends it as it is written.
    fn write(self, out: &mut String);
    /// The low bits that are zero.
    fn zeros(self) -> u32;
    /// `log2` of how many addresses there are from `self` to `last`, rounded down.
    fn reach(self, last: Self) -> u32;
    /// The last address of the block of `2^bits` that begins here.
    fn block_end(self, bits: u32) -> Self;
    /// The network that holds all from `self` to `last`, as far as their first bits are the same.
    fn common(self, last: Self) -> (Self, u32);
    /// The number of an address, if it is of this family.
    fn from_ip(address: IpAddr) -> Option<Self>;
    /// The address of this number.
    fn to_ip(self) -> IpAddr;
    /// A set's content.
    fn content(ranges: Ranges<Self>) -> Content;
}

macro_rules! address {
    ($number:ty, $write:path, $ip:path, $content:path) => {
        impl Address for $number {
            const BITS: u32 = <$number>::BITS;
            fn write(self, out: &mut String) {
                $write(self, out);
            }
            fn zeros(self) -> u32 {
                self.trailing_zeros()
            }
            fn reach(self, last: Self) -> u32 {
                (last - self).checked_add(1).map_or(Self::BITS, <$number>::ilog2)
            }
            fn block_end(self, bits: u32) -> Self {
                self | (1 as $number).checked_shl(bits).map_or(<$number>::MAX, |size| size - 1)
            }
            fn common(self, last: Self) -> (Self, u32) {
                let len = (self ^ last).leading_zeros();
                (self & !<$number>::MAX.checked_shr(len).unwrap_or(0), len)
            }
            fn from_ip(address: IpAddr) -> Option<Self> {
                if let $ip(address) = address { Some(address.to_bits()) } else { None }
            }
            fn to_ip(self) -> IpAddr {
                $ip(self.into())
            }
            fn content(ranges: Ranges<Self>) -> Content {
                $content(ranges)
            }
        }
    };
}
address!(u32, write_v4, IpAddr::V4, Content::V4);
address!(u128, write_v6, IpAddr::V6, Content::V6);

/// By hand: a list of a million is written in a tenth of the time that the formatter takes.
fn write_v4(address: u32, out: &mut String) {
    for (place, octet) in address.to_be_bytes().into_iter().enumerate() {
        if place > 0 {
            out.push('.');
        }
        write_small(octet, out);
    }
}

fn write_v6(address: u128, out: &mut String) {
    let _ = write!(out, "{}", Ipv6Addr::from_bits(address));
}

/// Appends a number of up to three digits.
pub(super) fn write_small(number: u8, out: &mut String) {
    let digit = |value: u8| char::from(b'0' + value % 10);
    if number >= 100 {
        out.push(digit(number / 100));
    }
    if number >= 10 {
        out.push(digit(number / 10));
    }
    out.push(digit(number));
}

/// The fewest networks that make up a range, ascending: (first address, prefix length).
pub(super) fn prefixes<A: Address>((first, last): (A, A)) -> impl Iterator<Item = (A, u32)> {
    let mut from = Some(first);
    std::iter::from_fn(move || {
        let start = from.filter(|&start| start <= last)?;
        let bits = start.zeros().min(start.reach(last));
        from = start.block_end(bits).next();
        Some((start, A::BITS - bits))
    })
}

/// The smallest network that holds all ranges, if that is not every address.
pub(super) fn hull<A: Address>(ranges: &Ranges<A>) -> Option<(A, u32)> {
    let ((first, _), (_, last)) = (ranges.iter().next()?, ranges.iter().next_back()?);
    Some(first.common(last)).filter(|&(_, len)| len > 0)
}

/// The range as one network, if it is one.
pub(super) fn as_prefix<A: Address>(range: (A, A)) -> Option<(A, u32)> {
    let mut all = prefixes(range);
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn v4(first: [u8; 4], last: [u8; 4]) -> Vec<String> {
        let range = (u32::from_be_bytes(first), u32::from_be_bytes(last));
        prefixes(range).map(|(address, len)| format!("{}/{len}", address.text())).collect()
    }

    #[test]
    fn a_range_is_split_into_the_fewest_networks() {
        assert_eq!(v4([0; 4], [255; 4]), ["0.0.0.0/0"]);
        assert_eq!(v4([10, 0, 0, 7], [10, 0, 0, 7]), ["10.0.0.7/32"]);
        assert_eq!(
            v4([203, 0, 113, 10], [203, 0, 113, 20]),
            ["203.0.113.10/31", "203.0.113.12/30", "203.0.113.16/30", "203.0.113.20/32"]
        );
        assert_eq!(v4([255, 255, 255, 254], [255; 4]), ["255.255.255.254/31"]);
        assert_eq!(prefixes((0_u128, u128::MAX)).collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(prefixes((1_u128, u128::MAX)).count(), 128);
    }

    #[test]
    fn a_hull_is_the_smallest_network_that_holds_all_ranges() {
        let hull = |ranges: &[(u32, u32)]| hull(&Ranges::from_ranges(ranges.iter().copied()));
        assert_eq!(hull(&[(0x0b00_0000, 0x0b00_0007), (0x0b18_6a00, 0x0b18_6a07)]), Some((0x0b00_0000, 11)));
        assert_eq!(hull(&[(5, 5)]), Some((5, 32)));
        assert_eq!(hull(&[(0, 1), (u32::MAX, u32::MAX)]), None);
        assert_eq!(hull(&[]), None);
    }

    proptest! {
        #[test]
        fn an_address_is_written_as_the_standard_library_does(v4 in any::<u32>(), v6 in any::<u128>()) {
            prop_assert_eq!(v4.text(), Ipv4Addr::from_bits(v4).to_string());
            prop_assert_eq!(v6.text(), Ipv6Addr::from_bits(v6).to_string());
        }

        #[test]
        fn networks_cover_the_range_without_gap_or_overlap(a: u32, b: u32) {
            let (first, last) = (a.min(b), a.max(b));
            let mut expected = Some(first);
            for (start, len) in prefixes((first, last)) {
                prop_assert_eq!(Some(start), expected);
                expected = start.block_end(32 - len).next();
            }
            prop_assert_eq!(expected, last.next());
        }
    }
}
