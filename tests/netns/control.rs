//! The control socket of a real pfw: what it answers, what it changes, and what nobody can do to it.

use crate::Case;
use crate::common::{PATIENCE, Ran, Running, pfw, run_in, wait_for};
use crate::world::{HOST4, PEER4, World, on_peer, sh, try_sh};
use pfw::control::client::ask;
use pfw::control::limits::{MAX_CLIENTS_OF_USER, MAX_REQUEST};
use pfw::control::protocol::read_answer;
use pfw::control::{Answer, Outcome, RefusalKind, Request};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("status_and_rules_tell_what_pfw_does", status_and_rules_tell_what_pfw_does),
    ("a_reload_by_command_answers_when_the_kernel_has_it", a_reload_answers_when_the_kernel_has_it),
    ("a_confirmation_from_anywhere_keeps_the_rules", a_confirmation_from_anywhere_keeps_the_rules),
    ("stop_answers_when_the_rules_are_gone", stop_answers_when_the_rules_are_gone),
    ("without_a_pfw_each_command_says_how_to_start_one", without_a_pfw_each_command_says_so),
    ("nobody_else_can_do_anything_through_the_socket", nobody_else_can_do_anything),
    ("a_group_may_be_let_in", a_group_may_be_let_in),
    ("hostile_clients_hurt_nobody", hostile_clients_hurt_nobody),
    ("a_hundred_clients_at_once_are_all_answered", a_hundred_clients_are_all_answered),
    ("a_dead_socket_is_replaced_and_a_foreign_file_is_not", a_dead_socket_is_replaced),
    ("a_watching_pfw_has_a_socket_beside_the_enforcing_one", a_watching_pfw_has_its_own_socket),
    ("a_subscriber_that_never_reads_costs_the_firewall_nothing", a_subscriber_that_never_reads),
    ("subscribers_get_the_kinds_they_want_whatever_is_logged", subscribers_get_what_they_want),
    ("a_reader_of_messages_that_stops_holds_up_nothing", a_reader_of_messages_that_stops),
    ("without_privilege_clean_names_the_remedy", without_privilege_clean_names_the_remedy),
    ("signals_before_it_is_ready_do_not_end_it", signals_before_it_is_ready),
];

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
    assert_eq!(row("block_ports:81")["hits"], 0);
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
    let mut pfw = enforce(&world, "{}", []);
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
    }
}

/// What a user gets who sends `request` to the socket: the answer, or nothing if the socket can't be reached.
fn as_user(user: u32, group: u32, request: &Request) -> Option<Outcome> {
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ntry: s.connect(sys.argv[1])\nexcept PermissionError: sys.exit(7)\ntry: s.sendall(sys.argv[2].encode())\nexcept OSError: pass\nsys.stdout.buffer.write(s.makefile('rb').readline())";
    let line = String::from_utf8(request.to_line()).expect("text");
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(socket()).arg(line).uid(user).gid(group).current_dir("/");
    let output = command.output().expect("python3 runs");
    match output.status.code() {
        Some(7) => None,
        Some(0) => Some(read_answer(&output.stdout).expect("an answer")),
        _ => panic!("{output:?}"),
    }
}

const NOBODY: u32 = 65_534;

