//! The chain of IPv6 extension headers, walked as the kernel's `ipv6_find_hdr` walks it
//! (`net/ipv6/exthdrs_core.c`), so that a rule sees the protocol that netfilter sees.

use super::ipv4::{FRAGMENT_UNIT, MAX_PACKET};
use super::malformed::Faults;
use super::reason::Reason;
use super::span::Span;
use super::tlv::{Ipv6Options, TooLong};
use super::{Fragment, Protocol};

/// Size of the smallest extension header, and of the fragment header.
const MIN_HEADER: u32 = 8;
/// Next header and length, in front of destination options.
const OPTIONS_FIXED: u32 = 2;
/// The flag "more fragments" in the field that holds the offset.
const MORE_FRAGMENTS: u16 = 1;
/// The bits of that field that hold the offset, in bytes.
const OFFSET_MASK: u16 = 0xfff8;

/// What stands at the end of a chain.
pub(super) struct Chain<'a> {
    /// The last next-header value.
    pub protocol: Protocol,
    /// The outermost fragment header that is not an atomic one.
    pub fragment: Option<Fragment>,
    /// What is behind the last extension header; `None` behind that of a later fragment, and where the chain is
    /// broken or the capture ends in it.
    pub payload: Option<Span<'a>>,
}

impl<'a> Chain<'a> {
    /// Walks the headers in `payload`, whose first is of type `first`. Each step takes at least eight bytes, so the
    /// packet's size is the bound.
    pub(super) fn walk(first: Protocol, payload: Span<'a>, faults: &mut Faults) -> Self {
        let mut chain = Self { protocol: first, fragment: None, payload: Some(payload) };
        let mut is_first = true;
        while let (true, Some(rest)) = (is_extension(chain.protocol), chain.payload) {
            if chain.protocol == Protocol::HOPOPT && !is_first {
                faults.note(Reason::Ipv6HopByHopPlace, 0_u32, 0_u32);
            }
            chain.step(rest, faults);
            is_first = false;
        }
        chain
    }

    /// Goes over one extension header, of type `self.protocol`.
    fn step(&mut self, rest: Span<'a>, faults: &mut Faults) {
        let Some(&header) = rest.bytes().first_chunk::<{ MIN_HEADER as usize }>() else {
            faults.fits(MIN_HEADER, rest, Reason::Ipv6ExtensionBeyondPacket);
            self.payload = None;
            return;
        };
        let [next, length, ..] = header;
        let size = match self.protocol {
            Protocol::IPV6_FRAG => MIN_HEADER,
            Protocol::AH => (u32::from(length) + 2) * 4,
            _ => (u32::from(length) + 1) * 8,
        };
        faults.fits(size, rest, Reason::Ipv6ExtensionBeyondPacket);
        let behind = rest.skip(size);
        self.payload = Some(behind);
        match self.protocol {
            Protocol::IPV6_FRAG => self.fragment_header(header, behind, faults),
            Protocol::IPV6_OPTS => check_destination_options(rest.limit(size), faults),
            _ => {}
        }
        self.protocol = Protocol(next);
    }

    fn fragment_header(&mut self, header: [u8; 8], behind: Span<'_>, faults: &mut Faults) {
        let [_, _, place_high, place_low, id @ ..] = header;
        let place = u16::from_be_bytes([place_high, place_low]);
        let fragment = Fragment {
            id: u32::from_be_bytes(id),
            offset: (place & OFFSET_MASK).into(),
            more: place & MORE_FRAGMENTS != 0,
        };
        if !fragment.more && fragment.offset == 0 {
            return;
        }
        check_fragment(fragment, behind.len(), faults);
        if fragment.offset > 0 {
            self.payload = None;
        }
        if self.fragment.is_some() {
            faults.note(Reason::Ipv6FragmentRepeated, 2_u32, 1_u32);
        }
        self.fragment.get_or_insert(fragment);
    }
}

/// The headers that `ipv6_ext_hdr` names, but for "no next header", which ends the chain.
const fn is_extension(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::HOPOPT | Protocol::IPV6_ROUTE | Protocol::IPV6_FRAG | Protocol::AH | Protocol::IPV6_OPTS
    )
}

fn check_fragment(fragment: Fragment, payload_len: u32, faults: &mut Faults) {
    if payload_len == 0 {
        faults.note(Reason::Ipv6FragmentEmpty, 0_u32, 1_u32);
    }
    if fragment.more && !payload_len.is_multiple_of(FRAGMENT_UNIT) {
        faults.note(Reason::Ipv6FragmentLength, payload_len, FRAGMENT_UNIT);
    }
    let end = fragment.offset.saturating_add(payload_len);
    if end > MAX_PACKET {
        faults.note(Reason::Ipv6FragmentEnd, end, MAX_PACKET);
    }
}

fn check_destination_options(header: Span<'_>, faults: &mut Faults) {
    for option in Ipv6Options::new(header.skip(OPTIONS_FIXED)) {
        if let Err(TooLong { size, left }) = option {
            faults.note(Reason::Ipv6DestinationOption, size, left);
        }
    }
}
