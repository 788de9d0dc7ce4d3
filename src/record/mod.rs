//! What happened -> lines of text or JSON, and `firewall.log`.
//!
//! - [`mod@line`] gives every event its form; it knows no file.
//! - [`sink`] gets lines into the log file; it knows no event but the losses that it has to own up to.
//! - [`mod@printer`] shows the same lines on standard output.
//! - [`mod@tap`] hands events to whoever subscribed to them.
//! - [`diagnostics`] carries pfw's own messages to standard error; they never enter the log.
//! - [`difference`] names why the kernel did otherwise than was predicted.
//! - [`summary`] is what is said of a whole run.
//!
//! What goes in comes from the rooms below (`packet`, `rules`, `engine`); nothing here decides, and nothing here
//! starts a thread: `app` runs [`sink::Writer`] and [`printer::Printer`] on threads of its own.

mod bytes;
pub mod diagnostics;
pub mod difference;
pub mod escape;
pub mod line;
mod pen;
pub mod printer;
pub mod sink;
mod stamp;
pub mod summary;
pub mod tap;
pub mod terminal;

pub use difference::{Cause, Differences};
pub use escape::EscapedName;
pub use line::{
    AlertLine, Anomaly, AnomalyLine, Format, Formatter, Lost, LostCause, PacketLine, PfwEvent, PfwLine, RuleText,
    Selection, Sighting, Verdict,
};
pub use printer::printer;
pub use sink::{Config, FileConfig, Log, Target, WhenFull, Writer, open, parse_size};
pub use summary::Summary;
pub use terminal::stdout_wants_colours;
