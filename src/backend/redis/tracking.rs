//! Nodes that the server tells what was changed.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::{
    RedisBackend,
    builder::config,
    inner::Inner,
    listening::{To, listen},
};
use crate::{
    backend::{Backplane, Listener},
    error::Result,
};

/// A [`Backplane`] by client tracking: the server itself says which keys were changed, by whomever.
///
/// In place of [`RedisBackplane`](super::RedisBackplane), where not only the nodes change what they share: a `DEL` of an
/// operator, a `FLUSHALL` and a key that was evicted take the copies away too. Nodes publish nothing, and the server says
/// of each change of a key with the prefix, in whatever database, to each node.
///
/// It listens on a connection of its own, which is made anew when it is lost; all copies go then. The server cannot leave
/// out what a node changes itself, so that a node reads what it has stored once before it has a copy of it. Of entries that
/// are read from replicas a copy may still be made of what a replica does not know to be gone; that one lags.
///
/// # What it needs of the server
///
/// `CLIENT TRACKING` and RESP3, which Redis has since version 6 and every Valkey, on one server or one that Sentinel
/// watches. Where they are lacking or forbidden [`lacking`](RedisBackend::lacking) says `CLIENT TRACKING`, the nodes do not
/// hear of each other, and copies lag as they do without it; it is asked for again every five seconds. All nodes have to
/// have it: whoever listens to [`RedisBackplane`](super::RedisBackplane) does not hear of nodes that publish nothing.
///
/// What a node that stands still has not read, the server keeps, up to the bound for subscribers
/// (`client-output-buffer-limit pubsub`), if the user may `SUBSCRIBE` to the channel `axum-caching:tracking`; or else up to
/// that for everybody, which there is none of by default.
///
/// # Examples
///
/// ```
/// use axum_caching::{Cache, RedisBackend, TieredBackend};
///
/// let redis = RedisBackend::new("redis://localhost")?;
/// let tier = TieredBackend::builder(redis.clone()).backplane(redis.tracking("shop:")?).build();
/// assert!(format!("{tier:?}").contains(r#"RedisTracking("shop:")"#));
/// let cache = Cache::builder(tier).key_prefix("shop:").build();
/// # Ok::<(), axum_caching::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisTracking(Arc<Tracked>);

struct Tracked {
    inner: Arc<Inner>,
    prefix: String,
}

impl RedisBackend {
    /// A backplane that consists of the server, for keys that begin with this: the
    /// [`key_prefix`](crate::CacheBuilder::key_prefix) of the caches over the tier, or what theirs have in common. With an
    /// empty one the server tells of all keys, whosever they are. [`RedisTracking`] has an example.
    ///
    /// Keys without it are not told of: their copies lag.
    ///
    /// ```
    /// use axum_caching::{ErrorKind, RedisBackend};
    ///
    /// let cluster = RedisBackend::cluster(["node-1:7000"]).build()?;
    /// assert_eq!(cluster.tracking("shop:").unwrap_err().kind(), ErrorKind::Config);
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a cluster, of which each node knows its own keys only.
    pub fn tracking(&self, prefix: impl Into<String>) -> Result<RedisTracking> {
        if self.inner.primary.is_of_cluster() {
            return Err(config(
                "`tracking` is for one server or one that Sentinel watches; a cluster has `backplane`, by pub/sub",
            ));
        }
        Ok(RedisTracking(Arc::new(Tracked { inner: Arc::clone(&self.inner), prefix: prefix.into() })))
    }
}

impl Backplane for RedisTracking {
    /// Nothing: the server has seen the change.
    fn publish(&self, _: Bytes) {}

    fn subscribe(&self, listener: Listener) {
        if let Ok(runtime) = Handle::try_current() {
            let to = To::Keys(self.0.prefix.clone());
            drop(runtime.spawn(listen(Arc::clone(&self.0.inner), to, listener)));
        }
    }
}

impl fmt::Debug for RedisTracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisTracking").field(&self.0.prefix).finish()
    }
}
