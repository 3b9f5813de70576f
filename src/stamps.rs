//! Random stamps, compared for equality and nothing else. A purge replaces one; no clock and no counter is involved.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, atomic::Ordering},
};

use crate::sync::{AtomicU64, DashMap};

/// A number that was never used before and is not 0, which stands for "no stamp".
pub(crate) fn fresh() -> u64 {
    #[cfg(feature = "testing")]
    if let Some(stamp) = seeded::next() {
        return stamp;
    }
    // Each `RandomState` has keys of its own, from the randomness of the operating system.
    RandomState::new().hash_one(0_u8) | 1
}

/// Stamps that come again with their seed, so that a simulation can be repeated.
#[cfg(feature = "testing")]
pub(crate) mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    pub(crate) fn begin(seed: u64) {
        STATE.set(Some(seed));
    }

    /// The next one of `SplitMix64`.
    pub(super) fn next() -> Option<u64> {
        let state = STATE.get()?.wrapping_add(0x9e37_79b9_7f4a_7c15);
        STATE.set(Some(state));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some((mixed ^ (mixed >> 31)) | 1)
    }
}

/// A number from 0 to 1, by chance.
pub(crate) fn draw() -> f64 {
    f64::from(u32::try_from(fresh() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

/// The stamp of one namespace, or of one function. Replacing it makes every entry that was stored under it, or will
/// be, unreachable.
#[derive(Clone, Debug)]
pub(crate) struct Stamp(Arc<AtomicU64>);

impl Stamp {
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Whether two are the same stamp, not only of the same value.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Tells this stamp from others, for as long as it is there.
    #[inline]
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    pub(crate) fn replace(&self) {
        self.0.store(fresh(), Ordering::Release);
    }
}

/// The stamps of all namespaces of a cache, by prefix.
#[derive(Debug, Default)]
pub(crate) struct Stamps(DashMap<Box<str>, Stamp>);

impl Stamps {
    /// The stamp of a namespace; the same one at every call.
    pub(crate) fn of(&self, prefix: &str) -> Stamp {
        self.0.entry(prefix.into()).or_insert_with(|| Stamp(Arc::new(AtomicU64::new(fresh())))).clone()
    }

    /// Replaces the stamps of every namespace whose prefix begins with `subtree`.
    pub(crate) fn replace(&self, subtree: &str) {
        self.0.iter().filter(|stamp| stamp.key().starts_with(subtree)).for_each(|stamp| stamp.replace());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_do_not_repeat() {
        let stamps: std::collections::HashSet<_> = (0..10_000).map(|_| fresh()).collect();
        assert_eq!(stamps.len(), 10_000);
    }

    #[cfg(feature = "testing")]
    #[test]
    fn stamps_come_again_with_their_seed_and_on_their_thread_alone() {
        let seeded = |seed| {
            let drawn = std::thread::spawn(move || {
                seeded::begin(seed);
                (0..1_000).map(|_| fresh()).collect::<Vec<_>>()
            });
            drawn.join().expect("it only draws")
        };
        let first = seeded(7);
        assert_eq!(first, seeded(7));
        assert_ne!(first, seeded(8));
        assert_eq!(first.iter().collect::<std::collections::HashSet<_>>().len(), 1_000);
        assert!(!first.contains(&fresh()));
    }

    #[test]
    fn replacing_reaches_the_subtree_and_nothing_beside_it() {
        let stamps = Stamps::default();
        let (inside, beside) = (stamps.of("@1:a@1:b/"), stamps.of("@1:c/"));
        let before = (inside.now(), beside.now());
        stamps.replace("@1:a");
        assert_ne!(inside.now(), before.0);
        assert_eq!(beside.now(), before.1);
    }
}
