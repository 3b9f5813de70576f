//! Redis and Valkey.

mod address;
#[cfg(feature = "memory")]
mod backplane;
mod builder;
mod clear;
mod commands;
mod fault;
mod health;
mod inner;
mod link;
#[cfg(feature = "memory")]
mod listening;
mod probe;
mod rungs;
mod script;
mod sentinel;
mod source;
#[cfg(feature = "redis-tls")]
mod tls;
#[cfg(feature = "memory")]
mod tracking;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

pub use self::builder::RedisBackendBuilder;
#[cfg(feature = "memory")]
pub use self::{backplane::RedisBackplane, tracking::RedisTracking};
use self::{
    builder::Target,
    inner::{Inner, Side},
    rungs::Rung,
};
use super::{Backend, BackendFuture};
use crate::{
    error::{Error, ErrorKind, Result},
    value::Value,
};

/// Entries on a Redis or Valkey server: one, one of those that Sentinel watches, or a cluster.
///
/// It connects when it is first asked, and again when the connection is lost, after a pause that grows to two seconds.
/// So an application starts and serves without its server; the requests go on without the cache, and explicit calls get
/// [`ErrorKind::Connect`]. All callers on a runtime share one connection, over which what they ask is pipelined. A
/// handle is cheap; clones share the connection. It can be in a `static`: each tokio runtime has a connection of its
/// own, and needs I/O and time.
///
/// # What it needs of the server
///
/// `GET`, `SET` with `PX` and `NX`, and `DEL`. The rest is looked at with each connection; `CONFIG`, `CLIENT`, `COMMAND`
/// and `KEYS` are not needed. What is lacking is told to `tracing` (feature `tracing`) and shown by
/// [`lacking`](RedisBackend::lacking):
///
/// | without | instead |
/// |---|---|
/// | `EVALSHA` | `EVAL`, with the script each time |
/// | `EVALSHA` and `EVAL` | no compare-and-set: purges still win, each entry depends on a small record beside its key, one more call a hit |
/// | `UNLINK` | `DEL` |
/// | `MGET`, `EXISTS` | `GET` |
/// | `SCAN` | `clear` is [`Unsupported`](ErrorKind::Unsupported) |
/// | `INCRBY` | `increment` is `Unsupported` |
/// | `CLIENT TRACKING`, where [`tracking`](RedisBackend::tracking) is wanted | copies of a tier lag |
///
/// # What it cannot promise
///
/// A server that fails over, or starts from an old snapshot, may bring back what was purged: replication and snapshots
/// of Redis are behind. A server that is full and evicts nothing (`maxmemory-policy noeviction`) answers what would be
/// stored with [`ErrorKind::TooLarge`]; use `allkeys-lru` or `allkeys-lfu`. `clear` walks over all keys of the database,
/// which takes a while, and does not see keys of a cluster that move to another node meanwhile.
///
/// In a cluster a value that [`Cache::set`](crate::Cache::set) could not store in time may arrive later. (Those of
/// fills cannot, where there is compare-and-set.) And what was on a connection to a node that is lost before it answers is
/// sent again: [`Cache::increment`](crate::Cache::increment) may count twice then, [`Cache::add`](crate::Cache::add) say
/// `false` of what it has stored itself, and [`Cache::delete`](crate::Cache::delete) of what it has deleted.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum_caching::{Cache, ErrorKind, RedisBackend, Ttl};
///
/// // Nobody listens at this port, which is no reason not to start.
/// let cache = Cache::new(RedisBackend::new("redis://127.0.0.1:1")?);
/// assert_eq!(cache.get_or_compute("answer", Ttl::Default, async || 42).await, 42);
/// assert_eq!(cache.get::<i32>("answer").await.unwrap_err().kind(), ErrorKind::Connect);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct RedisBackend {
    inner: Arc<Inner>,
}

