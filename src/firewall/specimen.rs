//! The rules that a command can bring at any time: validated at the start, so that the change itself need not wait for
//! that. Having a single rule validated makes the kernel wait for all its processors, some 35 ms.

use super::plan::{Options, Plan};
use crate::host::Host;
use crate::rules::{Origin, Ruleset, parse};
use crate::time::Timestamp;
use std::io;
use std::path::Path;

/// One entry of each list that takes single values, for each family and protocol that makes another kernel rule of it.
const SHORT: &str = r#"{
    "allow_ips": ["192.0.2.1", "2001:db8::1"],
    "block_ips": ["192.0.2.2", "2001:db8::2", "198.51.100.0/24", "2001:db8:1::/48", "192.0.2.5-192.0.2.6",
        "2001:db8::5-2001:db8::6"],
    "block_ports": ["1/tcp", "1/udp"],
    "block_protocols": ["icmp", "tcp", "udp", "gre"]
}"#;

/// So many entries are a list that acts as one rule, and by a set, since they are apart.
const MANY: u16 = 17;

/// The plans of such rules: short lists, and lists that are long enough for sets. What has sets can be validated once
/// these are there; they are no sets of a plan with these `options`.
pub(super) fn specimens(options: Options) -> [Plan; 2] {
    // Names of sets hold the generation.
    let others = Options { generation: options.generation.wrapping_sub(1), ..options };
    let plan = |text: &str, options| Plan::new(&rules(text), &Host::default(), options, Timestamp::MIN);
    [plan(SHORT, options), plan(&long(), others)]
}

fn long() -> String {
    let apart = |before: &str, behind: &str| {
        let entries = (1..=MANY).map(|n| format!("\"{before}{}{behind}\"", 2 * n));
        entries.collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{ "allow_ips": [{},{}], "block_ips": [{},{}], "block_ports": [{},{}] }}"#,
        apart("192.0.2.", ""),
        apart("2001:db8::", ""),
        apart("198.51.100.", ""),
        apart("2001:db8:1::", ""),
        apart("", "/tcp"),
        apart("", "/udp"),
    )
}

fn rules(text: &str) -> Ruleset {
    let read = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let origin = Origin { file: "", folder: Path::new(""), read: &read };
    // A test sees to it that these are sound; without them a change is only slower.
    parse(text.as_bytes().to_vec(), &origin).map(|loaded| loaded.ruleset).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::family::Family;
    use crate::firewall::table::{Table, Wanted};
    use crate::firewall::tools::Backend;
    use crate::firewall::trial::{Forms, trial};

    const OPTIONS: Options = Options {
        generation: 1,
        nflog_group: Some(7),
        raw: true,
        bpf: true,
        last_user: 65_534,
        backend: Backend::NfTables,
        forwards: true,
    };

    /// Holds what entries make against the specimens.
    fn has_no_new_form(entries: &str) {
        let origin = Origin { file: "", folder: Path::new(""), read: &|_: &Path| Err(io::ErrorKind::NotFound.into()) };
        let rules = parse(format!("{{ {entries} }}").into_bytes(), &origin).expect("sound rules").ruleset;
        let plan = Plan::new(&rules, &Host::default(), OPTIONS, Timestamp::MIN);
        let specimens = specimens(OPTIONS);
        for family in [Family::V4, Family::V6] {
            let transaction = |plan: &Plan| Wanted::of(plan.chains(family)).transaction(&Table::default());
            let mut known = Forms::new();
            for specimen in &specimens {
                assert!(trial(&transaction(specimen).expect("rules"), &mut known).is_some());
            }
            let new = transaction(&plan).and_then(|transaction| trial(&transaction, &mut known));
            assert_eq!(new, None, "{entries}");
        }
    }

    #[test]
    fn what_a_command_adds_has_no_form_that_was_not_validated() {
        for entry in [
            r#""block_ips": ["10.1.2.3"]"#,
            r#""block_ips": ["fd00::/64"]"#,
            r#""block_ips": ["10.0.0.1-10.0.0.9"]"#,
            r#""block_ports": ["445/tcp"]"#,
            r#""block_ports": [53]"#,
            r#""block_protocols": ["icmp"]"#,
            r#""allow_ips": ["10.0.0.0/8"]"#,
        ] {
            has_no_new_form(entry);
        }
    }

    #[test]
    fn nor_has_the_entry_that_makes_a_short_list_a_set() {
        let many = |before: &str| (1..=17).map(|n| format!("\"{before}{}\"", 3 * n)).collect::<Vec<_>>().join(",");
        for (list, before) in [
            ("block_ips", "10.0.0."),
            ("block_ips", "fd00::"),
            ("allow_ips", "10.0.0."),
            ("allow_ips", "fd00::"),
            ("block_ports", ""),
        ] {
            has_no_new_form(&format!(r#""{list}": [{}]"#, many(before)));
        }
    }

    #[test]
    fn sets_of_specimens_are_no_sets_of_a_plan() {
        let [short, long] = specimens(OPTIONS);
        assert!(short.sets().is_empty() && long.sets().len() >= 5, "{:?}", long.sets());
        assert!(long.sets().iter().all(|set| !set.name.contains("-00000001-")), "{:?}", long.sets());
    }
}
