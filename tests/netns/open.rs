//! Connections that are open when rules come into force: those that could be opened under the rules go on, the others
//! are cut; and nobody who steers the machine through one is cut off unasked.

use crate::Case;
use crate::common::{PATIENCE, Running, pfw, wait_for};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("open_connections_survive_a_deny_under_which_they_could_be_opened", open_connections_survive_a_start),
    ("open_connections_survive_a_reload_to_deny_likewise", open_connections_survive_a_reload),
    ("open_connections_of_udp_survive_likewise", open_udp_survives),
    ("a_connection_that_was_picked_up_the_wrong_way_round_is_turned", a_wrong_pick_up_is_turned),
    ("open_connections_on_loopback_follow_the_rules_that_name_it", loopback_follows_its_rules),
    ("the_session_that_would_be_cut_is_named_and_nothing_is_done", the_session_is_named),
    ("agreed_to_the_rules_go_ahead_and_unconfirmed_they_are_taken_back", agreed_or_taken_back),
    ("the_kernel_is_told_of_each_connection_once_and_in_batches", the_kernel_is_told_once),
    ("block_lists_spare_the_peer_of_the_session_whatever_its_port", block_lists_spare_the_session),
    ("a_reload_says_before_which_connections_it_cuts", a_reload_says_what_it_cuts),
];

/// Long enough for a packet on a veth pair, and for its first repetition.
const MOMENT: Duration = Duration::from_millis(700);

/// Allows what comes in to 8080 and what goes out to 8081.
const RULES: &str = r#"{ "default_policy": "deny", "rules": [
    { "id": "in-8080", "action": "allow", "direction": "in", "protocol": "tcp", "dst_port": 8080 },
    { "id": "out-8081", "action": "allow", "direction": "out", "protocol": "tcp", "dst_port": 8081 }] }"#;

/// A connection: this machine's end and the peer's.
struct Pair {
    here: TcpStream,
    there: TcpStream,
}

impl Pair {
    /// The peer opens it to a port of this machine.
    fn from_peer(listener: &TcpListener) -> Self {
        let to = listener.local_addr().expect("bound");
        let there = on_peer(|| TcpStream::connect_timeout(&to, PATIENCE)).expect("the peer gets through");
        Self { here: listener.accept().expect("accepted").0, there }
    }

    /// This machine opens it to a port of the peer.
    fn to_peer(listener: &TcpListener) -> Self {
        let to = listener.local_addr().expect("bound");
        let here = TcpStream::connect_timeout(&to, PATIENCE).expect("we get through");
        Self { here, there: listener.accept().expect("accepted").0 }
    }

    fn talks_after(mut self, order: Order) {
        let (first, second) = match order {
            Order::WeFirst => (&mut self.here, &mut self.there),
            Order::PeerFirst => (&mut self.there, &mut self.here),
        };
        assert!(arrives(first, second), "what is sent first arrives");
        assert!(arrives(second, first), "and the answer");
    }
}

#[derive(Clone, Copy)]
enum Order {
    WeFirst,
    PeerFirst,
}

/// Whether what one end sends comes to the other.
fn arrives(from: &mut TcpStream, to: &mut TcpStream) -> bool {
    to.set_read_timeout(Some(MOMENT)).expect("set");
    from.write_all(b"x").expect("there is room to wait in");
    let mut byte = [0];
    match to.read(&mut byte) {
        Ok(read) => read == 1,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
            false
        }
    }
}

fn listen(address: &str, port: u16) -> TcpListener {
    TcpListener::bind((address, port)).expect("a free port")
}

/// `pfw run` with rules that may cut what they cut.
fn enforce(world: &World, rules: &str) -> Running {
    write_rules(world, rules);
    let mut command = pfw(["run", "--config", "rules.json", "--yes"]);
    command.current_dir(world.folder.path());
    Running::start(command)
}

fn write_rules(world: &World, rules: &str) {
    std::fs::write(world.path("rules.json"), rules).expect("the scratch folder is writable");
}

/// Ends it, once the log has shown that the kernel did all that was predicted. (What is cut is sent again and again, and
/// passes as soon as the rules have gone.)
fn stop(pfw: Running, world: &World) {
    // What is held back comes now.
    std::thread::sleep(Duration::from_millis(300));
    let log = world.log();
    assert!(!log.iter().any(|line| line.contains("event=difference")), "{}", log.join("\n"));
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
}

