//! One run of a program: absolute path, empty environment, bounded in time, waited for.
//!
//! Input and output are anonymous files, so that nobody waits for a full pipe. A program that is killed halfway leaves
//! the kernel's tables whole, as their transactions are; one that is not waited for could commit later.

use super::error::{CommandError, End};
use super::os;
use super::words::Fingerprint;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take, and how much longer for each MiB that it is given to read: a million networks are 30 MiB,
/// which take three seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_PER_MIB: Duration = Duration::from_secs(2);
/// How much of what a program prints to standard output is read: a listing of some hundred thousand rules.
const MAX_OUTPUT: u64 = 256 << 20;
/// How much of its complaints.
const MAX_COMPLAINT: u64 = 8 << 10;
/// How often a program that found the kernel busy (exit status 4) is run again.
const RETRIES: u32 = 3;
/// "Resource problem" (`xtables.h`): the lock, or a concurrent change.
const BUSY: i32 = 4;

/// A command line and what it is given to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Invocation<'a> {
    pub(super) program: &'a Path,
    pub(super) args: &'a [&'a str],
    pub(super) input: &'a str,
}

impl Invocation<'_> {
    /// Runs it, again if the kernel was busy; what it printed.
    pub(super) fn run(&self) -> Result<String, CommandError> {
        let mut left = RETRIES;
        loop {
            let start = Instant::now();
            let result = self.run_once();
            tracing::debug!("{} {} took {:?}", self.program.display(), self.args.join(" "), start.elapsed());
            match result {
                Err(error) if error.end == End::Exit(BUSY) && left > 0 => left -= 1,
                result => return result,
            }
        }
    }

    fn run_once(&self) -> Result<String, CommandError> {
        // A program that can't be started is reported as a shell does it.
        let failed = |error: io::Error| self.error(End::Exit(127), error.to_string());
        let mut input = os::anonymous_file().map_err(failed)?;
        let mut output = os::anonymous_file().map_err(failed)?;
        let mut complaint = os::anonymous_file().map_err(failed)?;
        input.write_all(self.input.as_bytes()).and_then(|()| input.rewind()).map_err(failed)?;
        let mut child = Command::new(self.program)
            .args(self.args)
            .env_clear()
            .current_dir("/")
            .stdin(input)
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(complaint.try_clone().map_err(failed)?)
            // Ctrl-C is for pfw: it decides what is to become of a transaction.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let end = wait(&mut child, patience(self.input)).map_err(failed)?;
        let complaint = read_back(&mut complaint, MAX_COMPLAINT).map_err(failed)?;
        match end {
            End::Exit(0) => read_back(&mut output, MAX_OUTPUT).map_err(failed),
            end => Err(self.error(end, complaint)),
        }
    }

    fn error(&self, end: End, stderr: String) -> CommandError {
        let argv =
            std::iter::once(self.program.display().to_string()).chain(self.args.iter().map(|&arg| arg.to_owned()));
        let line = line_number(&stderr).and_then(|number| self.input.lines().nth(number.checked_sub(1)?));
        let with_rule = |line: &str| {
            let comment = Fingerprint::of(line).comment.into_owned();
            (line.to_owned(), (!comment.is_empty()).then_some(comment))
        };
        CommandError { argv: argv.collect(), end, line: line.map(with_rule), stderr }
    }
}

/// Starts a program that outlives the call, with the given standard descriptors and nothing else.
pub(super) fn start(program: &Path, args: &[&str], stdin: Stdio, stdout: Stdio) -> io::Result<Child> {
    Command::new(program)
        .args(args)
        .env_clear()
        .current_dir("/")
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::null())
        .spawn()
}

/// How long a program may take that reads this.
fn patience(input: &str) -> Duration {
    PATIENCE + PATIENCE_PER_MIB * u32::try_from(input.len() >> 20).unwrap_or(u32::MAX)
}

fn wait(child: &mut Child, patience: Duration) -> io::Result<End> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(end_of(status));
        }
        if start.elapsed() > patience {
            os::kill_group(child.id());
            child.wait()?;
            return Ok(End::TimedOut);
        }
        std::thread::sleep(pause);
        // An eighth of the time at most is slept away.
        pause = (start.elapsed() / 8).clamp(Duration::from_micros(200), Duration::from_millis(5));
    }
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.unwrap_or(0)),
    }
}

fn read_back(file: &mut File, limit: u64) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The line that iptables-restore (`line 12 failed`, `Error occurred at line: 12`) or ipset (`Error in line 12`)
/// complains of.
fn line_number(complaint: &str) -> Option<usize> {
    complaint.match_indices("line").find_map(|(at, word)| {
        let behind = complaint.get(at + word.len()..)?.trim_start_matches([':', ' ']);
        let digits = behind.find(|c: char| !c.is_ascii_digit()).map_or(behind, |end| &behind[..end]);
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: &str) -> Result<String, CommandError> {
        Invocation { program: Path::new("/bin/sh"), args: &["-c", script], input }.run()
    }

    #[test]
    fn a_program_reads_its_input_and_nothing_of_our_environment() {
        assert_eq!(sh("cat", "hello\n").expect("cat works"), "hello\n");
        assert_eq!(sh("echo ${HOME-none}", "").expect("echo works"), "none\n");
    }

    #[test]
    fn a_failure_tells_the_command_its_end_its_words_and_the_rule() {
        let input = "*filter\n-A PFW-IN -m comment --comment web -j NONSENSE\n";
        let error = sh("echo 'iptables-restore: line 2 failed' >&2; exit 2", input).expect_err("it fails");
        assert_eq!(error.end, End::Exit(2));
        assert_eq!(
            error.line,
            Some(("-A PFW-IN -m comment --comment web -j NONSENSE".to_owned(), Some("web".to_owned())))
        );
        let text = error.to_string();
        assert!(
            text.starts_with("'/bin/sh -c ")
                && text.contains("exit status 2: iptables-restore: line 2 failed; its input there, for rule web:"),
            "{text}"
        );
        assert_eq!(sh("kill -9 $$", "").expect_err("killed").end, End::Signal(9));
        let missing = Invocation { program: Path::new("/nowhere/iptables"), args: &[], input: "" }
            .run()
            .expect_err("no such program");
        assert_eq!(missing.end, End::Exit(127));
    }

    #[test]
    fn a_busy_kernel_is_asked_again_but_not_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let count = folder.path().join("count");
        let script = |until: u32| format!("echo x >>{0}; [ $(wc -l <{0}) -ge {until} ] || exit 4", count.display());
        assert_eq!(sh(&script(4), ""), Ok(String::new()));
        std::fs::remove_file(&count).expect("there");
        assert_eq!(sh(&script(5), "").expect_err("still busy").end, End::Exit(4));
        assert_eq!(std::fs::read_to_string(&count).expect("there").lines().count(), 4);
    }

    #[test]
    fn much_to_read_is_given_time() {
        assert_eq!(patience("*filter\nCOMMIT\n"), PATIENCE);
        assert_eq!(patience(&" ".repeat(30 << 20)), Duration::from_secs(70));
    }

    #[test]
    fn line_numbers_are_found_in_the_words_of_each_tool() {
        assert_eq!(line_number("iptables-restore v1.8.9 (nf_tables): \nline 12: RULE_APPEND failed"), Some(12));
        assert_eq!(line_number("Error occurred at line: 3\nTry `iptables-restore -h'"), Some(3));
        assert_eq!(line_number("ipset v7.17: Error in line 7: The set exists"), Some(7));
        assert_eq!(line_number("deadline passed"), None);
    }
}
