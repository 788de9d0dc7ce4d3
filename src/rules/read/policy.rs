//! `default_policy`: one word, or one for each direction.

use super::Reader;
use crate::rules::json::{Kind, Node};
use crate::rules::model::{DefaultPolicy, Policy};

impl Reader<'_> {
    pub(super) fn default_policy(&mut self, node: Option<&Node<'_, '_>>) -> DefaultPolicy {
        let Some(node) = node else { return DefaultPolicy::default() };
        if node.kind() != Kind::Object {
            let both = self.policy(node);
            return DefaultPolicy { incoming: both, outgoing: both };
        }
        let Some(fields) = self.object(node, &["in", "out"], "") else { return DefaultPolicy::default() };
        let mut side = |key| fields.get(key).map_or_else(Policy::default, |node| self.policy(&node));
        DefaultPolicy { incoming: side("in"), outgoing: side("out") }
    }

    fn policy(&mut self, node: &Node<'_, '_>) -> Policy {
        let synonyms = [("block", "deny"), ("drop", "deny"), ("reject", "deny"), ("accept", "allow")];
        self.word(node, &[("allow", Policy::Allow), ("deny", Policy::Deny)], &synonyms).unwrap_or_default()
    }
}
