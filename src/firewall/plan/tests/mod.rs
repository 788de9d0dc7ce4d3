//! Rules files and the kernel rules that they become, word for word.

mod groups;
mod long;
mod next;
mod panic;
mod shared;

use super::*;
use crate::firewall::{Backend, Family};
use crate::rules;

fn host() -> Host {
    let address = |text: &str| text.parse().expect("an address");
    Host {
        addresses: vec![
            (address("127.0.0.1"), 8),
            (address("::1"), 128),
            (address("10.0.0.5"), 24),
            (address("fd00::5"), 64),
        ],
        gateways: vec![address("10.0.0.1")],
        resolvers: vec![address("9.9.9.9")],
        ssh_peers: vec![address("198.51.100.7")],
        ..Host::default()
    }
}

const OPTIONS: Options = Options {
    generation: 0x2a,
    nflog_group: Some(77),
    raw: true,
    bpf: true,
    last_user: 65_534,
    backend: Backend::NfTables,
    forwards: false,
};
const NOW: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000);

fn plan_with(text: &str, forwards: bool) -> Plan {
    Plan::new(&parse(text), &host(), Options { forwards, ..OPTIONS }, NOW)
}

fn plan(text: &str) -> Plan {
    plan_with(text, false)
}

/// The rules of a chain, without what every one has: its comment is behind a `#`, an NFLOG's prefix alone is left.
fn chain(plan: &Plan, family: Family, name: &str) -> Vec<String> {
    let chain =
        plan.chains(family).iter().find(|chain| chain.name == name).unwrap_or_else(|| panic!("no chain {name}"));
    let (marker, rules) = chain.rules.split_last().expect("a marker");
    assert_eq!(marker.text, format!("-d {} -m comment --comment pfw:managed", family.nobody()));
    rules.iter().map(|rule| brief(&rule.text)).collect()
}

fn brief(text: &str) -> String {
    let (conditions, rest) = text.split_once("-m comment --comment ").expect("a comment");
    let (comment, target) = rest.split_once(' ').unwrap_or((rest, ""));
    let target = match target.strip_prefix("-j NFLOG --nflog-prefix pfw:0000002a:") {
        Some(log) => format!("log {}", log.strip_suffix(" --nflog-group 77 --nflog-threshold 64").expect("our group")),
        None => target.to_owned(),
    };
    format!("{conditions}{target} # {comment}")
}

/// The same, without the guards that stand in every chain that blocks.
fn decisive(plan: &Plan, family: Family, name: &str) -> Vec<String> {
    chain(plan, family, name).into_iter().filter(|rule| !rule.contains("# guard:")).collect()
}

#[test]
fn a_plan_that_blocks_nothing_has_empty_chains() {
    let plan = plan(
        r#"{ "allow_ips": ["192.0.2.1"], "rules": [{ "action": "allow", "direction": "in", "protocol": "tcp", "dst_port": 22, "id": "ssh" }] }"#,
    );
    for family in Family::BOTH {
        for name in ["PFW-OUT", "PFW-FWD"] {
            assert_eq!(chain(&plan, family, name), <[&str; 0]>::default());
        }
    }
    assert_eq!(plan.set_text(), "");
}

