//! Steps 2 and 3: peers that are allowed, and peers that are blocked.
//!
//! A short list is plain rules in the filter table, where users look. A long one is a set, and acts on what comes in as
//! early as it can: in the raw table, before connection tracking, routing and translation have had their work with a
//! packet that is dropped anyway. What the contract puts before step 3 stands before it there too, or is not in the set
//! ([`Effective`](super::effective::Effective) sees to that).
//!
//! Nothing is gained there for what goes out, which stays in the filter table. So does the destination of what is forwarded,
//! which is final only behind translation; and loopback, where only conntrack tells the answer of a `reject`, or fragments
//! are to be reported as one.

use super::conditions::{self, End, is_short, network, plain, set};
use super::effective::Listed;
use super::prefixes::{Address, hull, prefixes};
use super::sets::Sets;
use super::spec::{Match, Target};
use super::steps::Steps;
use crate::firewall::family::Family;
use crate::firewall::names::Hook;
use crate::rules::RuleDirection;
use crate::rules::address::AddressSet;
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
    /// A panic, behind step 1: what this machine says to itself goes on, all else is blocked.
    ///
    /// To tell it by the interface alone is not enough: what is sent to an own address, and led elsewhere by translation, is
    /// on its way by loopback as far as rules can see. By the address alone is not enough either: it can be forged.
    pub(super) fn panic(&mut self, panic: &Listed<AddressSet>, direction: RuleDirection) {
        self.guards();
        let own = of_family!(self, panic.set, |ranges| matches(ranges, peer_end(direction), self.sets));
        for address in own {
            self.writer.built_in("loopback", &on_loopback(direction).and(address), &Target::Return);
        }
        self.writer.block(panic.number, &Match::default());
    }

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
                if let Some(here) = self.left(direction, ranges) {
                    self.block_peers(peers.number, ranges, peer_end(direction), &here);
                }
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

    /// Whether the raw table leaves what comes in by loopback to the filter table.
    fn leaves_loopback(&self) -> bool {
        self.options.nflog_group.is_some() || self.effective.rejects()
    }

    /// Whether step 3 has anything left to block at the hook of the filter table.
    pub(super) fn blocks_peers(&self, direction: RuleDirection) -> bool {
        let mut all = self.effective.block_ips.iter();
        all.any(|peers| {
            of_family!(self, peers.addresses, |ranges| !ranges.is_empty() && self.left(direction, ranges).is_some())
        })
    }

    /// Which packets the raw table leaves to step 3 at the hook of the filter table; none if it has dropped all.
    fn left<A: Address>(&self, direction: RuleDirection, ranges: &Ranges<A>) -> Option<Match> {
        let is_early = direction == RuleDirection::In && self.is_early(ranges);
        if is_early { self.leaves_loopback().then(|| on_loopback(direction)) } else { Some(Match::default()) }
    }

    /// The source of what comes in, whoever it is for. Returns what the destination is to be held against, and the
    /// chain for it, where packets are passed on.
    ///
    /// All that the guards let pass is ICMP: that alone is led past them. The rest is dropped where the set has told it,
    /// if there is no more to be done: each further rule that it satisfies costs half as much as looking into the set.
    fn early_sources<A: Address>(&mut self, number: u32, ranges: &Ranges<A>) -> Option<(u32, String, String)> {
        let name = self.set_name(number, ranges);
        let through = self.options.forwards.then(|| {
            self.in_raw_chain(|steps| {
                steps.leave_loopback();
                steps.guards();
                steps.writer.stop(number, &Match::default());
            })
        });
        let blocking = self.leaves_loopback().then(|| {
            self.in_raw_chain(|steps| {
                steps.leave_loopback();
                // Only a report tells the one from the other.
                if let Some(through) = through.as_ref().filter(|_| steps.options.nflog_group.is_some()) {
                    steps.writer.goto(number, &steps.passing(), through);
                }
                steps.writer.block(number, &Match::default());
            })
        });
        let guarded = self.in_raw_chain(|steps| {
            steps.guards();
            steps.block_early(number, &Match::default(), blocking.as_deref());
        });
        let listed = listed(&name, ranges, End::Source);
        let of_icmp = Match::protocol(self.family().icmp());
        self.writer.goto(number, &of_icmp.and(listed.clone()), &guarded);
        self.block_early(number, &listed, blocking.as_deref());
        through.map(|through| (number, name, through))
    }

    /// Stands behind a look into a set: others would pay more for it than for the look at the whole list.
    fn leave_loopback(&mut self) {
        if self.leaves_loopback() {
            self.writer.built_in("loopback", &on_loopback(RuleDirection::In), &Target::Return);
        }
    }

    /// Leads to the chain that blocks, or blocks in place without one.
    fn block_early(&mut self, number: u32, conditions: &Match, chain: Option<&str>) {
        match chain {
            Some(chain) => self.writer.goto(number, conditions, chain),
            None => self.writer.block(number, conditions),
        }
    }

    /// Writes a further chain of the raw table; its name.
    fn in_raw_chain(&mut self, write: impl FnOnce(&mut Self)) -> String {
        let chain = self.writer.further_raw_chain();
        let outside = self.writer.enter(chain.clone());
        write(self);
        self.writer.enter(outside);
        chain
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

/// The loopback interface, at the hook of a direction.
pub(super) fn on_loopback(direction: RuleDirection) -> Match {
    let lo = if direction == RuleDirection::In { "-i lo" } else { "-o lo" };
    Match { interface: Some(lo.to_owned()), ..Match::default() }
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
