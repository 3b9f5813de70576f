//! The in-process backend: a weighted, scan-resistant table, bounded by bytes and by entries.

mod builder;
mod entry;
mod sweep;

use std::{
    cell::RefCell,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quick_cache::sync::{Cache as Table, EntryAction, EntryResult};

pub use self::builder::MemoryBackendBuilder;

use self::{
    entry::{Entry, Key, Pins, Recorder, Weigher},
    sweep::Sweeper,
};
use super::{Backend, BackendFuture, Usage, gone::Gone};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind, Result},
    ttl::deadline,
    value::Value,
};

/// Up to 64 MiB and 10 000 entries in this process, whichever is reached first.
///
/// Values stay live: a hit is one lookup and a reference count. An entry counts as what it weighs in memory, or as
/// `max_bytes / max_entries` if that is more, so one budget bounds both. When it is used up, entries that are not
/// asked for go first (S3-FIFO, which keeps more of a skewed load than LRU). Expired entries are absent at once,
/// and their memory is given back a few at each store. There is no background task, so a backend can be a `static`.
///
/// Integers (what [`increment`](Backend::increment) counts in) are not evicted, up to 10 000 of them, and count by their
/// bytes alone.
///
/// Clones share the data. Make one [`Cache`](crate::Cache) of a backend and clone that: two caches over one backend
/// do not know of each other's fills and purges.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, MemoryBackend, Ttl};
///
/// let backend = MemoryBackend::builder().max_bytes(16 << 20).max_entries(1_000).build();
/// let cache = Cache::new(backend.clone());
/// cache.set("answer", &42, Ttl::Default).await?;
/// assert_eq!(backend.entries(), 1);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
#[doc(alias = "SimpleCache")]
pub struct MemoryBackend(Arc<Inner>);

struct Inner {
    table: Table<Key, Entry, Weigher, foldhash::quality::RandomState, Recorder>,
    clock: Clock,
    sweeper: Sweeper,
    pins: Pins,
    evictions: Arc<AtomicU64>,
    max_bytes: u64,
    /// What an entry counts as at least.
    floor: u64,
    /// What an entry may weigh at most: what one shard takes.
    largest: u64,
    /// Held by those who compare and set, and by those who clear: what was compared before a clear is not stored after it.
    clears: RwLock<()>,
}

impl Default for MemoryBackend {
    /// 64 MiB, 10 000 entries, the clock of the machine.
    fn default() -> Self {
        Self::builder().build()
    }
}

impl MemoryBackend {
    /// Starts from the defaults: 64 MiB, 10 000 entries, the clock of the machine.
    pub fn builder() -> MemoryBackendBuilder {
        MemoryBackendBuilder::new()
    }

    /// How many entries are kept now, those that expired and were not swept yet included.
    pub fn entries(&self) -> usize {
        self.0.table.len()
    }

    /// What the entries count as now, in bytes; never more than [`max_bytes`](MemoryBackend::max_bytes).
    pub fn weight(&self) -> u64 {
        self.0.table.weight()
    }

    /// The bound that [`weight`](MemoryBackend::weight) keeps to.
    pub fn max_bytes(&self) -> u64 {
        self.0.max_bytes
    }

    /// What one entry may weigh: the share of one shard. More is [`ErrorKind::TooLarge`].
    ///
    /// ```
    /// use axum_caching::MemoryBackend;
    ///
    /// assert!(MemoryBackend::default().max_entry_bytes() > 3 << 20);
    /// ```
    pub fn max_entry_bytes(&self) -> u64 {
        self.0.largest
    }

    /// How many entries had to make room for others, ever.
    pub fn evictions(&self) -> u64 {
        self.0.evictions.load(Ordering::Relaxed)
    }

    /// An entry that has not ended. A live record is judged by the cache on its own times, which end no later, so that
    /// a hit may do without another reading of the clock.
    ///
    /// In one place for all lookups, of which most are for live records: what is inlined here is inlined once.
    #[inline(never)]
    fn lookup(&self, key: &str, leaves_live: bool) -> Option<Value> {
        let inner = &*self.0;
        let entry = inner.table.get(key)?;
        if leaves_live && entry.value.is_live() {
            return Some(entry.value);
        }
        let now = inner.clock.now();
        if entry.expires > now {
            return Some(entry.value);
        }
        inner.table.remove_if(key, |entry| entry.expires <= now);
        None
    }

    fn entry(&self, now: u64, key: &str, value: Value, ttl: Option<Duration>) -> Result<(Key, Entry)> {
        let inner = &*self.0;
        let key = Key::from(key);
        // One that is stored again keeps its pin.
        let kept = || inner.table.peek(&*key).and_then(|entry| entry.pin);
        let pin = value.is_counter().then(|| kept().or_else(|| inner.pins.pin())).flatten();
        let bytes = entry::weigh(&key, &value);
        if bytes > inner.largest {
            return Err(Error::message(
                ErrorKind::TooLarge,
                format!(
                    "an entry of {bytes} bytes, and this MemoryBackend takes {} at most; \
                     see MemoryBackend::builder().max_bytes",
                    inner.largest
                ),
            ));
        }
        let weight = if pin.is_some() { bytes } else { bytes.max(inner.floor) };
        let expires = deadline(now, ttl);
        Ok((key, Entry { value, expires, weight, pin }))
    }

