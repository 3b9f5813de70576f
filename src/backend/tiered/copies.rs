//! The copies in memory: what they are of, how long they are trusted, and what takes them away.
//!
//! A copy is trusted from the moment that its read was sent, not from its insertion: what the read found was there at
//! that moment or later, and nothing is known of what came after. Time is that of the machine's monotonic clock.
//!
//! A change on this node voids the reads that are under way: each key belongs to a shard, a shard counts its changes, and
//! a copy is only kept if the count is what it was when its read was sent. The comparison and the insertion are under the
//! lock of the shard, so that nothing comes between.
//!
//! A copy may hold what was decoded of it, and be the last to hold it: then it is a user's `Drop` that runs, which may ask
//! this cache. So what is taken away is dropped when no lock is held any more.

use std::{
    cell::RefCell,
    fmt,
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use foldhash::quality::{FixedState, RandomState};
use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync::Cache as Table};
use tokio::time::Instant;

use crate::{
    backend::{Usage, gone::Gone},
    key::CONTROL,
    stamps,
    value::Value,
};

/// What the table and the allocator take for a copy beside its key and its value.
const OVERHEAD: usize = 200;

/// Keys that meet in one void each other's reads, which costs one more read.
const SHARDS: usize = 256;

/// So many keys of one shard are confirmed at a time by one caller each; the others then all ask.
const MAX_ASKING: usize = 64;

/// A trust longer than this is as good as one for ever, and no sum overflows.
const MAX_LAG: Duration = Duration::from_secs(366 * 24 * 3600);

pub(super) struct Copies {
    table: Table<Box<str>, Copy, Weigher, RandomState, Recorder>,
    shards: Box<[Mutex<Shard>]>,
    hasher: FixedState,
    lag: Duration,
    /// What a copy counts as at least.
    floor: u64,
    evictions: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Copy {
    value: Value,
    /// Until then it is handed out without a thought; from then on one caller confirms it.
    calm: Instant,
    until: Instant,
    weight: u64,
}

#[derive(Default)]
struct Shard {
    changes: u64,
    /// The hashes of the copies that somebody confirms now, and when their trust ends.
    asking: Vec<(u64, Instant)>,
}

/// When a read was sent, or a write, and what was known then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    changes: u64,
    sent: Instant,
}

impl Copies {
    pub(super) fn new(max_bytes: usize, max_entries: usize, lag: Duration) -> Self {
        let (max_bytes, max_entries) = (max_bytes.max(1) as u64, max_entries.max(1) as u64);
        let evictions = Arc::new(AtomicU64::new(0));
        let options = OptionsBuilder::new()
            .shards(1 << (max_bytes / (4 << 20)).clamp(1, 64).ilog2())
            .estimated_items_capacity(usize::try_from(max_entries.min(max_bytes / 1_024).max(1)).unwrap_or(usize::MAX))
            .weight_capacity(max_bytes)
            .build()
            .expect("all options that have to be given are given");
        let recorder = Recorder(Arc::clone(&evictions));
        let table = Table::with_options(options, Weigher, RandomState::default(), recorder);
        Self {
            floor: (max_bytes / max_entries).clamp(1, table.shard_capacity().max(1)),
            table,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            // By chance as well, and one that a seed can repeat: it says which keys meet in a shard.
            hasher: FixedState::with_seed(stamps::fresh()),
            lag: lag.min(MAX_LAG),
            evictions,
        }
    }

    pub(super) fn lag(&self) -> Duration {
        self.lag
    }

    pub(super) fn usage(&self) -> Usage {
        Usage::new(self.table.len() as u64, self.table.weight(), self.evictions.load(Ordering::Relaxed))
    }

    /// A copy that is trusted and need not be confirmed yet.
    #[inline]
    pub(super) fn get_now(&self, key: &str) -> Option<Value> {
        let copy = self.table.get(key)?;
        (Instant::now() < copy.calm).then_some(copy.value)
    }

    /// A copy that is trusted. Of one whose trust is half over one caller gets nothing, and is to confirm it while the
    /// others go on.
    pub(super) fn get(&self, key: &str) -> Option<Value> {
        let copy = self.table.get(key)?;
        let now = Instant::now();
        if now < copy.calm {
            return Some(copy.value);
        }
        if now >= copy.until {
            return None;
        }
        let (shard, hash) = self.shard(key);
        let asking = &mut lock(shard).asking;
        if asking.contains(&(hash, copy.until)) {
            return Some(copy.value);
        }
        asking.retain(|(_, until)| now < *until);
        if asking.len() < MAX_ASKING {
            asking.push((hash, copy.until));
        }
        None
    }

    /// To be taken before something is sent.
    pub(super) fn ticket(&self, key: &str) -> Ticket {
        let (shard, _) = self.shard(key);
        Ticket { changes: lock(shard).changes, sent: Instant::now() }
    }

