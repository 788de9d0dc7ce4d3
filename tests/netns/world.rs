//! Two hosts on a veth pair: this process's network namespace is the machine that pfw runs on, `peer` is the other.

use crate::common::{Running, pfw};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub const HOST4: &str = "10.77.0.1";
pub const PEER4: &str = "10.77.0.2";
pub const HOST6: &str = "fd77::1";
pub const PEER6: &str = "fd77::2";
/// This host on the side of the server, and the server.
pub const INNER4: &str = "10.88.0.1";
pub const INNER6: &str = "fd88::1";
pub const SERVER4: &str = "10.88.0.2";
pub const SERVER6: &str = "fd88::2";

/// The two hosts and a scratch folder; all of it goes with the namespaces.
pub struct World {
    pub folder: tempfile::TempDir,
}

impl World {
    /// Builds both hosts; IPv6 without duplicate address detection, so that addresses serve at once.
    pub fn new() -> Self {
        sh("mount -t tmpfs tmpfs /run && mkdir -p /run/netns");
        sh("ip netns add peer");
        sh("ip link set lo up && ip -n peer link set lo up");
        quiet_ipv6("");
        quiet_ipv6("ip netns exec peer ");
        sh("ip link add eth0 type veth peer name eth0 netns peer");
        for (ns, v4, v6) in [("", HOST4, HOST6), ("-n peer ", PEER4, PEER6)] {
            sh(&format!(
                "ip {ns}addr add {v4}/24 dev eth0 && ip {ns}addr add {v6}/64 dev eth0 nodad && ip {ns}link set eth0 up"
            ));
        }
        Self { folder: tempfile::tempdir().expect("a scratch folder") }
    }

    /// A third host behind this one, on `eth1`, and this one passes packets on. Each end has a route to the other.
    pub fn with_server(self) -> Self {
        sh("ip netns add server && ip -n server link set lo up");
        quiet_ipv6("ip netns exec server ");
        sh("ip link add eth1 type veth peer name eth0 netns server");
        sh("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        quiet_ipv6("");
        let inner = [("", "eth1", INNER4, INNER6), ("-n server ", "eth0", SERVER4, SERVER6)];
        for (ns, device, v4, v6) in inner {
            sh(&format!(
                "ip {ns}addr add {v4}/24 dev {device} && ip {ns}addr add {v6}/64 dev {device} nodad && ip {ns}link set {device} up"
            ));
        }
        for (ns, v4, v6) in [("peer", HOST4, HOST6), ("server", INNER4, INNER6)] {
            sh(&format!("ip -n {ns} route add default via {v4} && ip -n {ns} -6 route add default via {v6}"));
        }
        for command in ["ip netns exec peer ping -W 1", "ip netns exec server ping -W 1"] {
            for to in [PEER4, PEER6, SERVER4, SERVER6] {
                try_sh(&format!("{command} -q -c 1 {to}"));
            }
        }
        sh("conntrack -F");
        self
    }

    /// A path in the scratch folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `rules.json` and starts `pfw run --monitor-only` with `args` added.
    pub fn watch<'a>(&self, rules: &str, args: impl IntoIterator<Item = &'a str>) -> Running {
        std::fs::write(self.path("rules.json"), rules).expect("the scratch folder is writable");
        let mut command = pfw(["run", "--monitor-only", "--config", "rules.json"]);
        Running::start({
            command.args(args).current_dir(self.folder.path());
            command
        })
    }

    /// The lines of the log.
    pub fn log(&self) -> Vec<String> {
        read_lines(&self.path("firewall.log"))
    }

    /// The lines of the log that have all of `words`, without those that tell what is suspicious: each of these stands
    /// beside the line that says what became of its packet, and lines are counted to know how many packets have one.
    pub fn lines(&self, words: &[&str]) -> Vec<String> {
        let has_them = |line: &String| words.iter().all(|word| line.contains(word));
        self.log().into_iter().filter(|line| has_them(line) && !line.contains(" [SUSPICIOUS] ")).collect()
    }
}

/// The lines of a file; none if it does not exist.
pub fn read_lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// No router solicitations and no duplicate address detection: only the packets that a test sends.
fn quiet_ipv6(prefix: &str) {
    sh(&format!(
        "{prefix}sh -c 'for f in /proc/sys/net/ipv6/conf/*/; do echo 0 >$f/accept_dad; echo 0 >$f/router_solicitations; done'"
    ));
}

/// Runs a shell command that must succeed.
pub fn sh(script: &str) -> String {
    let output = try_sh(script);
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a shell command whatever becomes of it.
pub fn try_sh(script: &str) -> Output {
    Command::new("sh").args(["-c", script]).output().expect("sh runs")
}

/// Does `work` on the peer; sockets that it opens stay there.
pub fn on_peer<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    on("peer", work)
}

/// Does `work` on another host; sockets that it opens stay there.
pub fn on<T: Send>(host: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let namespace = File::open(format!("/run/netns/{host}")).expect("the host exists");
                // SAFETY: setns moves this thread alone; the descriptor is open for the call.
                assert_eq!(
                    unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) },
                    0,
                    "the host can be entered"
                );
                work()
            })
            .join()
            .expect("the work there succeeds")
    })
}
