//! The view of a real pfw, in a real terminal: keys are sent, the screen is read, the kernel is asked.

use crate::Case;
use crate::common::{Running, pfw, run_in, wait_for};
use crate::terminal::Terminal;
use crate::world::{HOST4, PEER4, World, on_peer, sh, try_sh};
use pfw::control::client::ask;
use pfw::control::{Answer, Request};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("the_view_shows_what_the_firewall_does", the_view_shows_what_the_firewall_does),
    ("the_terminal_is_as_it_was_whichever_way_the_view_ends", the_terminal_is_as_it_was),
    ("a_view_outlives_the_firewall_and_finds_the_next", a_view_outlives_the_firewall),
    ("a_firewall_with_a_window_is_one_process_and_ends_with_it", a_firewall_with_a_window),
    ("connections_are_told_with_the_rule_they_live_by", connections_are_told_with_their_rule),
    ("without_a_pfw_or_a_terminal_the_view_says_so_in_one_line", without_a_pfw_or_a_terminal),
];

const SIZE: (u16, u16) = (120, 40);

fn enforce(world: &World, rules: &str) -> Running {
    fs::write(world.path("rules.json"), rules).expect("the scratch folder is writable");
    let mut command = pfw(["run", "--config", "rules.json"]);
    command.current_dir(world.folder.path());
    Running::start(command)
}

fn in_terminal<'a>(world: &World, args: impl IntoIterator<Item = &'a str>, size: (u16, u16)) -> Terminal {
    let mut command: Command = pfw(args);
    command.current_dir(world.folder.path());
    Terminal::start(command, size)
}

fn view(world: &World) -> Terminal {
    let view = in_terminal(world, ["tui"], SIZE);
    view.wait_to_show("ENFORCING");
    view
}

fn ping(address: &str) -> bool {
    try_sh(&format!("ping -q -c 1 -W 0.5 {address}")).status.success()
}

