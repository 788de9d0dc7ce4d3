//! Real files, changed in the ways in which editors and people change them.

use super::*;
use crate::sys;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::thread::sleep;

struct World {
    _folder: tempfile::TempDir,
    top: PathBuf,
    watch: Watch,
    /// How often the loop woke up.
    wakes: usize,
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

impl World {
    /// A folder with `conf/rules.json`, which is watched by the path `name`.
    fn new(name: &str, prepare: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir(top.join("conf")).unwrap();
        fs::write(top.join("conf/rules.json"), "{}").unwrap();
        prepare(&top);
        let watch = Watch::open([top.join(name)], Instant::now()).unwrap();
        Self { _folder: folder, top, watch, wakes: 0 }
    }

    fn file(&self) -> PathBuf {
        self.top.join("conf/rules.json")
    }

    /// What is told within `time`, by a loop like that of the program, and when.
    fn told(&mut self, time: Duration) -> Vec<(Changed, Duration)> {
        let began = Instant::now();
        let mut told = Vec::new();
        while began.elapsed() < time {
            let left = time.saturating_sub(began.elapsed());
            let wait = self.watch.due(Instant::now()).unwrap_or(left).min(left);
            sys::wait(&mut [sys::readable(self.watch.as_fd())], wait).unwrap();
            self.wakes += 1;
            let changed = self.watch.changed(Instant::now()).unwrap();
            told.extend(changed.into_iter().map(|changed| (changed, began.elapsed())));
        }
        told
    }

    /// The one change that is told within a second and a half.
    fn one(&mut self) -> (Changed, Duration) {
        let mut told = self.told(ms(1_500));
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)
    }

    fn assert_noticed(&mut self, readable: bool) {
        let (changed, after) = self.one();
        assert_eq!(changed.readable, readable);
        assert!(after < ms(1_000), "after {after:?}");
    }
}

fn plain() -> World {
    World::new("conf/rules.json", |_| ())
}

#[test]
fn a_file_that_is_written_in_place_is_noticed_within_a_second() {
    let mut world = plain();
    fs::write(world.file(), "{ }").unwrap();
    world.assert_noticed(true);
    OpenOptions::new().append(true).open(world.file()).unwrap().write_all(b"\n").unwrap();
    world.assert_noticed(true);
    OpenOptions::new().write(true).open(world.file()).unwrap().set_len(0).unwrap();
    world.assert_noticed(true);
}

#[test]
fn a_file_that_is_replaced_is_noticed_each_time() {
    let mut world = plain();
    for round in 0..3 {
        let new = world.top.join("conf/rules.json.tmp");
        fs::write(&new, " ".repeat(round) + "{ }").unwrap();
        fs::rename(&new, world.file()).unwrap();
        world.assert_noticed(true);
    }
    // As vim does it: the old one away, a new one written.
    fs::rename(world.file(), world.top.join("conf/rules.json~")).unwrap();
    fs::write(world.file(), "{ \"rules\": [] }").unwrap();
    world.assert_noticed(true);
    // And the new one is watched itself.
    fs::write(world.file(), "{}").unwrap();
    world.assert_noticed(true);
}

#[test]
fn a_slow_writer_is_waited_for() {
    let mut world = plain();
    let path = world.file();
    let writer = std::thread::spawn(move || {
        let mut file = fs::File::create(path).unwrap();
        for part in ["{ \"block_ips\"", ": [", "\"10.0.0.1\"", "] }"] {
            file.write_all(part.as_bytes()).unwrap();
            sleep(ms(300));
        }
    });
    let told = world.told(ms(2_500));
    writer.join().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1 > ms(1_200), "told before it was closed: {told:?}");
}

#[test]
fn a_file_that_is_saved_over_and_over_is_not_waited_for_longer_than_a_second() {
    let mut world = plain();
    let path = world.file();
    let writer = std::thread::spawn(move || {
        for round in 0..20 {
            fs::write(&path, " ".repeat(round) + "{ }").unwrap();
            sleep(ms(100));
        }
    });
    let told = world.told(ms(2_800));
    writer.join().unwrap();
    assert!((2..=4).contains(&told.len()) && told[0].1 < ms(1_000), "{told:?}");
}

