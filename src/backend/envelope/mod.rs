//! A backend around another one, which stores what is compressed.

mod builder;
mod frame;
mod pack;
mod work;
mod wrapping;

use std::{fmt, sync::Arc, time::Duration};

pub use builder::EnvelopeBuilder;

use self::{frame::token_of, work::Work, wrapping::Wrapping};
use super::{Backend, BackendFuture, Usage};
use crate::{error::Result, value::Value};

/// So many bytes are compressed at once in place, and so many are opened.
const COMPRESS_IN_PLACE: usize = 64 << 10;
const OPEN_IN_PLACE: usize = 256 << 10;

/// A backend around another one, which stores what is compressed.
///
/// It goes around the backend that processes share, beneath a [`TieredBackend`](crate::TieredBackend) if there is one.
/// Entries that another `Envelope` stored are read whatever its settings were, and so are those that were stored without
/// one; a cache without an envelope counts what is in one as a miss, and overwrites it.
///
/// # Compression
///
/// With [`compress_above`](EnvelopeBuilder::compress_above) entries are compressed with zstd (feature `zstd`), where that
/// makes them smaller: metadata and body, but for the 13 bytes by which entries are compared. Integers are stored plain, so
/// that a server can add to them. Up to 64 KiB are compressed and up to 256 KiB opened where the call is; more on a
/// thread for blocking work, as many at once as there are processors.
///
/// # Stored bytes
///
/// The form has a version. This one is read for as long as there is this crate: bytes of it are kept as tests. Bytes that
/// are no such form, that were changed, or that would take more memory than
/// [`max_decompressed_bytes`](EnvelopeBuilder::max_decompressed_bytes) are a miss, with an
/// [`Event::Failed`](crate::Event::Failed) that says why.
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
        if !self.wrapping.compresses(bytes.len()) || bytes.len() <= COMPRESS_IN_PLACE {
            return Ok(self.wrapping.wrap(key, &value, &bytes));
        }
        let (wrapping, key) = (Arc::clone(&self.wrapping), key.to_owned());
        self.work.away(move || wrapping.wrap(&key, &value, &bytes)).await
    }

    async fn opened(&self, found: Option<Value>) -> Result<Option<Value>> {
        match self.opened_now(found) {
            Ok(opened) => Ok(opened),
            Err(value) => {
                let wrapping = Arc::clone(&self.wrapping);
                self.work.away(move || Some(wrapping.open(value))).await
            }
        }
    }

    /// What was found, opened; or the same again, if that is too much work to be done in place.
    fn opened_now(&self, found: Option<Value>) -> Result<Option<Value>, Value> {
        match found {
            Some(value) if self.wrapping.work_to_open(&value) > OPEN_IN_PLACE => Err(value),
            Some(value) => Ok(Some(self.wrapping.open(value))),
            None => Ok(None),
        }
    }

    /// Opens the answer to a `get`.
    fn answered<'a>(&'a self, answer: BackendFuture<'a, Option<Value>>) -> BackendFuture<'a, Option<Value>> {
        match answer.into_ready() {
            Ok(Ok(found)) => match self.opened_now(found) {
                Ok(opened) => BackendFuture::ready(Ok(opened)),
                Err(value) => BackendFuture::new(self.opened(Some(value))),
            },
            Ok(Err(error)) => BackendFuture::ready(Err(error)),
            Err(answer) => BackendFuture::new(async move { self.opened(answer.await?).await }),
        }
    }

    /// Opens the answer to a `get_many`.
    fn all_answered<'a>(
        &'a self,
        answer: BackendFuture<'a, Vec<Option<Value>>>,
    ) -> BackendFuture<'a, Vec<Option<Value>>> {
        BackendFuture::new(async move {
            let found = answer.await?;
            let mut opened = Vec::with_capacity(found.len());
            for found in found {
                opened.push(self.opened(found).await?);
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
        let opened = self.opened(Some(found)).await?;
        match opened {
            Some(opened) if opened.to_bytes()?.starts_with(token) => {
                self.backend.compare_and_set(key, &was, stored, ttl).await
            }
            _ => Ok(false),
        }
    }
}

/// Whether a token is what an entry or a lease begins with, and no more of it.
fn is_in_clear(token: &[u8]) -> bool {
    token_of(token).is_some_and(|whole| whole.len() == token.len())
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
            Ok(found) => self.opened_now(found).ok().map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.answered(self.backend.get(key))
    }

    fn get_through<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.answered(self.backend.get_through(key))
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
        self.all_answered(self.backend.get_many(keys))
    }

    fn get_many_through<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        self.all_answered(self.backend.get_many_through(keys))
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(async move {
            let mut stored = Vec::with_capacity(entries.len());
            for (key, value) in entries {
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
        let Wrapping { pack, max } = &*self.wrapping;
        let mut shown = f.debug_struct("Envelope");
        shown.field("backend", &self.backend);
        if let Some(pack) = pack {
            shown.field("compress_above", &pack.above).field("compression_level", &pack.level);
        }
        shown.field("max_decompressed_bytes", max).finish_non_exhaustive()
    }
}
