//! Bans, made by the tools that people scan with and by those who guess passwords: who is banned, who never is, and how
//! it ends.

use crate::common::{run_in, wait_for};
use crate::enforce::{ends_as_predicted, enforce};
use crate::world::{HOST4, PEER4, World, on_peer, sh, try_sh};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// The cases.
pub const CASES: &[(&str, fn())] = &[
    (SCANS, a_scan_by_connections_bans_its_source_and_one_without_does_not),
    ("who guesses passwords is banned and the ban outlives a reload", who_guesses_is_banned_over_a_reload),
    ("who is allowed is not banned", who_is_allowed_is_not_banned),
    (SHOWN, what_would_be_banned_is_said_and_nobody_is),
    ("a ban is taken back by hand", a_ban_is_taken_back_by_hand),
];

/// Cases that need nmap.
pub const SCANS: &str = "a scan by connections bans its source and a half open one does not";
pub const SHOWN: &str = "what would be banned is said and nobody is";

const BAN: &str = r#"{ "detect": { "action": "ban", "ban_seconds": 6 } }"#;

/// A service that takes whoever comes, and sends him away: what a parent of pfw keeps open would be the user's session.
fn listen(port: u16) {
    let listener = TcpListener::bind((HOST4, port)).expect("a free port");
    // It ends with the test.
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(drop));
}

fn reaches(port: u16) -> bool {
    let to = SocketAddr::new(HOST4.parse().expect("an address"), port);
    // Who says nothing may be one who scans.
    on_peer(|| {
        TcpStream::connect_timeout(&to, Duration::from_millis(500)).is_ok_and(|mut it| it.write_all(b"x").is_ok())
    })
}

/// Connections of the peer, as somebody makes them who tries passwords.
fn guess(port: u16, times: usize) {
    let to = SocketAddr::new(HOST4.parse().expect("an address"), port);
    on_peer(|| {
        for _ in 0..times {
            let _ = TcpStream::connect_timeout(&to, Duration::from_millis(300));
        }
    });
}

fn wait_for_event(world: &World, event: &str) -> String {
    let words = format!("[PFW] event={event} ");
    wait_for(&words, || world.log().into_iter().find(|line| line.contains(&words)))
}

fn has_event(world: &World, event: &str) -> bool {
    world.log().iter().any(|line| line.contains(&format!("[PFW] event={event} ")))
}

fn status(world: &World) -> String {
    run_in(world.folder.path(), ["status"]).stdout
}

fn a_scan_by_connections_bans_its_source_and_one_without_does_not() {
    let world = World::new();
    let pfw = enforce(&world, BAN, []);
    listen(8080);
    for scan in ["-sS", "-sF", "-sU"] {
        sh(&format!("ip netns exec peer timeout 60 nmap -n -Pn {scan} --max-retries 0 -T4 -p 8080,1-20 {HOST4}"));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(!has_event(&world, "banned"), "none of it needs an answer to come back: {}", world.log().join("\n"));
    assert!(reaches(8080));
    sh(&format!("ip netns exec peer timeout 60 nmap -n -Pn -sT --max-retries 0 -T4 -p 8080,1-20 {HOST4}"));
    let line = wait_for_event(&world, "banned");
    assert!(line.contains(&format!("banned {PEER4} for 6 s (scan.")), "{line}");
    wait_for("the ban", || (!reaches(8080)).then_some(()));
    assert!(status(&world).contains(&format!("{PEER4} is banned until ")), "{}", status(&world));
    wait_for_event(&world, "ban-ended");
    wait_for("the end of the ban", || reaches(8080).then_some(()));
    assert!(!status(&world).contains("is banned"), "{}", status(&world));
    ends_as_predicted(pfw);
}

fn who_guesses_is_banned_over_a_reload() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "detect": { "action": "ban" } }"#, []);
    listen(22);
    guess(22, 25);
    let line = wait_for_event(&world, "banned");
    assert!(line.contains(&format!("banned {PEER4} for 600 s (brute_force)")), "{line}");
    wait_for("the ban", || (!reaches(22)).then_some(()));
    let file = world.path("rules.json");
    std::fs::write(&file, r#"{ "detect": { "action": "ban" }, "block_ports": [9] }"#).expect("written");
    assert_eq!(run_in(world.folder.path(), ["reload"]).code, 0);
    assert!(!reaches(22), "the ban stays");
    assert!(status(&world).contains("(brute_force)"), "{}", status(&world));
    assert!(!std::fs::read_to_string(&file).expect("readable").contains(PEER4), "the file has no bans");
    ends_as_predicted(pfw);
}

fn who_is_allowed_is_not_banned() {
    let world = World::new();
    let rules = format!(r#"{{ "detect": {{ "action": "ban" }}, "allow_ips": ["{PEER4}"] }}"#);
    let pfw = enforce(&world, &rules, []);
    listen(22);
    guess(22, 25);
    let line = wait_for_event(&world, "ban-spared");
    assert!(line.contains("not banned, allow_ips has it"), "{line}");
    assert!(reaches(22) && !has_event(&world, "banned"));
    ends_as_predicted(pfw);
}

fn what_would_be_banned_is_said_and_nobody_is() {
    let world = World::new();
    let pfw = enforce(&world, BAN, ["--would-ban"]);
    listen(8080);
    sh(&format!("ip netns exec peer timeout 60 nmap -n -Pn -sT --max-retries 0 -T4 -p 8080,1-20 {HOST4}"));
    let line = wait_for_event(&world, "would-ban");
    assert!(line.contains(&format!("would ban {PEER4} for 6 s (scan.")), "{line}");
    assert!(reaches(8080) && !has_event(&world, "banned"));
    ends_as_predicted(pfw);
}

fn a_ban_is_taken_back_by_hand() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "detect": { "action": "ban" } }"#, []);
    listen(22);
    guess(22, 25);
    wait_for_event(&world, "banned");
    wait_for("the ban", || (!reaches(22)).then_some(()));
    let taken_back = run_in(world.folder.path(), ["unblock", PEER4]);
    assert_eq!(taken_back.code, 0, "{taken_back:?}");
    assert!(reaches(22) && !status(&world).contains("is banned"));
    assert!(try_sh(&format!("grep -q {PEER4} {}", world.path("rules.json").display())).status.code() == Some(1));
    ends_as_predicted(pfw);
}