/// Connections of all kinds in both families, opened before `come_into_force` is called.
fn survive(come_into_force: impl FnOnce() -> Running, world: &World) {
    let peers = [PEER4, PEER6].map(|peer| [8081, 8083].map(|port| on_peer(|| listen(peer, port))));
    let hosts = [HOST4, HOST6].map(|host| [8080, 8082].map(|port| listen(host, port)));
    let allowed_in = || hosts.iter().map(|[allowed, _]| Pair::from_peer(allowed)).collect::<Vec<_>>();
    let allowed_out = || peers.iter().map(|[allowed, _]| Pair::to_peer(allowed)).collect::<Vec<_>>();
    let orders = [Order::WeFirst, Order::PeerFirst];
    let allowed: Vec<_> = orders
        .into_iter()
        .flat_map(|order| allowed_in().into_iter().chain(allowed_out()).map(move |pair| (pair, order)))
        .collect();
    let mut spoken: Vec<_> = allowed_in().into_iter().chain(allowed_out()).collect();
    for pair in &mut spoken {
        assert!(arrives(&mut pair.here, &mut pair.there) && arrives(&mut pair.there, &mut pair.here));
    }
    let forbidden_in: Vec<_> = hosts.iter().map(|[_, forbidden]| Pair::from_peer(forbidden)).collect();
    let forbidden_out: Vec<_> = peers.iter().map(|[_, forbidden]| Pair::to_peer(forbidden)).collect();
    let pfw = come_into_force();
    for (pair, order) in allowed {
        pair.talks_after(order);
    }
    for pair in spoken {
        pair.talks_after(Order::PeerFirst);
    }
    for mut pair in forbidden_in {
        assert!(!arrives(&mut pair.there, &mut pair.here), "what the peer had opened is cut");
    }
    for mut pair in forbidden_out {
        assert!(!arrives(&mut pair.here, &mut pair.there), "what we had opened is cut");
    }
    stop(pfw, world);
}

fn open_connections_survive_a_start() {
    let world = World::new();
    survive(|| enforce(&world, RULES), &world);
}

fn open_connections_survive_a_reload() {
    let world = World::new();
    let mut pfw = enforce(&world, "{}");
    let reload = || {
        write_rules(&world, RULES);
        pfw.signal(libc::SIGHUP);
        pfw.wait_to_say("again");
        wait_for("the log to have the new rules", || {
            world.log().iter().any(|line| line.contains("read again")).then_some(())
        });
        pfw
    };
    survive(reload, &world);
}

fn udp_pair(here: (&str, u16), there: (&str, u16)) -> (UdpSocket, UdpSocket) {
    let ours = UdpSocket::bind(here).expect("a free port");
    let theirs = on_peer(|| UdpSocket::bind(there).expect("a free port"));
    ours.connect(there).expect("connected");
    theirs.connect(here).expect("connected");
    ours.set_read_timeout(Some(MOMENT)).expect("set");
    theirs.set_read_timeout(Some(MOMENT)).expect("set");
    (ours, theirs)
}

fn open_udp_survives() {
    let world = World::new();
    let rules = r#"{ "default_policy": "deny", "rules": [
        { "id": "out-8081", "action": "allow", "direction": "out", "protocol": "udp", "dst_port": 8081 }] }"#;
    let families = [(HOST4, PEER4), (HOST6, PEER6)];
    let pairs = families.map(|(here, there)| udp_pair((here, 40_001), (there, 8081)));
    let forbidden = families.map(|(here, there)| udp_pair((here, 40_002), (there, 8082)));
    let pfw = enforce(&world, rules);
    for (ours, theirs) in &pairs {
        theirs.send(b"x").expect("sent");
        ours.recv(&mut [0; 8]).expect("the answer to what was asked before comes in");
        ours.send(b"x").expect("sent");
        theirs.recv(&mut [0; 8]).expect("and more can be asked");
    }
    for (ours, theirs) in &forbidden {
        assert_eq!(ours.send(b"x").expect_err("dropped").kind(), ErrorKind::PermissionDenied);
        theirs.recv(&mut [0; 8]).expect_err("nothing comes");
    }
    stop(pfw, &world);
}

fn a_wrong_pick_up_is_turned() {
    let world = World::new();
    let (allowed, forbidden) = (listen(HOST4, 8080), listen(HOST4, 8082));
    let mut pairs = [Pair::from_peer(&allowed), Pair::from_peer(&forbidden)];
    // From here on the kernel tracks connections, and takes who speaks first for the opener.
    sh("iptables -A INPUT -m conntrack --ctstate INVALID");
    for pair in &mut pairs {
        assert!(arrives(&mut pair.here, &mut pair.there) && arrives(&mut pair.there, &mut pair.here));
    }
    let pfw = enforce(&world, RULES);
    let [mut allowed, mut forbidden] = pairs;
    assert!(arrives(&mut allowed.here, &mut allowed.there), "it goes out as the answer that it is");
    assert!(arrives(&mut allowed.there, &mut allowed.here));
    assert!(!arrives(&mut forbidden.there, &mut forbidden.here), "it does not come in as an answer that it is not");
    stop(pfw, &world);
}

