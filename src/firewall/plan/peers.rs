//! Steps 2 and 3: peers that are allowed, and peers that are blocked.
//!
//! A short list is plain rules in the filter table, where users look. A long one is a set, and acts on what comes in as
//! early as it can: in the raw table, before connection tracking, routing and translation have had their work with a
//! packet that is dropped anyway. What the contract puts before step 3 stands before it there too, or is not in the set
//! ([`Effective`](super::effective::Effective) sees to that).
//!
//! Nothing is gained there for loopback, whose reject answers only conntrack tells, nor for what goes out: both stay in
//! the filter table. So does the destination of what is forwarded, which is final only behind translation.

use super::conditions::{self, End, is_short, network, plain, set};
use super::prefixes::{Address, hull, prefixes};
use super::sets::Sets;
use super::spec::{Match, Target};
use super::steps::Steps;
use crate::firewall::family::Family;
use crate::firewall::names::Hook;
use crate::rules::RuleDirection;
use crate::rules::ranges::Ranges;

/// Does something with the addresses of the family that is being compiled.
macro_rules! of_family {
    ($steps:ident, $set:expr, |$ranges:ident| $work:expr) => {
        match $steps.family() {
            Family::V4 => {
                let $ranges = &$set.v4;
                $work
            }
            Family::V6 => {
                let $ranges = &$set.v6;
                $work
            }
        }
    };
}

impl Steps<'_, '_> {
    /// Step 2.
    pub(super) fn allowed_peers(&mut self, direction: RuleDirection) {
        let effective = self.effective;
        for peers in &effective.allow_ips {
            let all = of_family!(self, peers.addresses, |ranges| matches(ranges, peer_end(direction), self.sets));
            for conditions in all {
                self.writer.allow(peers.number, &conditions);
            }
        }
    }

    /// Step 3, but for what the raw table has dropped.
    pub(super) fn blocked_peers(&mut self, direction: RuleDirection) {
        let effective = self.effective;
        for peers in &effective.block_ips {
            of_family!(self, peers.addresses, |ranges| {
                let here = if direction == RuleDirection::In && self.is_early(ranges) {
                    Match { interface: Some("-i lo".to_owned()), ..Match::default() }
                } else {
                    Match::default()
                };
                self.block_peers(peers.number, ranges, peer_end(direction), &here);
            });
        }
    }

    /// Step 3 for both ends of forwarded traffic, each by itself: all lists for the source, then all for the
    /// destination, then what translation hides. Step 2 has been taken out of the addresses.
    pub(super) fn blocked_ends(&mut self) {
        let effective = self.effective;
        for end in [End::Source, End::Destination] {
            for peers in &effective.block_ips {
                of_family!(self, peers.forwarded, |ranges| self.forwarded_peers(peers.number, ranges, end));
            }
        }
        if self.options.forwards {
            for peers in &effective.block_ips {
                of_family!(self, peers.forwarded, |ranges| self.hidden_peers(peers.number, ranges));
            }
        }
    }

    /// Step 3 in the raw table.
    pub(super) fn early_peers(&mut self) {
        if !self.has_early_peers() {
            return;
        }
        self.writer.begin(Hook::PreRouting);
        let effective = self.effective;
        let mut through = Vec::new();
        for peers in &effective.block_ips {
            of_family!(self, peers.forwarded, |ranges| {
                if self.is_early(ranges) {
                    through.extend(self.early_sources(peers.number, ranges));
                }
            });
        }
        if self.options.forwards {
            self.early_destinations(through);
        }
    }

    /// Whether any list of this family acts in the raw table.
    pub(super) fn has_early_peers(&self) -> bool {
        let mut all = self.effective.block_ips.iter();
        all.any(|peers| of_family!(self, peers.forwarded, |ranges| self.is_early(ranges)))
    }

    fn is_early<A: Address>(&self, ranges: &Ranges<A>) -> bool {
        self.options.raw && !is_short(ranges.len())
    }

    /// What lets a packet go on that a list names. It stands behind the list, so that others do not pay for it.
    fn early_guards(&mut self) {
        let loopback = Match { interface: Some("-i lo".to_owned()), ..Match::default() };
        self.writer.built_in("loopback", &loopback, &Target::Return);
        self.guards();
    }

    /// The source of what comes in, whoever it is for. Returns what the destination is to be held against, and the
    /// chain for it, where packets are passed on.
    fn early_sources<A: Address>(&mut self, number: u32, ranges: &Ranges<A>) -> Option<(u32, String, String)> {
        let name = self.set_name(number, ranges);
        let through = self.options.forwards.then(|| {
            let chain = self.writer.further_raw_chain();
            let outside = self.writer.enter(chain.clone());
            self.early_guards();
            self.writer.stop(number, &Match::default());
            self.writer.enter(outside);
            chain
        });
        let chain = self.writer.further_raw_chain();
        let outside = self.writer.enter(chain.clone());
        self.early_guards();
        // Only a report tells the one from the other.
        if let Some(through) = through.as_ref().filter(|_| self.options.nflog_group.is_some()) {
            self.writer.goto(number, &self.passing(), through);
        }
        self.writer.block(number, &Match::default());
        self.writer.enter(outside);
        self.writer.jump(number, &listed(&name, ranges, End::Source), &chain);
        through.map(|through| (number, name, through))
    }

