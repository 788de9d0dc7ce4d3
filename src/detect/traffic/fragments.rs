//! Fragments, as far as they say something together: that they overlap. What is remembered of them is in
//! [`overlaps`](super::overlaps).

use super::clock::seconds;
use super::keyed::FRAGMENT_OVERLAP;
use super::{Against, Found, Traffic, tell};
use crate::alert::Alert;
use crate::packet::{Fragment, Ip, Malformed, Reason};

impl Traffic {
    /// A fragment, held against those of its datagram that came before.
    #[cold]
    pub(super) fn fragment(&mut self, ip: &Ip, fragment: Fragment, against: &Against<'_>, found: &mut Found) {
        if against.look.packet.malformed.as_ref().is_some_and(|fault| !has_its_place(fault)) {
            return;
        }
        let (from, to) = (fragment.offset, fragment.offset.saturating_add(fragment.len));
        let hash = self.keyed.item(u64::from(from) << 32 | u64::from(fragment.len));
        let (key, now) = (self.keyed.datagram(ip, fragment.id), seconds(against.look.time));
        let Some(over) = self.overlaps.add(key, fragment, hash, now) else { return };
        let key = self.keyed.pair(FRAGMENT_OVERLAP, ip.src, ip.dst, 0);
        if let Some(news) = self.happened(key, Alert::IpFragmentOverlap, against) {
            let words = format!(
                "{} sent {} the bytes {from} to {to} of datagram {}, which overlap the bytes {} to {} that came before",
                ip.src, ip.dst, fragment.id, over.from, over.to
            );
            found.findings.push(tell(&news, &words));
        }
    }
}

/// Whether it is known from where to where in its datagram a fragment reaches.
fn has_its_place(fault: &Malformed) -> bool {
    match fault.reason() {
        Reason::Ipv4FragmentLength
        | Reason::Ipv4FragmentEnd
        | Reason::Ipv4Checksum
        | Reason::Ipv6FragmentLength
        | Reason::Ipv6FragmentEnd => true,
        // The transport header may be anything.
        reason => !matches!(reason.layer(), "ipv4" | "ipv6"),
    }
}
