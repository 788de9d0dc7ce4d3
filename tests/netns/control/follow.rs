//! What pfw follows while it runs: the rules file, block lists, and what spares from those.

use super::{enforce, ping, status, steer};
use crate::Case;
use crate::common::wait_for;
use crate::world::{HOST4, PEER4, PEER6, World, sh};
use std::fs;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("an_edited_file_is_in_force_within_a_second_and_a_bad_one_never", an_edited_file_is_in_force),
    ("a_block_list_is_followed_too", a_block_list_is_followed_too),
    ("a_new_default_gateway_is_spared_by_block_lists_and_one_that_was_is_not", a_new_default_gateway_is_spared),
    ("what_pfw_writes_itself_is_not_read_again", what_pfw_writes_itself_is_not_read_again),
    ("a_file_that_others_can_write_is_not_followed", a_file_that_others_can_write_is_not_followed),
    ("a_missing_file_is_named_and_followed_again_when_it_is_back", a_missing_file_is_named),
    ("an_edit_that_is_not_watched_is_not_brought_in_by_a_change", an_edit_that_is_not_watched),
    ("an_edit_that_others_can_have_made_is_not_brought_in_by_a_change", an_edit_that_others_can_have_made),
    ("a_list_that_is_not_followed_is_not_brought_in_by_a_change", a_list_is_not_brought_in_by_a_change),
    ("an_edit_that_is_followed_is_loaded_before_a_change", an_edit_that_is_followed_is_loaded_before_a_change),
    ("without_watching_the_file_is_read_on_demand_alone", without_watching_it_is_read_on_demand_alone),
];

/// Longer than it takes to follow.
const LATER: Duration = Duration::from_millis(1_500);

