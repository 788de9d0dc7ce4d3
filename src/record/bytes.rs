//! Numbers and addresses as text, by hand: a line of the log is made in about the time that `std::fmt` takes for one
//! of its numbers.
//!
//! The trick throughout: text of up to eight bytes is put together in a register, first character in the lowest
//! byte, and stored whole; what is too much is cut off again. A store of constant size is one instruction, one of
//! variable size a call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Appends the first `len` of `padded`; `len` is at most `N`.
#[inline]
pub(super) fn push_padded<const N: usize>(out: &mut Vec<u8>, padded: &[u8; N], len: usize) {
    let end = out.len() + len;
    out.extend_from_slice(padded);
    out.truncate(end);
}

/// A short constant piece of text, padded so that it can be stored whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<const N: usize> {
    padded: [u8; N],
    len: u8,
}

impl<const N: usize> Word<N> {
    /// An empty word.
    pub(super) const EMPTY: Self = Self { padded: [b' '; N], len: 0 };

    /// From text of at most `N` bytes; what is longer is cut off.
    pub(super) const fn new(text: &str) -> Self {
        Self::EMPTY.then(text.as_bytes())
    }

    /// This word and what follows it, cut off at `N` bytes.
    #[expect(clippy::indexing_slicing, reason = "both indices are below the lengths that the loop checks")]
    pub(super) const fn then(mut self, text: &[u8]) -> Self {
        let mut i = 0;
        while i < text.len() && (self.len as usize) < N {
            self.padded[self.len as usize] = text[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    /// Appends the word.
    #[inline]
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        push_padded(out, &self.padded, usize::from(self.len));
    }
}

/// Up to eight characters in a register, the first in the lowest byte.
#[derive(Clone, Copy)]
struct Register {
    text: u64,
    /// Characters in use; the bytes above them are zero.
    len: u32,
}

impl Register {
    /// Both texts together; at most eight characters.
    #[inline]
    fn and(self, behind: Self) -> Self {
        Self { text: self.text | behind.text << (8 * self.len), len: self.len + behind.len }
    }

    const EMPTY: Self = Self { text: 0, len: 0 };

    /// One character more.
    const fn then(self, character: u8) -> Self {
        Self { text: self.text | (character as u64) << (8 * self.len), len: self.len + 1 }
    }

    #[inline]
    fn push(self, out: &mut Vec<u8>) {
        push_padded(out, &self.text.to_le_bytes(), self.len as usize);
    }
}

/// The eight decimal digits of `n < 10^8` as values 0 to 9, first digit in the lowest byte.
///
/// Paul Khuong's method: all digits at once by multiplying with scaled inverses of 100 and 10.
#[inline]
fn eight_digits(n: u32) -> u64 {
    let merged = u64::from(n / 10_000) | u64::from(n % 10_000) << 32;
    let top = (merged * 10_486) >> 20 & 0x0000_007f_0000_007f;
    let hundreds = ((merged - 100 * top) << 16) + top;
    let tens = (hundreds * 103) >> 10 & 0x000f_000f_000f_000f;
    tens + ((hundreds - 10 * tens) << 8)
}

const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;

/// `n < 10^8` in decimal, without leading zeros.
#[inline]
fn decimal_register(n: u32) -> Register {
    let digits = eight_digits(n);
    // The last digit always stays.
    let zeros = (digits.trailing_zeros() / 8).min(7);
    Register { text: (digits | ASCII_ZEROS) >> (8 * zeros), len: 8 - zeros }
}

/// Appends `n` in decimal.
#[inline]
pub(super) fn push_decimal(out: &mut Vec<u8>, n: u64) {
    const LIMIT: u64 = 100_000_000;
    let low = u32::try_from(n % LIMIT).unwrap_or(0);
    if n < LIMIT {
        decimal_register(low).push(out);
    } else {
        push_decimal(out, n / LIMIT);
        out.extend_from_slice(&(eight_digits(low) | ASCII_ZEROS).to_le_bytes());
    }
}

/// `n` in exactly six decimal digits; `n < 10^6`.
#[inline]
pub(super) fn six_digits(n: u32) -> [u8; 6] {
    let [_, _, digits @ ..] = (eight_digits(n) | ASCII_ZEROS).to_le_bytes();
    digits
}

/// Appends a port and then ` > `.
#[inline]
pub(super) fn push_port_and_arrow(out: &mut Vec<u8>, port: u16) {
    const ARROW: Register = Register { text: u32::from_le_bytes(*b" > \0") as u64, len: 3 };
    decimal_register(port.into()).and(ARROW).push(out);
}

/// Appends `byte` in two hexadecimal digits.
#[inline]
pub(super) fn push_hex_byte(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte)]);
}

