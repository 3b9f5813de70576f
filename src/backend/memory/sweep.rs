use std::{collections::VecDeque, sync::Mutex};

use super::entry::Key;

/// How many keys are looked at in one step.
const STEP: usize = 4;

/// Finds entries that expired, a few at each store, so that there need be no background task.
///
/// A queue of keys that goes round, one place at each store. It is an aid and no index: it is bounded, keys of entries
/// that are gone stay in it until their time, and an entry that it does not hold is found by the next read or goes by
/// eviction.
pub(super) struct Sweeper {
    queue: Mutex<VecDeque<(u64, Key)>>,
    bound: usize,
}

impl Sweeper {
    pub(super) fn new(bound: usize) -> Self {
        Self { queue: Mutex::new(VecDeque::new()), bound }
    }

    /// Notes a key, and has a few whose time is over looked at.
    pub(super) fn step(&self, key: &Key, expires: u64, now: u64, remove_if_expired: impl Fn(&Key)) {
        // Whoever finds it locked leaves the work to the one who holds it.
        let Ok(mut queue) = self.queue.try_lock() else { return };
        for _ in 0..STEP {
            match queue.pop_front() {
                None => break,
                Some((until, key)) if until <= now => remove_if_expired(&key),
                Some(later) => {
                    queue.push_back(later);
                    break;
                }
            }
        }
        // An entry without an end is only ever removed by name or by eviction.
        if expires != u64::MAX && queue.len() < self.bound {
            queue.push_back((expires, key.clone()));
        }
    }
}
