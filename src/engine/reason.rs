//! The reason of a decision in words. Called for each packet that is logged, so everything constant is ready made.
//!
//! Writing to a `Vec` can't fail, so the results of `write!` say nothing here.

use super::catalogue::Catalogue;
use super::decision::{Decision, Hit, State, Step};
use super::peers::Peers;
use crate::packet::{Ip, Protocol};
use crate::rules::{Action, RuleDirection};
use std::io::Write;
use std::net::IpAddr;

/// Reasons that rest on nothing but the rule, and of these the direction: most packets have one of them, and it need
/// not be put together for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The reason of the rule, whatever the direction.
    Plain,
    /// That of incoming packets.
    Incoming,
    /// That of outgoing packets.
    Outgoing,
}

impl Standing {
    /// How many reasons a rule can have.
    pub const COUNT: usize = 3;
}

impl Decision {
    /// Which of the standing reasons of its rule the decision has; none if something of the packet is named.
    #[inline]
    pub fn standing_reason(&self) -> Option<Standing> {
        if self.entry.is_some() || self.without_first || self.state == State::Invalid {
            return None;
        }
        match (self.hit, self.step) {
            (Hit::Direction(RuleDirection::In), _) => Some(Standing::Incoming),
            (Hit::Direction(RuleDirection::Out), _) => Some(Standing::Outgoing),
            (Hit::None, Step::BlockProtocols | Step::AllowProtocols) => None,
            (Hit::None, _) => Some(Standing::Plain),
            _ => None,
        }
    }
}

/// Appends the reason of `decision` on `packet`.
pub(super) fn write(catalogue: &Catalogue, peers: &Peers, decision: &Decision, packet: &Ip, out: &mut Vec<u8>) {
    let Some(words) = catalogue.words(decision.rule) else { return };
    write_hit(decision, packet, out);
    out.extend_from_slice(words.text.as_bytes());
    write_detail(peers, decision, out);
    if let Some(comment) = &words.comment {
        out.extend_from_slice(b": ");
        out.extend_from_slice(comment.as_bytes());
    }
    if decision.state == State::Invalid {
        out.extend_from_slice(b", state invalid");
    }
    if decision.without_first {
        out.extend_from_slice(b", fragment without its first");
    }
}

/// What of the packet hit, in front of the rule's own words.
fn write_hit(decision: &Decision, packet: &Ip, out: &mut Vec<u8>) {
    match decision.hit {
        Hit::Source => write_peer(packet.src, out),
        Hit::Destination => write_peer(packet.dst, out),
        Hit::SourcePort(port) => write_port(b"source port ", port, out),
        Hit::DestinationPort(port) => write_port(b"destination port ", port, out),
        Hit::None if matches!(decision.step, Step::BlockProtocols | Step::AllowProtocols) => {
            write_protocol(packet.protocol, out);
        }
        Hit::None | Hit::Direction(_) => {}
    }
}

/// What is to be said behind the rule's own words.
fn write_detail(peers: &Peers, decision: &Decision, out: &mut Vec<u8>) {
    let constant: &[u8] = match (decision.step, decision.hit) {
        (Step::Reply, Hit::Direction(RuleDirection::In)) => b"from here",
        (Step::Reply, Hit::Direction(RuleDirection::Out)) => b"by the peer",
        (Step::DefaultPolicy, Hit::Direction(direction)) => policy_words(decision.action, direction),
        _ => return write_entry(peers, decision, out),
    };
    out.extend_from_slice(constant);
}

fn policy_words(action: Action, direction: RuleDirection) -> &'static [u8] {
    match (action, direction) {
        (Action::Allow, RuleDirection::In) => b"allow for incoming",
        (Action::Allow, RuleDirection::Out) => b"allow for outgoing",
        (_, RuleDirection::In) => b"deny for incoming",
        (_, RuleDirection::Out) => b"deny for outgoing",
    }
}

/// The list entry, unless it is the peer's very address.
fn write_entry(peers: &Peers, decision: &Decision, out: &mut Vec<u8>) {
    let entry = decision.entry.and_then(|entry| peers.entry(entry));
    if let Some(entry) = entry.filter(|entry| !entry.is_one_address()) {
        let _ = write!(out, " ({entry})");
    }
}

fn write_peer(address: IpAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(b"peer ");
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            write_number(a.into(), out);
            for octet in [b, c, d] {
                out.push(b'.');
                write_number(octet.into(), out);
            }
        }
        IpAddr::V6(address) => {
            let _ = write!(out, "{address}");
        }
    }
}

fn write_port(words: &[u8], port: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(words);
    write_number(port, out);
}

fn write_protocol(protocol: Protocol, out: &mut Vec<u8>) {
    let _ = write!(out, "protocol {protocol}");
}

fn write_number(number: u16, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 5];
    let (mut rest, mut used) = (number, 0);
    for digit in digits.iter_mut().rev() {
        // A remainder of ten fits.
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}