fn the_view_shows_what_the_firewall_does() {
    let world = World::new();
    let rules = r#"{ "block_protocols": ["icmp"], "rules": [{ "id": "web", "action": "block", "direction": "in", "protocol": "tcp", "dst_port": 8080 }] }"#;
    let pfw = enforce(&world, rules);
    let mut view = view(&world);
    view.wait_to_show("2 rules");
    assert!(view.is_taken());
    assert!(!ping(PEER4));
    on_peer(|| {
        drop(TcpStream::connect_timeout(
            &format!("{HOST4}:8080").parse().expect("an address"),
            Duration::from_millis(200),
        ))
    });
    let text = view.wait("a blocked ping and a blocked connection", |text| {
        text.contains("block_protocols:icmp") && text.contains("web")
    });
    assert!(
        text.contains("BLOCKED") && text.contains("packets per second") && text.contains("busiest peers"),
        "{text}"
    );

    view.press("fblocked proto:tcp :8080\r");
    view.wait("the filter", |text| {
        text.contains("filter 'blocked proto:tcp :8080': ") && !text.contains("block_protocols:icmp")
    });
    view.press("k\r");
    let text = view.wait_to_show("What to do about it");
    assert!(text.contains("BLOCKED") && text.contains("web"), "{text}");
    view.press("\x1b");
    view.wait("the page closed", |text| !text.contains("What to do about it"));
    view.press("2");
    let text = view
        .wait("the rules", |text| text.lines().any(|line| line.contains("block_protocols") && line.contains("block ")));
    assert!(text.contains("every other incoming packet"), "{text}");
    view.press("3");
    view.wait("who talks", |text| text.contains("protocols") && text.contains(PEER4));
    view.press("?");
    view.wait_to_show("these keys");
    view.press("\x1b1");
    view.resize((60, 20));
    view.wait_to_show("pfw needs 80x24, this is 60x20");
    view.resize((80, 24));
    view.wait("the smaller view", |text| text.contains("packets per second") && !text.contains("busiest peers"));
    view.press("q");
    let (status, text) = view.end();
    assert!(status.success() && view.is_as_it_was(), "{text}");
    assert!(!ping(PEER4), "the firewall goes on");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn the_terminal_is_as_it_was() {
    let world = World::new();
    let pfw = enforce(&world, "{}");
    let ways: [(&str, &dyn Fn(&mut Terminal)); 5] = [
        ("q", &|view| view.press("q")),
        ("Ctrl-C", &|view| view.press("\x03")),
        ("SIGTERM", &|view| view.signal(libc::SIGTERM)),
        ("SIGINT", &|view| view.signal(libc::SIGINT)),
        ("SIGHUP", &|view| view.signal(libc::SIGHUP)),
    ];
    for (name, way) in ways {
        let mut view = view(&world);
        assert!(view.is_taken() && !view.is_as_it_was(), "{name}");
        way(&mut view);
        let (status, text) = view.end();
        assert!(status.success() && view.is_as_it_was(), "{name}: {status:?}\n{text}");
    }
    let mut command = pfw_that_panics("view-keys");
    command.current_dir(world.folder.path());
    let mut view = Terminal::start(command, SIZE);
    let (status, text) = view.end();
    assert!(!status.success() && view.is_as_it_was() && text.contains("rehearsed"), "{status:?}\n{text}");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn pfw_that_panics(thread: &str) -> Command {
    let mut command = pfw(["tui"]);
    command.env("PFW_PANIC", thread).env("RUST_BACKTRACE", "0");
    command
}

fn a_view_outlives_the_firewall() {
    let world = World::new();
    let first = enforce(&world, "{}");
    let mut view = view(&world);
    assert_eq!(first.stop(libc::SIGTERM).0, 0);
    view.wait("the loss", |text| text.contains("CONNECTION LOST") && text.contains("trying again"));
    let second = enforce(&world, r#"{ "block_ports": [81, 82, 83] }"#);
    view.wait("the next firewall", |text| text.contains("ENFORCING") && text.contains("3 rules"));
    second.kill();
    view.wait_to_show("CONNECTION LOST");
    view.press("q");
    assert!(view.end().0.success() && view.is_as_it_was());
    assert_eq!(run_in(world.folder.path(), ["clean"]).code, 0);
}

fn a_firewall_with_a_window() {
    let world = World::new();
    fs::write(world.path("rules.json"), format!(r#"{{ "block_ips": ["{PEER4}"] }}"#)).expect("written");
    for way in ["q", "\x03", "SIGTERM"] {
        let mut window = in_terminal(&world, ["run", "--config", "rules.json", "--tui"], SIZE);
        window.wait_to_show("ENFORCING");
        assert!(!ping(PEER4));
        window.wait_to_show("block_ips:");
        // What would be said on standard error now is kept until the screen is free.
        fs::write(world.path("rules.json"), "{ \"block_portz\": [] }").expect("written");
        window.press("R");
        let text = window.wait("a refusal", |text| text.contains("no: the rules file was refused"));
        assert!(text.contains("packets per second") && text.contains("ENFORCING"), "{text}");
        fs::write(world.path("rules.json"), format!(r#"{{ "block_ips": ["{PEER4}"] }}"#)).expect("written");
        if way == "SIGTERM" {
            window.signal(libc::SIGTERM)
        } else {
            window.press(way)
        }
        let (status, text) = window.end();
        assert!(status.success() && window.is_as_it_was(), "{way:?}: {status:?}\n{text}");
        assert!(text.contains("block_portz") && text.contains("pfw: ready") && text.contains("packets"), "{text}");
        assert!(ping(PEER4) && !sh("iptables-save").contains("pfw"), "nothing is left in the kernel");
    }
}

fn connections_are_told_with_their_rule() {
    let world = World::new();
    let pfw = enforce(
        &world,
        r#"{ "rules": [{ "id": "web", "action": "allow", "direction": "in", "protocol": "tcp", "dst_port": 8080 }] }"#,
    );
    let listener = TcpListener::bind(format!("{HOST4}:8080")).expect("a listener");
    let _client = on_peer(|| TcpStream::connect(format!("{HOST4}:8080")).expect("it is let in"));
    let _server = listener.accept().expect("a connection");
    let all = || {
        let (mut rows, mut from, mut pages) = (Vec::new(), 0, 0);
        loop {
            let (Answer::Connections(page), _) = ask(None, &Request::Connections { from }).expect("an answer") else {
                panic!("connections")
            };
            rows.extend(page.rows);
            pages += 1;
            match page.next {
                Some(next) => from = next,
                None => return (rows, page.total, pages),
            }
        }
    };
    let row = wait_for("the connection", || {
        all().0.into_iter().find(|row| row.dst_port == Some(8080) && row.state == "ESTABLISHED")
    });
    assert_eq!((row.src.to_string(), row.dst.to_string()), (PEER4.to_owned(), HOST4.to_owned()));
    assert_eq!((row.direction.as_str(), row.rule.as_str(), row.allowed, row.answered), ("incoming", "web", true, true));
    fs::write(world.path("rules.json"), r#"{ "block_ports": [8080] }"#).expect("written");
    assert_eq!(run_in(world.folder.path(), ["reload"]).code, 0);
    let row = wait_for("the rule that cuts it", || {
        all().0.into_iter().find(|row| row.dst_port == Some(8080) && !row.allowed)
    });
    assert_eq!(row.rule, "block_ports:8080");
    // Nobody waits for a turn of the clock: each page is an answer of its own.
    let start = Instant::now();
    let (rows, total, pages) = all();
    assert!(start.elapsed() < Duration::from_millis(250) * pages && total >= rows.len(), "{:?}", start.elapsed());
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn without_a_pfw_or_a_terminal() {
    let world = World::new();
    let ran = run_in(world.folder.path(), ["tui"]);
    assert!(
        ran.code == 1 && ran.stderr.starts_with("pfw: no pfw is running here (") && ran.stderr.lines().count() == 1,
        "{ran:?}"
    );
    let mut view = in_terminal(&world, ["tui"], SIZE);
    let (status, text) = view.end();
    assert!(status.code() == Some(1) && text.starts_with("pfw: no pfw is running here ("), "{text}");
    let ran = run_in(world.folder.path(), ["run", "--tui"]);
    assert!(ran.code == 2 && ran.stderr.contains("needs a terminal") && ran.stderr.lines().count() == 1, "{ran:?}");
    let pfw = enforce(&world, "{}");
    let ran = run_in(world.folder.path(), ["tui"]);
    assert!(ran.code == 1 && ran.stderr.contains("needs a terminal") && ran.stdout.is_empty(), "{ran:?}");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}
