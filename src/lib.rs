//! pfw, a personal firewall for Linux.
pub mod capture;
pub mod engine;
pub mod host;
pub mod packet;
pub mod record;
pub mod rules;
pub mod time;