    /// Keeps what a read has found, if nothing on this node has changed the key since it was sent. Gives what it found,
    /// as it is to be handed on.
    pub(super) fn keep(&self, key: &str, ticket: Ticket, found: Option<Value>) -> Option<Value> {
        let Some(value) = found else {
            self.table.remove(key);
            return None;
        };
        if self.lag.is_zero() || !may_be_copied(key, &value) {
            self.table.remove(key);
            return Some(value);
        }
        // Before the lock: dropped after it.
        let mut gone = Gone::default();
        let was = self.table.peek(key);
        let (shard, _) = self.shard(key);
        let shard = lock(shard);
        if shard.changes != ticket.changes {
            return Some(value);
        }
        let value = match &was {
            // What was made of the same bytes is made once.
            Some(copy) if copy.value.has_bytes_of(&value) => copy.value.clone(),
            _ => value.shared(),
        };
        self.insert(key, ticket, value.clone(), &mut gone);
        Some(value)
    }

    /// Ends a change of this node: the copy is gone, and reads that were sent meanwhile are void. What the change has put
    /// there takes its place, if no other change came between.
    pub(super) fn replace(&self, key: &str, ticket: Ticket, stored: Option<&Value>) {
        let mut gone = Gone::default();
        let (shard, _) = self.shard(key);
        let mut shard = lock(shard);
        let is_alone = shard.changes == ticket.changes;
        shard.changes += 1;
        gone.extend(self.table.remove(key).map(|(_, copy)| copy));
        if let Some(value) = stored.filter(|value| is_alone && !self.lag.is_zero() && may_be_copied(key, value)) {
            self.insert(key, ticket, value.clone().shared(), &mut gone);
        }
    }

    /// Takes a copy away, and voids the reads that are under way.
    pub(super) fn forget(&self, key: &str) {
        let (shard, _) = self.shard(key);
        let mut shard = lock(shard);
        shard.changes += 1;
        let gone = self.table.remove(key);
        drop(shard);
        drop(gone);
    }

    /// As [`forget`](Copies::forget), for all keys that begin with a prefix.
    pub(super) fn forget_prefix(&self, prefix: &str) {
        // First the reads, so that none of them comes after the copies are gone.
        for shard in &self.shards {
            lock(shard).changes += 1;
        }
        if prefix.is_empty() {
            return self.table.drain().for_each(drop);
        }
        let gone = RefCell::new(Vec::new());
        self.table.retain(|key, copy| {
            let is_gone = key.starts_with(prefix);
            if is_gone {
                gone.borrow_mut().push(copy.clone());
            }
            !is_gone
        });
    }

    /// Under the lock of the shard. What has to go for it is given to be dropped after that.
    fn insert(&self, key: &str, ticket: Ticket, value: Value, gone: &mut Gone<Copy>) {
        let until = ticket.sent + self.lag;
        let was = self.table.peek(key);
        let is_late = was.as_ref().is_some_and(|copy| copy.until > until);
        gone.extend(was);
        // A late answer does not take the place of one that was asked for after it.
        if is_late {
            return;
        }
        let weight = ((OVERHEAD + key.len() + value.weight()) as u64).max(self.floor);
        let calm = ticket.sent + self.lag / 2;
        self.table.insert_with_lifecycle(key.into(), Copy { value, calm, until, weight }, gone);
    }

    fn shard(&self, key: &str) -> (&Mutex<Shard>, u64) {
        let hash = self.hasher.hash_one(key);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        (&self.shards[index], hash)
    }
}

/// What may be copied: entries, which say themselves when they end, and the stamps of tags, which do not change. A copy of
/// anything else could outlive it: of an integer, of bytes that somebody else wrote, of the lease of a fill.
fn may_be_copied(key: &str, value: &Value) -> bool {
    let is_stamp = || value.as_bytes().is_some_and(|bytes| bytes.len() == 16) && value.as_integer().is_none();
    value.is_entry() || (key.contains(CONTROL) && is_stamp())
}

// A panic under this lock is not possible; if it was, a count is still a count.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copies").field("lag", &self.lag).field("entries", &self.table.len()).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Weigher;

impl Weighter<Box<str>, Copy> for Weigher {
    fn weight(&self, _: &Box<str>, copy: &Copy) -> u64 {
        copy.weight
    }
}

/// Counts evictions, and drops what was evicted or replaced outside the lock of the table.
#[derive(Clone)]
struct Recorder(Arc<AtomicU64>);

impl Lifecycle<Box<str>, Copy> for Recorder {
    type RequestState = Gone<Copy>;

    fn before_evict(&self, _: &mut Self::RequestState, _: &Box<str>, _: &mut Copy) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn on_evict(&self, gone: &mut Self::RequestState, _: Box<str>, copy: Copy) {
        gone.extend([copy]);
    }
}
