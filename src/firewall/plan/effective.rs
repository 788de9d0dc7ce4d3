//! What of a rule set is in force, with the number of each rule: the part of a plan that is the same for both families.

use super::conditions::is_short;
use super::ledger::{Ledger, Origin};
use super::shared;
use crate::host::Host;
use crate::rules::address::{AddressRange, AddressSet};
use crate::rules::exact::{ExactSet, Term};
use crate::rules::port::PortSet;
use crate::rules::protocol::ProtocolSet;
use crate::rules::ranges::{Number, Ranges};
use crate::rules::{Action, AddressEntry, Entry, Policy, Rule, RuleDirection, Ruleset};
use crate::time::Timestamp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Lists of up to this many entries are plain rules, one for each, where users look for them and see their counters;
/// longer ones act as one rule. A hundred plain rules cost a host a third of its packet rate.
const PLAIN_ENTRIES: usize = 16;

/// The addresses of block lists, put in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    known: Vec<(Arc<[AddressRange]>, Arc<AddressSet>)>,
}

impl Lists {
    /// Those of a list, if it is the very same.
    fn get(&self, networks: &Arc<[AddressRange]>) -> Option<Arc<AddressSet>> {
        let known = self.known.iter().find(|(list, _)| Arc::ptr_eq(list, networks));
        known.map(|(_, addresses)| Arc::clone(addresses))
    }
}

/// One rule of steps 2 and 3.
#[derive(Debug)]
pub(super) struct Peers {
    pub(super) number: u32,
    /// The peers that it acts on.
    pub(super) addresses: AddressSet,
    /// Those that it acts on as an end of forwarded traffic: not those of `allow_ips`.
    pub(super) forwarded: AddressSet,
}

/// One rule of another list.
#[derive(Debug)]
pub(super) struct Listed<Set> {
    pub(super) number: u32,
    pub(super) set: Set,
}

/// A rule set as the kernel is to be told it.
#[derive(Debug, Default)]
pub(super) struct Effective<'a> {
    /// The rule of a panic, if there is one, and this machine's own addresses. All else is empty then.
    pub(super) panic: Option<Listed<AddressSet>>,
    pub(super) allow_ips: Vec<Peers>,
    pub(super) block_ips: Vec<Peers>,
    pub(super) block_ports: Vec<Listed<PortSet>>,
    pub(super) block_protocols: Vec<Listed<ProtocolSet>>,
    pub(super) rules: Vec<(u32, &'a Rule)>,
    /// The number of the reports that ordered rules share, if any do.
    pub(super) shared: Option<u32>,
    pub(super) allow_protocols: Vec<Listed<ProtocolSet>>,
    /// The rule that blocks what `allow_protocols` does not list, if it lists anything.
    pub(super) other_protocols: Option<u32>,
    /// The rule that denies what comes in, and what goes out.
    pub(super) deny: (Option<u32>, Option<u32>),
}

impl<'a> Effective<'a> {
    /// What of `rules` is in force at `now` on the machine `host`.
    ///
    /// `lists` are those of the plan before, and then of this one.
    pub(super) fn new(rules: &'a Ruleset, host: &Host, now: Timestamp, lists: &mut Lists, ledger: &mut Ledger) -> Self {
        if rules.panic {
            // The lists are as those of the plan before: they are not put in order again when it ends.
            let panic = Listed { number: ledger.add(&"panic".into(), Origin::Panic), set: own(host) };
            return Self { panic: Some(panic), ..Self::default() };
        }
        let allowed: AddressSet = meaning(&in_force(&rules.allow_ips, now));
        let allow_ips = address_list(&rules.allow_ips, now, "allow_ips", Origin::AllowIps, &allowed, ledger);
        let mut block_ips = address_list(&rules.block_ips, now, "block_ips", Origin::BlockIps, &allowed, ledger);
        block_ips.extend(block_lists(rules, host, now, (&allowed, lists), ledger));
        detach(&mut block_ips, &allowed);
        let block_ports = list(&rules.block_ports, now, "block_ports", Origin::BlockPorts, ledger);
        let block_protocols = list(&rules.block_protocols, now, "block_protocols", Origin::BlockProtocols, ledger);
        let ordered = || rules.rules.iter().filter(|rule| rule.enabled && ahead(rule.expires, now));
        let shared = shared::number(ordered(), ledger);
        let share = |rule| shared.is_some() && shared::can_share(rule);
        let ordered = ordered().map(|rule| (ledger.add_rule(rule, share(rule)), rule)).collect();
        let allow_protocols = list(&rules.allow_protocols, now, "allow_protocols", Origin::AllowProtocols, ledger);
        let some_listed = !in_force(&rules.allow_protocols, now).is_empty();
        let other_protocols = some_listed.then(|| ledger.add(&"allow_protocols".into(), Origin::AllowProtocols));
        let policy = rules.default_policy;
        let denies = [policy.incoming, policy.outgoing].contains(&Policy::Deny);
        let number = denies.then(|| ledger.add(&"default_policy".into(), Origin::DefaultPolicy));
        let deny =
            (number.filter(|_| policy.incoming == Policy::Deny), number.filter(|_| policy.outgoing == Policy::Deny));
        let block_protocols = block_protocols.into_iter().filter(|listed| !listed.set.is_empty()).collect();
        Self {
            panic: None,
            allow_ips,
            block_ips,
            block_ports,
            block_protocols,
            rules: ordered,
            shared,
            allow_protocols,
            other_protocols,
            deny,
        }
    }

