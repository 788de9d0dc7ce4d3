//! What a client may take of the server, and what happens beyond it.

use std::time::Duration;

/// Bytes of a request, its end not counted. The longest that makes sense has some hundred; a longer one is refused and
/// its client sent away.
pub const MAX_REQUEST: usize = 64 * 1024;

/// Clients at once. Each has a descriptor and some kilobytes; one more is refused with the words that it is to come
/// again.
pub const MAX_CLIENTS: usize = 32;

/// Clients of one user at once, so that nobody takes all the places.
pub const MAX_CLIENTS_OF_USER: usize = 8;

/// Places that only root and who runs pfw can have: they get in though four others have filled all the rest.
pub const RESERVED: usize = 8;

/// How long a client may take for a request, or between two; and how long it may leave an answer unread. A command
/// needs a millisecond for each.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that wait for a subscriber to read them. Events that find no room are counted, and it is told how many.
pub const MAX_PENDING: usize = 1024 * 1024;

/// Bytes of an answer, which a client reads at most: what a page of rules and a refused rules file stay far below.
pub const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// Rules in one answer. There may be hundreds of thousands: who wants more asks again.
pub const RULES_IN_PAGE: usize = 1_000;

/// Rules in an audit, those that dropped most: what is told of all fits an answer thrice.
pub const RULES_IN_AUDIT: usize = 10_000;

/// Connections in one answer. There may be hundreds of thousands: who wants more asks again.
pub const CONNECTIONS_IN_PAGE: usize = 1_000;

/// Incidents that are remembered, and told in one answer. Each takes some hundred bytes.
pub const INCIDENTS: usize = 256;

/// Lines in a list of errors or warnings that an answer carries; behind them stands how many more there are.
pub const MAX_LINES: usize = 100;

/// Targets of one change. All are done or none: each takes as long as to read the rules file twice, and twice more for each
/// temporary change that the file is changed under.
pub const MAX_TARGETS: usize = 100;

/// Characters of a message that quotes what a client sent.
pub const MAX_QUOTED: usize = 200;

/// Connections that wait to be accepted. The kernel makes further ones wait in `connect`.
pub const BACKLOG: i32 = 128;

/// Connections that are accepted before those that are there already get their turn again.
pub const ACCEPTED_AT_ONCE: usize = 64;

/// Bytes that are read from one client before the others get their turn.
pub const READ_AT_ONCE: usize = 16 * 1024;
