//! Numbers and addresses as text, by hand: a line of the log is made in about the time that `std::fmt` takes for one
//! of its numbers.
//!
//! The trick throughout: text of up to eight bytes is put together in a register, first character in the lowest
//! byte, and stored whole; what is too much is overwritten by what follows. A store of constant size is one
//! instruction, one of variable size a call.

use std::net::Ipv4Addr;

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

    /// The text, and anything behind it.
    #[inline]
    pub(super) const fn padded(&self) -> &[u8; N] {
        &self.padded
    }

    /// How much of that is the text.
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }
}

/// Up to eight characters in a register, the first in the lowest byte.
#[derive(Clone, Copy)]
pub(super) struct Register {
    pub(super) text: u64,
    /// Characters in use; the bytes above them are zero.
    pub(super) len: u8,
}

impl Register {
    const EMPTY: Self = Self { text: 0, len: 0 };

    /// Both texts together; at most eight characters.
    #[inline]
    const fn and(self, behind: Self) -> Self {
        // Never as long as 256, nor shifted by 64: said by arithmetic that wraps, it costs no test.
        let text = self.text | behind.text.wrapping_shl(8 * self.len as u32);
        Self { text, len: self.len.wrapping_add(behind.len) }
    }

    /// One character more.
    const fn then(self, character: u8) -> Self {
        self.and(Self { text: character as u64, len: 1 })
    }

    /// `DIGITS` digits in the lowest bytes, without the zeros in front; the last digit always stays.
    #[inline]
    fn without_zeros<const DIGITS: u8>(text: u64) -> Self {
        let last = const { 1 << (8 * (DIGITS - 1)) };
        // A byte that is no `0` ends the search, at the last digit at latest: fewer than 64 bits, by then.
        let zeros = ((text ^ ASCII_ZEROS) | last).trailing_zeros() / 8;
        #[expect(clippy::cast_possible_truncation, reason = "at most seven")]
        Self { text: text.wrapping_shr(8 * zeros), len: DIGITS.wrapping_sub(zeros as u8) }
    }
}

const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `007` for 7: three decimal digits, the first in the lowest byte.
#[expect(clippy::indexing_slicing, reason = "at compile time, where an index out of bounds is an error")]
static GROUPS: [u32; 1000] = {
    let mut table = [0; 1000];
    let mut n = 0;
    while n < table.len() {
        table[n] = u32::from_le_bytes([DIGITS[n / 100], DIGITS[n / 10 % 10], DIGITS[n % 10], 0]);
        n += 1;
    }
    table
};

#[inline]
fn group(n: u32) -> u64 {
    GROUPS.get(n as usize).copied().unwrap_or(0).into()
}

/// Numbers below this have six digits.
const SIX_DIGITS: u32 = 1_000_000;

/// `n` in exactly six decimal digits, the first in the lowest byte; `n < 10^6`.
#[inline]
pub(super) fn six_digits(n: u32) -> u64 {
    group(n / 1000) | group(n % 1000) << 24
}

#[inline]
fn decimal_register(n: u32) -> Register {
    Register::without_zeros::<6>(six_digits(n))
}

/// `n` in decimal, if it has no more than six digits, as the numbers of a packet do.
#[inline]
pub(super) fn decimal(n: u64) -> Option<Register> {
    u32::try_from(n).ok().filter(|&n| n < SIX_DIGITS).map(decimal_register)
}

/// Appends `n` in decimal.
pub(super) fn push_decimal(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(n.to_string().as_bytes());
}

/// A port, and behind it ` > `.
#[inline]
pub(super) fn port_and_arrow(port: u16) -> Register {
    const ARROW: Register = Register { text: u32::from_le_bytes(*b" > \0") as u64, len: 3 };
    decimal_register(port.into()).and(ARROW)
}

/// Two hexadecimal digits, the first in the lower byte.
#[expect(clippy::indexing_slicing, reason = "at compile time, where an index out of bounds is an error")]
static HEX: [u16; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < table.len() {
        table[n] = u16::from_le_bytes([DIGITS[n / 16], DIGITS[n % 16]]);
        n += 1;
    }
    table
};

#[inline]
fn hex(byte: u8) -> u16 {
    HEX.get(usize::from(byte)).copied().unwrap_or(0)
}

/// `byte` in two hexadecimal digits.
#[inline]
pub(super) fn hex_byte(byte: u8) -> [u8; 2] {
    hex(byte).to_le_bytes()
}

/// A segment of an IPv6 address without leading zeros.
#[inline]
pub(super) fn hexadecimal(segment: u16) -> Register {
    let [upper, lower] = segment.to_be_bytes();
    Register::without_zeros::<4>(u64::from(hex(upper)) | u64::from(hex(lower)) << 16)
}

/// The same with a colon before it.
#[inline]
pub(super) fn colon_hexadecimal(segment: u16) -> Register {
    Register::EMPTY.then(b':').and(hexadecimal(segment))
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

/// An IPv4 address and then `behind`, in two parts.
#[inline]
pub(super) fn ipv4_and(address: Ipv4Addr, behind: u8) -> [Register; 2] {
    let [a, b, c, d] = address.octets();
    let last = octet(d);
    // The last octet's dot becomes the character behind the address.
    let digits = u32::from(last.len) * 8 - 8;
    let swap = u64::from(behind ^ b'.').wrapping_shl(digits);
    [octet(a).and(octet(b)), octet(c).and(Register { text: last.text ^ swap, len: last.len })]
}

/// Where in the eight segments of an IPv6 address zeros stand: the longest run of at least two, the first one if there
/// are several (RFC 5952 section 4.2.3); none behind all of them if there is none. By the segments that are zero, each a
/// bit.
#[expect(clippy::indexing_slicing, reason = "at compile time, where an index out of bounds is an error")]
static ZERO_RUNS: [(u8, u8); 256] = {
    let mut table = [(8, 8); 256];
    let mut zeros = 0;
    while zeros < 256 {
        let (mut i, mut start) = (0, 0);
        while i < 8 {
            if zeros >> i & 1 == 0 {
                start = i + 1;
            } else if i + 1 - start > 1 && i + 1 - start > table[zeros].1 - table[zeros].0 {
                table[zeros] = (start, i + 1);
            }
            i += 1;
        }
        zeros += 1;
    }
    table
};

/// The segments before the longest run of zeros, the run, and the segments behind it; all are before it if there is none.
#[inline]
pub(super) fn around_zeros(segments: &[u16; 8]) -> (&[u16], &[u16], &[u16]) {
    let zeros = (0..).zip(segments).fold(0, |zeros, (i, &segment)| zeros | usize::from(segment == 0) << i);
    let (start, end) = ZERO_RUNS.get(zeros).copied().unwrap_or((8, 8));
    let (rest, behind) = segments.split_at_checked(end.into()).unwrap_or((segments, &[]));
    let (before, run) = rest.split_at_checked(start.into()).unwrap_or((rest, &[]));
    (before, run, behind)
}
