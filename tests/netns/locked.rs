//! A log that somebody else has locked.

use crate::Case;
use crate::enforce::enforce;
use crate::world::World;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

pub const CASES: &[Case] =
    &[("who_may_read_the_log_cannot_keep_pfw_from_starting_by_a_lock", a_reader_cannot_keep_pfw_from_starting)];

/// A user without any privilege.
const NOBODY: u32 = 65534;

fn a_reader_cannot_keep_pfw_from_starting() {
    let world = World::new();
    let log = world.path("firewall.log");
    fs::write(&log, "").expect("written");
    fs::set_permissions(&log, Permissions::from_mode(0o644)).expect("set");
    fs::set_permissions(world.folder.path(), Permissions::from_mode(0o755)).expect("set");
    let script = "import fcntl,sys,time\nf=open(sys.argv[1])\nfcntl.flock(f, fcntl.LOCK_EX)\nprint('locked', flush=True)\ntime.sleep(60)";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(&log).uid(NOBODY).gid(NOBODY).current_dir("/").stdout(Stdio::piped());
    let mut reader = command.spawn().expect("python3 runs");
    let mut said = String::new();
    BufReader::new(reader.stdout.take().expect("piped")).read_line(&mut said).expect("it says something");
    assert_eq!(said, "locked\n");
    let (code, said) = enforce(&world, "{}", []).stop(libc::SIGTERM);
    assert!(code == 0 && said.contains(&format!("process {} of user {NOBODY}", reader.id())), "{said}");
    reader.kill().and_then(|()| reader.wait()).expect("it ends");
}