impl RedisBackend {
    /// One server, by its URL: `redis://[user:password@]host[:port][/database]`, `rediss://..` over TLS (feature
    /// `redis-tls`), `unix:///path[?db=..&user=..&pass=..]`, or `host:port`.
    ///
    /// ```
    /// use axum_caching::RedisBackend;
    ///
    /// let backend = RedisBackend::new("redis://:secret@localhost/2")?;
    /// assert_eq!(format!("{backend:?}"), r#"RedisBackend { server: "redis://localhost:6379/2", replicas: 0, lacking: [] }"#);
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for what is no such URL. A server that cannot be reached is none.
    #[doc(alias = "CACHE_REDIS_URL")]
    pub fn new(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).build()
    }

    /// One server, as [`new`](RedisBackend::new), with settings.
    pub fn builder(url: impl Into<String>) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Target::Url(url.into()))
    }

    /// The master of this name that sentinels watch. A sentinel is `host[:port]`, with 26379 for its port by default, or
    /// a URL without user, password and database: those of sentinels are said by
    /// [`sentinel_password`](RedisBackendBuilder::sentinel_password), and those of the server by
    /// [`password`](RedisBackendBuilder::password). The master is asked for with each connection, so a failover is
    /// followed.
    ///
    /// ```
    /// use axum_caching::RedisBackend;
    ///
    /// let sentinels = ["sentinel-1", "sentinel-2", "sentinel-3:26380"];
    /// let backend = RedisBackend::sentinel("mymaster", sentinels).password("secret").build()?;
    /// assert!(format!("{backend:?}").contains("mymaster of 3 sentinels"));
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    #[doc(alias("CACHE_REDIS_SENTINELS", "CACHE_REDIS_SENTINEL_MASTER"))]
    pub fn sentinel(
        master: impl Into<String>,
        sentinels: impl IntoIterator<Item = impl Into<String>>,
    ) -> RedisBackendBuilder {
        let sentinels = sentinels.into_iter().map(Into::into).collect();
        RedisBackendBuilder::new(Target::Sentinel { master: master.into(), sentinels })
    }

    /// A cluster, by some of its nodes, which name the others. A node is `host[:port]` or a URL.
    ///
    /// Entries are spread over the nodes by their keys. No command and no script has keys of two slots.
    ///
    /// ```
    /// use axum_caching::{ErrorKind, RedisBackend};
    ///
    /// assert!(RedisBackend::cluster(["node-1:7000", "node-2:7000"]).build().is_ok());
    /// let none: [&str; 0] = [];
    /// assert_eq!(RedisBackend::cluster(none).build().unwrap_err().kind(), ErrorKind::Config);
    /// ```
    #[doc(alias = "CACHE_REDIS_CLUSTER")]
    pub fn cluster(nodes: impl IntoIterator<Item = impl Into<String>>) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Target::Cluster(nodes.into_iter().map(Into::into).collect()))
    }

    /// The server that a client of the `redis` crate knows, version 1: its address, user, database and certificates.
    /// The connection is one of this backend's.
    ///
    /// It is the only place where a type of that crate is in this one: whoever has a client has its settings at heart.
    ///
    /// ```
    /// use axum_caching::RedisBackend;
    ///
    /// let client = redis::Client::open("redis://localhost/3").unwrap();
    /// let backend = RedisBackend::from_client(&client).build()?;
    /// assert!(format!("{backend:?}").contains("redis://localhost:6379/3"));
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    pub fn from_client(client: &redis::Client) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Target::Info(Box::new(client.get_connection_info().clone())))
    }

    /// The commands that the server was seen to lack, or that its user may not run, by name; see the table
    /// [above](RedisBackend). Empty before the first connection.
    ///
    /// ```
    /// assert!(axum_caching::RedisBackend::new("redis://localhost")?.lacking().is_empty());
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    pub fn lacking(&self) -> Vec<&'static str> {
        self.inner.rungs.lacking()
    }
}

impl Backend for RedisBackend {
    /// Until a connection has shown otherwise.
    fn compares(&self) -> bool {
        self.inner.scripts && self.inner.rungs.has(Rung::Eval)
    }

    /// With replicas.
    fn lags(&self) -> bool {
        !self.inner.replicas.is_empty()
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::new(self.inner.get_from(Side::Replica, key))
    }

    fn get_through<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::new(self.inner.get_from(Side::Primary, key))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(async move {
            let command = commands::set(key, &self.inner.bytes(&value)?, ttl);
            commands::was_stored(&self.inner.write(&command).await?).map(drop)
        })
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            let command = commands::add(key, &self.inner.bytes(&value)?, ttl);
            commands::was_stored(&self.inner.write(&command).await?)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move { Ok(self.inner.delete_many(&[key]).await? == 1) })
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        BackendFuture::new(self.inner.increment(key, by))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        BackendFuture::new(clear::clear(&self.inner.primary, &self.inner.rungs, prefix))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            let inner = &*self.inner;
            if !inner.scripts {
                return Err(Error::message(ErrorKind::Unsupported, "`compare_and_set` is switched off (`scripts`)"));
            }
            script::run(&inner.primary, &inner.rungs, key, token, &inner.bytes(&value)?, ttl).await
        })
    }

    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            match self.inner.try_read(Side::Replica, Rung::Exists, &[key], &commands::of_key("EXISTS", key)).await? {
                Some(answer) => Ok(commands::count(&answer)? > 0),
                None => Ok(self.inner.get_from(Side::Replica, key).await?.is_some()),
            }
        })
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        BackendFuture::new(self.inner.get_many(Side::Replica, keys))
    }

    fn get_many_through<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        BackendFuture::new(self.inner.get_many(Side::Primary, keys))
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(self.inner.set_many(entries, ttl))
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        BackendFuture::new(self.inner.delete_many(keys))
    }
}

/// Without user and password.
impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend")
            .field("server", &self.inner.what)
            .field("replicas", &self.inner.replicas.len())
            .field("lacking", &self.inner.rungs)
            .finish()
    }
}
