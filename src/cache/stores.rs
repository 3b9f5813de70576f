//! Whether an entry was stored between the look of a caller and its turn.

use std::sync::atomic::Ordering;

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

    /// Something is stored under a key with this hash.
    pub(super) fn note(&self, hash: u64) {
        let store = self.count.fetch_add(1, Ordering::AcqRel) + 1;
        self.lane(hash).fetch_max(store, Ordering::Release);
    }

    /// Whether something may have been stored under a key with this hash, since there were so many.
    pub(super) fn has_changed(&self, hash: u64, since: u64) -> bool {
        self.lane(hash).load(Ordering::Acquire) > since
    }

    fn lane(&self, hash: u64) -> &AtomicU64 {
        &self.last[usize::from((hash & 0xffff) as u16) % LANES]
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_noted_for_those_who_looked_before_it() {
        let stores = Stores::default();
        stores.note(3);
        let before = stores.now();
        assert!(!stores.has_changed(3, before));
        stores.note(3);
        assert!(stores.has_changed(3, before) && !stores.has_changed(4, before));
        assert!(!stores.has_changed(3, stores.now()));
    }
}
