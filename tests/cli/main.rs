//! The built binary without privilege: messages, exit codes, lines and summaries.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unsafe_code,
    reason = "a test says so by failing"
)]

mod capture;
mod check_rules;
#[path = "../common/mod.rs"]
mod common;
mod flood;
mod house;
mod replay;
mod usage;
