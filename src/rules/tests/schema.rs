//! The published schema, held against the files of the other tests by a validator of the few keywords it uses.

use super::cases;
use crate::alert::{ALERTS, SETTINGS};
use crate::rules::SCHEMA;
use regex::Regex;
use serde_json::{Map, Value};

/// Broken files whose mistakes a schema can't see: they lie between values, not in one.
const BEYOND_A_SCHEMA: [&str; 7] = [
    "v4-mapped addresses",
    "keys that stand twice",
    "ids that stand twice",
    "sets that don't exist",
    "families that can't meet",
    "ports without TCP or UDP",
    "ICMP types without ICMP",
];

struct Schema {
    root: Value,
}

impl Schema {
    fn published() -> Self {
        Self { root: serde_json::from_str(SCHEMA).unwrap() }
    }

    fn accepts(&self, value: &Value) -> bool {
        self.fits(&self.root, value)
    }

    /// Whether `value` is what `schema` describes; a keyword that is not known here fails the test.
    fn fits(&self, schema: &Value, value: &Value) -> bool {
        schema.as_object().unwrap().iter().all(|(keyword, wanted)| self.keyword(schema, keyword, wanted, value))
    }

    fn keyword(&self, schema: &Value, keyword: &str, wanted: &Value, value: &Value) -> bool {
        let none = Map::new();
        let members = value.as_object().unwrap_or(&none);
        let any =
            |schemas: &Value| schemas.as_array().unwrap().iter().filter(|schema| self.fits(schema, value)).count();
        let within = |number: &Value, least: bool| {
            let (bound, number) = (wanted.as_f64().unwrap(), number.as_f64().unwrap());
            if least { number >= bound } else { number <= bound }
        };
        let length =
            |length: Option<usize>| length.is_none_or(|length| within(&length.into(), keyword.starts_with("min")));
        match keyword {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            "$ref" => self.fits(self.root.pointer(wanted.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
            "type" => match wanted.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("type {other}"),
            },
            "enum" => wanted.as_array().unwrap().contains(value),
            "not" => !self.fits(wanted, value),
            "oneOf" => any(wanted) == 1,
            "anyOf" => any(wanted) >= 1,
            "minimum" | "maximum" => !value.is_number() || within(value, keyword == "minimum"),
            "minLength" | "maxLength" => length(value.as_str().map(|text| text.chars().count())),
            "minItems" | "maxItems" => length(value.as_array().map(Vec::len)),
            "pattern" => value.as_str().is_none_or(|text| Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text)),
            "items" => value.as_array().is_none_or(|items| items.iter().all(|item| self.fits(wanted, item))),
            "required" => wanted.as_array().unwrap().iter().all(|key| members.contains_key(key.as_str().unwrap())),
            "propertyNames" => members.keys().all(|key| self.fits(wanted, &key.as_str().into())),
            "properties" => members.iter().all(|(key, value)| wanted.get(key).is_none_or(|it| self.fits(it, value))),
            "additionalProperties" => {
                let others = members.iter().filter(|(key, _)| schema["properties"].get(key).is_none());
                let mut others = others.map(|(_, value)| value);
                if wanted.is_boolean() { others.next().is_none() } else { others.all(|value| self.fits(wanted, value)) }
            }
            other => panic!("keyword {other}"),
        }
    }
}

#[test]
fn it_accepts_sound_files() {
    let schema = Schema::published();
    assert!(schema.accepts(&serde_json::from_str(include_str!("../../../rules.example.json")).unwrap()));
    for case in cases(include_str!("../lint/warnings.txt")) {
        assert!(schema.accepts(&serde_json::from_str(&case.text).unwrap()), "{}", case.title);
    }
}

#[test]
fn it_refuses_broken_files_but_for_what_no_schema_sees() {
    let schema = Schema::published();
    let mut accepted = Vec::new();
    for case in cases(include_str!("broken.txt")) {
        if serde_json::from_str(&case.text).is_ok_and(|value: Value| schema.accepts(&value)) {
            accepted.push(case.title);
        }
    }
    assert_eq!(accepted, BEYOND_A_SCHEMA);
}

#[test]
fn it_knows_every_threshold_and_every_alert() {
    let schema = Schema::published();
    let detect = &schema.root["properties"]["detect"]["properties"];
    for setting in SETTINGS {
        let published = &detect[setting.key];
        assert_eq!(published["default"], setting.default, "{}", setting.key);
        assert_eq!((&published["minimum"], &published["maximum"]), (&setting.least.into(), &setting.most.into()));
    }
    assert_eq!(detect.as_object().unwrap().len(), SETTINGS.len() + 3, "and off, action, ban_unverified");
    let names: Vec<Value> = ALERTS.iter().map(|entry| entry.name.into()).collect();
    assert_eq!(detect["off"]["items"]["enum"], Value::Array(names));
}
