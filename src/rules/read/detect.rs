//! `detect`: thresholds by their keys, the names of alerts that are not wanted, and what is done about the others.

use super::Reader;
use crate::alert::{ALERTS, Alert, Response, SETTINGS, Setting, Settings};
use crate::rules::diagnostic::quoted;
use crate::rules::json::{Kind, Node};
use crate::rules::suggest::did_you_mean;

/// The key of the list of alerts that are not raised.
const OFF: &str = "off";
/// The key of what is done, and of whether that may fall on somebody whose address was forged.
const ACTION: &str = "action";
const BAN_UNVERIFIED: &str = "ban_unverified";

impl Reader<'_> {
    pub(super) fn detect(&mut self, node: Option<&Node<'_, '_>>) -> Settings {
        let mut settings = Settings::default();
        let keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).chain([ACTION, BAN_UNVERIFIED, OFF]).collect();
        let fields =
            node.and_then(|node| self.object(node, &keys, "an object { \"scan_ports\": 10, ... } is needed here"));
        let Some(fields) = fields else { return settings };
        for setting in SETTINGS {
            if let Some(value) = fields.get(setting.key).and_then(|node| self.threshold(&node, setting)) {
                setting.set(&mut settings, value);
            }
        }
        if let Some(action) = fields.get(ACTION).and_then(|node| self.answer(&node)) {
            settings.action = action;
        }
        if let Some(node) = fields.get(BAN_UNVERIFIED)
            && self.expect(&node, Kind::Bool, "true or false is needed here").is_some()
        {
            settings.ban_unverified = node.raw() == "true";
        }
        let Settings { ban_seconds, ban_most_seconds, .. } = settings;
        if ban_most_seconds < ban_seconds
            && let Some(node) = fields.get("ban_most_seconds").or_else(|| fields.get("ban_seconds"))
        {
            let words = "longer than the longest (ban_most_seconds)";
            self.error(&node, format!("a first ban of {ban_seconds} seconds is {words}, {ban_most_seconds}"));
        }
        if let Some(off) = fields.get(OFF)
            && self.expect(&off, Kind::List, "a list of names of alerts is needed here").is_some()
        {
            for name in off.items() {
                if let Some(alert) = self.alert(&name) {
                    settings.switch_off(alert);
                }
            }
        }
        settings
    }

    fn threshold(&mut self, node: &Node<'_, '_>, setting: &Setting) -> Option<u32> {
        let Setting { least, most, .. } = *setting;
        self.expect(node, Kind::Number, &format!("a number ({least} to {most}) is needed here"))?;
        let value = node.raw().parse().ok().filter(|value| (least..=most).contains(value));
        if value.is_none() {
            self.error(node, format!("{} is not a whole number from {least} to {most}", node.raw()));
        }
        value
    }

    fn answer(&mut self, node: &Node<'_, '_>) -> Option<Response> {
        let word = self.string(node, "\"log\" or \"ban\" is needed here")?;
        let action = Response::ALL.into_iter().find(|action| action.name() == word);
        if action.is_none() {
            self.error(node, format!("{} is neither \"log\" nor \"ban\"", quoted(&word)));
        }
        action
    }

    fn alert(&mut self, node: &Node<'_, '_>) -> Option<Alert> {
        let name = self.string(node, "the name of an alert is needed here")?;
        let alert = Alert::named(&name);
        if alert.is_none() {
            let meant = did_you_mean(&name, ALERTS.iter().map(|entry| &entry.name));
            self.error(node, format!("{} is not the name of an alert{meant}", quoted(&name)));
        }
        alert
    }
}
