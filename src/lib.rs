//! Response caching for axum and Tower, and memoized functions, over an async cache that is of use by itself.
//!
//! Put [`CacheLayer`] around a router, a route or any Tower service, and its responses are kept:
//!
//! ```no_run
//! # #[cfg(all(feature = "memory", feature = "axum"))]
//! # mod example {
//! use std::time::Duration;
//!
//! use axum::{Router, extract::Path, routing::get};
//! use axum_caching::{Cache, CacheLayer, MemoryBackend};
//!
//! async fn item(Path(id): Path<u64>) -> String {
//!     format!("item {id}, which took a while to make")
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let cache = Cache::new(MemoryBackend::default());
//!     let app = Router::new()
//!         .route("/items/{id}", get(item))
//!         .layer(CacheLayer::new(&cache).ttl(Duration::from_secs(60)).response_hit_indication(true));
//!
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await
//! }
//! # }
//! ```
//!
//! The second `GET /items/7` within a minute is answered from memory, with `hit_cache: True`. A thousand that come at
//! once while it is missing run the handler once. [`cache.delete_cached("/items/7")`](Cache::delete_cached) purges it,
//! in all its variants (host, `Vary`), and no run of the handler that began before brings it back.
//!
//! # Careful by default
//!
//! The layer leaves alone what it cannot know to be the same for everybody: requests with `Authorization` or `Cookie`,
//! methods other than GET and HEAD, responses with `Set-Cookie`, `Cache-Control: no-store`, `private` or `no-cache`,
//! `Vary: *`, errors, partial answers, streams. `Vary` and the host select variants; the query is in the key. Each
//! default has an option, and each response says what was done, and why, in a [`CacheStatus`] among its extensions
//! ([`cache_status`](CacheLayer::cache_status) makes it a field that curl shows).
//!
//! What else a handler reads of a request, as `X-Api-Key` or the address of the client, goes into
//! [`vary_by`](CacheLayer::vary_by) or the key. What checks who somebody is goes outside the cache, into a `.layer(..)` after
//! it: a hit runs nothing that is inside. `Router::layer` is around the routes above it alone.
//!
//! # Functions
//!
//! [`#[memoize]`](macro@memoize) keeps the results of an async function, one for each set of arguments;
//! [`Memoizer`] is the same without an attribute.
//!
//! ```
//! # #[cfg(all(feature = "memory", feature = "macros"))]
//! # mod example {
//! use std::time::Duration;
//! use axum_caching::{Cache, MemoryBackend, memoize};
//!
//! #[memoize(cache = cache, skip(cache), ttl = Duration::from_secs(60))]
//! async fn user(cache: &Cache, tenant: u32, name: &str) -> String {
//!     format!("{name} of tenant {tenant}, from a slow query")
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn main() -> axum_caching::Result<()> {
//! let cache = Cache::new(MemoryBackend::default());
//! for _ in 0..2 {
//!     assert_eq!(user(&cache, 7, "ada").await, "ada of tenant 7, from a slow query");
//! }
//! assert_eq!(cache.stats().misses, 1);
//! user::delete_memoized_for(&cache, 7, "ada").await?; // and whatever was made of it
//! # Ok(())
//! # }
//! # }
//! # #[cfg(all(feature = "memory", feature = "macros"))]
//! # example::main().unwrap();
//! ```
//!
//! # Values
//!
//! [`Cache`] also keeps values: [`get`](Cache::get), [`set`](Cache::set) and their like over any serde type, and
//! [`get_or_compute`](Cache::get_or_compute), which runs a computation once for all who want it.
//!
//! ```
//! # #[cfg(feature = "memory")]
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use axum_caching::{Cache, MemoryBackend};
//!
//! let cache = Cache::new(MemoryBackend::default());
//! let total: u64 = cache.get_or_compute("total", Duration::from_secs(5), async || (1..=10).sum()).await;
//! assert_eq!(total, 55);
//! assert_eq!(cache.get::<u64>("total").await?, Some(55));
//! # Ok::<(), axum_caching::Error>(()) }).unwrap();
//! ```
//!
//! # Failure and cancellation
//!
//! The cache never makes a request fail: when the backend does, the handler runs, and the [`Observer`] is told. A slow
//! one is waited for one second ([`backend_timeout`](CacheBuilder::backend_timeout)); one that fails five times in a row is
//! left alone until it answers again ([`Breaker`]), and what would have changed something is an error meanwhile. A
//! client that goes away does not take the run of the handler with it: the run goes on in the background, on the tokio
//! runtime it began on, and fills the cache. When it fails, one of those who wait takes over; after the second failure
//! each goes alone. Nobody waits for another longer than ten seconds ([`max_wait`](CacheBuilder::max_wait)).
//!
//! # Stale entries
//!
//! A [`Profile`] says what an entry is good for after its ttl: served at once while one run in the background makes it
//! anew (`stale_while_revalidate`), or in place of a handler that fails or is late (`stale_if_error`, `soft_timeout`). It
//! is given to the [`CacheBuilder`], to a [`CacheLayer`] or to [`get_or_compute_owned`](Cache::get_or_compute_owned).
//! Nothing of it is on by default.
//!
//! # Backends
//!
//! [`MemoryBackend`] (64 MiB and 10 000 entries by default) and [`NullBackend`]; with the feature `file` `FileBackend`, a
//! directory that processes share (1 GiB and 100 000 entries); with the feature `redis` `RedisBackend`: Redis and Valkey as
//! one server, with Sentinel or as a cluster; with the feature `memcached` `MemcachedBackend`. [`TieredBackend`] has copies in
//! memory of what one of them keeps, and a [`Backplane`] tells the nodes of each other's changes, by pub/sub of Redis
//! (`RedisBackplane`) or by its client tracking (`RedisTracking`). `Envelope` compresses what is stored (feature `zstd`) and
//! encrypts it (feature `encryption`). Others implement [`Backend`].
//!
//! Which one it is may be said by a URL, a file or the environment: [`Cache::connect`], [`CacheConfig`], [`Cache::from_env`].
//!
//! # Features
//!
//! | feature | default | without it |
//! |---|---|---|
//! | `memory` | yes | no [`MemoryBackend`] |
//! | `axum` | yes | no [`CachePolicy`] as a part of a response, no path of nested routers, no `CacheLayer::around` |
//! | `macros` | yes | no [`memoize`] and [`cached`] attributes |
//! | `file` | no | no `FileBackend`: entries in files. It is for Unix |
//! | `json` | no | no [`codec`]`::Json` |
//! | `tracing` | no | [events](Event) and warnings go to the [`Observer`] only; fills that outlive their client lose their span |
//! | `metrics` | no | [events](Event) are counted in [`CacheStats`] only |
//! | `memcached` | no | no `MemcachedBackend` |
//! | `redis` | no | no `RedisBackend`; Rust 1.88 or later |
//! | `redis-tls` | no | no TLS to Redis: `rediss://` is refused |
//! | `zstd` | no | no `Envelope` that compresses what is stored; needs a C compiler |
//! | `encryption` | no | no `Envelope` that encrypts and authenticates what is stored |
//! | `testing` | no | no `testing`: manual clock, assertions, a backend that breaks, conformance suite for backends |
//!
//! Rust 1.85 or later. `unsafe` is forbidden.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod codec;

#[cfg(feature = "axum")]
mod axum;
mod backend;
mod cache;
mod clock;
mod config;
mod error;
mod fields;
mod flight;
mod freshness;
mod key;
mod layer;
mod memo;
mod observe;
mod policy;
mod profile;
mod reason;
mod record;
mod response;
mod stamps;
mod sync;
mod timer;
mod ttl;
mod value;

#[cfg(feature = "macros")]
mod macros;
#[cfg(feature = "testing")]
pub mod testing;

#[doc(hidden)]
pub mod private;

#[cfg(feature = "encryption")]
pub use backend::KeyRing;
pub use backend::{Backend, BackendFuture, Breaker, BreakerState, NullBackend, Usage};
#[cfg(feature = "memory")]
pub use backend::{Backplane, Listener, MemoryBackend, MemoryBackendBuilder, TieredBackend, TieredBackendBuilder};
#[cfg(any(feature = "zstd", feature = "encryption"))]
pub use backend::{Envelope, EnvelopeBuilder};
#[cfg(all(feature = "file", unix))]
pub use backend::{FileBackend, FileBackendBuilder};
#[cfg(feature = "memcached")]
pub use backend::{MemcachedBackend, MemcachedBackendBuilder};
#[cfg(feature = "redis")]
pub use backend::{RedisBackend, RedisBackendBuilder};
#[cfg(all(feature = "redis", feature = "memory"))]
pub use backend::{RedisBackplane, RedisTracking};
pub use cache::{Cache, CacheBuilder, FillContext, Purge, Reach, Receipt};
pub use clock::Clock;
pub use codec::Codec;
pub use config::CacheConfig;
pub use error::{BoxError, Error, ErrorKind, Result};
#[cfg(feature = "axum")]
pub use layer::{Around, AroundFuture, IntoMakeService};
pub use layer::{
    BodyError, BodyKeyedLayer, BodyKeyedService, BufferedBody, CacheBody, CacheLayer, CacheService, CacheStatus,
    ConditionalRefresh, Cookies, HitHeader, KeyPrefix, Query, ResponseFuture,
};
#[cfg(feature = "macros")]
pub use macros::{cached, memoize};
pub use memo::{Begun, Call, Encoded, Keep, Live, Memoizer};
pub use observe::{CacheStats, Event, Observer};
pub use policy::CachePolicy;
pub use profile::{Profile, Profiles};
pub use reason::{BypassReason, MissReason, NotStored};
pub use response::StoredResponse;
pub use ttl::Ttl;
pub use value::Value;

/// The README is tested with the documentation.
#[cfg(all(doctest, feature = "memory", feature = "axum", feature = "macros", feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;
