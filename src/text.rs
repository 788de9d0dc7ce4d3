//! Values as people read them. Knows nothing of pfw.

use jiff::tz::TimeZone;

/// `text` without what changes the order or the look of the text around it on a terminal.
pub fn visible(text: &str) -> String {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// A number with a comma between each three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let commas = digits.char_indices().flat_map(|(index, digit)| {
        let comma = (index > 0 && (digits.len() - index).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    });
    commas.collect()
}

/// Seconds in the two largest units that say something: `2 h 5 min`.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Bytes in the largest unit that keeps a digit before the point: `12.3 MiB`.
pub fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    units.into_iter().find(|&(_, unit)| bytes >= unit).map_or_else(
        || format!("{bytes} bytes"),
        |(name, unit)| format!("{}.{} {name}", bytes / unit, u128::from(bytes % unit) * 10 / u128::from(unit)),
    )
}

/// An RFC 3339 time in this machine's zone, to the second; as it is if it is none.
pub fn time(text: &str) -> String {
    let local = |time: jiff::Timestamp| time.to_zoned(TimeZone::system()).strftime("%F %T").to_string();
    text.parse().map_or_else(|_| visible(text), local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_durations_and_sizes_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 59, 61, 7_500, 200_000].map(duration), ["0 s", "59 s", "1 min 1 s", "2 h 5 min", "2 d 7 h"]);
        assert_eq!(
            [0, 1_023, 1_024, 12_900_000, u64::MAX].map(size),
            ["0 bytes", "1023 bytes", "1.0 KiB", "12.3 MiB", "17179869183.9 GiB"]
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_shown() {
        assert_eq!(visible("a\u{1b}[2J\u{202e}b"), "a\u{fffd}[2J\u{fffd}b");
        assert_eq!(time("no time\n"), "no time\u{fffd}");
    }
}
