//! Every scan of nmap, fast and slow, alone and among decoys, over IPv4 and IPv6: each is named with its source, and
//! within how many packets.

use crate::common::{Running, pfw, wait_for};
use crate::detect::field;
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, sh};
use std::collections::BTreeSet;

/// The cases; all need nmap.
pub const CASES: &[(&str, fn())] = &[
    ("nmap_scans_fast_and_each_is_named", || all_at_once(&["--monitor-only"], OPEN, "-T4 --top-ports 100", "")),
    ("nmap_scans_slowly_and_each_is_named", || all_at_once(&["--monitor-only"], OPEN, "-T2 -p 1-20", "")),
    ("nmap_scans_fast_among_decoys_and_each_is_named", || {
        all_at_once(&["--monitor-only"], OPEN, "-T4 --top-ports 100", "-D");
    }),
    ("nmap_scans_slowly_among_decoys_and_each_is_named", || {
        all_at_once(&["--monitor-only"], OPEN, "-T2 -p 1-20", "-D");
    }),
    ("nmap_scans_what_drops_its_packets_and_each_is_named", || {
        all_at_once(&["--yes"], SHUT, "-T4 --top-ports 100", "-D");
    }),
];

const OPEN: &str = "{}";
const SHUT: &str = r#"{ "default_policy": { "in": "deny", "out": "allow" } }"#;

/// The scans, and what each is called.
const SCANS: [(&str, &str); 8] = [
    ("-sS", "scan.syn"),
    ("-sT", "scan.connect"),
    ("-sF", "scan.fin"),
    ("-sN", "scan.null"),
    ("-sX", "scan.xmas"),
    ("-sA", "scan.ack"),
    ("-sM", "scan.maimon"),
    ("-sU", "scan.udp"),
];

/// Ports that are tried before a scan is one (`scan_ports`), and some that may be taken for others. Packets are more:
/// nmap repeats what gets no answer.
const WITHIN: usize = 10 + 2;

/// One scan: its name, its source, and the command.
struct Scan {
    alert: &'static str,
    source: String,
    command: String,
}

/// Each scan over each family, from an address of its own.
fn scans(how: &str, decoys: &str) -> Vec<Scan> {
    let families = [("", HOST4, PEER4, "10.77.0."), ("-6", HOST6, PEER6, "fd77::")];
    let each = families.into_iter().flat_map(|family| SCANS.into_iter().enumerate().map(move |scan| (family, scan)));
    each.map(|((family, target, peer, net), (n, (scan, alert)))| {
        // The peer's own system opens connections from its own address, and knows no decoys.
        let source = if scan == "-sT" { peer.to_owned() } else { format!("{net}{}", 11 + n) };
        let disguise = match (scan, decoys) {
            ("-sT", _) => String::new(),
            (_, "") => format!("-S {source} -e eth0"),
            _ => format!("-S {source} -e eth0 {decoys} {net}91,{net}92,ME,{net}93"),
        };
        // Answers to UDP are limited to one a second, and nmap waits for them.
        let how = if scan == "-sU" { how.replace("100", "20") } else { how.to_owned() };
        let command = format!(
            "ip netns exec peer timeout 100 nmap -n -Pn {family} {scan} {how} {disguise} {target} >/dev/null 2>&1"
        );
        Scan { alert, source, command }
    })
    .collect()
}

/// Addresses of the peer, none of which it takes by itself.
fn give_addresses() {
    for n in 11..11 + SCANS.len() {
        sh(&format!(
            "ip -n peer addr add 10.77.0.{n}/24 dev eth0 && ip -n peer addr add fd77::{n}/64 dev eth0 nodad preferred_lft 0"
        ));
    }
}

/// Runs every scan, all at the same time, and looks whether each was named while it ran.
fn all_at_once(mode: &[&str], rules: &str, how: &str, decoys: &str) {
    let world = World::new();
    give_addresses();
    std::fs::write(world.path("rules.json"), rules).expect("the scratch folder is writable");
    let mut command = pfw(["run", "--config", "rules.json", "--log", "all"]);
    command.args(mode).current_dir(world.folder.path());
    let _running = Running::start(command);
    let scans = scans(how, decoys);
    let commands: Vec<_> = scans.iter().map(|scan| format!("{} &", scan.command)).collect();
    sh(&format!("{} wait", commands.join("\n")));
    for Scan { alert, source, .. } in &scans {
        let (packets, ports) = wait_for(alert, || until_named(&world.log(), alert, source));
        println!("nmap {how} {decoys}: {alert} of {source} named within {packets} packets to {ports} ports");
        assert!(ports <= WITHIN, "{alert} of {source}: {packets} packets to {ports} ports");
    }
    let named = named_sources(&world.log());
    let right = |(alert, source): &(String, String)| {
        let is_decoy = ["91", "92", "93"].iter().any(|end| source.ends_with(end));
        (is_decoy && !decoys.is_empty()) || scans.iter().any(|scan| scan.alert == alert && scan.source == *source)
    };
    let wrong: Vec<_> = named.iter().filter(|named| !right(named)).collect();
    assert!(wrong.is_empty(), "named and not done: {wrong:?}");
}

/// How many packets of a source had come when its scan was named, and to how many ports. The line that names it stands
/// in front of that of the last.
fn until_named(log: &[String], alert: &str, source: &str) -> Option<(usize, usize)> {
    let names = |line: &&String| field(line, " alert=") == alert && field(line, " reason=\"") == source;
    let at = log.iter().position(|line| names(&line))?;
    let from = [format!(" {source}:"), format!(" [{source}]:")];
    let is_probe = |line: &&String| {
        !line.contains("[SUSPICIOUS]")
            && line.contains(" incoming ")
            && from.iter().any(|from| line.contains(from.as_str()))
    };
    let probes: Vec<_> = log.iter().take(at).filter(is_probe).collect();
    let ports: BTreeSet<_> = probes.iter().filter_map(|line| field(line, " > ").rsplit(':').next()).collect();
    Some((probes.len() + 1, ports.len() + 1))
}

/// Every scan that was named, with its source; the scans of whole networks apart, which have many.
fn named_sources(log: &[String]) -> Vec<(String, String)> {
    let lines = log.iter().filter(|line| field(line, " alert=").starts_with("scan."));
    let named = lines.map(|line| (field(line, " alert=").to_owned(), field(line, " reason=\"").to_owned()));
    named.filter(|(alert, _)| alert != "scan.distributed").collect()
}