fn nobody_else_can_do_anything() {
    let world = World::new();
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), []);
    for request in Request::all() {
        assert_eq!(as_user(NOBODY, NOBODY, &request), None, "{request:?}: the folder is closed");
    }
    // Should the modes ever fail, the kernel's word about the caller still holds.
    fs::set_permissions("/run/pfw", fs::Permissions::from_mode(0o755)).expect("set");
    for request in Request::all() {
        assert_eq!(as_user(NOBODY, NOBODY, &request), None, "{request:?}: the socket is closed");
    }
    fs::set_permissions(socket(), fs::Permissions::from_mode(0o666)).expect("set");
    for request in Request::all() {
        let answer = as_user(NOBODY, 0, &request).expect("connected");
        assert_eq!(answer.map_err(|refusal| refusal.kind), Err(RefusalKind::NotAllowed), "{request:?}");
    }
    assert!(!ping(PEER4) && sh("iptables-save").contains(PEER4), "nothing has changed");
    assert_eq!(status(&world)["pid"], pfw.pid());
    let mut command = pfw_as_nobody(["status"]);
    let ran: Ran = command.output().expect("runs").into();
    assert!(ran.code == 1 && ran.stderr.contains("not allowed"), "{ran:?}");
    fs::set_permissions(socket(), fs::Permissions::from_mode(0o600)).expect("set");
    let ran: Ran = pfw_as_nobody(["stop"]).output().expect("runs").into();
    assert!(ran.code == 1 && ran.stderr.contains("use sudo"), "{ran:?}");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn pfw_as_nobody<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = pfw([]);
    command.args(args).uid(NOBODY).gid(NOBODY).current_dir("/");
    command
}

