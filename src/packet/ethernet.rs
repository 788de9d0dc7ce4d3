//! Ethernet II and 802.3 frames, VLAN tags, and LLC with SNAP, as far as the type of what they carry.

use super::malformed::Faults;
use super::reason::Reason;
use super::span::Span;
use super::{ethertype, net};
use pnet::packet::ethernet::EthernetPacket;
use pnet::packet::vlan::VlanPacket;

/// Size of an Ethernet header.
const ETHERNET_HEADER: u32 = 14;
/// Size of a VLAN tag, with the EtherType behind it.
const VLAN_TAG: u32 = 4;
/// How many VLAN tags are taken off. A frame is full of tags if a sender wants it to be; two are in use (802.1ad),
/// Linux stacks eight devices at most (`MAX_NEST_DEV`), so more is no traffic for a host.
const MAX_VLAN_TAGS: u32 = 8;
/// Size of an LLC header with one byte of control (IEEE 802.2).
const LLC_HEADER: u32 = 3;
/// DSAP, SSAP and control of a SNAP header.
const LLC_SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
/// Size of a SNAP header: organisation and EtherType.
const SNAP_HEADER: u32 = 5;

/// What a link-layer header leaves to be read.
#[derive(Clone, Copy)]
pub(super) struct Framed<'a> {
    /// The type field: an EtherType, or an 802.3 length.
    ethertype: u16,
    kind: Kind,
    payload: Span<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The type field is an EtherType.
    Typed,
    /// The payload begins with an LLC header.
    Llc,
}

impl<'a> Framed<'a> {
    /// A payload whose type nothing tells.
    pub(super) const fn unknown(payload: Span<'a>) -> Self {
        Self::opaque(ethertype::UNKNOWN, payload)
    }

    /// A payload of this EtherType, whatever the number is.
    pub(super) const fn opaque(ethertype: u16, payload: Span<'a>) -> Self {
        Self { ethertype, kind: Kind::Typed, payload }
    }

    /// A payload of a type as Linux tells it.
    pub(super) const fn typed_by_linux(ethertype: u16, payload: Span<'a>) -> Self {
        let kind = if ethertype == ethertype::LINUX_LLC { Kind::Llc } else { Kind::Typed };
        Self { ethertype, kind, payload }
    }

    /// A payload behind the type field of an Ethernet header or a VLAN tag: a small number is the payload's length.
    fn typed_or_length(field: u16, payload: Span<'a>, faults: &mut Faults) -> Self {
        if field >= ethertype::MIN {
            return Self::opaque(field, payload);
        }
        faults.fits(field.into(), payload, Reason::EthernetLength);
        Self { ethertype: field, kind: Kind::Llc, payload: payload.limit(field.into()) }
    }
}

/// Takes the Ethernet header off.
pub(super) fn open<'a>(frame: Span<'a>, faults: &mut Faults) -> Framed<'a> {
    let payload = frame.skip(ETHERNET_HEADER);
    let Some(header) = EthernetPacket::new(frame.bytes()) else {
        faults.require(frame, ETHERNET_HEADER, Reason::EthernetHeader);
        return Framed::unknown(payload);
    };
    Framed::typed_or_length(header.get_ethertype().0, payload, faults)
}

/// Takes VLAN tags off, and says the id of the outermost.
pub(super) fn untag<'a>(mut framed: Framed<'a>, faults: &mut Faults) -> (Option<u16>, Framed<'a>) {
    let mut outermost = None;
    for _ in 0..MAX_VLAN_TAGS {
        if !framed.is_tagged() {
            return (outermost, framed);
        }
        let Some(tag) = VlanPacket::new(framed.payload.bytes()) else {
            faults.require(framed.payload, VLAN_TAG, Reason::VlanTag);
            return (outermost, framed);
        };
        outermost = outermost.or(Some(tag.get_vlan_identifier()));
        framed = Framed::typed_or_length(tag.get_ethertype().0, framed.payload.skip(VLAN_TAG), faults);
    }
    if framed.is_tagged() {
        faults.note(Reason::VlanStack, 0_u32, MAX_VLAN_TAGS);
    }
    (outermost, framed)
}

/// Whether `frame`, said to be of type `ethertype`, begins with a tag nevertheless: behind the last one stands that
/// type, and a packet that fits. A packet whose length is the frame's is none, whatever its bytes look like.
pub(super) fn begins_with_tag(ethertype: u16, frame: Span<'_>) -> bool {
    let mut rest = frame;
    for _ in 0..MAX_VLAN_TAGS {
        let Some(&[_, _, high, low]) = rest.bytes().first_chunk() else {
            // Cut off behind a tag; of the first one alone nobody can tell.
            return rest.len() < frame.len() && rest.is_cut() && rest.len() >= VLAN_TAG;
        };
        let inner = u16::from_be_bytes([high, low]);
        rest = rest.skip(VLAN_TAG);
        if inner == ethertype {
            return net::fits(ethertype, rest) && net::stated_len(frame.bytes()) != Some(frame.len());
        }
        if !ethertype::is_vlan(inner) {
            return false;
        }
    }
    false
}

