//! The explicit calls: one meaning on every backend, and what the backend says is returned.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::Cache;
use crate::{
    codec,
    error::Result,
    flight::Gate,
    freshness::{Decision, decide},
    key::Key,
    record::{Encoded, Meta, Record},
    stamps,
    ttl::{Ttl, deadline},
    value::Value,
};

impl Cache {
    /// The value of a key, or `None` if there is none.
    ///
    /// It has to be read as the type it was stored as. Values are copies: changing one does not change the entry.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if the entry is something else than a `T`, and what the backend says.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let key = self.key(key)?;
        let value = self.core.backend.get(key.backend.as_str()).await?;
        self.decode_entry(&key, value)
    }

    /// Stores a value, whatever was there.
    ///
    /// Fills of this key that are under way are refused: what they read may be older. With
    /// [`Ttl::DontStore`] the key is deleted.
    ///
    /// # Errors
    ///
    /// [`Encode`](crate::ErrorKind::Encode), [`TooLarge`](crate::ErrorKind::TooLarge), and what the backend says.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have stored.
    pub async fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: impl Into<Ttl>) -> Result<()> {
        let key = self.key(key)?;
        let lifetime = ttl.into().or(self.core.ttl).lifetime();
        let value = lifetime.map(|lifetime| self.value(&key, value, lifetime)).transpose()?;
        let _gate = self.purge(&Arc::from(key.backend.as_str())).await;
        match (value, lifetime) {
            (Some(value), Some(lifetime)) => self.core.backend.set(key.backend.as_str(), value, lifetime).await,
            _ => self.core.backend.delete(key.backend.as_str()).await.map(drop),
        }
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
        let primary = Arc::from(key.backend.as_str());
        let gate = self.core.flights.gate(&primary).await;
        // A record that the backend still has and the cache would not serve is not there.
        if !self.is_alive(&key, self.core.backend.get(&primary).await?) {
            self.core.backend.delete(&primary).await?;
        }
        let Some(lifetime) = ttl.into().or(self.core.ttl).lifetime() else {
            return Ok(!self.core.backend.has(&primary).await?);
        };
        let added = self.core.backend.add(&primary, self.value(&key, value, lifetime)?, lifetime).await?;
        if added {
            gate.void();
        }
        Ok(added)
    }

    /// Removes a key; says whether it was there. What a purge of this key means is said at [`Cache`].
    pub async fn delete(&self, key: &str) -> Result<bool> {
        let key = self.key(key)?;
        self.delete_backend_key(&Arc::from(key.backend.as_str())).await
    }

    /// Whether a key is there.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend, Ttl};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// assert!(!cache.has("n").await?);
    /// cache.set("n", &None::<u8>, Ttl::Default).await?;
    /// assert!(cache.has("n").await?);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub async fn has(&self, key: &str) -> Result<bool> {
        let key = self.key(key)?;
        let value = self.core.backend.get(key.backend.as_str()).await?;
        Ok(value.is_some() && self.is_alive(&key, value))
    }

    /// The values of many keys, in their order.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend, Ttl};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// cache.set_many([("a", 1), ("b", 2)], Ttl::Default).await?;
    /// assert_eq!(cache.get_many::<i32>(["b", "x", "a"]).await?, [Some(2), None, Some(1)]);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Cache::get); one entry that is no `T` fails the call.
    pub async fn get_many<T: DeserializeOwned>(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Vec<Option<T>>> {
        let keys = self.keys(keys)?;
        let names: Vec<&str> = keys.iter().map(|key| key.backend.as_str()).collect();
        let values = self.core.backend.get_many(&names).await?;
        keys.iter().zip(values).map(|(key, value)| self.decode_entry(key, value)).collect()
    }

    /// The values of many keys, by key; a key that is not there has `None`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend, Ttl};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// cache.set("a", &1, Ttl::Default).await?;
    /// let found = cache.get_dict::<i32>(["a", "x"]).await?;
    /// assert_eq!((found["a"], found["x"]), (Some(1), None));
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_many`](Cache::get_many).
    pub async fn get_dict<T: DeserializeOwned>(
        &self,
        keys: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<HashMap<String, Option<T>>> {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        let values = self.get_many(&keys).await?;
        Ok(keys.into_iter().zip(values).collect())
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
        let ttl = ttl.into().or(self.core.ttl);
        let entries: Vec<_> = entries.into_iter().collect();
        let keys = self.keys(entries.iter().map(|(key, _)| key))?;
        let Some(lifetime) = ttl.lifetime() else {
            return self.delete_keys(&keys).await.map(drop);
        };
        let mut values = Vec::with_capacity(keys.len());
        for (key, (_, value)) in keys.iter().zip(&entries) {
            values.push((key.backend.as_str(), self.value(key, value, lifetime)?));
        }
        let _gates = self.purge_many(&keys).await;
        self.core.backend.set_many(&values, lifetime).await
    }

    /// Removes many keys; says how many of them were there.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend, Ttl};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// cache.set("a", &1, Ttl::Default).await?;
    /// assert_eq!(cache.delete_many(["a", "x"]).await?, 1);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub async fn delete_many(&self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> Result<usize> {
        self.delete_keys(&self.keys(keys)?).await
    }

    /// Removes many keys as [`delete_many`](Cache::delete_many) does; a backend that can gives their memory back
    /// later, out of the way of other calls.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, MemoryBackend, Ttl};
    /// # let cache = Cache::new(MemoryBackend::default());
    /// cache.set("a", &1, Ttl::Default).await?;
    /// assert_eq!(cache.unlink(["a"]).await?, 1);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub async fn unlink(&self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> Result<usize> {
        self.delete_many(keys).await
    }

    /// Removes everything in this cache and the scopes in it, and nothing else.
    ///
    /// What is there is unreachable at once; the backend then gives the memory back, which may take a while.
    pub async fn clear(&self) -> Result<()> {
        let subtree = self.space.scope.subtree();
        self.core.stamps.replace(subtree);
        for key in self.core.flights.keys(subtree) {
            drop(self.purge(&key).await);
        }
        self.core.backend.clear(subtree).await
    }

    /// Adds to an integer, atomically, and returns the sum; `by` may be negative.
    ///
    /// What is absent counts as 0 and then lives until it is deleted; an entry that is there keeps its lifetime.
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
    #[doc(alias = "inc")]
    pub async fn increment(&self, key: &str, by: i64) -> Result<i64> {
        let key = self.key(key)?;
        self.core.backend.increment(key.backend.as_str(), by).await
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
            return Err(crate::Error::message(crate::ErrorKind::NotAnInteger, "-2^63 cannot be subtracted"));
        };
        self.increment(key, by).await
    }

    /// Takes the tickets of all fills of a key, and holds its gate until the purge is through.
    async fn purge(&self, primary: &Arc<str>) -> Gate {
        let gate = self.core.flights.gate(primary).await;
        gate.void();
        gate
    }

    /// As [`purge`](Cache::purge), for many keys; in one order for all callers, so that none waits in a circle.
    async fn purge_many(&self, keys: &[Key]) -> Vec<Gate> {
        let mut names: Vec<&str> = keys.iter().map(|key| key.backend.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut gates = Vec::with_capacity(names.len());
        for name in names {
            gates.push(self.purge(&Arc::from(name)).await);
        }
        gates
    }

    pub(crate) async fn delete_backend_key(&self, primary: &Arc<str>) -> Result<bool> {
        let _gate = self.purge(primary).await;
        self.core.backend.delete(primary).await
    }

    async fn delete_keys(&self, keys: &[Key]) -> Result<usize> {
        let names: Vec<&str> = keys.iter().map(|key| key.backend.as_str()).collect();
        let _gates = self.purge_many(keys).await;
        self.core.backend.delete_many(&names).await
    }

    fn keys(&self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<Key>> {
        keys.into_iter().map(|key| self.key(key.as_ref())).collect()
    }

    fn value<T: Serialize + ?Sized>(&self, key: &Key, value: &T, lifetime: Option<Duration>) -> Result<Value> {
        if let Some(integer) = codec::to_integer(value) {
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
            namespace: self.space.stamp.now(),
        };
        Ok(Arc::new(Record { meta, payload: Encoded(Bytes::from(bytes)) }).into_value())
    }

    fn decode_entry<T: DeserializeOwned>(&self, key: &Key, value: Option<Value>) -> Result<Option<T>> {
        let Some(value) = value else { return Ok(None) };
        if let Some(integer) = value.as_integer() {
            return codec::from_integer(integer).map(Some);
        }
        let record = match Record::<Encoded>::from_value(value) {
            Ok(record) => record,
            // Written by another version, by somebody else, or a response: nothing that this call could have stored.
            Err(error) => {
                self.core.reporter.failed("decode", &error);
                return Ok(None);
            }
        };
        if !self.may_be_used(key, &record.meta) {
            return Ok(None);
        }
        codec::decode(&*self.core.codec, &record.payload.0).map(Some)
    }

    fn is_alive(&self, key: &Key, value: Option<Value>) -> bool {
        let Some(value) = value else { return true };
        match Record::<Encoded>::from_value(value) {
            Ok(record) => self.may_be_used(key, &record.meta),
            // A counter, a response, or something that only its own reader can judge.
            Err(_) => true,
        }
    }

    fn may_be_used(&self, key: &Key, meta: &Meta) -> bool {
        let is_this_key = meta.digested.as_deref().unwrap_or_default() == key.digested.as_str();
        let decision = decide(self.core.clock.now(), self.space.stamp.now(), meta);
        is_this_key && matches!(decision, Decision::Fresh { .. })
    }
}
