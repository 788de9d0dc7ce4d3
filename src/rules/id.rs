//! Rule ids: what a given one may be, and how a missing one is derived.
//!
//! A derived id comes from the content alone, so that it is the same after every reload and on every machine.

use super::diagnostic::quoted;
use super::limits::MAX_ID_BYTES;

/// Checks an id that the user gave.
pub(super) fn check(id: &str) -> Result<(), String> {
    if id.is_empty() {
        Err("an id needs at least one character".to_owned())
    } else if !id.chars().all(allowed) {
        Err(format!("{} is not an id: letters, digits and _ . : / @ - are", quoted(id)))
    } else if id.len() > MAX_ID_BYTES {
        Err(format!("an id has {MAX_ID_BYTES} characters at most, this one {}", id.len()))
    } else {
        Ok(())
    }
}

/// The id of an entry of `list` that has none: `block_ports:445/tcp`.
pub(super) fn of_entry(list: &str, negated: bool, value: &str) -> String {
    fitted(&format!("{list}:{}{value}", if negated { "not:" } else { "" }))
}

/// The id of a rule that has none: `rules:block-out-udp-53-1a2b3c4d`, the words from what is `readable` and the
/// number from all of its `content`.
pub(super) fn of_rule(readable: &str, content: &str) -> String {
    const WORDS: usize = 40;
    let words: String = readable.chars().map(|c| if allowed(c) { c } else { '-' }).take(WORDS).collect();
    format!("rules:{}-{:08x}", words.trim_end_matches('-'), hash(content))
}

/// The id of the `number`th of equal things: from the second on, the number stands behind it.
pub(super) fn numbered(id: &str, number: usize) -> String {
    if number == 1 { id.to_owned() } else { fitted(&format!("{id}:{number}")) }
}

/// `text` as an id: what can't stand in one becomes a hyphen, and if that or the length loses anything, a hash of the
/// whole stands at the end.
fn fitted(text: &str) -> String {
    if text.len() <= MAX_ID_BYTES && text.chars().all(allowed) {
        return text.to_owned();
    }
    let kept: String = text.chars().map(|c| if allowed(c) { c } else { '-' }).take(MAX_ID_BYTES - 9).collect();
    format!("{kept}-{:08x}", hash(text))
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.:/@-".contains(c)
}

/// FNV-1a, 32 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): stable for ever, unlike the standard library's.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!((hash(""), hash("a"), hash("foobar")), (0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968));
    }

    #[test]
    fn derived_ids_are_valid_and_keep_what_fits() {
        assert_eq!(of_entry("block_ports", false, "445/tcp"), "block_ports:445/tcp");
        assert_eq!(of_entry("block_ips", true, "@lan"), "block_ips:not:@lan");
        let long = of_entry("block_ips", false, &"2001:db8:1:2:3:4:5:6-".repeat(4));
        assert_eq!(long.len(), 64);
        let file = of_entry("block_lists", false, "my lists/böse.txt");
        assert!(file.starts_with("block_lists:my-lists/b-se.txt-"), "{file}");
        let rule = of_rule("block-out-udp-53", "x");
        assert_eq!(rule, format!("rules:block-out-udp-53-{:08x}", hash("x")));
        for id in [long, file, rule, of_rule(&"ä".repeat(90), ""), numbered(&"x".repeat(64), 2)] {
            assert_eq!(check(&id), Ok(()));
        }
    }

    #[test]
    fn given_ids_are_bounded() {
        assert!(check("").is_err());
        assert!(check("a b").is_err());
        assert!(check("ä").is_err());
        assert!(check(&"x".repeat(65)).is_err());
        assert!(check("ssh-from_lan.2:a/b@c").is_ok());
    }
}
