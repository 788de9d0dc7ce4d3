//! pfw, a personal firewall for Linux.
pub mod capture;
pub mod engine;
pub mod host;
pub mod netlink;
pub mod packet;
pub mod rules;
mod sys;
pub mod time;
