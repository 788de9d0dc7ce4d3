//! The rules that no rules file holds: each stands for something that is always there, or for a key of the file.

use crate::rules::diagnostic::quoted;

const NOTHING: &str = "nothing turns it off: without it there is no network";
const LISTED_FIRST: &str = "nothing turns it off, but a peer in block_ips is blocked before it";
const REPLY: &str =
    "it lets connections go on that were let through; block_ips, block_ports and block_protocols cut them";

/// The id of each, and what it is turned off or changed by.
const ALL: [(&str, &str); 15] = [
    ("guard:neighbour-discovery", NOTHING),
    ("guard:path-mtu", NOTHING),
    ("guard:dhcp", LISTED_FIRST),
    ("guard:multicast-listener", LISTED_FIRST),
    ("guard:igmp", LISTED_FIRST),
    ("guard:reject-answer", "it lets the answers of rules that reject pass, and goes with the last of these"),
    ("reply", REPLY),
    ("related", REPLY),
    ("loopback", "what this machine says to itself is blocked by lists, and by rules with \"interface\": \"lo\""),
    ("own-multicast", "a rule that blocks such packets decides before it"),
    ("allow_protocols", "it blocks what the list allow_protocols of the rules file does not name"),
    ("default_policy", "it is the key default_policy of the rules file, and is changed there"),
    ("non-ip", "pfw lets through what is no IP packet, and nothing turns that off"),
    ("forwarded", "block_ips, block_lists, block_ports and block_protocols alone block what is forwarded"),
    ("panic", "'pfw panic' begins it, and 'pfw resume panic' ends it"),
];

/// Why a change can't be about this id, and what the user can do instead, if it is that of a built-in rule.
pub fn built_in(id: &str) -> Option<String> {
    let (_, words) = ALL.iter().find(|(known, _)| *known == id)?;
    Some(format!("{} is built in: {words}", quoted(id)))
}
