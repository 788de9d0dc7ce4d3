//! What a new user meets: help, wrong words, missing files.

use crate::common::{run_in, write};
use tempfile::tempdir;

fn here(args: &[&str]) -> crate::common::Ran {
    run_in(tempdir().expect("a scratch folder").path(), args.iter().copied())
}

#[test]
fn help_names_each_command_and_ends_well() {
    let ran = here(&["--help"]);
    assert_eq!(ran.code, 0);
    for command in
        ["run", "check-rules", "replay", "status", "rules", "reload", "confirm", "stop", "completions", "man"]
    {
        assert!(ran.stdout.contains(command), "{command} in\n{}", ran.stdout);
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [
        &["fly"][..],
        &[],
        &["run", "--nonsense"],
        &["replay"],
        &["run", "--log", "some"],
        &["replay", "x", "--local", "here"],
    ] {
        let ran = here(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(!ran.stderr.is_empty(), "{args:?}");
        if !args.is_empty() {
            assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
            assert!(ran.stderr.starts_with("pfw: ") && ran.stderr.contains("--help'"), "{ran:?}");
        }
    }
}

#[test]
fn a_rules_file_that_is_not_there_is_one_line_with_the_remedy() {
    for args in [&["run", "--config", "no.json"][..], &["replay", "x.pcap", "--config", "no.json"]] {
        let ran = here(args);
        let expected = "pfw: cannot read the rules file no.json: No such file or directory; --config names another\n";
        assert_eq!((ran.code, ran.stderr.as_str()), (2, expected));
    }
}

#[test]
fn without_a_pfw_the_commands_that_steer_one_say_so_in_one_line() {
    for command in ["status", "rules", "reload", "confirm", "stop"] {
        let ran = here(&[command, "--control", "no.sock"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        let expected = "pfw: no pfw is running here (nobody answers at the control socket no.sock); start one with 'sudo pfw run'\n";
        assert_eq!(ran.stderr, expected);
    }
}

#[test]
fn a_socket_that_answers_nonsense_is_an_error_and_not_a_hang() {
    let folder = tempdir().expect("a scratch folder");
    let listener = std::os::unix::net::UnixListener::bind(folder.path().join("liar.sock")).expect("bound");
    let liar = std::thread::spawn(move || {
        for answer in [&b"hello\n"[..], b"{\"v\":1,\"ok\":\"subscribed\"}\n", b""] {
            let (mut stream, _) = listener.accept().expect("a client");
            std::io::Write::write_all(&mut stream, answer).expect("written");
        }
    });
    for words in ["is no answer", "is no answer", "failed"] {
        let ran = run_in(folder.path(), ["status", "--control", "liar.sock"]);
        assert!(ran.code == 1 && ran.stderr.contains(words), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
    liar.join().expect("it ends");
}

#[test]
fn every_flag_of_the_contract_parses() {
    let ran = here(&[
        "run",
        "--monitor-only",
        "--config",
        "missing.json",
        "-i",
        "eth0",
        "--interface",
        "eth1",
        "--log-file",
        "x.log",
        "--log-format",
        "json",
        "--log",
        "blocked",
        "--log-max-size",
        "10M",
        "--log-keep",
        "3",
        "--print",
        "--capture",
        "pnet",
        "--yes",
        "--confirm",
        "30",
        "--keep",
        "--control",
        "pfw.sock",
        "-v",
        "--ring-size",
        "8M",
    ]);
    assert_eq!(ran.code, 2, "the named file is missing: {ran:?}");
    assert!(ran.stderr.contains("missing.json"), "and that is all that is wrong: {ran:?}");
    let ran = here(&[
        "replay",
        "missing.pcap",
        "--config",
        "missing.json",
        "--log-file",
        "x.log",
        "--log-format",
        "text",
        "--log",
        "none",
        "--log-max-size",
        "0",
        "--log-keep",
        "0",
        "--quiet",
        "--json",
        "--local",
        "10.0.0.5",
        "--local",
        "fe80::1",
        "-v",
    ]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("missing.json"), "{ran:?}");
}

#[test]
fn a_dry_run_prints_what_the_kernel_would_be_given_and_needs_no_privilege() {
    let folder = tempdir().expect("a scratch folder");
    write(folder.path(), "rules.json", r#"{ "block_ips": ["192.0.2.7"] }"#);
    let ran = run_in(folder.path(), ["run", "--dry-run", "--config", "rules.json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for words in ["iptables-restore", "ip6tables-restore", "192.0.2.7", "PFW-IN", "NFLOG", "DROP"] {
        assert!(ran.stdout.contains(words), "{words} in\n{}", ran.stdout);
    }
}

#[test]
fn a_rules_file_with_errors_stops_run_and_replay_with_all_of_them() {
    let folder = tempdir().expect("a scratch folder");
    write(folder.path(), "bad.json", "{ \"block_portz\": [80],\n  \"default_policy\": 7 }");
    for command in
        [&["run", "--monitor-only", "--config", "bad.json"][..], &["replay", "x.pcap", "--config", "bad.json"]]
    {
        let ran = run_in(folder.path(), command.iter().copied());
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("bad.json:1:3") && ran.stderr.contains("bad.json:2:"), "{ran:?}");
    }
}

#[test]
fn a_mistake_is_told_as_json_where_json_is_wanted() {
    for args in [
        &["block", "--json", "ssh"][..],
        &["allow", "--json", "10.0.0.0/33"],
        &["block", "--json"],
        &["status", "--json", "--nonsense"],
    ] {
        let ran = here(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        let refusal: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let message = refusal["message"].as_str().expect("a message");
        assert!(refusal["kind"] == "refused" && ran.stderr == format!("pfw: {message}\n"), "{args:?}: {ran:?}");
    }
    assert_eq!(here(&["block", "ssh"]).stdout, "");
}

#[test]
fn completions_and_the_man_page_come_from_the_same_definitions() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(here(&["completions", shell]).stdout.contains("check-rules"), "{shell}");
    }
    assert!(here(&["man"]).stdout.contains(".TH pfw"));
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let shell = format!("{} --help | true; {} man | true", env!("CARGO_BIN_EXE_pfw"), env!("CARGO_BIN_EXE_pfw"));
    let output = std::process::Command::new("sh").args(["-c", &shell]).output().expect("sh runs");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panic"), "{output:?}");
}
