//! Copies in memory before a backend that is shared.

mod backplane;
mod builder;
mod change;
mod copies;
mod message;
mod missed;
mod recovery;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::runtime::Handle;

pub use self::{
    backplane::{Backplane, Listener},
    builder::TieredBackendBuilder,
};

use self::{
    change::{Change, Does, Of, Stored},
    copies::Copies,
    message::{Changed, write},
    missed::{Missed, What},
    recovery::{Owed, Recovery},
};
use super::{Backend, BackendFuture, Reads, Usage};
use crate::{
    error::{Error, ErrorKind, Result},
    value::Value,
};

/// Entries in a backend that is shared, and copies of what is read often in memory: 64 MiB, 10 000 copies, trusted for one
/// second.
///
/// A hit in memory costs what it costs in a [`MemoryBackend`](crate::MemoryBackend). What is not there, or not trusted any
/// more, is read from the shared backend, and what comes back is decoded once for all who read the copy.
///
/// # How far it lags
///
/// A copy is trusted for [`lag`](TieredBackendBuilder::lag), counted from the moment that its read was sent, on the
/// monotonic clock. So what another node purges or stores over is served here for so long at the most. On the node that
/// purges or stores nothing lags. Where half of its trust is over one caller reads the entry anew, while the others go on;
/// the same bytes need not be decoded again. A [`Backplane`] tells the nodes of each other's changes, and reduces the lag
/// to the time that a message takes; nothing else depends on it. Over a shared backend that lags itself, as one that reads
/// from replicas, its lag comes on top, on all nodes.
///
/// Copies serve hits. A miss, and a refresh of something stale, are asked for in the shared backend first. What a fill
/// reads, compares and changes comes from there too, so that a purge wins against the fills of all nodes as it does
/// without copies; and so does each entry that is read inside a fill. Explicit calls that read
/// ([`Cache::get`](crate::Cache::get), [`has`](crate::Cache::has)) lag as hits do. Integers are never copied.
///
/// # Without the shared backend
///
/// While it cannot be reached copies that are trusted are served, and everything else is a miss. A purge (`delete`,
/// `clear`, `set`) that could not be made returns its error. It is remembered, the newest of each key, 10 000 keys and 64
/// prefixes at the most, and made up for as a deletion: by a task that tries once a second, and before its key is read
/// here again. What is to be cleared is absent here until the task has cleared it. So this node serves nothing that it was
/// told to purge; the other nodes do, until then. It is lost with the process, and it may take away what was stored
/// meanwhile.
///
/// Clones share the data. Make one [`Cache`](crate::Cache) of a backend and clone that.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use std::time::Duration;
/// use axum_caching::{Cache, MemoryBackend, TieredBackend, Ttl, testing::Chaos};
///
/// let server = Chaos::remote(MemoryBackend::default()); // in place of one that several nodes reach
/// let (here, there) = (Cache::new(TieredBackend::new(server.clone())), Cache::new(TieredBackend::new(server)));
/// here.set("user:7", "Ada", Ttl::Default).await?;
/// assert_eq!(there.get::<String>("user:7").await?.as_deref(), Some("Ada"));
///
/// here.delete("user:7").await?;
/// assert_eq!(here.get::<String>("user:7").await?, None);
/// assert_eq!(there.get::<String>("user:7").await?.as_deref(), Some("Ada"), "a copy");
/// tokio::time::advance(Duration::from_secs(1)).await;
/// assert_eq!(there.get::<String>("user:7").await?, None);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct TieredBackend(Arc<Inner>);

struct Inner {
    /// Where everything is kept.
    kept: Arc<dyn Backend>,
    copies: Copies,
    backplane: Option<Arc<dyn Backplane>>,
    /// Whether there is a listener at the backplane.
    listens: AtomicBool,
    /// Tells the messages of this node from those of others.
    node: u64,
    missed: Missed,
    /// Held by the one who makes a purge that was missed.
    recovery: tokio::sync::Mutex<()>,
    recovers: Recovery,
}

