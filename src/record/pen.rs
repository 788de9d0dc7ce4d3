//! The pen: puts a line together on a sheet of constant size.
//!
//! A `Vec` looks for room and remembers its new length in memory at each piece of text. The sheet's room is always
//! there, and how far the pen has come stays in a register, since the pen is handed on by value: a piece of text is a
//! comparison and a store. A full sheet is put aside, so that nothing is cut off however long a line is.

use super::bytes::{self, Register, Word};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More than a line has that is not somebody's choice (names of interfaces, rules, reasons).
const ROOM: usize = 512;

/// Where a line is put together.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    room: [u8; ROOM],
    /// What was written before and found no room.
    aside: Vec<u8>,
}

impl Sheet {
    /// An empty sheet.
    pub(super) const fn new() -> Self {
        Self { room: [0; ROOM], aside: Vec::new() }
    }

    /// A pen that begins on the empty sheet.
    #[inline]
    pub(super) fn pen(&mut self) -> Pen<'_> {
        Pen { sheet: self, at: 0 }
    }
}

/// Writes the pieces of a line one behind the other.
pub(super) struct Pen<'a> {
    sheet: &'a mut Sheet,
    /// Bytes of the room that are in use.
    at: usize,
}

impl Pen<'_> {
    /// Appends all that was written to `out`.
    #[inline]
    pub(super) fn end(self, out: &mut Vec<u8>) {
        if !self.sheet.aside.is_empty() {
            out.append(&mut self.sheet.aside);
        }
        out.extend_from_slice(self.sheet.room.get(..self.at).unwrap_or_default());
    }

    /// The first `len` of `padded`; `len` is at most `N`.
    #[inline]
    pub(super) fn padded<const N: usize>(mut self, padded: &[u8; N], len: usize) -> Self {
        const { assert!(N <= ROOM) };
        if self.at > ROOM - N {
            put_aside(self.sheet, self.at);
            self.at = 0;
        }
        if let Some(place) = self.sheet.room.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut) {
            *place = *padded;
        }
        self.at += len;
        self
    }

    /// Constant text.
    #[inline]
    pub(super) fn text<const N: usize>(self, text: &[u8; N]) -> Self {
        self.padded(text, N)
    }

    /// One character.
    #[inline]
    pub(super) fn byte(self, byte: u8) -> Self {
        self.text(&[byte])
    }

    /// A word.
    #[inline]
    pub(super) fn word<const N: usize>(self, word: &Word<N>) -> Self {
        self.padded(word.padded(), word.len())
    }

    /// Text of any length.
    #[inline]
    pub(super) fn slice(mut self, text: &[u8]) -> Self {
        if let Some(place) = self.sheet.room.get_mut(self.at..).and_then(|rest| rest.get_mut(..text.len())) {
            place.copy_from_slice(text);
            self.at += text.len();
            return self;
        }
        self.with(|out| out.extend_from_slice(text))
    }

    /// What `write` appends.
    pub(super) fn with(mut self, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        put_aside(self.sheet, self.at);
        write(&mut self.sheet.aside);
        self.at = 0;
        self
    }

    /// A number in decimal.
    #[inline]
    pub(super) fn decimal(self, n: u64) -> Self {
        match bytes::decimal(n) {
            Some(digits) => self.register(digits),
            None => self.with(|out| bytes::push_decimal(out, n)),
        }
    }

    /// A port, and behind it ` > `.
    #[inline]
    pub(super) fn port_and_arrow(self, port: u16) -> Self {
        self.register(bytes::port_and_arrow(port))
    }

    /// A byte in two hexadecimal digits.
    #[inline]
    pub(super) fn hex_byte(self, byte: u8) -> Self {
        self.text(&bytes::hex_byte(byte))
    }

    /// Six bytes as `02:00:5e:00:53:01`.
    pub(super) fn mac(self, [first, rest @ ..]: [u8; 6]) -> Self {
        rest.into_iter().fold(self.hex_byte(first), |pen, byte| pen.byte(b':').hex_byte(byte))
    }

    /// An address of either family.
    #[inline]
    pub(super) fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.ipv4(address),
            IpAddr::V6(address) => self.ipv6(address),
        }
    }

    /// An IPv4 address.
    #[inline]
    pub(super) fn ipv4(self, address: Ipv4Addr) -> Self {
        let mut pen = self.ipv4_and(address, b' ');
        pen.at -= 1;
        pen
    }

    /// An IPv4 address, and one character behind it.
    #[inline]
    pub(super) fn ipv4_and(self, address: Ipv4Addr, behind: u8) -> Self {
        let [front, back] = bytes::ipv4_and(address, behind);
        self.register(front).register(back)
    }

    /// An IPv6 address in the form of RFC 5952.
    pub(super) fn ipv6(self, address: Ipv6Addr) -> Self {
        if let Some(mapped) = address.to_ipv4_mapped() {
            return self.text(b"::ffff:").ipv4(mapped);
        }
        let segments = address.segments();
        let (before, zeros, behind) = bytes::around_zeros(&segments);
        let pen = self.segments(before);
        if zeros.is_empty() { pen } else { pen.text(b"::").segments(behind) }
    }

    /// Segments of an IPv6 address between colons.
    #[inline]
    fn segments(self, segments: &[u16]) -> Self {
        let Some((&first, rest)) = segments.split_first() else { return self };
        let pen = self.register(bytes::hexadecimal(first));
        rest.iter().fold(pen, |pen, &segment| pen.register(bytes::colon_hexadecimal(segment)))
    }

    #[inline]
    fn register(self, Register { text, len }: Register) -> Self {
        self.padded(&text.to_le_bytes(), usize::from(len))
    }
}

