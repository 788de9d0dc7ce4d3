//! Rules files by chance. All values come from small domains, so that packets hit the rules and their boundaries.

use super::chance::Chance;
use std::fmt::Write;

/// Addresses that packets bear; networks below begin and end at some of them.
pub const FAR4: [&str; 8] =
    ["10.77.0.2", "10.78.0.2", "10.79.0.2", "192.0.2.6", "192.0.2.7", "192.0.2.8", "198.51.100.255", "203.0.113.1"];
pub const FAR6: [&str; 8] = [
    "fd77::2",
    "fd78::2",
    "fd79::2",
    "2001:db8::6",
    "2001:db8::7",
    "2001:db8::8",
    "2001:db8:1::",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
];
const NETWORKS4: [&str; 12] = [
    "10.77.0.2",
    "10.78.0.0/24",
    "10.79.0.0/24",
    "192.0.2.7",
    "192.0.2.6-192.0.2.7",
    "192.0.2.0/29",
    "192.0.2.8/31",
    "198.51.100.0/24",
    "203.0.113.0-203.0.113.1",
    "10.77.0.0/16",
    "0.0.0.0/1",
    "127.0.0.1",
];
const NETWORKS6: [&str; 10] = [
    "fd77::2",
    "fd78::/64",
    "fd79::/64",
    "2001:db8::7",
    "2001:db8::6-2001:db8::7",
    "2001:db8::/125",
    "2001:db8:1::/48",
    "2001:db8::/32",
    "::/1",
    "::1",
];
/// Ports that packets bear.
pub const PORTS: [u16; 10] = [22, 53, 80, 443, 5000, 5001, 8080, 1023, 1024, 65535];
const PORT_WORDS: [&str; 14] = [
    "22",
    "\"53/udp\"",
    "80",
    "\"443/tcp\"",
    "\"5000-5001\"",
    "\"5001/udp\"",
    "\"1-1023/tcp\"",
    "\"1024-65535/udp\"",
    "\"!80\"",
    "\"!443/tcp\"",
    "\"!1000-2000\"",
    "8080",
    "\"65535\"",
    "\"5001-8080\"",
];
const PROTOCOLS: [&str; 14] =
    ["tcp", "udp", "icmp", "icmpv6", "gre", "sctp", "esp", "253", "igmp", "!tcp", "!icmp", "!udp", "136", "2"];
const TYPES: [&str; 12] = [
    "echo-request",
    "echo-reply",
    "destination-unreachable",
    "3/3",
    "!echo-request",
    "8/0",
    "255",
    "!255",
    "time-exceeded",
    "13",
    "1/4",
    "!3/1",
];
const INTERFACES: [&str; 8] = ["eth0", "eth1", "eth0.5", "lo", "!eth0", "eth+", "!lo", "eth0.+"];

/// Entries that make a list one rule and a set.
const LONG: usize = 40;
/// Rules that block, so many that they share their reports.
const MANY: usize = 100;

/// A rules file and the block list that it may name.
#[derive(Clone, Debug)]
pub struct Files {
    pub rules: String,
    pub list: String,
}

