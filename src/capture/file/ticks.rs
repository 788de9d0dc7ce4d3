//! Time stamps of capture files: ticks of any resolution, as nanoseconds since 1970.

use crate::time::Timestamp;

const NANOS: u64 = 1_000_000_000;

/// How an interface's clock counts: pcapng's `if_tsresol` and `if_tsoffset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks {
    per_second: PerSecond,
    /// Nanoseconds that are added.
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PerSecond {
    /// A tick is a whole number of nanoseconds, as nearly everywhere.
    Nanos(u64),
    /// So many ticks are a second.
    Ticks(u64),
}

impl Ticks {
    /// Microseconds since 1970, what a file means that says nothing else.
    pub(super) const MICROS: Self = Self { per_second: PerSecond::Nanos(1000), offset: 0 };
    /// Nanoseconds since 1970.
    pub(super) const NANOS: Self = Self { per_second: PerSecond::Nanos(1), offset: 0 };

    /// From the byte `if_tsresol` (a negative power of ten, or of two if the upper bit is set) and `if_tsoffset` in
    /// seconds. `None`: the resolution is finer than 64 bits can tell (10^-19, 2^-63).
    pub(super) fn new(resolution: u8, offset_seconds: i64) -> Option<Self> {
        let exponent = u32::from(resolution & 0x7f);
        let ticks = if resolution & 0x80 == 0 { 10_u64.checked_pow(exponent)? } else { 1_u64.checked_shl(exponent)? };
        let per_second =
            if NANOS.is_multiple_of(ticks) { PerSecond::Nanos(NANOS / ticks) } else { PerSecond::Ticks(ticks) };
        Some(Self { per_second, offset: offset_seconds.saturating_mul(NANOS.cast_signed()) })
    }

    /// The time of `ticks`, clamped to what can be told.
    pub(super) fn time(self, ticks: u64) -> Timestamp {
        let nanos = match self.per_second {
            PerSecond::Nanos(nanos) => ticks.saturating_mul(nanos),
            PerSecond::Ticks(per_second) => {
                let (seconds, rest) = (ticks / per_second, ticks % per_second);
                let fraction = u128::from(rest) * u128::from(NANOS) / u128::from(per_second);
                // A rest of less than a second is less than 10^9 nanoseconds.
                seconds.saturating_mul(NANOS).saturating_add(u64::try_from(fraction).unwrap_or(NANOS))
            }
        };
        Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX).saturating_add(self.offset))
    }

    /// The time of `seconds` and `ticks` beyond, which may be a second or more.
    pub(super) fn time_of_parts(self, seconds: u32, ticks: u32) -> Timestamp {
        let whole = u64::from(seconds) * NANOS;
        Timestamp::from_nanos(
            i64::try_from(whole).unwrap_or(i64::MAX).saturating_add(self.time(u64::from(ticks)).nanos()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(resolution: u8, offset: i64, ticks: u64) -> i64 {
        Ticks::new(resolution, offset).unwrap().time(ticks).nanos()
    }

    #[test]
    fn every_resolution_gives_the_same_instant() {
        assert_eq!(nanos(0, 0, 3), 3_000_000_000);
        assert_eq!(nanos(3, 0, 3_500), 3_500_000_000);
        assert_eq!(nanos(6, 0, 3_500_000), 3_500_000_000);
        assert_eq!(nanos(9, 0, 3_500_000_000), 3_500_000_000);
        assert_eq!(nanos(12, 0, 3_500_000_000_000), 3_500_000_000);
        assert_eq!(nanos(0x80, 0, 3), 3_000_000_000);
        assert_eq!(nanos(0x81, 0, 7), 3_500_000_000);
        assert_eq!(nanos(0xa0, 0, 7 << 31), 3_500_000_000);
        assert_eq!(nanos(0xbc, 0, 7 << 59), 3_500_000_000);
    }

    #[test]
    fn an_offset_moves_the_epoch_in_both_directions() {
        assert_eq!(nanos(6, 10, 1), 10_000_001_000);
        assert_eq!(nanos(6, -10, 1), -9_999_999_000);
    }

    #[test]
    fn what_cannot_be_told_is_clamped() {
        assert_eq!(nanos(6, 0, u64::MAX), i64::MAX);
        assert_eq!(nanos(0xbf, i64::MAX, u64::MAX), i64::MAX);
        assert_eq!(nanos(6, i64::MIN, 0), i64::MIN);
    }

    #[test]
    fn a_resolution_beyond_64_bits_is_refused() {
        assert!(Ticks::new(19, 0).is_some());
        assert_eq!(Ticks::new(20, 0), None);
        assert!(Ticks::new(0xbf, 0).is_some());
        assert_eq!(Ticks::new(0xc0, 0), None);
    }

    #[test]
    fn parts_may_hold_more_than_a_second() {
        assert_eq!(Ticks::MICROS.time_of_parts(1, 1_500_000).nanos(), 2_500_000_000);
        assert_eq!(Ticks::NANOS.time_of_parts(u32::MAX, 7).nanos(), 4_294_967_295_000_000_007);
    }
}
