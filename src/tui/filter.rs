//! What somebody types to find lines: words that must all be true of a line.
//!
//! | word | true of |
//! |---|---|
//! | `blocked`, `allowed`, `would-block`, `suspicious`, `lost`, `pfw` | lines of this kind |
//! | `in`, `out`, `lo`, `fwd` (or the whole word) | packets that went this way |
//! | `tcp`, `udp`, `icmp`, `icmpv6`, `arp`, `igmp`, `sctp`, `proto:NAME` | packets of the protocol |
//! | `192.168.1.7`, `10.0.0.0/8`, `2001:db8::/32` | packets that have such an address at either end |
//! | `:80`, `port:80` | packets that have the port at either end |
//! | `rule:WORD` | lines whose rule's id contains the word |
//! | any other | lines that contain it |
//!
//! `!` in front of a word says that it must not be true.

use super::event::{Event, Way};
use crate::control::Kind;
use ipnetwork::IpNetwork;
use std::net::IpAddr;

/// Words that must all be true of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<(bool, Term)>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Kind(Kind),
    Way(Way),
    Protocol(String),
    Network(IpNetwork),
    Port(u16),
    Rule(String),
    Text(String),
}

impl Filter {
    /// The filter of what was typed. No words are true of every line.
    ///
    /// # Errors
    ///
    /// Which word makes no sense, and what would.
    pub fn parse(text: &str) -> Result<Self, String> {
        let term = |word: &str| match word.strip_prefix('!') {
            Some(word) => Ok((false, Term::parse(word)?)),
            None => Ok((true, Term::parse(word)?)),
        };
        Ok(Self {
            terms: text.split_whitespace().map(term).collect::<Result<_, String>>()?,
            text: text.trim().to_owned(),
        })
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is true of every line.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether it is true of this one.
    pub fn matches(&self, event: &Event) -> bool {
        self.terms.iter().all(|(wanted, term)| term.is_true_of(event) == *wanted)
    }
}

impl Term {
    fn parse(word: &str) -> Result<Self, String> {
        let lower = word.to_lowercase();
        if let Some(port) =
            lower.strip_prefix("port:").or_else(|| lower.strip_prefix(':').filter(|rest| is_number(rest)))
        {
            return port
                .parse()
                .map(Self::Port)
                .map_err(|_| format!("{word}: a port is a number up to 65535, as in :443"));
        }
        if let Some(name) = lower.strip_prefix("proto:") {
            return Ok(Self::Protocol(name.to_owned()));
        }
        if let Some(rule) = lower.strip_prefix("rule:") {
            return Ok(Self::Rule(rule.to_owned()));
        }
        Ok(match lower.as_str() {
            "allowed" => Self::Kind(Kind::Allowed),
            "blocked" => Self::Kind(Kind::Blocked),
            "would-block" => Self::Kind(Kind::WouldBlock),
            "suspicious" => Self::Kind(Kind::Suspicious),
            "lost" => Self::Kind(Kind::Lost),
            "pfw" => Self::Kind(Kind::Pfw),
            "in" | "incoming" => Self::Way(Way::Incoming),
            "out" | "outgoing" => Self::Way(Way::Outgoing),
            "lo" | "loopback" => Self::Way(Way::Loopback),
            "fwd" | "forwarded" => Self::Way(Way::Forwarded),
            "tcp" | "udp" | "icmp" | "icmpv6" | "arp" | "igmp" | "sctp" => Self::Protocol(lower),
            _ => lower.parse().map_or(Self::Text(lower), Self::Network),
        })
    }

    fn is_true_of(&self, event: &Event) -> bool {
        match self {
            Self::Kind(kind) => event.kind == *kind,
            Self::Way(way) => event.way == Some(*way),
            Self::Protocol(name) => event.protocol.eq_ignore_ascii_case(name),
            Self::Network(network) => {
                [event.src, event.dst].into_iter().flatten().any(|end: IpAddr| network.contains(end))
            }
            Self::Port(port) => [event.src_port, event.dst_port].contains(&Some(*port)),
            Self::Rule(word) => event.rule.to_lowercase().contains(word),
            Self::Text(word) => event.text().to_lowercase().contains(word),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::event::testing::packet;
    use super::*;

    #[test]
    fn each_kind_of_word_finds_what_it_says() {
        let event = packet("blocked", "incoming", "TCP", "192.168.1.7#443", "10.0.0.5#51512", "block_ips:192.168.1.7");
        for (text, is_true) in [
            ("", true),
            ("blocked", true),
            ("allowed", false),
            ("!allowed in tcp", true),
            ("out", false),
            ("UDP", false),
            ("proto:tcp", true),
            ("192.168.1.7", true),
            ("10.0.0.0/8", true),
            ("2001:db8::/32", false),
            (":443", true),
            ("port:51512", true),
            (":44", false),
            ("rule:BLOCK_IPS", true),
            ("rule:web", false),
            ("eth0", true),
            ("because", true),
            ("!because", false),
            ("blocked :443 192.168.0.0/16 !udp", true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().matches(&event), is_true, "{text}");
        }
    }

    #[test]
    fn a_word_that_can_not_be_meant_is_refused_with_what_would() {
        for text in [":65536", "port:http", "port:"] {
            assert!(Filter::parse(text).unwrap_err().contains("as in :443"), "{text}");
        }
        // An address, not a port.
        assert!(Filter::parse("::1").is_ok_and(|filter| !filter.is_empty()));
    }
}
