//! The control socket of a real pfw: what it answers, what it changes, and what nobody can do to it.

mod access;
mod change;
mod events;
mod follow;
mod hostile;
mod panic;
mod regime;

use crate::Case;
use crate::common::{PATIENCE, Ran, Running, pfw, run_in, wait_for};
use crate::world::{PEER4, World, sh, try_sh};
use access::pfw_as_nobody;
use pfw::control::client::ask;
use pfw::control::protocol::read_answer;
use pfw::control::{Outcome, Request};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const OWN: &[Case] = &[
    ("status_and_rules_tell_what_pfw_does", status_and_rules_tell_what_pfw_does),
    ("a_reload_by_command_answers_when_the_kernel_has_it", a_reload_answers_when_the_kernel_has_it),
    ("a_confirmation_from_anywhere_keeps_the_rules", a_confirmation_from_anywhere_keeps_the_rules),
    ("stop_answers_when_the_rules_are_gone", stop_answers_when_the_rules_are_gone),
    ("without_a_pfw_each_command_says_how_to_start_one", without_a_pfw_each_command_says_so),
    ("a_reader_of_messages_that_stops_holds_up_nothing", a_reader_of_messages_that_stops),
    ("without_privilege_clean_names_the_remedy", without_privilege_clean_names_the_remedy),
    ("signals_before_it_is_ready_do_not_end_it", signals_before_it_is_ready),
];

pub fn cases() -> Vec<Case> {
    [OWN, access::CASES, change::CASES, events::CASES, follow::CASES, hostile::CASES, panic::CASES, regime::CASES]
        .concat()
}

fn enforce<'a>(world: &World, rules: &str, args: impl IntoIterator<Item = &'a str>) -> Running {
    fs::write(world.path("rules.json"), rules).expect("the scratch folder is writable");
    let mut command = pfw(["run", "--config", "rules.json"]);
    command.args(args).current_dir(world.folder.path());
    Running::start(command)
}

/// Runs a command of the client.
fn steer<'a>(world: &World, args: impl IntoIterator<Item = &'a str>) -> Ran {
    run_in(world.folder.path(), args)
}

fn json<'a>(world: &World, args: impl IntoIterator<Item = &'a str>) -> Value {
    let ran = steer(world, args);
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str(&ran.stdout).expect("JSON")
}

fn status(world: &World) -> Value {
    json(world, ["status", "--json"])
}

fn ping(address: &str) -> bool {
    try_sh(&format!("ping -q -c 1 -W 0.5 {address}")).status.success()
}

/// The socket of the pfw that runs here.
fn socket() -> PathBuf {
    let entries = fs::read_dir("/run/pfw").expect("the folder is there").map_while(Result::ok);
    let mut sockets = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
    sockets.next().expect("a socket").path()
}

fn connect() -> UnixStream {
    let stream = UnixStream::connect(socket()).expect("pfw listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

fn line_of(stream: &UnixStream) -> Vec<u8> {
    let mut line = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut line).expect("an answer in time");
    line
}

fn outcome(stream: &UnixStream) -> Outcome {
    read_answer(&line_of(stream)).expect("an answer")
}

fn status_and_rules_tell_what_pfw_does() {
    let world = World::new();
    let rules = format!(
        r#"{{ "block_ips": [{{ "ip": "{PEER4}", "comment": "bad" }}], "block_ports": [81], "rules": [{{ "id": "off", "action": "allow", "dst_port": 5, "enabled": false }}] }}"#
    );
    let pfw = enforce(&world, &rules, []);
    let data = fs::symlink_metadata(socket()).expect("a socket");
    assert_eq!((data.mode() & 0o777, data.uid()), (0o600, 0));
    assert_eq!(fs::metadata("/run/pfw").expect("a folder").mode() & 0o777, 0o750);
    for _ in 0..3 {
        assert!(!ping(PEER4));
    }
    wait_for("three blocked packets", || (status(&world)["counts"]["blocked"] == 3).then_some(()));
    let told = status(&world);
    assert_eq!(told["pid"], pfw.pid());
    assert_eq!(
        (&told["enforcing"], &told["rules"]["count"], &told["rules"]["generation"]),
        (&true.into(), &3.into(), &1.into())
    );
    assert!(told["interfaces"].as_array().is_some_and(|names| names.contains(&"eth0".into())), "{told}");
    assert!(told["rules"]["file"].as_str().is_some_and(|file| file.starts_with('/') && file.ends_with("rules.json")));
    assert_eq!(told["warnings"], Value::Array(Vec::new()));
    let listed = json(&world, ["rules", "--json"]);
    let rows = listed["rules"].as_array().expect("rows");
    let row = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("{id} in {listed}"));
    let peer = row(&format!("block_ips:{PEER4}"));
    assert_eq!((&peer["hits"], &peer["step"], &peer["comment"]), (&3.into(), &3.into(), &"bad".into()));
    assert_eq!((&row("block_ports:81")["hits"], &row("block_ports:81")["last_hit"]), (&0.into(), &Value::Null));
    assert!(peer["last_hit"].as_str().is_some_and(|time| time.ends_with('Z')), "{peer}");
    assert_eq!(row("off")["idle"], "disabled");
    let text = steer(&world, ["status"]).stdout;
    assert!(text.contains("enforcing the rules by iptables") && text.contains("rules.json (3 rules)"), "{text}");
    let text = steer(&world, ["rules"]).stdout;
    assert!(text.lines().any(|line| line.contains(" 3  block_ips:") && line.ends_with("# bad")), "{text}");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    assert!(
        !fs::read_dir("/run/pfw").expect("the folder").flatten().any(|it| it.file_type().expect("known").is_socket())
    );
}

