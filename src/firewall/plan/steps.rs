//! The order of decision as chains: each function is a step of the contract, in its order.

use super::Options;
use super::chains::Writer;
use super::conditions::{
    self, Condition, End, Means, addresses, interfaces, port_text, ports_at_either_end, transport,
};
use super::effective::{Effective, Listed};
use super::groups::{Numbered, groups};
use super::icmp::of_type;
use super::peers;
use super::sets::Sets;
use super::spec::{Match, Target};
use crate::firewall::family::Family;
use crate::firewall::names::{Hook, Reported};
use crate::firewall::tools::Backend;
use crate::packet::Protocol;
use crate::rules::address::AddressSet;
use crate::rules::port::PortSet;
use crate::rules::protocol::ProtocolSet;
use crate::rules::ranges::Ranges;
use crate::rules::{Action, Rule, RuleDirection};
use std::collections::HashMap;
use std::net::IpAddr;

/// Compiles one family.
pub(super) struct Steps<'a, 'b> {
    pub(super) effective: &'a Effective<'a>,
    pub(super) writer: Writer<'b>,
    pub(super) sets: &'a mut Sets,
    /// Own addresses of the machine.
    pub(super) own: &'a [IpAddr],
    pub(super) options: Options,
    /// The chain that reports and drops for each rule that is told by a set.
    pub(super) blocking: HashMap<u32, String>,
    /// The set of each long list of blocked peers.
    pub(super) set_names: HashMap<u32, String>,
}

pub(super) const STATE: &str = "-m conntrack --ctstate";

/// Over how many chains many ordered rules are spread, and how many rules a chain has at least then. To print a piece of a
/// chain the kernel steps over all of it that has been printed (`__nf_tables_dump_rules`): one of twenty thousand rules
/// takes half a second to read back. It lets chains lead no deeper than 16.
const PARTS: usize = 8;
const PART: usize = 500;

impl Steps<'_, '_> {
    /// All hooks.
    pub(super) fn write(&mut self) {
        if let Some(number) = self.effective.shared {
            self.writer.share(number);
        }
        self.early_peers();
        self.hook(RuleDirection::In);
        self.forwarded();
        self.hook(RuleDirection::Out);
    }

    pub(super) fn family(&self) -> Family {
        self.writer.family
    }

