//! The terminal: taken over, and given back on every way out, a panic's included.

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use std::io::{self, Stdout, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is taken over. One process has one.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal. Dropped, it is as it was before.
pub struct Screen {
    /// What is drawn on.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    ///
    /// If there is none that can be.
    pub fn take() -> io::Result<Self> {
        give_back_before_a_panic_speaks();
        take_over().map(|terminal| Self { terminal })
    }

    /// Gives the terminal back while something else has it.
    pub fn lend() {
        give_back();
    }

    /// Takes the terminal over again, whatever became of it meanwhile; the next frame is drawn anew.
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn take_again(&mut self) -> io::Result<()> {
        give_back();
        self.terminal = take_over()?;
        Ok(())
    }

    /// Whether it is still ours: a panic elsewhere gives it back.
    pub fn is_taken() -> bool {
        TAKEN.load(Ordering::Acquire)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over() -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    TAKEN.store(true, Ordering::Release);
    enable_raw_mode()
        // What is pasted comes as such, and not as keys.
        .and_then(|()| execute!(stdout(), EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste))
        .and_then(|()| Terminal::new(CrosstermBackend::new(stdout())))
        .inspect_err(|_| give_back())
}

/// Gives the terminal back, once.
fn give_back() {
    if TAKEN.swap(false, Ordering::AcqRel) {
        // If it is gone, there is nothing to be restored.
        let _ = execute!(stdout(), DisableBracketedPaste, DisableMouseCapture, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

fn give_back_before_a_panic_speaks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let speak = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            speak(info);
        }));
    });
}
