//! A pseudo-terminal with a program in it: keys go in, and the screen is read as a terminal would show it.

use crate::common::{PATIENCE, wait_for};
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A program in a terminal.
pub struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<vt100::Parser>>,
    size: (u16, u16),
}

/// Both ends of a pseudo-terminal of so many columns and rows.
fn open((columns, rows): (u16, u16)) -> (OwnedFd, OwnedFd) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: both descriptors are written to places of ours, the size is read from one; name and settings may be null.
    let opened = unsafe {
        libc::openpty(&raw mut master, &raw mut slave, std::ptr::null_mut(), std::ptr::null(), &raw const size)
    };
    assert_eq!(opened, 0, "a pseudo-terminal can be had");
    // SAFETY: openpty has succeeded, and nobody else has these descriptors.
    unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) }
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).expect("a terminal has cells")
}

impl Terminal {
    /// Starts a program in a terminal of so many columns and rows. It may use colours, unless the command says otherwise.
    pub fn start(mut command: Command, size: (u16, u16)) -> Self {
        let (master, slave) = open(size);
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm-256color");
        if command.get_envs().all(|(name, _)| name != "NO_COLOR") {
            command.env_remove("NO_COLOR");
        }
        // SAFETY: between fork and exec only system calls are made.
        unsafe {
            command.pre_exec(|| {
                // A session of its own, whose terminal standard input is.
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("the program starts");
        drop(slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(size.1), cells(size.0), 0)));
        let keys = File::from(master);
        let output = keys.try_clone().expect("a descriptor");
        let shown = Arc::clone(&screen);
        thread::spawn(move || show(output, &shown));
        Self { child, keys, screen, size }
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// What the screen shows.
    pub fn text(&self) -> String {
        self.screen.lock().expect("the reader lives").screen().contents()
    }

    /// Whether anything on the screen has a colour of its own.
    pub fn has_colours(&self) -> bool {
        let (screen, (columns, rows)) = (self.screen.lock().expect("the reader lives"), self.size);
        let mut places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        places.any(|(row, column)| {
            let cell = screen.screen().cell(row, column);
            cell.is_some_and(|cell| (cell.fgcolor(), cell.bgcolor()) != (vt100::Color::Default, vt100::Color::Default))
        })
    }

    /// Whether a program has taken the screen for itself.
    pub fn is_taken(&self) -> bool {
        self.screen.lock().expect("the reader lives").screen().alternate_screen()
    }

    /// Whether what is typed is shown, and lines are gathered, as a shell leaves a terminal.
    pub fn is_as_it_was(&self) -> bool {
        // SAFETY: termios is a plain structure of numbers, filled in by the call.
        let mut settings: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, and the structure ours.
        assert_eq!(unsafe { libc::tcgetattr(self.keys.as_raw_fd(), &raw mut settings) }, 0, "it is a terminal");
        let cooked = settings.c_lflag & (libc::ICANON | libc::ECHO) == libc::ICANON | libc::ECHO;
        let screen = self.screen.lock().expect("the reader lives");
        let screen = screen.screen();
        cooked
            && !screen.alternate_screen()
            && !screen.hide_cursor()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
            && !screen.bracketed_paste()
    }

    /// Pastes: the terminal says that it is no typing, if the program wants to know.
    pub fn paste(&mut self, text: &str) {
        let is_told = self.screen.lock().expect("the reader lives").screen().bracketed_paste();
        self.press(&if is_told { format!("\x1b[200~{text}\x1b[201~") } else { text.to_owned() });
    }

    /// Waits until the screen shows some words, and returns all that it shows.
    pub fn wait_to_show(&self, words: &str) -> String {
        self.wait(words, |text| text.contains(words))
    }

    /// Waits until the screen is as it should be.
    pub fn wait(&self, name: &str, is_right: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let text = self.text();
            if is_right(&text) {
                return text;
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain for '{name}'; the screen shows:\n{text}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes the terminal another size.
    pub fn resize(&mut self, (columns, rows): (u16, u16)) {
        self.size = (columns, rows);
        self.screen.lock().expect("the reader lives").screen_mut().set_size(cells(rows), cells(columns));
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open, and the size is read.
        assert_eq!(unsafe { libc::ioctl(self.keys.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0, "resized");
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).expect("a pid is small");
        // SAFETY: kill has no memory effects; the child has not been waited for, so the pid is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "the signal can be sent");
    }

    /// Waits for the program's end, and returns how it ended and what the screen shows then.
    pub fn end(&mut self) -> (ExitStatus, String) {
        let status = wait_for("the program to end", || self.child.try_wait().expect("a child"));
        // What it wrote last is on its way.
        thread::sleep(Duration::from_millis(100));
        (status, self.text())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whatever became of the test: no process stays behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn show(mut output: File, screen: &Mutex<vt100::Parser>) {
    let mut bytes = [0; 8192];
    while let Ok(n @ 1..) = output.read(&mut bytes) {
        screen.lock().expect("nobody has failed").process(&bytes[..n]);
    }
}
