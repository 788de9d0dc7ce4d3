//! Resets of this host's own, and those that a rule which rejects sends: only the latter pass whatever the policy is.

use crate::Case;
use crate::enforce::{ends_as_predicted, enforce, wait_for_lines};
use crate::variant;
use crate::verdict::raw::Sender;
use crate::verdict::wire::{Body, Flaw, Segment, Spec};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh};
use std::net::IpAddr;

pub const CASES: &[Case] = &[
    ("a_reset_of_the_hosts_own_to_a_stray_segment_is_no_answer_of_a_reject", own_resets_are_no_answers),
    ("without_the_bpf_match_pfw_starts_and_says_what_passes", without_the_bpf_match),
];

/// Where nobody listens, and where what comes is rejected.
const CLOSED: u16 = 81;
const REJECTED: u16 = 113;
/// Segments to each.
const EACH: u16 = 5;
const FIN_ACK: u8 = 0x11;

fn rules() -> String {
    let reject = format!(r#"{{ "id": "no", "action": "reject", "direction": "in", "dst_port": {REJECTED} }}"#);
    format!(r#"{{ "default_policy": {{ "in": "allow", "out": "deny" }}, "rules": [{reject}] }}"#)
}

fn without_the_bpf_match() {
    let world = World::new();
    // As on a machine that has no such match, though the kernel here has.
    sh("for match in $(find /usr/lib /lib -name libxt_bpf.so); do mount --bind /dev/null $match; done");
    let pfw = enforce(&world, &rules(), []);
    assert!(!sh("ip6tables-save").contains("bpf"));
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert!(code == 0 && said.contains("without the bpf match"), "{said}");
}

fn own_resets_are_no_answers() {
    let world = World::new();
    let rules = rules();
    for variant in variant::BOTH {
        variant::choose(variant);
        let pfw = enforce(&world, &rules, []);
        let sender = on_peer(Sender::open);
        for (host, peer) in [(HOST4, PEER4), (HOST6, PEER6)] {
            let address = |text: &str| text.parse::<IpAddr>().expect("an address");
            for n in 0..EACH {
                for port in [CLOSED, REJECTED] {
                    let segment = Segment { ports: (4000 + n, port), seq: 7, ack: 9, flags: FIN_ACK, data: Vec::new() };
                    let (src, dst, body) = (address(peer), address(host), Body::Tcp(segment));
                    let spec = Spec { src, dst, ttl: 64, id: n + 1, body, extensions: Vec::new(), flaw: Flaw::None };
                    sender.send(&spec.bytes(), dst);
                }
            }
        }
        let each = 2 * usize::from(EACH);
        let (closed, rejected) = (format!(":{CLOSED} "), format!(":{REJECTED} "));
        wait_for_lines(&world, each, &["[ALLOWED] incoming eth0 TCP", &closed, "flags=FA ", "rule=default_policy "]);
        wait_for_lines(&world, each, &["[BLOCKED] outgoing eth0 TCP", &closed, "flags=R ", "rule=default_policy "]);
        wait_for_lines(&world, each, &["[BLOCKED] incoming eth0 TCP", &rejected, "flags=FA ", "rule=no "]);
        wait_for_lines(&world, each, &["[ALLOWED] outgoing eth0 TCP", &rejected, "rule=guard:reject-answer "]);
        ends_as_predicted(pfw);
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
}
