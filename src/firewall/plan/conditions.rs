//! Conditions of rules as alternatives that one kernel rule each can express.

use super::prefixes::{Address, as_prefix, prefixes};
use super::sets::{Content, Sets};
use super::spec::Match;
use crate::firewall::family::Family;
use crate::firewall::names::Hook;
use crate::firewall::tools::Backend;
use crate::packet::Protocol;
use crate::rules::Rule;
use crate::rules::port::PortSet;
use crate::rules::protocol::ProtocolSet;
use crate::rules::ranges::Ranges;

/// How many alternatives an address condition may have before it becomes a set.
const PLAIN_ADDRESSES: usize = 8;
/// How many ports a `multiport` match holds; a range counts as two (`XT_MULTI_PORTS`, `linux/netfilter/xt_multiport.h`).
const MULTIPORT: usize = 15;

/// A condition: any of `any_of` (everything, if there is none), and none of `none_of`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) any_of: Vec<Match>,
    pub(super) none_of: Vec<Match>,
}

/// What conditions are written for, and with.
pub(super) struct Means<'a> {
    pub(super) family: Family,
    pub(super) backend: Backend,
    pub(super) sets: &'a mut Sets,
}

/// Which end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

impl Condition {
    pub(super) fn any_of(any_of: Vec<Match>) -> Self {
        Self { any_of, none_of: Vec::new() }
    }

    /// Whether it is true for every packet.
    pub(super) fn is_always(&self) -> bool {
        self.any_of.is_empty() && self.none_of.is_empty()
    }
}

impl End {
    /// The word for it in a set match.
    const fn word(self) -> &'static str {
        match self {
            Self::Source => "src",
            Self::Destination => "dst",
        }
    }
}

/// The match of one network.
pub(super) fn network<A: Address>((first, len): (A, u32), end: End, negated: bool) -> Match {
    let not = if negated { "! " } else { "" };
    match end {
        End::Source => Match { src: Some(format!("{not}-s {}/{len}", first.text())), ..Match::default() },
        End::Destination => Match { dst: Some(format!("{not}-d {}/{len}", first.text())), ..Match::default() },
    }
}

/// The match of one range.
fn range<A: Address>(range: (A, A), end: End, negated: bool) -> Match {
    if let Some(prefix) = as_prefix(range) {
        return network(prefix, end, negated);
    }
    let not = if negated { "! " } else { "" };
    Match::module(format!("-m iprange {not}--{}-range {}-{}", end.word(), range.0.text(), range.1.text()))
}

/// The match of a set.
pub(super) fn set(name: &str, end: End, negated: bool) -> Match {
    Match::module(format!("-m set {}--match-set {name} {}", if negated { "! " } else { "" }, end.word()))
}

/// Whether so many ranges stand as plain rules rather than in a set.
pub(super) const fn is_short(ranges: usize) -> bool {
    ranges <= PLAIN_ADDRESSES
}

/// The ranges one by one.
pub(super) fn plain<A: Address>(ranges: &Ranges<A>, end: End) -> Vec<Match> {
    ranges.iter().map(|one| range(one, end, false)).collect()
}

/// An address condition; `None` if no address of the family satisfies it.
pub(super) fn addresses<A: Address>(ranges: &Ranges<A>, end: End, sets: &mut Sets) -> Option<Condition> {
    if ranges.is_all() {
        return Some(Condition::default());
    }
    if ranges.is_empty() {
        return None;
    }
    let others = ranges.complement();
    let first_other = others.iter().next();
    let any_of = match first_other {
        Some(other) if ranges.len() > 1 && others.len() == 1 => vec![range(other, end, true)],
        _ if is_short(ranges.len()) => plain(ranges, end),
        _ if networks(&others) < networks(ranges) => vec![set(&sets.name(A::content(others)), end, true)],
        _ => vec![set(&sets.name(A::content(ranges.clone())), end, false)],
    };
    Some(Condition::any_of(any_of))
}

/// How many entries a set of these ranges has.
fn networks<A: Address>(ranges: &Ranges<A>) -> usize {
    ranges.iter().map(|range| prefixes(range).count()).sum()
}

