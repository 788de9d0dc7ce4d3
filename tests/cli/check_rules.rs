//! `pfw check-rules`: exit codes, streams and the form of what it prints.

use crate::common::{Ran, run_in, write};
use std::path::Path;
use tempfile::tempdir;

fn check(rules: &str, args: &[&str]) -> Ran {
    let folder = tempdir().expect("a scratch folder");
    write(folder.path(), "rules.json", rules);
    run_in(folder.path(), ["check-rules", "rules.json"].into_iter().chain(args.iter().copied()))
}

#[test]
fn a_valid_file_is_printed_in_the_order_in_which_it_acts() {
    let ran = check(
        r#"{ "rules": [{ "id": "ssh", "action": "allow", "protocol": "tcp", "dst_port": 22 }],
             "block_ports": ["445/tcp"], "allow_ips": ["192.0.2.1"], "default_policy": "deny",
             "block_ips": ["198.51.100.0/24"] }"#,
        &[],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let place = |words: &str| ran.stdout.find(words).unwrap_or_else(|| panic!("no {words} in\n{}", ran.stdout));
    let order = ["192.0.2.1", "198.51.100.0/24", "445/tcp", "ssh", "default_policy"].map(place);
    assert!(order.is_sorted(), "{}", ran.stdout);
}

#[test]
fn all_errors_are_listed_at_once_with_their_places() {
    let ran = check(
        "{\n  \"block_portz\": [80],\n  \"block_ips\": [\"10.0.0.300\", \"10.0.0.1/33\"],\n  \"block_ports\": [70000]\n}",
        &[],
    );
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(ran.stdout, "", "{ran:?}");
    let places = [
        "rules.json:2:3: ",
        "rules.json:3:17: block_ips[0]: ",
        "rules.json:3:31: block_ips[1]: ",
        "rules.json:4:19: block_ports[0]: ",
    ];
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), places.len(), "{}", ran.stderr);
    for (line, place) in lines.iter().zip(places) {
        assert!(line.starts_with(place), "{place}: {line}");
    }
    assert!(lines[0].contains("block_ports"), "the spelling that was meant is offered: {}", lines[0]);
}

#[test]
fn warnings_go_to_standard_error_and_fail_only_where_asked() {
    let rules = r#"{ "block_ips": ["192.0.2.7", "192.0.2.7"] }"#;
    let ran = check(rules, &[]);
    assert_eq!((ran.code, ran.stderr.is_empty()), (0, false), "{ran:?}");
    assert_eq!(check(rules, &["--strict"]).code, 1);
    assert_eq!(check(r#"{ "block_ips": ["192.0.2.7"] }"#, &["--strict"]).code, 0);
}

#[test]
fn json_says_the_same_to_programs() {
    let ran = check(r#"{ "block_ports": [70000] }"#, &["--json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["valid"], false);
    assert_eq!(report["errors"][0]["line"], 1);
    assert_eq!(report["errors"][0]["column"], 19);
    assert_eq!(report["errors"][0]["path"], "block_ports[0]");
}

#[test]
fn the_example_is_valid_without_a_warning_and_blocks_no_way_in() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules.example.json");
    let folder = tempdir().expect("a scratch folder");
    let ran = run_in(folder.path(), ["check-rules", "--strict", example.to_str().expect("text")]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn the_schema_is_json() {
    let ran = check("{}", &["--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert!(schema["properties"]["block_ips"].is_object(), "{schema}");
}

#[test]
fn a_missing_file_and_one_that_is_no_file_are_named() {
    let folder = tempdir().expect("a scratch folder");
    for name in ["missing.json", "."] {
        let ran = run_in(folder.path(), ["check-rules", name]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(name) && ran.stderr.lines().count() == 1, "{ran:?}");
    }
}