impl Files {
    /// Any rules, most of them few.
    pub fn any(chance: &mut Chance) -> Self {
        let mut parts = Vec::new();
        if let Some(policy) = policy(chance) {
            parts.push(format!("\"default_policy\": {policy}"));
        }
        for (key, odds) in [("allow_ips", 3), ("block_ips", 2)] {
            if chance.one_in(odds) {
                parts.push(format!("\"{key}\": [{}]", addresses(chance)));
            }
        }
        let list = if chance.one_in(4) { block_list(chance) } else { String::new() };
        if !list.is_empty() {
            parts.push("\"block_lists\": [\"bulk.txt\"]".to_owned());
        }
        if chance.one_in(2) {
            parts.push(format!("\"block_ports\": [{}]", ports(chance, 3)));
        }
        if chance.one_in(3) {
            parts.push(format!("\"block_protocols\": [{}]", some(chance, &PROTOCOLS, 2, true)));
        }
        if chance.one_in(6) {
            parts.push(format!("\"allow_protocols\": [{}]", some(chance, &PROTOCOLS, 3, true)));
        }
        let mut rules: Vec<_> = (0..chance.below(8)).map(|n| rule(chance, n)).collect();
        // By chance of its own: all else that a seed stands for stays as it was.
        let mut aside = chance.clone();
        if aside.one_in(4) {
            let at = aside.below(rules.len() + 1);
            rules.splice(at..at, row(&mut aside));
        }
        if aside.one_in(8) {
            let at = aside.below(rules.len() + 1);
            rules.splice(at..at, (0..MANY).map(idle_rule));
        }
        if aside.one_in(4) {
            let at = aside.below(rules.len() + 1);
            rules.splice(
                at..at,
                (0..=aside.below(3)).map(|number| loopback_rule(&mut aside, number)).collect::<Vec<_>>(),
            );
        }
        if !rules.is_empty() {
            parts.push(format!("\"rules\": [\n    {}\n  ]", rules.join(",\n    ")));
        }
        Self { rules: format!("{{\n  {}\n}}\n", parts.join(",\n  ")), list }
    }
}

fn policy(chance: &mut Chance) -> Option<&'static str> {
    let policies = [
        "\"deny\"",
        "{ \"in\": \"deny\", \"out\": \"allow\" }",
        "{ \"in\": \"allow\", \"out\": \"deny\" }",
        "\"allow\"",
    ];
    (!chance.one_in(2)).then(|| chance.pick(&policies))
}

fn some(chance: &mut Chance, from: &[&str], most: usize, quoted: bool) -> String {
    let mut words: Vec<&str> = (0..=chance.below(most)).map(|_| chance.pick(from)).collect();
    words.sort_unstable();
    words.dedup();
    let words: Vec<_> =
        words.into_iter().map(|word| if quoted { format!("\"{word}\"") } else { word.to_owned() }).collect();
    words.join(", ")
}

/// Ports, sometimes so many that they are a set.
fn ports(chance: &mut Chance, most: usize) -> String {
    // By chance of its own: all else that a seed stands for stays as it was.
    let many = chance.clone().one_in(4);
    let some = some(chance, &PORT_WORDS, most, false);
    let apart = (0..LONG).filter(|_| many).map(|n| format!(", {}", 1001 + 2 * n));
    some + &apart.collect::<String>()
}

/// Networks of one family or both, sometimes negated ones, sometimes many.
fn addresses(chance: &mut Chance) -> String {
    let mut words: Vec<String> = (0..=chance.below(3))
        .map(|_| {
            let network = if chance.one_in(2) { chance.pick(&NETWORKS4) } else { chance.pick(&NETWORKS6) };
            format!("\"{}{network}\"", if chance.one_in(8) { "!" } else { "" })
        })
        .collect();
    if chance.one_in(6) {
        words.extend((0..LONG).map(|n| format!("\"192.0.2.{}\"", n * 2)));
        words.extend((0..LONG).map(|n| format!("\"2001:db8::{:x}\"", n * 2)));
    }
    words.sort_unstable();
    words.dedup();
    words.join(", ")
}

fn block_list(chance: &mut Chance) -> String {
    let mut text = "# bulk\n".to_owned();
    for _ in 0..=chance.below(3) {
        let network = if chance.one_in(2) { chance.pick(&NETWORKS4) } else { chance.pick(&NETWORKS6) };
        if !network.contains('-') && !network.ends_with("/1") {
            let _ = writeln!(text, "{network}");
        }
    }
    if chance.one_in(2) {
        for n in 0..LONG {
            let _ = writeln!(text, "192.0.2.{}\n2001:db8:0:{:x}::/64", n * 2 + 1, n * 2);
        }
    }
    text
}