/// The protocols of the set.
///
/// Protocol 0 means everything to iptables: a set that holds it (as `!tcp` does) is told by what it does not hold.
pub(super) fn protocols(set: ProtocolSet, family: Family) -> Option<Condition> {
    let others: Vec<_> = ProtocolSet::ALL.difference(set).iter().filter(|&one| can_be_seen(one, family)).collect();
    let of = |protocol| of_protocol(protocol, family);
    if let [one] = others[..]
        && of(one).protocol.is_some()
    {
        return Some(Condition::any_of(vec![Match::not_protocol(one)]));
    }
    if set.contains(Protocol(0)) {
        return Some(Condition { any_of: Vec::new(), none_of: others.into_iter().map(of).collect() });
    }
    let any_of: Vec<_> = set.iter().filter(|&one| can_be_seen(one, family)).map(of).collect();
    (!any_of.is_empty()).then(|| Condition::any_of(any_of))
}

/// IPv6 extension headers are no protocols: `-p` looks behind them and never stops at one.
fn can_be_seen(protocol: Protocol, family: Family) -> bool {
    !matches!((family, protocol.0), (_, 0) | (Family::V6, 43 | 44 | 60))
}

/// A protocol. At an authentication header `-p` of `nf_tables` stops in IPv6 as it does in IPv4, that of `ip6_tables` does
/// not; `ah` sees one in both.
fn of_protocol(protocol: Protocol, family: Family) -> Match {
    if (protocol, family) == (Protocol::AH, Family::V6) { Match::module("-m ah") } else { Match::protocol(protocol) }
}

/// The ports of one protocol at one end; `None` if no port satisfies it.
///
/// A fragment of IPv6 that is not the first has none, and comes to our chains on loopback, where conntrack does not put
/// together again what it has seen. There `nf_tables` takes the flow label for the port (Linux 6.18: a port that is
/// compared is read without a look at the offset); `multiport` and sets look. The `tcp` and `udp` of `ip_tables` drop what
/// has no whole header; `multiport` asks for the ports alone.
pub(super) fn ports(ranges: &Ranges<u16>, protocol: Protocol, end: End, means: &mut Means<'_>) -> Option<Match> {
    if ranges.is_empty() {
        return None;
    }
    if ranges.is_all() {
        return Some(Match::default());
    }
    let letter = if end == End::Source { 's' } else { 'd' };
    let name = if protocol == Protocol::TCP { "tcp" } else { "udp" };
    Some(Match::module(match ranges.iter().next() {
        Some(one) if ranges.len() == 1 && means.family == Family::V4 && means.backend == Backend::NfTables => {
            format!("-m {name} --{letter}port {}", port_text(one))
        }
        _ if fits_multiport(ranges) => format!("-m multiport --{letter}ports {}", multiport_text(ranges)),
        _ => return Some(set(&means.sets.name(Content::Ports(ranges.clone())), end, false)),
    }))
}

/// The ports of one protocol at either end.
pub(super) fn ports_at_either_end(ranges: &Ranges<u16>, protocol: Protocol, sets: &mut Sets) -> Vec<Match> {
    let of_protocol = Match::protocol(protocol);
    if ranges.is_empty() {
        Vec::new()
    } else if ranges.is_all() {
        vec![of_protocol]
    } else if fits_multiport(ranges) {
        vec![of_protocol.with(format!("-m multiport --ports {}", multiport_text(ranges)))]
    } else {
        let name = sets.name(Content::Ports(ranges.clone()));
        [End::Source, End::Destination].map(|end| of_protocol.and(set(&name, end, false))).into()
    }
}

fn fits_multiport(ranges: &Ranges<u16>) -> bool {
    ranges.iter().map(|(first, last)| if first == last { 1 } else { 2 }).sum::<usize>() <= MULTIPORT
}

fn multiport_text(ranges: &Ranges<u16>) -> String {
    ranges.iter().map(port_text).collect::<Vec<_>>().join(",")
}

/// A range of ports as iptables writes it.
pub(super) fn port_text((first, last): (u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first}:{last}") }
}

