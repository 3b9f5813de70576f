use std::{collections::VecDeque, sync::Mutex};

use super::entry::Key;

/// How many keys are looked at in one step.
const STEP: usize = 4;

/// What a place in the queue takes beside the text of its key.
const PLACE: usize = 56;

/// The share of the bytes of a backend that the queue may take beside them.
const SHARE: usize = 16;

/// Finds entries that expired, a few at each store, so that there need be no background task.
///
/// A queue of keys that goes round, one place at each store. It is an aid and no index: it is bounded, keys of entries
/// that are gone stay in it until their time, and an entry that it does not hold is found by the next read or goes by
/// eviction.
pub(super) struct Sweeper {
    queue: Mutex<Queue>,
    bound: usize,
}

#[derive(Default)]
struct Queue {
    places: VecDeque<(u64, Key)>,
    bytes: usize,
}

impl Sweeper {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { queue: Mutex::default(), bound: max_bytes / SHARE }
    }

    /// Notes a key, and has a few whose time is over looked at.
    pub(super) fn step(&self, key: &Key, expires: u64, now: u64, remove_if_expired: impl Fn(&Key)) {
        // Whoever finds it locked leaves the work to the one who holds it.
        let Ok(mut queue) = self.queue.try_lock() else { return };
        for _ in 0..STEP {
            match queue.places.pop_front() {
                None => break,
                Some((until, key)) if until <= now => {
                    queue.bytes -= PLACE + key.len();
                    remove_if_expired(&key);
                }
                Some(later) => {
                    queue.places.push_back(later);
                    break;
                }
            }
        }
        let bytes = queue.bytes + PLACE + key.len();
        // An entry without an end is only ever removed by name or by eviction.
        if expires != u64::MAX && bytes <= self.bound {
            queue.bytes = bytes;
            queue.places.push_back((expires, key.clone()));
        }
    }
}
