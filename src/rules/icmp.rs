//! ICMP types in rules: types and codes of both families.

use super::diagnostic::{quoted, shown};
use super::ranges::Ranges;
use super::suggest::did_you_mean;
use std::fmt;

/// A set of (type, code) pairs for each family; a pair is the number `type << 8 | code`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct IcmpSet {
    /// ICMP.
    pub v4: Ranges<u16>,
    /// ICMPv6.
    pub v6: Ranges<u16>,
}

/// A type, or one code of it.
type Pair = (u8, Option<u8>);

/// The names that iptables and ip6tables know, in lower case, with what each means in ICMP (IANA "ICMP Type Numbers")
/// and in ICMPv6 (IANA "ICMPv6 Type Numbers"). A name that both know stands for both; where they name the same event
/// differently, both names do.
#[rustfmt::skip]
const NAMES: &[(&str, Option<Pair>, Option<Pair>)] = &[
    ("echo-request",               Some((8, None)),      Some((128, None))),
    ("ping",                       Some((8, None)),      Some((128, None))),
    ("echo-reply",                 Some((0, None)),      Some((129, None))),
    ("pong",                       Some((0, None)),      Some((129, None))),
    ("destination-unreachable",    Some((3, None)),      Some((1, None))),
    ("network-unreachable",        Some((3, Some(0))),   Some((1, Some(0)))),
    ("no-route",                   Some((3, Some(0))),   Some((1, Some(0)))),
    ("host-unreachable",           Some((3, Some(1))),   Some((1, Some(3)))),
    ("address-unreachable",        Some((3, Some(1))),   Some((1, Some(3)))),
    ("protocol-unreachable",       Some((3, Some(2))),   None),
    ("port-unreachable",           Some((3, Some(3))),   Some((1, Some(4)))),
    ("fragmentation-needed",       Some((3, Some(4))),   Some((2, None))),
    ("packet-too-big",             Some((3, Some(4))),   Some((2, None))),
    ("source-route-failed",        Some((3, Some(5))),   None),
    ("network-unknown",            Some((3, Some(6))),   None),
    ("host-unknown",               Some((3, Some(7))),   None),
    ("network-prohibited",         Some((3, Some(9))),   None),
    ("host-prohibited",            Some((3, Some(10))),  None),
    ("tos-network-unreachable",    Some((3, Some(11))),  None),
    ("tos-host-unreachable",       Some((3, Some(12))),  None),
    ("communication-prohibited",   Some((3, Some(13))),  Some((1, Some(1)))),
    ("host-precedence-violation",  Some((3, Some(14))),  None),
    ("precedence-cutoff",          Some((3, Some(15))),  None),
    ("beyond-scope",               None,                 Some((1, Some(2)))),
    ("failed-policy",              None,                 Some((1, Some(5)))),
    ("reject-route",               None,                 Some((1, Some(6)))),
    ("source-quench",              Some((4, None)),      None),
    ("redirect",                   Some((5, None)),      Some((137, None))),
    ("network-redirect",           Some((5, Some(0))),   None),
    ("host-redirect",              Some((5, Some(1))),   None),
    ("tos-network-redirect",       Some((5, Some(2))),   None),
    ("tos-host-redirect",          Some((5, Some(3))),   None),
    ("time-exceeded",              Some((11, None)),     Some((3, None))),
    ("ttl-exceeded",               Some((11, None)),     Some((3, None))),
    ("ttl-zero-during-transit",    Some((11, Some(0))),  Some((3, Some(0)))),
    ("ttl-zero-during-reassembly", Some((11, Some(1))),  Some((3, Some(1)))),
    ("parameter-problem",          Some((12, None)),     Some((4, None))),
    ("ip-header-bad",              Some((12, Some(0))),  None),
    ("required-option-missing",    Some((12, Some(1))),  None),
    ("bad-header",                 None,                 Some((4, Some(0)))),
    ("unknown-header-type",        None,                 Some((4, Some(1)))),
    ("unknown-option",             None,                 Some((4, Some(2)))),
    ("timestamp-request",          Some((13, None)),     None),
    ("timestamp-reply",            Some((14, None)),     None),
    ("address-mask-request",       Some((17, None)),     None),
    ("address-mask-reply",         Some((18, None)),     None),
    ("router-solicitation",        Some((10, None)),     Some((133, None))),
    ("router-advertisement",       Some((9, None)),      Some((134, None))),
    ("neighbour-solicitation",     None,                 Some((135, None))),
    ("neighbor-solicitation",      None,                 Some((135, None))),
    ("neighbour-advertisement",    None,                 Some((136, None))),
    ("neighbor-advertisement",     None,                 Some((136, None))),
    ("mld-listener-query",         None,                 Some((130, None))),
    ("mld-listener-report",        None,                 Some((131, None))),
    ("mld-listener-done",          None,                 Some((132, None))),
    ("mld-listener-reduction",     None,                 Some((132, None))),
    ("mldv2-listener-report",      None,                 Some((143, None))),
];

/// The family that a bare number speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumbersAre {
    /// ICMP.
    V4,
    /// ICMPv6: the rule's protocol is exactly that.
    V6,
}

