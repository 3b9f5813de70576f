//! What is remembered of a key for a while: that it is not worth waiting for, or that its origin has failed.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{freshness::is_ahead, ttl::deadline};

/// How many sets of places there are; a power of two.
const SETS: usize = 2_048;

/// The places of a set: a line of the processor's cache.
const WAYS: usize = 8;

/// The bits of a place that say when it ends, in UNIX milliseconds: enough for 500 years.
const TIME: u64 = (1 << 44) - 1;

/// A table of fixed size, in which a marker that finds its set full takes the place of the one that ends first.
///
/// Up to 4 000 or so are kept, and of more than that most. Each place is 20 bits of the key's hash and the time at which the
/// marker ends. Two keys that agree in these bits and in their set are taken for one, of which the caller makes sure that
/// it costs no more than some speed.
///
/// One that sees no marker takes no memory.
#[derive(Debug, Default)]
pub(crate) struct Markers(OnceLock<Box<[[AtomicU64; WAYS]]>>);

impl Markers {
    /// `now` in UNIX milliseconds.
    pub(crate) fn set(&self, hash: u64, now: u64, lifetime: Duration) {
        let until = deadline(now, Some(lifetime)).min(TIME);
        let sets = self.0.get_or_init(|| (0..SETS).map(|_| Default::default()).collect());
        let places = &sets[number(hash)];
        let is_own = |place: &&AtomicU64| is_of(place.load(Ordering::Relaxed), hash);
        let ends = |place: &&AtomicU64| place.load(Ordering::Relaxed) & TIME;
        // What has ended ends before all others. Two callers may take one place: then one marker is lost.
        let place = places.iter().find(is_own).or_else(|| places.iter().min_by_key(ends));
        if let Some(place) = place {
            place.store(tag(hash) | until, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_set(&self, hash: u64, now: u64) -> bool {
        let is_ahead = |marker: u64| is_of(marker, hash) && is_ahead(now, marker & TIME);
        self.places(hash).iter().any(|place| is_ahead(place.load(Ordering::Relaxed)))
    }

    pub(crate) fn remove(&self, hash: u64) {
        for place in self.places(hash) {
            if is_of(place.load(Ordering::Relaxed), hash) {
                place.store(0, Ordering::Relaxed);
            }
        }
    }

    fn places(&self, hash: u64) -> &[AtomicU64] {
        self.0.get().map_or(&[], |sets| &sets[number(hash)])
    }
}

/// The lower bits choose the set, the upper ones are the tag.
fn number(hash: u64) -> usize {
    usize::from((hash & 0xffff) as u16) % SETS
}

fn tag(hash: u64) -> u64 {
    hash & !TIME
}

/// Whether a place has a marker of the key; an empty one has none.
fn is_of(marker: u64, hash: u64) -> bool {
    marker != 0 && marker & !TIME == tag(hash)
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

    #[test]
    fn keys_of_one_set_do_not_push_each_other_out_until_it_is_full() {
        let markers = Markers::default();
        let key = |n: usize| (n as u64) << 44;
        let are_set =
            |keys: std::ops::Range<usize>| keys.map(|n| markers.is_set(key(n), 1_000_000)).collect::<Vec<_>>();
        for n in 0..WAYS {
            markers.set(key(n), 1_000_000, MINUTE + Duration::from_secs(n as u64));
        }
        assert_eq!(are_set(0..WAYS), [true; WAYS]);
        markers.set(key(3), 1_000_000, 2 * MINUTE);
        assert_eq!(are_set(0..WAYS), [true; WAYS], "one that is there already takes no other place");

        markers.set(key(WAYS), 1_000_000, MINUTE);
        assert_eq!(
            are_set(0..WAYS + 1),
            [false, true, true, true, true, true, true, true, true],
            "the first to end goes"
        );
    }

    #[test]
    fn thousands_of_keys_have_their_markers_at_once() {
        use std::hash::BuildHasher;
        let markers = Markers::default();
        let hasher = foldhash::quality::FixedState::with_seed(7);
        let keys: Vec<u64> = (0..4_000).map(|n: u64| hasher.hash_one(n)).collect();
        for key in &keys {
            markers.set(*key, 1_000_000, MINUTE);
        }
        let kept = keys.iter().filter(|key| markers.is_set(**key, 1_000_000)).count();
        assert!(kept >= 3_990, "{kept}");
    }
}
