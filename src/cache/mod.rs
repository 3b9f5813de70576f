//! The handle that an application holds.

mod background;
mod bounded;
mod builder;
mod claim;
mod compute;
mod computed;
mod context;
mod elsewhere;
mod ending;
mod entry;
mod fill;
mod functions;
mod judge;
mod kept;
mod lanes;
mod lifetime;
mod look_many;
mod lookup;
mod mark;
mod markers;
#[cfg(all(test, model))]
mod model;
mod purge;
mod purges;
mod receipt;
mod refresh;
mod rescue;
mod slide;
mod store;
mod stores;
mod tags;
mod turn;

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Semaphore, time::timeout};

pub(crate) use self::{
    background::{Background, Handover},
    fill::{Fill, OwnedKey, Place},
    lifetime::Lifetime,
    lookup::{Found, Looked, Seen, State},
    refresh::{Late, Made},
    tags::Kind,
    turn::{Question, Turn},
};
pub use self::{
    builder::CacheBuilder,
    context::FillContext,
    purge::Purge,
    receipt::{Reach, Receipt},
};

use self::{functions::Functions, lanes::Lanes, markers::Markers, stores::Stores};
use crate::{
    backend::{Backend, BreakerState, Guard, Reads, Usage},
    clock::Clock,
    codec::DynCodec,
    error::{Error, ErrorKind, Result},
    flight::Flights,
    key::{Key, MAX_TEXT, Scope},
    observe::{CacheStats, Event, Reporter},
    profile::{Profile, Profiles},
    stamps::{Stamp, Stamps},
    ttl::Ttl,
};

/// How long callers of a key do not wait for each other after an answer that could not be shared.
const UNCACHEABLE: Duration = Duration::from_secs(60);

/// How long [`Cache::close`] waits.
const CLOSE_WAIT: Duration = Duration::from_secs(30);

/// A cache: a handle on a [`Backend`], with what keeps its entries right.
///
/// A clone is another handle on the same cache, and costs two reference counts. Explicit calls
/// ([`get`](Cache::get), [`set`](Cache::set) ..) return what the backend says, errors included. Computed calls
/// ([`get_or_compute`](Cache::get_or_compute), [`CacheLayer`](crate::CacheLayer)) cannot fail because of the cache:
/// they run the origin and tell the [`Observer`](crate::Observer). Neither waits for a slow backend longer than
/// [`backend_timeout`](CacheBuilder::backend_timeout), and one that fails is left alone for a while
/// ([`Breaker`](crate::Breaker)).
///
/// A purge wins: once [`delete`](Cache::delete), [`clear`](Cache::clear) or [`set`](Cache::set) has answered, no
/// run of an origin that began before it stores what it read. That holds for all callers in this process that use
/// clones of this cache, and over a backend that is shared for those of all other processes too
/// ([`Backend::compares`] says what it costs there).
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use axum_caching::{Cache, MemoryBackend};
///
/// let cache = Cache::new(MemoryBackend::default());
/// cache.set("user:7", "Ada", Duration::from_secs(60)).await?;
/// assert_eq!(cache.get::<String>("user:7").await?.as_deref(), Some("Ada"));
/// assert!(cache.delete("user:7").await?);
/// assert_eq!(cache.get::<String>("user:7").await?, None);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Cache {
    pub(crate) core: Arc<Core>,
    pub(crate) space: Arc<Space>,
}

/// What all scopes of a cache share.
pub(crate) struct Core {
    pub(crate) backend: Arc<dyn Backend>,
    /// The backend again, if it is guarded.
    guard: Option<Arc<Guard>>,
    pub(crate) clock: Clock,
    /// What holds for entries of which nobody says otherwise.
    pub(crate) profile: Profile,
    /// Those that have a name.
    profiles: Profiles,
    pub(crate) codec: Arc<dyn DynCodec>,
    pub(crate) reporter: Reporter,
    /// Whether the backend may answer from copies that lag.
    lags: bool,
    pub(crate) background: Background,
    pub(crate) wait: Duration,
    /// How long the run of another process is waited for.
    wait_elsewhere: Option<Duration>,
    pub(crate) fill_timeout: Duration,
    /// Places for those that are made anew in the background.
    refreshes: Arc<Semaphore>,
    backend_timeout: Duration,
    flights: Flights,
    stores: Stores,
    /// Keys that are not worth waiting for, since their answer could not be shared.
    markers: Markers,
    /// Keys with something stale to serve whose origin has failed.
    failures: Markers,
    stamps: Stamps,
    lanes: Lanes,
    functions: Functions,
    hasher: foldhash::quality::RandomState,
}

