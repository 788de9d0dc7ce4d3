//! What may stand in a line: printable ASCII. Everything else is escaped here, for every sink, so that no packet,
//! no file and no interface's name can forge a line, a field or a terminal's escape sequence.
//!
//! Text has `\xNN` and JSON `\u00NN` for each byte; what was there can be told exactly from what stands there.

/// Where the bytes are to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Text between quotation marks.
    Quoted,
    /// Text without quotation marks, between spaces: only letters, digits and `_.:/@+-` stay, so that it can be
    /// neither a field (`rule=x`) nor a word (`[BLOCKED]`).
    Bare,
    /// A string of JSON.
    Json,
    /// A line of its own on a terminal or in the journal: quotation marks and backslashes stay.
    Message,
}

impl Place {
    /// Whether `byte` stands for itself here.
    #[inline]
    fn keeps(self, byte: u8) -> bool {
        match self {
            Self::Quoted | Self::Json => matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\',
            Self::Message => matches!(byte, b' '..=b'~'),
            Self::Bare => byte.is_ascii_alphanumeric() || b"_.:/@+-".contains(&byte),
        }
    }
}

/// Appends `bytes` as they may stand in `place`.
pub fn push_escaped(out: &mut Vec<u8>, place: Place, bytes: &[u8]) {
    let from = out.len();
    out.extend_from_slice(bytes);
    escape_from(out, place, from);
}

/// Escapes what was appended to `out` since it was `from` bytes long.
#[inline]
pub(super) fn escape_from(out: &mut Vec<u8>, place: Place, from: usize) {
    // No way out of this loop before its end: that is what lets it run on sixteen bytes at a time.
    let clean = out.get(from..).unwrap_or_default().iter().fold(true, |clean, &byte| clean & place.keeps(byte));
    if !clean {
        escape_tail(out, place, from);
    }
}

#[cold]
fn escape_tail(out: &mut Vec<u8>, place: Place, from: usize) {
    let raw = out.split_off(from);
    let escape: &[u8] = if place == Place::Json { b"\\u00" } else { b"\\x" };
    for byte in raw {
        if place.keeps(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(escape);
            out.extend_from_slice(&super::bytes::hex_byte(byte));
        }
    }
}

/// The name of an interface, escaped once for all lines that carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscapedName {
    /// `eth0 `, with the space that follows it.
    text: Box<[u8]>,
    /// `,"in_iface":"eth0"`, or nothing for an unknown interface.
    json: Box<[u8]>,
}

impl EscapedName {
    /// From a name as the kernel or a capture file has it: any bytes.
    pub fn new(name: &[u8]) -> Self {
        if name.is_empty() {
            return Self::unknown();
        }
        let (mut text, mut json) = (Vec::new(), b",\"in_iface\":\"".to_vec());
        push_escaped(&mut text, Place::Bare, name);
        text.push(b' ');
        push_escaped(&mut json, Place::Json, name);
        json.push(b'"');
        Self { text: text.into(), json: json.into() }
    }

    /// For a packet of which nobody knows the interface (captures of the older format): `-`, and nothing in JSON.
    pub fn unknown() -> Self {
        Self { text: (*b"- ").into(), json: Box::default() }
    }

    /// The name as text with a space behind it.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The name as a member of a JSON object, its comma before it; may be empty.
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(place: Place, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push_escaped(&mut out, place, bytes);
        String::from_utf8(out).unwrap()
    }

    /// Takes `\xNN` back: the escape must lose nothing.
    fn unescaped(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            if first == b'\\' {
                assert_eq!(rest[0], b'x');
                bytes.push(u8::from_str_radix(std::str::from_utf8(&rest[1..3]).unwrap(), 16).unwrap());
                rest = &rest[3..];
            } else {
                bytes.push(first);
            }
        }
        bytes
    }

    #[test]
    fn plain_text_stays() {
        assert_eq!(escaped(Place::Quoted, b"peer 192.168.1.7 is in block_ips"), "peer 192.168.1.7 is in block_ips");
        assert_eq!(escaped(Place::Bare, b"block_ports:445/tcp"), "block_ports:445/tcp");
    }

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        assert_eq!(escaped(Place::Quoted, b"a\"\n\\\x1b[2J"), r"a\x22\x0a\x5c\x1b[2J");
        assert_eq!(escaped(Place::Bare, b"x [BLOCKED] rule=y"), r"x\x20\x5bBLOCKED\x5d\x20rule\x3dy");
        assert_eq!(escaped(Place::Json, b"a\"\x7f\xc3\xa4"), r"a\u0022\u007f\u00c3\u00a4");
    }

    #[test]
    fn a_name_is_never_empty() {
        assert_eq!(EscapedName::new(b"").text(), b"- ");
        assert_eq!(EscapedName::new(b"eth0").text(), b"eth0 ");
        assert_eq!(EscapedName::new(b"a b").json(), br#","in_iface":"a b""#);
    }

    proptest! {
        #[test]
        fn text_is_printable_and_can_be_taken_back(bytes: Vec<u8>) {
            for place in [Place::Quoted, Place::Bare] {
                let text = escaped(place, &bytes);
                prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"'));
                prop_assert!(place == Place::Quoted || !text.contains([' ', '=', '[', ']']));
                prop_assert_eq!(unescaped(&text), bytes.clone());
            }
        }

        #[test]
        fn json_is_a_string_of_the_same_bytes(bytes: Vec<u8>) {
            let json = escaped(Place::Json, &bytes);
            prop_assert!(json.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            let back: String = serde_json::from_str(&format!("\"{json}\"")).unwrap();
            prop_assert_eq!(back.chars().map(|c| c as u8).collect::<Vec<_>>(), bytes);
        }
    }
}
