//! How much there is of something in a span of time, in fixed memory: a count for each key that begins anew with each
//! span.

/// Counts in a bucket.
const WAYS: usize = 4;
/// Buckets.
const BUCKETS: usize = 1024;

#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    /// 0 where there is none.
    key: u64,
    /// The number of the span.
    span: u32,
    count: u32,
}

/// The table. In a full bucket the smallest count gives way, of a span that is over first: what there is much of
/// stays.
#[derive(Debug)]
pub(super) struct Rates(Box<[[Rate; WAYS]]>);

impl Rates {
    pub(super) fn new() -> Self {
        Self(vec![[Rate::default(); WAYS]; BUCKETS].into())
    }

    /// Counts one more of `key` at the second `now`. How many there were in its span of `seconds`.
    pub(super) fn add(&mut self, key: u64, seconds: u32, now: u32) -> u32 {
        let span = now / seconds.max(1);
        let bucket = usize::try_from(key % BUCKETS as u64).ok().and_then(|at| self.0.get_mut(at));
        let Some(bucket) = bucket else { return 0 };
        let at = bucket.iter().position(|rate| rate.key == key);
        let rate = match at.and_then(|at| bucket.get_mut(at)) {
            Some(_) => at.and_then(|at| bucket.get_mut(at)),
            None => bucket.iter_mut().min_by_key(|rate| (rate.span == span, rate.count)),
        };
        let Some(rate) = rate else { return 0 };
        if rate.key != key || rate.span != span {
            *rate = Rate { key, span, count: 0 };
        }
        rate.count = rate.count.saturating_add(1);
        rate.count
    }

    /// Bytes that it takes, whatever comes.
    pub(super) const BYTES: usize = BUCKETS * WAYS * size_of::<Rate>();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_begins_anew_with_each_span() {
        let mut rates = Rates::new();
        assert_eq!([0, 0, 1, 1, 1].map(|now| rates.add(7, 1, now)), [1, 2, 1, 2, 3]);
        assert_eq!([60, 119, 120].map(|now| rates.add(8, 60, now)), [1, 2, 1]);
    }

    #[test]
    fn what_there_is_much_of_is_not_driven_out() {
        let mut rates = Rates::new();
        for n in 0..100_000_u64 {
            rates.add(1 + n * 8192, 1, 0);
            if n % 10 == 0 {
                rates.add(5, 1, 0);
            }
        }
        assert!(rates.add(5, 1, 0) > 9_000);
    }
}
