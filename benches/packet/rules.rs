//! Rules of any number, of kinds that users write, none of which the traffic matches: each packet is held against all.

use pfw::rules::{Origin, Ruleset};
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;

/// The file that names the list, in memory.
const LIST: &str = "networks.txt";

/// So many ordered rules, and a list of so many networks.
pub fn ruleset(rules: usize, networks: usize) -> Ruleset {
    let read = |_: &Path| Ok(list(networks).into_bytes());
    let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
    let text = file(rules, (networks > 0).then_some(LIST));
    pfw::rules::parse(text.into_bytes(), &origin).unwrap_or_else(|errors| panic!("{errors}")).ruleset
}

/// A rules file.
pub fn file(rules: usize, list: Option<&str>) -> String {
    let rules: Vec<_> = (0..rules).map(rule).collect();
    let list = list.map_or_else(String::new, |list| format!("\"block_lists\": [\"{list}\"],\n  "));
    format!("{{\n  {list}\"rules\": [\n    {}\n  ]\n}}\n", rules.join(",\n    "))
}

fn rule(n: usize) -> String {
    let conditions = match n % 4 {
        0 => format!(r#""src": "198.18.{}.0/24", "protocol": "tcp", "dst_port": {}"#, n / 4 % 256, 1000 + n),
        1 => format!(r#""dst": "198.19.{}.{}""#, n / 256 % 256, n % 256),
        2 => format!(r#""direction": "in", "protocol": "udp", "dst_port": "{}-{}""#, 20_000 + n, 20_000 + n),
        _ => format!(r#""direction": "out", "src": "2001:db8:{n:x}::/48", "protocol": "tcp""#),
    };
    format!(r#"{{ "action": "block", {conditions} }}"#)
}

/// A list, a network a line: every other one of 256 addresses, from 11.0.0.0 on.
pub fn list(networks: usize) -> String {
    (0..networks).fold(String::new(), |mut text, n| {
        let first = 0x0b00_0000 + u32::try_from(n).expect("few enough") * 512;
        // Writing to memory does not fail.
        let _ = writeln!(text, "{}/24", Ipv4Addr::from_bits(first));
        text
    })
}
