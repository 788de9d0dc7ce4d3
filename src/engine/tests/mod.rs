//! The order of decision, case by case.

mod loopback;
mod panic;
mod replies;
mod scale;

use super::testing::*;
use super::*;
use crate::host::Host;
use crate::packet::{Fragment, Ip, Protocol, Transport};
use crate::rules::{Action, Condition, DefaultPolicy, Policy, Rule, RuleDirection, Ruleset};
use Direction::{Forwarded, Incoming, Loopback, Outgoing};

const OWN: &str = "10.0.0.5";
const PEER: &str = "192.168.1.7";

fn host() -> Host {
    let addresses = [("127.0.0.1", 8), ("::1", 128), (OWN, 24), ("2001:db8::5", 64), ("fe80::5", 64)];
    Host {
        addresses: addresses.map(|(address, prefix)| (ip(address), prefix)).into(),
        gateways: vec![ip("10.0.0.1")],
        resolvers: vec![ip("10.0.0.53")],
        ssh_peers: vec![ip("203.0.113.22")],
        ..Host::default()
    }
}

fn matcher(rules: &Ruleset) -> Matcher {
    Matcher::new(rules, &host(), at(0))
}

fn engine() -> Engine {
    Engine::new(Limits::default())
}

/// Action, rule id and reason of a packet that is the first of all.
fn decide(rules: &Ruleset, direction: Direction, packet: &Ip) -> (Action, String, String) {
    let matcher = matcher(rules);
    let decision = engine().decide(&matcher, packet, &context(direction, 0));
    (decision.action, id(&matcher, &decision), reason(&matcher, &decision, packet))
}

fn id(matcher: &Matcher, decision: &Decision) -> String {
    matcher.rules()[decision.rule.0 as usize].id.to_string()
}

fn reason(matcher: &Matcher, decision: &Decision, packet: &Ip) -> String {
    let mut out = Vec::new();
    matcher.write_reason(decision, packet, &mut out);
    String::from_utf8(out).unwrap()
}

fn is(action: Action, id: &str, reason: &str) -> (Action, String, String) {
    (action, id.to_owned(), reason.to_owned())
}

fn allowed(id: &str, reason: &str) -> (Action, String, String) {
    is(Action::Allow, id, reason)
}

fn blocked(id: &str, reason: &str) -> (Action, String, String) {
    is(Action::Block, id, reason)
}

/// Everything that can be blocked is: no step but the guards and `allow_ips` can let a packet through.
fn block_all() -> Ruleset {
    Ruleset { block_ips: addresses("block_ips", &["0.0.0.0/0", "::/0"]), ..Ruleset::default() }
}

fn deny_all() -> Ruleset {
    Ruleset { default_policy: DefaultPolicy { incoming: Policy::Deny, outgoing: Policy::Deny }, ..Ruleset::default() }
}

fn syn() -> Ip {
    tcp((PEER, 40_000), (OWN, 22), "S")
}

#[test]
fn without_rules_the_default_policy_allows() {
    let rules = Ruleset::default();
    assert_eq!(decide(&rules, Incoming, &syn()), allowed("default_policy", "default_policy allow for incoming"));
    assert_eq!(decide(&rules, Outgoing, &syn()), allowed("default_policy", "default_policy allow for outgoing"));
}

#[test]
fn a_default_policy_can_deny_one_direction_alone() {
    let default_policy = DefaultPolicy { incoming: Policy::Deny, outgoing: Policy::Allow };
    let rules = Ruleset { default_policy, ..Ruleset::default() };
    assert_eq!(decide(&rules, Incoming, &syn()), blocked("default_policy", "default_policy deny for incoming"));
    assert_eq!(decide(&rules, Outgoing, &syn()).0, Action::Allow);
}