/// One namespace of it.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) scope: Scope,
    pub(crate) stamp: Stamp,
}

impl Core {
    /// A hash that two processes do not share, so that nobody can aim at collisions.
    pub(crate) fn hash_all(&self, parts: impl Iterator<Item = impl Hash>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        parts.for_each(|part| part.hash(&mut hasher));
        hasher.finish()
    }

    fn marker(&self, primary: &str, id: u64) -> u64 {
        self.hasher.hash_one((primary, id))
    }

    /// Those who come next do not wait for each other.
    fn mark_uncacheable(&self, primary: &str, id: u64) {
        self.markers.set(self.marker(primary, id), self.clock.now(), UNCACHEABLE);
    }

    /// The origin failed or was too slow, and is not asked again for a while.
    fn spare(&self, primary: &str, id: u64, backoff: Duration) {
        let (marker, now) = (self.marker(primary, id), self.clock.now());
        // Who finds out at the same time is told of the same failure.
        if !self.failures.is_set(marker, now) {
            self.failures.set(marker, now, backoff);
            self.reporter.tell(&Event::OriginFailed { key: primary });
        }
    }
}

impl Cache {
    /// A cache over a backend: entries live 300 seconds unless somebody says otherwise, keys have no prefix.
    pub fn new(backend: impl Backend) -> Self {
        Self::builder(backend).build()
    }

    /// Starts from the defaults of [`new`](Cache::new).
    ///
    /// ```
    /// use axum_caching::{Cache, NullBackend, Ttl};
    ///
    /// let cache = Cache::builder(NullBackend::default()).ttl(Ttl::Forever).build();
    /// assert_eq!(cache.ttl(), Ttl::Forever);
    /// ```
    pub fn builder(backend: impl Backend) -> CacheBuilder {
        CacheBuilder::new(Arc::new(backend))
    }

    fn with(core: Arc<Core>, scope: Scope) -> Self {
        let space = Space { stamp: core.stamps.of(scope.prefix()), scope };
        Self { space: Arc::new(space), core }
    }

    /// A cache inside this one, with keys of its own: same backend, same settings.
    ///
    /// Two routers that cache the same paths need two scopes. Clearing a cache clears the scopes in it; clearing a
    /// scope leaves everything else. A scope costs about 200 bytes for as long as the cache lives. A layer of a scope
    /// inside a layer of another keeps entries of its own; both go with a tag of the inner one.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Ttl};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let admin = cache.scoped("admin");
    /// cache.set("motd", "hello", Ttl::Default).await?;
    /// admin.set("motd", "hello, admin", Ttl::Default).await?;
    /// admin.clear().await?;
    /// assert_eq!(admin.get::<String>("motd").await?, None);
    /// assert_eq!(cache.get::<String>("motd").await?.as_deref(), Some("hello"));
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    #[must_use = "a scope is another handle"]
    pub fn scoped(&self, name: impl AsRef<str>) -> Self {
        let scope = self.space.scope.child(name.as_ref());
        let space = Space { stamp: self.core.stamps.of(scope.prefix()), scope };
        Self { core: Arc::clone(&self.core), space: Arc::new(space) }
    }

    /// The lifetime of entries for which nobody says another.
    pub fn ttl(&self) -> Ttl {
        self.core.profile.ttl
    }

