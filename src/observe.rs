//! What the cache tells about itself: events for an [`Observer`], counters, metrics, lines of `tracing`.
//!
//! A new [`Event`] has a row everywhere: the compiler asks for it in [`Reporter`], `metrics` and `trace`, and
//! `tests/observe.rs` for one in the table of its docs and for a test of it.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tracing")]
mod trace;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

#[cfg(feature = "metrics")]
use crate::backend::Usage;
use crate::{
    backend::BreakerState,
    error::Error,
    reason::{BypassReason, MissReason, NotStored},
};

/// One decision of the cache.
///
/// Each is counted in [`CacheStats`], with the feature `metrics` in a counter of the recorder of the `metrics` crate
/// too, and with the feature `tracing` it is a line whose target is `axum_caching`.
///
/// | event | `CacheStats` | metric | labels | `tracing` | fields |
/// |---|---|---|---|---|---|
/// | [`Hit`](Event::Hit) | `hits` | `axum_caching_hits_total` | | TRACE | `key` |
/// | [`Stale`](Event::Stale) | `stale` | `axum_caching_stale_total` | | DEBUG | `key` |
/// | [`Refresh`](Event::Refresh) | `refreshes` | `axum_caching_refreshes_total` | | DEBUG | `key` |
/// | [`OriginFailed`](Event::OriginFailed) | `origin_failures` | `axum_caching_origin_failures_total` | | DEBUG | `key` |
/// | [`Shared`](Event::Shared) | `shared` | `axum_caching_shared_total` | | DEBUG | `key` |
/// | [`Miss`](Event::Miss) | `misses` | `axum_caching_misses_total` | `reason` | DEBUG | `key`, `reason` |
/// | [`Bypass`](Event::Bypass) | `bypasses` | `axum_caching_bypasses_total` | `reason` | DEBUG | `reason` |
/// | [`Stored`](Event::Stored) | `stored` | `axum_caching_stored_total` | | DEBUG | `key` |
/// | [`NotStored`](Event::NotStored) | `not_stored` | `axum_caching_not_stored_total` | `reason` | DEBUG | `key`, `reason` |
/// | [`Failed`](Event::Failed) | `failures` | `axum_caching_failures_total` | `operation`, `kind` | WARN | `operation`, `kind`, `error` |
/// | [`Breaker`](Event::Breaker) | `breaker_changes` | `axum_caching_breaker_changes_total` | `state` | WARN | `state` |
///
/// What a backend holds is no event: see [`Usage`](crate::Usage).
///
/// A cache that has a [name](crate::CacheBuilder::name) says it in each metric and line, as `cache`. The names of
/// reasons are those of [`BypassReason::as_str`] and its like, those of kinds of [`ErrorKind::as_str`].
///
/// A key is never a label. It is in the lines of TRACE and DEBUG, and **holds what users send**: paths, and the arguments
/// of functions. Where logs may not have that, let `axum_caching` begin at INFO. A WARN has the words of the backend.
///
/// The recorder of metrics has to be there before the cache does anything: the counters are looked up in it once, at the
/// first event, so that a hit does not pay for that. Where nobody listens, each of the two features costs a hit about 40
/// instructions, a hundredth of what it costs anyway.
///
/// [`ErrorKind::as_str`]: crate::ErrorKind::as_str
///
/// # Examples
///
/// See [`Observer`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An entry was served (`cache_view_hit` and `cache_memoize_hit` in Flask-Caching).
    Hit {
        /// The key in the backend.
        key: &'a str,
    },
    /// A stale entry was served: while it is made anew, or because its origin failed.
    Stale {
        /// The key in the backend.
        key: &'a str,
    },
    /// An entry is made anew in the background.
    Refresh {
        /// The key in the backend.
        key: &'a str,
    },
    /// The origin failed or took too long, and a stale entry was there to serve.
    OriginFailed {
        /// The key in the backend.
        key: &'a str,
    },
    /// The answer of another caller's run was shared.
    Shared {
        /// The key in the backend.
        key: &'a str,
    },
    /// The origin runs (`cache_view_miss` and `cache_memoize_miss` in Flask-Caching).
    Miss {
        /// The key in the backend.
        key: &'a str,
        /// Why nothing was served.
        reason: MissReason,
    },
    /// The request did not touch the cache.
    Bypass {
        /// Why.
        reason: BypassReason,
    },
    /// An entry was stored.
    Stored {
        /// The key in the backend.
        key: &'a str,
    },
    /// What the origin made was not stored.
    NotStored {
        /// The key in the backend.
        key: &'a str,
        /// Why.
        reason: NotStored,
    },
    /// Something failed, and nobody else was told.
    Failed {
        /// What was tried: `get`, `set`, `decode` ..
        operation: &'static str,
        /// What happened.
        error: &'a Error,
    },
    /// The breaker of the backend opened, closed, or lets a probe through.
    Breaker {
        /// What it is now.
        state: BreakerState,
    },
}