/// Reads a name, which means both families where both have it, or `8` or `3/4`.
pub(super) fn parse(text: &str, numbers: NumbersAre) -> Result<IcmpSet, String> {
    if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        let pair =
            pair(text).ok_or_else(|| format!("{} is not an ICMP type (8, or with its code \"3/4\")", shown(text)))?;
        return Ok(match numbers {
            NumbersAre::V4 => IcmpSet { v4: codes(pair), v6: Ranges::default() },
            NumbersAre::V6 => IcmpSet { v4: Ranges::default(), v6: codes(pair) },
        });
    }
    let name = text.to_ascii_lowercase();
    let Some((_, v4, v6)) = NAMES.iter().find(|(known, ..)| *known == name) else {
        let known = NAMES.iter().map(|(known, ..)| known);
        return Err(format!("{} is not an ICMP type{}", quoted(text), did_you_mean(text, known)));
    };
    match numbers {
        NumbersAre::V6 if v6.is_none() => Err(format!("{name} is no type of ICMPv6")),
        NumbersAre::V6 => Ok(IcmpSet { v4: Ranges::default(), v6: v6.map(codes).unwrap_or_default() }),
        NumbersAre::V4 => Ok(of_both(*v4, *v6)),
    }
}

fn of_both(v4: Option<Pair>, v6: Option<Pair>) -> IcmpSet {
    IcmpSet { v4: v4.map(codes).unwrap_or_default(), v6: v6.map(codes).unwrap_or_default() }
}

fn pair(text: &str) -> Option<Pair> {
    let byte = |digits: &str| digits.parse::<u8>().ok().filter(|number| number.to_string() == digits);
    match text.split_once('/') {
        Some((kind, code)) => Some((byte(kind)?, Some(byte(code)?))),
        None => Some((byte(text)?, None)),
    }
}

/// All the numbers `type << 8 | code` of a type, or the one of a code.
fn codes((kind, code): Pair) -> Ranges<u16> {
    let (first, last) = code.map_or((0, u8::MAX), |code| (code, code));
    Ranges::from_ranges([(u16::from_be_bytes([kind, first]), u16::from_be_bytes([kind, last]))])
}

impl fmt::Display for IcmpSet {
    /// The name, or types and codes of each family: `icmp 8, icmpv6 2/0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v6_alone = |v6: Option<Pair>| self.v4.is_empty() && v6.map(codes).as_ref() == Some(&self.v6);
        let named = NAMES.iter().find(|&&(_, v4, v6)| of_both(v4, v6) == *self || v6_alone(v6));
        if let Some((name, ..)) = named {
            return f.write_str(name);
        }
        let mut separator = "";
        for (family, pairs) in [("icmp", &self.v4), ("icmpv6", &self.v6)] {
            for (first, last) in pairs.iter() {
                let ([kind, code], [last_kind, last_code]) = (first.to_be_bytes(), last.to_be_bytes());
                write!(f, "{separator}{family} {kind}")?;
                match (code, last_code) {
                    (0, u8::MAX) if kind == last_kind => {}
                    (0, u8::MAX) => write!(f, "-{last_kind}")?,
                    _ if first == last => write!(f, "/{code}")?,
                    _ => write!(f, "/{code}-{last_kind}/{last_code}")?,
                }
                separator = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str, numbers: NumbersAre) -> (Vec<(u16, u16)>, Vec<(u16, u16)>) {
        let set = parse(text, numbers).unwrap();
        (set.v4.iter().collect(), set.v6.iter().collect())
    }

    #[test]
    fn names_mean_both_families_and_numbers_one() {
        assert_eq!(reads("echo-request", NumbersAre::V4), (vec![(0x800, 0x8ff)], vec![(0x8000, 0x80ff)]));
        assert_eq!(reads("Port-Unreachable", NumbersAre::V4), (vec![(0x303, 0x303)], vec![(0x104, 0x104)]));
        assert_eq!(reads("echo-request", NumbersAre::V6), (vec![], vec![(0x8000, 0x80ff)]));
        assert_eq!(reads("8", NumbersAre::V4), (vec![(0x800, 0x8ff)], vec![]));
        assert_eq!(reads("3/4", NumbersAre::V4), (vec![(0x304, 0x304)], vec![]));
        assert_eq!(reads("128", NumbersAre::V6), (vec![], vec![(0x8000, 0x80ff)]));
    }

    #[test]
    fn sets_print_as_their_name_or_their_numbers() {
        assert_eq!(parse("ping", NumbersAre::V4).unwrap().to_string(), "echo-request");
        assert_eq!(parse("128", NumbersAre::V6).unwrap().to_string(), "echo-request");
        assert_eq!(parse("8", NumbersAre::V4).unwrap().to_string(), "icmp 8");
        assert_eq!(parse("3/1", NumbersAre::V4).unwrap().to_string(), "icmp 3/1");
        assert_eq!(parse("200/7", NumbersAre::V6).unwrap().to_string(), "icmpv6 200/7");
    }

    #[test]
    fn what_is_no_type_is_refused() {
        assert!(parse("echo-reqest", NumbersAre::V4).unwrap_err().ends_with("did you mean \"echo-request\"?"));
        assert_eq!(parse("source-quench", NumbersAre::V6).unwrap_err(), "source-quench is no type of ICMPv6");
        for text in ["256", "3/256", "-1", "08", "3/", "/4", ""] {
            assert!(parse(text, NumbersAre::V4).is_err(), "{text}");
        }
    }

    #[test]
    fn each_name_stands_once() {
        let mut names: Vec<_> = NAMES.iter().map(|(name, ..)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }
}
