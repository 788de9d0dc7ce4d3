//! pfw, a personal firewall for Linux: it watches every packet, says for each whether the rules let it through or
//! block it, by which rule and why, and writes that down.
//!
//! *Capture observes, the rules decide, the record proves; one evaluator serves them all.*
//!
//! # The rooms
//!
//! Each room is a module whose own doc says what it is responsible for and where its border runs. Imports go one way,
//! upwards in this table; a test (`tests/cli/house.rs`) holds the sentences of this page against the code.
//!
//! | room | what goes in and out | sees |
//! |---|---|---|
//! | [`cli`] | what a user types -> what is to be done; what happened -> messages and exit codes | all below |
//! | [`tui`] | what a running pfw tells on its control socket -> a picture of it on a terminal; keys -> requests; no thread, file or privilege of its own | `control`'s client, `sys` |
//! | [`app`] | composition: sources, pipeline, record; the only room that starts threads | all below |
//! | [`control`] | requests of other programs -> answers and events; bounded, and only for who may steer pfw | `record` |
//! | [`record`] | events -> lines of text or JSON -> `firewall.log`; the only room that opens the log | `engine`, `rules`, `packet`, `runtime` |
//! | [`detect`] | packets and decisions -> what is suspicious, by name; pure | `engine`, `packet`, `host`, `alert` |
//! | [`engine`] | rule set + packet -> decision with step, rule and reason; connections and fragments; pure | `rules`, `packet`, `host` |
//! | [`rules`] | `rules.json` -> rule set, or all that is wrong with it, by place; lints; edits of its text; pure but for reading files, watching them ([`rules::watch`]), and the one place that writes them ([`rules::store`]) | `packet`, `host`, `sys` |
//! | [`firewall`] | rule set -> the kernel's rules, in force until they are taken out; the only room that starts programs | `rules`, `packet`, `host`, `netlink` |
//! | [`packet`] | bytes -> plain values, or what is malformed about them; the only room that knows wire formats | |
//! | [`capture`] | live interfaces or a capture file -> frames, read already where several threads capture | `packet`, `batches`, `sys` |
//! | [`nflog`] | the kernel's own verdicts, as it reports them -> events, and the number of those that were lost | `packet` |
//! | [`conntrack`] | the kernel's table of connections -> which flows it translates; open connections -> entries of it | `packet`, `host` |
//! | [`host`] | what this machine is: its addresses, gateways, resolvers, open connections, sessions | |
//! | [`runtime`] | where a running pfw keeps its lock, its socket and its claims to log files | |
//! | [`netlink`], `sys` | the kernel's sockets and inotify, made safe | |
//! | `batches` | what one thread hands to another, in batches of which there are so many | |
//! | [`text`] | numbers, durations, sizes and foreign words -> as people read them | |
//! | [`alert`] | the names of what is suspicious, with what they mean, and the thresholds that rules may set | |
//! | [`time`] | points in time; "now" is an argument everywhere but in `app` and `cli` | |
//!
//! # The path of a packet
//!
//! 1. [`capture`] hands out a borrowed frame: bytes, time, interface, and the kernel's word on which way it went.
//!    With `--capture-threads` several rings share the frames; a thread for each does step 3, and `capture::fan` puts
//!    them in the order of their times again.
//! 2. Live, the interfaces tell whether its packet has its line here or on another device ([`capture::interfaces`]);
//!    in a file, `app::locality` tells whose machine it was and with that the direction.
//! 3. [`packet::parse`] makes a [`packet::Packet`] of it, without allocation.
//! 4. [`engine::Engine::decide`] asks the compiled rules ([`engine::Matcher`], immutable and shared) and what it
//!    remembers of connections: no lock, no allocation, no system call.
//!    When rules are enforced, the packet then waits until the kernel's reports ([`nflog`]) have been read past its
//!    time: they tell what was dropped, by which rule (`app::withheld`). Where they say otherwise than the engine,
//!    `app::explanation` finds out why; the kernel's counters are held against them (`app::audit`). What passes
//!    through the machine has the lines that the kernel reports and no others; which packets these are, behind
//!    translated addresses too, is told by [`conntrack`] and by comparing them (`app::forwarding`).
//! 5. [`detect::Detector`] looks for what is suspicious about it, alone and with those before.
//! 6. [`record::Log`] appends a line to a chunk, which goes to the writer thread when it is full or 100 ms old.
//!
//! # Threads
//!
//! `main` waits for signals and orders, compiles rules and has them enforced; `capture` does steps 1 to 6; `writer`
//! writes chunks; `printer` shows copies of them on a terminal; `reader`s, if any, read rings ahead of `capture`. They
//! start in the order writer, printer, readers, capture, and
//! end in the reverse order, each when all that feeds it has ended, so that what was accepted is written. `control`
//! serves the control socket from before anything is changed until all else has ended: what is asked it reads off a
//! board that the others put up without waiting (`app::board`), what is ordered it hands to `main`, and `messages` says
//! things on a terminal that may be stopped. A replay needs `main`, `writer` and `reader`, which reads the file ahead of `main`, so
//! that two processors share the work. `pfw run --tui` adds `view` and
//! three that serve it (keys, requests, events); they know the firewall by its socket alone, and end before it does.
//!
//! New rules are compiled by `main` and handed to `capture` as one [`std::sync::Arc`]: a packet is decided by the old
//! rules or by the new ones, never by half of each.
//!
//! # Bounds
//!
//! Whatever can grow has a named limit, and reaching it is counted and said: the capture ring (frames dropped by the
//! kernel), the queue to the writer (lines lost), connections ([`engine::MAX_CONNECTIONS`]), datagrams in fragments
//! ([`engine::MAX_DATAGRAMS`]), what the view remembers ([`tui`]), clients of the control socket and what each may take ([`control::limits`]), translated flows
//! (`app::forwarding`), connections that are open when rules come into force
//! ([`host::connections::MAX_CONNECTIONS`]), entries and sizes of rules files ([`rules::limits`]), records of capture files
//! ([`capture::file::MAX_RECORD`]).

pub mod alert;
pub mod app;
mod batches;
pub mod capture;
pub mod cli;
pub mod conntrack;
pub mod control;
pub mod detect;
pub mod engine;
pub mod firewall;
pub mod host;
pub mod netlink;
pub mod nflog;
pub mod packet;
pub mod record;
pub mod rules;
pub mod runtime;
mod sys;
pub mod text;
pub mod time;
pub mod tui;