/// All that a rule asks of the headers behind the IP header; `None` if no packet of the family satisfies it.
pub(super) fn transport(rule: &Rule, means: &mut Means<'_>) -> Option<Condition> {
    let family = means.family;
    let wanted = rule.protocol.as_ref().map_or(ProtocolSet::ALL, |condition| condition.set);
    let (src, dst) = (rule.src_port.as_ref().map(|c| &c.set), rule.dst_port.as_ref().map(|c| &c.set));
    match (&rule.icmp_type, src.is_some() || dst.is_some()) {
        (Some(_), true) => None,
        (None, false) if wanted == ProtocolSet::ALL => Some(Condition::default()),
        (None, false) => protocols(wanted, family),
        (None, true) => {
            let any_of: Vec<_> = [Protocol::TCP, Protocol::UDP]
                .into_iter()
                .filter(|&protocol| wanted.contains(protocol))
                .filter_map(|protocol| port_pair(src, dst, protocol, means))
                .collect();
            (!any_of.is_empty()).then(|| Condition::any_of(any_of))
        }
        (Some(condition), false) => {
            let types = if family == Family::V4 { &condition.set.v4 } else { &condition.set.v6 };
            (wanted.contains(family.icmp()) && !types.is_empty()).then(|| super::icmp::types(types, family))
        }
    }
}

fn port_pair(src: Option<&PortSet>, dst: Option<&PortSet>, protocol: Protocol, means: &mut Means<'_>) -> Option<Match> {
    let mut conditions = Match::protocol(protocol);
    for (wanted, end) in [(src, End::Source), (dst, End::Destination)] {
        if let Some(wanted) = wanted {
            let ranges = if protocol == Protocol::TCP { &wanted.tcp } else { &wanted.udp };
            conditions = conditions.and(ports(ranges, protocol, end, means)?);
        }
    }
    Some(conditions)
}

/// The interfaces of a rule at a hook; `None` if no interface satisfies it.
pub(super) fn interfaces(rule: &Rule, hook: Hook) -> Option<Condition> {
    let letter = if hook == Hook::Output { 'o' } else { 'i' };
    let text = |not: &str, name: &str| Match {
        interface: Some(format!("{not}-{letter} {}", quoted(name))),
        ..Match::default()
    };
    let of = |negated: bool| rule.interface.iter().filter(move |(not, _)| *not == negated).map(|(_, name)| &**name);
    if of(true).any(|name| name == "+") {
        return None;
    }
    let negated: Vec<_> = of(true).filter(|name| can_exist(name)).collect();
    let asks = of(false).next().is_some() && !of(false).any(|name| name == "+");
    if !asks {
        return Some(match negated[..] {
            [one] => Condition::any_of(vec![text("! ", one)]),
            _ => Condition { any_of: Vec::new(), none_of: negated.iter().map(|name| text("", name)).collect() },
        });
    }
    let any_of: Vec<_> = of(false).filter(|name| can_exist(name)).map(|name| text("", name)).collect();
    let none_of = negated.iter().map(|name| text("", name)).collect();
    (!any_of.is_empty()).then_some(Condition { any_of, none_of })
}

/// Whether the kernel lets an interface bear this name (`dev_valid_name`: 15 bytes, no space, slash or colon), and its
/// characters can stand in a line. An alias (`eth0:1`) is no interface.
fn can_exist(name: &str) -> bool {
    let stem = name.strip_suffix('+').unwrap_or(name);
    (1..=15).contains(&stem.len()) && stem.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:".contains(&byte))
}

