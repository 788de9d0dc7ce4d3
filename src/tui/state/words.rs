//! The pages of text: the keys, all about one line, what somebody should look at.

use super::dialog::{Page, Text};
use super::incidents::Incident;
use crate::control::Kind;
use crate::control::report::{BanRow, ConnectionRow, RuleRow, Status};
use crate::text::{duration, grouped, time, visible};
use crate::tui::event::{Event, Way, end};
use crate::tui::keys::{BINDINGS, Place};
use std::iter;

/// Columns of a page's text, and of what stands behind a name in it.
const WIDTH: usize = 74;
const VALUES: usize = 60;

/// The keys.
pub fn help() -> Page {
    let place = |place: Place| {
        let keys = BINDINGS.iter().filter(move |binding| binding.place == place);
        let keys = keys.flat_map(|binding| pair(binding.shown, binding.words));
        [Text::Heading(place.heading().to_owned())].into_iter().chain(keys).chain([Text::Gap])
    };
    let used = |place: &Place| BINDINGS.iter().any(|binding| binding.place == *place);
    let mut lines: Vec<Text> = Place::ALL.into_iter().filter(used).flat_map(place).collect();
    lines.pop();
    Page::new("Keys", lines)
}

/// All about one event.
pub fn event(event: &Event) -> Page {
    let mut lines = [pair("what", event.kind.word()), pair("when", &event.timestamp)].concat();
    if let (Some(src), Some(dst)) = (event.src, event.dst) {
        lines.extend(pair("from", &end(src, event.src_port)));
        lines.extend(pair("to", &end(dst, event.dst_port)));
    }
    if let Some(way) = event.way {
        let on = if event.interface.is_empty() { String::new() } else { format!(" on {}", event.interface) };
        lines.extend(pair("way", &format!("{}{on}", way.word())));
    }
    if !event.protocol.is_empty() {
        let detail = if event.detail.is_empty() { String::new() } else { format!(", {}", event.detail) };
        lines.extend(pair("protocol", &format!("{}{detail}, {} bytes", event.protocol, grouped(event.len))));
    }
    if !event.rule.is_empty() {
        lines.extend(pair("rule", &event.rule));
        lines.extend(pair("step", &event.step));
    }
    if event.lost > 0 {
        lines.extend(pair("lost", &format!("{} events", grouped(event.lost))));
    }
    lines.extend(pair("why", &event.reason));
    lines.push(Text::Gap);
    lines.push(Text::Heading("What to do about it".to_owned()));
    lines.extend(words(advice(event)));
    Page::new("One line", lines)
}

/// What to do about a line.
fn advice(event: &Event) -> &'static str {
    match event.kind {
        Kind::Allowed => allowed(event),
        Kind::Blocked | Kind::WouldBlock => blocked(&event.step),
        Kind::Suspicious => {
            "Somebody sends what no sound program sends, or a device damages packets. If it always comes from one peer, block that."
        }
        Kind::Lost if event.unread => "Only this view was too slow; firewall.log has these lines.",
        Kind::Lost => {
            "These events are in no log. Fewer lines (--log blocked), a larger ring (--ring-size), more readers (--capture-threads) or a faster disk help."
        }
        Kind::Pfw => "This is about pfw itself; w shows what needs to be looked at.",
    }
}

fn allowed(event: &Event) -> &'static str {
    match (&*event.step, event.way) {
        ("reply", _) => "It answers what this machine, or who was let in, has asked for. To end that, block the peer.",
        ("guard", _) => {
            "Without these packets the network breaks: no rule blocks them, but block_ips does for one peer."
        }
        ("allow_ips", _) => {
            "The peer is in allow_ips, which comes before everything that blocks. Remove it there to have the rules judge it."
        }
        ("loopback", _) | (_, Some(Way::Loopback)) => {
            "This machine talks to itself. Only a rule that names the interface lo acts on it."
        }
        ("non-ip", _) => "It is no IP packet; pfw watches those and lets them through.",
        _ => "If it should not pass: block its peer, or its port.",
    }
}

fn blocked(step: &str) -> &'static str {
    match step {
        "block_ips" => {
            "The peer is in block_ips. If it should pass: allow the peer, or remove the entry from the rules."
        }
        "block_lists" => {
            "The peer is in a bulk list. If it should pass: allow the peer; allow_ips comes before all lists."
        }
        "block_ports" => {
            "The port is in block_ports, at either end and for everybody. If it should pass: remove the entry from the rules."
        }
        "block_protocols" => {
            "The protocol is in block_protocols, for everybody. If it should pass: remove the entry from the rules."
        }
        "allow_protocols" => {
            "allow_protocols names all that may pass, and this is not among it. If it should pass: add it there."
        }
        "default_policy" => {
            "No rule spoke for it, and the default is to block. If it should pass: allow its peer or its port."
        }
        "panic" => "A panic blocks all but what this machine says to itself. P, or 'pfw resume panic', ends it.",
        _ => "If it should pass: switch this rule off, or allow the peer; allow_ips comes before all rules.",
    }
}

