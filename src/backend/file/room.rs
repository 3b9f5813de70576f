//! What keeps the directory within its bounds.

use std::{
    cmp::Reverse,
    sync::{PoisonError, TryLockError, Weak, atomic::Ordering},
    thread,
};

use super::{
    place::{Name, Place, SHARDS},
    shard::{Listed, weight},
    store::{Store, unlink},
};
use crate::stamps;

/// Of so many entries at least, or of all, those go that were not used for the longest time. It is as many as one shard
/// has of a large cache; a small one is looked through, and its order is exact.
const SAMPLE: usize = 512;

/// What is removed at once: the work of looking is shared by so many stores.
const BATCH: u64 = 64;
const BATCH_BYTES: u64 = 4 << 20;

/// A shard is listed after so many stores, or a sixteenth of what it has: a few microseconds a store.
const PACE: u64 = 64;
const PACE_SHARE: u64 = 16;

/// So many entries are asked for their end when a shard is listed.
const ASKED: usize = 32;

/// An entry of a sample.
#[derive(Clone, Copy)]
struct Candidate {
    shard: usize,
    listed: Listed,
}

impl Store {
    /// After a store: makes room if there is too much, or looks at one shard now and then.
    pub(super) fn keep_bounds(&self, place: Place) {
        // What was stored is there. What cannot be listed or removed now can be with the next store.
        if self.is_over() {
            self.make_room(Some(place.name));
        } else {
            self.look_around();
        }
    }

    fn is_over(&self) -> bool {
        self.tally.entries() > self.max_entries || self.tally.bytes() > self.max_bytes
    }

    /// Removes what was not used for the longest time until all is within the bounds, and a little below.
    fn make_room(&self, newest: Option<Name>) {
        // One at a time: the others leave it to that one.
        let _room = match self.room.try_lock() {
            Ok(room) => room,
            // There is nothing in it that a panic could have left undone.
            Err(TryLockError::Poisoned(room)) => room.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let most_entries = self.max_entries - (self.max_entries / 16).min(BATCH);
        let most_bytes = self.max_bytes - (self.max_bytes / 16).min(BATCH_BYTES);
        while self.is_over() {
            let sample = self.sample(newest);
            // It was a wrong count; or nothing can be removed.
            if !self.is_over() {
                break;
            }
            let share = (sample.len() / 4).max(1);
            let mut removed = 0;
            for candidate in &sample {
                removed += usize::from(self.evict(candidate));
                if self.tally.entries() <= most_entries && self.tally.bytes() <= most_bytes {
                    return;
                }
                if removed == share {
                    break;
                }
            }
            if removed == 0 {
                break;
            }
        }
    }

    /// Removes some of what was not used, for the disk is full: so much that this many bytes have room, or what others
    /// find room in too. Says whether it did, or somebody else has since `seen`.
    pub(super) fn make_room_on_disk(&self, bytes: u64, seen: u64) -> bool {
        let _room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rounds.load(Ordering::Acquire) != seen {
            return true;
        }
        // Nothing is free that is not ours to use: of a quota nothing is known but that it is reached.
        let missing = weight(bytes).saturating_sub(self.folder.free().unwrap_or(0));
        // More than all that is there, also of what others stored that was not counted yet: nothing goes for nothing.
        if missing > self.tally.bytes() && missing > self.count() {
            return false;
        }
        let (mut removed, mut freed) = (0, 0);
        loop {
            let sample = self.sample(None);
            let share = (sample.len() / 4).max(1);
            let before = removed;
            for candidate in &sample {
                if removed - before >= share && freed >= missing {
                    break;
                }
                if self.evict(candidate) {
                    removed += 1;
                    freed += candidate.listed.bytes;
                }
            }
            if freed >= missing || removed == before {
                break;
            }
        }
        if removed > 0 {
            self.rounds.fetch_add(1, Ordering::Release);
        }
        removed > 0
    }

    /// Entries of the next shards, in the order in which they go: what expired, then what was not used for long.
    fn sample(&self, newest: Option<Name>) -> Vec<Candidate> {
        let now = self.clock.now();
        let mut sample = Vec::new();
        for _ in 0..SHARDS {
            // A shard that cannot be listed keeps no other from giving room.
            let Some((shard, entries)) = self.list_next() else { continue };
            let others = entries.into_iter().filter(|entry| Some(entry.name) != newest);
            sample.extend(others.map(|listed| Candidate { shard, listed }));
            if sample.len() >= SAMPLE {
                break;
            }
        }
        sample.sort_by_key(|candidate| (Reverse(has_ended(candidate.listed, now)), candidate.listed.used));
        sample
    }

    /// Removes an entry, unless it was used or replaced since it was listed, cannot be removed, or is in a shard that a
    /// process holds: another one goes in its place.
    fn evict(&self, candidate: &Candidate) -> bool {
        let Ok(Some(shard)) = self.folder.shard(candidate.shard) else { return false };
        let name = candidate.listed.name;
        let removed = self.change_soon(candidate.shard, &shard, |turn| {
            Ok(shard.look(name) == Some(candidate.listed) && unlink(turn, &shard, name)?)
        });
        let removed = matches!(removed, Ok(Some(true)));
        if removed && !has_ended(candidate.listed, self.clock.now()) {
            self.tally.evictions.fetch_add(1, Ordering::Relaxed);
        }
        removed
    }

    /// Lists the next shard, once in a while: counts it, sweeps it, and removes some of what expired.
    fn look_around(&self) {
        let stores = self.stores.fetch_add(1, Ordering::Relaxed) + 1;
        if stores < PACE.max(self.tally.entries() / SHARDS as u64 / PACE_SHARE) {
            return;
        }
        self.stores.store(0, Ordering::Relaxed);
        let now = self.clock.now();
        let Some((number, entries)) = self.list_next() else { return };
        let Ok(Some(shard)) = self.folder.shard(number) else { return };
        let ended: Vec<_> = entries.into_iter().filter(|entry| has_ended(*entry, now)).collect();
        let from = usize::try_from(stamps::fresh()).unwrap_or(0) % ended.len().max(1);
        for entry in ended.iter().cycle().skip(from).take(ASKED.min(ended.len())) {
            // One that cannot be removed keeps no other from it.
            let _ = self.change_soon(number, &shard, |turn| {
                // The times of a file are a hint, what it says itself is not.
                let is_over = shard.read_key(&entry.name)?.is_some_and(|(expires, _)| expires <= now);
                Ok(is_over && unlink(turn, &shard, entry.name)?)
            });
        }
        if self.is_over() {
            self.make_room(None);
        }
    }

    fn list_next(&self) -> Option<(usize, Vec<Listed>)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        Some((number, self.list(number)?))
    }

