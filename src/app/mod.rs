//! The composition root: the only place that starts threads, and owns the order of start and stop.

mod enforcement;
mod kernel_rules;
pub mod live;
pub mod locality;
mod pipeline;
pub mod replay;
mod signals;
mod stage;
mod threads;
mod withheld;
