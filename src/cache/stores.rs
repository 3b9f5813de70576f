//! Whether an entry was stored between the look of a caller and its turn.

use std::{hash::BuildHasher, sync::atomic::Ordering};

use foldhash::quality::FixedState;

use crate::sync::AtomicU64;

/// As many as the models can follow, under them.
const LANES: usize = if cfg!(all(test, model)) { 1 } else { 1_024 };

/// All stores of this process are counted, and keys share so many lanes: the number of the last store in each. A caller
/// may take the store of another key for one of its own, which costs it a look.
#[derive(Debug)]
pub(super) struct Stores {
    count: AtomicU64,
    last: Box<[AtomicU64]>,
}

impl Default for Stores {
    fn default() -> Self {
        Self { count: AtomicU64::new(0), last: (0..LANES).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Stores {
    /// How many there were, before a look begins.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Something is stored under a key.
    pub(super) fn note(&self, key: &str) {
        let store = self.count.fetch_add(1, Ordering::AcqRel) + 1;
        self.lane(key).fetch_max(store, Ordering::Release);
    }

    /// Whether something may have been stored under a key, since there were so many.
    pub(super) fn has_changed(&self, key: &str, since: u64) -> bool {
        since != self.now() && self.lane(key).load(Ordering::Acquire) > since
    }

    /// The same one in every process, so that what is played again takes the same way: who finds keys of one lane gains
    /// nothing by it.
    fn lane(&self, key: &str) -> &AtomicU64 {
        &self.last[usize::from((FixedState::default().hash_one(key) & 0xffff) as u16) % LANES]
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_noted_for_those_who_looked_before_it() {
        let stores = Stores::default();
        stores.note("a");
        let before = stores.now();
        assert!(!stores.has_changed("a", before));
        stores.note("a");
        assert!(stores.has_changed("a", before) && !stores.has_changed("b", before));
        assert!(!stores.has_changed("a", stores.now()));
    }
}
