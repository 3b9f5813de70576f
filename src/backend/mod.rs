//! Where entries are kept.
//!
//! A [`Backend`] is a key-value store with expiry. It knows nothing of HTTP, of freshness or of purges, so one is
//! a hundred lines; `examples/own_backend.rs` is one.

mod breaker;
mod disowned;
#[cfg(any(feature = "zstd", feature = "encryption"))]
mod envelope;
#[cfg(all(feature = "file", unix))]
mod file;
mod future;
#[cfg(feature = "memory")]
mod gone;
mod guard;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "memory")]
mod memory;
mod null;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "memory")]
mod tiered;
mod usage;

use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "redis")]
pub use self::redis::{RedisBackend, RedisBackendBuilder};
#[cfg(all(feature = "redis", feature = "memory"))]
pub use self::redis::{RedisBackplane, RedisTracking};
pub use breaker::{Breaker, BreakerState};
#[cfg(feature = "encryption")]
pub use envelope::KeyRing;
#[cfg(any(feature = "zstd", feature = "encryption"))]
pub use envelope::{Envelope, EnvelopeBuilder};
#[cfg(all(feature = "file", unix))]
pub use file::{FileBackend, FileBackendBuilder};
pub use future::BackendFuture;
pub(crate) use guard::Guard;
#[cfg(feature = "memcached")]
pub use memcached::{MemcachedBackend, MemcachedBackendBuilder};
#[cfg(feature = "memory")]
pub use memory::{MemoryBackend, MemoryBackendBuilder};
pub use null::NullBackend;
#[cfg(feature = "memory")]
pub use tiered::{Backplane, Listener, TieredBackend, TieredBackendBuilder};
pub use usage::Usage;

use crate::{
    error::{Error, ErrorKind, Result},
    value::Value,
};

/// A key-value store with expiry.
///
/// The contract, which `testing::conformance` checks:
///
/// - A handle is cheap; clones share the data.
/// - An expired entry is absent to every operation, [`add`](Backend::add) included.
/// - A time to live of `None` has no end. It is an outer bound: the cache keeps the exact times itself.
/// - Deleting what is absent is `Ok(false)`.
/// - A value that was acknowledged is there, or was evicted. One that the backend cannot take is
///   [`ErrorKind::TooLarge`], never dropped in silence.
/// - What a backend cannot do is [`ErrorKind::Unsupported`].
/// - Keys are any UTF-8 text up to about 600 bytes.
///
/// - A future that is not ready when it is made has done nothing before it is polled.
/// - A call ends; one whose answer cannot come any more, since its connection is gone, ends in an error. Callers wait
///   as long as [`backend_timeout`](crate::CacheBuilder::backend_timeout) says, a read is dropped then, and a
///   [`Breaker`] leaves a backend alone that fails. But nothing is stored under a key while a write to it is not
///   answered.
///
/// A backend must not call the [`Cache`](crate::Cache) that uses it.
///
/// # Examples
///
/// A backend that counts what another one is asked:
///
/// ```
/// use std::{sync::{Arc, atomic::{AtomicUsize, Ordering}}, time::Duration};
/// use axum_caching::{Backend, BackendFuture, Cache, NullBackend, Ttl, Value};
///
/// #[derive(Clone, Debug, Default)]
/// struct Counting { inner: NullBackend, gets: Arc<AtomicUsize> }
///
/// impl Backend for Counting {
///     fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
///         self.gets.fetch_add(1, Ordering::Relaxed);
///         self.inner.get(key)
///     }
///     fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
///         self.inner.set(key, value, ttl)
///     }
///     fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
///         self.inner.add(key, value, ttl)
///     }
///     fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> { self.inner.delete(key) }
///     fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> { self.inner.increment(key, by) }
///     fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> { self.inner.clear(prefix) }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let backend = Counting::default();
/// let cache = Cache::new(backend.clone());
/// cache.get::<u32>("answer").await?;
/// assert_eq!(backend.gets.load(Ordering::Relaxed), 1);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cache backend",
    note = "use `MemoryBackend::default()`, or implement `axum_caching::Backend`; see examples/own_backend.rs"
)]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Whether values stay the live objects they are, in this process and for this process alone. A backend that asks
    /// a value for its bytes says `false`, which is the default.
    fn keeps_live(&self) -> bool {
        false
    }

    /// Whether other processes have the same entries, now or after this one. `true` by default, which is right for all
    /// that does not end with the process; `false` spares a backend of one process what
    /// [`compares`](Backend::compares) says.
    fn is_shared(&self) -> bool {
        true
    }

    /// Whether it compares and sets. `false` by default.
    ///
    /// Purges of one process win against the fills of others that share the backend, either way; it is the price that
    /// differs. With it, fills are kept apart by what the slot of their key begins with: one more call a fill. Without
    /// it, each entry that is filled depends on a small record beside its key, which is asked for at each hit too and
    /// is kept for a week, after which the entry is filled again; and an integer that was computed is then nothing that
    /// [`Cache::increment`](crate::Cache::increment) can add to.
    fn compares(&self) -> bool {
        false
    }

    /// Whether [`get`](Backend::get), [`get_now`](Backend::get_now) and [`get_many`](Backend::get_many) may answer from
    /// copies that are older than what is kept. `false` by default.
    ///
    /// One that says `true` answers [`get_through`](Backend::get_through) and
    /// [`get_many_through`](Backend::get_many_through) from where values are kept. Copies serve hits and nothing else:
    /// what a fill depends on, what is compared and what is changed is read through, and so is what would be a miss. A
    /// backend around such a one hands all five methods on.
    fn lags(&self) -> bool {
        false
    }

    /// What it holds, if it knows without asking anybody. `None` by default.
    fn usage(&self) -> Option<Usage> {
        None
    }

    /// The answer of [`get`](Backend::get), if it is there without waiting; `None` means: ask `get`.
    fn get_now(&self, key: &str) -> Option<Result<Option<Value>>> {
        let _ = key;
        None
    }

    /// The value of a key.
    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>>;

    /// The value of a key as it is kept, from no copy that may lag: see [`lags`](Backend::lags). It is
    /// [`get`](Backend::get) by default.
    fn get_through<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.get(key)
    }

    /// Stores a value, whatever was there.
    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()>;

    /// Stores a value if there is none, atomically; says whether it did.
    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool>;

    /// Removes a key; says whether it was there.
    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool>;

    /// Adds to an integer, atomically, and keeps its time to live. What is absent counts as 0 and has no end.
    ///
    /// Another value than an integer, or a sum that does not fit, is [`ErrorKind::NotAnInteger`].
    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64>;

    /// Removes every key that begins with a prefix, literally, and no other. It may take a while.
    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()>;

    /// Stores a value if the bytes under the key begin with `token`; says whether it did.
    ///
    /// A store that is shared between processes needs it for purges that no fill overtakes. Without it the
    /// answer is [`ErrorKind::Unsupported`]; one that has it says so in [`compares`](Backend::compares).
    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        let _ = (key, token, value, ttl);
        BackendFuture::ready(Err(Error::message(ErrorKind::Unsupported, "compare_and_set")))
    }

    /// Whether a key is there.
    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move { Ok(self.get(key).await?.is_some()) })
    }

    /// The values of many keys, in their order.
    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        BackendFuture::new(async move {
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                values.push(self.get(key).await?);
            }
            Ok(values)
        })
    }

    /// As [`get_many`](Backend::get_many), from no copy that may lag: see [`lags`](Backend::lags). It is `get_many` by
    /// default.
    fn get_many_through<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        self.get_many(keys)
    }

    /// Stores many values under one time to live. At an error some of them may have been stored.
    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(async move {
            for (key, value) in entries {
                self.set(key, value.clone(), ttl).await?;
            }
            Ok(())
        })
    }

    /// Removes many keys; says how many of them were there.
    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        BackendFuture::new(async move {
            let mut deleted = 0;
            for key in keys {
                deleted += usize::from(self.delete(key).await?);
            }
            Ok(deleted)
        })
    }

    /// Is told that a purge of these keys was to be sent, and was not, since the backend is not well or an earlier write
    /// is not answered; or that it was sent, and nobody waits for its answer any more. Nothing is to be done by default; a
    /// backend with copies of its own drops those.
    fn not_purged(&self, keys: &[&str]) {
        let _ = keys;
    }

    /// As [`not_purged`](Backend::not_purged), for all keys that begin with a prefix.
    fn not_cleared(&self, prefix: &str) {
        let _ = prefix;
    }
}