    /// Whether anything blocks forwarded traffic: a panic, or a list of steps 3, 5 and 6.
    pub(super) fn blocks_forwarded(&self) -> bool {
        let lists = self.block_ips.is_empty() && self.block_ports.is_empty() && self.block_protocols.is_empty();
        self.panic.is_some() || !lists
    }

    /// Whether a step after 6 can block in `direction`: only then it matters what is a reply.
    pub(super) fn later_steps_block(&self, direction: RuleDirection) -> bool {
        let blocks =
            |rule: &Rule| rule.action != Action::Allow && rule.direction.is_none_or(|wanted| wanted == direction);
        self.blocks_the_rest(direction) || self.rules.iter().any(|(_, rule)| blocks(rule))
    }

    /// Whether a step after 4 can block in `direction`: only then its guards have anything to let pass.
    pub(super) fn blocks_behind_guards(&self, direction: RuleDirection) -> bool {
        !(self.block_ports.is_empty() && self.block_protocols.is_empty()) || self.later_steps_block(direction)
    }

    /// Whether anything blocks in `direction` that no ordered rule decides about.
    pub(super) fn blocks_the_rest(&self, direction: RuleDirection) -> bool {
        self.other_protocols.is_some() || self.denies(direction).is_some()
    }

    /// The rule that denies in `direction`, if one does.
    pub(super) const fn denies(&self, direction: RuleDirection) -> Option<u32> {
        match direction {
            RuleDirection::In => self.deny.0,
            RuleDirection::Out => self.deny.1,
        }
    }

    /// Whether any rule answers what it blocks.
    pub(super) fn rejects(&self) -> bool {
        self.rules.iter().any(|(_, rule)| rule.action == Action::Reject)
    }

    /// Whether anything looks behind the IP header, where a later fragment has nothing to show.
    pub(super) fn needs_whole_packets(&self) -> bool {
        let looks = |rule: &Rule| rule.src_port.is_some() || rule.dst_port.is_some() || rule.icmp_type.is_some();
        !self.block_ports.is_empty() || self.rules.iter().any(|(_, rule)| looks(rule))
    }
}

fn ahead(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_none_or(|end| end > now)
}

fn in_force<T>(entries: &[Entry<T>], now: Timestamp) -> Vec<&Entry<T>> {
    entries.iter().filter(|entry| entry.enabled && ahead(entry.expires, now)).collect()
}

/// What the entries of a list mean together: any of the positive ones (everything, if there is none) and none of the
/// negated; nothing, if there are none.
fn meaning<T: Term>(entries: &[&Entry<T>]) -> T::Set {
    let of = |negated: bool| entries.iter().filter(move |entry| entry.negated == negated).map(|entry| &entry.value);
    match (of(false).next(), of(true).next()) {
        (None, None) => T::Set::default(),
        (None, Some(_)) => T::Set::all().difference(&T::union_of(of(true))),
        (Some(_), None) => T::union_of(of(false)),
        (Some(_), Some(_)) => T::union_of(of(false)).difference(&T::union_of(of(true))),
    }
}