/// All about one incident, and the ban that came of it.
pub fn incident(incident: &Incident, ban: Option<&BanRow>) -> Page {
    let Incident { what, packets, since, last, line } = incident;
    let source = incident.source().map_or("many, or forged".to_owned(), |source| source.to_string());
    let mut lines = [
        pair("what", &what.name),
        pair("grave", what.grave()),
        pair("source", &source),
        pair("packets", &grouped(*packets)),
        pair("since", since),
        pair("last", last),
        pair("why", &line.reason),
    ]
    .concat();
    if let Some(ban) = ban {
        lines.extend(pair("banned", &format!("until {} ({}, time {})", time(&ban.until), ban.alert, ban.times)));
    }
    lines.push(Text::Gap);
    lines.push(Text::Heading("What it means".to_owned()));
    lines.extend(words(&format!("'pfw explain --alert {}' says what it means and what else causes it.", what.name)));
    Page::new("One incident", lines)
}

/// All about one rule.
pub fn rule(row: &RuleRow) -> Page {
    let mut lines = [
        pair("id", &row.id),
        pair("action", &row.action),
        pair("packets", &row.matches),
        pair("step", &format!("{}, {}", row.step, row.list)),
    ]
    .concat();
    let acts = match (&row.idle, row.number) {
        (Some(why), _) => format!("no: {why}"),
        (None, Some(number)) => format!("as number {number}"),
        (None, None) => "yes".to_owned(),
    };
    lines.extend(pair("acts", &acts));
    let hits = row.hits.map_or_else(|| "counted with the row before, whose id is the same".to_owned(), grouped);
    lines.extend(pair("hits", &hits));
    lines.extend(row.last_hit.iter().flat_map(|last| pair("last hit", &time(last))));
    lines.extend(row.expires.iter().flat_map(|expires| pair("until", expires)));
    lines.extend(row.comment.iter().flat_map(|comment| pair("comment", comment)));
    Page::new("One rule", lines)
}

/// All about one connection.
pub fn connection(row: &ConnectionRow) -> Page {
    let mut lines = [
        pair("protocol", &row.protocol),
        pair("opened by", &end(row.src, row.src_port)),
        pair("other end", &end(row.dst, row.dst_port)),
        pair("way", &row.direction),
    ]
    .concat();
    if !row.state.is_empty() {
        lines.extend(pair("state", &row.state));
    }
    lines.extend(pair("answered", if row.answered { "yes" } else { "no" }));
    lines.extend(pair("known for", &duration(row.known_for)));
    lines.extend(pair("kept for", &format!("{} more, if nothing comes", duration(row.expires_in))));
    lines.extend(pair("rule", &row.rule));
    lines.push(Text::Gap);
    lines.extend(words(if row.allowed {
        "This rule lets its opener's next packet through. b blocks the peer, B the port: both end it at once."
    } else {
        "This rule blocks its opener's next packet: it is cut, and forgotten when its time is up."
    }));
    Page::new("One connection", lines)
}

/// Everything that somebody should look at.
pub fn warnings(status: &Status) -> Page {
    let mut lines: Vec<Text> = status.warnings.iter().flat_map(|warning| words(warning)).collect();
    if let Some(refused) = status.rules.refused.as_ref() {
        lines.push(Text::Gap);
        lines.push(Text::Heading(format!("{} was refused; the rules before it stay", status.rules.file.display())));
        lines.extend(refused.errors.iter().flat_map(|error| words(error)));
    }
    if !status.temporary.is_empty() {
        lines.push(Text::Gap);
        lines.push(Text::Heading("Changes that are not in the file, and go with this pfw".to_owned()));
        lines.extend(status.temporary.iter().flat_map(|change| {
            let until = change.until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
            words(&format!("{}{until}", change.what))
        }));
    }
    if lines.is_empty() {
        lines.extend(words("All is well."));
    }
    Page::new("Warnings", lines)
}

/// A name and what it stands for, in as many lines as it takes.
fn pair(name: &str, value: &str) -> Vec<Text> {
    let names = [name].into_iter().chain(iter::repeat(""));
    names.zip(wrap(value, VALUES)).map(|(name, value)| Text::Pair(name.to_owned(), value)).collect()
}

/// Words, in as many lines as they take.
fn words(text: &str) -> Vec<Text> {
    wrap(text, WIDTH).into_iter().map(Text::Words).collect()
}

/// Words for the title of a choice.
pub fn lines(text: &str) -> Vec<String> {
    wrap(text, WIDTH)
}

/// Lines of so many characters at most, broken between words where that can be.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in visible(text).split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        while !rest.is_empty() {
            let used = lines.last().map_or(0, |line| line.chars().count());
            let gap = usize::from(used > 0);
            if used + gap + rest.len() <= width || used == 0 {
                let some: String = rest.drain(..rest.len().min(width)).collect();
                if let Some(line) = lines.last_mut() {
                    line.push_str(if gap > 0 { " " } else { "" });
                    line.push_str(&some);
                }
            }
            if !rest.is_empty() {
                lines.push(String::new());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_and_long_lines_are_broken() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("a\u{1b}[2J", 9), ["a\u{fffd}[2J"]);
    }

    #[test]
    fn the_help_has_every_key() {
        let page = help();
        for binding in BINDINGS {
            assert!(page.lines.iter().any(|line| matches!(line, Text::Pair(keys, _) if keys == binding.shown)));
        }
    }
}
