//! What the cache tells about itself: events for an [`Observer`], and counters.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    backend::BreakerState,
    error::Error,
    reason::{BypassReason, MissReason, NotStored},
};

/// One decision of the cache.
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
    observer: Option<Arc<dyn Observer>>,
    hits: AtomicU64,
    shared: AtomicU64,
    misses: AtomicU64,
    bypasses: AtomicU64,
    stored: AtomicU64,
    not_stored: AtomicU64,
    failures: AtomicU64,
    breaker_changes: AtomicU64,
}

impl Reporter {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self { observer, ..Self::default() }
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.counter(event).fetch_add(1, Ordering::Relaxed);
        if let Some(observer) = &self.observer {
            observer.on_event(event);
        }
        #[cfg(feature = "tracing")]
        match event {
            // Once when it opens is enough.
            Event::Failed { error, .. } if error.kind() == crate::error::ErrorKind::Unavailable => {}
            Event::Failed { operation, error } => {
                tracing::warn!(target: "axum_caching", operation, %error, "the cache went on without its backend");
            }
            Event::Breaker { state } => tracing::warn!(target: "axum_caching", ?state, "the breaker of the backend"),
            _ => {}
        }
    }

    pub(crate) fn failed(&self, operation: &'static str, error: &Error) {
        self.tell(&Event::Failed { operation, error });
    }

    fn counter(&self, event: &Event<'_>) -> &AtomicU64 {
        match event {
            Event::Hit { .. } => &self.hits,
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