#[test]
fn blocked_addresses_are_reported_and_dropped_by_peer_and_at_both_ends_of_forwarded_traffic() {
    let plan = plan(r#"{ "block_ips": ["192.0.2.7", "203.0.113.10-203.0.113.20", "2001:db8:66::/48"] }"#);
    assert_eq!(
        chain(&plan, Family::V4, "PFW-IN"),
        [
            "-p icmp -m icmp --icmp-type 3/4 -j RETURN # guard:path-mtu",
            "-s 192.0.2.7/32 log 000000 # block_ips:192.0.2.7",
            "-s 192.0.2.7/32 -j DROP # block_ips:192.0.2.7",
            "-m iprange --src-range 203.0.113.10-203.0.113.20 log 000001 # block_ips:203.0.113.10-203.0.113.20",
            "-m iprange --src-range 203.0.113.10-203.0.113.20 -j DROP # block_ips:203.0.113.10-203.0.113.20",
        ]
    );
    assert_eq!(
        chain(&plan, Family::V6, "PFW-OUT"),
        [
            "-p ipv6-icmp -m icmp6 --icmpv6-type 133 -m hl --hl-eq 255 -j RETURN # guard:neighbour-discovery",
            "-p ipv6-icmp -m icmp6 --icmpv6-type 134 -m hl --hl-eq 255 -j RETURN # guard:neighbour-discovery",
            "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j RETURN # guard:neighbour-discovery",
            "-p ipv6-icmp -m icmp6 --icmpv6-type 136 -m hl --hl-eq 255 -j RETURN # guard:neighbour-discovery",
            "-p ipv6-icmp -m icmp6 --icmpv6-type 2 -j RETURN # guard:path-mtu",
            "-d 2001:db8:66::/48 log 000002 # block_ips:2001:db8:66::/48",
            "-d 2001:db8:66::/48 -j DROP # block_ips:2001:db8:66::/48",
        ]
    );
    assert_eq!(
        decisive(&plan, Family::V6, "PFW-FWD"),
        [
            "-s 2001:db8:66::/48 log 000002 # block_ips:2001:db8:66::/48",
            "-s 2001:db8:66::/48 -j DROP # block_ips:2001:db8:66::/48",
            "-d 2001:db8:66::/48 log 000002 # block_ips:2001:db8:66::/48",
            "-d 2001:db8:66::/48 -j DROP # block_ips:2001:db8:66::/48",
        ]
    );
    assert_eq!(&*plan.rules()[2].id, "block_ips:2001:db8:66::/48");
}

#[test]
fn the_guards_of_the_link_stand_where_anything_behind_them_blocks() {
    let guards = |text: &str, family, name| {
        let all = chain(&plan(text), family, name).into_iter();
        all.filter(|rule| ["dhcp", "igmp", "listener"].iter().any(|guard| rule.contains(guard))).collect::<Vec<_>>()
    };
    for text in [
        r#"{ "block_ips": ["192.0.2.7", "2001:db8:66::/48"], "block_ports": [80] }"#,
        r#"{ "block_protocols": ["gre"] }"#,
        r#"{ "default_policy": "deny" }"#,
    ] {
        assert_eq!(
            guards(text, Family::V4, "PFW-IN"),
            ["-p udp -m udp --sport 67 --dport 68 -j RETURN # guard:dhcp", "-p 2 -j RETURN # guard:igmp"]
        );
        assert_eq!(
            guards(text, Family::V6, "PFW-OUT"),
            [
                "-p udp -m udp --sport 546 --dport 547 -j RETURN # guard:dhcp",
                "-p ipv6-icmp -m icmp6 --icmpv6-type 130 -j RETURN # guard:multicast-listener",
                "-p ipv6-icmp -m icmp6 --icmpv6-type 131 -j RETURN # guard:multicast-listener",
                "-p ipv6-icmp -m icmp6 --icmpv6-type 132 -j RETURN # guard:multicast-listener",
                "-p ipv6-icmp -m icmp6 --icmpv6-type 143 -j RETURN # guard:multicast-listener",
            ]
        );
    }
    let rule =
        r#"{ "block_ips": ["192.0.2.7"], "rules": [{ "action": "block", "direction": "in", "protocol": "udp" }] }"#;
    assert_eq!((guards(rule, Family::V4, "PFW-IN").len(), guards(rule, Family::V4, "PFW-OUT").len()), (2, 0));
}

#[test]
fn an_end_in_allow_ips_is_not_blocked_on_its_way_through() {
    let plan = plan(r#"{ "allow_ips": ["192.0.2.0/25"], "block_ips": ["192.0.2.0/24"] }"#);
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-IN"),
        [
            "-s 192.0.2.0/25 -j RETURN # allow_ips:192.0.2.0/25",
            "-s 192.0.2.0/24 log 000001 # block_ips:192.0.2.0/24",
            "-s 192.0.2.0/24 -j DROP # block_ips:192.0.2.0/24",
        ]
    );
    assert_eq!(decisive(&plan, Family::V4, "PFW-FWD")[1], "-s 192.0.2.128/25 -j DROP # block_ips:192.0.2.0/24");
}

#[test]
fn for_legacy_nothing_reads_a_header_that_may_be_cut_off() {
    let rules = r#"{ "default_policy": "deny", "block_ports": [80], "rules": [
        { "action": "reject", "dst_port": [22], "direction": "in" }, { "action": "block", "src_port": "53/udp" }] }"#;
    for backend in [Backend::NfTables, Backend::IpTables] {
        let plan = Plan::new(&parse(rules), &host(), Options { backend, forwards: true, ..OPTIONS }, NOW);
        let rules = Family::BOTH.into_iter().flat_map(|family| plan.chains(family)).flat_map(|chain| &chain.rules);
        // Conntrack knows no such packet, so that a look at its connection in front spares it.
        let reads = |rule: &&KernelRule| match rule.text.find("-m tcp ").or_else(|| rule.text.find("-m udp ")) {
            Some(place) => !rule.text[..place].contains("-m conntrack"),
            None => false,
        };
        let reading = rules.filter(reads).count();
        assert_eq!(reading == 0, backend == Backend::IpTables, "{plan}");
    }
}

