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
use std::thread;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("the_view_shows_what_the_firewall_does", the_view_shows_what_the_firewall_does),
    ("a_view_that_is_opened_later_shows_what_was_suspicious", a_view_that_is_opened_later),
    ("the_terminal_is_as_it_was_whichever_way_the_view_ends", the_terminal_is_as_it_was),
    ("a_view_has_no_colours_where_they_are_not_wanted", a_view_without_colours),
    ("a_view_outlives_the_firewall_and_finds_the_next", a_view_outlives_the_firewall),
    ("a_firewall_with_a_window_is_one_process_and_ends_with_it", a_firewall_with_a_window),
    ("all_of_a_day_is_done_by_keys_in_the_view_alone", all_of_a_day_is_done_by_keys),
    ("connections_are_told_with_the_rule_they_live_by", connections_are_told_with_their_rule),
    ("a_window_confirms_by_a_key_what_is_taken_back_else", a_window_confirms_by_a_key),
    ("what_is_pasted_into_the_view_does_nothing_but_in_a_line_that_is_typed", what_is_pasted_does_nothing),
    ("a_view_is_suspended_by_ctrl_z_and_comes_back", a_view_is_suspended_and_comes_back),
    ("a_firewall_with_a_window_is_not_suspended", a_window_is_not_suspended),
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

