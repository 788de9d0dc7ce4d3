//! What this machine sends to an address of its own, and OUTPUT-DNAT leads elsewhere, as container engines do with their
//! published ports: to rules it leaves by loopback, and never arrives there. Each packet is judged once, and has one line.

use crate::Case;
use crate::common::PATIENCE;
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::variant;
use crate::world::{HOST4, HOST6, SERVER4, SERVER6, World, on, sh};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("what_is_led_away_is_judged_on_its_way_out_alone", rules_act_on_its_way_out_alone),
    ("what_is_led_away_from_127_0_0_1_is_judged_on_its_way_out_alone", so_it_is_with_what_is_sent_to_127_0_0_1),
    ("lists_of_peers_know_what_is_led_away_by_where_it_goes", lists_of_peers_know_it_by_where_it_goes),
];

const DIRECTIONS: [&str; 3] = ["out", "in", "both"];
const ACTIONS: [&str; 3] = ["allow", "block", "reject"];
/// The ports of the server that ports of this host lead to: one for each rule.
const LED_TO: u16 = 9100;
/// The ports of this host are so many less.
const LESS: u16 = 6000;

/// A rule that names loopback.
struct OnLoopback {
    id: String,
    direction: &'static str,
    action: &'static str,
    port: u16,
}

impl OnLoopback {
    fn all() -> Vec<Self> {
        let pairs = DIRECTIONS.into_iter().flat_map(|direction| ACTIONS.map(|action| (direction, action)));
        pairs.zip(LED_TO..).map(|((direction, action), port)| Self::new(direction, action, port)).collect()
    }

    fn new(direction: &'static str, action: &'static str, port: u16) -> Self {
        Self { id: format!("{direction}-{action}"), direction, action, port }
    }

