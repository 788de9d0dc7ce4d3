//! Rules that no packet ever gets to, because what acts before them decides each one they would match.

use super::shelf::Shelf;
use super::traffic::{Box5, Matches, SPACES, Side};
use super::{Active, outlives, rule_path};
use crate::packet::Protocol;
use crate::rules::address::AddressSet;
use crate::rules::diagnostic::Finding;
use crate::rules::icmp::IcmpSet;
use crate::rules::model::{Action, Rule, RuleDirection};
use crate::rules::protocol::ProtocolSet;
use crate::rules::ranges::Ranges;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Comparisons of boxes and ranges for a whole rule set, about half a second; beyond, nothing more is said. A
/// thousand rules that each reach every space take a third of it, and ten thousand that ask for one address each less.
const BUDGET: usize = 12_000_000;

/// Pieces that a rule may fall into while earlier ones are taken away from it; beyond, nothing is said of it.
const MAX_PIECES: usize = 256;

/// Ranges of a box that is taken away piece by piece; a larger one counts only where it covers a rule alone.
const MAX_WEIGHT: usize = 4_096;

/// What acts before a rule: another rule, or a step of the order of decision.
struct Earlier<'r> {
    name: String,
    rule: Option<&'r Rule>,
    expires: Option<Timestamp>,
    boxes: Vec<Box5>,
}

/// All that acts before, and for each space who has a box in it.
#[derive(Default)]
struct Order<'r> {
    earlier: Vec<Earlier<'r>>,
    by_space: [Shelf; SPACES],
    spent: usize,
}

/// How a rule is kept from acting.
enum Covered {
    /// By one alone.
    By(usize),
    /// By several together.
    Together(BTreeSet<usize>),
}

/// Who decides the packets of one box.
#[derive(Default)]
struct Cover {
    /// Each of these all of them.
    alone: BTreeSet<usize>,
    /// Each of these some, and together all.
    parts: BTreeSet<usize>,
}

pub(super) fn lint(active: &Active<'_>, findings: &mut Vec<Finding>) {
    let interfaces = Interfaces::of(&active.rules);
    let mut order = Order::default();
    for earlier in steps(active) {
        order.push(earlier);
    }
    for &rule in &active.rules {
        let boxes = Matches::from(rule).boxes(&interfaces.of_rule(rule));
        let mut tell = |message: String| findings.push(Finding::new(rule.offset, rule_path(rule), message));
        if is_unconditional(rule) {
            tell("no condition: it decides every packet that comes so far".to_owned());
        }
        if boxes.is_empty() {
            tell("no packet can fulfil all conditions of this rule".to_owned());
        } else if let Some(covered) = order.covers(&boxes, rule.expires) {
            tell(order.explain(&covered, rule, &boxes));
        }
        order.push(Earlier { name: named(rule), rule: Some(rule), expires: rule.expires, boxes });
    }
}

fn is_unconditional(rule: &Rule) -> bool {
    rule.direction.is_none()
        && rule.protocol.is_none()
        && rule.src.is_none()
        && rule.dst.is_none()
        && rule.src_port.is_none()
        && rule.dst_port.is_none()
        && rule.icmp_type.is_none()
        && rule.interface.is_empty()
}

fn named(rule: &Rule) -> String {
    format!("{} ({})", rule_path(rule), rule.id)
}

/// The steps that take packets away before the rules: 1 to 6. Replies (7) are not what rules speak of, and a block
/// list spares addresses that only the running machine knows.
fn steps<'r>(active: &Active<'_>) -> Vec<Earlier<'r>> {
    let everywhere: Side = Rc::new(Ranges::all());
    let mut steps = Vec::new();
    let mut step = |name: &str, matches: &[Matches<'_>]| {
        let boxes: Vec<_> = matches.iter().flat_map(|matches| matches.boxes(&everywhere)).collect();
        if !boxes.is_empty() {
            steps.push(Earlier { name: name.to_owned(), rule: None, expires: None, boxes });
        }
    };
    let peers = |set| {
        let incoming = Matches { way: Some(RuleDirection::In), src: Some(set), ..Matches::default() };
        [incoming, Matches { way: Some(RuleDirection::Out), dst: Some(set), ..Matches::default() }]
    };
    let guarded = guarded_types();
    let ipv4 = AddressSet { v4: Ranges::all(), v6: Ranges::default() };
    let igmp = Some(ProtocolSet::from_iter([Protocol::IGMP]));
    let igmp = Matches { protocol: igmp, src: Some(&ipv4), ..Matches::default() };
    step("a built-in guard", &[Matches { icmp_type: Some(&guarded), ..Matches::default() }, igmp]);
    step("allow_ips", &peers(&active.allow_ips.lasting));
    step("block_ips", &peers(&active.block_ips.lasting));
    let ports = &active.block_ports.lasting;
    let by_source = Matches { src_port: Some(ports), ..Matches::default() };
    step("block_ports", &[by_source, Matches { dst_port: Some(ports), ..Matches::default() }]);
    step("block_protocols", &[Matches { protocol: Some(active.block_protocols.lasting), ..Matches::default() }]);
    steps
}

