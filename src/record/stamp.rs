//! Time stamps in local time, the second made once and kept.

use super::bytes::six_digits;
use super::line::Format;
use super::pen::Pen;
use crate::time::Timestamp;
use jiff::tz::TimeZone;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Writes times in one form and one time zone.
///
/// The formatted second is kept, with its offset from UTC: as long as times stay within it, only the microseconds
/// are new. The offset is looked up for each new second, so that summer time begins when it begins.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    zone: TimeZone,
    format: Format,
    /// Beginning of the kept second, in nanoseconds since 1970.
    second: i64,
    /// The stamp of that second up to its microseconds: `2026-11-21T19:40:01.`
    date: [u8; 20],
    /// What stands behind them: `+01:00`, padded.
    offset: [u8; 8],
    offset_len: usize,
}

impl Stamp {
    /// RFC 3339 for text (`+01:00`), the form of Suricata's EVE for JSON (`+0100`).
    pub(super) fn new(format: Format, zone: TimeZone) -> Self {
        let mut stamp = Self { zone, format, second: 0, date: [b' '; 20], offset: [b' '; 8], offset_len: 0 };
        stamp.turn_to(Timestamp::default());
        stamp
    }

    /// Writes `time`, cut to microseconds: 32 bytes for text, 31 for JSON.
    #[inline]
    pub(super) fn write<'a>(&mut self, pen: Pen<'a>, time: Timestamp) -> Pen<'a> {
        // A time before the kept second becomes a huge number.
        let mut within = time.nanos().wrapping_sub(self.second).cast_unsigned();
        if within >= NANOS_PER_SECOND.cast_unsigned() {
            self.turn_to(time);
            within = u64::from(time.parts().1);
        }
        let micros = six_digits(u32::try_from(within / 1000).unwrap_or(0));
        pen.text(&self.date).padded(&micros.to_le_bytes(), 6).padded(&self.offset, self.offset_len)
    }

    /// Makes the stamp of the second that `time` lies in.
    #[cold]
    fn turn_to(&mut self, time: Timestamp) {
        let (seconds, nanos) = time.parts();
        self.second = time.nanos().saturating_sub(i64::from(nanos));
        // The range of `Timestamp` lies well within that of jiff's, so the defaults are never taken.
        let utc = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        // Before time zones were agreed on, offsets had odd seconds, which neither form can tell. Local time is then
        // given for the nearest minute of offset, so that the stamp still names the very instant.
        let minutes = self.zone.to_offset(utc).seconds().saturating_add(30).div_euclid(60);
        let offset = jiff::tz::Offset::from_seconds(minutes * 60).unwrap_or(jiff::tz::Offset::UTC);
        let local = offset.to_datetime(utc);
        let colon = if self.format == Format::Text { ":" } else { "" };
        let (date, time) = (local.date(), local.time());
        let date = format!("{date}T{:02}:{:02}:{:02}.", time.hour(), time.minute(), time.second());
        let sign = if minutes < 0 { '-' } else { '+' };
        let offset = format!("{sign}{:02}{colon}{:02}", minutes.abs() / 60, minutes.abs() % 60);
        fill(&mut self.date, &date);
        fill(&mut self.offset, &offset);
        self.offset_len = offset.len().min(self.offset.len());
    }
}

fn fill(place: &mut [u8], text: &str) {
    for (place, byte) in place.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::super::pen::Sheet;
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> TimeZone {
        match name {
            // As in the time zone database, but independent of whether this machine has one.
            "Berlin" => TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(),
            "New York" => TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap(),
            "Kathmandu" => TimeZone::posix("<+0545>-5:45").unwrap(),
            "Marquesas" => TimeZone::posix("<-0930>9:30").unwrap(),
            "Amsterdam before 1937" => TimeZone::fixed(jiff::tz::Offset::from_seconds(1172).unwrap()),
            _ => TimeZone::UTC,
        }
    }

    fn write(stamp: &mut Stamp, out: &mut Vec<u8>, time: Timestamp) {
        stamp.write(Sheet::new().pen(), time).end(out);
    }

    fn written(format: Format, zone: TimeZone, time: Timestamp) -> String {
        let mut out = Vec::new();
        write(&mut Stamp::new(format, zone), &mut out, time);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn has_the_form_of_the_contract() {
        let time = Timestamp::from_parts(1_795_286_401, 123_456_789);
        assert_eq!(written(Format::Text, zone("Berlin"), time), "2026-11-21T19:40:01.123456+01:00");
        assert_eq!(written(Format::Json, zone("Berlin"), time), "2026-11-21T19:40:01.123456+0100");
        assert_eq!(written(Format::Text, zone("Marquesas"), time), "2026-11-21T09:10:01.123456-09:30");
    }

    #[test]
    fn summer_time_begins_with_its_second() {
        let mut stamp = Stamp::new(Format::Text, zone("Berlin"));
        let begin = 1_774_746_000; // 2026-03-29T01:00:00Z
        let mut out = Vec::new();
        write(&mut stamp, &mut out, Timestamp::from_parts(begin - 1, 999_999_999));
        write(&mut stamp, &mut out, Timestamp::from_parts(begin, 0));
        assert_eq!(out, b"2026-03-29T01:59:59.999999+01:002026-03-29T03:00:00.000000+02:00");
    }

    #[test]
    fn the_ends_of_time_can_be_told() {
        let first = written(Format::Text, TimeZone::UTC, Timestamp::from_nanos(i64::MIN));
        assert_eq!(first, "1677-09-21T00:12:43.145224+00:00");
        assert_eq!(written(Format::Text, TimeZone::UTC, Timestamp::MAX), "2262-04-11T23:47:16.854775+00:00");
    }

    #[test]
    fn an_offset_with_seconds_is_rounded_and_the_instant_kept() {
        let text = written(Format::Text, zone("Amsterdam before 1937"), Timestamp::from_nanos(0));
        assert_eq!(text, "1970-01-01T00:20:00.000000+00:20");
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(
            times in prop::collection::vec((any::<i64>(), 0..3_000_000_000_i64), 1..4),
            name in prop::sample::select(vec!["Berlin", "New York", "Kathmandu", "Marquesas", "UTC"]),
        ) {
            let zone = zone(name);
            let (mut text, mut json) = (Stamp::new(Format::Text, zone.clone()), Stamp::new(Format::Json, zone.clone()));
            // Times that are near each other meet the kept second from both sides.
            for nanos in times.into_iter().flat_map(|(time, later)| [time, time.saturating_add(later), time]) {
                let second = jiff::Timestamp::from_second(nanos.div_euclid(NANOS_PER_SECOND)).unwrap();
                let micros = nanos.rem_euclid(NANOS_PER_SECOND) / 1000;
                let expected = second.to_zoned(zone.clone()).strftime(&format!("%Y-%m-%dT%H:%M:%S.{micros:06}%:z")).to_string();
                let mut out = Vec::new();
                write(&mut text, &mut out, Timestamp::from_nanos(nanos));
                prop_assert_eq!(std::str::from_utf8(&out).unwrap(), &expected);
                let mut out = Vec::new();
                write(&mut json, &mut out, Timestamp::from_nanos(nanos));
                let (before, minutes) = expected.rsplit_once(':').unwrap();
                prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{before}{minutes}"));
            }
        }
    }
}