fn a_group_may_be_let_in() {
    const GROUP: u32 = 4_711;
    let world = World::new();
    let pfw = enforce(&world, "{}", ["--control-group", "4711"]);
    let data = fs::symlink_metadata(socket()).expect("a socket");
    assert_eq!((data.mode() & 0o777, data.gid()), (0o660, GROUP));
    for request in Request::all().into_iter().filter(|request| *request != Request::Stop) {
        let refused_for_cause = |outcome: Outcome| outcome.map_err(|refusal| refusal.kind) == Err(RefusalKind::Refused);
        let answer = as_user(NOBODY, GROUP, &request).expect("the group gets in");
        assert!(answer.is_ok() || request == Request::Confirm && refused_for_cause(answer), "{request:?}");
        assert_eq!(as_user(NOBODY, NOBODY, &request), None, "{request:?}");
    }
    assert_eq!(as_user(NOBODY, GROUP, &Request::Stop).map(|answer| answer.is_ok()), Some(true));
    drop(pfw);
    let unknown = steer(&world, ["run", "--control-group", "no-such-group"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("no such group"), "{unknown:?}");
}

/// Asks for the status while something goes on elsewhere; within 50 ms, as others are to be served.
fn is_served_quickly() {
    let start = Instant::now();
    let stream = connect();
    (&stream).write_all(&Request::Status.to_line()).expect("sent");
    assert!(matches!(outcome(&stream), Ok(Answer::Status(_))));
    // Ten times the figure, for a busy machine; the best of some is held against the figure itself.
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

fn hostile_clients_hurt_nobody() {
    let world = World::new();
    let pfw = enforce(&world, "{}", []);
    let slow = connect();
    (&slow).write_all(b"{\"v\":1,").expect("sent");
    let silent = connect();
    is_served_quickly();

    let huge = connect();
    let sending = huge.try_clone().expect("cloned");
    let sender = std::thread::spawn(move || {
        // It is cut off on the way.
        let _ = (&sending).write_all(&vec![b'x'; 100 * MAX_REQUEST]);
    });
    assert_eq!(outcome(&huge).map_err(|refusal| refusal.kind), Err(RefusalKind::TooLong));
    sender.join().expect("it ends");
    is_served_quickly();

    let mut garbage: Vec<u8> = (0..50_000_u32).map(|n| u8::try_from(n * 7 % 251).expect("small")).collect();
    garbage.extend_from_slice(b"\nGET / HTTP/1.0\r\n\r\n[[[[\n{\"v\":1,\"request\":\"fly\"}\n{\"v\":9}\n");
    let noisy = connect();
    (&noisy).write_all(&garbage).expect("sent");
    noisy.shutdown(std::net::Shutdown::Write).expect("shut");
    let mut answers = Vec::new();
    (&noisy).read_to_end(&mut answers).expect("read");
    for line in answers.split_inclusive(|&byte| byte == b'\n') {
        assert!(read_answer(line).expect("an answer").is_err() && line.len() < 1_000);
    }

    // A client that never reads its answers is left; what it asked for costs a page each.
    let deaf = connect();
    deaf.set_write_timeout(Some(Duration::from_millis(200))).expect("set");
    while (&deaf).write_all(&Request::Rules { from: 0 }.to_line().repeat(100)).is_ok() {}
    is_served_quickly();

    assert_eq!(outcome(&slow).map_err(|refusal| refusal.kind), Err(RefusalKind::TooSlow));
    assert_eq!(outcome(&silent).map_err(|refusal| refusal.kind), Err(RefusalKind::TooSlow));
    let best = (0..20).map(|_| {
        let start = Instant::now();
        is_served_quickly();
        start.elapsed()
    });
    assert!(best.min().expect("some") < Duration::from_millis(50));
    drop((deaf, noisy, huge));
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_hundred_clients_are_all_answered() {
    let world = World::new();
    let pfw = enforce(&world, "{}", []);
    let answered: Vec<(Duration, bool)> = std::thread::scope(|scope| {
        let client = || {
            let start = Instant::now();
            let stream = connect();
            // Who is refused finds the door closed.
            let _ = (&stream).write_all(&Request::Status.to_line());
            match outcome(&stream) {
                Ok(Answer::Status(_)) => (start.elapsed(), true),
                Err(refusal) if refusal.kind == RefusalKind::Busy => (start.elapsed(), false),
                other => panic!("{other:?}"),
            }
        };
        let clients: Vec<_> = (0..100).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().expect("answered")).collect()
    });
    let served = answered.iter().filter(|(_, served)| *served).count();
    assert!(served >= MAX_CLIENTS_OF_USER, "{served} of 100");
    assert!(answered.iter().all(|(time, _)| *time < Duration::from_secs(2)), "{answered:?}");
    // The commands come again until there is a place.
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..100).map(|_| scope.spawn(|| ask(None, &Request::Status).expect("in the end").0)).collect();
        for client in clients {
            assert!(matches!(client.join().expect("answered"), Answer::Status(_)));
        }
    });
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_dead_socket_is_replaced() {
    let world = World::new();
    for _ in 0..5 {
        let pfw = enforce(&world, "{}", []);
        pfw.stop(libc::SIGKILL);
        assert!(fs::symlink_metadata(socket()).is_ok(), "it left its socket");
    }
    let pfw = enforce(&world, "{}", []);
    assert_eq!(status(&world)["pid"], pfw.pid());
    let path = socket();
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    fs::write(world.path("precious"), "precious").expect("written");
    symlink(world.path("precious"), &path).expect("linked");
    let refused = steer(&world, ["run", "--config", "rules.json"]);
    assert!(refused.code == 1 && refused.stderr.contains("something else"), "{refused:?}");
    assert!(!sh("iptables-save").contains("PFW"), "nothing was changed");
    assert_eq!(fs::read(world.path("precious")).expect("there"), b"precious");
    fs::remove_file(&path).expect("removed");
    assert_eq!(enforce(&world, "{}", ["--no-control"]).stop(libc::SIGTERM).0, 0);
}

fn a_watching_pfw_has_its_own_socket() {
    let world = World::new();
    let watching = world.watch("{}", ["--log-file", "watching.log"]);
    assert_eq!(status(&world)["enforcing"], false);
    let pfw = enforce(&world, "{}", []);
    assert_eq!((&status(&world)["enforcing"], &status(&world)["pid"]), (&true.into(), &pfw.pid().into()));
    let mut third = world.watch("{}", ["--log-file", "third.log"]);
    assert!(third.said.iter().any(|line| line.contains("no control socket")), "{:?}", third.said);
    third.said.clear();
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    assert_eq!(status(&world)["pid"], watching.pid());
    assert_eq!(watching.stop(libc::SIGTERM).0, 0);
    assert_eq!(third.stop(libc::SIGTERM).0, 0);
}

/// Datagrams of the flood, and how many go out before the sender rests.
const FLOOD: usize = 100_000;

