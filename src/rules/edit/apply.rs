//! From an edit and a file to the new text of the file.

use super::element::{Details, NewRule, entry};
use super::list::List;
use super::place::{Element, Update, insert};
use super::remark::{Around, Related, Relation, Remark, in_force, of_addition, of_removal, of_rule, related};
use super::target::{Value, no_such_id};
use super::undo::Undo;
use super::{Answer, At, Change, Done, Edit, Outcome, Refused};
use crate::rules::exact::ExactSet;
use crate::rules::loaded::{Loaded, Origin, parse};
use crate::rules::model::{Condition, Entry, Rule, Ruleset};
use crate::time::Timestamp;
use std::path::Path;
use std::sync::Arc;

impl Edit {
    /// What the edit makes of the file. Remarks are about what acts at `now`. The new text has been read, but for the
    /// block lists that it names.
    pub fn apply(&self, file: &Loaded, now: Timestamp) -> Result<Answer, Refused> {
        let work = Work { file, now };
        match self {
            Self::Add { list, value, details } => work.add(*list, value, details),
            Self::AddRule { at, rule } => work.add_rule(at, rule),
            Self::Drop { list, value } => work.take_out(*list, value),
            Self::Remove { id } => work.remove(id),
            Self::SetEnabled { id, enabled } => work.set_enabled(id, *enabled),
        }
    }
}

/// A file while an edit is made.
struct Work<'f> {
    file: &'f Loaded,
    now: Timestamp,
}