#[test]
fn neighbour_discovery_passes_only_with_its_hop_limit() {
    for kind in 133..=136 {
        let mut packet = icmp("fe80::1", "fe80::5", kind, 0, 0);
        packet.ttl = 255;
        let guard = allowed("guard:neighbour-discovery", "neighbour discovery");
        assert_eq!(decide(&block_all(), Incoming, &packet), guard);
        packet.ttl = 254;
        assert_eq!(decide(&block_all(), Incoming, &packet).0, Action::Block);
    }
    let mut redirect = icmp("fe80::1", "fe80::5", 137, 0, 0);
    redirect.ttl = 255;
    assert_eq!(decide(&block_all(), Incoming, &redirect).0, Action::Block);
}

#[test]
fn path_mtu_messages_pass_and_their_like_does_not() {
    let guard = allowed("guard:path-mtu", "path MTU discovery");
    assert_eq!(decide(&block_all(), Incoming, &icmp(PEER, OWN, 3, 4, 0)).1, guard.1);
    assert_eq!(decide(&block_all(), Forwarded, &icmp("2001:db8:1::1", "2001:db8:2::1", 2, 0, 0)).1, guard.1);
    assert_eq!(decide(&block_all(), Incoming, &icmp(PEER, OWN, 3, 3, 0)).0, Action::Block);
    assert_eq!(decide(&block_all(), Incoming, &icmp(PEER, OWN, 2, 0, 0)).0, Action::Block);
    assert_eq!(decide(&block_all(), Incoming, &icmp("2001:db8::7", "2001:db8::5", 3, 4, 0)).0, Action::Block);
    let mut foreign = icmp(PEER, OWN, 2, 0, 0);
    foreign.protocol = Protocol::ICMPV6;
    assert_eq!(decide(&block_all(), Incoming, &foreign).0, Action::Block, "ICMPv6 in IPv4 is no message at all");
}

#[test]
fn the_peer_is_the_source_of_what_comes_in_and_the_destination_of_what_goes_out() {
    let rules = Ruleset { block_ips: addresses("block_ips", &[PEER]), ..Ruleset::default() };
    let hit = blocked("block_ips:192.168.1.7", "peer 192.168.1.7 is in block_ips");
    assert_eq!(decide(&rules, Incoming, &syn()), hit);
    assert_eq!(decide(&rules, Outgoing, &tcp((OWN, 22), (PEER, 40_000), "SA")).1, hit.1);
    assert_eq!(decide(&rules, Incoming, &tcp((OWN, 22), (PEER, 40_000), "S")).0, Action::Allow);
    assert_eq!(decide(&rules, Outgoing, &syn()).0, Action::Allow);
}

#[test]
fn allow_ips_comes_before_block_ips_and_the_reason_names_the_network() {
    let rules = Ruleset {
        allow_ips: addresses("allow_ips", &["198.51.100.9"]),
        block_ips: addresses("block_ips", &["198.51.100.0/24", "203.0.113.10-203.0.113.20", "2001:db8:66::/48"]),
        ..Ruleset::default()
    };
    let from = |src| decide(&rules, Incoming, &udp((src, 1), (OWN, 2)));
    assert_eq!(from("198.51.100.9"), allowed("allow_ips:198.51.100.9", "peer 198.51.100.9 is in allow_ips"));
    let network = "peer 198.51.100.8 is in block_ips (198.51.100.0/24)";
    assert_eq!(from("198.51.100.8"), blocked("block_ips:198.51.100.0/24", network));
    let range = "peer 203.0.113.20 is in block_ips (203.0.113.10-203.0.113.20)";
    assert_eq!(from("203.0.113.20").2, range);
    assert_eq!(from("203.0.113.21").0, Action::Allow);
    let v6 = decide(&rules, Incoming, &udp(("2001:db8:66:ffff::1", 1), ("2001:db8::5", 2)));
    assert_eq!(v6.2, "peer 2001:db8:66:ffff::1 is in block_ips (2001:db8:66::/48)");
}

