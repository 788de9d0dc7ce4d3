//! What can be wrong with the bytes of a packet, by name and with the numbers.

/// What is wrong with a packet (to be made whole).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;
