//! The control socket: how other programs ask a running pfw, and tell it what to do.
//!
//! - [`protocol`] is what is said: one JSON object a line, in both directions, with a version.
//! - [`report`] is what is told about a running pfw.
//! - [`change`] is what may be changed.
//! - [`place`] is where the socket is, and [`socket`] puts it there so that nobody else can.
//! - [`access`] is who may ask: by the kernel's word, not by the caller's.
//! - [`server`] serves many clients on one thread, each within bounds ([`limits`]), so that none can hurt another.
//! - [`client`] is the other end, for the commands.
//!
//! What an answer says is not known here: the [`server::Backend`] says it, at once or later, through a
//! [`reply::Reply`]. Nothing here starts a thread.

pub mod access;
pub mod change;
pub mod client;
pub mod limits;
mod lines;
mod os;
pub mod place;
pub mod protocol;
pub mod reply;
pub mod report;
pub mod server;
mod session;
pub mod socket;

pub use crate::record::tap::Kind;
pub use crate::sys::effective_user;
pub use access::Access;
pub use change::{Activity, Change, Forcible, Op, Resumed};
pub use client::Client;
pub use os::group_id;
pub use protocol::{Answer, Done, Outcome, Refusal, RefusalKind, Request};
pub use reply::Reply;
pub use server::{Backend, Server};
