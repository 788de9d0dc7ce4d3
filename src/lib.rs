//! pfw, a personal firewall for Linux.
pub mod app;
pub mod capture;
pub mod cli;
pub mod engine;
pub mod firewall;
pub mod host;
pub mod netlink;
pub mod packet;
pub mod record;
pub mod rules;
mod sys;
pub mod time;