    fn means(&mut self) -> Means<'_> {
        Means { family: self.family(), backend: self.options.backend, sets: self.sets }
    }

    fn hook(&mut self, direction: RuleDirection) {
        self.writer.begin(Hook::of(direction));
        let later = self.effective.later_steps_block(direction);
        let tracks = [RuleDirection::In, RuleDirection::Out].iter().any(|&one| self.effective.later_steps_block(one));
        let blocks = self.effective.blocks_behind_guards(direction) || self.blocks_peers(direction);
        let needs_whole = self.effective.needs_whole_packets() || self.has_early_peers();
        if self.options.forwards {
            self.untranslated(direction);
        }
        if direction == RuleDirection::In && needs_whole && !tracks {
            self.defragment();
        }
        if let Some(panic) = &self.effective.panic {
            return self.panic(panic, direction);
        }
        if !blocks {
            return;
        }
        self.guards();
        if self.effective.rejects() {
            self.answers(direction, later);
        }
        self.allowed_peers(direction);
        self.blocked_peers(direction);
        if self.effective.blocks_behind_guards(direction) {
            self.link_guards(direction);
        }
        self.blocked_ports(false);
        self.blocked_protocols();
        if later {
            self.ordered_rules(direction);
        }
        if self.effective.blocks_the_rest(direction) {
            self.own_copies(direction);
            self.allowed_protocols();
            if let Some(number) = self.effective.denies(direction) {
                self.writer.block(number, &Match::default());
            }
        }
    }

    /// Packets on their way through.
    fn forwarded(&mut self) {
        self.writer.begin(Hook::Forward);
        if self.effective.blocks_forwarded() {
            self.blocked_forwarded();
        }
        if self.options.forwards {
            self.passed();
        }
    }

    /// Steps 1 (path MTU), 3, 5 and 6, or a panic. Step 2 has been taken out of the addresses that step 3 acts on.
    fn blocked_forwarded(&mut self) {
        if self.options.forwards {
            // One about no flow that is known would leave here unreported.
            let message = self.path_mtu_message();
            self.writer.report("forwarded", Reported::Passed, &message.with(format!("{STATE} INVALID,UNTRACKED")));
        }
        self.path_mtu();
        if let Some(panic) = &self.effective.panic {
            return self.writer.block(panic.number, &Match::default());
        }
        self.blocked_ends();
        self.blocked_ports(true);
        self.blocked_protocols();
    }

    /// The first packet of each flow that passes: the one whose connection has not been confirmed, which it is when its
    /// first packet leaves (`NEW` are all until the first answer). What belongs to no flow is reported packet by packet:
    /// nothing else stands for it.
    fn passed(&mut self) {
        self.writer.report("forwarded", Reported::Begins, &Match::module("-m conntrack ! --ctstatus CONFIRMED"));
        let of_no_flow = Match::module(format!("{STATE} INVALID,UNTRACKED"));
        self.writer.report("forwarded", Reported::Passed, &of_no_flow);
    }

    /// Packets that connection tracking does not translate although they bear the addresses of a flow that it does: what
    /// fits no connection, and errors about such a flow that begin or end here. (Errors that begin here may be about any
    /// flow on its way through, of which connection tracking alone knows that it is one.) The tap can't tell them from those
    /// on their way through; nor, so soon, that such a flow has ended, when a segment opens a connection: any that goes out,
    /// and what comes in late. Who floods this machine with SYNs is not to have each of them reported, and what goes round
    /// on loopback is on no other way.
    fn untranslated(&mut self, direction: RuleDirection) {
        let outside = if direction == RuleDirection::In { "! -i lo" } else { "! -o lo" };
        let outside = Match { interface: Some(outside.to_owned()), ..Match::default() };
        self.writer.report("own", Reported::Own, &outside.with(format!("{STATE} INVALID")));
        let errors = outside.and(Match::protocol(self.family().icmp())).with(format!("{STATE} RELATED"));
        self.writer.report("own", Reported::Related, &errors);
        let segment = outside.and(Match::protocol(Protocol::TCP));
        let unconfirmed = "-m conntrack ! --ctstatus CONFIRMED";
        let opening = match direction {
            RuleDirection::In => self.segment(&segment, "! --tcp-flags FIN,SYN,RST,ACK SYN", unconfirmed),
            RuleDirection::Out => segment.with(unconfirmed),
        };
        self.writer.report("own", Reported::Opens, &opening);
        if direction == RuleDirection::In {
            // To the tap it may look like one on its way through. What follows on it conntrack tells of, if it comes in.
            let led = outside.with(format!("{STATE} DNAT ! --ctstatus CONFIRMED"));
            self.writer.report("own", Reported::Led, &led);
            // A transparent proxy is sent what is for others, which to the tap is on its way through. What is for many is not.
            // IPv6 has no broadcast, and its match no word for it.
            let others = if self.family() == Family::V4 { "LOCAL,BROADCAST,MULTICAST" } else { "LOCAL,MULTICAST" };
            let taken = outside.with(format!("-m pkttype --pkt-type host -m addrtype ! --dst-type {others}"));
            self.writer.report("own", Reported::Taken, &taken);
        }
        if direction == RuleDirection::Out {
            self.misled_answers();
            // A transparent proxy sends from the addresses of others, and to the tap looks like one who forwards.
            let posing = outside.with("-m addrtype ! --src-type LOCAL");
            self.writer.report("own", Reported::Posing, &posing);
        }
    }

    /// What a REJECT answers a packet of this machine's own with is for this machine, but where it fits a flow that is
    /// translated: then it leaves as a part of that. The hook still names the interface that it was to go by.
    fn misled_answers(&mut self) {
        let translated = Match { interface: Some("-o lo".to_owned()), ..Match::module(format!("{STATE} SNAT,DNAT")) };
        let reset = translated.and(Match::protocol(Protocol::TCP)).with("-m tcp --tcp-flags RST RST");
        let error = translated.and(Match::protocol(self.family().icmp())).with(format!("{STATE} RELATED"));
        for answer in [reset, error] {
            self.writer.report("own", Reported::Own, &answer);
        }
    }

    /// What has these flags, and belongs to such a connection. Where a look at the flags drops what has no whole header it
    /// comes last: such a packet belongs to no connection.
    pub(super) fn segment(&self, segment: &Match, flags: &str, connection: &str) -> Match {
        let flags = format!("-m tcp {flags}");
        match self.options.backend {
            Backend::NfTables => segment.with(flags).with(connection),
            Backend::IpTables => segment.with(connection).with(flags),
        }
    }

    /// A match that needs whole packets makes the kernel put fragments together before any table sees them; it is
    /// enough that it stands somewhere. Connection tracking does it too, but costs more where nothing else needs it.
    fn defragment(&mut self) {
        let nobody = self.family().nobody();
        let conditions = Match {
            src: Some(format!("-s {nobody}")),
            dst: Some(format!("-d {nobody}")),
            ..Match::module("-m socket")
        };
        self.writer.built_in("guard:defragment", &conditions, &Target::None);
    }

    /// Step 1.
    pub(super) fn guards(&mut self) {
        if self.family() == Family::V6 {
            for kind in 133..=136 {
                let conditions = of_type(kind, None, Family::V6).with("-m hl --hl-eq 255");
                self.writer.built_in("guard:neighbour-discovery", &conditions, &Target::Return);
            }
        }
        self.path_mtu();
    }

    fn path_mtu(&mut self) {
        let message = self.path_mtu_message();
        self.writer.built_in("guard:path-mtu", &message, &Target::Return);
    }

    fn path_mtu_message(&self) -> Match {
        match self.family() {
            Family::V4 => of_type(3, Some(4), Family::V4),
            Family::V6 => of_type(2, None, Family::V6),
        }
    }

    /// Step 4.
    fn link_guards(&mut self, direction: RuleDirection) {
        let udp = |source: u16, destination: u16| {
            Match::protocol(Protocol::UDP).with(match self.options.backend {
                Backend::NfTables => format!("-m udp --sport {source} --dport {destination}"),
                Backend::IpTables => format!("-m multiport --sports {source} -m multiport --dports {destination}"),
            })
        };
        let dhcp = match (self.family(), direction) {
            (Family::V4, RuleDirection::In) => udp(67, 68),
            (Family::V4, RuleDirection::Out) => udp(68, 67),
            (Family::V6, RuleDirection::In) => Match { src: Some("-s fe80::/10".to_owned()), ..udp(547, 546) },
            (Family::V6, RuleDirection::Out) => udp(546, 547),
        };
        self.writer.built_in("guard:dhcp", &dhcp, &Target::Return);
        match self.family() {
            Family::V4 => self.writer.built_in("guard:igmp", &Match::protocol(Protocol::IGMP), &Target::Return),
            Family::V6 => {
                for kind in [130, 131, 132, 143] {
                    self.writer.built_in("guard:multicast-listener", &of_type(kind, None, Family::V6), &Target::Return);
                }
            }
        }
    }

    /// Step 5.
    fn blocked_ports(&mut self, forwarded: bool) {
        let effective = self.effective;
        for Listed { number, set: PortSet { tcp, udp } } in &effective.block_ports {
            for (protocol, ranges) in [(Protocol::TCP, tcp), (Protocol::UDP, udp)] {
                for conditions in ports_at_either_end(ranges, protocol, self.sets) {
                    self.writer.block(*number, &conditions);
                }
                if forwarded && self.options.forwards && !ranges.is_all() {
                    self.translated_ports(*number, protocol, ranges);
                }
            }
        }
    }

    /// The ports that translation hides from a packet on its way through.
    fn translated_ports(&mut self, number: u32, protocol: Protocol, ranges: &Ranges<u16>) {
        for range in ranges.iter() {
            for option in ["--ctorigdstport", "--ctrepldstport"] {
                let module = format!("-m conntrack {option} {}", port_text(range));
                self.writer.block(number, &Match::protocol(protocol).with(module));
            }
        }
    }

    /// Step 6.
    fn blocked_protocols(&mut self) {
        let effective = self.effective;
        for Listed { number, set } in &effective.block_protocols {
            self.of_protocols(*number, *set, Action::Block);
        }
    }

    fn of_protocols(&mut self, number: u32, set: ProtocolSet, action: Action) {
        if let Some(condition) = conditions::protocols(set, self.family()) {
            self.writer.rule(number, action, &[condition]);
        }
    }

    /// Step 7.
    fn replies(&mut self) {
        let reply = Match::module(format!("{STATE} ESTABLISHED --ctdir REPLY"));
        self.writer.built_in("reply", &reply, &Target::Return);
        let related = Match::protocol(self.family().icmp()).with(format!("{STATE} RELATED"));
        self.writer.built_in("related", &related, &Target::Return);
    }

    /// Steps 7 and 8, and what step 9 says of loopback.
    ///
    /// If nothing can block but rules in a row with one look in front of them, that look comes first of all: what it spares
    /// need not be told from replies, which costs as much.
    fn ordered_rules(&mut self, direction: RuleDirection) {
        let effective = self.effective;
        let acts = |rule: &Rule| rule.direction.is_none_or(|wanted| wanted == direction);
        let acting: Vec<_> = effective.rules.iter().filter(|(_, rule)| acts(rule)).copied().collect();
        let on_loopback = acting.iter().filter(|(_, rule)| rule.names_loopback() && rule.interface_matches("lo"));
        let on_loopback: Vec<_> = on_loopback.copied().collect();
        let groups = groups(&acting);
        let alone = groups.len() == 1 && on_loopback.is_empty() && !effective.blocks_the_rest(direction);
        if !alone {
            self.before_rules(direction, &on_loopback);
        }
        let part = acting.len().div_ceil(PARTS).max(PART);
        let mut written = 0_usize;
        for group in groups {
            let about = group.condition(&mut self.means());
            let outside = about.map(|about| self.enter_group(&about));
            if alone {
                self.before_rules(direction, &on_loopback);
            }
            for (number, rule) in group.rules {
                if written > 0 && written.is_multiple_of(part) {
                    self.writer.go_on();
                }
                self.ordered_rule(*number, rule, interfaces(rule, Hook::of(direction)));
                written += 1;
            }
            if let Some(outside) = outside {
                self.writer.enter(outside);
            }
        }
    }

    /// What ordered rules do not act on: replies, and loopback but for rules that name it.
    fn before_rules(&mut self, direction: RuleDirection, on_loopback: &[Numbered<'_>]) {
        self.replies();
        self.loopback(direction, on_loopback);
    }

    /// On loopback only the rules that name it act, and behind them it is allowed.
    fn loopback(&mut self, direction: RuleDirection, on_loopback: &[Numbered<'_>]) {
        let lo = peers::on_loopback(direction);
        if on_loopback.is_empty() {
            self.writer.built_in("loopback", &lo, &Target::Return);
        } else {
            let chain = self.writer.further_chain('L');
            self.writer.built_in("loopback", &lo, &Target::Goto(chain.clone()));
            let outside = self.writer.enter(chain);
            for (number, rule) in on_loopback {
                self.ordered_rule(*number, rule, Some(Condition::default()));
            }
            self.writer.enter(outside);
        }
    }

    /// Goes on in a chain that only those packets come to that rules in a row can be about; the chain that it was in.
    fn enter_group(&mut self, about: &Condition) -> String {
        let chain = self.writer.further_chain('G');
        for one in &about.any_of {
            self.writer.built_in("rules", one, &Target::Jump(chain.clone()));
        }
        self.writer.enter(chain)
    }

    fn ordered_rule(&mut self, number: u32, rule: &Rule, interface: Option<Condition>) {
        let family = self.family();
        let mut end = |condition: Option<&AddressSet>, end| match (condition, family) {
            (None, _) => Some(Condition::default()),
            (Some(set), Family::V4) => addresses(&set.v4, end, self.sets),
            (Some(set), Family::V6) => addresses(&set.v6, end, self.sets),
        };
        let src = end(rule.src.as_ref().map(|condition| &condition.set), End::Source);
        let dst = end(rule.dst.as_ref().map(|condition| &condition.set), End::Destination);
        let transport = transport(rule, &mut self.means());
        let all: Option<Vec<_>> = [interface, transport, src, dst].into_iter().collect();
        // A condition that no packet of this family satisfies: no rule.
        if let Some(conditions) = all {
            self.writer.rule(number, rule.action, &conditions);
        }
    }

    /// What is left of step 9: copies of what this machine sends to many. The kernel hands them back to it.
    fn own_copies(&mut self, direction: RuleDirection) {
        if direction == RuleDirection::Out {
            return;
        }
        let kinds: &[&str] = if self.family() == Family::V4 { &["multicast", "broadcast"] } else { &["multicast"] };
        for kind in kinds {
            // The kind is known; whose address it is, is looked up.
            let conditions =
                Match::module(format!("-m pkttype --pkt-type {kind}")).with("-m addrtype --src-type LOCAL");
            self.writer.built_in("own-multicast", &conditions, &Target::Return);
        }
    }

    /// Step 10.
    fn allowed_protocols(&mut self) {
        let effective = self.effective;
        let Some(other) = effective.other_protocols else { return };
        for Listed { number, set } in &effective.allow_protocols {
            self.of_protocols(*number, *set, Action::Allow);
        }
        self.writer.block(other, &Match::default());
    }
}