fn loopback_follows_its_rules() {
    let world = World::new();
    let rules = r#"{ "default_policy": "deny", "rules": [
        { "id": "no-9001", "action": "block", "direction": "out", "protocol": "tcp", "dst_port": 9001, "interface": "lo" },
        { "id": "no-answers", "action": "block", "protocol": "tcp", "src_port": 9000, "interface": "lo" }] }"#;
    let open = |address: &str, port| {
        let listener = listen(address, port);
        let there = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        (Pair { here: listener.accept().expect("accepted").0, there }, listener)
    };
    let addresses = ["127.0.0.1", "::1", HOST4];
    let open_to = |port| addresses.map(|address| open(address, port));
    let (allowed, forbidden) = (open_to(9000), open_to(9001));
    let pfw = enforce(&world, rules);
    for (pair, _listener) in allowed {
        // Its answers are those of a connection that could be opened, whatever a rule says of their port.
        pair.talks_after(Order::WeFirst);
    }
    for (mut pair, _listener) in forbidden {
        assert!(!arrives(&mut pair.there, &mut pair.here), "the opener's packets are blocked");
    }
    stop(pfw, &world);
}

/// A connection from the peer that is held by a process of its own, not by this one.
struct Held {
    listener: TcpListener,
    peer: TcpStream,
    holder: Child,
}

impl Held {
    /// The peer connects to `port`, and `holder` has the connection as its standard input.
    fn new(port: u16, mut holder: Command) -> Self {
        let listener = listen(HOST4, port);
        let Pair { here, there: peer } = Pair::from_peer(&listener);
        let holder = holder.stdin(Stdio::from(OwnedFd::from(here))).spawn().expect("it starts");
        Self { listener, peer, holder }
    }

    /// Somebody who is connected, whatever for.
    fn somebody(port: u16) -> Self {
        let mut sleep = Command::new("sleep");
        sleep.arg("60");
        Self::new(port, sleep)
    }