#[test]
fn what_leaves_the_content_as_it_was_is_no_change() {
    let mut world = plain();
    fs::write(world.file(), "{}").unwrap();
    fs::File::open(world.file()).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    fs::write(world.top.join("conf/new"), "{}").unwrap();
    fs::rename(world.top.join("conf/new"), world.file()).unwrap();
    assert_eq!(world.told(ms(800)), []);
    // A change that was announced is none either, and another one after it is.
    world.watch.expect(&world.file(), b"{ }");
    fs::write(world.file(), "{ }").unwrap();
    assert_eq!(world.told(ms(800)), []);
    fs::write(world.file(), "{}").unwrap();
    world.assert_noticed(true);
}

#[test]
fn a_file_that_goes_and_comes_back_is_told_of_twice() {
    let mut world = plain();
    fs::remove_file(world.file()).unwrap();
    world.assert_noticed(false);
    assert_eq!(world.told(ms(1_200)), []);
    fs::write(world.file(), "{}").unwrap();
    world.assert_noticed(true);
    fs::write(world.file(), "{ }").unwrap();
    world.assert_noticed(true);
}

#[test]
fn a_folder_that_is_moved_takes_its_file_along() {
    let mut world = plain();
    fs::rename(world.top.join("conf"), world.top.join("away")).unwrap();
    world.assert_noticed(false);
    fs::write(world.top.join("away/rules.json"), "{ }").unwrap();
    assert_eq!(world.told(ms(700)), []);
    fs::create_dir(world.top.join("conf")).unwrap();
    fs::write(world.file(), "{ \"rules\": [] }").unwrap();
    world.assert_noticed(true);
    // One that is swapped in at once.
    fs::rename(world.top.join("conf"), world.top.join("older")).unwrap();
    fs::rename(world.top.join("away"), world.top.join("conf")).unwrap();
    world.assert_noticed(true);
}

#[test]
fn links_are_followed_wherever_they_turn() {
    let mut world = World::new("link/rules.json", |top| {
        fs::create_dir(top.join("other")).unwrap();
        fs::write(top.join("other/rules.json"), "{ \"rules\": [] }").unwrap();
        symlink("conf", top.join("link")).unwrap();
    });
    fs::write(world.file(), "{ }").unwrap();
    world.assert_noticed(true);
    // As with the volumes of containers: the link of the folder is replaced.
    symlink("other", world.top.join("link.new")).unwrap();
    fs::rename(world.top.join("link.new"), world.top.join("link")).unwrap();
    world.assert_noticed(true);
    fs::write(world.top.join("other/rules.json"), "{}").unwrap();
    world.assert_noticed(true);
    fs::write(world.file(), "{ \"block_ips\": [] }").unwrap();
    assert_eq!(world.told(ms(500)), []);
}

#[test]
fn other_files_of_the_folder_wake_nobody() {
    let mut world = plain();
    let log = world.top.join("conf/firewall.log");
    fs::write(&log, "").unwrap();
    assert_eq!(world.told(ms(300)), []);
    world.wakes = 0;
    let writer = std::thread::spawn(move || {
        let mut log = OpenOptions::new().append(true).open(log).unwrap();
        for _ in 0..200 {
            log.write_all(b"line\n").unwrap();
            sleep(ms(2));
        }
    });
    assert_eq!(world.told(ms(600)), []);
    writer.join().unwrap();
    assert!(world.wakes <= 3, "woke {} times", world.wakes);
}

#[test]
fn a_file_that_is_missing_is_looked_for_without_haste() {
    let mut world = World::new("none/rules.json", |_| ());
    assert_eq!(world.told(ms(1_300)), []);
    assert!(world.wakes <= 5, "woke {} times", world.wakes);
    fs::create_dir(world.top.join("none")).unwrap();
    fs::write(world.top.join("none/rules.json"), "{}").unwrap();
    world.assert_noticed(true);
}

#[test]
fn the_files_that_are_followed_can_change() {
    let mut world = plain();
    let list = world.top.join("drop.txt");
    fs::write(&list, "10.0.0.1\n").unwrap();
    let now = Instant::now();
    world.watch.follow([world.file(), list.clone(), list.clone()], now);
    assert_eq!(world.told(ms(300)), []);
    fs::write(&list, "10.0.0.2\n").unwrap();
    assert_eq!(world.one().0, Changed { path: list.clone(), readable: true });
    // What has changed already when others are followed is told all the same.
    fs::write(world.file(), "{ }").unwrap();
    world.watch.follow([world.file()], Instant::now());
    assert_eq!(world.one().0.path, world.file());
    fs::write(&list, "10.0.0.3\n").unwrap();
    assert_eq!(world.told(ms(500)), []);
}
