//! Real files: what is kept, what is refused, and what is left when a writer fails or dies at any step.

use super::*;
use crate::rules::edit::{Details, Edit, Outcome, Value};
use crate::rules::load;
use crate::time::Timestamp;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

const STEPS: [Step; 9] = [
    Step::Create,
    Step::Write,
    Step::KeepOwner,
    Step::Sync,
    Step::LinkBackup,
    Step::RenameBackup,
    Step::Compare,
    Step::Rename,
    Step::SyncFolder,
];

const OLD: &str = "{ \"block_ips\": [] }\n";
const NEW: &str = "{ \"block_ips\": [\"10.0.0.1\"] }\n";

fn world() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.json");
    fs::write(&path, OLD).unwrap();
    (folder, path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn the_old_text_is_the_backup_and_nothing_else_is_left() {
    let (folder, path) = world();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    save(&path, OLD.as_bytes(), NEW).unwrap();
    save(&path, NEW.as_bytes(), "{}").unwrap();
    assert_eq!((&*read(&path), read(&folder.path().join("rules.json.bak"))), ("{}", NEW.to_owned()));
    assert_eq!(names(folder.path()), ["rules.json", "rules.json.bak"]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
}

#[test]
fn the_owner_stays() {
    let (_folder, path) = world();
    let me = fs::metadata(&path).unwrap().uid();
    if me == 0 {
        std::os::unix::fs::chown(&path, Some(12_345), Some(12_346)).unwrap();
    }
    let before = fs::metadata(&path).unwrap();
    save(&path, OLD.as_bytes(), NEW).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.uid(), after.gid(), after.mode()), (before.uid(), before.gid(), before.mode()));
    assert_ne!(after.ino(), before.ino());
}

#[test]
fn a_link_stays_and_what_it_leads_to_is_written() {
    let (folder, path) = world();
    fs::create_dir(folder.path().join("etc")).unwrap();
    let link = folder.path().join("etc/rules.json");
    symlink("../rules.json", &link).unwrap();
    save(&link, OLD.as_bytes(), NEW).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&path), NEW);
    assert_eq!(names(&folder.path().join("etc")), ["rules.json"]);
    assert_eq!(names(folder.path()), ["etc", "rules.json", "rules.json.bak"]);
}

#[test]
fn what_somebody_else_has_changed_is_not_written_over() {
    let (folder, path) = world();
    assert!(matches!(save(&path, b"{}", NEW), Err(Error::Changed(_))));
    // After it was read, and in the last moment.
    let mut locked = Locked::open(&path).unwrap();
    fs::write(&path, "{ }").unwrap();
    assert!(matches!(locked.save(NEW), Err(Error::Changed(_))));
    fs::write(&path, OLD).unwrap();
    let written =
        locked.save_stepwise(NEW, &mut |step| if step == Step::Compare { fs::write(&path, "{ }") } else { Ok(()) });
    assert!(written.unwrap_err().to_string().contains("was changed by somebody else meanwhile and is left as it is"));
    assert_eq!(read(&path), "{ }");
    drop(locked);
    assert_eq!(names(folder.path()), ["rules.json", "rules.json.bak"]);
}

#[test]
fn a_torn_text_is_never_written() {
    let (folder, path) = world();
    for text in ["", " \n", "{ \"block_ips\": [", "[]", "{}}", "null"] {
        assert!(matches!(save(&path, OLD.as_bytes(), text), Err(Error::NotRules(_))), "{text}");
    }
    assert_eq!((read(&path), names(folder.path())), (OLD.to_owned(), vec!["rules.json".to_owned()]));
}

#[test]
fn a_step_that_fails_leaves_the_old_file_and_no_litter() {
    for failing in STEPS {
        let (folder, path) = world();
        let mut locked = Locked::open(&path).unwrap();
        let error = io::Error::from(io::ErrorKind::StorageFull);
        let mut error = Some(error);
        let result = locked.save_stepwise(NEW, &mut |step| match error.take_if(|_| step == failing) {
            Some(error) => Err(error),
            None => Ok(()),
        });
        drop(locked);
        let told = result.unwrap_err().to_string();
        assert!(told.contains("free some space"), "{told}");
        let expected = if failing == Step::SyncFolder { NEW } else { OLD };
        assert_eq!(read(&path), expected, "{failing:?}");
        let left: Vec<_> = names(folder.path()).into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(left, [""; 0], "{failing:?}");
        save(&path, expected.as_bytes(), "{}").unwrap();
    }
}

/// The environment of a test that runs once more, as the process that its first run starts: the file, and what it is to
/// do.
const CHILD: [&str; 2] = ["STORE_PATH", "STORE_ARGUMENT"];

