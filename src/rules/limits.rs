//! How much a rules file may hold. Each limit ends in an error with its place, like any other mistake.

/// Bytes of a rules file. A million entries with comments need less; offsets fit 32 bits with room to spare.
pub const MAX_FILE_BYTES: usize = 64 << 20;

/// Entries of all lists, sets and conditions together, a set counted again wherever it is used: every one of them
/// costs memory for as long as the rules are in force. More addresses than this belong into a block list.
pub const MAX_ENTRIES: usize = 1_000_000;

/// Ordered rules: the kernel walks them one by one, and at this number a packet costs it 80 microseconds.
pub const MAX_RULES: usize = 10_000;

/// Entries of one set: what an ipset holds unless it is told otherwise (`maxelem`).
pub const MAX_SET_ENTRIES: usize = 65_536;

/// Lists and objects within each other. The format itself needs 5.
pub const MAX_DEPTH: usize = 32;

/// Characters of a comment, which is repeated in tables and in messages.
pub const MAX_COMMENT_CHARS: usize = 256;

/// Bytes of an id: what fits the 64-byte prefix of an NFLOG record.
pub const MAX_ID_BYTES: usize = 64;

/// Bytes of a set's name.
pub const MAX_SET_NAME_BYTES: usize = 64;

/// Bytes of the name of an interface (`IFNAMSIZ` without its final zero, `linux/if.h`).
pub const MAX_INTERFACE_BYTES: usize = 15;

/// Bytes of a block list's file: ten million lines of the longest IPv6 network.
pub const MAX_LIST_BYTES: usize = 512 << 20;

/// Networks of all block lists together; each takes 33 bytes.
pub const MAX_LIST_NETWORKS: usize = 10_000_000;

/// Errors that are told of one rules file; the rest is counted.
pub const MAX_ERRORS: usize = 1_000;

/// Errors that are told of one block list; the rest is counted.
pub const MAX_LIST_ERRORS: usize = 20;