impl TieredBackend {
    /// Copies of what this backend keeps: 64 MiB, 10 000 of them, trusted for one second, without a backplane.
    pub fn new(kept: impl Backend) -> Self {
        Self::builder(kept).build()
    }

    /// Starts from the defaults of [`new`](TieredBackend::new).
    pub fn builder(kept: impl Backend) -> TieredBackendBuilder {
        TieredBackendBuilder::new(Arc::new(kept))
    }

    /// How long a copy is trusted.
    pub fn lag(&self) -> Duration {
        self.0.copies.lag()
    }

    async fn fetch(&self, key: &str, reads: Reads) -> Result<Option<Value>> {
        let inner = &self.0;
        inner.listen();
        // Before it is asked what is owed: a purge that is missed from here on voids it.
        let ticket = inner.copies.ticket(key);
        if inner.make_up_for(key).await? == Owed::Clear {
            return Ok(None);
        }
        let found = reads.get(&*inner.kept, key).await?;
        Ok(inner.copies.keep(key, ticket, found))
    }

    /// Reads what there is no copy of.
    async fn fetch_many(
        &self,
        keys: &[&str],
        mut values: Vec<Option<Value>>,
        reads: Reads,
    ) -> Result<Vec<Option<Value>>> {
        let inner = &self.0;
        inner.listen();
        let mut missing = Vec::with_capacity(keys.len());
        for index in (0..keys.len()).filter(|index| values[*index].is_none()) {
            let ticket = inner.copies.ticket(keys[index]);
            if inner.make_up_for(keys[index]).await? == Owed::Nothing {
                missing.push((index, ticket));
            }
        }
        if missing.is_empty() {
            return Ok(values);
        }
        let names: Vec<&str> = missing.iter().map(|(index, _)| keys[*index]).collect();
        let found = reads.get_many(&*inner.kept, &names).await?;
        if found.len() != names.len() {
            let message = format!("{} values for {} keys", found.len(), names.len());
            return Err(Error::message(ErrorKind::Protocol, message));
        }
        for ((index, ticket), found) in missing.into_iter().zip(found) {
            values[index] = inner.copies.keep(keys[index], ticket, found);
        }
        Ok(values)
    }

    /// Stores over something. What was to be purged there before is made up for, so that it does not come after this.
    async fn begin_set<'a>(&'a self, of: Of<'a>, keys: &[&str]) -> Result<Change<'a>> {
        // Begun first: dropped on the way it has failed, and is made up for.
        let mut change = Change::begin(&self.0, of, Does::Purge);
        for key in keys {
            self.0.make_up_for(key).await?;
        }
        change.is_sent();
        Ok(change)
    }

    async fn begin_alter<'a>(&'a self, key: &'a str) -> Result<(Change<'a>, Owed)> {
        let change = Change::begin(&self.0, Of::Key(key), Does::Alter);
        let owed = self.0.make_up_for(key).await?;
        Ok((change, owed))
    }
}

impl Inner {
    /// Tells the other nodes.
    fn tell(&self, changed: &Changed<'_>) {
        if let Some(backplane) = &self.backplane {
            backplane.publish(write(self.node, changed));
        }
    }

