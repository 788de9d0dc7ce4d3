//! Who may use the socket, and whose it is.

use super::{enforce, ping, socket, status, steer};
use crate::Case;
use crate::common::{Ran, pfw};
use crate::world::{PEER4, World, sh};
use pfw::control::protocol::read_answer;
use pfw::control::{Outcome, RefusalKind, Request};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

pub const CASES: &[Case] = &[
    ("nobody_else_can_do_anything_through_the_socket", nobody_else_can_do_anything),
    ("a_group_may_be_let_in", a_group_may_be_let_in),
    ("a_dead_socket_is_replaced_and_a_foreign_file_is_not", a_dead_socket_is_replaced),
    ("a_watching_pfw_has_a_socket_beside_the_enforcing_one", a_watching_pfw_has_its_own_socket),
];

/// What a user gets who sends `request` to the socket: the answer, or nothing if the socket can't be reached.
fn as_user(user: u32, group: u32, request: &Request) -> Option<Outcome> {
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ntry: s.connect(sys.argv[1])\nexcept PermissionError: sys.exit(7)\ntry: s.sendall(sys.argv[2].encode())\nexcept OSError: pass\nsys.stdout.buffer.write(s.makefile('rb').readline())";
    let line = String::from_utf8(request.to_line()).expect("text");
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(socket()).arg(line).uid(user).gid(group).current_dir("/");
    let output = command.output().expect("python3 runs");
    match output.status.code() {
        Some(7) => None,
        Some(0) => Some(read_answer(&output.stdout).expect("an answer")),
        _ => panic!("{output:?}"),
    }
}

const NOBODY: u32 = 65_534;

fn nobody_else_can_do_anything() {
    let world = World::new();
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), []);
    for request in Request::all() {
        assert_eq!(as_user(NOBODY, NOBODY, &request), None, "{request:?}: the folder is closed");
    }
    // Should the modes ever fail, the kernel's word about the caller still holds.
    fs::set_permissions("/run/pfw", fs::Permissions::from_mode(0o755)).expect("set");
    for request in Request::all() {
        assert_eq!(as_user(NOBODY, NOBODY, &request), None, "{request:?}: the socket is closed");
    }
    fs::set_permissions(socket(), fs::Permissions::from_mode(0o666)).expect("set");
    for request in Request::all() {
        let answer = as_user(NOBODY, 0, &request).expect("connected");
        assert_eq!(answer.map_err(|refusal| refusal.kind), Err(RefusalKind::NotAllowed), "{request:?}");
    }
    assert!(!ping(PEER4) && sh("iptables-save").contains(PEER4), "nothing has changed");
    assert_eq!(status(&world)["pid"], pfw.pid());
    let mut command = pfw_as_nobody(["status"]);
    let ran: Ran = command.output().expect("runs").into();
    assert!(ran.code == 1 && ran.stderr.contains("not allowed"), "{ran:?}");
    fs::set_permissions(socket(), fs::Permissions::from_mode(0o600)).expect("set");
    let ran: Ran = pfw_as_nobody(["stop"]).output().expect("runs").into();
    assert!(ran.code == 1 && ran.stderr.contains("use sudo"), "{ran:?}");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

pub fn pfw_as_nobody<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = pfw([]);
    command.args(args).uid(NOBODY).gid(NOBODY).current_dir("/");
    command
}

fn a_group_may_be_let_in() {
    const GROUP: u32 = 4_711;
    let world = World::new();
    let pfw = enforce(&world, "{}", ["--control-group", "4711"]);
    let data = fs::symlink_metadata(socket()).expect("a socket");
    assert_eq!((data.mode() & 0o777, data.gid()), (0o660, GROUP));
    for request in Request::all().into_iter().filter(|request| *request != Request::Stop) {
        let refused_for_cause = |outcome: Outcome| outcome.map_err(|refusal| refusal.kind) == Err(RefusalKind::Refused);
        let answer = as_user(NOBODY, GROUP, &request).expect("the group gets in");
        assert!(answer.is_ok() || request == Request::Confirm && refused_for_cause(answer), "{request:?}");
        assert_eq!(as_user(NOBODY, NOBODY, &request), None, "{request:?}");
    }
    assert_eq!(as_user(NOBODY, GROUP, &Request::Stop).map(|answer| answer.is_ok()), Some(true));
    drop(pfw);
    let unknown = steer(&world, ["run", "--control-group", "no-such-group"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("no such group"), "{unknown:?}");
}

fn a_dead_socket_is_replaced() {
    let world = World::new();
    for _ in 0..5 {
        let pfw = enforce(&world, "{}", []);
        pfw.stop(libc::SIGKILL);
        assert!(fs::symlink_metadata(socket()).is_ok(), "it left its socket");
    }
    let pfw = enforce(&world, "{}", []);
    assert_eq!(status(&world)["pid"], pfw.pid());
    let path = socket();
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    fs::write(world.path("precious"), "precious").expect("written");
    symlink(world.path("precious"), &path).expect("linked");
    let refused = steer(&world, ["run", "--config", "rules.json"]);
    assert!(refused.code == 1 && refused.stderr.contains("something else"), "{refused:?}");
    assert!(!sh("iptables-save").contains("PFW"), "nothing was changed");
    assert_eq!(fs::read(world.path("precious")).expect("there"), b"precious");
    fs::remove_file(&path).expect("removed");
    assert_eq!(enforce(&world, "{}", ["--no-control"]).stop(libc::SIGTERM).0, 0);
}

fn a_watching_pfw_has_its_own_socket() {
    let world = World::new();
    let watching = world.watch("{}", ["--log-file", "watching.log"]);
    assert_eq!(status(&world)["enforcing"], false);
    let pfw = enforce(&world, "{}", []);
    assert_eq!((&status(&world)["enforcing"], &status(&world)["pid"]), (&true.into(), &pfw.pid().into()));
    let mut third = world.watch("{}", ["--log-file", "third.log"]);
    assert!(third.said.iter().any(|line| line.contains("no control socket")), "{:?}", third.said);
    third.said.clear();
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    assert_eq!(status(&world)["pid"], watching.pid());
    assert_eq!(watching.stop(libc::SIGTERM).0, 0);
    assert_eq!(third.stop(libc::SIGTERM).0, 0);
}