    fn text(&self) -> String {
        let Self { id, direction, action, port } = self;
        let direction = if *direction == "both" { String::new() } else { format!(r#""direction": "{direction}", "#) };
        format!(
            r#"{{ "id": "{id}", "action": "{action}", {direction}"interface": "lo", "protocol": ["tcp", "udp"], "dst_port": {port} }}"#
        )
    }

    /// Whether it acts on what is led away.
    fn acts(&self) -> bool {
        self.direction != "in"
    }

    fn blocks(&self) -> bool {
        self.acts() && self.action != "allow"
    }
}

/// What is sent to ports of an own address leads to the server.
fn lead_away(tool: &str, own: &str, server: &str) {
    for OnLoopback { port, .. } in OnLoopback::all() {
        for protocol in ["tcp", "udp"] {
            let asked = port - LESS;
            sh(&format!(
                "{tool} -t nat -A OUTPUT -d {own} -p {protocol} --dport {asked} -j DNAT --to-destination {server}:{port}"
            ));
        }
    }
}

fn lead_all_away() {
    sh("iptables -t nat -F && ip6tables -t nat -F");
    lead_away("iptables", HOST4, SERVER4);
    lead_away("ip6tables", HOST6, &format!("[{SERVER6}]"));
}

fn ends() -> [(IpAddr, IpAddr); 2] {
    [(HOST4, SERVER4), (HOST6, SERVER6)].map(|(host, server)| {
        let address = |text: &str| text.parse().expect("an address");
        (address(host), address(server))
    })
}

fn rules_act_on_its_way_out_alone() {
    let world = World::new().with_server();
    for variant in variant::BOTH {
        variant::choose(variant);
        lead_all_away();
        hold_all_rules_against_it(&world, &ends());
    }
}

/// As container engines do it: who asks is another to the server.
fn so_it_is_with_what_is_sent_to_127_0_0_1() {
    let world = World::new().with_server();
    sh("sysctl -q -w net.ipv4.conf.all.route_localnet=1");
    for variant in variant::BOTH {
        variant::choose(variant);
        sh(
            "iptables -t nat -F && ip6tables -t nat -F && iptables -t nat -A POSTROUTING -s 127.0.0.1 -o eth1 -j MASQUERADE",
        );
        lead_away("iptables", "127.0.0.1", SERVER4);
        hold_all_rules_against_it(&world, &[(Ipv4Addr::LOCALHOST.into(), SERVER4.parse().expect("an address"))]);
    }
}

fn hold_all_rules_against_it(world: &World, ends: &[(IpAddr, IpAddr)]) {
    let rules = OnLoopback::all();
    let texts: Vec<_> = rules.iter().map(OnLoopback::text).collect();
    let answers = r#"{ "id": "answers", "action": "block", "direction": "in", "interface": "lo" }"#;
    let pfw = enforce(world, &format!(r#"{{ "rules": [{}, {answers}] }}"#, texts.join(", ")), []);
    for &(own, server) in ends {
        for rule in &rules {
            ask(rule, own, server);
        }
    }
    let each = ends.len();
    for rule in &rules {
        let (to, by) = (format!(":{} ", rule.port), format!("rule={} ", rule.id));
        let (way, by) = match (rule.acts(), rule.blocks()) {
            (_, true) => ("[BLOCKED] loopback lo", by.as_str()),
            (true, false) => ("[ALLOWED] outgoing eth1", by.as_str()),
            (false, false) => ("[ALLOWED] outgoing eth1", "rule=loopback "),
        };
        wait_for_lines(world, each, &[&format!("{way} UDP"), &to, by]);
        wait_for_lines(world, each, &[&format!("{way} TCP"), &to, "flags=S ", by]);
    }
    // Of each rule that rejects, to a datagram and to a connection.
    wait_for_lines(world, 4 * each, &["[ALLOWED] loopback lo ", "rule=guard:reject-answer "]);
    let all = world.log().join("\n");
    // A datagram, and its answer if it gets there: nothing has a second line.
    assert_eq!(count(world, &["UDP"]), each * (9 + rules.iter().filter(|rule| !rule.blocks()).count()), "{all}");
    assert!(!all.contains("not dropped by the kernel") && !all.contains("event=difference"), "{all}");
    ends_as_predicted(pfw);
    std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    sh("conntrack -F 2>/dev/null || true");
}

/// Asks by a datagram and by a connection.
fn ask(rule: &OnLoopback, own: IpAddr, server: IpAddr) {
    let (there, asked) = (SocketAddr::new(server, rule.port), SocketAddr::new(own, rule.port - LESS));
    let service = on("server", || UdpSocket::bind(there).expect("a free port"));
    let listener = on("server", || TcpListener::bind(there).expect("a free port"));
    let client = UdpSocket::bind((own, 0)).expect("a free port");
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    if rule.blocks() {
        assert!(client.send_to(b"hello", asked).is_err(), "the kernel refuses it: {}", rule.id);
        let connected = TcpStream::connect_timeout(&asked, Duration::from_millis(300));
        let refused = connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        assert_eq!(refused, rule.action == "reject", "{}", rule.id);
        return;
    }
    client.send_to(b"hello", asked).expect("sent");
    let (_, from) = service.recv_from(&mut [0; 5]).expect("it goes there");
    service.send_to(b"hello", from).expect("sent");
    client.recv_from(&mut [0; 5]).expect("answered");
    let mut stream = TcpStream::connect_timeout(&asked, PATIENCE).expect("it goes there");
    let (mut accepted, _) = listener.accept().expect("a client");
    stream.write_all(b"hello").expect("sent");
    accepted.read_exact(&mut [0; 5]).expect("received");
}

/// It has no peer but the one that it leaves for: it does not come back from an own address.
fn lists_of_peers_know_it_by_where_it_goes() {
    let world = World::new().with_server();
    lead_all_away();
    let asks = |action, port| {
        let rule = OnLoopback::new("out", action, port);
        for (own, server) in ends() {
            ask(&rule, own, server);
        }
    };
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{HOST4}", "{HOST6}"] }}"#), []);
    asks("allow", LED_TO);
    wait_for_lines(&world, 2, &["[ALLOWED] outgoing eth1 UDP", "rule=loopback "]);
    ends_as_predicted(pfw);
    sh("conntrack -F 2>/dev/null || true");
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{SERVER4}", "{SERVER6}"] }}"#), []);
    asks("block", LED_TO);
    wait_for_lines(&world, 2, &["[BLOCKED] loopback lo UDP", "rule=block_ips:"]);
    ends_as_predicted(pfw);
}
