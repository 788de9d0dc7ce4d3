//! The rules that a command can bring at any time: validated at the start, so that the change itself need not wait for
//! that. Having a single rule validated makes the kernel wait for all its processors, some 35 ms.

use super::plan::{Options, Plan};
use crate::host::Host;
use crate::rules::{Origin, Ruleset, parse};
use crate::time::Timestamp;
use std::io;
use std::path::Path;

/// One entry of each list that takes single values, for each family and protocol that makes another kernel rule of it.
const RULES: &str = r#"{
    "allow_ips": ["192.0.2.1", "2001:db8::1"],
    "block_ips": ["192.0.2.2", "2001:db8::2", "198.51.100.0/24", "2001:db8:1::/48"],
    "block_ports": ["1/tcp", "1/udp"],
    "block_protocols": ["icmp", "tcp", "udp", "gre"]
}"#;

/// The plan of such rules.
pub(super) fn specimen(options: Options) -> Plan {
    Plan::new(&rules(), &Host::default(), options, Timestamp::MIN)
}

fn rules() -> Ruleset {
    let read = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let origin = Origin { file: "", folder: Path::new(""), read: &read };
    // A test sees to it that these are sound; without them a change is only slower.
    parse(RULES.as_bytes().to_vec(), &origin).map(|loaded| loaded.ruleset).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::family::Family;

    #[test]
    fn what_a_command_adds_has_no_form_that_was_not_validated() {
        let options = Options { generation: 1, nflog_group: Some(7), raw: true, forwards: true };
        let specimen = specimen(options);
        let origin = Origin { file: "", folder: Path::new(""), read: &|_: &Path| Err(io::ErrorKind::NotFound.into()) };
        for entry in [
            r#""block_ips": ["10.1.2.3"]"#,
            r#""block_ips": ["fd00::/64"]"#,
            r#""block_ports": ["445/tcp"]"#,
            r#""block_ports": [53]"#,
            r#""block_protocols": ["icmp"]"#,
            r#""allow_ips": ["10.0.0.0/8"]"#,
        ] {
            let text = format!("{{ {entry} }}");
            let rules = parse(text.into_bytes(), &origin).expect("sound rules").ruleset;
            let plan = Plan::new(&rules, &Host::default(), options, Timestamp::MIN);
            for family in [Family::V4, Family::V6] {
                let new: Vec<_> = plan.forms(family).difference(&specimen.forms(family)).cloned().collect();
                assert_eq!(new, [], "{entry}");
            }
        }
    }
}
