//! Keys that are not worth waiting for: whose last answer could not be shared.

use std::sync::atomic::{AtomicU64, Ordering};

/// How long a marker holds, in seconds.
const LIFETIME: u64 = 60;

/// How many markers are kept; a power of two.
const SLOTS: usize = 4_096;

/// A table of fixed size in which newer markers overwrite older ones.
///
/// Each slot is 32 bits of the key's hash and the second at which the marker ends. Two keys that agree in 44 bits are
/// taken for one; all that is lost then is that callers run the origin beside each other for a while.
#[derive(Debug)]
pub(crate) struct Markers(Box<[AtomicU64]>);

impl Default for Markers {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Markers {
    /// `now` in UNIX milliseconds.
    pub(crate) fn set(&self, hash: u64, now: u64) {
        let until = (now / 1_000 + LIFETIME) & u64::from(u32::MAX);
        self.slot(hash).store(tag(hash) | until, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self, hash: u64, now: u64) -> bool {
        let marker = self.slot(hash).load(Ordering::Relaxed);
        marker & !u64::from(u32::MAX) == tag(hash) && (marker & u64::from(u32::MAX)) > now / 1_000
    }

    pub(crate) fn remove(&self, hash: u64) {
        let slot = self.slot(hash);
        let marker = slot.load(Ordering::Relaxed);
        if marker != 0 && marker & !u64::from(u32::MAX) == tag(hash) {
            slot.store(0, Ordering::Relaxed);
        }
    }

    fn slot(&self, hash: u64) -> &AtomicU64 {
        // The lower bits choose the slot, the upper ones are the tag.
        &self.0[usize::from((hash & 0xffff) as u16) % SLOTS]
    }
}

fn tag(hash: u64) -> u64 {
    hash & !u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_holds_for_a_minute_and_can_be_taken_back() {
        let markers = Markers::default();
        let hash = 0x1234_5678_9abc_def0;
        markers.set(hash, 1_000_000);
        assert!(markers.is_set(hash, 1_059_999));
        assert!(!markers.is_set(hash, 1_060_000));
        assert!(!markers.is_set(hash ^ (1 << 40), 1_000_000));

        markers.set(hash, 1_000_000);
        markers.remove(hash);
        assert!(!markers.is_set(hash, 1_000_000));
    }
}