impl Work<'_> {
    fn text(&self) -> &str {
        &self.file.text
    }

    fn rules(&self) -> &Ruleset {
        &self.file.ruleset
    }

    fn add(&self, list: List, value: &Value, details: &Details) -> Result<Answer, Refused> {
        if !list.holds(value) {
            return Err(Refused(format!("{value} is nothing that {} holds", list.key())));
        }
        let own = related(self.rules(), list, value).into_iter().filter(|entry| {
            let equal = entry.relation == Relation::Equal && !entry.negated;
            equal && Element::find(self.text(), list, entry.offset).is_some_and(|it| it.has(value))
        });
        let Some(present) = own.max_by_key(|entry| entry.expires.unwrap_or(Timestamp::MAX)) else {
            let text = insert(self.text(), list, None, |style| entry(list, value, details, style));
            return self.added(text, list, value, Done::Added);
        };
        let Some(update) = Update::of(&present, details) else {
            let mut remarks = Vec::new();
            if let Some(wanted) = details.expires
                && present.expires.is_none_or(|end| end > wanted)
            {
                remarks.push(Remark::LastsUntil(present.expires));
            }
            return Ok(Answer { outcome: Outcome::AlreadyThere, ids: vec![present.id], remarks });
        };
        let is_group = |element: Element<'_>| element.texts().len() > 1;
        let text = if Element::find(self.text(), list, present.offset).is_some_and(is_group) {
            // What stands beside one value must not change for the others: it gets an entry of its own.
            let text =
                without_values(self.text(), list, present.offset, |text| list.value(text).as_ref() == Some(value));
            insert(&text, list, None, |style| entry(list, value, &update.details, style))
        } else {
            update.text(self.text(), list, present.offset)
        };
        self.added(text, list, value, Done::Updated)
    }

    /// The answer for a value that is in the list now.
    fn added(&self, text: String, list: List, value: &Value, done: Done) -> Result<Answer, Refused> {
        let new = self.read_again(&text)?;
        let own = related(&new, list, value).into_iter().filter(|it| it.relation == Relation::Equal && !it.negated);
        let own = own.filter(|it| Element::find(&text, list, it.offset).is_some_and(|element| element.has(value)));
        let own = own.last().ok_or_else(|| Refused(format!("{value} can't be written as one entry")))?;
        let remarks = of_addition(self.around(&new), list, value, own.offset);
        Ok(self.changed(text, &new, done, vec![own.id], remarks))
    }

    fn add_rule(&self, at: &At, rule: &NewRule) -> Result<Answer, Refused> {
        let index = |id: &str| {
            let found = self.rules().rules.iter().position(|rule| &*rule.id == id);
            found.ok_or_else(|| Refused(no_such_id(id, self.rules())))
        };
        let index = match at {
            At::First => 0,
            At::Last => self.rules().rules.len(),
            At::Before(id) => index(id)?,
            At::After(id) => index(id)? + 1,
        };
        let text = insert(self.text(), List::Rules, Some(index), |style| rule.write(style));
        let new = self.read_again(&text)?;
        let added = new.rules.get(index).ok_or_else(|| Refused("the rule can't be written".to_owned()))?;
        let mut same = self.rules().rules.iter().enumerate().filter(|(_, rule)| rule.enabled && is_same(rule, added));
        if let Some((place, same)) = same.next().filter(|_| rule.details.id.is_none()) {
            let mut remarks = of_rule(self.around(&new), added);
            remarks.extend((place > index).then(|| Remark::BehindRules(place - index)));
            return Ok(Answer { outcome: Outcome::AlreadyThere, ids: vec![Arc::clone(&same.id)], remarks });
        }
        let (ids, remarks) = (vec![Arc::clone(&added.id)], of_rule(self.around(&new), added));
        Ok(self.changed(text, &new, Done::Added, ids, remarks))
    }

    fn take_out(&self, list: List, value: &Value) -> Result<Answer, Refused> {
        let own = related(self.rules(), list, value);
        let own: Vec<_> = own.into_iter().filter(|entry| !entry.negated && value.includes(&entry.value)).collect();
        let meant = |text: &str| list.value(text).is_some_and(|found| value.includes(&found));
        let text = self.without(list, own.iter().map(|entry| entry.offset).collect(), meant);
        if text == self.text() {
            let remarks = of_removal(self.around(self.rules()), list, value);
            let id = list.derived_id(&value.to_string()).into();
            return Ok(Answer { outcome: Outcome::NotThere, ids: vec![id], remarks });
        }
        let kept = self.keeping(list, &own, meant);
        let new = self.read_again(&text)?;
        let left = |id: &Arc<str>| related(&new, list, value).iter().any(|entry| entry.id == *id);
        let mut ids: Vec<_> = own.into_iter().map(|entry| entry.id).filter(|id| !left(id)).collect();
        ids.dedup();
        let mut remarks = of_removal(self.around(&new), list, value);
        remarks.splice(0..0, kept);
        Ok(self.changed(text, &new, Done::Removed, ids, remarks))
    }

    fn remove(&self, id: &Arc<str>) -> Result<Answer, Refused> {
        let mut text = self.text().to_owned();
        // From the end on, so that the offsets of what comes before stay true.
        for (list, offset) in self.with_id(id)?.into_iter().rev() {
            let Some(element) = Element::find(&text, list, offset) else { continue };
            text = if element.is_named_by_values() {
                element.without_values(|text| list.derived_id(text) == **id)
            } else {
                element.removed()
            };
        }
        let new = self.read_again(&text)?;
        Ok(self.changed(text, &new, Done::Removed, vec![Arc::clone(id)], Vec::new()))
    }

    fn set_enabled(&self, id: &Arc<str>, enabled: bool) -> Result<Answer, Refused> {
        let (mut text, mut values) = (self.text().to_owned(), Vec::new());
        for (list, offset) in self.with_id(id)?.into_iter().rev() {
            let Some(element) = Element::find(&text, list, offset) else { continue };
            values.splice(0..0, element.texts());
            if element.is_named_by_values() && element.texts().iter().any(|text| list.derived_id(text) != **id) {
                let words = "shares its entry with other values, which would be switched too";
                return Err(Refused(format!("{id} {words}; give it an entry of its own, or the entry an id")));
            }
            text = element.switched(enabled);
        }
        if text == self.text() {
            return Ok(Answer { outcome: Outcome::AlreadyThere, ids: vec![Arc::clone(id)], remarks: Vec::new() });
        }
        let new = self.read_again(&text)?;
        let done = if enabled { Done::Enabled } else { Done::Disabled };
        // Whoever named one of them is told of the others.
        let remarks = Vec::from_iter((values.len() > 1).then_some(Remark::AllOf(values)));
        Ok(self.changed(text, &new, done, vec![Arc::clone(id)], remarks))
    }

    /// What is to be said of entries that have an id and lose but those of their values that are `meant`.
    fn keeping(&self, list: List, own: &[Related], meant: impl Fn(&str) -> bool) -> Vec<Remark> {
        let mut offsets: Vec<_> = own.iter().map(|entry| entry.offset).collect();
        offsets.dedup();
        let elements = offsets.into_iter().filter_map(|offset| Element::find(self.text(), list, offset));
        let named = elements.filter(|element| !element.is_named_by_values());
        let parted = named.map(|element| element.texts().into_iter().partition(|text| meant(text)));
        parted
            .filter(|(_, kept): &(_, Vec<_>)| !kept.is_empty())
            .map(|(gone, kept)| Remark::OnlyOf(gone, kept))
            .collect()
    }

    /// The text without the values that are `meant` in the elements at `offsets` of `list`.
    fn without(&self, list: List, mut offsets: Vec<u32>, meant: impl Fn(&str) -> bool) -> String {
        offsets.sort_unstable();
        offsets.dedup();
        let mut text = self.text().to_owned();
        for offset in offsets.into_iter().rev() {
            text = without_values(&text, list, offset, &meant);
        }
        text
    }

    /// The places of everything with this id, in the order of the file.
    fn with_id(&self, id: &str) -> Result<Vec<(List, u32)>, Refused> {
        fn of<T>(list: List, entries: &[Entry<T>], id: &str) -> Vec<(List, u32)> {
            entries.iter().filter(|entry| &*entry.id == id).map(|entry| (list, entry.offset)).collect()
        }
        let rules = self.rules();
        let mut found = of(List::AllowIps, &rules.allow_ips, id);
        found.extend(of(List::BlockIps, &rules.block_ips, id));
        found.extend(of(List::BlockPorts, &rules.block_ports, id));
        found.extend(of(List::BlockProtocols, &rules.block_protocols, id));
        found.extend(of(List::AllowProtocols, &rules.allow_protocols, id));
        let lists = rules.block_lists.iter().filter(|list| &*list.id == id);
        found.extend(lists.map(|list| (List::BlockLists, list.offset)));
        let named = rules.rules.iter().filter(|rule| &*rule.id == id);
        found.extend(named.map(|rule| (List::Rules, rule.offset)));
        found.sort_unstable_by_key(|&(_, offset)| offset);
        found.dedup();
        if found.is_empty() { Err(Refused(no_such_id(id, rules))) } else { Ok(found) }
    }

    /// The rules that `text` holds, unless it is unsound or turns a list into the opposite of what it was.
    fn read_again(&self, text: &str) -> Result<Ruleset, Refused> {
        let read = |_: &Path| Ok(Vec::new());
        let origin = Origin { file: &self.file.file, folder: Path::new(""), read: &read };
        let loaded = parse(text.as_bytes().to_vec(), &origin).map_err(|errors| {
            let told = errors.errors.iter().map(|error| format!("{}: {}", error.path, error.message));
            Refused(told.collect::<Vec<_>>().join("; "))
        })?;
        let (old, new) = (self.rules(), loaded.ruleset);
        for (list, before, after) in [
            (List::AllowIps, Sense::of(&old.allow_ips, self.now), Sense::of(&new.allow_ips, self.now)),
            (List::BlockIps, Sense::of(&old.block_ips, self.now), Sense::of(&new.block_ips, self.now)),
            (List::BlockPorts, Sense::of(&old.block_ports, self.now), Sense::of(&new.block_ports, self.now)),
            (
                List::BlockProtocols,
                Sense::of(&old.block_protocols, self.now),
                Sense::of(&new.block_protocols, self.now),
            ),
            (
                List::AllowProtocols,
                Sense::of(&old.allow_protocols, self.now),
                Sense::of(&new.allow_protocols, self.now),
            ),
        ] {
            before.check(after, list)?;
        }
        Ok(new)
    }

    fn around<'r>(&'r self, rules: &'r Ruleset) -> Around<'r> {
        Around { rules, lists: &self.rules().block_lists, now: self.now }
    }

    fn changed(&self, text: String, new: &Ruleset, done: Done, ids: Vec<Arc<str>>, mut remarks: Vec<Remark>) -> Answer {
        let acts = |entry: &Entry<_>| in_force(entry.enabled, entry.expires, self.now);
        let lists_protocols = |rules: &Ruleset| rules.allow_protocols.iter().any(acts);
        remarks.extend(match (lists_protocols(self.rules()), lists_protocols(new)) {
            (true, false) => Some(Remark::OtherProtocolsAllowed),
            (false, true) => Some(Remark::OtherProtocolsBlocked),
            _ => None,
        });
        let undo = Undo::between(self.text(), &text);
        Answer { outcome: Outcome::Changed(Change { done, text, undo }), ids, remarks }
    }
}

