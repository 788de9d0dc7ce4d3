//! Interfaces of all kinds, which come and go.

use super::{OPEN, expect_lines};
use crate::Case;
use crate::common::wait_for;
use crate::world::{HOST4, PEER4, World, sh, try_sh};
use std::io::Write;
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("interfaces_come_and_go_and_are_logged", interfaces_come_and_go_and_are_logged),
    ("an_interface_that_is_down_costs_no_cpu", an_interface_that_is_down_costs_no_cpu),
    ("only_the_chosen_interface_is_watched", only_the_chosen_interface_is_watched),
    ("a_bridged_packet_is_logged_once_where_it_reaches_the_stack", a_bridged_packet_is_logged_once),
    ("a_tun_device_is_read_without_a_link_header", a_tun_device_is_read),
];

fn interfaces_come_and_go_and_are_logged() {
    let world = World::new();
    let pfw = world.watch(OPEN, []);
    sh("ip link add late0 type veth peer name late1 && ip addr add 10.78.0.1/24 dev late0");
    expect_lines(&world, 1, &["[PFW]", "late0", "appeared"]);
    sh("ip link set late0 up && ip link set late1 up");
    sh("ip link set late0 down && ip link set late0 name later0 && ip link set later0 up");
    expect_lines(&world, 1, &["[PFW]", "late0", "later0", "renamed"]);
    try_sh("ping -q -c 1 -W 0.3 10.78.0.2");
    wait_for("frames of the renamed interface", || {
        world.log().iter().any(|line| line.contains(" later0 ARP ")).then_some(())
    });
    sh("ip link del later0");
    expect_lines(&world, 1, &["[PFW]", "later0", "vanished"]);
    sh(&format!("ping -q -c 1 {PEER4}"));
    expect_lines(&world, 1, &["outgoing eth0 ICMP", "type=8"]);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

/// Processor time that a process has used, from its stat file.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let behind_name = stat.rsplit(')').next().expect("a name in parentheses");
    let field = |n: usize| behind_name.split_whitespace().nth(n).and_then(|f| f.parse::<u64>().ok()).expect("a number");
    // utime and stime, fields 14 and 15 of proc(5), in ticks of 10 ms.
    Duration::from_millis(10 * (field(11) + field(12)))
}

fn an_interface_that_is_down_costs_no_cpu() {
    let world = World::new();
    for source in ["ring", "pnet"] {
        let _ = std::fs::remove_file(world.path("firewall.log"));
        let pfw = world.watch(OPEN, ["-i", "eth0", "--capture", source]);
        sh(&format!("ping -q -c 1 {PEER4}"));
        sh("ip link set eth0 down");
        let before = cpu_time(pfw.pid());
        std::thread::sleep(Duration::from_secs(2));
        let used = cpu_time(pfw.pid()).saturating_sub(before);
        assert!(used < Duration::from_millis(200), "{source}: {used:?} of processor time in 2 s");
        sh("ip link set eth0 up");
        wait_for("frames after the interface is back", || {
            try_sh(&format!("ping -q -c 1 -W 1 {PEER4}"));
            (world.log().iter().filter(|line| line.contains("incoming eth0 ICMP")).count() >= 2).then_some(())
        });
        assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    }
}

fn only_the_chosen_interface_is_watched() {
    let world = World::new();
    let pfw = world.watch(OPEN, ["-i", "eth0"]);
    sh("ping -q -c 2 -i 0.05 127.0.0.1");
    sh(&format!("ping -q -c 2 -i 0.05 {PEER4}"));
    expect_lines(&world, 2, &["outgoing eth0 ICMP", "type=8"]);
    assert!(!world.log().iter().any(|line| line.contains(" lo ")), "{:?}", world.log());
    pfw.stop(libc::SIGTERM);

    let refused = crate::common::run_in(world.folder.path(), ["run", "--monitor-only", "-i", "eth7"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("eth7") && refused.stderr.contains("eth0"),
        "it says which there are: {}",
        refused.stderr
    );
}

fn a_bridged_packet_is_logged_once() {
    let world = World::new();
    sh(&format!(
        "ip addr flush dev eth0 && ip link add br0 type bridge && ip link set eth0 master br0 \
         && ip addr add {HOST4}/24 dev br0 && ip link set br0 up"
    ));
    let pfw = world.watch(OPEN, []);
    sh(&format!("ping -q -c 3 -i 0.05 {PEER4}"));
    expect_lines(&world, 3, &["outgoing br0 ICMP", "type=8"]);
    expect_lines(&world, 3, &["incoming br0 ICMP", "type=0"]);
    assert!(!world.log().iter().any(|line| line.contains(" eth0 ICMP")), "{:?}", world.log());
    pfw.stop(libc::SIGTERM);
}

fn a_tun_device_is_read() {
    let world = World::new();
    if !try_sh("ip tuntap add dev tun9 mode tun && ip addr add 10.79.0.1/24 dev tun9 && ip link set tun9 up")
        .status
        .success()
    {
        panic!("this kernel has no tun devices");
    }
    let pfw = world.watch(OPEN, []);
    let tun = attach_tun("tun9");
    // An echo request from 10.79.0.2 to 10.79.0.1, written by hand: the kernel answers through the same device, once
    // that has come up.
    let has = |words: &[&str]| world.log().iter().any(|line| words.iter().all(|word| line.contains(word)));
    wait_for("an answer through the device", || {
        (&tun).write_all(&ECHO_REQUEST).expect("the kernel takes the packet");
        has(&["outgoing tun9 ICMP 10.79.0.1 > 10.79.0.2", "type=0", "rule=reply"]).then_some(())
    });
    assert!(has(&["incoming tun9 ICMP 10.79.0.2 > 10.79.0.1", "type=8"]), "{:?}", world.log());
    pfw.stop(libc::SIGTERM);
}

/// ICMP echo request 10.79.0.2 > 10.79.0.1, both checksums right, without a link header.
const ECHO_REQUEST: [u8; 28] =
    [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0x66, 0x40, 10, 79, 0, 2, 10, 79, 0, 1, 8, 0, 0xf7, 0xfd, 0, 1, 0, 1];

/// Opens the user side of a tun device.
fn attach_tun(name: &str) -> std::fs::File {
    use std::os::fd::AsRawFd;
    let _ = try_sh("mkdir -p /dev/net; test -e /dev/net/tun || mknod /dev/net/tun c 10 200");
    let file = std::fs::File::options().read(true).write(true).open("/dev/net/tun").expect("the tun driver");
    let mut request = [0_u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    // struct ifreq: the name, then flags IFF_TUN | IFF_NO_PI (linux/if_tun.h).
    request[16..18].copy_from_slice(&(0x0001_u16 | 0x1000).to_ne_bytes());
    // SAFETY: TUNSETIFF reads a struct ifreq of 40 bytes, which `request` is.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), 0x4004_54ca, request.as_ptr()) };
    assert_eq!(result, 0, "the tun device can be attached: {}", std::io::Error::last_os_error());
    file
}
