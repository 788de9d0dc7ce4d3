//! The composition root: the only place that starts threads, and owns the order of start and stop.

pub mod live;
pub mod locality;
mod pipeline;
pub mod replay;
mod signals;
mod stage;
mod threads;
