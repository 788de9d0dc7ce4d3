//! Options in a row: those of IPv4 and TCP headers, and those of IPv6 extension headers.

use super::malformed::Faults;
use super::reason::Reason;
use super::span::Span;

/// The option that ends the list, in IPv4 and TCP.
const END: u8 = 0;
/// The option that does nothing, in IPv4 and TCP.
const NO_OPERATION: u8 = 1;
/// Size of type and length.
const HEADER: u8 = 2;

/// Walks over the options of an IPv4 or TCP header, whose lengths count type and length too; notes `short` for a
/// length below that, and `beyond` for an option that does not fit.
pub(super) fn check(mut options: Span<'_>, short: Reason, beyond: Reason, faults: &mut Faults) {
    while let Some(&kind) = options.bytes().first() {
        options = match kind {
            END => return,
            NO_OPERATION => options.skip(1),
            _ => {
                let Some(&length) = options.bytes().get(1) else {
                    return faults.fits(HEADER.into(), options, beyond);
                };
                if length < HEADER {
                    return faults.note(short, length, HEADER);
                }
                faults.fits(length.into(), options, beyond);
                options.skip(length.into())
            }
        }
    }
}

/// The length of the first option of type `kind` in an IPv4 or TCP header, type and length counted, if there is one.
pub(super) fn find(mut options: Span<'_>, kind: u8) -> Option<u8> {
    loop {
        let length = match *options.bytes() {
            [] | [END, ..] => return None,
            [NO_OPERATION, ..] => 1,
            [found, length, ..] if found == kind => return Some(length),
            [_, length, ..] if length >= HEADER => length,
            _ => return None,
        };
        options = options.skip(length.into());
    }
}

/// An option of an IPv6 hop-by-hop or destination options header (RFC 8200 section 4.2).
pub(super) struct Ipv6Option<'a> {
    /// The type.
    pub kind: u8,
    /// Bytes in front of it in its list.
    pub offset: u32,
    /// Length of the data, as the option says it; `Pad1` has none.
    pub length: u8,
    /// The data, as far as it was captured.
    pub data: &'a [u8],
}

/// One byte of padding, which is nothing but its type.
pub(super) const PAD1: u8 = 0;

impl Ipv6Option<'_> {
    /// Size of the whole option.
    pub(super) fn size(&self) -> u32 {
        if self.kind == PAD1 { 1 } else { u32::from(HEADER) + u32::from(self.length) }
    }
}

/// An option that does not fit in its header.
pub(super) struct TooLong {
    /// Its size.
    pub size: u32,
    /// What is left of the header.
    pub left: u32,
}

/// The options of an IPv6 extension header; ends behind one that is too long, or where the capture ends.
pub(super) struct Ipv6Options<'a> {
    left: Span<'a>,
    offset: u32,
}

impl<'a> Ipv6Options<'a> {
    /// The options in `list`.
    pub(super) const fn new(list: Span<'a>) -> Self {
        Self { left: list, offset: 0 }
    }

    /// The option that `left` begins with, as far as it is there.
    fn peek(&self) -> Option<Ipv6Option<'a>> {
        let kind = *self.left.bytes().first()?;
        let length = match self.left.bytes().get(1) {
            Some(&length) if kind != PAD1 => length,
            None if kind != PAD1 && self.left.len() > 1 => return None,
            _ => 0,
        };
        let data = self.left.skip(HEADER.into()).limit(length.into()).bytes();
        Some(Ipv6Option { kind, offset: self.offset, length, data })
    }
}

impl<'a> Iterator for Ipv6Options<'a> {
    type Item = Result<Ipv6Option<'a>, TooLong>;

    fn next(&mut self) -> Option<Self::Item> {
        let option = self.peek()?;
        let (size, left) = (option.size(), self.left.len());
        self.left = self.left.skip(size);
        self.offset += size;
        Some(if size > left { Err(TooLong { size, left }) } else { Ok(option) })
    }
}
