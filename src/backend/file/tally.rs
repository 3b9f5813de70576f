//! How much is there, as far as this process knows.
//!
//! A shard is counted by listing it: at the start, whenever room is made in it, and in turn as this process stores. In
//! between its own changes are added. What other processes change is learnt with the next listing, and what a kill left
//! uncounted too, so that no count has to be kept in a file.

use std::sync::{
    Mutex, MutexGuard, PoisonError, TryLockError,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use super::{place::SHARDS, shard::Listed};

#[derive(Debug)]
pub(super) struct Tally {
    shards: Box<[Part]>,
    /// The sums of all shards.
    entries: AtomicI64,
    bytes: AtomicI64,
    /// Whether every shard was listed that can be.
    pub(super) is_whole: AtomicBool,
    pub(super) evictions: AtomicU64,
    pub(super) damaged: AtomicU64,
}

#[derive(Debug, Default)]
struct Part {
    count: Mutex<Count>,
    /// Whether the one whose turn it is waits for another process, or the last one did so in vain.
    is_held: AtomicBool,
}

/// Negative if others removed what this process has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    entries: i64,
    bytes: i64,
}

/// A shard that no other thread of this process changes.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    tally: &'a Tally,
    part: &'a Part,
    count: MutexGuard<'a, Count>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Part::default()).collect(),
            entries: AtomicI64::new(0),
            bytes: AtomicI64::new(0),
            is_whole: AtomicBool::new(false),
            evictions: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
        }
    }

    pub(super) fn turn(&self, shard: usize) -> Turn<'_> {
        let part = &self.shards[shard];
        // A count is whole whatever happens to its thread.
        Turn { tally: self, part, count: part.count.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// The same, if nobody has it.
    pub(super) fn turn_now(&self, shard: usize) -> Option<Turn<'_>> {
        let part = &self.shards[shard];
        let count = match part.count.try_lock() {
            Ok(count) => count,
            Err(TryLockError::Poisoned(count)) => count.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Turn { tally: self, part, count })
    }

    /// The same, if nobody has it who waits for another process.
    pub(super) fn turn_soon(&self, shard: usize) -> Option<Turn<'_>> {
        let is_held = self.shards[shard].is_held.load(Ordering::Relaxed);
        if is_held { self.turn_now(shard) } else { Some(self.turn(shard)) }
    }

    pub(super) fn entries(&self) -> u64 {
        u64::try_from(self.entries.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

impl Turn<'_> {
    pub(super) fn is_held(&self) -> bool {
        self.part.is_held.load(Ordering::Relaxed)
    }

    /// Notes whether another process is waited for.
    pub(super) fn hold(&self, is_held: bool) {
        self.part.is_held.store(is_held, Ordering::Relaxed);
    }

    /// A file of one weight took the place of another; `None` is no file.
    pub(super) fn replaced(&mut self, old: Option<u64>, new: Option<u64>) {
        let count = |weight: Option<u64>| i64::from(weight.is_some());
        self.change(count(new) - count(old), signed(new.unwrap_or(0)) - signed(old.unwrap_or(0)));
    }

    /// What was found by listing.
    pub(super) fn recount(&mut self, entries: &[Listed]) {
        let found = signed(entries.len() as u64);
        let bytes = signed(entries.iter().map(|entry| entry.bytes).sum());
        self.change(found - self.count.entries, bytes - self.count.bytes);
    }

    fn change(&mut self, entries: i64, bytes: i64) {
        self.count.entries += entries;
        self.count.bytes += bytes;
        self.tally.entries.fetch_add(entries, Ordering::Relaxed);
        self.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Sizes of files are signed in the system too.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX / 4)
}
