//! What the kernel counted for the rules of a plan: as its tables tell it now, and as `nf_tables` tells it of each rule
//! that is taken out, at that very moment.
//!
//! The second closes the gap that reading first and replacing then leaves open: what is dropped in between would be
//! counted by nobody. The tables of iptables-legacy tell nothing, there the gap stays.

use super::family::Family;
use super::names::TableName;
use super::plan::{Addition, KernelRule, Placed, Plan};
use crate::netlink::{Attributes, Message, Received, Socket};
use std::collections::BTreeMap;
use std::io;

/// The notifications of `nf_tables` (`NFNLGRP_NFTABLES`), as a mask.
const GROUP: u32 = 1 << 6;
/// `NFT_MSG_NEWRULE` and `NFT_MSG_DELRULE` of `NFNL_SUBSYS_NFTABLES`.
const NEW_RULE: u16 = 10 << 8 | 6;
const DELETED_RULE: u16 = 10 << 8 | 8;
/// Attributes of a rule (`NFTA_RULE_*`), of an expression in it (`NFTA_EXPR_*`), and of a counter (`NFTA_COUNTER_*`).
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;
/// Room for what is told of a change, which the kernel doubles: of some fifty thousand rules that are taken out, a
/// kilobyte each. Of more the last ones stay untold.
const ROOM: libc::c_int = 32 << 20;

/// What the kernel counted for a rule, both families together, since the plan was put in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets that it dropped.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What rules had counted when their counters ended as one plan took the place of another; by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Those of the plan that was in force: all that they ever counted.
    pub old: Vec<Counter>,
    /// Those of the new one, where they were put in twice on the way: their counters go on from here.
    pub new: Vec<Counter>,
}

/// The counters of a plan's rules as they are added up.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    v4: Places<'a>,
    v6: Places<'a>,
    /// By number.
    counters: Vec<Counter>,
}

/// The own chains of a family.
type Places<'a> = BTreeMap<&'a str, Place<'a>>;

/// A chain, as its rules are told.
#[derive(Debug)]
struct Place<'a> {
    /// Those of another plan are left blank.
    rules: Vec<Option<&'a KernelRule>>,
    /// How many rules of the chain were told.
    told: usize,
}

impl<'a> Place<'a> {
    fn new(rules: impl IntoIterator<Item = Option<&'a KernelRule>>) -> Self {
        Self { rules: rules.into_iter().collect(), told: 0 }
    }

    /// The rule that is told next, if it is one of these.
    fn next(&mut self) -> Option<&'a KernelRule> {
        let place = self.told % self.rules.len().max(1);
        self.told += 1;
        self.rules.get(place).copied().flatten()
    }
}

impl<'a> Tally<'a> {
    /// Of the rules of this plan: nothing yet.
    pub(super) fn new(plan: &'a Plan) -> Self {
        let places = |family| {
            let chains = plan.chains(family).iter();
            chains.map(|chain| (&*chain.name, Place::new(chain.rules.iter().map(Some)))).collect()
        };
        let counters = vec![Counter::default(); plan.rules().len()];
        Self { v4: places(Family::V4), v6: places(Family::V6), counters }
    }

    /// Of what is taken out as `new` takes the place of `old`: of the old plan all, of the new one what is put in twice.
    ///
    /// Where both have a raw table that is not the same, its chain holds the rules of both for a moment, the new ones
    /// first ([`Wanted::transaction`](super::table::Wanted::transaction)).
    pub(super) fn of_change(old: &'a Plan, new: &'a Plan) -> [Self; 2] {
        let mut tallies = [Self::new(old), Self::new(new)];
        for family in Family::BOTH {
            let [leaving, passing] = tallies.each_mut().map(|tally| tally.places(family));
            let raw_is_both = !new.is_alike(old, family, TableName::Raw);
            passing.retain(|name, place| {
                let Some(before) = leaving.get_mut(name) else { return true };
                let is_both = raw_is_both && TableName::of_chain(name) == TableName::Raw;
                if is_both {
                    let (theirs, ours) = (vec![None; place.rules.len()], vec![None; before.rules.len()]);
                    before.rules.splice(..0, theirs);
                    place.rules.extend(ours);
                }
                is_both
            });
        }
        tallies
    }