/// Appends six bytes as `02:00:5e:00:53:01`.
pub(super) fn push_mac(out: &mut Vec<u8>, address: [u8; 6]) {
    for (i, byte) in address.into_iter().enumerate() {
        if i > 0 {
            out.push(b':');
        }
        push_hex_byte(out, byte);
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The digit for a value below 16.
#[inline]
fn hex_digit(value: u8) -> u8 {
    DIGITS.get(usize::from(value & 15)).copied().unwrap_or(b'0')
}

/// `192.` for 192: the digits of an octet, and a dot behind them.
#[expect(clippy::indexing_slicing, reason = "at compile time, where an index out of bounds is an error")]
static OCTETS: [Register; 256] = {
    let mut table = [Register::EMPTY; 256];
    let mut n = 0;
    while n < 256 {
        let mut octet = Register::EMPTY;
        if n >= 100 {
            octet = octet.then(DIGITS[n / 100]);
        }
        if n >= 10 {
            octet = octet.then(DIGITS[n / 10 % 10]);
        }
        table[n] = octet.then(DIGITS[n % 10]).then(b'.');
        n += 1;
    }
    table
};

#[inline]
fn octet(n: u8) -> Register {
    OCTETS.get(usize::from(n)).copied().unwrap_or(Register::EMPTY)
}

/// Appends an IPv4 address and then `behind`.
#[inline]
pub(super) fn push_ipv4(out: &mut Vec<u8>, address: Ipv4Addr, behind: u8) {
    let [a, b, c, d] = address.octets();
    octet(a).and(octet(b)).push(out);
    let last = octet(d);
    // The last octet's dot becomes the character behind the address.
    let dot = 8 * (last.len - 1);
    let last = Register { text: last.text & !(0xff << dot) | u64::from(behind) << dot, len: last.len };
    octet(c).and(last).push(out);
}

/// Appends an IPv6 address in the form of RFC 5952.
pub(super) fn push_ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    if let Some(mapped) = address.to_ipv4_mapped() {
        out.extend_from_slice(b"::ffff:");
        push_ipv4(out, mapped, b' ');
        out.truncate(out.len() - 1);
        return;
    }
    let (start, end) = longest_zero_run(address);
    for (i, segment) in (0..).zip(address.segments()) {
        if i == start {
            out.extend_from_slice(b"::");
        }
        if start <= i && i < end {
            continue;
        }
        let digits = hex_register(segment);
        // The first segment has no colon before it, and the first behind the run has the run's.
        if i == 0 || i == end { digits } else { Register::EMPTY.then(b':').and(digits) }.push(out);
    }
}

/// First segment, and the one behind the last, of the longest run of at least two zero segments; the first one if
/// there are several (RFC 5952 section 4.2.3); (9, 9) if there is none.
fn longest_zero_run(address: Ipv6Addr) -> (u32, u32) {
    let mut longest = (9, 9);
    let mut start = 0;
    for (i, segment) in (0..).zip(address.segments()) {
        if segment != 0 {
            start = i + 1;
        } else if i + 1 - start > (longest.1 - longest.0).max(1) {
            longest = (start, i + 1);
        }
    }
    longest
}

/// A segment in hexadecimal without leading zeros.
#[inline]
fn hex_register(segment: u16) -> Register {
    let n = u64::from(segment);
    // One nibble a byte, the first digit in the lowest.
    let nibbles = n >> 12 | (n >> 8 & 15) << 8 | (n >> 4 & 15) << 16 | (n & 15) << 24;
    let zeros = (nibbles.trailing_zeros() / 8).min(3);
    // Bit 4 of a byte is set where its nibble is 10 or more; those are 39 further on ('a' - '0' - 10).
    let letters = (nibbles + 0x0606_0606) >> 4 & 0x0101_0101;
    Register { text: (nibbles + 0x3030_3030 + letters * 39) >> (8 * zeros), len: 4 - zeros }
}

/// Appends an address of either family.
#[inline]
pub(super) fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            push_ipv4(out, address, b' ');
            out.truncate(out.len() - 1);
        }
        IpAddr::V6(address) => push_ipv6(out, address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// IPv6 addresses with many zeros, where the rules of RFC 5952 differ from plain hexadecimal.
    fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
        let segment = prop_oneof![4 => Just(0_u16), 1 => 0..16_u16, 1 => any::<u16>(), 1 => Just(0xffff)];
        prop::array::uniform8(segment).prop_map(Ipv6Addr::from)
    }

    #[test]
    fn every_port_is_written_as_std_writes_it() {
        for port in 0..=u16::MAX {
            assert_eq!(written(|out| push_decimal(out, port.into())), port.to_string());
            assert_eq!(written(|out| push_port_and_arrow(out, port)), format!("{port} > "));
        }
    }

    #[test]
    fn every_octet_is_written_in_every_place() {
        for n in 0..=u8::MAX {
            for octets in [[n, 0, 0, 0], [0, n, 0, 0], [0, 0, n, 0], [255, 255, 255, n], [n; 4]] {
                let address = Ipv4Addr::from(octets);
                assert_eq!(written(|out| push_ipv4(out, address, b':')), format!("{address}:"));
            }
        }
    }

    #[test]
    fn every_segment_is_written_as_std_writes_it() {
        for segment in 0..=u16::MAX {
            let address = Ipv6Addr::new(segment, 1, 1, 1, 1, 1, 1, segment);
            assert_eq!(written(|out| push_ipv6(out, address)), address.to_string());
        }
    }

    #[test]
    fn words_are_cut_at_their_size_and_hold_nothing_behind_their_end() {
        assert_eq!(written(|out| Word::<8>::new("ab").push(out)), "ab");
        assert_eq!(written(|out| Word::<4>::new("abcdef").then(b"x").push(out)), "abcd");
        assert_eq!(written(|out| Word::<4>::EMPTY.push(out)), "");
    }

    #[test]
    fn the_bounds_of_numbers_are_right() {
        for n in [0, 9, 10, 99_999_999, 100_000_000, 9_999_999_999_999_999, 10_000_000_000_000_000, u64::MAX] {
            assert_eq!(written(|out| push_decimal(out, n)), n.to_string());
        }
        assert_eq!(&six_digits(0), b"000000");
        assert_eq!(&six_digits(999_999), b"999999");
        assert_eq!(&six_digits(1_234), b"001234");
        assert_eq!(written(|out| push_hex_byte(out, 0x0a)), "0a");
        assert_eq!(written(|out| push_mac(out, [2, 0, 0x5e, 0, 0x53, 0xff])), "02:00:5e:00:53:ff");
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_std_writes_them(n: u64, shift in 0..64_u32) {
            prop_assert_eq!(written(|out| push_decimal(out, n >> shift)), (n >> shift).to_string());
        }

        #[test]
        fn addresses_are_written_as_std_writes_them(a in ipv6(), b: Ipv6Addr, c: Ipv4Addr) {
            for address in [IpAddr::V6(a), IpAddr::V6(b), IpAddr::V4(c), IpAddr::V6(c.to_ipv6_mapped())] {
                prop_assert_eq!(written(|out| push_address(out, address)), address.to_string());
            }
        }
    }
}