/// A list as one rule for each positive entry, or as one rule if it is long or has none. Nothing is left of an entry
/// that the negated ones take away.
fn list<T: Term>(
    entries: &[Entry<T>],
    now: Timestamp,
    name: &str,
    origin: Origin,
    ledger: &mut Ledger,
) -> Vec<Listed<T::Set>> {
    let active = in_force(entries, now);
    let positive: Vec<_> = active.iter().filter(|entry| !entry.negated).collect();
    let mut rules = Vec::new();
    if positive.is_empty() || positive.len() > PLAIN_ENTRIES {
        let set = meaning(&active);
        if !set.is_empty() {
            let number = match (positive.first(), active.first()) {
                (None, Some(first)) => ledger.add(&first.id, origin),
                _ => ledger.add_list(name, origin, positive.iter().map(|entry| &entry.id)),
            };
            rules.push(Listed { number, set });
        }
        return rules;
    }
    let negated: Vec<_> = active.iter().filter(|entry| entry.negated).map(|entry| &entry.value).collect();
    let negated = T::union_of(negated.into_iter());
    for entry in positive {
        let set = T::union_of(std::iter::once(&entry.value)).difference(&negated);
        if !set.is_empty() {
            rules.push(Listed { number: ledger.add(&entry.id, origin), set });
        }
    }
    rules
}

fn address_list(
    entries: &[AddressEntry],
    now: Timestamp,
    name: &str,
    origin: Origin,
    allowed: &AddressSet,
    ledger: &mut Ledger,
) -> Vec<Peers> {
    list(entries, now, name, origin, ledger)
        .into_iter()
        .map(|listed| peers(listed.number, listed.set, allowed))
        .collect()
}

fn peers(number: u32, addresses: AddressSet, allowed: &AddressSet) -> Peers {
    Peers { number, forwarded: addresses.difference(allowed), addresses }
}

/// Takes out of each long list what stands in front of it anyway: `allow_ips`, and the short lists before it. So it may
/// act before them, and the same addresses serve every hook. A list is as long as what `allow_ips` leaves of it.
fn detach(lists: &mut [Peers], allowed: &AddressSet) {
    fn take_out<A: Number>(ranges: &mut Ranges<A>, allowed: &Ranges<A>, in_front: &mut Ranges<A>) {
        if !is_short(ranges.len()) || !is_short(ranges.difference(allowed).len()) {
            *ranges = ranges.difference(in_front);
        }
        if is_short(ranges.len()) {
            *in_front = in_front.union(ranges);
        }
    }
    let mut in_front = allowed.clone();
    for peers in lists {
        take_out(&mut peers.addresses.v4, &allowed.v4, &mut in_front.v4);
        take_out(&mut peers.addresses.v6, &allowed.v6, &mut in_front.v6);
        peers.forwarded = peers.addresses.difference(allowed);
    }
}

/// Block lists are bulk that nobody has read: what this machine lives on is taken out of them.
fn block_lists(
    rules: &Ruleset,
    host: &Host,
    now: Timestamp,
    (allowed, lists): (&AddressSet, &mut Lists),
    ledger: &mut Ledger,
) -> Vec<Peers> {
    let spared = spared(host);
    let active = rules.block_lists.iter().filter(|list| list.enabled && ahead(list.expires, now));
    let (mut all, before) = (Vec::new(), std::mem::take(lists));
    for list in active {
        // `allow_ips` comes before: what it lists need not be here, and one set serves forwarded traffic too.
        let all_of_it = before.get(&list.networks).unwrap_or_else(|| Arc::new(list.networks.iter().collect()));
        let set = all_of_it.difference(&spared).difference(allowed);
        lists.known.push((Arc::clone(&list.networks), all_of_it));
        if !set.is_empty() {
            all.push(peers(ledger.add(&list.id, Origin::BlockLists), set, allowed));
        }
    }
    all
}

fn spared(host: &Host) -> AddressSet {
    let others = host.gateways.iter().chain(&host.resolvers).chain(&host.ssh_peers);
    let others: Vec<_> = others.map(|&address| AddressRange::from(address)).collect();
    own(host).union(&others.iter().collect())
}

/// The addresses of this machine: those of its interfaces, and of loopback.
fn own(host: &Host) -> AddressSet {
    let loopback = [
        AddressRange::V4 { first: Ipv4Addr::new(127, 0, 0, 0), last: Ipv4Addr::new(127, 255, 255, 255) },
        IpAddr::V6(Ipv6Addr::LOCALHOST).into(),
    ];
    let addresses = host.addresses.iter().map(|&(address, _)| AddressRange::from(address));
    let ranges: Vec<_> = loopback.into_iter().chain(addresses).collect();
    ranges.iter().collect()
}
