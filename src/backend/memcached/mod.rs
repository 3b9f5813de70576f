//! Entries on memcached servers.

mod address;
mod builder;
mod changes;
mod clears;
mod connection;
mod item;
mod ketama;
mod key;
mod lookups;
mod pieces;
mod protocol;
mod server;
mod socket;
mod stamped;

use std::{fmt, future::Future, sync::Arc, time::Duration};

pub use builder::MemcachedBackendBuilder;

use self::{
    ketama::Ring,
    key::{Listed, Name},
    server::Server,
};
use super::{Backend, BackendFuture};
use crate::{clock::Clock, error::Result, value::Value};

/// Entries on one memcached server or several, 1.6.10 or later.
///
/// It connects when it is first used, shares few connections among all callers, and connects again by itself. A clone is
/// another handle on the same connections; one in a `static` works on each runtime that comes to use it.
///
/// - **Servers** share the keys by consistent hashing, as libmemcached does with `KETAMA_WEIGHTED`. The keys of one that
///   does not answer are not given to others: a purge would not reach what it has when it comes back. They are errors
///   until then, of which a layer makes misses. The [`Breaker`](crate::Breaker) of a cache is one for all servers, and
///   counts failures in a row: where one of several may be down for long, let it take more of them, or none.
/// - **Keys** are any text. One that memcached would not take is written as what can be read of it and a hash, and kept
///   whole beside the value.
/// - **Values** over [`item_limit`](MemcachedBackendBuilder::item_limit) are
///   [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge), or [split](MemcachedBackendBuilder::split_up_to) into pieces of
///   which all are there, or it is a miss.
/// - **`clear`** replaces a stamp that the keys of all entries with that prefix begin with, on every server, and deletes
///   nothing: what is out of reach makes room for what is stored. Other programs' keys are left alone; `flush_all` is
///   never sent. Each call looks at the stamps together with its entry, in one round trip, so that a `clear` by one process
///   is seen by all from its answer on. 128 prefixes are told apart on a server; a `clear` of one more than that takes
///   everything there.
/// - **Counting** is done with compare-and-set, in 64 bits with a sign, since memcached's own counters have none. Counters
///   are evicted like everything else.
///
/// A read that is not answered within [`timeout`](MemcachedBackendBuilder::timeout) is an error, and the connection is
/// replaced. A change is waited for as long as its connection is there, since it may be done at any time; the cache that
/// uses this does not keep its callers waiting for that. A TCP connection with nobody at its other end is ended by the
/// system: within about 15 seconds on Linux; elsewhere it may be minutes until it gives up repeating what was sent.
///
/// What memcached forgets is a miss, stamps included. What is *brought back* by it is not: a server whose memory is a file
/// (`-e`), and that was away while others were purged, has old entries. TLS and proxies (mcrouter, twemproxy) are not
/// supported, nor is UDP, nor a server without `cas` (`-C`).
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> axum_caching::Result<()> {
/// use axum_caching::{Cache, MemcachedBackend, Ttl};
///
/// let cache = Cache::new(MemcachedBackend::new(["10.0.0.1:11211", "10.0.0.2:11211"])?);
/// cache.set("answer", &42, Ttl::Default).await?;
/// assert_eq!(cache.get::<i32>("answer").await?, Some(42));
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[doc(alias = "MemcachedCache")]
pub struct MemcachedBackend(Arc<Inner>);

struct Inner {
    servers: Vec<Server>,
    ring: Ring,
    clock: Clock,
    /// What a server takes, its own bookkeeping included.
    item_limit: usize,
    /// Values up to this many bytes are split if they have to be.
    split: usize,
}

impl MemcachedBackend {
    /// Servers of equal weight, and for everything else the defaults of the [builder](MemcachedBackendBuilder).
    ///
    /// A server is `host`, `host:port` or the path of a socket; the port is 11211 where none is said.
    ///
    /// ```
    /// use axum_caching::{ErrorKind, MemcachedBackend};
    ///
    /// let backend = MemcachedBackend::new(["10.0.0.1:11211", "/run/memcached.sock"])?;
    /// assert!(format!("{backend:?}").contains("/run/memcached.sock"));
    /// let error = MemcachedBackend::new(["10.0.0.1:port"]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is no server, one is there twice, or one is written as none is.
    pub fn new<S: AsRef<str>>(servers: impl IntoIterator<Item = S>) -> Result<Self> {
        servers.into_iter().fold(Self::builder(), |builder, server| builder.server(server.as_ref())).build()
    }

    /// Starts without a server, and with the defaults that the methods of the [builder](MemcachedBackendBuilder) state.
    pub fn builder() -> MemcachedBackendBuilder {
        MemcachedBackendBuilder::new()
    }

    /// Which of the servers has a key, by its text. One that is alone has every key, and is not looked up.
    fn index(&self, text: &str) -> usize {
        if self.0.servers.len() == 1 { 0 } else { self.0.ring.server(text) }
    }

    /// The server of a key.
    fn server(&self, name: &Name<'_>) -> &Server {
        &self.0.servers[self.index(&name.text)]
    }

    /// What is whose, for each server that has anything.
    fn by_server<T>(&self, all: impl Iterator<Item = T>, text: impl Fn(&T) -> &str) -> Vec<(&Server, Vec<T>)> {
        let mut shares: Vec<Vec<T>> = self.0.servers.iter().map(|_| Vec::new()).collect();
        for one in all {
            shares[self.index(text(&one))].push(one);
        }
        self.0.servers.iter().zip(shares).filter(|(_, share)| !share.is_empty()).collect()
    }

    /// The same of keys, each with its name.
    fn keys_by_server<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Vec<(&Server, Vec<Listed<'a>>)> {
        self.by_server(keys.enumerate().map(|(place, key)| Listed::new(place, key)), |listed| &listed.name.text)
    }
}

/// Waits for all, at once, and gives the first error if there is any.
async fn all<'a, T: Send + 'a>(futures: Vec<BackendFuture<'a, T>>) -> Result<Vec<T>> {
    let mut waiting: Vec<_> = futures.into_iter().map(Some).collect();
    let mut done: Vec<_> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in waiting.iter_mut().zip(&mut done) {
            if let Some(std::task::Poll::Ready(output)) =
                future.as_mut().map(|future| std::pin::Pin::new(future).poll(context))
            {
                (*future, *done) = (None, Some(output));
            }
        }
        if waiting.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

impl Backend for MemcachedBackend {
    fn compares(&self) -> bool {
        true
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::new(self.look_up(key))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(self.store(key, value, ttl))
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        BackendFuture::new(self.store_if_absent(key, value, ttl))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move { Ok(self.remove(&[key]).await? == 1) })
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        BackendFuture::new(self.add_to(key, by))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        let clear = |server: &'a Server| BackendFuture::new(server.clear(prefix));
        BackendFuture::new(async move { all(self.0.servers.iter().map(clear).collect()).await.map(drop) })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        BackendFuture::new(self.store_over(key, token, value, ttl))
    }

    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::new(self.is_there(key))
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        BackendFuture::new(self.look_up_many(keys))
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(self.store_many(entries, ttl))
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        BackendFuture::new(self.remove(keys))
    }
}

impl fmt::Debug for MemcachedBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.0.servers.iter().map(|server| server.address.to_string()).collect();
        f.debug_struct("MemcachedBackend").field("servers", &addresses).finish_non_exhaustive()
    }
}