/// Where an answer may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// A copy will do, though it may lag.
    Copies,
    /// From where it is kept.
    Through,
}

impl Reads {
    pub(crate) fn get<'a>(self, backend: &'a dyn Backend, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        match self {
            Self::Copies => backend.get(key),
            Self::Through => backend.get_through(key),
        }
    }

    pub(crate) fn get_many<'a>(
        self,
        backend: &'a dyn Backend,
        keys: &'a [&'a str],
    ) -> BackendFuture<'a, Vec<Option<Value>>> {
        match self {
            Self::Copies => backend.get_many(keys),
            Self::Through => backend.get_many_through(keys),
        }
    }
}

/// A shared backend is a backend: everything goes to the one inside, also what a trait could provide.
#[deny(clippy::missing_trait_methods)]
impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn keeps_live(&self) -> bool {
        (**self).keeps_live()
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }

    fn compares(&self) -> bool {
        (**self).compares()
    }

    fn lags(&self) -> bool {
        (**self).lags()
    }

    fn usage(&self) -> Option<Usage> {
        (**self).usage()
    }

    fn get_now(&self, key: &str) -> Option<Result<Option<Value>>> {
        (**self).get_now(key)
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        (**self).get(key)
    }

    fn get_through<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        (**self).get_through(key)
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        (**self).set(key, value, ttl)
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        (**self).add(key, value, ttl)
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        (**self).delete(key)
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        (**self).increment(key, by)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        (**self).clear(prefix)
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        (**self).compare_and_set(key, token, value, ttl)
    }

    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        (**self).has(key)
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        (**self).get_many(keys)
    }

    fn get_many_through<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        (**self).get_many_through(keys)
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        (**self).set_many(entries, ttl)
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        (**self).delete_many(keys)
    }

    fn not_purged(&self, keys: &[&str]) {
        (**self).not_purged(keys);
    }

    fn not_cleared(&self, prefix: &str) {
        (**self).not_cleared(prefix);
    }
}