/// A rule that blocks what is never sent. With many of them all that block share their reports.
fn idle_rule(number: usize) -> String {
    format!(
        "{{ \"id\": \"idle{number}\", \"action\": \"block\", \"src\": \"192.0.2.{number}\", \"protocol\": \"gre\" }}"
    )
}

/// A rule that names loopback, and few of whose packets another rule has decided about.
fn loopback_rule(chance: &mut Chance, number: usize) -> String {
    let action = chance.pick(&["allow", "block", "block", "reject"]);
    let mut parts = vec![format!("\"id\": \"lo{number}\", \"action\": \"{action}\", \"interface\": \"lo\"")];
    if !chance.one_in(3) {
        parts.push(format!("\"direction\": \"{}\"", chance.pick(&["in", "out"])));
    }
    if chance.one_in(3) {
        parts.push(format!("\"dst_port\": [{}]", some(chance, &PORT_WORDS, 3, false)));
    }
    format!("{{ {} }}", parts.join(", "))
}

/// Rules in a row that block by the same field.
fn row(chance: &mut Chance) -> Vec<String> {
    let key = chance.pick(&["dst_port", "dst_port", "src_port", "src", "dst"]);
    (0..8 + chance.below(6))
        .map(|number| {
            let value = match key {
                "src" | "dst" if chance.one_in(2) => format!("\"192.0.2.{0}\", \"2001:db8::{0}\"", number + 1),
                "src" | "dst" => format!("\"{}\"", chance.pick(&NETWORKS4)),
                _ if chance.one_in(2) => format!("{}", 1000 + number * 2),
                _ => chance.pick(&PORT_WORDS).to_owned(),
            };
            let action = chance.pick(&["block", "block", "block", "reject"]);
            let mut parts = vec![format!("\"id\": \"row{number}\", \"action\": \"{action}\", \"{key}\": [{value}]")];
            if chance.one_in(6) {
                parts.push(format!("\"interface\": \"{}\"", chance.pick(&INTERFACES)));
            }
            if chance.one_in(4) {
                parts.push(format!("\"direction\": \"{}\"", chance.pick(&["in", "out"])));
            }
            format!("{{ {} }}", parts.join(", "))
        })
        .collect()
}

/// An ordered rule of whatever conditions.
fn rule(chance: &mut Chance, number: usize) -> String {
    let action = chance.pick(&["allow", "allow", "block", "block", "reject"]);
    let mut parts = vec![format!("\"id\": \"r{number}\", \"action\": \"{action}\"")];
    let networks: &[&str] = if chance.one_in(2) { &NETWORKS4 } else { &NETWORKS6 };
    for key in ["src", "dst"] {
        if chance.one_in(4) {
            let words: Vec<_> = (0..=chance.below(2))
                .map(|_| format!("\"{}{}\"", if chance.one_in(4) { "!" } else { "" }, chance.pick(networks)))
                .collect();
            parts.push(format!("\"{key}\": [{}]", words.join(", ")));
        }
    }
    match chance.below(5) {
        0 => parts.push(format!("\"dst_port\": [{}]", ports(chance, 3))),
        1 => parts.push(format!(
            "\"src_port\": [{}], \"dst_port\": [{}]",
            some(chance, &PORT_WORDS, 2, false),
            some(chance, &PORT_WORDS, 2, false)
        )),
        2 => parts.push(format!("\"protocol\": [{}]", some(chance, &PROTOCOLS, 3, true))),
        3 => parts.push(format!("\"icmp_type\": [{}]", some(chance, &TYPES, 3, true))),
        _ => {}
    }
    if chance.one_in(3) {
        parts.push(format!("\"interface\": [{}]", some(chance, &INTERFACES, 2, true)));
    }
    if chance.one_in(2) {
        parts.push(format!("\"direction\": \"{}\"", chance.pick(&["in", "out"])));
    }
    format!("{{ {} }}", parts.join(", "))
}
