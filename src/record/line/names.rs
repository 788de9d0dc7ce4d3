//! Names that lines carry, padded so that they can be stored whole.

use super::super::bytes::Word;
use super::super::pen::Pen;
use super::event::Anomaly;
use crate::engine::{Direction, RuleInfo, Step};
use crate::packet::{Protocol, TcpFlags, ethertype_name};
use std::io::Write;

/// A word for each protocol, in both forms.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    /// `TCP `
    text: [Word<16>; 256],
    /// `,"proto":"TCP","pkt_len":`
    json: [Word<40>; 256],
}

impl Labels {
    pub(super) fn new() -> Self {
        let mut labels = Self { text: [Word::EMPTY; 256], json: [Word::EMPTY; 256] };
        for (n, (text, json)) in (0..=u8::MAX).zip(labels.text.iter_mut().zip(&mut labels.json)) {
            let protocol = Protocol(n);
            let name = protocol.name().map_or_else(|| n.to_string(), str::to_owned);
            // EVE has the registry's name where people, and so the text, have a shorter one.
            let eve = if protocol == Protocol::ICMPV6 { "IPv6-ICMP" } else { &name };
            *text = Word::new(&name).then(b" ");
            *json = Word::new(",\"proto\":\"").then(eve.as_bytes()).then(b"\",\"pkt_len\":");
        }
        labels
    }

    #[inline]
    pub(super) fn text(&self, protocol: Protocol) -> &Word<16> {
        // A table of 256 has a place for every u8; the compiler sees that and drops the check.
        self.text.get(usize::from(protocol.0)).unwrap_or(const { &Word::EMPTY })
    }

    #[inline]
    pub(super) fn json(&self, protocol: Protocol) -> &Word<40> {
        self.json.get(usize::from(protocol.0)).unwrap_or(const { &Word::EMPTY })
    }
}

/// The step of a rule; each kind of list by its key in the rules file.
pub(super) fn step(rule: &RuleInfo) -> &'static str {
    match rule.step {
        Step::Guard | Step::LinkGuard => "guard",
        Step::Panic => "panic",
        Step::AllowIps => "allow_ips",
        Step::BlockIps if rule.id.starts_with("block_lists") => "block_lists",
        Step::BlockIps => "block_ips",
        Step::BlockPorts => "block_ports",
        Step::BlockProtocols => "block_protocols",
        Step::Reply => "reply",
        Step::Rules => "rules",
        Step::Loopback => "loopback",
        Step::AllowProtocols => "allow_protocols",
        Step::DefaultPolicy => "default_policy",
        Step::NonIp => "non-ip",
        Step::Forwarded => "forwarded",
    }
}

/// The direction, or `-`.
#[inline]
pub(super) fn direction(direction: Option<Direction>) -> &'static Word<16> {
    static INCOMING: Word<16> = Word::new("incoming ");
    static OUTGOING: Word<16> = Word::new("outgoing ");
    static LOOPBACK: Word<16> = Word::new("loopback ");
    static FORWARDED: Word<16> = Word::new("forwarded ");
    static UNKNOWN: Word<16> = Word::new("- ");
    match direction {
        Some(Direction::Incoming) => &INCOMING,
        Some(Direction::Outgoing) => &OUTGOING,
        Some(Direction::Loopback | Direction::LedAway) => &LOOPBACK,
        Some(Direction::Forwarded) => &FORWARDED,
        None => &UNKNOWN,
    }
}

/// The name of an EtherType, or its number as `0x88cc`.
pub(super) fn ethertype(pen: Pen<'_>, number: u16) -> Pen<'_> {
    // Below 0x0600 it is the length of an 802.3 frame, whose header is that of IEEE 802.2.
    if let Some(name) = ethertype_name(number).or((number < 0x0600).then_some("LLC")) {
        return pen.slice(name.as_bytes());
    }
    let [high, low] = number.to_be_bytes();
    pen.text(b"0x").hex_byte(high).hex_byte(low)
}

/// What an ARP packet is (RFC 826, RFC 903), or its number.
pub(super) fn arp_operation(pen: Pen<'_>, operation: u16) -> Pen<'_> {
    match operation {
        1 => pen.text(b"request"),
        2 => pen.text(b"reply"),
        _ => pen.decimal(operation.into()),
    }
}

/// Appends what is wrong with a packet, in words.
pub(super) fn push_anomaly(out: &mut Vec<u8>, anomaly: Anomaly) {
    // Writing to a `Vec` can't fail.
    let _ = write!(out, "{anomaly}");
}

/// ` flags=SA` for each value of the flag byte: the letters that tcpdump and psad use, lowest bit first.
#[expect(clippy::indexing_slicing, reason = "at compile time, where an index out of bounds is an error")]
static TCP_FLAGS: [Word<16>; 256] = {
    const LETTERS: &[u8; 8] = b"FSRPAUEW";
    let mut table = [Word::new(" flags=none"); 256];
    let mut flags = 1;
    while flags < 256 {
        let mut word = Word::new(" flags=");
        let mut bit = 0;
        while bit < 8 {
            if flags >> bit & 1 == 1 {
                word = word.then(&[LETTERS[bit]]);
            }
            bit += 1;
        }
        table[flags] = word;
        flags += 1;
    }
    table
};

/// ` flags=SA`
#[inline]
pub(super) fn tcp_flags(flags: TcpFlags) -> &'static Word<16> {
    TCP_FLAGS.get(usize::from(flags.0)).unwrap_or(const { &Word::EMPTY })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn written<const N: usize>(word: &Word<N>) -> String {
        String::from_utf8(word.padded()[..word.len()].to_vec()).unwrap()
    }

    #[test]
    fn flags_have_their_letters() {
        assert_eq!(written(tcp_flags(TcpFlags(TcpFlags::SYN))), " flags=S");
        assert_eq!(written(tcp_flags(TcpFlags(TcpFlags::SYN | TcpFlags::ACK))), " flags=SA");
        assert_eq!(written(tcp_flags(TcpFlags(0))), " flags=none");
        assert_eq!(written(tcp_flags(TcpFlags(0xff))), " flags=FSRPAUEW");
    }

    #[test]
    fn no_label_is_cut_off() {
        let labels = Labels::new();
        for n in 0..=u8::MAX {
            assert!(written(labels.text(Protocol(n))).ends_with(' '), "{n}");
            assert!(written(labels.json(Protocol(n))).ends_with(':'), "{n}");
        }
    }

    #[test]
    fn block_lists_are_told_from_block_ips() {
        let info = |id: &str| RuleInfo { id: Arc::from(id), step: Step::BlockIps };
        assert_eq!(step(&info("block_lists:lists/drop.txt")), "block_lists");
        assert_eq!(step(&info("block_ips:192.0.2.1")), "block_ips");
    }
}
