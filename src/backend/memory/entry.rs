use std::{
    borrow::Borrow,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use quick_cache::{Lifecycle, Weighter};

use crate::{
    backend::gone::Gone,
    error::{Error, ErrorKind, Result},
    value::Value,
};

/// What the table and the allocator take for an entry beside its key and its value: slot, index, ghost, slack.
const OVERHEAD: usize = 200;

/// How many integers are kept from eviction, and what share of the bytes each of them stands for.
const MAX_PINS: usize = 10_000;
const BYTES_PER_PIN: usize = 2_048;

/// A key, shared with the sweeper.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(Arc<str>);

impl From<&str> for Key {
    fn from(key: &str) -> Self {
        Self(Arc::from(key))
    }
}

// `str` and `Key` hash alike, so a lookup borrows.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    /// UNIX milliseconds; `u64::MAX` is never.
    pub(super) expires: u64,
    pub(super) weight: u64,
    pub(super) pin: Option<Pin>,
}

impl Entry {
    /// Adds to the integer; another value, or an overflow, changes nothing.
    pub(super) fn add(&mut self, by: i64) -> Result<i64> {
        let Some(integer) = self.value.as_integer() else {
            return Err(Error::message(ErrorKind::NotAnInteger, "the entry is another value; delete or set it first"));
        };
        let Some(sum) = integer.checked_add(by) else {
            return Err(Error::message(ErrorKind::NotAnInteger, format!("{integer} + {by} does not fit in 64 bits")));
        };
        self.value = Value::integer(sum);
        Ok(sum)
    }
}

/// The bytes of memory an entry takes.
pub(super) fn weigh(key: &Key, value: &Value) -> u64 {
    (OVERHEAD + key.len() + value.weight()) as u64
}

#[derive(Clone)]
pub(super) struct Weigher;

impl Weighter<Key, Entry> for Weigher {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        entry.weight
    }
}

/// Counts the pins that are out; one goes back when its entry is dropped, for whatever reason.
#[derive(Clone)]
pub(super) struct Pins {
    out: Arc<AtomicUsize>,
    bound: usize,
}

/// Keeps an entry from eviction. Clones are handed out by reads and hold the same pin.
#[derive(Clone)]
pub(super) struct Pin(#[expect(dead_code, reason = "held for its drop")] Arc<PinCount>);

struct PinCount(Pins);

impl Pins {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { out: Arc::default(), bound: MAX_PINS.min(max_bytes / BYTES_PER_PIN) }
    }

    /// A pin, while there are any.
    pub(super) fn pin(&self) -> Option<Pin> {
        if self.out.fetch_add(1, Ordering::Relaxed) < self.bound {
            return Some(Pin(Arc::new(PinCount(self.clone()))));
        }
        self.out.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for PinCount {
    fn drop(&mut self) {
        self.0.out.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts evictions, and drops what was evicted or replaced outside the lock of the shard: it may be a user's `Drop`, which
/// may ask this backend.
#[derive(Clone)]
pub(super) struct Recorder {
    evictions: Arc<AtomicU64>,
}

impl Recorder {
    pub(super) fn new(evictions: Arc<AtomicU64>) -> Self {
        Self { evictions }
    }
}

impl Lifecycle<Key, Entry> for Recorder {
    type RequestState = Gone<Entry>;

    fn is_pinned(&self, _: &Key, entry: &Entry) -> bool {
        entry.pin.is_some()
    }

    // Not called for what is replaced.
    fn before_evict(&self, _: &mut Self::RequestState, _: &Key, _: &mut Entry) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
    }

    fn on_evict(&self, gone: &mut Self::RequestState, _: Key, entry: Entry) {
        gone.extend([entry]);
    }
}
