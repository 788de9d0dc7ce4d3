//! What is remembered of a connection in single bits.

/// The end of the connection that the key names first sent the first packet.
pub(super) const FIRST_END_OPENED: u8 = 1;
/// A packet in the reply direction was seen.
pub(super) const REPLIED: u8 = 1 << 1;
/// Traffic went both ways for long enough: not to be given up when the table is full.
pub(super) const ASSURED: u8 = 1 << 2;
/// TCP: the first FIN was seen in this connection.
pub(super) const CLOSED: u8 = 1 << 3;
/// TCP: both ends sent a SYN.
pub(super) const SIMULTANEOUS: u8 = 1 << 4;
/// TCP: a SYN came that the other end may answer with an ACK that belongs to no FIN.
pub(super) const CHALLENGED: u8 = 1 << 5;
/// TCP: the last segment that counted went in the reply direction.
pub(super) const LAST_IN_REPLY: u8 = 1 << 6;
/// TCP: the last segment was rejected, so that a reset from its receiver is the rules' own.
pub(super) const REJECTED: u8 = 1 << 7;