#[test]
fn a_negated_entry_takes_away_and_alone_means_everything_else() {
    let mut rules =
        Ruleset { block_ips: addresses("block_ips", &["10.0.0.0/8", "!10.0.0.0/24"]), ..Ruleset::default() };
    let from = |rules: &Ruleset, src| decide(rules, Incoming, &udp((src, 1), (OWN, 2)));
    assert_eq!(from(&rules, "10.0.1.1").0, Action::Block);
    assert_eq!(from(&rules, "10.0.0.1").0, Action::Allow);
    rules.block_ips = addresses("block_ips", &["!10.0.0.0/8"]);
    assert_eq!(from(&rules, "10.0.0.1").0, Action::Allow);
    assert_eq!(from(&rules, "11.0.0.1").2, "peer 11.0.0.1 is in block_ips (!10.0.0.0/8)");
    assert_eq!(decide(&rules, Incoming, &udp(("2001:db8::7", 1), ("2001:db8::5", 2))).0, Action::Block);
}

#[test]
fn block_lists_spare_what_the_machine_lives_on_and_block_ips_does_not() {
    let everything = ["0.0.0.0/0", "::/0", "10.0.0.1"];
    let lists = Ruleset { block_lists: vec![block_list("lists/drop.txt", &everything)], ..Ruleset::default() };
    let spared = ["127.0.0.1", "127.9.9.9", "::1", OWN, "2001:db8::5", "10.0.0.1", "10.0.0.53", "203.0.113.22"];
    for peer in spared {
        assert_eq!(decide(&lists, Outgoing, &udp((peer, 1), (peer, 2))).0, Action::Allow, "{peer}");
        assert_eq!(decide(&block_all(), Outgoing, &udp((peer, 1), (peer, 2))).0, Action::Block, "{peer}");
    }
    let hit = "peer 192.168.1.7 is in block_lists lists/drop.txt (0.0.0.0/0)";
    assert_eq!(decide(&lists, Incoming, &syn()), blocked("block_lists:lists/drop.txt", hit));
    let matcher = matcher(&lists);
    assert_eq!(matcher.spared().networks, 3);
    assert_eq!(matcher.spared().first[2].network, range("10.0.0.1"));
    assert_eq!(matcher.spared().first[2].protection, Protection::Gateway);
}

#[test]
fn block_ips_is_named_before_block_lists_and_the_first_entry_before_the_others() {
    let rules = Ruleset {
        block_ips: addresses("block_ips", &["192.168.0.0/16", PEER]),
        block_lists: vec![block_list("a", &["192.168.1.0/24"]), block_list("b", &["2001:db8::/32", PEER])],
        ..Ruleset::default()
    };
    assert_eq!(decide(&rules, Incoming, &syn()).1, "block_ips:192.168.0.0/16");
    let rules = Ruleset { block_ips: Vec::new(), ..rules };
    assert_eq!(decide(&rules, Incoming, &syn()).2, "peer 192.168.1.7 is in block_lists a (192.168.1.0/24)");
    let v6 = decide(&rules, Incoming, &udp(("2001:db8:1::7", 1), ("2001:db8::5", 2)));
    assert_eq!(v6.2, "peer 2001:db8:1::7 is in block_lists b (2001:db8::/32)");
}

#[test]
fn the_dhcp_client_works_in_its_own_direction() {
    let rules = deny_all();
    let offer = udp(("10.0.0.1", 67), ("255.255.255.255", 68));
    let discover = udp(("0.0.0.0", 68), ("255.255.255.255", 67));
    assert_eq!(decide(&rules, Incoming, &offer), allowed("guard:dhcp", "DHCP client"));
    assert_eq!(decide(&rules, Outgoing, &discover).1, "guard:dhcp");
    assert_eq!(decide(&rules, Outgoing, &offer).1, "default_policy");
    assert_eq!(decide(&rules, Incoming, &discover).1, "default_policy");
    let reply = |src| udp((src, 547), ("fe80::5", 546));
    assert_eq!(decide(&rules, Incoming, &reply("fe80::1")).1, "guard:dhcp");
    assert_eq!(decide(&rules, Incoming, &reply("2001:db8::1")).1, "default_policy");
    assert_eq!(decide(&rules, Outgoing, &udp(("fe80::5", 546), ("ff02::1:2", 547))).1, "guard:dhcp");
    assert_eq!(decide(&rules, Incoming, &udp(("fe80::1", 67), ("fe80::5", 68))).1, "default_policy");
    assert_eq!(decide(&rules, Incoming, &tcp(("10.0.0.1", 67), (OWN, 68), "S")).1, "default_policy");
}

