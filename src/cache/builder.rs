use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use foldhash::quality::RandomState;
use tokio::sync::Semaphore;

use super::{Background, Cache, Core, functions::Functions, lanes::Lanes, markers::Markers, stores::Stores};
use crate::{
    backend::{Backend, Breaker, BreakerState, Guard},
    clock::Clock,
    codec::{Codec, DynCodec, Postcard},
    flight::Flights,
    key::Scope,
    observe::{Event, Observer, Reporter},
    profile::{Profile, Profiles},
    stamps::Stamps,
    ttl::Ttl,
};

/// The lifetime of an entry when nobody says another, as in Flask-Caching.
const DEFAULT_TTL: Duration = Duration::from_secs(300);

/// How long a caller waits for the run of another.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// How long a run may go on that nobody waits for.
const DEFAULT_FILL_TIMEOUT: Duration = Duration::from_secs(60);

/// How many entries are made anew in the background at the same time.
const DEFAULT_REFRESHES: usize = 100;

/// How long a caller waits for the backend.
const DEFAULT_BACKEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Settings of a [`Cache`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use axum_caching::{Cache, MemoryBackend};
///
/// let cache = Cache::builder(MemoryBackend::default())
///     .ttl(Duration::from_secs(60))
///     .key_prefix("shop:")
///     .build();
/// assert_eq!(cache.ttl(), Duration::from_secs(60).into());
/// ```
#[derive(Debug)]
#[must_use = "call `build`"]
pub struct CacheBuilder {
    backend: Arc<dyn Backend>,
    profile: Profile,
    profiles: Profiles,
    key_prefix: String,
    codec: Arc<dyn DynCodec>,
    clock: Clock,
    name: Option<Box<str>>,
    observer: Option<Observers>,
    wait: Duration,
    wait_elsewhere: Option<Duration>,
    fill_timeout: Duration,
    refreshes: usize,
    backend_timeout: Duration,
    breaker: Breaker,
}

struct Observers(Arc<dyn Observer>);

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl CacheBuilder {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            profile: Profile::ttl(DEFAULT_TTL),
            profiles: Profiles::default(),
            key_prefix: String::new(),
            codec: Arc::new(Postcard::default()),
            clock: Clock::system(),
            name: None,
            observer: None,
            wait: DEFAULT_WAIT,
            wait_elsewhere: None,
            fill_timeout: DEFAULT_FILL_TIMEOUT,
            refreshes: DEFAULT_REFRESHES,
            backend_timeout: DEFAULT_BACKEND_TIMEOUT,
            breaker: Breaker::default(),
        }
    }

    /// The lifetime of entries for which nobody says another. 300 seconds by default, as in Flask-Caching.
    ///
    /// `Ttl::Default` changes nothing.
    #[doc(alias = "CACHE_DEFAULT_TIMEOUT")]
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.profile.ttl = ttl.into().or(self.profile.ttl);
        self
    }

    /// How entries are kept up of which nobody says otherwise: beside the ttl, for how long a stale one is served while
    /// it is refreshed or if the origin fails, and so on. What the profile does not set stays as it is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::{Cache, NullBackend, Profile};
    ///
    /// let hour = Duration::from_secs(3600);
    /// let cache = Cache::builder(NullBackend::default()).profile(Profile::default().stale_if_error(hour)).build();
    /// assert_eq!(cache.ttl(), Duration::from_secs(300).into());
    /// ```
    pub fn profile(mut self, profile: impl Into<Profile>) -> Self {
        self.profile = profile.into().or(self.profile);
        self
    }

    /// Profiles that have a name, for [`Cache::profile`]. None by default; more calls add more, and of two with the same
    /// name the later one holds. They are for those who ask: what holds for all entries is
    /// [`profile`](CacheBuilder::profile).
    ///
    /// [`Profiles`] has an example.
    pub fn profiles(mut self, profiles: Profiles) -> Self {
        self.profiles.extend(profiles);
        self
    }

    /// What all keys of this cache begin with in the backend. Empty by default.
    ///
    /// Applications that share a backend need prefixes of which none begins with another.
    #[doc(alias = "CACHE_KEY_PREFIX")]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// How values become bytes; [`Postcard`] by default.
    #[doc(alias = "CACHE_SERIALIZER")]
    pub fn codec(mut self, codec: impl Codec) -> Self {
        self.codec = Arc::new(codec);
        self
    }

    /// Where the time is read; the clock of the machine by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What this cache is called in metrics and in lines of `tracing`, where it tells several apart: the label and the
    /// field `cache`, which nothing has without a name. None by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Who is told of every decision; nobody by default.
    #[doc(alias = "CACHE_ENABLE_SIGNALS")]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Observers(Arc::new(observer)));
        self
    }

    /// How long a caller waits for the run of another before it runs the origin itself. 10 seconds by default.
    ///
    /// Waiting is bounded on a tokio runtime that counts the time (`enable_time`, which `#[tokio::main]` does), and
    /// unbounded elsewhere.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Waits for the runs of other processes too, each for so long at the most, so that a cold key is made once by all
    /// that share a backend. Off by default.
    ///
    /// One caller of each process looks whether the entry has come, every 10 to 250 milliseconds, and the others of its
    /// process wait for it. If the other run ends without an entry, or has not ended in time, the origin is run here.
    /// It saves work, and nothing else depends on it: after a process has died in the middle of a run, the first caller of
    /// that key in each process may wait in vain; and for two minutes after a run that stored nothing nobody waits for
    /// that key. [`max_wait`](CacheBuilder::max_wait) should be longer than this.
    ///
    /// It is for first fills over a backend that [compares](Backend::compares), on a runtime with timers, and is of no
    /// account elsewhere: not for what runs in the background, for an expired entry that is still kept, nor for
    /// [`call_many`](crate::Memoizer::call_many). It costs a run that stores nothing one call of the backend more.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::{Cache, NullBackend};
    ///
    /// let wait = Duration::from_secs(2);
    /// let cache = Cache::builder(NullBackend::default()).distributed_single_flight(wait).build();
    /// assert_eq!(cache.stats().misses, 0);
    /// ```
    #[doc(alias = "distributed_lock")]
    pub fn distributed_single_flight(mut self, wait: Duration) -> Self {
        self.wait_elsewhere = Some(wait);
        self
    }

    /// How long a run of the origin may go on after its caller went away. 60 seconds by default.
    ///
    /// Over a backend that several processes share, a run that takes a minute longer than this is not stored, also if
    /// its caller waits: its place in the backend is kept for so long.
    pub fn fill_timeout(mut self, timeout: Duration) -> Self {
        self.fill_timeout = timeout;
        self
    }

    /// How many entries are made anew in the background at the same time. 100 by default; where there is no place, the
    /// entry is served as it is, and a later request tries again. 0 turns refreshing in the background off.
    ///
    /// ```
    /// use axum_caching::{Cache, NullBackend};
    ///
    /// let cache = Cache::builder(NullBackend::default()).max_refreshes(4).build();
    /// assert_eq!(cache.stats().refreshes, 0);
    /// ```
    pub fn max_refreshes(mut self, refreshes: usize) -> Self {
        self.refreshes = refreshes;
        self
    }

    /// How long a caller waits for the backend. 1 second by default; `Duration::MAX` is for ever.
    ///
    /// A lookup that takes longer is a miss, with the reason [`Backend`](crate::MissReason::Backend). A store that takes
    /// longer goes on without the request that it is for. An explicit call ([`Cache::set`], [`Cache::delete`] ..) that
    /// takes longer is [`ErrorKind::Timeout`](crate::ErrorKind::Timeout): what was sent goes on in the background, and
    /// it is not known whether it will be done. Nothing else is stored under its key until the backend has answered, so
    /// that no purge is overtaken by an older store; who comes meanwhile is answered by the origin, or gets
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) within the same time. A store or a deletion that the
    /// backend does not answer at all is given up after another minute, and what it may have left behind is not read any
    /// more by this process.
    ///
    /// Each call of the backend has this time, and all calls of one lookup or one store together; a batch is one call.
    /// A client's own time-out should be longer than this, or it is the one that ends the request.
    ///
    /// Time is counted on a tokio runtime that has timers (`enable_time`, which `#[tokio::main]` does); elsewhere there
    /// is no time-out. tokio tells of a runtime without timers by a panic, which is caught, but which a panic hook sees
    /// once a thread; where panics abort, the runtime has to have timers.
    ///
    /// It is of no account for a backend that keeps values live in this process ([`Backend::keeps_live`]), which
    /// answers at once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::{Cache, NullBackend};
    ///
    /// let cache = Cache::builder(NullBackend::default()).backend_timeout(Duration::from_millis(200)).build();
    /// assert_eq!(cache.stats().rejected, 0);
    /// ```
    pub fn backend_timeout(mut self, timeout: Duration) -> Self {
        self.backend_timeout = timeout;
        self
    }

    /// When a backend that fails is left alone: by default after 5 failures in a row, for 5 seconds. See [`Breaker`].
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.breaker = breaker;
        self
    }

    /// The cache.
    pub fn build(self) -> Cache {
        let core = Arc::new_cyclic(|core| {
            let (backend, guard) = guarded(self.backend, self.backend_timeout, self.breaker, core);
            Core {
                lags: backend.lags(),
                backend,
                guard,
                profile: self.profile,
                profiles: self.profiles,
                codec: self.codec,
                clock: self.clock,
                reporter: Reporter::new(self.name, self.observer.map(|observer| observer.0)),
                background: Background::default(),
                wait: self.wait,
                wait_elsewhere: self.wait_elsewhere,
                fill_timeout: self.fill_timeout,
                refreshes: Arc::new(Semaphore::new(self.refreshes.min(Semaphore::MAX_PERMITS))),
                backend_timeout: self.backend_timeout,
                flights: Flights::default(),
                stores: Stores::default(),
                markers: Markers::default(),
                failures: Markers::default(),
                stamps: Stamps::default(),
                lanes: Lanes::default(),
                functions: Functions::default(),
                hasher: RandomState::default(),
            }
        });
        Cache::with(core, Scope::root(&self.key_prefix))
    }
}

/// What keeps values live answers at once, and is asked without a guard between.
fn guarded(
    backend: Arc<dyn Backend>,
    timeout: Duration,
    breaker: Breaker,
    core: &Weak<Core>,
) -> (Arc<dyn Backend>, Option<Arc<Guard>>) {
    if backend.keeps_live() {
        return (backend, None);
    }
    let core = Weak::clone(core);
    let tell = move |state: BreakerState| {
        if let Some(core) = core.upgrade() {
            core.reporter.tell(&Event::Breaker { state });
        }
    };
    let guard = Arc::new(Guard::new(backend, timeout, breaker, tell));
    (Arc::clone(&guard) as Arc<dyn Backend>, Some(guard))
}