    fn places(&mut self, family: Family) -> &mut Places<'a> {
        if family == Family::V4 { &mut self.v4 } else { &mut self.v6 }
    }

    /// A chain in force has got rules of the next plan: of which plan the tally is, `is_ours` tells.
    pub(super) fn add_to_chain(
        &mut self,
        family: Family,
        addition: &Addition<'a>,
        is_ours: impl Fn(&Placed<'_>) -> bool,
    ) {
        let rules = addition.rules.iter().map(|placed| is_ours(placed).then(|| placed.rule()));
        self.places(family).insert(addition.chain, Place::new(rules));
    }

    /// The sums.
    pub(super) fn finish(self) -> Vec<Counter> {
        self.counters
    }

    /// Adds what the tables of a family say, printed with counters.
    pub(super) fn add_saved(&mut self, family: Family, saved: &str) {
        let mut table = "";
        for line in saved.lines() {
            table = line.strip_prefix('*').unwrap_or(table);
            let Some((counts, rule)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] -A ")) else {
                continue;
            };
            let chain = rule.split(' ').next().unwrap_or_default();
            let number = |text: &str| text.parse().unwrap_or(0);
            let (packets, bytes) = counts.split_once(':').unwrap_or_default();
            self.add_next(family, (table, chain), Counter { packets: number(packets), bytes: number(bytes) });
        }
    }

    /// Adds the counter of the next rule of a chain: they are always told in their order, and the whole chain, be it
    /// more than once.
    fn add_next(&mut self, family: Family, (table, chain): (&str, &str), counter: Counter) {
        let place = self.places(family).get_mut(chain).filter(|_| TableName::of_chain(chain).word() == table);
        let number = place.and_then(Place::next).filter(|rule| rule.drops).and_then(|rule| rule.number);
        if let Some(sum) = number.and_then(|number| self.counters.get_mut(number as usize)) {
            sum.packets += counter.packets;
            sum.bytes += counter.bytes;
        }
    }
}

/// What `nf_tables` tells of rules that are taken out, from when it is made on.
pub(super) struct Departures(Socket);

impl Departures {
    /// Listens. Needs no privilege.
    pub(super) fn listen() -> io::Result<Self> {
        let socket = Socket::open(libc::NETLINK_NETFILTER, GROUP)?;
        socket.set_receive_buffer(ROOM)?;
        // A change first takes out and then puts in: what begins with a new rule tells of no other.
        socket.keep_out(NEW_RULE)?;
        Ok(Self(socket))
    }

    /// Adds what the rules that were taken out since had counted at that moment, to each tally its own.
    pub(super) fn add_to(mut self, tallies: &mut [Tally<'_>]) {
        let mut add = |message: Message<'_>| {
            if let Some((family, table, chain, counter)) = read(&message) {
                for tally in &mut *tallies {
                    tally.add_next(family, (&table, &chain), counter);
                }
            }
        };
        // The kernel has told of a change when it has made it. What it had no room for ends what can be read.
        while matches!(self.0.receive(false, &mut add), Ok(Received::Messages)) {}
    }
}

/// Family, table, chain and counter of a rule that was taken out.
fn read(message: &Message<'_>) -> Option<(Family, String, String, Counter)> {
    let (&[family, ..], attributes) = message.split::<4>().filter(|_| message.kind == DELETED_RULE)?;
    let family = match i32::from(family) {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        _ => return None,
    };
    let (mut table, mut chain, mut counter) = (String::new(), String::new(), None);
    for attribute in attributes {
        match attribute.kind {
            RULE_TABLE => table = attribute.text(),
            RULE_CHAIN => chain = attribute.text(),
            RULE_EXPRESSIONS => counter = attribute.nested().find_map(|expression| read_counter(&expression.nested())),
            _ => {}
        }
    }
    Some((family, table, chain, counter?))
}

