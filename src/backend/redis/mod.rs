//! Redis and Valkey.

mod address;
mod builder;
mod clear;
mod commands;
mod fault;
mod link;
mod probe;
mod rungs;
mod script;
mod sentinel;
mod source;
#[cfg(feature = "redis-tls")]
mod tls;
mod wire;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use redis::{Cmd, Value as Answer};

pub use self::builder::RedisBackendBuilder;
use self::{
    builder::Target,
    fault::Refusal,
    link::Link,
    rungs::{Rung, Rungs},
    wire::Wait,
};
use super::{Backend, BackendFuture};
use crate::{
    error::{Error, ErrorKind, Result},
    value::Value,
};

/// So many keys are asked for, or stored, in one go.
const BATCH: usize = 1_000;

/// So many bytes are sent in one go, if they are more than one value.
const BATCH_BYTES: usize = 4 << 20;

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
/// | `EVALSHA` and `EVAL` | no compare-and-set: purges of keys reach the fills of other processes no more (those of tags do) |
/// | `UNLINK` | `DEL` |
/// | `MGET`, `EXISTS` | `GET` |
/// | `SCAN` | `clear` is [`Unsupported`](ErrorKind::Unsupported) |
/// | `INCRBY` | `increment` is `Unsupported` |
///
/// # What it cannot promise
///
/// A server that fails over, or starts from an old snapshot, may bring back what was purged: replication and snapshots
/// of Redis are behind. A server that is full and evicts nothing (`maxmemory-policy noeviction`) answers what would be
/// stored with [`ErrorKind::TooLarge`]; use `allkeys-lru` or `allkeys-lfu`. `clear` walks over all keys of the database,
/// which takes a while, and does not see keys of a cluster that move to another node meanwhile.
///
/// In a cluster a value that [`Cache::set`](crate::Cache::set) could not store in time may arrive later. (Those of
/// fills cannot, where there is compare-and-set.)
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

struct Inner {
    what: String,
    primary: Arc<Link>,
    replicas: Vec<Arc<Link>>,
    next_replica: AtomicUsize,
    rungs: Arc<Rungs>,
    scripts: bool,
    max_value: usize,
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
    /// a URL. The master is asked for with each connection, so a failover is followed.
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

impl Inner {
    fn new(
        what: String,
        primary: Arc<Link>,
        replicas: Vec<Arc<Link>>,
        rungs: Arc<Rungs>,
        scripts: bool,
        max_value: usize,
    ) -> Self {
        Self { what, primary, replicas, next_replica: AtomicUsize::new(0), rungs, scripts, max_value }
    }

    /// A replica to read these keys from, if there are any, and none of the keys decides whether an entry holds.
    fn replica_for(&self, keys: &[&str]) -> Option<&Arc<Link>> {
        if self.replicas.is_empty() || keys.iter().any(|key| key.contains("@t/")) {
            return None;
        }
        let at = self.next_replica.fetch_add(1, Ordering::Relaxed) % self.replicas.len();
        self.replicas.get(at)
    }

    async fn read(&self, keys: &[&str], command: &Cmd) -> Result<Result<Answer, redis::RedisError>> {
        if let Some(replica) = self.replica_for(keys) {
            if let Ok(Ok(answer)) = replica.read(command).await {
                return Ok(Ok(answer));
            }
        }
        self.primary.read(command).await
    }

    async fn get(&self, key: &str) -> Result<Option<Value>> {
        let answer = self.read(&[key], &commands::of_key("GET", key)).await?;
        commands::value(answer.map_err(|error| fault::translate(&error))?)
    }

    async fn write(&self, command: &Cmd) -> Result<Answer> {
        self.primary.write(command).await?.map_err(|error| fault::translate(&error))
    }

    /// Asks with a command that may be lacking; `None` if it is.
    async fn try_read(&self, rung: Rung, keys: &[&str], command: &Cmd) -> Result<Option<Answer>> {
        if !self.rungs.has(rung) {
            return Ok(None);
        }
        match self.read(keys, command).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if fault::refusal(&error) == Some(Refusal::Command) => {
                self.rungs.lacks(rung);
                Ok(None)
            }
            Err(error) => Err(fault::translate(&error)),
        }
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Value>>> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH) {
            let answers =
                match self.try_read(Rung::MGet, keys, &commands::of_keys("MGET", keys.iter().copied())).await? {
                    Some(Answer::Array(answers)) if answers.len() == keys.len() => answers,
                    Some(_) => return Err(fault::unexpected()),
                    None => {
                        let gets = keys.iter().map(|key| commands::of_key("GET", key)).collect();
                        let wire = self.primary.wire().await?;
                        wire::each(wire.ask_all(gets, Wait::Bounded).await.map_err(|error| fault::translate(&error))?)?
                    }
                };
            for answer in answers {
                values.push(commands::value(answer)?);
            }
        }
        Ok(values)
    }

    async fn set_many(&self, entries: &[(&str, Value)], ttl: Option<Duration>) -> Result<()> {
        let mut commands = Vec::new();
        let mut bytes = 0;
        for (key, value) in entries {
            let value = self.bytes(value)?;
            bytes += value.len();
            commands.push(commands::set(key, &value, ttl));
            if commands.len() >= BATCH || bytes >= BATCH_BYTES {
                self.store_all(std::mem::take(&mut commands)).await?;
                bytes = 0;
            }
        }
        if commands.is_empty() { Ok(()) } else { self.store_all(commands).await }
    }

    async fn store_all(&self, commands: Vec<Cmd>) -> Result<()> {
        let wire = self.primary.wire().await?;
        let answers = wire.ask_all(commands, Wait::Unbounded).await.map_err(|error| fault::translate(&error))?;
        wire::each(answers).map(drop)
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<usize> {
        let mut deleted = 0;
        for keys in keys.chunks(BATCH) {
            deleted += clear::delete(&self.primary.wire().await?, &self.rungs, keys).await?;
        }
        Ok(deleted)
    }

    async fn increment(&self, key: &str, by: i64) -> Result<i64> {
        let lacking =
            || Error::message(ErrorKind::Unsupported, "`increment` needs INCRBY, which this user may not run");
        if !self.rungs.has(Rung::IncrBy) {
            return Err(lacking());
        }
        let mut command = commands::of_key("INCRBY", key);
        command.arg(by);
        match self.primary.write(&command).await? {
            Ok(answer) => commands::integer(&answer),
            Err(error) if fault::refusal(&error) == Some(Refusal::Command) => {
                self.rungs.lacks(Rung::IncrBy);
                Err(lacking())
            }
            Err(error) => Err(fault::adding(&error)),
        }
    }

    fn bytes(&self, value: &Value) -> Result<Bytes> {
        let bytes = value.to_bytes()?;
        if bytes.len() > self.max_value {
            let text = format!("{} bytes, expected {} at most (`max_value_bytes`)", bytes.len(), self.max_value);
            return Err(Error::message(ErrorKind::TooLarge, text));
        }
        Ok(bytes)
    }
}

impl Backend for RedisBackend {
    /// Until a connection has shown otherwise.
    fn compares(&self) -> bool {
        self.inner.scripts && self.inner.rungs.has(Rung::Eval)
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::new(self.inner.get(key))
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
            match self.inner.try_read(Rung::Exists, &[key], &commands::of_key("EXISTS", key)).await? {
                Some(answer) => Ok(commands::count(&answer)? > 0),
                None => Ok(self.inner.get(key).await?.is_some()),
            }
        })
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        BackendFuture::new(self.inner.get_many(keys))
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