impl Framed<'_> {
    const fn is_tagged(&self) -> bool {
        ethertype::is_vlan(self.ethertype)
    }
}

/// Takes LLC and SNAP headers off where they stand in front of an EtherType, and says the type of what is left.
pub(super) fn open_llc<'a>(framed: Framed<'a>, faults: &mut Faults) -> (u16, Span<'a>) {
    let payload = framed.payload;
    match framed.kind {
        Kind::Typed => (framed.ethertype, payload),
        Kind::Llc => open_snap(payload, faults).unwrap_or((framed.ethertype, payload)),
    }
}

/// The EtherType and payload of a SNAP header whose organisation is 0 (RFC 1042); `None` if there is none.
fn open_snap<'a>(llc: Span<'a>, faults: &mut Faults) -> Option<(u16, Span<'a>)> {
    let Some(header) = llc.bytes().first_chunk::<{ LLC_HEADER as usize }>() else {
        faults.require(llc, LLC_HEADER, Reason::LlcHeader);
        return None;
    };
    if *header != LLC_SNAP {
        return None;
    }
    let snap = llc.skip(LLC_HEADER);
    let Some(&[organisation @ .., high, low]) = snap.bytes().first_chunk::<{ SNAP_HEADER as usize }>() else {
        faults.require(snap, SNAP_HEADER, Reason::SnapHeader);
        return None;
    };
    (organisation == [0; 3]).then(|| (u16::from_be_bytes([high, low]), snap.skip(SNAP_HEADER)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ip, parse, reason};
    use super::super::{Link, Net};
    use super::*;

    const MACS: &str = "020000000002 020000000001";
    const PING: &str = "4500001c00010000400166de 0a000001 0a000002 0800f7fd00010001";

    fn ethernet(hex: &str) -> super::super::Packet {
        parse(Link::Ethernet, &format!("{MACS} {hex}"))
    }

    #[test]
    fn an_untagged_frame_has_no_vlan() {
        let packet = ethernet(&format!("0800 {PING}"));
        assert_eq!((packet.vlan, packet.malformed, ip(&packet).len), (None, None, 28));
    }

    #[test]
    fn the_outermost_tag_names_the_vlan() {
        for tags in ["8100 0064", "8100 e064", "88a8 0064 8100 0007", "9100 0064 9100 0007 8100 0001"] {
            let packet = ethernet(&format!("{tags} 0800 {PING}"));
            assert_eq!((packet.vlan, packet.malformed, ip(&packet).len), (Some(100), None, 28), "{tags}");
        }
    }

    #[test]
    fn a_tag_that_is_cut_off_is_named() {
        let packet = ethernet("8100 00");
        assert_eq!(packet.malformed.unwrap().to_string(), "vlan: tag of 1 bytes, 4 needed");
        assert_eq!(packet.net, Net::Other { ethertype: 0x8100, len: 1 });
    }

    #[test]
    fn tags_beyond_the_bound_are_left() {
        let at_bound = ethernet(&format!("{} 0800 {PING}", "8100 0005".repeat(8)));
        assert_eq!((at_bound.vlan, ip(&at_bound).len), (Some(5), 28));
        let beyond = ethernet(&format!("{} 0800 {PING}", "8100 0005".repeat(9)));
        assert_eq!((beyond.vlan, reason(&beyond)), (Some(5), Some(Reason::VlanStack)));
        assert_eq!(beyond.net, Net::Other { ethertype: 0x8100, len: 32 });
    }

    #[test]
    fn an_802_3_frame_is_its_length() {
        // A spanning tree message, padded.
        let packet = ethernet("0004 424203 00 0000");
        assert_eq!((packet.net, packet.malformed), (Net::Other { ethertype: 4, len: 4 }, None));
        let tagged = ethernet("8100 0001 0003 424203");
        assert_eq!((tagged.net, tagged.vlan), (Net::Other { ethertype: 3, len: 3 }, Some(1)));
    }

    #[test]
    fn snap_of_organisation_0_carries_an_ethertype() {
        let packet = ethernet(&format!("0024 aaaa03 000000 0800 {PING}"));
        assert_eq!((ip(&packet).len, packet.malformed), (28, None));
        // Cisco's organisation: CDP.
        let cdp = ethernet("000a aaaa03 00000c 2000 01b4");
        assert_eq!((cdp.net, cdp.malformed), (Net::Other { ethertype: 10, len: 10 }, None));
    }

    #[test]
    fn faults_of_802_3_frames_are_named() {
        let beyond = ethernet("0020 424203");
        assert_eq!(beyond.malformed.unwrap().to_string(), "ethernet: 802.3 length 32, but 3 bytes follow");
        assert_eq!(reason(&ethernet("0002 4242")), Some(Reason::LlcHeader));
        assert_eq!(reason(&ethernet("0007 aaaa03 00000008")), Some(Reason::SnapHeader));
    }
}
