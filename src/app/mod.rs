//! The composition root: the only place that starts threads, and owns the order of start and stop.

mod audit;
mod board;
mod calendar;
mod clerk;
mod conntrack;
pub mod control;
mod enforcement;
mod explanation;
mod forwarding;
mod generations;
mod hits;
mod inference;
mod kernel_rules;
pub mod live;
pub mod locality;
mod lockout;
mod office;
mod orders;
mod own;
mod passing;
mod pipeline;
mod rate;
mod remembered;
pub mod replay;
mod reports;
mod seeding;
pub mod signals;
mod stage;
pub mod threads;
mod tracking;
mod vigil;
mod withheld;

pub use audit::Audit;
pub use enforcement::dry_run;
pub use lockout::{Cuts, Verb};
