//! The explicit calls that store: each takes the gate of its key, and the tickets of older fills.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;

use super::{Cache, Core};
use crate::{
    backend::Reads,
    codec,
    error::{Error, ErrorKind, Result},
    flight::Gate,
    key::{Key, MAX_KEY},
    record::{Encoded, Meta, Record, is_lease},
    stamps,
    timer::Bound,
    ttl::{Ttl, deadline},
    value::Value,
};

impl Core {
    /// Fills that began while it was stored may have read what was before, and lose their tickets. Callers that looked
    /// before it was there and lead from here on look again: so it is counted once it is there, and before the tickets
    /// go, lest one comes between the two.
    fn note_store(&self, gate: &Gate) {
        self.stores.note(gate.key());
        gate.void();
    }

    /// Adds to an integer. Where a fill has its lease and no value yet, the fill is refused: it began before this.
    async fn add_to(&self, primary: &str, by: i64) -> Result<i64> {
        let sum = self.backend.increment(primary, by).await;
        if !matches!(&sum, Err(error) if error.kind() == ErrorKind::NotAnInteger) {
            return sum;
        }
        match self.backend.get_through(primary).await? {
            Some(value) if is_lease(&value) => {
                self.backend.delete(primary).await?;
                self.backend.increment(primary, by).await
            }
            _ => sum,
        }
    }
}