/// The text without the values that are `meant` in the element at `offset` of `list`.
fn without_values(text: &str, list: List, offset: u32, meant: impl Fn(&str) -> bool) -> String {
    Element::find(text, list, offset).map_or_else(|| text.to_owned(), |element| element.without_values(meant))
}

/// What a list means, by the kinds of its entries that act.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    /// None is negated.
    Plain,
    /// Some are negated, and some are positive without an end.
    Less,
    /// Some are negated, and all positive ones have an end: from then on it will be `Inverse`.
    Ending,
    /// All are negated: the list means everything but them.
    Inverse,
}

impl Sense {
    fn of<T>(entries: &[Entry<T>], now: Timestamp) -> Self {
        let acting = || entries.iter().filter(|entry| in_force(entry.enabled, entry.expires, now));
        let positive = || acting().filter(|entry| !entry.negated);
        if acting().all(|entry| !entry.negated) {
            Self::Plain
        } else if positive().next().is_none() {
            Self::Inverse
        } else if positive().all(|entry| entry.expires.is_some()) {
            Self::Ending
        } else {
            Self::Less
        }
    }

    /// An error if an edit of one entry would turn the meaning of all the others around.
    fn check(self, after: Self, list: List) -> Result<(), Refused> {
        let list = list.key();
        let words = match (self, after) {
            (Self::Plain | Self::Less, Self::Ending | Self::Inverse) | (Self::Ending, Self::Inverse) => {
                format!("nothing but negated entries would be left in {list}, which then means everything but them")
            }
            (Self::Inverse, Self::Less | Self::Ending) => {
                format!("{list} has only negated entries and means everything but them; another one would end that")
            }
            _ => return Ok(()),
        };
        Err(Refused(format!("{words}; edit the file by hand if that is meant")))
    }
}

/// Whether two rules ask for the same, for the same packets and the same time.
fn is_same(one: &Rule, other: &Rule) -> bool {
    fn alike<T, S: ExactSet>(one: Option<&Condition<T, S>>, other: Option<&Condition<T, S>>) -> bool {
        one.map(|condition| &condition.set) == other.map(|condition| &condition.set)
    }
    (one.action, one.direction, &one.interface, one.expires)
        == (other.action, other.direction, &other.interface, other.expires)
        && alike(one.protocol.as_ref(), other.protocol.as_ref())
        && alike(one.src.as_ref(), other.src.as_ref())
        && alike(one.dst.as_ref(), other.dst.as_ref())
        && alike(one.src_port.as_ref(), other.src_port.as_ref())
        && alike(one.dst_port.as_ref(), other.dst_port.as_ref())
        && alike(one.icmp_type.as_ref(), other.icmp_type.as_ref())
}
