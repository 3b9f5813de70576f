//! A backend around another one, which stores what is compressed, or encrypted, or both.

mod builder;
mod frame;
#[cfg(feature = "encryption")]
mod keys;
#[cfg(not(feature = "encryption"))]
#[path = "no_keys.rs"]
mod keys;
#[cfg(not(feature = "zstd"))]
#[path = "no_pack.rs"]
mod pack;
#[cfg(feature = "zstd")]
mod pack;
mod work;
mod wrapping;

use std::{fmt, sync::Arc, time::Duration};

pub use builder::EnvelopeBuilder;
#[cfg(feature = "encryption")]
pub use keys::KeyRing;

use self::{
    work::{Turn, Work},
    wrapping::{Wrapping, is_in_clear},
};
use super::{Backend, BackendFuture, Usage};
use crate::{
    error::{Error, ErrorKind, Result},
    value::Value,
};

/// A backend around another one, which stores what is compressed, or encrypted, or both.
///
/// It goes around the backend that processes share, beneath a [`TieredBackend`](crate::TieredBackend) if there is one.
/// A cache that does not open what is in an envelope counts it as a miss and overwrites it, as it does with all that it
/// cannot read; an [`Event::Failed`](crate::Event::Failed) says why.
///
/// # Compression
///
/// With `compress_above` (feature `zstd`) entries are compressed where that makes them smaller: metadata and body, but
/// for the 13 bytes by which entries are compared. Integers are stored plain, so that a server can add to them. What is
/// stored without an envelope is read, and what is compressed is read whatever the settings are.
///
/// # Encryption
///
/// With `keys` (feature `encryption`) entries are encrypted and authenticated by XChaCha20-Poly1305: responses, values,
/// results, and integers. Each is bound to its key and to the 13 bytes that it begins with, and nothing else is read: who
/// can write to the server, and has no key of the ring, can forge no entry, change none and move none.
/// [`increment`](crate::Cache::increment) is [`Unsupported`](crate::ErrorKind::Unsupported).
///
/// Who has the server still sees the keys of the cache, how long entries are, and when they come and go. They can take
/// entries away, and put back, under the same key, one that was there before, also after it was purged; it is served for as
/// long as it is fresh. Stamps of tags and the leases of fills hold nothing and are not encrypted. Entries that are
/// compressed first tell by their length how much in them is alike: where a client chooses a part of an entry that holds
/// a secret of somebody else's, leave compression out.
///
/// To turn it on or off, or to change a key, see [`KeyRing`](crate::KeyRing#rotation); entries from before are misses.
///
/// # Costs
///
/// Up to 64 KiB are compressed, encrypted or opened where the call is; more on a thread for blocking work, as many at once
/// as there are processors. What waits for one of them counts as the time of the backend, for
/// [`backend_timeout`](crate::CacheBuilder::backend_timeout) and for the [`Breaker`](crate::Breaker). Without optimization encryption takes a second for each mebibyte;
/// `[profile.dev.package.axum-caching] opt-level = 3` in the application's `Cargo.toml` helps.
///
/// # Stored bytes
///
/// The form has a version, and version 1 will be read by all later ones: bytes of it are kept as tests. No bytes make it
/// panic, or one entry take more memory than `max_decompressed_bytes`: a batch of entries takes that for each.
///
/// Clones share the backend inside.
///
/// # Examples
///
/// ```
/// # #[cfg(all(feature = "zstd", feature = "memory"))]
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Backend, Cache, Envelope, MemoryBackend, Ttl};
///
/// let server = MemoryBackend::default(); // in place of one that processes share
/// let cache = Cache::new(Envelope::builder(server.clone()).compress_above(1024).build());
///
/// let text = "the same again, ".repeat(1_000);
/// cache.set("text", &text, Ttl::Default).await?;
/// assert_eq!(cache.get::<String>("text").await?, Some(text));
/// let stored = server.get("text").await?.unwrap().to_bytes()?;
/// assert!(stored.len() < 200);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Envelope {
    backend: Arc<dyn Backend>,
    wrapping: Arc<Wrapping>,
    work: Work,
}

impl Envelope {
    /// What is stored in a backend, to be told how.
    ///
    /// ```
    /// use axum_caching::{Backend, Envelope, NullBackend};
    ///
    /// // One that stores as it is told to by default: plain. What others compressed it reads.
    /// assert!(!Envelope::builder(NullBackend::default()).build().keeps_live());
    /// ```
    pub fn builder(backend: impl Backend) -> EnvelopeBuilder {
        EnvelopeBuilder::new(Arc::new(backend))
    }

    async fn wrapped(&self, key: &str, value: Value) -> Result<Value> {
        let bytes = value.to_bytes()?;
        if !self.wrapping.is_much_to_wrap(bytes.len()) {
            return self.wrapping.wrap(key, &value, &bytes);
        }
        let (wrapping, key) = (Arc::clone(&self.wrapping), key.to_owned());
        self.work.away(move || wrapping.wrap(&key, &value, &bytes)).await?
    }

    async fn opened(&self, key: &str, found: Option<Value>) -> Result<Option<Value>> {
        match self.opened_now(key, found) {
            Ok(opened) => Ok(opened),
            Err(value) => {
                let (wrapping, key) = (Arc::clone(&self.wrapping), key.to_owned());
                self.work.away(move || Some(wrapping.open(&key, value))).await
            }
        }
    }