/// Starts a test once more, in a process of its own.
fn child(test: &str, path: &Path, argument: &str) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env(CHILD[0], path).env(CHILD[1], argument);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The file and what is to be done, if this is the process that a test has started.
fn in_child() -> Option<(PathBuf, String)> {
    Some((std::env::var_os(CHILD[0])?.into(), std::env::var(CHILD[1]).unwrap()))
}

fn die_at_step(path: &Path, dying: &str) {
    let mut locked = Locked::open(path).unwrap();
    let result = locked.save_stepwise(NEW, &mut |step| {
        if format!("{step:?}") == dying {
            // No destructor, no clean-up: as by SIGKILL.
            std::process::abort();
        }
        Ok(())
    });
    panic!("alive: {result:?}");
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_file_or_the_new_one() {
    if let Some((path, dying)) = in_child() {
        return die_at_step(&path, &dying);
    }
    for dying in STEPS {
        let (folder, path) = world();
        let test = "rules::store::tests::a_writer_that_is_killed_leaves_the_old_file_or_the_new_one";
        let status = child(test, &path, &format!("{dying:?}")).wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGABRT), "{dying:?}");
        let expected = if dying == Step::SyncFolder { NEW } else { OLD };
        assert_eq!(read(&path), expected, "{dying:?}");
        // Nobody is kept from the next change, and what was left is taken away by it.
        save(&path, expected.as_bytes(), "{}").unwrap();
        assert_eq!(read(&folder.path().join("rules.json.bak")), expected);
        assert_eq!(names(folder.path()), ["rules.json", "rules.json.bak"], "{dying:?}");
    }
}

fn block_200_addresses(path: &Path, net: &str) {
    for host in 0..200 {
        let value = Value::parse(&format!("10.0.{net}.{host}")).unwrap();
        loop {
            let loaded = load(path).unwrap();
            let edit = Edit::block(value.clone(), Details::default());
            let Outcome::Changed(change) = edit.apply(&loaded, Timestamp::default()).unwrap().outcome else { panic!() };
            // One of the two ways for each: under the lock from the beginning, or with another try.
            match save(path, loaded.text.as_bytes(), &change.text) {
                Ok(()) => break,
                Err(Error::Changed(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn two_writers_never_lose_each_others_change() {
    if let Some((path, net)) = in_child() {
        return block_200_addresses(&path, &net);
    }
    let (_folder, path) = world();
    let test = "rules::store::tests::two_writers_never_lose_each_others_change";
    let mut writers = ["1", "2"].map(|net| child(test, &path, net));
    for writer in &mut writers {
        assert!(writer.wait().unwrap().success());
    }
    let ruleset = load(&path).unwrap().ruleset;
    let mut values: Vec<_> = ruleset.block_ips.iter().map(|entry| entry.value.first()).collect();
    values.sort();
    values.dedup();
    assert_eq!((ruleset.block_ips.len(), values.len()), (400, 400));
}

#[test]
fn a_lock_is_waited_for_and_goes_with_its_holder() {
    let (folder, path) = world();
    let held = Locked::open(&path).unwrap();
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || save(&path, OLD.as_bytes(), NEW).map(|()| Instant::now())
    });
    std::thread::sleep(Duration::from_millis(100));
    let released = Instant::now();
    drop(held);
    assert!(waiting.join().unwrap().unwrap() >= released);
    // A lock file that a killed writer left locks nobody out.
    fs::write(folder.path().join(".rules.json.lock"), "").unwrap();
    save(&path, NEW.as_bytes(), OLD).unwrap();
    assert_eq!(names(folder.path()), ["rules.json", "rules.json.bak"]);
}

#[test]
fn a_link_in_the_place_of_the_new_file_or_the_lock_is_not_followed() {
    let (folder, path) = world();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink("victim", folder.path().join(".rules.json.new")).unwrap();
    symlink("victim", folder.path().join("rules.json.bak")).unwrap();
    save(&path, OLD.as_bytes(), NEW).unwrap();
    assert_eq!((read(&victim), read(&path)), ("precious".to_owned(), NEW.to_owned()));
    symlink("victim", folder.path().join(".rules.json.lock")).unwrap();
    assert!(save(&path, NEW.as_bytes(), OLD).unwrap_err().to_string().starts_with("cannot lock"));
    assert_eq!((read(&victim), read(&path)), ("precious".to_owned(), NEW.to_owned()));
}

#[test]
fn what_is_missing_or_not_a_file_is_told() {
    let (folder, path) = world();
    let told = save(&folder.path().join("none.json"), b"", NEW).unwrap_err().to_string();
    assert!(told.starts_with("cannot find") && told.contains("none.json"), "{told}");
    assert!(save(folder.path(), b"", NEW).unwrap_err().to_string().contains("this is a folder"));
    drop(path);
}