fn block_peer() -> String {
    format!(r#"{{ "block_ips": ["{PEER4}"] }}"#)
}

fn kernel_blocks() -> bool {
    sh("iptables-save").contains(PEER4)
}

/// How long it takes until the kernel blocks the peer, or does not.
fn until(blocks: bool) -> Duration {
    let start = Instant::now();
    wait_for("the kernel to follow", || (kernel_blocks() == blocks).then_some(()));
    start.elapsed()
}

fn an_edited_file_is_in_force() {
    let world = World::new();
    let mut pfw = enforce(&world, "{}", []);
    let mut best = Duration::MAX;
    for n in 0..3 {
        // In place, as some editors do it, and by renaming, as others do.
        if n % 2 == 0 {
            fs::write(world.path("rules.json"), block_peer()).expect("written");
        } else {
            fs::write(world.path("new"), block_peer()).expect("written");
            fs::rename(world.path("new"), world.path("rules.json")).expect("renamed");
        }
        best = best.min(until(true));
        fs::write(world.path("rules.json"), "{}").expect("written");
        best = best.min(until(false));
    }
    assert!(best < Duration::from_secs(1), "{best:?}");
    fs::write(world.path("rules.json"), block_peer()).expect("written");
    until(true);
    fs::write(world.path("rules.json"), "{\n  \"block_ipz\": []\n}").expect("written");
    pfw.wait_to_say("rules.json:2:3");
    let told = wait_for("the refusal in the status", || {
        let told = status(&world);
        told["rules"]["refused"].is_object().then_some(told)
    });
    assert!(told["rules"]["refused"]["errors"][0].as_str().is_some_and(|error| error.contains("rules.json:2:3")));
    assert!(kernel_blocks() && !ping(PEER4), "the rules that were in force stay");
    let ran = steer(&world, ["block", "192.0.2.1"]);
    assert!(ran.code == 1 && ran.stderr.contains("rules.json:2:3"), "{ran:?}");
    fs::write(world.path("rules.json"), "{}").expect("written");
    until(false);
    wait_for("all to be well", || status(&world)["rules"]["refused"].is_null().then_some(()));
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_block_list_is_followed_too() {
    let world = World::new();
    fs::write(world.path("drop.txt"), "192.0.2.1\n").expect("written");
    let pfw = enforce(&world, r#"{ "block_lists": ["drop.txt"] }"#, []);
    assert!(ping(PEER4));
    fs::write(world.path("drop.txt"), format!("{PEER4}\n")).expect("written");
    until(true);
    assert!(!ping(PEER4));
    // A list that comes with the file is followed from then on.
    fs::write(world.path("other.txt"), "192.0.2.1\n").expect("written");
    fs::write(world.path("rules.json"), r#"{ "block_lists": ["other.txt"] }"#).expect("written");
    until(false);
    fs::write(world.path("other.txt"), format!("{PEER4}\n")).expect("written");
    until(true);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_new_default_gateway_is_spared() {
    let world = World::new();
    fs::write(world.path("list.txt"), format!("{PEER4}\n{PEER6}\n")).expect("written");
    let _running = enforce(&world, r#"{ "block_lists": ["list.txt"] }"#, []);
    for (family, peer) in [("-4", PEER4), ("-6", PEER6)] {
        assert!(!ping(peer), "{peer} is listed");
        sh(&format!("ip {family} route add default via {peer}"));
        wait_for("the gateway to be spared", || ping(peer).then_some(()));
        sh(&format!("ip {family} route del default"));
        wait_for("it to be one of the list again", || (!ping(peer)).then_some(()));
    }
}

fn what_pfw_writes_itself_is_not_read_again() {
    let world = World::new();
    let mut pfw = enforce(&world, "{}", []);
    for n in 1..=5 {
        assert_eq!(steer(&world, ["block", &format!("192.0.2.{n}")]).code, 0);
    }
    std::thread::sleep(LATER);
    assert_eq!(status(&world)["rules"]["generation"], 6);
    assert!(!pfw.has_said("again"));
    // It is followed all the same.
    fs::write(world.path("rules.json"), block_peer()).expect("written");
    until(true);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_file_that_others_can_write_is_not_followed() {
    let world = World::new();
    let mut pfw = enforce(&world, "{}", []);
    sh(&format!("chmod 666 {}", world.path("rules.json").display()));
    fs::write(world.path("rules.json"), block_peer()).expect("written");
    let said = pfw.wait_to_say("not followed");
    assert!(said.contains("everybody") || said.contains("write"), "{said}");
    std::thread::sleep(LATER);
    assert!(!kernel_blocks());
    let text = steer(&world, ["status"]).stdout;
    assert!(text.contains("! changes of the rules file are not followed: ") && text.contains("chmod"), "{text}");
    assert_eq!(steer(&world, ["reload"]).code, 0);
    assert!(kernel_blocks());
    sh(&format!("chmod 644 {}", world.path("rules.json").display()));
    fs::write(world.path("rules.json"), "{}").expect("written");
    until(false);
    assert!(!steer(&world, ["status"]).stdout.contains("not followed"));
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_missing_file_is_named() {
    let world = World::new();
    let list = world.path("list.txt");
    fs::write(&list, "").expect("written");
    let mut pfw = enforce(&world, r#"{ "block_lists": ["list.txt"] }"#, []);
    for (path, back) in [(list, PEER4.to_owned()), (world.path("rules.json"), "{}".to_owned())] {
        let blocked = kernel_blocks();
        fs::remove_file(&path).expect("removed");
        let words = format!("{} is missing; the rules stay as they are until it is back", path.display());
        pfw.wait_to_say(&words);
        let text = steer(&world, ["status"]).stdout;
        assert!(text.contains(&format!("! changes of the rules file are not followed: {words}")), "{text}");
        assert_eq!(kernel_blocks(), blocked);
        fs::write(path, back).expect("written");
        until(!blocked);
        assert!(!steer(&world, ["status"]).stdout.contains("not followed"));
    }
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn without_watching_it_is_read_on_demand_alone() {
    let world = World::new();
    let mut pfw = enforce(&world, "{}", ["--no-watch"]);
    fs::write(world.path("rules.json"), block_peer()).expect("written");
    std::thread::sleep(LATER);
    assert!(!kernel_blocks());
    pfw.signal(libc::SIGHUP);
    pfw.wait_to_say("again");
    assert!(kernel_blocks());
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn an_edit_that_is_not_watched() {
    an_edit_is_not_brought_in(&["--no-watch"], "(--no-watch)");
}

fn an_edit_that_others_can_have_made() {
    an_edit_is_not_brought_in(&[], "everybody may write");
}

/// With a file that others can write, if that is the reason why it is not followed.
fn an_edit_is_not_brought_in(args: &[&str], why: &str) {
    let world = World::new();
    let pfw = enforce(&world, "{}", args.iter().copied());
    assert_eq!(steer(&world, ["block", "192.0.2.1"]).code, 0);
    if args.is_empty() {
        sh(&format!("chmod 666 {}", world.path("rules.json").display()));
    }
    fs::write(world.path("rules.json"), block_peer()).expect("written");
    std::thread::sleep(LATER);
    for args in [&["block", "192.0.2.2"][..], &["unblock", "192.0.2.1"], &["undo"]] {
        let ran = steer(&world, args.iter().copied());
        assert_eq!(ran.code, 1, "{ran:?}");
        for words in ["was edited since", why, "nothing was changed", "'pfw reload'"] {
            assert!(ran.stderr.contains(words), "{words}: {ran:?}");
        }
    }
    // Over what is in force, not over the file.
    assert_eq!(steer(&world, ["block", "192.0.2.3", "--temporary"]).code, 0);
    let kernel = sh("iptables-save");
    assert!(kernel.contains("192.0.2.1") && kernel.contains("192.0.2.3"), "{kernel}");
    assert_eq!(steer(&world, ["undo"]).code, 0, "it is no matter of the file");
    assert!(!kernel_blocks());
    assert_eq!(fs::read_to_string(world.path("rules.json")).expect("there"), block_peer());
    assert_eq!(steer(&world, ["reload"]).code, 0);
    assert_eq!(steer(&world, ["block", "192.0.2.2"]).code, 0);
    assert!(kernel_blocks());
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_list_is_not_brought_in_by_a_change() {
    let world = World::new();
    fs::write(world.path("drop.txt"), "192.0.2.1\n").expect("written");
    let pfw = enforce(&world, r#"{ "block_lists": ["drop.txt"] }"#, ["--no-watch"]);
    fs::write(world.path("drop.txt"), format!("{PEER4}\n")).expect("written");
    let ran = steer(&world, ["block", "192.0.2.2"]);
    assert!(ran.code == 1 && ran.stderr.contains("a block list of"), "{ran:?}");
    assert_eq!(steer(&world, ["block", "192.0.2.2", "--temporary", "--for", "1s"]).code, 0);
    assert!(ping(PEER4), "the list is as it was read");
    wait_for("the end of the change", || (!sh("iptables-save").contains("192.0.2.2")).then_some(()));
    assert!(ping(PEER4), "it is so at the end of the change, too");
    assert_eq!(steer(&world, ["reload"]).code, 0);
    assert!(!ping(PEER4));
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn an_edit_that_is_followed_is_loaded_before_a_change() {
    let world = World::new();
    let pfw = enforce(&world, "{}", []);
    fs::write(world.path("rules.json"), block_peer()).expect("written");
    let ran = steer(&world, ["block", "192.0.2.2"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // Who watches the file may have been first.
    assert!(ran.stdout.ends_with("added block_ips:192.0.2.2\n"), "{ran:?}");
    let text = fs::read_to_string(world.path("rules.json")).expect("there");
    assert!(kernel_blocks() && text.contains(PEER4) && text.contains("192.0.2.2"), "{text}");
    // What is refused then is told from what was done.
    let told = (3..20).find_map(|n| {
        fs::write(world.path("rules.json"), format!(r#"{{ "block_ips": ["192.0.2.{n}"] }}"#)).expect("written");
        let ran = steer(&world, ["block", HOST4]);
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.stderr.contains(" again").then_some(ran.stderr)
    });
    assert!(told.as_ref().is_some_and(|said| said.contains("; after that: ") && said.contains("--force")), "{told:?}");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}
