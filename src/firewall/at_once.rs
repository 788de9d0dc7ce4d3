//! The same for both families at once: each has its own tools and its own tables, and most of what a tool takes it
//! waits for the kernel. Those of iptables-legacy share one lock, and take turns.

use super::error::Error;
use super::family::Family;
use super::tools::Tools;
use std::collections::BTreeMap;
use std::panic;
use std::thread;

/// Does `work` with what each family has to it, all at once; what came of it. All have ended when this returns.
///
/// # Errors
///
/// The first one, in the order of the families.
pub(super) fn at_once<I: Send, O: Send>(
    tools: &Tools,
    families: impl IntoIterator<Item = (Family, I)>,
    work: impl Fn(Family, I) -> Result<O, Error> + Sync,
) -> Result<BTreeMap<Family, O>, Error> {
    if tools.is_legacy() {
        let done = families.into_iter().map(|(family, item)| Ok((family, work(family, item)?)));
        return done.collect();
    }
    let work = &work;
    thread::scope(|scope| {
        let started = families.into_iter().map(|(family, item)| (family, scope.spawn(move || work(family, item))));
        let started: Vec<_> = started.collect();
        // A panic goes on where it would have without threads.
        let ended = started.into_iter().map(|(family, thread)| {
            let result = thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
            result.map(|output| (family, output))
        });
        ended.collect::<Vec<_>>().into_iter().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn both_are_worked_at_together() {
        let both_are_there = Barrier::new(2);
        let work = |family: Family, number: u32| {
            both_are_there.wait();
            Ok((family, number))
        };
        let done = at_once(&Tools::named("nf_tables"), Family::BOTH.into_iter().zip([6, 4]), work);
        let expected = [(Family::V4, (Family::V4, 4)), (Family::V6, (Family::V6, 6))];
        assert_eq!(done.expect("neither fails"), BTreeMap::from(expected));
    }

    #[test]
    fn a_failure_of_one_waits_for_the_other_unless_they_take_turns() {
        for (version, all) in [("nf_tables", 2), ("legacy", 1)] {
            let ended = AtomicUsize::new(0);
            let work = |family: Family, ()| {
                ended.fetch_add(1, Ordering::SeqCst);
                if family == Family::V6 { Err(Error::Missing(vec!["ip6tables".to_owned()])) } else { Ok(()) }
            };
            let done = at_once(&Tools::named(version), Family::BOTH.into_iter().zip([(), ()]), work);
            assert!(matches!(done, Err(Error::Missing(_))), "{done:?}");
            assert_eq!(ended.into_inner(), all, "{version}");
        }
    }
}
