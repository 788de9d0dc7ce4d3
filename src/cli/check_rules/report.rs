//! The same as one JSON object, for programs.

use crate::alert::Settings;
use crate::rules::order::{Row, Section};
use crate::rules::{Diagnostic, Errors};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What `--json` prints.
#[derive(Default, Serialize)]
pub(super) struct Report<'r> {
    valid: bool,
    errors: Vec<Told<'r>>,
    /// Errors that are counted only.
    more_errors: usize,
    warnings: Vec<Told<'r>>,
    /// In the order in which they act.
    rules: Vec<Acting<'r>>,
    /// Thresholds of detection that are not the defaults.
    detect: BTreeMap<&'static str, u32>,
    /// Alerts that are not raised.
    detect_off: Vec<&'static str>,
    /// What is done about those that are.
    detect_action: &'static str,
}

/// An error or a warning.
#[derive(Serialize)]
struct Told<'r> {
    file: &'r str,
    line: Option<u32>,
    column: Option<u32>,
    path: &'r str,
    message: &'r str,
}

/// A row with its step.
#[derive(Serialize)]
struct Acting<'r> {
    step: u8,
    list: &'static str,
    #[serde(flatten)]
    row: &'r Row,
}

impl<'r> Report<'r> {
    pub(super) fn of_errors(errors: &'r Errors) -> Self {
        let more_errors = errors.more;
        let errors = errors.errors.iter().map(Told::from).collect();
        Self { valid: false, errors, more_errors, ..Self::default() }
    }

    pub(super) fn of_rules(warnings: &'r [Diagnostic], sections: &'r [Section], detect: &Settings) -> Self {
        let (set, off) = detect.changes();
        let acting = |section: &'r Section| {
            section.rows.iter().map(|row| Acting { step: section.step, list: section.name, row })
        };
        Self {
            valid: true,
            warnings: warnings.iter().map(Told::from).collect(),
            rules: sections.iter().flat_map(acting).collect(),
            detect: set.into_iter().collect(),
            detect_off: off,
            detect_action: detect.action.name(),
            ..Self::default()
        }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }
}

impl<'r> From<&'r Diagnostic> for Told<'r> {
    fn from(diagnostic: &'r Diagnostic) -> Self {
        let Diagnostic { file, place, path, message } = diagnostic;
        Self { file, line: place.map(|place| place.line), column: place.map(|place| place.column), path, message }
    }
}
