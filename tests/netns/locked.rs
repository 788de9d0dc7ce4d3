//! A log that somebody else has locked, and a log that another pfw writes to.

use crate::Case;
use crate::common::{Running, pfw, wait_for};
use crate::enforce::enforce;
use crate::world::{World, sh};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

pub const CASES: &[Case] = &[
    ("who_may_read_the_log_cannot_keep_pfw_from_starting_by_a_lock", a_reader_cannot_keep_pfw_from_starting),
    ("who_may_read_the_folder_of_the_socket_cannot_keep_pfw_from_starting_by_a_lock", nor_by_one_on_the_folder),
    ("a_log_that_another_pfw_writes_to_is_refused_while_that_lives", another_pfw_is_refused),
    ("without_a_folder_of_its_own_pfw_knows_another_by_the_lock_on_the_log", the_lock_on_the_log_counts),
];

/// A user without any privilege.
const NOBODY: u32 = 65534;

/// A lock of an unprivileged user. Who has taken it has ended; his child holds it.
struct LockOfReader {
    /// The child ends when it is closed.
    _input: ChildStdin,
}

impl LockOfReader {
    fn on(path: &Path) -> Self {
        let script = "import fcntl,os,sys,time
f=os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(f, fcntl.LOCK_EX)
if os.fork(): os._exit(0)
print('locked', flush=True)
sys.stdin.read()";
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(path).uid(NOBODY).gid(NOBODY).current_dir("/");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 runs");
        let mut said = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut said).expect("it says something");
        assert_eq!(said, "locked\n");
        let input = child.stdin.take().expect("piped");
        child.wait().expect("who took the lock ends");
        let free = sh(&format!("flock -n {} echo free || true", path.display()));
        assert_eq!(free, "", "the child holds it");
        Self { _input: input }
    }
}

/// A world whose log anybody may read.
fn readable() -> World {
    let world = World::new();
    let log = world.path("firewall.log");
    fs::write(&log, "").expect("written");
    fs::set_permissions(&log, Permissions::from_mode(0o644)).expect("set");
    fs::set_permissions(world.folder.path(), Permissions::from_mode(0o755)).expect("set");
    world
}

fn a_reader_cannot_keep_pfw_from_starting() {
    let world = readable();
    let _reader = LockOfReader::on(&world.path("firewall.log"));
    let pfw = enforce(&world, "{}", []);
    is_refused_by(&pfw, &world, "firewall.log");
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert!(code == 0 && said.contains("somebody has locked the log file"), "{said}");
}

fn nor_by_one_on_the_folder() {
    let world = World::new();
    sh("mkdir -m 755 /run/pfw");
    let _reader = LockOfReader::on(Path::new("/run/pfw"));
    let pfw = enforce(&world, "{}", []);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

/// Starts another pfw, which only watches, and holds that it does not get ready: what it says instead.
fn refusal(world: &World, log: &str) -> String {
    let mut command = pfw(["run", "--monitor-only", "--config", "rules.json", "--log-file", log]);
    command.current_dir(world.folder.path());
    let mut another = Running::begin(command);
    assert!(!another.gets_ready(), "{}", another.all_said());
    let (code, said) = another.end();
    assert!(code == 1 && said.contains("choose another --log-file"), "{said}");
    said
}

fn is_refused_by(pfw: &Running, world: &World, log: &str) {
    let said = refusal(world, log);
    assert!(said.contains(&format!("another pfw (process {}) writes to the log file", pfw.pid())), "{said}");
}

fn claims() -> usize {
    let names = fs::read_dir("/run/pfw").expect("the folder").flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".claim")).count()
}

fn another_pfw_is_refused() {
    let world = World::new();
    std::os::unix::fs::symlink(world.folder.path(), world.path("way")).expect("made");
    let pfw = enforce(&world, "{}", []);
    is_refused_by(&pfw, &world, "way/firewall.log");
    assert_eq!(claims(), 1);
    // The log has another inode then.
    fs::rename(world.path("firewall.log"), world.path("moved")).expect("moved");
    pfw.signal(libc::SIGUSR1);
    wait_for("the new log", || world.path("firewall.log").exists().then_some(()));
    wait_for("its claim", || (claims() == 1).then_some(()));
    is_refused_by(&pfw, &world, "firewall.log");
    pfw.kill();
    assert_eq!(claims(), 1, "who is killed leaves it");
    let pfw = enforce(&world, "{}", []);
    assert_eq!(claims(), 1, "and the next one has it");
    is_refused_by(&pfw, &world, "firewall.log");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    assert_eq!(claims(), 0);
}

fn the_lock_on_the_log_counts() {
    let world = World::new();
    sh(&format!("mkdir /run/pfw && chown {NOBODY} /run/pfw"));
    let pfw = world.watch("{}", []);
    let said = refusal(&world, "firewall.log");
    assert!(said.contains("is locked, as it is while another pfw writes to it"), "{said}");
    // Whose folder is as it should be can't tell whose the lock is, and says so.
    sh("mount -t tmpfs tmpfs /run");
    let third = world.watch("{}", []);
    let (code, said) = third.stop(libc::SIGTERM);
    assert!(
        code == 0 && said.contains("whether a pfw that does not use /run/pfw writes to it can't be told"),
        "{said}"
    );
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}
