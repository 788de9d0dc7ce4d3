//! The chain of IPv6 extension headers, walked as the kernel's `ipv6_find_hdr` walks it
//! (`net/ipv6/exthdrs_core.c`), so that a rule sees the protocol that netfilter sees.

use super::ipv4;
use super::malformed::Faults;
use super::reason::Reason;
use super::span::Span;
use super::tlv::{Ipv6Options, TooLong};
use super::{Fragment, Protocol};
use crate::alert::Alert;

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
        let mut passed = Passed::default();
        while let (true, Some(rest)) = (is_extension(chain.protocol), chain.payload) {
            if chain.protocol == Protocol::HOPOPT && passed.headers > 0 {
                faults.note(Reason::Ipv6HopByHopPlace, 0_u32, 0_u32);
            }
            passed.add(chain.protocol);
            chain.step(rest, faults);
        }
        if passed.headers > 1 {
            passed.suspect(faults);
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
            _ => (u32::from(length) + 1) * 8,
        };
        faults.fits(size, rest, Reason::Ipv6ExtensionBeyondPacket);
        let behind = rest.skip(size);
        self.payload = Some(behind);
        match self.protocol {
            Protocol::IPV6_FRAG => self.fragment_header(header, behind, faults),
            Protocol::IPV6_OPTS => check_destination_options(rest.limit(size), faults),
            Protocol::IPV6_ROUTE => suspect_routing(header, faults),
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
            len: behind.len(),
            more: place & MORE_FRAGMENTS != 0,
        };
        if !fragment.more && fragment.offset == 0 {
            return;
        }
        check_fragment(fragment, faults);
        if fragment.offset > 0 {
            self.payload = None;
        }
        if self.fragment.is_some() {
            faults.note(Reason::Ipv6FragmentRepeated, 2_u32, 1_u32);
        }
        self.fragment.get_or_insert(fragment);
    }
}

/// More extension headers than this make no sense: RFC 8200 section 4.1 has places for seven.
const MAX_SENSIBLE: u32 = 8;

/// The headers of a chain, held against the order of RFC 8200 section 4.1: hop-by-hop options, destination options,
/// routing, fragment, and destination options again.
#[derive(Default)]
struct Passed {
    headers: u32,
    /// The place in that order, and the type, of the header before.
    last: (u8, u8),
    /// Bits of the places that were taken.
    taken: u8,
    /// The first header that stands too often.
    repeated: Option<Protocol>,
    /// The first header that stands behind one that should follow it, and that one.
    disordered: Option<(u8, u8)>,
}

impl Passed {
    fn add(&mut self, header: Protocol) {
        self.headers = self.headers.saturating_add(1);
        let (place_before, before) = self.last;
        let place = match header {
            Protocol::HOPOPT => 0,
            Protocol::IPV6_OPTS if place_before < 1 || self.headers == 1 => 1,
            Protocol::IPV6_ROUTE => 2,
            Protocol::IPV6_FRAG => 3,
            _ => 4,
        };
        if self.taken & (1 << place) != 0 {
            self.repeated.get_or_insert(header);
        } else if place < place_before && self.headers > 1 {
            self.disordered.get_or_insert((header.0, before));
        }
        self.taken |= 1 << place;
        self.last = (place, header.0);
    }

    fn suspect(&self, faults: &mut Faults) {
        if self.headers > MAX_SENSIBLE {
            faults.suspect(Alert::Ipv6ExtensionCount, self.headers, MAX_SENSIBLE);
        } else if let Some(header) = self.repeated {
            let times: u8 = if header == Protocol::IPV6_OPTS { 2 } else { 1 };
            faults.suspect(Alert::Ipv6ExtensionRepeated, header.0, times);
        } else if let Some((header, before)) = self.disordered {
            faults.suspect(Alert::Ipv6ExtensionOrder, header, before);
        }
    }
}

/// The headers that `ipv6_ext_hdr` names, but for "no next header", which ends the chain, and for the authentication
/// header: as in IPv4 that is the protocol of the packet. So `nf_tables` has it (`nft_set_pktinfo_ipv6`), and what stands
/// behind it comes by the rules once more when `IPsec` has taken it off.
const fn is_extension(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::HOPOPT | Protocol::IPV6_ROUTE | Protocol::IPV6_FRAG | Protocol::IPV6_OPTS)
}

/// A routing header of type 0 lets a packet travel to and fro (RFC 5095).
fn suspect_routing([_, _, kind, segments_left, ..]: [u8; 8], faults: &mut Faults) {
    if kind == 0 {
        faults.suspect(Alert::Ipv6RoutingType0, segments_left, 0_u8);
    }
}

fn check_fragment(fragment: Fragment, faults: &mut Faults) {
    let reasons = [Reason::Ipv6FragmentEmpty, Reason::Ipv6FragmentLength, Reason::Ipv6FragmentEnd];
    ipv4::check_fragment(fragment, fragment.len, reasons, faults);
}

fn check_destination_options(header: Span<'_>, faults: &mut Faults) {
    for option in Ipv6Options::new(header.skip(OPTIONS_FIXED)) {
        if let Err(TooLong { size, left }) = option {
            faults.note(Reason::Ipv6DestinationOption, size, left);
        }
    }
}