#[test]
fn multicast_management_passes_behind_the_lists() {
    for kind in [130, 131, 132, 143] {
        let packet = icmp("fe80::1", "ff02::16", kind, 0, 0);
        assert_eq!(decide(&deny_all(), Incoming, &packet).1, "guard:multicast-listener");
        assert_eq!(decide(&block_all(), Incoming, &packet).0, Action::Block);
    }
    assert_eq!(decide(&deny_all(), Incoming, &bare("10.0.0.1", "224.0.0.1", 2)), allowed("guard:igmp", "IGMP"));
    assert_eq!(decide(&deny_all(), Incoming, &bare("fe80::1", "ff02::1", 2)).1, "default_policy");
}

#[test]
fn block_ports_hits_either_end_of_tcp_and_udp_alone() {
    let rules = Ruleset { block_ports: block_ports(&["80", "445"]), ..Ruleset::default() };
    let to = |port| decide(&rules, Incoming, &tcp((PEER, 40_000), (OWN, port), "S"));
    assert_eq!(to(445), blocked("block_ports:445", "destination port 445 is in block_ports"));
    assert_eq!(to(446).0, Action::Allow);
    let answer = udp((PEER, 80), (OWN, 40_000));
    assert_eq!(decide(&rules, Incoming, &answer), blocked("block_ports:80", "source port 80 is in block_ports"));
    let both = |src, dst| decide(&rules, Incoming, &udp((PEER, src), (OWN, dst))).2;
    assert_eq!(both(80, 80), "destination port 80 is in block_ports");
    assert_eq!(both(80, 445), "source port 80 is in block_ports", "the first entry");
    assert_eq!(both(445, 80), "destination port 80 is in block_ports");
    let mut sctp = tcp((PEER, 80), (OWN, 80), "S");
    sctp.protocol = Protocol::SCTP;
    sctp.transport = Transport::Sctp(crate::packet::Ports { src: 80, dst: 80 });
    let mut udplite = udp((PEER, 80), (OWN, 80));
    udplite.protocol = Protocol(136);
    assert_eq!(decide(&rules, Incoming, &sctp).0, Action::Allow);
    assert_eq!(decide(&rules, Incoming, &udplite).0, Action::Allow);
}

#[test]
fn block_ports_can_be_negated() {
    let rules = Ruleset { block_ports: block_ports(&["!22"]), ..Ruleset::default() };
    assert_eq!(decide(&rules, Incoming, &tcp((PEER, 22), (OWN, 22), "S")).0, Action::Allow);
    assert_eq!(decide(&rules, Incoming, &syn()).2, "source port 40000 is in block_ports");
    assert_eq!(decide(&rules, Incoming, &icmp(PEER, OWN, 8, 0, 1)).0, Action::Allow);
}

#[test]
fn block_protocols_hits_icmp_of_both_families_but_for_the_guards() {
    let block_protocols = protocols("block_protocols", &[("ICMP", &[1, 58])]);
    let rules = Ruleset { block_protocols, ..Ruleset::default() };
    let hit = blocked("block_protocols:ICMP", "protocol ICMP is in block_protocols");
    assert_eq!(decide(&rules, Incoming, &icmp(PEER, OWN, 8, 0, 1)), hit);
    assert_eq!(decide(&rules, Incoming, &icmp("2001:db8::7", "2001:db8::5", 128, 0, 1)).1, hit.1);
    assert_eq!(decide(&rules, Incoming, &icmp(PEER, OWN, 3, 4, 0)).1, "guard:path-mtu");
    assert_eq!(decide(&rules, Incoming, &syn()).0, Action::Allow);
}

