//! Conditions on ICMP types and codes.

use super::conditions::Condition;
use super::spec::Match;
use crate::firewall::family::Family;
use crate::rules::ranges::Ranges;

/// The types and codes of the set; it is told by what it lacks where that is shorter.
pub(super) fn types(set: &Ranges<u16>, family: Family) -> Condition {
    let of_icmp = Match::protocol(family.icmp());
    let (wanted, others) = (terms(set), terms(&set.complement()));
    match others[..] {
        [] => Condition::any_of(vec![of_icmp]),
        [one] if one.kind() != ANY_IN_IPTABLES => Condition::any_of(vec![one.text(family, true)]),
        _ if others.len() < wanted.len() => {
            Condition { any_of: vec![of_icmp], none_of: others.iter().map(|one| one.text(family, false)).collect() }
        }
        _ => Condition::any_of(wanted.iter().map(|one| one.text(family, false)).collect()),
    }
}

/// A match of one type, with all its codes or one.
pub(super) fn of_type(kind: u8, code: Option<u8>, family: Family) -> Match {
    code.map_or(Term::Type(kind), |code| Term::Code(kind, code)).text(family, false)
}

/// A match of the error that REJECT answers with (`icmp-port-unreachable`, `icmp6-port-unreachable`).
pub(super) fn unreachable_port(family: Family) -> Match {
    match family {
        Family::V4 => of_type(3, Some(3), family),
        Family::V6 => of_type(1, Some(4), family),
    }
}

/// In IPv4 iptables takes the type 255 for any.
const ANY_IN_IPTABLES: u8 = 255;

/// What one match can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    Type(u8),
    Code(u8, u8),
}

fn terms(set: &Ranges<u16>) -> Vec<Term> {
    let mut terms = Vec::new();
    for kind in 0..=u8::MAX {
        let pair = |code: u8| u16::from_be_bytes([kind, code]);
        let codes = set.intersection(&Ranges::from_ranges([(pair(0), pair(u8::MAX))]));
        if codes.iter().next() == Some((pair(0), pair(u8::MAX))) {
            terms.push(Term::Type(kind));
        } else if !codes.is_empty() {
            terms.extend((0..=u8::MAX).filter(|&code| codes.contains(pair(code))).map(|code| Term::Code(kind, code)));
        }
    }
    terms
}

impl Term {
    const fn kind(self) -> u8 {
        match self {
            Self::Type(kind) | Self::Code(kind, _) => kind,
        }
    }

    fn text(self, family: Family, negated: bool) -> Match {
        let (module, option) = family.icmp_match();
        let not = if negated { "! " } else { "" };
        let text = match self {
            Self::Type(ANY_IN_IPTABLES) if family == Family::V4 => first_bytes(0xff00, 0xffff),
            Self::Code(ANY_IN_IPTABLES, code) if family == Family::V4 => {
                let pair = u16::from_be_bytes([ANY_IN_IPTABLES, code]);
                first_bytes(pair, pair)
            }
            Self::Type(kind) => format!("-m {module} {not}{option} {kind}"),
            Self::Code(kind, code) => format!("-m {module} {not}{option} {kind}/{code}"),
        };
        Match::protocol(family.icmp()).with(text)
    }
}

/// The first two bytes behind the IPv4 header, as a number in a range.
fn first_bytes(first: u16, last: u16) -> String {
    format!("-m u32 --u32 0x0>>0x16&0x3c@0x0>>0x10=0x{first:x}:0x{last:x}")
}

#[cfg(test)]
mod tests {
    use super::super::spec::{Target, specification};
    use super::*;

    fn texts(set: &Ranges<u16>, family: Family) -> (Vec<String>, Vec<String>) {
        let condition = types(set, family);
        let text = |one: &Match| specification(one, "x", &Target::None).replace(" -m comment --comment x", "");
        (condition.any_of.iter().map(text).collect(), condition.none_of.iter().map(text).collect())
    }

    #[test]
    fn types_and_codes_are_told_one_by_one() {
        let set = Ranges::from_ranges([(0x0800_u16, 0x08ff), (0x0303, 0x0304)]);
        assert_eq!(
            texts(&set, Family::V4).0,
            ["-p icmp -m icmp --icmp-type 3/3", "-p icmp -m icmp --icmp-type 3/4", "-p icmp -m icmp --icmp-type 8"]
        );
        assert_eq!(
            texts(&Ranges::from_ranges([(0x8000, 0x80ff)]), Family::V6).0,
            ["-p ipv6-icmp -m icmp6 --icmpv6-type 128"]
        );
    }

    #[test]
    fn a_negation_is_told_by_what_it_lacks() {
        let echo = Ranges::from_ranges([(0x0800_u16, 0x08ff)]);
        assert_eq!(texts(&echo.complement(), Family::V4).0, ["-p icmp -m icmp ! --icmp-type 8"]);
        let both = Ranges::from_ranges([(0_u16, 0xff), (0x0800, 0x08ff)]);
        assert_eq!(
            texts(&both.complement(), Family::V4),
            (
                vec!["-p icmp".to_owned()],
                vec!["-p icmp -m icmp --icmp-type 0".to_owned(), "-p icmp -m icmp --icmp-type 8".to_owned()]
            )
        );
    }

    #[test]
    fn type_255_is_no_wildcard() {
        let last = Ranges::from_ranges([(0xff00_u16, 0xffff)]);
        assert_eq!(texts(&last, Family::V4).0, ["-p icmp -m u32 --u32 0x0>>0x16&0x3c@0x0>>0x10=0xff00:0xffff"]);
        assert_eq!(
            texts(&last.complement(), Family::V4).1,
            ["-p icmp -m u32 --u32 0x0>>0x16&0x3c@0x0>>0x10=0xff00:0xffff"]
        );
        assert_eq!(texts(&last, Family::V6).0, ["-p ipv6-icmp -m icmp6 --icmpv6-type 255"]);
        assert_eq!(texts(&Ranges::all(), Family::V4).0, ["-p icmp"]);
    }
}