fn a_reload_answers_when_the_kernel_has_it() {
    let world = World::new();
    // The file is read again when the command says so and at no other time: on a busy machine who watches it is first.
    let mut pfw = enforce(&world, "{}", ["--no-watch"]);
    for _ in 0..10 {
        fs::write(world.path("rules.json"), format!(r#"{{ "block_ips": ["{PEER4}"] }}"#)).expect("written");
        let ran = steer(&world, ["reload"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        assert!(ran.stdout.contains("1 rules (before: 0)"), "{ran:?}");
        assert!(sh("iptables-save").contains(PEER4), "the kernel has it when the answer comes");
        fs::write(world.path("rules.json"), "{}").expect("written");
        assert_eq!(steer(&world, ["reload"]).code, 0);
        assert!(!sh("iptables-save").contains(PEER4));
    }
    fs::write(world.path("rules.json"), "{\n  \"block_portz\": [80]\n}").expect("written");
    let refused = steer(&world, ["reload"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("rules.json:2:3") && refused.stderr.contains("stay"), "{refused:?}");
    pfw.wait_to_say("rules.json:2:3");
    let told = status(&world);
    assert!(told["rules"]["refused"]["errors"][0].as_str().is_some_and(|error| error.contains(":2:3")), "{told}");
    assert!(steer(&world, ["status"]).stdout.contains("! the rules file was refused"));
    let refused = steer(&world, ["reload", "--json"]);
    let value: Value = serde_json::from_str(&refused.stdout).expect("JSON");
    assert_eq!((refused.code, &value["kind"]), (2, &"refused".into()), "{refused:?}");
    fs::write(world.path("rules.json"), "{}").expect("written");
    assert_eq!(json(&world, ["reload", "--json"])["warnings"], Value::Array(Vec::new()));
    assert_eq!(status(&world)["rules"]["refused"], Value::Null);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_confirmation_from_anywhere_keeps_the_rules() {
    let world = World::new();
    let started = Instant::now();
    let mut pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), ["--confirm", "3"]);
    let said = pfw.wait_to_say("press Enter");
    assert!(said.contains("'sudo pfw confirm'"), "{said}");
    assert!(status(&world)["confirm"].as_u64().is_some_and(|left| left <= 3));
    assert!(steer(&world, ["status"]).stdout.contains("! not confirmed"));
    let ran = steer(&world, ["confirm"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("the rules stay"), "{ran:?}");
    assert_eq!(status(&world)["confirm"], Value::Null);
    let again = steer(&world, ["confirm"]);
    assert!(again.code == 1 && again.stderr.contains("nothing to confirm"), "{again:?}");
    std::thread::sleep(Duration::from_secs(4).saturating_sub(started.elapsed()));
    assert!(!ping(PEER4), "the rules are in force though the time is up");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn stop_answers_when_the_rules_are_gone() {
    let world = World::new();
    let path = world.path("own.sock");
    let control = path.to_str().expect("a path");
    for (args, words) in
        [(&["--control", control][..], "removed"), (&["--control", control, "--monitor-only"], "stopped")]
    {
        let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), args.iter().copied());
        let pid = pfw.pid();
        assert_eq!(steer(&world, ["stop"]).code, 1, "the usual place is empty");
        let ran = steer(&world, ["stop", "--control", control]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains(words), "{ran:?}");
        assert!(ping(PEER4), "nothing is blocked any more");
        assert!(!path.exists(), "the socket is gone with pfw");
        assert!(
            fs::read_to_string(world.path("firewall.log")).expect("a log").contains("event=stopped"),
            "all is written"
        );
        wait_for("pfw to end", || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }
}

fn without_a_pfw_each_command_says_so() {
    let world = World::new();
    for args in [
        &["status"][..],
        &["rules"],
        &["audit"],
        &["reload"],
        &["confirm"],
        &["stop"],
        &["status", "--control", "no.sock"],
    ] {
        let ran = steer(&world, args.iter().copied());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.stderr.starts_with("pfw: no pfw is running here (") && ran.stderr.contains("sudo pfw run"),
            "{ran:?}"
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        let ran = steer(&world, args.iter().copied().chain(["--json"]));
        let value: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert!(ran.code == 1 && value["message"].as_str().is_some_and(|it| it.starts_with("no pfw")), "{ran:?}");
    }
}

/// As a terminal that was stopped with Ctrl-S: standard error takes nothing more.
fn a_reader_of_messages_that_stops() {
    let world = World::new();
    fs::write(world.path("rules.json"), "{}").expect("written");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = pfw(["run", "--config", "rules.json"]);
    let mut child = command.current_dir(world.folder.path()).stderr(writer).spawn().expect("it starts");
    wait_for("pfw to answer", || (steer(&world, ["status"]).code == 0).then_some(()));
    fs::write(world.path("rules.json"), r#"{ "block_portz": [] }"#).expect("written");
    // Each says two lines; a pipe holds 64 KiB, and a thousand lines wait.
    for _ in 0..1_500 {
        assert!(ask(None, &Request::Reload).is_err(), "the file is bad");
    }
    fs::write(world.path("rules.json"), format!(r#"{{ "block_ips": ["{PEER4}"] }}"#)).expect("written");
    let start = Instant::now();
    assert_eq!(steer(&world, ["reload"]).code, 0);
    assert!(!ping(PEER4), "main goes on");
    assert!(start.elapsed() < Duration::from_secs(5));
    let start = Instant::now();
    assert_eq!(steer(&world, ["stop"]).code, 0);
    wait_for("pfw to end", || child.try_wait().expect("a child"));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(ping(PEER4));
    drop((reader, command));
}

fn without_privilege_clean_names_the_remedy() {
    let world = World::new();
    fs::write(world.path("rules.json"), "{}").expect("written");
    fs::set_permissions(world.folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
    let ran: Ran = pfw_as_nobody(["clean"]).output().expect("runs").into();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("Permission denied") && ran.stderr.ends_with("; run it with sudo\n"), "{ran:?}");
    // Where /run is closed, as it is on a real machine, and root's pfw has left its folder.
    sh("chmod 755 /run; mkdir -p /run/pfw; chown 0:0 /run/pfw; chmod 750 /run/pfw");
    for command in [&["clean"][..], &["run", "--no-control"], &["run"]] {
        let ran: Ran =
            pfw_as_nobody(command.iter().copied()).current_dir(world.folder.path()).output().expect("runs").into();
        assert!(ran.code == 1 && ran.stderr.contains("sudo") && !ran.stderr.contains("os error"), "{ran:?}");
    }
}

fn signals_before_it_is_ready() {
    let world = World::new();
    // A list that takes a moment to read.
    let list: Vec<_> = (0..200_000_u32).map(|n| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)).collect();
    fs::write(world.path("list.txt"), list.join("\n")).expect("written");
    fs::write(world.path("rules.json"), r#"{ "block_lists": ["list.txt"] }"#).expect("written");
    let mut command = pfw(["run", "--monitor-only", "--config", "rules.json"]);
    command.current_dir(world.folder.path());
    let running = Running::start_with(command, |pid| {
        wait_for("pfw to catch signals", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim().to_owned();
            // SIGHUP is the first bit.
            (u64::from_str_radix(&caught, 16).ok()? & 1 == 1).then_some(())
        });
        for signal in [libc::SIGHUP, libc::SIGUSR1] {
            // SAFETY: kill takes numbers; the child has not been waited for.
            assert_eq!(unsafe { libc::kill(i32::try_from(pid).expect("small"), signal) }, 0);
        }
    });
    assert_eq!(status(&world)["pid"], running.pid());
    assert_eq!(running.stop(libc::SIGTERM).0, 0);
}
