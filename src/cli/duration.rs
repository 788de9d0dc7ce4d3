//! Times as people type them: `90s`, `30m`, `2h`, `1d`, `1h 30m`, or a number of seconds.

use jiff::{Span, SpanRelativeTo, Unit};

/// The seconds of a time. A day has 24 hours, and a week seven days.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let mistake = || "a time is needed, such as 90s, 30m, 2h or 1d".to_owned();
    let seconds = if let Ok(seconds) = text.parse::<u64>() {
        seconds
    } else {
        let span: Span = text.parse().map_err(|_| mistake())?;
        let days = SpanRelativeTo::days_are_24_hours();
        let seconds = span.round(jiff::SpanRound::new().largest(Unit::Second).relative(days)).map_err(|_| mistake())?;
        u64::try_from(seconds.get_seconds()).map_err(|_| mistake())?
    };
    if seconds == 0 { Err("a second is the shortest time".to_owned()) } else { Ok(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_type_them() {
        for (text, expected) in
            [("90", 90), ("90s", 90), ("30m", 1_800), ("2h", 7_200), ("1d", 86_400), ("1w", 604_800), ("1h 30m", 5_400)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "0s", "-5m", "2 moons", "1mo", "1y", "h", "99999999999999999999"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