    /// The destination of what is to be passed on, as it is before translation: behind it no set can be held against
    /// that. What a short list names by its source comes before all destinations, and is left to it.
    fn early_destinations(&mut self, sets: Vec<(u32, String, String)>) {
        let effective = self.effective;
        for peers in &effective.block_ips {
            let sources = of_family!(self, peers.forwarded, |ranges| {
                if is_short(ranges.len()) { plain(ranges, End::Source) } else { Vec::new() }
            });
            for conditions in sources {
                self.writer.allow(peers.number, &conditions);
            }
        }
        for (number, name, through) in sets {
            let destination = set(&name, End::Destination, false).and(self.passing());
            self.writer.jump(number, &destination, &through);
        }
    }

    /// A packet that is neither for this machine nor for many: if it goes on, it is forwarded. Asked of packets of which
    /// the rest is true already, since it costs the kernel a look at its routes.
    ///
    /// What is for this machine, and will be translated and forwarded, is incoming here: it has not been decided yet.
    fn passing(&self) -> Match {
        match self.family() {
            Family::V4 => Match::module("-m addrtype --dst-type UNICAST"),
            // Among the addresses of IPv6 those of this machine are unicast too.
            Family::V6 => Match {
                dst: Some("! -d ff00::/8".to_owned()),
                ..Match::module("-m addrtype ! --dst-type LOCAL,ANYCAST")
            },
        }
    }

    fn block_peers<A: Address>(&mut self, number: u32, ranges: &Ranges<A>, end: End, here: &Match) {
        if is_short(ranges.len()) {
            for conditions in plain(ranges, end) {
                self.writer.block(number, &here.and(conditions));
            }
        } else {
            let name = self.set_name(number, ranges);
            let chain = self.blocking_chain(number);
            self.writer.jump(number, &here.and(listed(&name, ranges, end)), &chain);
        }
    }

    /// The set of a long list, which is the same at each hook: to compare a million networks takes time.
    fn set_name<A: Address>(&mut self, number: u32, ranges: &Ranges<A>) -> String {
        let Self { set_names, sets, .. } = self;
        set_names.entry(number).or_insert_with(|| sets.name(A::content(ranges.clone()))).clone()
    }

    /// The chain that reports and drops for rule `number`: a set is looked up once for both.
    fn blocking_chain(&mut self, number: u32) -> String {
        if let Some(chain) = self.blocking.get(&number) {
            return chain.clone();
        }
        let chain = self.writer.further_chain('B');
        let outside = self.writer.enter(chain.clone());
        self.writer.block(number, &Match::default());
        self.writer.enter(outside);
        self.blocking.insert(number, chain.clone());
        chain
    }

    /// Step 3 for an end of forwarded traffic, but for what the raw table has dropped.
    fn forwarded_peers<A: Address>(&mut self, number: u32, ranges: &Ranges<A>, end: End) {
        let here = match (end, self.family()) {
            (End::Source, Family::V4) if self.is_early(ranges) => return,
            // The raw table lets neighbour discovery pass, which nobody forwards.
            (End::Source, Family::V6) if self.is_early(ranges) => Match::protocol(self.family().icmp()),
            _ => Match::default(),
        };
        self.block_peers(number, ranges, end, &here);
    }

    /// Step 3 for the ends of forwarded traffic that translation hides: the destination before DNAT, and the source
    /// behind SNAT. They are asked for of translated flows alone: an error about another goes by its own ends, and
    /// conntrack would tell those of what it is about.
    ///
    /// A set can't be held against what conntrack remembers. Where it acts in the raw table it is held against both
    /// before they are translated: against the first packet's destination, and against that of replies. What is
    /// left is an address of this machine, which is incoming there.
    fn hidden_peers<A: Address>(&mut self, number: u32, ranges: &Ranges<A>) {
        let hidden: Vec<_> = if is_short(ranges.len()) {
            ranges.iter().flat_map(prefixes).collect()
        } else {
            let own = self.own.iter().filter_map(|&address| A::from_ip(address));
            own.filter(|&address| ranges.contains(address)).map(|address| (address, A::BITS)).collect()
        };
        let hidden = hidden.into_iter().map(|(first, len)| format!("{}/{len}", first.text()));
        for network in hidden {
            for option in ["--ctstate DNAT --ctorigdst", "--ctstate SNAT --ctrepldst"] {
                self.writer.block(number, &Match::module(format!("-m conntrack {option} {network}")));
            }
        }
    }
}

/// The match of a long list. To look into a set costs a packet as much as ten plain conditions: one that lies outside of
/// all networks is told by one of those.
fn listed<A: Address>(name: &str, ranges: &Ranges<A>, end: End) -> Match {
    hull(ranges).map_or_else(Match::default, |all| network(all, end, false)).and(set(name, end, false))
}

const fn peer_end(direction: RuleDirection) -> End {
    match direction {
        RuleDirection::In => End::Source,
        RuleDirection::Out => End::Destination,
    }
}

/// A rule's addresses at one end, whatever their number.
fn matches<A: Address>(ranges: &Ranges<A>, end: End, sets: &mut Sets) -> Vec<Match> {
    match conditions::addresses(ranges, end, sets) {
        Some(condition) if condition.is_always() => vec![Match::default()],
        Some(condition) => condition.any_of,
        None => Vec::new(),
    }
}