    /// What was found, opened; or the same again, if that is too much work to be done in place.
    fn opened_now(&self, key: &str, found: Option<Value>) -> Result<Option<Value>, Value> {
        match found {
            Some(value) if self.wrapping.is_much_to_open(key, &value) => Err(value),
            Some(value) => Ok(Some(self.wrapping.open(key, value))),
            None => Ok(None),
        }
    }

    /// Opens the answer to a `get`.
    fn answered<'a>(
        &'a self,
        key: &'a str,
        answer: BackendFuture<'a, Option<Value>>,
    ) -> BackendFuture<'a, Option<Value>> {
        match answer.into_ready() {
            Ok(Ok(found)) => match self.opened_now(key, found) {
                Ok(opened) => BackendFuture::ready(Ok(opened)),
                Err(value) => BackendFuture::new(self.opened(key, Some(value))),
            },
            Ok(Err(error)) => BackendFuture::ready(Err(error)),
            Err(answer) => BackendFuture::new(async move { self.opened(key, answer.await?).await }),
        }
    }

    /// Opens the answer to a `get_many`.
    fn all_answered<'a>(
        &'a self,
        keys: &'a [&'a str],
        answer: BackendFuture<'a, Vec<Option<Value>>>,
    ) -> BackendFuture<'a, Vec<Option<Value>>> {
        BackendFuture::new(async move {
            let found = answer.await?;
            if found.len() != keys.len() {
                // Which is of which key nobody knows.
                let message = format!("{} values for {} keys", found.len(), keys.len());
                return Err(Error::message(ErrorKind::Protocol, message));
            }
            let (mut opened, mut turn) = (Vec::with_capacity(found.len()), Turn::default());
            for (key, found) in keys.iter().zip(found) {
                let found = self.opened(key, found).await?;
                turn.worked(found.as_ref().map_or(0, Value::weight)).await;
                opened.push(found);
            }
            Ok(opened)
        })
    }

    /// Stores over what begins with the token once it is opened. What stands in clear the backend itself compares;
    /// anything else is read here, and is still to be there when it is replaced.
    async fn compare(&self, key: &str, token: &[u8], stored: Value, ttl: Option<Duration>) -> Result<bool> {
        if !self.backend.compares() || is_in_clear(token) {
            return self.backend.compare_and_set(key, token, stored, ttl).await;
        }
        let Some(found) = self.backend.get_through(key).await? else { return Ok(false) };
        let was = found.to_bytes()?;
        let opened = self.opened(key, Some(found)).await?;
        match opened {
            Some(opened) if opened.to_bytes()?.starts_with(token) => {
                self.backend.compare_and_set(key, &was, stored, ttl).await
            }
            _ => Ok(false),
        }
    }
}

/// Each goes to the one inside, also what a trait could provide.
#[deny(clippy::missing_trait_methods)]
impl Backend for Envelope {
    /// Values are kept as bytes, whatever the one inside does.
    fn keeps_live(&self) -> bool {
        false
    }

    fn is_shared(&self) -> bool {
        self.backend.is_shared()
    }

    fn compares(&self) -> bool {
        self.backend.compares()
    }

    fn lags(&self) -> bool {
        self.backend.lags()
    }

    fn usage(&self) -> Option<Usage> {
        self.backend.usage()
    }

    fn get_now(&self, key: &str) -> Option<Result<Option<Value>>> {
        match self.backend.get_now(key)? {
            Ok(found) => self.opened_now(key, found).ok().map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.answered(key, self.backend.get(key))
    }

    fn get_through<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.answered(key, self.backend.get_through(key))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(async move {
            let stored = self.wrapped(key, value).await?;
            self.backend.set(key, stored, ttl).await
        })
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            let stored = self.wrapped(key, value).await?;
            self.backend.add(key, stored, ttl).await
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.backend.delete(key)
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        if self.wrapping.keys.is_some() {
            let why = "`increment`: nobody can add to what is encrypted, and integers are too";
            return BackendFuture::ready(Err(Error::message(ErrorKind::Unsupported, why)));
        }
        self.backend.increment(key, by)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.backend.clear(prefix)
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            let stored = self.wrapped(key, value).await?;
            self.compare(key, token, stored, ttl).await
        })
    }

    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.backend.has(key)
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        self.all_answered(keys, self.backend.get_many(keys))
    }

    fn get_many_through<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        self.all_answered(keys, self.backend.get_many_through(keys))
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(async move {
            let (mut stored, mut turn) = (Vec::with_capacity(entries.len()), Turn::default());
            for (key, value) in entries {
                turn.worked(value.weight()).await;
                stored.push((*key, self.wrapped(key, value.clone()).await?));
            }
            self.backend.set_many(&stored, ttl).await
        })
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        self.backend.delete_many(keys)
    }

    fn not_purged(&self, keys: &[&str]) {
        self.backend.not_purged(keys);
    }

    fn not_cleared(&self, prefix: &str) {
        self.backend.not_cleared(prefix);
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wrapping { pack, max, keys } = &*self.wrapping;
        let mut shown = f.debug_struct("Envelope");
        shown.field("backend", &self.backend);
        if let Some(pack) = pack {
            shown.field("compress_above", &pack.above()).field("compression_level", &pack.level());
        }
        if let Some(keys) = keys {
            shown.field("keys", keys);
        }
        shown.field("max_decompressed_bytes", max).finish_non_exhaustive()
    }
}