    /// Has the backplane tell this node, if it does not yet.
    fn listen(self: &Arc<Self>) {
        let Some(backplane) = &self.backplane else { return };
        let is_new = !self.listens.load(Ordering::Acquire) && Handle::try_current().is_ok();
        if is_new && !self.listens.swap(true, Ordering::AcqRel) {
            backplane.subscribe(Listener(Arc::downgrade(self)));
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Backend for TieredBackend {
    fn keeps_live(&self) -> bool {
        false
    }

    fn is_shared(&self) -> bool {
        self.0.kept.is_shared()
    }

    fn compares(&self) -> bool {
        self.0.kept.compares()
    }

    fn lags(&self) -> bool {
        !self.lag().is_zero() || self.0.kept.lags()
    }

    /// That of the copies.
    fn usage(&self) -> Option<Usage> {
        Some(self.0.copies.usage())
    }

    #[inline]
    fn get_now(&self, key: &str) -> Option<Result<Option<Value>>> {
        self.0.copies.get_now(key).map(|copy| Ok(Some(copy)))
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        match self.0.copies.get(key) {
            Some(copy) => BackendFuture::ready(Ok(Some(copy))),
            None => BackendFuture::new(self.fetch(key, Reads::Copies)),
        }
    }

    fn get_through<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::new(self.fetch(key, Reads::Through))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(async move {
            let change = self.begin_set(Of::Key(key), &[key]).await?;
            let set = self.0.kept.set(key, value.clone(), ttl).await;
            change.end(set, |()| Stored::Value(value))
        })
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            let (change, owed) = self.begin_alter(key).await?;
            if owed == Owed::Clear {
                self.0.kept.delete(key).await?;
            }
            let added = self.0.kept.add(key, value.clone(), ttl).await;
            // What is added takes the place of nothing.
            change.end(added, |_| Stored::Nothing)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            let change = Change::begin(&self.0, Of::Key(key), Does::Purge);
            let deleted = self.0.kept.delete(key).await;
            change.end(deleted, |_| Stored::Unknown)
        })
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        BackendFuture::new(async move {
            let (change, owed) = self.begin_alter(key).await?;
            if owed == Owed::Clear {
                self.0.kept.delete(key).await?;
            }
            let sum = self.0.kept.increment(key, by).await;
            // Integers are not copied.
            change.end(sum, |_| Stored::Nothing)
        })
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        BackendFuture::new(async move {
            let change = Change::begin(&self.0, Of::Prefix(prefix), Does::Purge);
            let cleared = self.0.kept.clear(prefix).await;
            change.end(cleared, |()| Stored::Unknown)
        })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            let (change, owed) = self.begin_alter(key).await?;
            let set = self.0.kept.compare_and_set(key, token, value.clone(), ttl).await;
            change.end(set, |was_set| match (was_set, owed) {
                (false, _) => Stored::Nothing,
                (true, Owed::Nothing) => Stored::Value(value),
                // A token may be of what is to be cleared still.
                (true, Owed::Clear) => Stored::Unknown,
            })
        })
    }

    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::new(
            async move { Ok(self.0.make_up_for(key).await? == Owed::Nothing && self.0.kept.has(key).await?) },
        )
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        let copies: Vec<_> = keys.iter().map(|key| self.0.copies.get(key)).collect();
        if copies.iter().all(Option::is_some) {
            return BackendFuture::ready(Ok(copies));
        }
        BackendFuture::new(self.fetch_many(keys, copies, Reads::Copies))
    }

    fn get_many_through<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        BackendFuture::new(self.fetch_many(keys, vec![None; keys.len()], Reads::Through))
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(async move {
            let keys: Vec<_> = entries.iter().map(|(key, _)| *key).collect();
            let change = self.begin_set(Of::Keys(&keys), &keys).await?;
            let set = self.0.kept.set_many(entries, ttl).await;
            change.end(set, |()| Stored::Unknown)
        })
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        BackendFuture::new(async move {
            let change = Change::begin(&self.0, Of::Keys(keys), Does::Purge);
            let deleted = self.0.kept.delete_many(keys).await;
            change.end(deleted, |_| Stored::Unknown)
        })
    }

    fn not_purged(&self, keys: &[&str]) {
        self.0.remember_keys(keys);
        self.0.kept.not_purged(keys);
    }

    fn not_cleared(&self, prefix: &str) {
        self.0.remember(What::Prefix(prefix.into()));
        self.0.kept.not_cleared(prefix);
    }
}

impl fmt::Debug for TieredBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieredBackend")
            .field("kept", &self.0.kept)
            .field("copies", &self.0.copies)
            .field("backplane", &self.0.backplane)
            .finish_non_exhaustive()
    }
}