/// The name as one word of a restore line, which knows double quotes and a backslash in them.
fn quoted(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.@+-".contains(&byte)) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::spec::{Target, specification};
    use super::*;

    fn texts(condition: &Condition) -> (Vec<String>, Vec<String>) {
        let text = |one: &Match| {
            let line = specification(one, "x", &Target::None);
            line.trim_end_matches("-m comment --comment x").trim_end().to_owned()
        };
        (condition.any_of.iter().map(text).collect(), condition.none_of.iter().map(text).collect())
    }

    fn v4(ranges: impl IntoIterator<Item = (u32, u32)>) -> (Vec<String>, Vec<String>) {
        let condition =
            addresses(&Ranges::from_ranges(ranges), End::Source, &mut Sets::new(1, &[])).expect("not empty");
        texts(&condition)
    }

    #[test]
    fn addresses_are_networks_ranges_a_negation_or_a_set() {
        assert_eq!(v4([(0x0a00_0000, 0x0aff_ffff)]).0, ["-s 10.0.0.0/8"]);
        assert_eq!(v4([(1, 1), (3, 4)]).0, ["-s 0.0.0.1/32", "-m iprange --src-range 0.0.0.3-0.0.0.4"]);
        assert_eq!(v4([(0, 6), (8, u32::MAX)]).0, ["! -s 0.0.0.7/32"]);
        assert_eq!(v4((0..9).map(|n| (n * 2, n * 2))).0, ["-m set --match-set PFW4-00000001-00000 src"]);
        assert_eq!(v4([(0, u32::MAX)]).0, <[&str; 0]>::default());
        let all_but_many = Ranges::from_ranges((0..10).map(|n| (n * 2, n * 2))).complement();
        let condition = addresses::<u32>(&all_but_many, End::Destination, &mut Sets::new(1, &[])).expect("not empty");
        assert_eq!(texts(&condition).0, ["-m set ! --match-set PFW4-00000001-00000 dst"]);
        assert_eq!(addresses::<u32>(&Ranges::default(), End::Source, &mut Sets::new(1, &[])), None);
    }

    #[test]
    fn a_set_of_protocols_that_holds_0_is_told_by_what_it_lacks() {
        let tcp_udp: ProtocolSet = [Protocol::TCP, Protocol::UDP].into_iter().collect();
        let all_but = |set| texts(&protocols(ProtocolSet::ALL.difference(set), Family::V4).expect("not empty"));
        assert_eq!(texts(&protocols(tcp_udp, Family::V4).expect("some")).0, ["-p tcp", "-p udp"]);
        assert_eq!(all_but(tcp_udp), (vec![], vec!["-p tcp".to_owned(), "-p udp".to_owned()]));
        assert_eq!(all_but([Protocol::ICMPV6].into_iter().collect()).0, ["! -p ipv6-icmp"]);
        let ah: ProtocolSet = [Protocol(51)].into_iter().collect();
        assert_eq!(texts(&protocols(ah, Family::V4).expect("some")).0, ["-p 51"]);
        assert_eq!(texts(&protocols(ah, Family::V6).expect("some")).0, ["-m ah"]);
        let all_but_ah = protocols(ProtocolSet::ALL.difference(ah), Family::V6).expect("not empty");
        assert_eq!(texts(&all_but_ah), (vec![], vec!["-m ah".to_owned()]));
    }

    #[test]
    fn many_ports_are_a_multiport_and_too_many_a_set() {
        let text_of = |ranges: &Ranges<u16>, family, backend| {
            let means = &mut Means { family, backend, sets: &mut Sets::new(1, &[]) };
            texts(&Condition::any_of(vec![ports(ranges, Protocol::UDP, End::Destination, means).expect("some")])).0
        };
        let text = |ranges: &Ranges<u16>| text_of(ranges, Family::V4, Backend::NfTables);
        let one = Ranges::from_ranges([(137, 139)]);
        let multiport = ["-m multiport --dports 137:139"];
        assert_eq!(text_of(&one, Family::V6, Backend::NfTables), multiport, "a fragment's flow label is no port");
        assert_eq!(text_of(&one, Family::V4, Backend::IpTables), multiport, "its udp drops what has no whole header");
        assert_eq!(text(&Ranges::from_ranges([(137, 139)])), ["-m udp --dport 137:139"]);
        assert_eq!(text(&Ranges::from_ranges([(80, 80), (137, 139)])), ["-m multiport --dports 80,137:139"]);
        assert_eq!(
            text(&Ranges::from_ranges((0..16).map(|n| (n * 2, n * 2)))),
            ["-m set --match-set PFWP-00000001-00000 dst"]
        );
    }

    #[test]
    fn a_strange_name_of_an_interface_is_quoted_and_an_impossible_one_never_matches() {
        assert_eq!(quoted("eth0"), "eth0");
        assert_eq!(quoted("a\"b\\c;$(x)"), "\"a\\\"b\\\\c;$(x)\"");
        for impossible in ["", "sixteen_letters_", "a b", "a/b", "a\nb", "eth0:1", "ü"] {
            assert!(!can_exist(impossible), "{impossible}");
        }
    }
}