    /// Counts what is there, and says how many bytes it is. What cannot be counted now is with the stores.
    fn count(&self) -> u64 {
        for number in 0..SHARDS {
            let _ = self.list(number);
        }
        self.tally.bytes()
    }

    /// Lists a shard, and counts it by that; `None` if that cannot be done now.
    fn list(&self, number: usize) -> Option<Vec<Listed>> {
        // So that nothing is counted twice that this process changes meanwhile.
        let mut turn = self.tally.turn_soon(number)?;
        let entries = match self.folder.shard(number).ok()? {
            Some(shard) => shard.list().ok()?,
            None => Vec::new(),
        };
        turn.recount(&entries);
        Some(entries)
    }
}

/// Counts what is there, on a thread that ends with it, or when the backend is gone.
pub(super) fn count(store: Weak<Store>) {
    // Without a thread it is counted as it is stored to.
    let _ = thread::Builder::new().name("axum-caching-count".to_owned()).spawn(move || {
        for number in 0..SHARDS {
            let Some(store) = store.upgrade() else { return };
            // As in `Store::count`, but that it ends when the backend is gone.
            let _ = store.list(number);
        }
        let Some(store) = store.upgrade() else { return };
        store.tally.is_whole.store(true, Ordering::Release);
        if store.is_over() {
            store.make_room(None);
        }
    });
}

/// Whether the times of a file say that it expired.
fn has_ended(entry: Listed, now: u64) -> bool {
    entry.ends != 0 && entry.ends <= now
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{backend::FileBackend, value::Value};

    #[test]
    fn a_panic_while_room_is_made_keeps_nobody_from_making_room() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileBackend::builder(folder.path()).max_entries(1).build().unwrap().store;
        let other = Arc::clone(&store);
        let panicked = std::thread::spawn(move || {
            let _room = other.room.lock();
            panic!("in the middle of it");
        });
        assert!(panicked.join().is_err() && store.room.is_poisoned());
        for key in ["one", "two", "three"] {
            store.set(key, &Value::integer(1), None).unwrap();
            assert_eq!(store.tally.entries(), 1);
        }
        assert!(store.make_room_on_disk(1, 0), "and on a full disk");
        assert_eq!(store.tally.entries(), 0);
        assert!(store.make_room_on_disk(1, 0), "somebody else has");
        assert!(!store.make_room_on_disk(1, 1), "nothing is left");
    }
}