fn a_view_that_is_opened_later() {
    let world = World::new();
    let pfw = enforce(&world, "{}");
    // Each of these ports is closed.
    on_peer(|| (1..=30).for_each(|port| drop(TcpStream::connect((HOST4, port)))));
    wait_for("the scan", || world.log().iter().any(|line| line.contains("alert=scan.connect")).then_some(()));
    let mut view = view(&world);
    view.press("5");
    let text = view.wait_to_show("scan.connect");
    assert!(text.contains(PEER4), "{text}");
    view.press("q");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn the_view_shows_what_the_firewall_does() {
    let world = World::new();
    let rules = r#"{ "block_protocols": ["icmp"], "rules": [{ "id": "web", "action": "block", "direction": "in", "protocol": "tcp", "dst_port": 8080 }] }"#;
    let pfw = enforce(&world, rules);
    let mut view = view(&world);
    view.wait_to_show("2 rules");
    assert!(view.is_taken());
    assert!(!ping(PEER4));
    let closed = format!("{HOST4}:8080").parse().expect("an address");
    assert!(on_peer(|| TcpStream::connect_timeout(&closed, Duration::from_millis(200)).is_err()));
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
    view.press("\x1b");
    view.wait("the help closed", |text| !text.contains("these keys"));
    // Again and again: the news of another size may come together with a key.
    for _ in 0..10 {
        view.press("1");
        view.resize((60, 20));
        view.wait_to_show("pfw needs 80x24, this is 60x20");
        view.press("1");
        view.resize((80, 24));
        view.wait("the smaller view", |text| text.contains("packets per second") && !text.contains("busiest peers"));
    }
    view.press("q");
    let (status, text) = view.end();
    assert!(status.success() && view.is_as_it_was(), "{text}");
    assert!(!ping(PEER4), "the firewall goes on");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

/// A way in which a view ends, with its name.
type Way = (&'static str, fn(&mut Terminal));

fn the_terminal_is_as_it_was() {
    let world = World::new();
    let pfw = enforce(&world, "{}");
    let ways: [Way; 5] = [
        ("q", |view| view.press("q")),
        ("Ctrl-C", |view| view.press("\x03")),
        ("SIGTERM", |view| view.signal(libc::SIGTERM)),
        ("SIGINT", |view| view.signal(libc::SIGINT)),
        ("SIGHUP", |view| view.signal(libc::SIGHUP)),
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

fn a_view_without_colours() {
    let world = World::new();
    let firewall = enforce(&world, r#"{ "block_protocols": ["icmp"] }"#);
    for (no_color, colours) in [(None, true), (Some("1"), false), (Some(""), true)] {
        let mut command = pfw(["tui"]);
        command.current_dir(world.folder.path()).envs(no_color.map(|value| ("NO_COLOR", value)));
        let mut view = Terminal::start(command, SIZE);
        assert!(!ping(PEER4));
        view.wait_to_show("BLOCKED");
        assert_eq!(view.has_colours(), colours, "NO_COLOR={no_color:?}");
        view.press("q");
        assert!(view.end().0.success());
    }
    assert_eq!(firewall.stop(libc::SIGTERM).0, 0);
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
        window.press("Ry");
        let text = window.wait("a refusal", |text| text.contains("no: the rules file was refused"));
        assert!(text.contains("packets per second") && text.contains("ENFORCING"), "{text}");
        fs::write(world.path("rules.json"), format!(r#"{{ "block_ips": ["{PEER4}"] }}"#)).expect("written");
        if way == "SIGTERM" {
            window.signal(libc::SIGTERM);
        } else {
            window.press(way);
        }
        let (status, text) = window.end();
        assert!(status.success() && window.is_as_it_was(), "{way:?}: {status:?}\n{text}");
        assert!(text.contains("block_portz") && text.contains("pfw: ready") && text.contains("packets"), "{text}");
        assert!(ping(PEER4) && !sh("iptables-save").contains("pfw"), "nothing is left in the kernel");
    }
}

/// Moves down the list until the selected row contains some words.
fn select(view: &mut Terminal, words: &str) {
    let is_selected = |text: &str| text.lines().any(|line| line.starts_with('>') && line.contains(words));
    view.press("g");
    for _ in 0..30 {
        thread::sleep(Duration::from_millis(100));
        if is_selected(&view.text()) {
            return;
        }
        view.press("j");
    }
    panic!("no row with '{words}':\n{}", view.text());
}

fn all_of_a_day_is_done_by_keys() {
    let world = World::new();
    let pfw = enforce(&world, "{\n  \"block_ips\": [\"198.51.100.9\"]\n}\n");
    let rules = || fs::read_to_string(world.path("rules.json")).expect("the rules file");
    let kernel = || sh("iptables-save; ip6tables-save; ipset save 2>/dev/null || true");
    let mut view = view(&world);

    view.press("m");
    view.wait_to_show("NOT MONITORING");
    view.press("m");
    view.wait("monitoring", |text| !text.contains("NOT MONITORING"));

    view.press("+192.168.1.7\r");
    view.wait_to_show("for good: written to the rules file");
    view.press("\r");
    wait_for("the address in the kernel", || kernel().contains("192.168.1.7").then_some(()));
    wait_for("the address in the file", || rules().contains("192.168.1.7").then_some(()));
    view.press("+80\r\r");
    wait_for("the port in the file", || rules().contains("80").then_some(()));
    let opens = || {
        on_peer(|| {
            TcpStream::connect_timeout(&format!("{HOST4}:80").parse().expect("it is one"), Duration::from_millis(300))
        })
    };
    let _listener = TcpListener::bind(format!("{HOST4}:80")).expect("a listener");
    assert!(opens().is_err(), "the port is blocked");
    assert!(ping(PEER4));
    view.press("i");
    view.wait_to_show("Block ICMP for everybody?");
    view.press("y");
    wait_for("ICMP in the file", || rules().to_lowercase().contains("icmp").then_some(()));
    wait_for("no answer to a ping", || (!ping(PEER4)).then_some(()));
    view.wait("the log", |text| {
        text.contains("BLOCKED") && text.contains("block_protocols:icmp") && text.contains("block_ports:80")
    });
    view.wait("the chart", |text| {
        text.lines().any(|line| line.starts_with("      0 ─"))
            && text.contains(|symbol| ('\u{2801}'..='\u{28ff}').contains(&symbol))
    });

    view.press("2");
    view.wait_to_show("192.168.1.7");
    select(&mut view, "192.168.1.7");
    view.press(" y");
    view.wait("the rule switched off", |text| {
        text.lines().any(|line| line.contains("192.168.1.7") && line.contains("off"))
    });
    wait_for("the kernel without it", || (!kernel().contains("192.168.1.7")).then_some(()));
    view.press(" ");
    wait_for("the kernel with it", || kernel().contains("192.168.1.7").then_some(()));
    view.press("-y");
    wait_for("neither file nor kernel with it", || {
        (!rules().contains("192.168.1.7") && !kernel().contains("192.168.1.7")).then_some(())
    });
    view.press("uy");
    wait_for("it is back by undo", || kernel().contains("192.168.1.7").then_some(()));
    view.wait("the rule again", |text| text.lines().any(|line| line.contains("192.168.1.7")));
    select(&mut view, "192.168.1.7");
    view.press("-y");
    view.wait("the rule gone", |text| {
        !text.lines().any(|line| line.contains("192.168.1.7") && line.contains("block_ips"))
    });
    select(&mut view, "block_ports");
    view.press("-y");
    wait_for("the port open", || opens().is_ok().then_some(()));
    view.press("i");
    view.wait_to_show("Block it no longer?");
    view.press("y");
    wait_for("an answer to a ping", || ping(PEER4).then_some(()));
    wait_for("the file as it was", || {
        (!rules().to_lowercase().contains("icmp\"") && !rules().contains("80")).then_some(())
    });
    assert!(rules().contains("198.51.100.9"), "{}", rules());

    // A connection is cut by a few keys, and for as long as this pfw runs.
    let _client = on_peer(|| TcpStream::connect(format!("{HOST4}:80")).expect("it is let in"));
    view.press("4");
    view.wait_to_show("ESTABLISHED");
    select(&mut view, "ESTABLISHED");
    view.press("b");
    view.wait_to_show(&format!("Block {PEER4}"));
    view.press("t\r");
    wait_for("the peer in the kernel", || kernel().contains(PEER4).then_some(()));
    assert!(!rules().contains(PEER4) && !ping(PEER4));
    view.wait("the connection, cut", |text| text.contains("cut by"));
    // What cuts off this machine itself is asked back.
    view.press(&format!("+{HOST4}\r\r"));
    view.wait_to_show("do it all the same");
    view.press("\r");
    view.wait("nothing done", |text| !text.contains("do it all the same"));
    assert!(!rules().contains(HOST4));
    view.press("P1\ry");
    view.wait_to_show("PANIC");
    view.press("Py");
    view.wait("no panic", |text| !text.contains("PANIC"));
    view.press("e1\ry");
    view.wait_to_show("PAUSED");
    assert!(ping(PEER4), "nothing is blocked");
    view.press("e");
    view.wait_to_show("ENFORCING");
    assert!(!ping(PEER4));
    view.press("q");
    assert!(view.end().0.success());
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn connections_are_told_with_their_rule() {
    let world = World::new();
    let pfw = enforce(
        &world,
        r#"{ "rules": [
            { "id": "elsewhere", "action": "allow", "direction": "in", "dst_port": "8080/tcp", "interface": "lo" },
            { "id": "web", "action": "allow", "direction": "in", "dst_port": "8080/tcp", "interface": "eth+" }] }"#,
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
    // The connection is this process's own, as a session would be.
    assert_eq!(run_in(world.folder.path(), ["reload", "--force"]).code, 0);
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

fn a_window_confirms_by_a_key() {
    let world = World::new();
    fs::write(world.path("rules.json"), "{}").expect("written");
    let mut window = in_terminal(&world, ["run", "--config", "rules.json", "--tui", "--confirm", "60"], SIZE);
    window.wait_to_show("all is taken back in");
    window.wait_to_show("unless you press Enter");
    window.press("\r");
    window.wait("the confirmation", |text| text.contains("the rules stay") && !text.contains("all is taken back in"));
    window.press("q");
    assert!(window.end().0.success() && window.is_as_it_was());
}

fn what_is_pasted_does_nothing() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_protocols": ["icmp"] }"#);
    let before = fs::read(world.path("rules.json")).expect("the rules file");
    let mut view = view(&world);
    for pane in ["1", "2", "3", "4", "5"] {
        view.press(pane);
        view.paste("make debug\ne1\ry+1.2.3.4\r\rP1\ry\x1a-y iy");
        view.wait_to_show("what is pasted does nothing here");
    }
    view.press("2");
    let text = view.wait("that the message is gone", |text| !text.contains("what is pasted"));
    assert!(text.contains("ENFORCING") && !text.contains("NOT MONITORING") && !ping(PEER4), "{text}");
    assert_eq!(fs::read(world.path("rules.json")).expect("the rules file"), before);
    view.press("+");
    view.paste("192.168.1.7\n");
    view.wait_to_show("192.168.1.7");
    view.press("\r");
    view.wait_to_show("Block 192.168.1.7: for how long?");
    view.press("\r");
    wait_for("the address in the file", || {
        fs::read_to_string(world.path("rules.json")).expect("the rules file").contains("192.168.1.7").then_some(())
    });
    view.press("q");
    assert!(view.end().0.success() && view.is_as_it_was());
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

/// A shell that edits no lines, so that it leaves the terminal as it is.
fn shell(world: &World) -> Terminal {
    let pfw = pfw(["tui"]);
    let mut command = Command::new("sh");
    command.args(["-i", "+o", "emacs"]).current_dir(world.folder.path());
    command.env("PFW", pfw.get_program()).env("PS1", "SHELL> ").env_remove("ENV");
    let shell = Terminal::start(command, SIZE);
    shell.wait_to_show("SHELL> ");
    shell
}

fn a_view_is_suspended_and_comes_back() {
    let world = World::new();
    let firewall = enforce(&world, r#"{ "block_protocols": ["icmp"] }"#);
    let mut shell = shell(&world);
    shell.press("\"$PFW\" tui\n");
    shell.wait_to_show("ENFORCING");
    for typed in ["\x1a", "/blocked\x1a"] {
        shell.press(typed);
        shell.wait("the shell", |text| text.contains("SHELL> ") && text.contains("topped"));
        assert!(shell.is_as_it_was());
        // What is typed now is for the shell alone.
        shell.press("echo the sum is $((6*7)) && stty -a | grep -o -E '[-]?(icanon|echo) '\n");
        shell.wait_to_show("the sum is 42");
        shell.press("fg\n");
        shell.wait("the view", |text| text.contains("ENFORCING") && text.contains("packets per second"));
        assert!(shell.is_taken() && !ping(PEER4));
    }
    assert!(shell.wait_to_show("search: blocked").contains("ENFORCING"), "what was typed is still there");
    shell.press("\x1b");
    shell.wait("the line given up", |text| !text.contains("search: "));
    shell.press("q");
    shell.wait_to_show("SHELL> ");
    assert!(shell.is_as_it_was());
    shell.press("exit\n");
    assert!(shell.end().0.success());

    // Where no shell watches nothing stops, and the view goes on.
    let mut alone = view(&world);
    alone.press("\x1a");
    alone.press("2");
    alone.wait_to_show("every other");
    assert!(alone.is_taken());
    // Whoever stopped it may have used the terminal meanwhile.
    alone.signal(libc::SIGSTOP);
    alone.signal(libc::SIGCONT);
    alone.press("1");
    alone.wait_to_show("packets per second");
    alone.press("q");
    assert!(alone.end().0.success() && alone.is_as_it_was());
    assert_eq!(firewall.stop(libc::SIGTERM).0, 0);
}

fn a_window_is_not_suspended() {
    let world = World::new();
    fs::write(world.path("rules.json"), r#"{ "block_protocols": ["icmp"] }"#).expect("written");
    let mut window = in_terminal(&world, ["run", "--config", "rules.json", "--tui"], SIZE);
    window.wait_to_show("ENFORCING");
    window.press("\x1a");
    let text = window.wait_to_show("Ctrl-Z would stop the firewall");
    assert!(text.contains("ENFORCING") && window.is_taken() && !ping(PEER4), "{text}");
    window.press("q");
    assert!(window.end().0.success() && window.is_as_it_was());
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
