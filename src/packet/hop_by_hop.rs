//! The options of an IPv6 hop-by-hop header directly behind the fixed header, as Linux takes them
//! (`ip6_parse_tlv` in `net/ipv6/exthdrs.c`): what does not pass there never reaches netfilter.

use super::ipv6;
use super::malformed::Faults;
use super::reason::Reason;
use super::span::Span;
use super::tlv::{Ipv6Option, Ipv6Options, PAD1, TooLong};

/// Size of the smallest extension header, and the unit of all.
const UNIT: u32 = 8;
/// Next header and length, in front of the options.
const FIXED: u32 = 2;
/// More padding than this in a row can't come from alignment to 8 bytes.
const MAX_PADDING: u32 = 7;
/// How many options Linux accepts, padding not counted (`IP6_DEFAULT_MAX_HBH_OPTS_CNT`).
const MAX_OPTIONS: u32 = 8;

/// Several bytes of padding.
const PADN: u8 = 1;
/// Router alert (RFC 2711).
const ROUTER_ALERT: u8 = 5;
/// Length of its data.
const ROUTER_ALERT_LENGTH: u8 = 2;
/// Jumbo payload (RFC 2675).
const JUMBO: u8 = 0xc2;
/// Length of its data.
const JUMBO_LENGTH: u8 = 4;
/// The bits of an option's type that say what to do with the packet if the type is unknown; 0 is to go on.
const ACTION_MASK: u8 = 0xc0;

/// What a jumbo payload option says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Jumbo {
    /// There is none.
    Absent,
    /// There may be one, behind the end of the capture.
    Unknown,
    /// The payload's length.
    Length(u32),
}

/// Checks the hop-by-hop header that `payload` begins with. `stated` is the payload length of the fixed header.
pub(super) fn check(stated: u16, payload: Span<'_>, faults: &mut Faults) -> Jumbo {
    let Some(&length) = payload.bytes().get(1) else {
        faults.fits(UNIT, payload, Reason::Ipv6HopByHopHeader);
        return Jumbo::Unknown;
    };
    let size = (u32::from(length) + 1) * UNIT;
    faults.fits(size, payload, Reason::Ipv6HopByHopHeader);
    let header = payload.limit(size);
    let mut walk = Walk { stated, payload_len: payload.len(), padding: 0, options: 0, jumbo: Jumbo::Absent };
    for option in Ipv6Options::new(header.skip(FIXED)) {
        match option {
            Ok(option) => walk.option(&option, faults),
            Err(TooLong { size, left }) => faults.note(Reason::Ipv6HopByHopOption, size, left),
        }
    }
    if walk.jumbo == Jumbo::Absent && header.is_cut() { Jumbo::Unknown } else { walk.jumbo }
}

/// What was met so far in the list of options.
struct Walk {
    stated: u16,
    payload_len: u32,
    /// Bytes of padding since the last option that is none.
    padding: u32,
    /// Options that are no padding.
    options: u32,
    jumbo: Jumbo,
}

impl Walk {
    fn option(&mut self, option: &Ipv6Option<'_>, faults: &mut Faults) {
        if matches!(option.kind, PAD1 | PADN) {
            return self.padding(option, faults);
        }
        self.padding = 0;
        self.options += 1;
        if self.options > MAX_OPTIONS {
            faults.note(Reason::Ipv6HopByHopCount, self.options, MAX_OPTIONS);
        }
        match option.kind {
            ROUTER_ALERT if option.length != ROUTER_ALERT_LENGTH => {
                faults.note(Reason::Ipv6RouterAlert, option.length, ROUTER_ALERT_LENGTH);
            }
            JUMBO => self.jumbo(option, faults),
            kind if kind & ACTION_MASK != 0 => faults.note(Reason::Ipv6HopByHopUnknown, kind, 0_u32),
            _ => {}
        }
    }

    fn padding(&mut self, option: &Ipv6Option<'_>, faults: &mut Faults) {
        self.padding += option.size();
        if self.padding > MAX_PADDING {
            faults.note(Reason::Ipv6HopByHopPadding, self.padding, MAX_PADDING);
        }
        if let Some(&content) = option.data.iter().find(|&&byte| byte != 0) {
            faults.note(Reason::Ipv6HopByHopPaddingContent, content, 0_u32);
        }
    }

    /// In the order of `ipv6_hop_jumbo`.
    fn jumbo(&mut self, option: &Ipv6Option<'_>, faults: &mut Faults) {
        if option.length != JUMBO_LENGTH {
            return faults.note(Reason::Ipv6JumboOption, option.length, JUMBO_LENGTH);
        }
        let offset = ipv6::HEADER + FIXED + option.offset;
        if offset % 4 != 2 {
            faults.note(Reason::Ipv6JumboAlignment, offset, 2_u32);
        }
        let Some(&length) = option.data.first_chunk() else {
            self.jumbo = Jumbo::Unknown;
            return;
        };
        let length = u32::from_be_bytes(length);
        if length <= u16::MAX.into() {
            faults.note(Reason::Ipv6JumboLength, length, u16::MAX);
        }
        if self.stated > 0 {
            return faults.note(Reason::Ipv6JumboPayloadLength, self.stated, 0_u32);
        }
        if length > self.payload_len {
            faults.note(Reason::Ipv6JumboBeyondFrame, length, self.payload_len);
        }
        self.jumbo = Jumbo::Length(length);
    }
}