#[test]
fn the_first_rule_that_matches_wins_and_its_comment_is_told() {
    let ssh = Rule {
        protocol: condition(protocol_set(&[6])),
        src: address_condition(&["192.168.1.0/24", "fd00:1::/64"]),
        dst_port: condition(ports("22")),
        comment: Some("admin access".into()),
        ..incoming(0, Action::Allow)
    };
    let reject = Rule { dst_port: condition(ports("22")), ..rule(1, Action::Reject) };
    let rules = Ruleset { rules: vec![ssh, reject], ..Ruleset::default() };
    assert_eq!(decide(&rules, Incoming, &syn()), allowed("rule-0", "rule 1 allows it: admin access"));
    assert_eq!(decide(&rules, Incoming, &tcp(("192.168.2.7", 1), (OWN, 22), "S")).2, "rule 2 rejects it");
    assert_eq!(decide(&rules, Outgoing, &syn()).0, Action::Reject);
    assert_eq!(decide(&rules, Incoming, &bare(PEER, OWN, 6)).1, "default_policy", "no port can be seen");
}

#[test]
fn a_negated_address_condition_holds_for_the_other_family() {
    let resolver = Rule {
        direction: Some(RuleDirection::Out),
        dst: address_condition(&["!192.168.1.1"]),
        dst_port: condition(ports("53")),
        ..rule(0, Action::Block)
    };
    let rules = Ruleset { rules: vec![resolver], ..Ruleset::default() };
    assert_eq!(decide(&rules, Outgoing, &udp((OWN, 1), ("192.168.1.1", 53))).0, Action::Allow);
    assert_eq!(decide(&rules, Outgoing, &udp((OWN, 1), ("192.168.1.2", 53))).0, Action::Block);
    assert_eq!(decide(&rules, Outgoing, &udp(("2001:db8::5", 1), ("2001:db8::1", 53))).0, Action::Block);
}

#[test]
fn rules_tell_interfaces_apart_by_name_prefix_and_negation() {
    let named = |index, patterns: &[(bool, &str)]| Rule {
        interface: patterns.iter().map(|&(negated, pattern)| (negated, pattern.into())).collect(),
        ..rule(index, Action::Block)
    };
    let rules = vec![
        named(0, &[(false, "eth0")]),
        named(1, &[(false, "eth+"), (true, "eth1")]),
        named(2, &[(false, "wlan+"), (false, "tun0")]),
        named(3, &[(true, "eth1"), (true, "v+")]),
    ];
    let matcher = matcher(&Ruleset { rules, ..Ruleset::default() });
    let on = |name: &str| {
        let interface = matcher.interface_class(name);
        let decision = engine().decide(&matcher, &syn(), &Context { interface, ..context(Incoming, 0) });
        id(&matcher, &decision)
    };
    let interfaces = ["eth0", "eth1", "eth2", "eth", "wlan0", "tun0", "tun1", "vlan7", "v", "", "eth0.5"];
    let want = [
        "rule-0",
        "default_policy",
        "rule-1",
        "rule-1",
        "rule-2",
        "rule-2",
        "rule-3",
        "default_policy",
        "default_policy",
        "rule-3",
        "rule-1",
    ];
    assert_eq!(interfaces.map(on), want);
}

#[test]
fn allow_protocols_decides_all_that_comes_so_far() {
    let allow_protocols = protocols("allow_protocols", &[("TCP", &[6]), ("UDP", &[17])]);
    let rules = Ruleset { allow_protocols, ..deny_all() };
    assert_eq!(decide(&rules, Incoming, &syn()), allowed("allow_protocols:TCP", "protocol TCP is in allow_protocols"));
    let gre = bare(PEER, OWN, 47);
    assert_eq!(decide(&rules, Incoming, &gre), blocked("allow_protocols", "protocol GRE is not in allow_protocols"));
    assert_eq!(decide(&rules, Loopback, &gre).1, "loopback");
}