impl Cache {
    /// Stores a value, whatever was there.
    ///
    /// Fills of this key that are under way are refused: what they read may be older. With
    /// [`Ttl::DontStore`] the key is deleted.
    ///
    /// # Errors
    ///
    /// [`Encode`](crate::ErrorKind::Encode), [`TooLarge`](crate::ErrorKind::TooLarge), and what the backend says.
    ///
    /// When the value is too large, what was there stays. Over copies in memory (`TieredBackend`) it is deleted if it is the
    /// shared backend that refuses it.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it was sent has done nothing. One that was sent goes on in the background, on the
    /// tokio runtime that it began on, so that no later purge is overtaken by it.
    pub async fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: impl Into<Ttl>) -> Result<()> {
        let Some(lifetime) = ttl.into().or(self.ttl()).lifetime() else {
            return self.delete(key).await.map(drop);
        };
        let key = self.key(key)?;
        let value = self.value(&key, value, lifetime)?;
        let primary = Arc::from(key.backend.as_str());
        let mut bound = self.core.bound();
        let gate = self.overtake(&primary, &mut bound).await?;
        self.set_and_open(primary, value, lifetime, gate, &mut bound).await
    }

    /// Stores under a gate. What was sent to a server cannot be called back, so a caller that goes away does not open
    /// the gate before the answer is there.
    async fn set_and_open(
        &self,
        primary: Arc<str>,
        value: Value,
        lifetime: Option<Duration>,
        gate: Gate,
        bound: &mut Bound,
    ) -> Result<()> {
        if !self.has_guards() {
            if let Ok(stored) = self.core.backend.set(&primary, value.clone(), lifetime).into_ready() {
                self.core.note_store(&gate);
                return stored;
            }
        }
        // It was not polled, so nothing was sent: begun anew as a future that can be handed over.
        let this = self.clone();
        let set = async move {
            let stored = this.core.backend.set(&primary, value, lifetime).await;
            this.core.note_store(&gate);
            this.break_guard(&primary).await.and(stored)
        };
        self.send(bound, set).await
    }

    /// Stores a value if there is none; says whether it did.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Ttl};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// assert!(cache.add("lock", &1, Ttl::Default).await?);
    /// assert!(!cache.add("lock", &2, Ttl::Default).await?);
    /// assert_eq!(cache.get::<i32>("lock").await?, Some(1));
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`set`](Cache::set).
    pub async fn add<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: impl Into<Ttl>) -> Result<bool> {
        let key = self.key(key)?;
        let primary: Arc<str> = Arc::from(key.backend.as_str());
        let lifetime = ttl.into().or(self.ttl()).lifetime();
        let value = lifetime.map(|lifetime| self.value(&key, value, lifetime)).transpose()?;
        let mut bound = self.core.bound();
        let gate = self.core.gate(&primary, &mut bound).await?;
        let this = self.clone();
        let add = async move {
            let there = this.core.backend.get_through(&primary).await?;
            let is_there = there.is_some();
            if this.is_alive(&key, there, Reads::Through).await {
                return Ok(false);
            }
            // What the backend still has and the cache would not serve is not there.
            if is_there {
                this.core.backend.delete(&primary).await?;
            }
            let (Some(value), Some(lifetime)) = (value, lifetime) else { return Ok(false) };
            let added = this.core.backend.add(&primary, value, lifetime).await;
            if let Ok(true) = added {
                this.core.note_store(&gate);
                this.break_guard(&primary).await?;
            }
            added
        };
        self.send(&mut bound, add).await
    }

    /// Stores many values under one lifetime.
    ///
    /// # Errors
    ///
    /// As [`set`](Cache::set); some of the values may then have been stored.
    pub async fn set_many<T: Serialize>(
        &self,
        entries: impl IntoIterator<Item = (impl AsRef<str>, T)>,
        ttl: impl Into<Ttl>,
    ) -> Result<()> {
        let ttl = ttl.into().or(self.ttl());
        let entries: Vec<_> = entries.into_iter().collect();
        let keys = self.keys(entries.iter().map(|(key, _)| key))?;
        let Some(lifetime) = ttl.lifetime() else {
            return self.delete_keys(&keys).await.map(drop);
        };
        let mut values = Vec::with_capacity(keys.len());
        for (key, (_, value)) in keys.iter().zip(&entries) {
            values.push((key.backend.as_str(), self.value(key, value, lifetime)?));
        }
        let mut bound = self.core.bound();
        let gates = self.purge_many(&keys, &mut bound).await?;
        let values: Vec<(String, Value)> = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let this = self.clone();
        let set = async move {
            let values: Vec<(&str, Value)> = values.iter().map(|(key, value)| (&**key, value.clone())).collect();
            let stored = this.core.backend.set_many(&values, lifetime).await;
            for gate in &gates {
                this.core.note_store(gate);
            }
            for (key, _) in &values {
                this.break_guard(key).await?;
            }
            stored
        };
        self.send(&mut bound, set).await
    }

    /// Adds to an integer, atomically, and returns the sum; `by` may be negative.
    ///
    /// What is absent counts as 0 and then lives until it is deleted; an entry that is there keeps its lifetime.
    ///
    /// Calls for one key from one process go one after the other, so they are as many a second as the backend answers one
    /// by one.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend, Ttl};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// assert_eq!(cache.increment("visits", 2).await?, 2);
    /// assert_eq!(cache.increment("visits", 1).await?, 3);
    /// assert_eq!(cache.get::<u32>("visits").await?, Some(3));
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotAnInteger`](crate::ErrorKind::NotAnInteger) if the entry is something else, or the sum does not fit.
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if its turn did not come within
    /// [`backend_timeout`](crate::CacheBuilder::backend_timeout): nothing was added.
    #[doc(alias = "inc")]
    pub async fn increment(&self, key: &str, by: i64) -> Result<i64> {
        let key = self.key(key)?;
        if !key.digested.as_str().is_empty() {
            return Err(Error::message(ErrorKind::Key, format!("the key of a counter has {MAX_KEY} bytes at most")));
        }
        let primary = Arc::from(key.backend.as_str());
        let mut bound = self.core.bound();
        let gate = self.overtake(&primary, &mut bound).await?;
        let this = self.clone();
        let add = async move {
            let sum = this.core.add_to(&primary, by).await;
            this.core.note_store(&gate);
            this.break_guard(&primary).await.and(sum)
        };
        self.send(&mut bound, add).await
    }

    /// Subtracts from an integer, as [`increment`](Cache::increment) adds to it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend, Ttl};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// cache.set("left", &10, Ttl::Default).await?;
    /// assert_eq!(cache.decrement("left", 1).await?, 9);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`increment`](Cache::increment).
    #[doc(alias = "dec")]
    pub async fn decrement(&self, key: &str, by: i64) -> Result<i64> {
        let Some(by) = by.checked_neg() else {
            return Err(Error::message(ErrorKind::NotAnInteger, "-2^63 cannot be subtracted"));
        };
        self.increment(key, by).await
    }

    fn value<T: Serialize + ?Sized>(&self, key: &Key, value: &T, lifetime: Option<Duration>) -> Result<Value> {
        // A plain integer has no room for the text behind a digest.
        if let Some(integer) = codec::to_integer(value).filter(|_| key.digested.as_str().is_empty()) {
            return Ok(Value::integer(integer));
        }
        let bytes = codec::encode(&*self.core.codec, value)?;
        let now = self.core.clock.now();
        let until = deadline(now, lifetime);
        let digested = key.digested.as_str();
        let meta = Meta {
            created: now,
            fresh_until: until,
            stale_until: until,
            error_until: until,
            nonce: stamps::fresh(),
            took: 0,
            digested: (!digested.is_empty()).then(|| digested.into()),
            carried: Box::default(),
            namespace: self.space.stamp.now(),
        };
        Ok(Arc::new(Record { meta, payload: Encoded::Bytes(Bytes::from(bytes)) }).into_value())
    }
}
