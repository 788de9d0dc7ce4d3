//! The built binary without privilege: messages, exit codes, lines and summaries.

#[path = "../common/mod.rs"]
mod common;
mod capture;
mod house;
mod replay;
mod usage;