/// Is told of every decision (the signals of Flask-Caching).
///
/// It is called on the way of the request, so it should be quick; it must not call the cache. Any closure is one.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::{Arc, Mutex};
/// use axum_caching::{Cache, Event, NullBackend, Ttl};
///
/// let missed = Arc::new(Mutex::new(Vec::new()));
/// let seen = Arc::clone(&missed);
/// let cache = Cache::builder(NullBackend::default())
///     .observer(move |event: &Event<'_>| {
///         if let Event::Miss { key, .. } = event {
///             seen.lock().unwrap().push(key.to_string());
///         }
///     })
///     .build();
///
/// cache.get_or_compute("answer", Ttl::Default, async || 42).await;
/// assert_eq!(*missed.lock().unwrap(), ["answer"]);
/// # });
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Takes one event.
    fn on_event(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for F {
    fn on_event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// How often what happened, since the cache was made.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, MemoryBackend, Ttl};
///
/// let cache = Cache::new(MemoryBackend::default());
/// cache.get_or_compute("answer", Ttl::Default, async || 42).await;
/// cache.get_or_compute("answer", Ttl::Default, async || 42).await;
/// assert_eq!((cache.stats().hits, cache.stats().misses), (1, 1));
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Entries served.
    pub hits: u64,
    /// Stale entries served.
    pub stale: u64,
    /// Runs of the origin in the background, to make an entry anew.
    pub refreshes: u64,
    /// Runs of the origin that failed or took too long while a stale entry was there to serve.
    pub origin_failures: u64,
    /// Callers that got the answer of another caller's run.
    pub shared: u64,
    /// Runs of the origin for want of an entry.
    pub misses: u64,
    /// Requests that did not touch the cache.
    pub bypasses: u64,
    /// Entries stored.
    pub stored: u64,
    /// Answers of the origin that were not stored.
    pub not_stored: u64,
    /// Failures that nobody else was told of.
    pub failures: u64,
    /// Calls that the backend was spared, since its breaker was open.
    pub rejected: u64,
    /// How often the breaker changed its state.
    pub breaker_changes: u64,
}

/// Counts, and passes on.
#[derive(Default)]
pub(crate) struct Reporter {
    /// What the cache is called.
    name: Option<Box<str>>,
    observer: Option<Arc<dyn Observer>>,
    #[cfg(feature = "metrics")]
    metrics: metrics::Metrics,
    hits: AtomicU64,
    stale: AtomicU64,
    refreshes: AtomicU64,
    origin_failures: AtomicU64,
    shared: AtomicU64,
    misses: AtomicU64,
    bypasses: AtomicU64,
    stored: AtomicU64,
    not_stored: AtomicU64,
    failures: AtomicU64,
    breaker_changes: AtomicU64,
}

impl Reporter {
    pub(crate) fn new(name: Option<Box<str>>, observer: Option<Arc<dyn Observer>>) -> Self {
        Self { name, observer, ..Self::default() }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    #[inline]
    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.counter(event).fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.metrics.count(self.name(), event);
        #[cfg(feature = "tracing")]
        trace::write(self.name(), event);
        if let Some(observer) = &self.observer {
            observer.on_event(event);
        }
    }

    /// As [`tell`](Reporter::tell) of a hit, which is made only for somebody who hears it.
    #[inline]
    pub(crate) fn tell_hit(&self, key: &str) {
        if cfg!(any(feature = "metrics", feature = "tracing")) || self.observer.is_some() {
            self.tell(&Event::Hit { key });
        } else {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands what the backend holds to the recorder of metrics.
    #[cfg(feature = "metrics")]
    pub(crate) fn record(&self, usage: &Usage) {
        self.metrics.record(self.name(), usage);
    }

    pub(crate) fn failed(&self, operation: &'static str, error: &Error) {
        self.tell(&Event::Failed { operation, error });
    }

    #[inline]
    fn counter(&self, event: &Event<'_>) -> &AtomicU64 {
        match event {
            Event::Hit { .. } => &self.hits,
            Event::Stale { .. } => &self.stale,
            Event::Refresh { .. } => &self.refreshes,
            Event::OriginFailed { .. } => &self.origin_failures,
            Event::Shared { .. } => &self.shared,
            Event::Miss { .. } => &self.misses,
            Event::Bypass { .. } => &self.bypasses,
            Event::Stored { .. } => &self.stored,
            Event::NotStored { .. } => &self.not_stored,
            Event::Failed { .. } => &self.failures,
            Event::Breaker { .. } => &self.breaker_changes,
        }
    }

    /// What it knows of: calls that are rejected are counted where that is done.
    pub(crate) fn stats(&self) -> CacheStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStats {
            hits: read(&self.hits),
            stale: read(&self.stale),
            refreshes: read(&self.refreshes),
            origin_failures: read(&self.origin_failures),
            shared: read(&self.shared),
            misses: read(&self.misses),
            bypasses: read(&self.bypasses),
            stored: read(&self.stored),
            not_stored: read(&self.not_stored),
            failures: read(&self.failures),
            rejected: 0,
            breaker_changes: read(&self.breaker_changes),
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}