    /// One of the [`profiles`](CacheBuilder::profiles) of this cache, in all its scopes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::{Cache, ErrorKind, NullBackend, Profile, Profiles};
    ///
    /// let hours = Profile::ttl(Duration::from_secs(2 * 3600));
    /// let profiles = Profiles::from_iter([("hours".to_owned(), hours)]);
    /// let cache = Cache::builder(NullBackend::default()).profiles(profiles).build();
    /// assert_eq!(cache.profile("hours")?, hours);
    /// assert_eq!(cache.profile("ours").unwrap_err().kind(), ErrorKind::Config);
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it has none of this name; the text names those that it has.
    pub fn profile(&self, name: &str) -> Result<Profile> {
        self.core.profiles.get(name)
    }

    /// How often what happened, over all scopes.
    pub fn stats(&self) -> CacheStats {
        let rejected = self.core.guard.as_ref().map_or(0, |guard| guard.rejected());
        CacheStats { rejected, ..self.core.reporter.stats() }
    }

    /// Whether the backend is asked, for a health check: see [`Breaker`](crate::Breaker). Always closed for a backend
    /// that keeps values live.
    pub fn breaker_state(&self) -> BreakerState {
        self.core.guard.as_ref().map_or(BreakerState::Closed, |guard| guard.state())
    }

    /// What the backend holds, all that is in it: entries of other caches too. `None` if it does not know, as one behind
    /// a network.
    ///
    /// [`Usage`] has an example.
    pub fn usage(&self) -> Option<Usage> {
        self.core.backend.usage()
    }

    /// Hands [`usage`](Cache::usage) to the recorder of the `metrics` crate; [`Usage`] has the names.
    ///
    /// Nothing else does: counting what is held takes the locks of the table, so it is done where metrics are read, or
    /// once in a while. A backend that does not know is left out.
    ///
    /// ```
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let cache = Cache::builder(MemoryBackend::default()).name("pages").build();
    /// // In the handler of `/metrics`, before the exporter is asked for its text:
    /// cache.record_usage();
    /// ```
    #[cfg(feature = "metrics")]
    pub fn record_usage(&self) {
        if let Some(usage) = self.usage() {
            self.core.reporter.record(&usage);
        }
    }

    /// Waits, up to 30 seconds, until everything that runs in the background has ended: fills, purges and commits whose
    /// callers went away, and streamed bodies that are still collected. Says whether it has.
    ///
    /// Call it after the server has shut down. The cache stays usable.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, NullBackend};
    ///
    /// assert!(Cache::new(NullBackend::default()).close().await);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime that counts the time.
    pub async fn close(&self) -> bool {
        timeout(CLOSE_WAIT, self.core.background.idle()).await.is_ok()
    }

    /// Tells this cache, scopes included, from others.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.core).addr()
    }

    /// Tells this scope of this cache from all others; handles on the same one have the same.
    #[inline]
    pub(crate) fn scope_id(&self) -> usize {
        self.space.stamp.id()
    }

    pub(crate) fn handover<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Handover<T> {
        Handover::new(&self.core.background, Some(self.core.fill_timeout), future)
    }

    /// Something that was sent to the backend: if its caller goes away it is waited for all the same, however long it
    /// takes, so that the gate it holds is not opened before the answer is there.
    pub(crate) fn seen_through<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Handover<T> {
        Handover::new(&self.core.background, None, future)
    }

    /// Where a lookup of the caller may be answered from. What is read inside a fill may have no stamp to hand on that
    /// would tell later that it lagged.
    fn reads(&self) -> Reads {
        if self.core.lags && FillContext::is_current() { Reads::Through } else { Reads::Copies }
    }

    /// The key of a text that the user chose.
    fn key(&self, text: &str) -> Result<Key> {
        self.space.scope.key(text).ok_or_else(|| {
            let message = format!("{} bytes, expected {MAX_TEXT} at most", text.len());
            Error::message(ErrorKind::Key, message)
        })
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.core.reporter.name())
            .field("backend", &self.core.backend)
            .field("prefix", &self.space.scope.prefix())
            .field("ttl", &self.ttl())
            .field("stats", &self.core.reporter)
            .finish_non_exhaustive()
    }
}