/// The value of an expression, if that is a counter.
fn read_counter(expression: &Attributes<'_>) -> Option<Counter> {
    let part = |kind| expression.clone().find(|part| part.kind == kind);
    part(EXPRESSION_NAME).filter(|name| name.text() == "counter")?;
    let mut counter = Counter::default();
    for value in part(EXPRESSION_DATA)?.nested() {
        let number = value.payload.first_chunk().map_or(0, |&bytes| u64::from_be_bytes(bytes));
        match value.kind {
            COUNTER_BYTES => counter.bytes = number,
            COUNTER_PACKETS => counter.packets = number,
            _ => {}
        }
    }
    Some(counter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::names::Hook;
    use crate::firewall::plan::Options;
    use crate::firewall::tools::Backend;
    use crate::host::Host;
    use crate::rules::{Origin, parse};
    use crate::time::Timestamp;
    use std::io::ErrorKind;
    use std::path::Path;

    /// As the kernel told it: a rule of `PFW-IN` that had counted 7 packets of 203 bytes, cut down to a comment and its
    /// counter.
    fn departed() -> Vec<u8> {
        let attribute = |kind: u16, payload: &[u8]| {
            let len = u16::try_from(4 + payload.len()).unwrap();
            let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
            bytes.extend_from_slice(payload);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let nested = |kind: u16, inner: Vec<u8>| attribute(kind | 1 << 15, &inner);
        let values =
            [attribute(COUNTER_BYTES, &203_u64.to_be_bytes()), attribute(COUNTER_PACKETS, &7_u64.to_be_bytes())];
        let counter = [attribute(EXPRESSION_NAME, b"counter\0"), nested(EXPRESSION_DATA, values.concat())].concat();
        let before = [attribute(EXPRESSION_NAME, b"match\0"), nested(EXPRESSION_DATA, Vec::new())].concat();
        let expressions = [nested(1, before), nested(1, counter)].concat();
        let head = [2, 0, 0, 5];
        let rule = [
            attribute(RULE_TABLE, b"filter\0"),
            attribute(RULE_CHAIN, b"PFW-IN\0"),
            nested(RULE_EXPRESSIONS, expressions),
        ];
        [head.as_slice(), &rule.concat()].concat()
    }

    #[test]
    fn a_rule_that_is_taken_out_is_told_with_its_counter() {
        let payload = departed();
        let message = Message { kind: DELETED_RULE, flags: 0, sequence: 0, payload: &payload };
        let counter = Counter { packets: 7, bytes: 203 };
        assert_eq!(read(&message), Some((Family::V4, "filter".to_owned(), "PFW-IN".to_owned(), counter)));
        assert_eq!(read(&Message { kind: NEW_RULE, ..message }), None);
        for cut in 0..payload.len() {
            assert_eq!(read(&Message { payload: &payload[..cut], ..message }), None, "{cut}");
        }
    }

    #[test]
    fn of_two_raw_tables_in_one_each_rule_counts_for_its_own_plan() {
        let plan = |generation, first: u8, before: Option<&Plan>| {
            let peers: Vec<_> = (0..40).map(|n| format!("\"192.0.2.{}\"", first + n * 2)).collect();
            let rules = format!(r#"{{ "block_ips": [{}] }}"#, peers.join(","));
            let origin = Origin { file: "", folder: Path::new(""), read: &|_: &Path| Err(ErrorKind::NotFound.into()) };
            let rules = parse(rules.into_bytes(), &origin).expect("sound rules").ruleset;
            let options = Options {
                generation,
                nflog_group: None,
                raw: true,
                bpf: true,
                last_user: 65_534,
                backend: Backend::NfTables,
                forwards: false,
            };
            let nothing = Plan::nothing(options);
            before.unwrap_or(&nothing).next(&rules, &Host::default(), options, Timestamp::MIN)
        };
        let raw = ("raw", Hook::PreRouting.own());
        let told = |tallies: &mut [Tally<'_>], counts: &[u64]| {
            for &packets in counts {
                for tally in &mut *tallies {
                    tally.add_next(Family::V4, raw, Counter { packets, bytes: 0 });
                }
            }
        };
        let sums = |tallies: [Tally<'_>; 2]| tallies.map(|tally| tally.finish()[0].packets);
        let (old, new) = (plan(1, 0, None), plan(2, 1, None));
        let mut tallies = Tally::of_change(&old, &new);
        // ICMP, the drop, the mark: of the new plan, then of the old one.
        told(&mut tallies, &[9, 7, 9, 9, 5, 9]);
        assert_eq!(sums(tallies), [5, 7]);
        let again = plan(3, 0, Some(&old));
        let mut tallies = Tally::of_change(&old, &again);
        told(&mut tallies, &[9, 5, 9]);
        assert_eq!(sums(tallies), [5, 0], "the raw table says the same");
    }

    #[test]
    fn what_the_tables_say_and_what_departs_is_added_up_by_rule() {
        let rule = |number, drops| KernelRule { text: String::new(), number, drops };
        let rules = [rule(None, false), rule(Some(1), false), rule(Some(1), true), rule(Some(0), true)];
        let counters = vec![Counter::default(); 2];
        let place = Place::new(rules.iter().map(Some));
        let mut tally = Tally { v4: BTreeMap::from([("PFW-IN", place)]), v6: BTreeMap::new(), counters };
        tally.add_saved(
            Family::V4,
            "*raw\n[9:9] -A PFW-IN -j DROP\n*filter\n[9:9] -A INPUT -j PFW-IN\n[8:8] -A PFW-IN -m x\n\
             [4:40] -A PFW-IN -j NFLOG\n[4:40] -A PFW-IN -j DROP\n[2:20] -A PFW-IN -j DROP\nCOMMIT\n",
        );
        for packets in [8, 5, 5, 3] {
            tally.add_next(Family::V4, ("filter", "PFW-IN"), Counter { packets, bytes: 0 });
        }
        assert_eq!(tally.finish(), [Counter { packets: 5, bytes: 20 }, Counter { packets: 9, bytes: 40 }]);
    }
}
