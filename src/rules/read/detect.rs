//! `detect`: thresholds by their keys, and the names of alerts that are not wanted.

use super::Reader;
use crate::alert::{ALERTS, Alert, SETTINGS, Setting, Settings};
use crate::rules::diagnostic::quoted;
use crate::rules::json::{Kind, Node};
use crate::rules::suggest::did_you_mean;

/// The key of the list of alerts that are not raised.
const OFF: &str = "off";

impl Reader<'_> {
    pub(super) fn detect(&mut self, node: Option<&Node<'_, '_>>) -> Settings {
        let mut settings = Settings::default();
        let keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).chain([OFF]).collect();
        let fields =
            node.and_then(|node| self.object(node, &keys, "an object { \"scan_ports\": 10, ... } is needed here"));
        let Some(fields) = fields else { return settings };
        for setting in SETTINGS {
            if let Some(value) = fields.get(setting.key).and_then(|node| self.threshold(&node, setting)) {
                setting.set(&mut settings, value);
            }
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