#[test]
fn forwarded_packets_know_the_lists_alone_and_each_end_by_itself() {
    let rules = Ruleset {
        allow_ips: addresses("allow_ips", &["172.17.0.2"]),
        block_ips: addresses("block_ips", &["172.17.0.0/16", PEER]),
        block_ports: block_ports(&["445"]),
        rules: vec![rule(0, Action::Block)],
        ..deny_all()
    };
    let through = |src, dst, port| decide(&rules, Forwarded, &tcp((src, 1), (dst, port), "S"));
    let free = allowed("forwarded", "forwarded, and no list blocks it");
    assert_eq!(through("172.17.0.2", "192.0.2.1", 80), free);
    assert_eq!(through("172.17.0.3", "192.0.2.1", 80).2, "peer 172.17.0.3 is in block_ips (172.17.0.0/16)");
    assert_eq!(through("192.0.2.1", PEER, 80).2, "peer 192.168.1.7 is in block_ips");
    assert_eq!(through("172.17.0.2", PEER, 80).0, Action::Block, "the other end is not in allow_ips");
    assert_eq!(through("172.17.0.2", "192.0.2.1", 445).1, "block_ports:445", "allow_ips exempts from step 3 alone");
    let mut solicitation = icmp("2001:db8:1::1", "2001:db8:2::1", 135, 0, 0);
    solicitation.ttl = 255;
    assert_eq!(decide(&block_all(), Forwarded, &solicitation).0, Action::Block);
}

#[test]
fn what_has_expired_or_is_disabled_is_as_if_it_were_not_there() {
    let mut rules = Ruleset { block_ips: addresses("block_ips", &[PEER, "192.168.0.0/16"]), ..Ruleset::default() };
    rules.block_ips[0].expires = Some(at(100));
    rules.block_ips[1].enabled = false;
    let at_time = |rules: &Ruleset, now| {
        let matcher = Matcher::new(rules, &host(), at(now));
        let decision = engine().decide(&matcher, &syn(), &context(Incoming, now));
        (id(&matcher, &decision), matcher.valid_until())
    };
    assert_eq!(at_time(&rules, 99), ("block_ips:192.168.1.7".into(), at(100)));
    assert_eq!(at_time(&rules, 100), ("default_policy".into(), crate::time::Timestamp::MAX));
    rules.rules = vec![Rule { expires: Some(at(50)), ..rule(0, Action::Block) }];
    assert_eq!(at_time(&rules, 10).1, at(50));
}

#[test]
fn entries_of_one_place_in_the_file_are_one_rule() {
    let mut rules = Ruleset { block_ips: addresses("block_ips", &[PEER, "192.0.2.1"]), ..Ruleset::default() };
    for entry in &mut rules.block_ips {
        entry.id = "block_ips:@bad".into();
        entry.comment = Some("scanner".into());
    }
    let matcher = matcher(&rules);
    assert_eq!(matcher.rules().iter().filter(|rule| &*rule.id == "block_ips:@bad").count(), 1);
    assert_eq!(decide(&rules, Incoming, &syn()).2, "peer 192.168.1.7 is in block_ips: scanner");
}

#[test]
fn frames_without_ip_are_allowed_and_built_in_rules_have_the_same_number_everywhere() {
    let (one, other) = (matcher(&Ruleset::default()), matcher(&block_all()));
    let decision = one.non_ip();
    assert!(decision.allows() && decision.step == Step::NonIp);
    assert_eq!(id(&one, &decision), "non-ip");
    assert_eq!(decision, other.non_ip());
    for (a, b) in one.rules().iter().zip(other.rules()) {
        assert_eq!((&a.id, a.step), (&b.id, b.step));
    }
}