#[test]
fn what_a_router_lets_through_is_reported_by_flow_or_else_by_packet() {
    let passed = [
        "-m conntrack ! --ctstatus CONFIRMED log begins # forwarded",
        "-m conntrack --ctstate INVALID,UNTRACKED log passed # forwarded",
    ];
    for family in Family::BOTH {
        assert_eq!(chain(&plan_with("{}", true), family, "PFW-FWD"), passed);
        assert_eq!(chain(&plan_with("{}", false), family, "PFW-FWD"), <[&str; 0]>::default());
        let icmp = if family == Family::V4 { "icmp" } else { "ipv6-icmp" };
        let lists = plan_with(r#"{ "block_protocols": ["icmp"] }"#, true);
        let late = "-m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN ";
        for (name, outside, segments) in [("PFW-IN", "! -i lo", late), ("PFW-OUT", "! -o lo", "")] {
            let mut own = vec![
                format!("{outside} -m conntrack --ctstate INVALID log inside # own"),
                format!("{outside} -p {icmp} -m conntrack --ctstate RELATED log errors # own"),
                format!("{outside} -p tcp {segments}-m conntrack ! --ctstatus CONFIRMED log opened # own"),
            ];
            if name == "PFW-IN" {
                let led = "-m conntrack --ctstate DNAT ! --ctstatus CONFIRMED";
                own.push(format!("{outside} {led} log led-in # own"));
                let others = if family == Family::V4 { "LOCAL,BROADCAST,MULTICAST" } else { "LOCAL,MULTICAST" };
                let taken = format!("-m pkttype --pkt-type host -m addrtype ! --dst-type {others}");
                own.push(format!("{outside} {taken} log tproxy # own"));
            } else {
                let led = "-m conntrack --ctstate SNAT,DNAT";
                own.push(format!("-o lo -p tcp {led} -m tcp --tcp-flags RST RST log inside # own"));
                own.push(format!("-o lo -p {icmp} {led} -m conntrack --ctstate RELATED log inside # own"));
                own.push(format!("{outside} -m addrtype ! --src-type LOCAL log posing # own"));
            }
            assert_eq!(chain(&plan_with("{}", true), family, name), own);
            assert!(chain(&lists, family, name).starts_with(&own), "in front of all");
        }
        assert!(decisive(&lists, family, "PFW-FWD").ends_with(&passed.map(str::to_owned)), "behind all lists");
    }
}

#[test]
fn ports_are_blocked_at_either_end_and_by_what_translation_hides() {
    let plan = plan_with(r#"{ "block_ports": [80, "137-139/udp"] }"#, true);
    let expected = |family: Family, forwarded: bool| {
        let mut rules = Vec::new();
        if forwarded {
            // One of no flow would leave by the guard unreported.
            let message = match family {
                Family::V4 => "-p icmp -m icmp --icmp-type 3/4",
                Family::V6 => "-p ipv6-icmp -m icmp6 --icmpv6-type 2",
            };
            rules.push(format!("{message} -m conntrack --ctstate INVALID,UNTRACKED log passed # forwarded"));
        }
        for (number, protocol, ports, id) in
            [(0, "tcp", "80", "80"), (0, "udp", "80", "80"), (1, "udp", "137:139", "137-139/udp")]
        {
            let mut matches = vec![format!("-p {protocol} -m multiport --ports {ports}")];
            if forwarded {
                matches.push(format!("-p {protocol} -m conntrack --ctorigdstport {ports}"));
                matches.push(format!("-p {protocol} -m conntrack --ctrepldstport {ports}"));
            }
            for one in matches {
                rules.push(format!("{one} log {number:06x} # block_ports:{id}"));
                rules.push(format!("{one} -j DROP # block_ports:{id}"));
            }
        }
        if forwarded {
            rules.push("-m conntrack ! --ctstatus CONFIRMED log begins # forwarded".to_owned());
            rules.push("-m conntrack --ctstate INVALID,UNTRACKED log passed # forwarded".to_owned());
        }
        rules
    };
    for family in Family::BOTH {
        for (name, reports) in [("PFW-IN", 5), ("PFW-OUT", 6)] {
            let (own, blocking) =
                decisive(&plan, family, name).into_iter().partition::<Vec<_>, _>(|rule| rule.ends_with("# own"));
            assert_eq!((own.len(), blocking), (reports, expected(family, false)));
        }
        assert_eq!(decisive(&plan, family, "PFW-FWD"), expected(family, true));
        assert!(chain(&plan, family, "PFW-IN").iter().any(|rule| rule.ends_with("-m socket  # guard:defragment")));
    }
}

#[test]
fn addresses_that_translation_hides_are_asked_for_of_translated_flows_alone() {
    let plan = plan_with(r#"{ "block_ips": ["192.0.2.7"] }"#, true);
    let hidden: Vec<_> = decisive(&plan, Family::V4, "PFW-FWD")
        .into_iter()
        .filter(|rule| rule.contains("-m conntrack --ct") && rule.contains("-j DROP"))
        .collect();
    // Of any flow conntrack would tell what an error is about, which is none of its ends.
    let expected = ["DNAT --ctorigdst", "SNAT --ctrepldst"]
        .map(|option| format!("-m conntrack --ctstate {option} 192.0.2.7/32 -j DROP # block_ips:192.0.2.7"));
    assert_eq!(hidden, expected);
}

#[test]
fn connection_tracking_is_used_only_where_a_later_step_can_block() {
    let text = |text: &str| plan(text).to_string();
    assert!(
        !text(r#"{ "block_ips": ["192.0.2.7"], "block_ports": [80], "block_protocols": ["icmp"] }"#)
            .contains("conntrack")
    );
    let outgoing = plan(r#"{ "default_policy": { "in": "allow", "out": "deny" } }"#);
    assert_eq!(decisive(&outgoing, Family::V4, "PFW-IN"), <[&str; 0]>::default());
    assert_eq!(
        decisive(&outgoing, Family::V4, "PFW-OUT"),
        [
            "-m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN # reply",
            "-p icmp -m conntrack --ctstate RELATED -j RETURN # related",
            "-o lo -j RETURN # loopback",
            "log 000000 # default_policy",
            "-j DROP # default_policy",
        ]
    );
}

#[test]
fn steps_7_to_11_stand_in_their_order() {
    let plan = plan(
        r#"{ "default_policy": "deny", "allow_protocols": ["tcp", "icmp"],
             "rules": [{ "id": "a", "action": "allow", "direction": "in", "protocol": "udp", "src": "192.0.2.0/24", "dst_port": 53 },
                       { "id": "b", "action": "block", "interface": "lo", "direction": "in", "protocol": "tcp", "dst_port": 25 }] }"#,
    );
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-IN"),
        [
            "-m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN # reply",
            "-p icmp -m conntrack --ctstate RELATED -j RETURN # related",
            "-i lo -g PFW-L00000 # loopback",
            "-s 192.0.2.0/24 -p udp -m udp --dport 53 -j RETURN # a",
            "-i lo -p tcp -m tcp --dport 25 log 000001 # b",
            "-i lo -p tcp -m tcp --dport 25 -j DROP # b",
            "-m pkttype --pkt-type multicast -m addrtype --src-type LOCAL -j RETURN # own-multicast",
            "-m pkttype --pkt-type broadcast -m addrtype --src-type LOCAL -j RETURN # own-multicast",
            "-p tcp -j RETURN # allow_protocols:tcp",
            "-p icmp -j RETURN # allow_protocols:icmp",
            "-p ipv6-icmp -j RETURN # allow_protocols:icmp",
            "log 000004 # allow_protocols",
            "-j DROP # allow_protocols",
            "log 000005 # default_policy",
            "-j DROP # default_policy",
        ]
    );
    assert_eq!(
        chain(&plan, Family::V4, "PFW-L00000"),
        ["-p tcp -m tcp --dport 25 log 000001 # b", "-p tcp -m tcp --dport 25 -j DROP # b"]
    );
    assert_eq!(decisive(&plan, Family::V6, "PFW-IN").len(), 13, "a source of IPv4 is nothing for IPv6");
}

#[test]
fn a_reject_answers_tcp_with_a_reset_and_its_answers_pass() {
    let plan = plan(
        r#"{ "rules": [{ "id": "r", "action": "reject", "direction": "in", "dst_port": 113 }, { "id": "s", "action": "reject", "direction": "in", "src": "192.0.2.1" }] }"#,
    );
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-IN")[3..],
        [
            "-p tcp -m tcp --dport 113 log 000000 # r",
            "-p tcp -m tcp --dport 113 -j REJECT --reject-with tcp-reset # r",
            "-p udp -m udp --dport 113 log 000000 # r",
            "-p udp -m udp --dport 113 -j REJECT --reject-with icmp-port-unreachable # r",
            "-s 192.0.2.1/32 log 000001 # s",
            "-s 192.0.2.1/32 -p tcp -j REJECT --reject-with tcp-reset # s",
            "-s 192.0.2.1/32 -j REJECT --reject-with icmp-port-unreachable # s",
        ]
    );
    assert_eq!(chain(&plan, Family::V4, "PFW-OUT"), <[&str; 0]>::default());
    let answers = |rules: &str, name| {
        let rules = chain(&self::plan(rules), Family::V4, name);
        rules.into_iter().filter_map(|rule| Some(rule.strip_suffix(" -j RETURN # guard:reject-answer")?.to_owned()))
    };
    let answers = |rules: &str, name| answers(rules, name).collect::<Vec<_>>();
    let both = r#"{ "block_protocols": ["icmp"], "rules": [{ "action": "reject", "dst_port": 113 }] }"#;
    assert_eq!(
        answers(both, "PFW-OUT"),
        [
            "-p tcp -m tcp --tcp-flags RST RST -m conntrack --ctstate RELATED",
            "-p tcp -m tcp --tcp-flags RST RST -m conntrack --ctstate INVALID -m owner ! --socket-exists",
            "-p icmp -m icmp --icmp-type 3/3 -m conntrack --ctstate RELATED ! --ctstatus CONFIRMED",
            "-p icmp -m icmp --icmp-type 3/3 -m owner ! --uid-owner 0-65534 -m conntrack --ctstate RELATED --ctproto 17 --ctreplsrcport 113 --ctdir REPLY",
            "-p icmp -m icmp --icmp-type 3/3 -m owner ! --uid-owner 0-65534 -m conntrack --ctstate INVALID",
        ]
    );
    let told = |protocols: &str| {
        let rule = r#""rules": [{ "action": "reject", "direction": "in", "protocol": "#;
        let rules = format!(r#"{{ "block_protocols": ["icmp"], {rule}{protocols} }}] }}"#);
        let of_connections = |rule: &String| rule.contains("RELATED") && rule.contains("--ctdir REPLY");
        answers(&rules, "PFW-IN").into_iter().filter(of_connections).collect::<Vec<_>>()
    };
    let error = "-i lo -p icmp -m icmp --icmp-type 3/3 -m conntrack --ctstate RELATED";
    assert_eq!(told(r#""udp""#), [format!("{error} --ctproto 17 --ctdir REPLY")]);
    assert_eq!(told(r#"["tcp", "icmp"]"#), [format!("{error} --ctproto 1 --ctdir REPLY")]);
    assert_eq!(told(r#""!gre""#), [format!("{error} --ctdir REPLY")], "of so many any");
    assert_eq!(told(r#""tcp""#), <[&str; 0]>::default(), "no error answers TCP");
    let of_invalid = |rules: &str, family| {
        let rules = chain(&self::plan(rules), family, "PFW-OUT");
        rules.into_iter().filter(|rule| rule.contains("RST") && rule.contains("INVALID")).collect::<Vec<_>>()
    };
    let lists =
        r#"{ "block_protocols": ["icmp"], "rules": [{ "action": "reject", "direction": "in", "dst_port": 113 }] }"#;
    let denies = r#"{ "default_policy": "deny", "rules": [{ "action": "reject", "dst_port": 113 }] }"#;
    for family in Family::BOTH {
        assert_eq!(
            of_invalid(lists, family),
            <[&str; 0]>::default(),
            "no list blocks the answer to what it has let pass"
        );
        assert_eq!(of_invalid(denies, family).len(), 1);
    }
    let [v4, v6] = [Family::V4, Family::V6].map(|family| of_invalid(denies, family).concat());
    let without_socket = "--ctstate INVALID -m owner ! --socket-exists -j RETURN";
    assert!(v4.contains(without_socket), "{v4}");
    assert!(v6.contains("--ctstate INVALID -m owner ! --socket-exists -m bpf --bytecode \"43,40 0 0 4,"), "{v6}");
}

#[test]
fn a_rule_of_many_combinations_is_a_cascade_whose_failures_go_on_behind_it() {
    let plan = plan(
        r#"{ "rules": [{ "id": "c", "action": "allow", "direction": "out", "interface": ["!eth1", "!wg+"], "protocol": ["!tcp", "!udp"] },
                       { "id": "d", "action": "block", "direction": "out" }] }"#,
    );
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-OUT")[2..],
        [
            "-o lo -j RETURN # loopback",
            "-o eth1 -g PFW-C00000 # c",
            "-o wg+ -g PFW-C00000 # c",
            "-p tcp -g PFW-C00000 # c",
            "-p udp -g PFW-C00000 # c",
            "-j RETURN # c",
        ]
    );
    assert_eq!(chain(&plan, Family::V4, "PFW-C00000"), ["log 000001 # d", "-j DROP # d"]);
}

#[test]
fn a_cascade_that_blocks_is_jumped_to_and_comes_back_to_the_rest() {
    let many = r#"["192.0.2.1", "192.0.2.3", "192.0.2.5", "192.0.2.7", "192.0.2.9"]"#;
    let plan = plan(&format!(
        r#"{{ "rules": [{{ "id": "c", "action": "block", "direction": "in", "src": {many}, "dst": {many} }},
                        {{ "id": "d", "action": "allow", "direction": "in", "src": {many}, "dst": {many} }}] }}"#
    ));
    let all = chain(&plan, Family::V4, "PFW-IN");
    let place = all.iter().position(|rule| rule == "-j PFW-C00000 # c").expect("a jump");
    assert_eq!(all[place + 1], "-s 192.0.2.1/32 -d 192.0.2.1/32 -j RETURN # d", "which needs no chain of its own");
    let first = chain(&plan, Family::V4, "PFW-C00000");
    assert_eq!((&*first[0], &*first[5]), ("-s 192.0.2.1/32 -g PFW-C00001 # c", "-j RETURN # c"));
    assert_eq!(chain(&plan, Family::V4, "PFW-C00001")[0], "-d 192.0.2.1/32 -g PFW-C00002 # c");
    assert_eq!(chain(&plan, Family::V4, "PFW-C00002"), ["log 000000 # c", "-j DROP # c"]);
}

#[test]
fn many_rules_stand_in_chains_that_lead_into_each_other() {
    let rule = |n: usize| {
        format!(r#"{{ "id": "r{n}", "action": "block", "direction": "in", "src": "10.0.{}.{}" }}"#, n / 256, n % 256)
    };
    let rules: Vec<_> = (0..1200).map(rule).collect();
    let plan = plan(&format!(r#"{{ "rules": [{}] }}"#, rules.join(",")));
    let chains = ["PFW-G00001", "PFW-P00002", "PFW-P00003"].map(|name| decisive(&plan, Family::V4, name));
    for (here, next) in chains.iter().zip(["PFW-P00002", "PFW-P00003"]) {
        assert_eq!(here.last(), Some(&format!("-g {next} # further-rules")));
    }
    let drops: Vec<_> = chains.concat().into_iter().filter(|rule| rule.contains("-g PFW-B")).collect();
    let expected = |n: usize| format!("-s 10.0.{}.{}/32 -g PFW-B00000 # r{n}", n / 256, n % 256);
    assert_eq!(drops, (0..1200).map(expected).collect::<Vec<_>>());
    assert_eq!(chains.map(|chain| chain.iter().filter(|rule| rule.contains("PFW-B")).count()), [500, 500, 200]);
}

#[test]
fn what_is_expired_or_disabled_is_not_there() {
    let plan = plan(
        r#"{ "block_ips": [{ "ip": "192.0.2.1", "expires": "2020-01-01T00:00:00Z" }, { "ip": "192.0.2.2", "enabled": false }],
             "rules": [{ "action": "block", "enabled": false, "protocol": "tcp" }] }"#,
    );
    assert_eq!(plan.rules(), []);
    assert_eq!(chain(&plan, Family::V4, "PFW-IN"), <[&str; 0]>::default());
}

#[test]
fn a_dry_run_shows_each_command_and_its_input() {
    let text = plan(r#"{ "block_ips": ["2001:db8::1"] }"#).to_string();
    assert!(text.starts_with("# validated before with ip6tables-restore --noflush -w 5 --test\nip6tables-restore --noflush -w 5 <<'END'\n*filter\n:PFW-IN - [0:0]\n"), "{text}");
    assert!(text.contains("-A PFW-IN -s 2001:db8::1/128 -m comment --comment block_ips:2001:db8::1 -j NFLOG --nflog-prefix pfw:0000002a:000000 --nflog-group 77 --nflog-threshold 64\n"));
    assert!(text.contains("-I INPUT 1 -j PFW-IN\n"));
    assert!(text.ends_with("COMMIT\nEND\n"));
}

fn parse(text: &str) -> Ruleset {
    let read = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let origin = rules::Origin { file: "rules.json", folder: std::path::Path::new(""), read: &read };
    match rules::parse(text.as_bytes().to_vec(), &origin) {
        Ok(loaded) => loaded.ruleset,
        Err(errors) => panic!("{errors}"),
    }
}

/// The sets of a plan by name, with how many entries each has.
fn sizes(plan: &Plan) -> Vec<(&str, usize)> {
    plan.sets().iter().map(|set| (set.name.as_str(), set.entries)).collect()
}
