//! The composition root: the only place that starts threads, and owns the order of start and stop.

mod calendar;
mod enforcement;
mod forwarding;
mod inference;
mod kernel_rules;
pub mod live;
pub mod locality;
mod lockout;
mod office;
mod passing;
mod pipeline;
mod remembered;
pub mod replay;
mod reports;
mod signals;
mod stage;
pub mod threads;
mod vigil;
mod withheld;

pub use enforcement::dry_run;
pub use lockout::cut_sessions;
