//! What is remembered of a key for a while: that it is not worth waiting for, or that its origin has failed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{freshness::is_ahead, ttl::deadline};

/// How many markers are kept; a power of two.
const SLOTS: usize = 4_096;

/// The bits of a slot that say when it ends, in UNIX milliseconds: enough for 500 years.
const TIME: u64 = (1 << 44) - 1;

/// A table of fixed size in which newer markers overwrite older ones.
///
/// Each slot is 20 bits of the key's hash and the time at which the marker ends. Two keys that agree in 32 bits are
/// taken for one, of which the caller makes sure that it costs no more than some speed.
#[derive(Debug)]
pub(crate) struct Markers(Box<[AtomicU64]>);

impl Default for Markers {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Markers {
    /// `now` in UNIX milliseconds.
    pub(crate) fn set(&self, hash: u64, now: u64, lifetime: Duration) {
        let until = deadline(now, Some(lifetime)).min(TIME);
        self.slot(hash).store(tag(hash) | until, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self, hash: u64, now: u64) -> bool {
        let marker = self.slot(hash).load(Ordering::Relaxed);
        marker & !TIME == tag(hash) && is_ahead(now, marker & TIME)
    }

    pub(crate) fn remove(&self, hash: u64) {
        let slot = self.slot(hash);
        let marker = slot.load(Ordering::Relaxed);
        if marker != 0 && marker & !TIME == tag(hash) {
            slot.store(0, Ordering::Relaxed);
        }
    }

    fn slot(&self, hash: u64) -> &AtomicU64 {
        // The lower bits choose the slot, the upper ones are the tag.
        &self.0[usize::from((hash & 0xffff) as u16) % SLOTS]
    }
}

fn tag(hash: u64) -> u64 {
    hash & !TIME
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_marker_holds_for_its_time_and_can_be_taken_back() {
        let markers = Markers::default();
        let hash = 0x1234_5678_9abc_def0;
        markers.set(hash, 1_000_000, MINUTE);
        assert!(markers.is_set(hash, 1_059_999));
        assert!(!markers.is_set(hash, 1_060_000));
        assert!(!markers.is_set(hash ^ (1 << 50), 1_000_000));

        markers.set(hash, 1_000_000, MINUTE);
        markers.remove(hash);
        assert!(!markers.is_set(hash, 1_000_000));
    }

    #[test]
    fn a_marker_without_end_is_one_of_five_hundred_years() {
        let markers = Markers::default();
        markers.set(7 << 60, 1_000_000, Duration::MAX);
        assert!(markers.is_set(7 << 60, 1_000_000 + (1 << 43)));
        assert!(!markers.is_set(8 << 60, 1_000_000));
    }
}