    fn insert(&self, key: &str, value: Value, ttl: Option<Duration>) -> Result<()> {
        let now = self.0.clock.now();
        let (key, entry) = self.entry(now, key, value, ttl)?;
        self.sweep(now, &key, entry.expires);
        self.0.table.insert(key, entry);
        Ok(())
    }

    fn insert_if_absent(&self, key: &str, value: Value, ttl: Option<Duration>) -> Result<bool> {
        let now = self.0.clock.now();
        let (key, entry) = self.entry(now, key, value, ttl)?;
        let occupied = |_: &Key, old: &mut Entry| {
            if old.expires > now { EntryAction::Retain(()) } else { EntryAction::ReplaceWithGuard }
        };
        match self.0.table.entry(&key, None, occupied) {
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => {
                self.sweep(now, &key, entry.expires);
                // An error says that somebody cleared or set the key meanwhile, and so came later than this.
                let _ = guard.insert(entry);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn add_to(&self, key: &str, by: i64) -> Result<i64> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let (key, fresh) = self.entry(now, key, Value::integer(by), None)?;
        let occupied = |_: &Key, entry: &mut Entry| {
            if entry.expires <= now {
                return EntryAction::ReplaceWithGuard;
            }
            EntryAction::Retain(entry.add(by))
        };
        match inner.table.entry(&key, None, occupied) {
            EntryResult::Retained(sum) => sum,
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => {
                let _ = guard.insert(fresh);
                Ok(by)
            }
            EntryResult::Removed(..) | EntryResult::Timeout => Ok(by),
        }
    }

    fn replace(&self, key: &str, token: &[u8], value: Value, ttl: Option<Duration>) -> Result<bool> {
        let now = self.0.clock.now();
        let (key, entry) = self.entry(now, key, value, ttl)?;
        let occupied = |_: &Key, old: &mut Entry| {
            let is_it = old.expires > now && old.value.to_bytes().is_ok_and(|bytes| bytes.starts_with(token));
            if is_it { EntryAction::ReplaceWithGuard } else { EntryAction::Retain(()) }
        };
        // Before the lock: dropped after it.
        let mut gone = Gone::default();
        let _no_clear = self.0.clears.read().unwrap_or_else(PoisonError::into_inner);
        match self.0.table.entry(&key, None, occupied) {
            EntryResult::Replaced(guard, old) => {
                gone.extend([old]);
                // An error says that somebody set the key or deleted it meanwhile, and so came later than this.
                let late = guard.insert_with_lifecycle(entry, &mut gone).err();
                gone.extend(late);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn remove(&self, key: &str) -> bool {
        let removed = self.0.table.remove(key);
        removed.is_some_and(|(_, entry)| entry.expires > self.0.clock.now())
    }

    fn remove_all(&self, prefix: &str) {
        // Dropped when no lock is held any more.
        let gone = RefCell::new(Vec::new());
        let _no_comparison = self.0.clears.write().unwrap_or_else(PoisonError::into_inner);
        if prefix.is_empty() {
            gone.borrow_mut().extend(self.0.table.drain());
            return;
        }
        self.0.table.retain(|key, entry| {
            let is_gone = key.starts_with(prefix);
            if is_gone {
                gone.borrow_mut().push((key.clone(), entry.clone()));
            }
            !is_gone
        });
    }

    /// Gives back the memory of a few entries that expired.
    fn sweep(&self, now: u64, key: &Key, expires: u64) {
        let inner = &*self.0;
        inner.sweeper.step(key, expires, now, |key| {
            inner.table.remove_if(key, |entry| entry.expires <= now);
        });
    }
}

impl Backend for MemoryBackend {
    fn keeps_live(&self) -> bool {
        true
    }

    fn usage(&self) -> Option<Usage> {
        Some(Usage::new(self.entries() as u64, self.weight(), self.evictions()))
    }

    fn compares(&self) -> bool {
        true
    }

    fn get_now(&self, key: &str) -> Option<Result<Option<Value>>> {
        Some(Ok(self.lookup(key, true)))
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::ready(Ok(self.lookup(key, false)))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::ready(self.insert(key, value, ttl))
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        BackendFuture::ready(self.insert_if_absent(key, value, ttl))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::ready(Ok(self.remove(key)))
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        BackendFuture::ready(self.add_to(key, by))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.remove_all(prefix);
        BackendFuture::ready(Ok(()))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        BackendFuture::ready(self.replace(key, token, value, ttl))
    }

    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        let now = self.0.clock.now();
        BackendFuture::ready(Ok(self.0.table.peek(key).is_some_and(|entry| entry.expires > now)))
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        BackendFuture::ready(Ok(keys.iter().map(|key| self.lookup(key, false)).collect()))
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        let mut entries = entries.iter();
        BackendFuture::ready(entries.try_for_each(|(key, value)| self.insert(key, value.clone(), ttl)))
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        BackendFuture::ready(Ok(keys.iter().filter(|key| self.remove(key)).count()))
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend")
            .field("entries", &self.entries())
            .field("weight", &self.weight())
            .field("max_bytes", &self.max_bytes())
            .finish_non_exhaustive()
    }
}