    fn peer(&self) -> SocketAddr {
        self.peer.local_addr().expect("bound")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Its own child, whatever has become of it.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A shell that the peer has opened through `port`, in which `pfw run` is started with `args`: what was said goes to a
/// file.
fn in_a_session(world: &World, port: u16, args: &str) -> Held {
    // What the one before said is done with.
    let _ = std::fs::remove_file(world.path("said"));
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_pfw");
    // As `sudo` does, pfw is run without the environment of the session.
    let script =
        format!("env -i {program} run --config rules.json {args} </dev/null >/dev/null 2>said; echo code $? >>said");
    shell.args(["-c", &script]).current_dir(world.folder.path());
    Held::new(port, shell)
}

fn said(world: &World) -> String {
    std::fs::read_to_string(world.path("said")).unwrap_or_default()
}

fn wait_to_read(world: &World, words: &str) -> String {
    wait_for(words, || Some(said(world)).filter(|said| said.contains(words)))
}

/// What the kernel has of rules and sets.
fn saved() -> String {
    ["iptables-save", "ip6tables-save", "ipset save"]
        .map(|tool| sh(&format!("{tool} | sed '/^#/d; s/ \\[.*//'")))
        .concat()
}

fn the_session_is_named() {
    let world = World::new();
    let before = saved();
    write_rules(&world, r#"{ "default_policy": "deny" }"#);
    let other = Held::somebody(443);
    let outgoing = Pair::to_peer(&on_peer(|| listen(PEER4, 8081)));
    let session = in_a_session(&world, 4022, "");
    let said = wait_to_read(&world, "code");
    let expected = [
        format!("pfw: your session from {} to port 4022 would be cut by default_policy deny", session.peer()),
        format!("pfw: the connection from {} to port 443 would be cut by default_policy deny", other.peer()),
        format!(
            "pfw: the connection to {} would be cut by default_policy deny",
            outgoing.here.peer_addr().expect("connected")
        ),
    ];
    let places =
        expected.map(|line| said.lines().position(|said| said == line).unwrap_or_else(|| panic!("{line}: {said}")));
    assert!(places.is_sorted(), "what matters most comes first: {said}");
    assert!(said.contains("nothing was changed") && said.ends_with("code 2\n"), "{said}");
    assert_eq!(saved(), before);
    drop((other, session));

    // Outgoing connections alone ask for nothing.
    let mut alone = pfw(["run", "--config", "rules.json"]);
    alone.current_dir(world.folder.path());
    let alone = Running::start(alone);
    assert!(alone.said.iter().any(|line| line.contains("the connection to")), "{:?}", alone.said);
    stop(alone, &world);
    outgoing.here.shutdown(Shutdown::Both).expect("closed");
}

fn agreed_or_taken_back() {
    let world = World::new();
    // A rule of another, so that the built-in tables are there before and after.
    sh("iptables -A INPUT -p tcp --dport 81 -j DROP && ip6tables -A INPUT -p tcp --dport 81 -j DROP");
    let before = saved();
    write_rules(&world, r#"{ "default_policy": "deny" }"#);
    let session = in_a_session(&world, 4022, "--confirm 2");
    let said = wait_to_read(&world, "ready");
    assert!(said.contains("your session from"), "{said}");
    assert_ne!(saved(), before);
    let said = wait_to_read(&world, "code");
    assert!(said.contains("not confirmed") && said.ends_with("code 0\n"), "{said}");
    assert_eq!(saved(), before);
    drop(session);

    let _session = in_a_session(&world, 4023, "--yes");
    let said = wait_to_read(&world, "ready");
    assert!(said.contains("to port 4023 would be cut") && !said.contains("nothing was changed"), "{said}");
    let pid: i32 =
        said.trim_end().rsplit_once("pid ").and_then(|(_, pid)| pid.parse().ok()).expect("the ready line has it");
    // SAFETY: kill has no memory effects; the process is the one that said so just now.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    wait_to_read(&world, "code 0");
    assert_eq!(saved(), before);
}

fn a_reload_says_what_it_cuts() {
    let world = World::new();
    let blocked_before = Held::somebody(443);
    let cut = Held::somebody(8082);
    let goes_on = Held::somebody(8080);
    let mut pfw = enforce(&world, r#"{ "block_ports": [443] }"#);
    write_rules(&world, &RULES.replacen('{', r#"{ "block_ports": [443], "#, 1));
    pfw.signal(libc::SIGHUP);
    let line = pfw.wait_to_say("cut by default_policy");
    assert_eq!(line, format!("pfw: the connection from {} to port 8082 is cut by default_policy deny", cut.peer()));
    let (_, said) = pfw.stop(libc::SIGTERM);
    let about = |held: &Held| said.matches(&format!("from {} ", held.peer())).count();
    // At the start, of which it is said what would be cut.
    assert_eq!((about(&blocked_before), about(&cut), about(&goes_on)), (1, 1, 0), "{said}");
    drop((blocked_before.listener.local_addr(), goes_on.listener.local_addr()));
}

fn the_kernel_is_told_once() {
    let _world = World::new();
    // More than one datagram's worth; on loopback each is two sockets.
    let listener = listen("127.0.0.1", 9000);
    let pairs: Vec<_> = (0..300)
        .map(|_| {
            let there = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
            (there, listener.accept().expect("accepted"))
        })
        .collect();
    let open = || pfw::host::connections::read(pfw::host::ephemeral_ports()).expect("the kernel tells").open;
    let connections = open();
    assert_eq!(connections.len(), 600);
    let entered = pfw::conntrack::enter(&connections).expect("the kernel listens");
    assert_eq!((entered.new, entered.known, entered.turned, entered.refused), (300, 0, 0, 0), "{entered:?}");
    assert!(!entered.was_tracking);
    let entered = pfw::conntrack::enter(&connections).expect("the kernel listens");
    assert_eq!((entered.new, entered.known, entered.turned, entered.refused), (0, 300, 0, 0), "{entered:?}");
    assert!(entered.was_tracking);
    // The other way round, and sure of it: our own entries are such as may be turned.
    let turned: Vec<_> = connections
        .iter()
        .map(|connection| pfw::host::connections::Connection {
            local: connection.remote,
            remote: connection.local,
            is_opener_sure: true,
            ..*connection
        })
        .collect();
    let entered = pfw::conntrack::enter(&turned).expect("the kernel listens");
    assert_eq!((entered.new, entered.known, entered.turned, entered.refused), (300, 0, 300, 0), "{entered:?}");
    drop(pairs);
}

fn block_lists_spare_the_session() {
    let world = World::new();
    std::fs::write(world.path("list.txt"), format!("{PEER4}\n")).expect("the scratch folder is writable");
    write_rules(&world, r#"{ "block_lists": ["list.txt"] }"#);
    let mut session = in_a_session(&world, 4022, "--confirm 2");
    let said = wait_to_read(&world, "ready");
    assert!(!said.contains("would be cut"), "{said}");
    let to = session.listener.local_addr().expect("bound");
    on_peer(|| TcpStream::connect_timeout(&to, PATIENCE)).expect("the user comes in again");
    session.peer.write_all(b"x").expect("it goes on");
    wait_to_read(&world, "code 0");
}
