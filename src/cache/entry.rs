//! The explicit calls that read and remove: one meaning on every backend, and what the backend says is returned.

use std::{collections::HashMap, sync::Arc};

use serde::de::DeserializeOwned;

use super::{Cache, OwnedKey};
use crate::{
    backend::Reads,
    codec,
    error::{Error, ErrorKind, Result},
    flight::Gate,
    freshness::{Decision, decide},
    key::Key,
    record::{Encoded, Hold, Record, is_lease, is_of_another_reader},
    timer::Bound,
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
        let value = self.reads().get(&*self.core.backend, key.backend.as_str()).await?;
        self.fresh_entry(&key, value).await.map_or(Ok(None), |record| self.decode_payload(&record.payload).map(Some))
    }

    /// Removes a key; says whether it was there. What a purge of this key means is said at [`Cache`].
    ///
    /// # Errors
    ///
    /// What the backend says. [`Timeout`](crate::ErrorKind::Timeout) if it does not answer in time: the deletion goes on,
    /// and it is not known whether it will be made. [`Unavailable`](crate::ErrorKind::Unavailable) if it was not asked:
    /// nothing was removed. All calls that change something have these two, and can be repeated.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        let key = OwnedKey::from(&self.key(key)?);
        let deleted = self.delete_result(&key).await.inspect_err(|_| self.not_purged_results([&*key.primary]))?;
        self.purge_results([&*key.primary]).await?;
        Ok(deleted)
    }

    pub(crate) async fn delete_result(&self, key: &OwnedKey) -> Result<bool> {
        let mut bound = self.core.bound();
        let gate = self.overtake(&key.primary, &mut bound).await?;
        self.delete_and_open(&key.primary, gate, &mut bound).await
    }

    /// Deletes under a gate, which is opened when the backend has answered and not before.
    pub(super) async fn delete_and_open(&self, primary: &Arc<str>, gate: Gate, bound: &mut Bound) -> Result<bool> {
        if self.core.guard.is_none() {
            return self.core.backend.delete(primary).await;
        }
        let (core, own) = (Arc::clone(&self.core), Arc::clone(primary));
        let delete = async move {
            let deleted = core.backend.delete(&own).await;
            drop(gate);
            deleted
        };
        self.send_purge(bound, &[primary], delete).await
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
        let value = self.reads().get(&*self.core.backend, key.backend.as_str()).await?;
        Ok(self.is_alive(&key, value, Reads::Copies).await)
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
        let values = self.reads().get_many(&*self.core.backend, &names).await?;
        if values.len() != names.len() {
            let message = format!("{} values for {} keys", values.len(), names.len());
            return Err(Error::message(ErrorKind::Protocol, message));
        }
        let found: Vec<_> = keys.iter().zip(values).map(|(key, value)| self.timely_entry(key, value)).collect();
        let records: Vec<_> = found.iter().flatten().map(|record| &**record).collect();
        let mut hold = self.hold(&records).await.into_iter();
        let decode = |record: Option<Arc<Record<Encoded>>>| {
            let Some(record) = record.filter(|_| hold.next() == Some(Hold::Holds)) else { return Ok(None) };
            self.note(&record);
            self.decode_payload(&record.payload).map(Some)
        };
        found.into_iter().map(decode).collect()
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
    /// What is there is unreachable at once; the backend then gives the memory back, which may take a while. If that is
    /// longer than [`backend_timeout`](crate::CacheBuilder::backend_timeout), it goes on in the background and the answer
    /// is [`Timeout`](crate::ErrorKind::Timeout).
    pub async fn clear(&self) -> Result<()> {
        let subtree = self.space.scope.subtree();
        self.core.stamps.replace(subtree);
        let (mut bound, mut is_all) = (self.core.bound(), true);
        for key in self.core.flights.keys(subtree) {
            is_all &= self.overtake(&key, &mut bound).await.is_ok();
        }
        let (core, subtree) = (Arc::clone(&self.core), subtree.to_owned());
        self.send(&mut bound, async move { core.backend.clear(&subtree).await }).await?;
        if is_all {
            return Ok(());
        }
        Err(Error::message(ErrorKind::Timeout, "an earlier write was not answered, and what it stores may be left"))
    }

    /// Takes the tickets of all fills of a key, and holds its gate until the purge is through.
    pub(super) async fn overtake(&self, primary: &Arc<str>, bound: &mut Bound) -> Result<Gate> {
        let gate = self.core.gate(primary, bound).await.inspect_err(|_| self.core.backend.not_purged(&[primary]))?;
        gate.void();
        Ok(gate)
    }

    /// As [`overtake`](Cache::overtake), for many keys; in one order for all callers, so that none waits in a circle.
    pub(super) async fn purge_many(&self, keys: &[Key], bound: &mut Bound) -> Result<Vec<Gate>> {
        let mut names: Vec<&str> = keys.iter().map(|key| key.backend.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut gates = Vec::with_capacity(names.len());
        for name in &names {
            let gate = self.overtake(&Arc::from(*name), bound).await;
            gates.push(gate.inspect_err(|_| self.core.backend.not_purged(&names))?);
        }
        Ok(gates)
    }

    pub(super) async fn delete_keys(&self, keys: &[Key]) -> Result<usize> {
        let names: Vec<&str> = keys.iter().map(|key| key.backend.as_str()).collect();
        let mut bound = self.core.bound();
        let not_purged = |_: &_| self.not_purged_results(names.iter().copied());
        let gates = self.purge_many(keys, &mut bound).await.inspect_err(not_purged)?;
        let core = Arc::clone(&self.core);
        let sent: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let delete = async move {
            let names: Vec<&str> = sent.iter().map(|name| &**name).collect();
            let deleted = core.backend.delete_many(&names).await;
            drop(gates);
            deleted
        };
        let deleted = self.send_purge(&mut bound, &names, delete).await.inspect_err(not_purged)?;
        self.purge_results(names).await?;
        Ok(deleted)
    }

    pub(super) fn keys(&self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<Key>> {
        keys.into_iter().map(|key| self.key(key.as_ref())).collect()
    }

    /// An entry that is fresh, and depends on nothing that was purged.
    async fn fresh_entry(&self, key: &Key, value: Option<Value>) -> Option<Arc<Record<Encoded>>> {
        let record = self.timely_entry(key, value)?;
        if self.holds(&record.meta.carried, Reads::Copies).await != Hold::Holds {
            return None;
        }
        self.note(&record);
        Some(record)
    }

    /// An entry whose time is not over.
    fn timely_entry(&self, key: &Key, value: Option<Value>) -> Option<Arc<Record<Encoded>>> {
        match Record::<Encoded>::from_value(value.filter(|value| !is_lease(value))?) {
            Ok(record) => self.may_be_used(key, &record).then_some(record),
            // Written by another version, by somebody else, or a response: nothing that this call could have stored.
            Err(error) => {
                self.core.reporter.failed("decode", &error);
                None
            }
        }
    }

    pub(super) fn decode_payload<T: DeserializeOwned>(&self, payload: &Encoded) -> Result<T> {
        match payload {
            Encoded::Integer(integer) => codec::from_integer(*integer),
            Encoded::Bytes(bytes) => codec::decode(&*self.core.codec, bytes),
        }
    }

    pub(super) async fn is_alive(&self, key: &Key, value: Option<Value>, reads: Reads) -> bool {
        let Some(value) = value else { return false };
        match Record::<Encoded>::from_value(value.clone()) {
            Ok(record) => {
                self.may_be_used(key, &record) && self.holds(&record.meta.carried, reads).await == Hold::Holds
            }
            Err(_) => is_of_another_reader(&value),
        }
    }

    fn may_be_used(&self, key: &Key, record: &Record<Encoded>) -> bool {
        // What is stale is for those only who can make it anew.
        let decision = decide(self.core.clock.now(), self.space.stamp.now(), &record.meta, || false);
        record.belongs_to(key.digested.as_str()) && decision == Decision::Fresh
    }
}
