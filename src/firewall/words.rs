//! Lines of `iptables-save` as words.

/// The words of a line: quotes and backslashes in them undone.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(chars.next()),
            ' ' | '\t' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What tells a rule of ours from another: versions of iptables print conditions differently, but these as they were
/// given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// The comment: the rule's id.
    pub(super) comment: String,
    /// Where it sends the packet.
    pub(super) target: String,
    /// The NFLOG prefix, which holds generation and number.
    pub(super) prefix: String,
}

impl Fingerprint {
    /// Of a rule's specification.
    pub(super) fn of(specification: &str) -> Self {
        let mut found = Self::default();
        let mut all = words(specification).into_iter();
        while let Some(word) = all.next() {
            let place = match word.as_str() {
                "--comment" => &mut found.comment,
                "-j" | "-g" => &mut found.target,
                "--nflog-prefix" => &mut found.prefix,
                _ => continue,
            };
            *place = all.next().unwrap_or_default();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_iptables_does() {
        assert_eq!(
            words(r#"-A X  -m comment --comment "a \"b\" \\" -j DROP"#),
            ["-A", "X", "-m", "comment", "--comment", r#"a "b" \"#, "-j", "DROP"]
        );
        assert_eq!(words(r#""" x"#), ["", "x"]);
    }

    #[test]
    fn a_rule_and_its_print_have_the_same_fingerprint() {
        let given = "-s 10.0.0.1/32 -m comment --comment block_ips:10.0.0.1 -j NFLOG --nflog-prefix pfw:00000001:000001 --nflog-group 7";
        let printed = "-s 10.0.0.1/32 -m comment --comment \"block_ips:10.0.0.1\" -j NFLOG --nflog-prefix \"pfw:00000001:000001\" --nflog-group 7";
        assert_eq!(Fingerprint::of(given), Fingerprint::of(printed));
        assert_eq!(Fingerprint::of(given).target, "NFLOG");
    }
}
