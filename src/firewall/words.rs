//! Lines of `iptables-save` as words.

use std::borrow::Cow;

/// The words of a line: quotes and backslashes in them undone.
pub(super) fn words(line: &str) -> Words<'_> {
    Words { rest: line }
}

/// See [`words`]. Ten thousand rules have half a million: those without quotes are not copied.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.trim_start_matches([' ', '\t']);
        let end = rest.find([' ', '\t', '"']).unwrap_or(rest.len());
        let (plain, behind) = rest.split_at(end);
        if behind.starts_with('"') {
            return Some(Cow::Owned(self.quoted(rest)));
        }
        self.rest = behind;
        (!plain.is_empty()).then_some(Cow::Borrowed(plain))
    }
}

impl<'a> Words<'a> {
    /// A word that has quotes in it.
    fn quoted(&mut self, line: &'a str) -> String {
        let mut word = String::new();
        let mut quoted = false;
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => quoted = !quoted,
                '\\' if quoted => word.extend(chars.next()),
                ' ' | '\t' if !quoted => break,
                c => word.push(c),
            }
        }
        self.rest = chars.as_str();
        word
    }
}

/// What tells a rule of ours from another: versions of iptables print conditions differently, but these as they were
/// given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint<'a> {
    /// The comment: the rule's id.
    pub(super) comment: Cow<'a, str>,
    /// Where it sends the packet.
    pub(super) target: Cow<'a, str>,
    /// The NFLOG prefix, which holds generation and number.
    pub(super) prefix: Cow<'a, str>,
}

impl<'a> Fingerprint<'a> {
    /// Of a rule's specification.
    pub(super) fn of(specification: &'a str) -> Self {
        let mut found = Self::default();
        let mut all = words(specification);
        while let Some(word) = all.next() {
            let place = match &*word {
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

/// Options whose value is a number, an address, or a text that any rule of the same form may have.
const VALUED: [&str; 17] = [
    "-s",
    "-d",
    "--src-range",
    "--dst-range",
    "--comment",
    "--nflog-prefix",
    "--match-set",
    "--ports",
    "--sports",
    "--dports",
    "--sport",
    "--dport",
    "--nflog-group",
    "--ctorigdst",
    "--ctrepldst",
    "--ctorigdstport",
    "--ctrepldstport",
];

/// The form of a rule that we have written: without the values in it, and the numbers of chains.
pub(super) fn form(specification: &str) -> String {
    let mut form = String::with_capacity(specification.len());
    let mut is_value = false;
    for word in words(specification) {
        let chain =
            word.starts_with("PFW-").then(|| word.trim_end_matches(|c: char| c.is_ascii_hexdigit() || c == '-'));
        form.push_str(if is_value { "*" } else { chain.unwrap_or(&word) });
        form.push(' ');
        is_value = VALUED.contains(&&*word);
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_one_form_differ_in_values_alone() {
        let rule = |address: &str, id: &str, target: &str| {
            form(&format!("-s {address} -m comment --comment \"{id}\" -j {target} --nflog-prefix \"pfw:{id}\""))
        };
        assert_eq!(rule("10.0.0.1/32", "one two", "NFLOG"), rule("192.0.2.0/24", "x", "NFLOG"));
        assert_ne!(rule("10.0.0.1/32", "x", "NFLOG"), rule("10.0.0.1/32", "x", "DROP"));
        assert_ne!(form("-s 10.0.0.1/32 -j DROP"), form("-d 10.0.0.1/32 -j DROP"));
        assert_eq!(form("-p tcp -g PFW-R00000001-00003"), form("-p tcp -g PFW-R6b02abcd-00004"));
        assert_ne!(form("-j PFW-L00001"), form("-j PFW-R00001"));
    }

    #[test]
    fn words_are_split_as_iptables_does() {
        assert_eq!(
            words(r#"-A X  -m comment --comment "a \"b\" \\" -j DROP"#).collect::<Vec<_>>(),
            ["-A", "X", "-m", "comment", "--comment", r#"a "b" \"#, "-j", "DROP"]
        );
        assert_eq!(words(r#" "" x "#).collect::<Vec<_>>(), ["", "x"]);
        assert_eq!(words(r#"a"b c"d e"#).collect::<Vec<_>>(), ["ab cd", "e"]);
    }

    #[test]
    fn a_rule_and_its_print_have_the_same_fingerprint() {
        let given = "-s 10.0.0.1/32 -m comment --comment block_ips:10.0.0.1 -j NFLOG --nflog-prefix pfw:00000001:000001 --nflog-group 7";
        let printed = "-s 10.0.0.1/32 -m comment --comment \"block_ips:10.0.0.1\" -j NFLOG --nflog-prefix \"pfw:00000001:000001\" --nflog-group 7";
        assert_eq!(Fingerprint::of(given), Fingerprint::of(printed));
        assert_eq!(Fingerprint::of(given).target, "NFLOG");
    }
}