/// The ICMP messages that a guard always allows: path MTU and multicast listener messages. (Neighbour discovery
/// depends on the hop limit, which no rule can name.)
fn guarded_types() -> IcmpSet {
    let types = |first: u8, last: u8| (u16::from(first) << 8, u16::from(last) << 8 | 0xff);
    IcmpSet { v4: Ranges::one(0x0304), v6: Ranges::from_ranges([types(2, 2), types(130, 132), types(143, 143)]) }
}

impl<'r> Order<'r> {
    fn push(&mut self, earlier: Earlier<'r>) {
        let number = self.earlier.len();
        for it in &earlier.boxes {
            if let Some(space) = self.by_space.get_mut(it.space.number()) {
                space.push(number, it.clone());
            }
        }
        self.earlier.push(earlier);
    }

    /// What decides every packet of `boxes` before, for as long as a rule lives that expires at `expires`.
    fn covers(&mut self, boxes: &[Box5], expires: Option<Timestamp>) -> Option<Covered> {
        let mut spent = self.spent;
        let covers: Option<Vec<_>> = boxes.iter().map(|whole| self.cover_of(whole, expires, &mut spent)).collect();
        self.spent = spent;
        let covers = covers?;
        let alone = covers.iter().map(|cover| cover.alone.clone()).reduce(|a, b| a.intersection(&b).copied().collect());
        let together = || covers.iter().flat_map(|cover| &cover.parts).copied().collect();
        let first = alone.and_then(|alone| alone.first().copied());
        Some(first.map_or_else(|| Covered::Together(together()), Covered::By))
    }

    /// What decides every packet of one box before; none if there is a packet left, or if it takes too long to tell.
    fn cover_of(&self, whole: &Box5, expires: Option<Timestamp>, spent: &mut usize) -> Option<Cover> {
        let mut cover = Cover::default();
        let mut pieces = vec![whole.clone()];
        for (number, other) in self.by_space.get(whole.space.number())?.near(whole) {
            *spent += 1;
            if *spent > BUDGET {
                return None;
            }
            let lasts = self.earlier.get(*number).is_some_and(|earlier| outlives(earlier.expires, expires));
            if !lasts || whole.is_apart(other) {
                continue;
            }
            if whole.is_within(other) {
                cover.alone.insert(*number);
            } else if other.weight() > MAX_WEIGHT {
                continue;
            }
            *spent += pieces.iter().map(|piece| piece.weight() + other.weight().min(MAX_WEIGHT)).sum::<usize>();
            let left: Vec<_> = pieces.iter().flat_map(|piece| piece.without(other)).collect();
            if left != pieces {
                cover.parts.insert(*number);
            }
            pieces = left;
            if *spent > BUDGET || pieces.len() > MAX_PIECES {
                return None;
            }
        }
        pieces.is_empty().then_some(cover)
    }

    fn explain(&self, covered: &Covered, rule: &Rule, boxes: &[Box5]) -> String {
        const NAMED: usize = 3;
        match covered {
            Covered::By(number) => {
                let Some(earlier) = self.earlier.get(*number) else { return String::new() };
                let name = &earlier.name;
                match earlier.rule {
                    Some(first) if earlier.boxes == boxes && first.action == rule.action => {
                        format!("never acts: it repeats {name}")
                    }
                    Some(first) if earlier.boxes == boxes => {
                        let (says, first) = (verb(rule.action), verb(first.action));
                        format!(
                            "never acts: it would {says} just what {name} is there to {first}, and that comes first"
                        )
                    }
                    _ => format!("never acts: {name} decides every packet that it matches"),
                }
            }
            Covered::Together(numbers) => {
                let names: Vec<_> =
                    numbers.iter().filter_map(|&number| self.earlier.get(number)).map(|it| &*it.name).collect();
                let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
                let more = match names.len().saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let (decide, together) = if names.len() == 1 { ("decides", "") } else { ("decide", " together") };
                format!("never acts: {shown}{more}{together} {decide} every packet that it matches")
            }
        }
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Block => "block",
        Action::Reject => "reject",
    }
}

/// The interfaces that a rule set tells apart, numbered: each name that a rule writes out; for each `prefix+` all
/// other names with that prefix and none longer; and with the empty prefix, the rest.
struct Interfaces {
    names: Vec<String>,
    prefixes: Vec<String>,
}

impl Interfaces {
    fn of(rules: &[&Rule]) -> Self {
        let patterns = || rules.iter().flat_map(|rule| &rule.interface).map(|(_, pattern)| &**pattern);
        let names = patterns().filter(|pattern| !pattern.ends_with('+')).chain(["lo"]);
        let prefixes = patterns().filter_map(|pattern| pattern.strip_suffix('+')).chain([""]);
        let sorted = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
        Self { names: sorted(names.collect()), prefixes: sorted(prefixes.collect()) }
    }

    /// The numbers of those on which `rule` acts.
    fn of_rule(&self, rule: &Rule) -> Side {
        let on_name =
            |name: &String| if name == "lo" && !rule.names_loopback() { false } else { rule.interface_matches(name) };
        let names = self.names.iter().map(on_name);
        let prefixes = self.prefixes.iter().map(|prefix| {
            // A name that begins so, and that no rule writes out or has as a longer prefix: none has a NUL.
            rule.interface_matches(&format!("{prefix}\u{0}"))
        });
        let numbers = (0_u128..).zip(names.chain(prefixes)).filter(|(_, acts)| *acts);
        Rc::new(Ranges::from_ranges(numbers.map(|(number, _)| (number, number))))
    }
}