fn flood() {
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
        for n in 0..FLOOD {
            // Nobody listens there, so that the kernel now and then says so.
            let _ = socket.send_to(b"x", (HOST4, 9));
            if n % 2_000 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
}

fn subscribe(kinds: &str) -> UnixStream {
    let stream = connect();
    (&stream)
        .write_all(format!("{{\"v\":1,\"request\":{{\"subscribe\":{{\"kinds\":[{kinds}]}}}}}}\n").as_bytes())
        .expect("sent");
    let mut byte = [0];
    let mut line = Vec::new();
    while byte != *b"\n" {
        (&stream).read_exact(&mut byte).expect("an answer");
        line.push(byte[0]);
    }
    assert_eq!(read_answer(&line), Ok(Ok(Answer::Subscribed)));
    // It takes a turn of the thread until the log knows.
    std::thread::sleep(Duration::from_millis(100));
    stream
}

fn a_subscriber_that_never_reads() {
    let world = World::new();
    let rules = r#"{ "block_ports": ["9/udp"] }"#;
    let pfw = enforce(&world, rules, ["--ring-size", "256M"]);
    let deaf = subscribe("\"blocked\",\"lost\"");
    let before = FLOOD.to_string();
    flood();
    wait_for("all to be counted", || {
        let told = status(&world);
        let counts = &told["counts"];
        let (blocked, lost) = (counts["blocked"].as_u64()?, counts["lost_reports"].as_u64()?);
        (blocked + lost >= FLOOD as u64).then_some(())
    });
    let told = status(&world);
    assert_eq!(told["counts"]["lost_log"], 0, "{told}");
    assert_eq!(told["counts"]["blocked"].to_string(), before, "{told}");
    // Now it reads: some events, and how many it has missed.
    let mut reader = BufReader::new(deaf);
    let (mut got, mut missed, mut told_lost) = (0, 0, 0);
    let mut line = String::new();
    while got + missed + told_lost < FLOOD as u64 {
        line.clear();
        reader.read_line(&mut line).expect("more to come");
        let event: Value = serde_json::from_str(&line).expect("JSON");
        match (event["event_type"].as_str(), event["cause"].as_str()) {
            (Some("lost"), Some("not-read")) => missed += event["n"].as_u64().expect("a number"),
            (Some("lost"), _) => told_lost += 1,
            _ => got += u64::from(event["verdict"] == "blocked"),
        }
    }
    assert!(missed > 0 && got > 1_000, "{got} read, {missed} missed");
    assert_eq!(got + missed, FLOOD as u64);
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
}

fn subscribers_get_what_they_want() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_ports": ["9/udp"] }"#, ["--log", "blocked"]);
    let [blocked, allowed] = ["\"blocked\"", "\"allowed\""].map(|kind| BufReader::new(subscribe(kind)));
    let own = subscribe("\"pfw\"");
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
        for port in [9, 10, 9] {
            socket.send_to(b"x", (HOST4, port)).expect("sent");
        }
    });
    let events = |reader: BufReader<UnixStream>| {
        reader.lines().map(|line| serde_json::from_str::<Value>(&line.expect("an event")).expect("JSON"))
    };
    for event in events(blocked).take(2) {
        assert_eq!(
            (&event["verdict"], &event["dest_port"], &event["rule"]),
            (&"blocked".into(), &9.into(), &"block_ports:9/udp".into())
        );
    }
    let passed = events(allowed).find(|event| event["dest_port"] == 10).expect("the log leaves it out, not the socket");
    assert_eq!(passed["verdict"], "allowed");
    assert_eq!(steer(&world, ["reload"]).code, 0);
    let event: Value = serde_json::from_slice(&line_of(&own)).expect("JSON");
    assert_eq!(event["event_type"], "pfw");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    assert!(!world.log().iter().any(|line| line.contains("ALLOWED")), "the file has what was asked for");
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
    // Where /run is closed, as it is on a real machine.
    sh("chmod 755 /run");
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