/// Puts aside what the first `used` bytes of the room are, so that all of it is free.
#[cold]
fn put_aside(sheet: &mut Sheet, used: usize) {
    sheet.aside.extend_from_slice(sheet.room.get(..used).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(Pen<'_>) -> Pen<'_>) -> String {
        let (mut out, mut sheet) = (b"before ".to_vec(), Sheet { room: [b'?'; ROOM], aside: Vec::new() });
        write(sheet.pen()).end(&mut out);
        // A used sheet is as good as a new one.
        sheet.pen().text(b" behind").end(&mut out);
        let written = String::from_utf8(out).unwrap();
        written.strip_prefix("before ").and_then(|rest| rest.strip_suffix(" behind")).unwrap().to_owned()
    }

    /// IPv6 addresses with many zeros, where the rules of RFC 5952 differ from plain hexadecimal.
    fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
        let segment = prop_oneof![4 => Just(0_u16), 1 => 0..16_u16, 1 => any::<u16>(), 1 => Just(0xffff)];
        prop::array::uniform8(segment).prop_map(Ipv6Addr::from)
    }

    #[test]
    fn every_port_is_written_as_std_writes_it() {
        for port in 0..=u16::MAX {
            assert_eq!(written(|pen| pen.decimal(port.into())), port.to_string());
            assert_eq!(written(|pen| pen.port_and_arrow(port)), format!("{port} > "));
        }
    }

    #[test]
    fn every_octet_is_written_in_every_place() {
        for n in 0..=u8::MAX {
            for octets in [[n, 0, 0, 0], [0, n, 0, 0], [0, 0, n, 0], [255, 255, 255, n], [n; 4]] {
                let address = Ipv4Addr::from(octets);
                assert_eq!(written(|pen| pen.ipv4_and(address, b':')), format!("{address}:"));
            }
        }
    }

    #[test]
    fn every_segment_is_written_as_std_writes_it() {
        for segment in 0..=u16::MAX {
            let address = Ipv6Addr::new(segment, 1, 1, 1, 1, 1, 1, segment);
            assert_eq!(written(|pen| pen.ipv6(address)), address.to_string());
        }
    }

    #[test]
    fn words_are_cut_at_their_size_and_hold_nothing_behind_their_end() {
        assert_eq!(written(|pen| pen.word(&Word::<8>::new("ab"))), "ab");
        assert_eq!(written(|pen| pen.word(&Word::<4>::new("abcdef").then(b"x"))), "abcd");
        assert_eq!(written(|pen| pen.word(&Word::<4>::EMPTY)), "");
    }

    #[test]
    fn the_bounds_of_numbers_are_right() {
        for n in [0, 9, 10, 999, 1000, 999_999, 1_000_000, 999_999_999_999, 1_000_000_000_000, u64::MAX] {
            assert_eq!(written(|pen| pen.decimal(n)), n.to_string());
        }
        assert_eq!(written(|pen| pen.hex_byte(0x0a)), "0a");
        assert_eq!(written(|pen| pen.mac([2, 0, 0x5e, 0, 0x53, 0xff])), "02:00:5e:00:53:ff");
    }

    #[test]
    fn what_does_not_fit_in_the_room_is_not_cut_off() {
        for before in 0..=2 * ROOM {
            let text = "x".repeat(before);
            let line = written(|pen| pen.slice(text.as_bytes()).text(b"abc").decimal(7).slice(text.as_bytes()));
            assert_eq!(line, format!("{text}abc7{text}"));
            let line = written(|pen| (0..before).fold(pen, |pen, _| pen.byte(b'x')).with(|out| out.push(b'y')));
            assert_eq!(line, format!("{text}y"));
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_std_writes_them(n: u64, shift in 0..64_u32) {
            prop_assert_eq!(written(|pen| pen.decimal(n >> shift)), (n >> shift).to_string());
        }

        #[test]
        fn addresses_are_written_as_std_writes_them(a in ipv6(), b: Ipv6Addr, c: Ipv4Addr) {
            for address in [IpAddr::V6(a), IpAddr::V6(b), IpAddr::V4(c), IpAddr::V6(c.to_ipv6_mapped())] {
                prop_assert_eq!(written(|pen| pen.address(address)), address.to_string());
            }
        }
    }
}
