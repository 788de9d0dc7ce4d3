//! Small helpers that the black-box tests share: the built binary, a scratch folder, waiting with a bound.

#![allow(dead_code, reason = "each test binary takes what it needs")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// No step of a test may take longer: far above what any of them needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The built binary with `args`, its time zone fixed so that lines can be compared.
pub fn pfw<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pfw"));
    command.args(args).env("TZ", "UTC").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// What a finished command printed, with its exit code.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `pfw` to its end in `folder`.
pub fn run_in<'a>(folder: &Path, args: impl IntoIterator<Item = &'a str>) -> Ran {
    pfw(args).current_dir(folder).output().expect("the built binary runs").into()
}

/// Writes a file of the scratch folder and returns its path.
pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("the scratch folder is writable");
    path
}

/// Waits until `what` yields something, and fails the test with `name` if it does not in time.
pub fn wait_for<T>(name: &str, what: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, name, what)
}

fn wait_within<T>(patience: Duration, name: &str, mut what: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(start.elapsed() < patience, "waited in vain for {name}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A `pfw` that runs in the background until it is stopped.
pub struct Running {
    child: Child,
    stderr: mpsc::Receiver<String>,
    /// How long it may take to say something, or to end.
    patience: Duration,
    /// All lines of standard error so far.
    pub said: Vec<String>,
}

impl Running {
    /// Starts `command` and waits for its ready line.
    pub fn start(command: Command) -> Self {
        Self::start_with(command, |_| {})
    }

    /// The same, but does something to the process before it is ready.
    pub fn start_with(command: Command, early: impl FnOnce(u32)) -> Self {
        let mut running = Self::begin(command);
        early(running.pid());
        running.wait_to_say("pfw: ready");
        running
    }

    /// Starts `command`, and does not wait for anything.
    pub fn begin(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the built binary starts");
        let stderr = lines_of(child.stderr.take().expect("standard error is a pipe"));
        Self { child, stderr, patience: PATIENCE, said: Vec::new() }
    }

    /// The same, where it may take its time.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Whether it gets ready; else it has ended.
    pub fn gets_ready(&mut self) -> bool {
        for line in &self.stderr {
            self.said.push(line);
            if self.said.last().is_some_and(|line| line.starts_with("pfw: ready")) {
                return true;
            }
        }
        false
    }

    /// Waits for its end; its exit code (-1 if a signal ended it) and all it said on standard error.
    pub fn end(mut self) -> (i32, String) {
        let status =
            wait_within(self.patience, "pfw to end", || self.child.try_wait().expect("the child can be waited for"));
        self.said.extend(self.stderr.iter());
        (status.code().unwrap_or(-1), self.all_said())
    }

    /// Waits for a line of standard error that contains `words`, and returns it.
    pub fn wait_to_say(&mut self, words: &str) -> String {
        let end = Instant::now() + self.patience;
        loop {
            match self.stderr.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(error) => panic!("pfw did not say '{words}' ({error}); it said:\n{}", self.all_said()),
            }
        }
    }

    /// All that it has said so far and that was looked at.
    pub fn all_said(&self) -> String {
        self.said.join("\n")
    }

    /// Whether it has said a line that contains `words` since it was last asked for any.
    pub fn has_said(&mut self, words: &str) -> bool {
        let mut has = false;
        while let Ok(line) = self.stderr.try_recv() {
            has |= line.contains(words);
            self.said.push(line);
            if has {
                break;
            }
        }
        has
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, by number.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).expect("a pid is small");
        // SAFETY: kill has no memory effects; the child has not been waited for, so the pid is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "the signal can be sent");
    }

    /// Kills it, which it can't prevent, and returns when it is gone.
    pub fn kill(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("it is gone");
    }

    /// Ends it with `signal` and returns its exit code and all it said on standard error.
    pub fn stop(self, signal: i32) -> (i32, String) {
        self.signal(signal);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever became of the test: no process stays behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
