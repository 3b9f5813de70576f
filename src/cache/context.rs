//! What a fill depends on: the stamps of the memoized values that were read while it ran.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Cache;
use crate::{
    backend::Backend,
    record::{Carried, MAX_CARRIED},
};

tokio::task_local! {
    static CURRENT: FillContext;
}

/// The fill that a call is part of.
///
/// A memoized function that calls others depends on what they return: when one of those values is purged, its own
/// entry has to go too. So each call notes itself with the fill it is part of, which it finds in a task-local. A task
/// that is spawned has none; [`scope`](FillContext::scope) takes it there. What is noted counts until the fill ends.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "memory")]
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, MemoryBackend, Memoizer};
///
/// let cache = Cache::new(MemoryBackend::default());
/// let (price, page): (Memoizer<u32>, Memoizer<String>) = (cache.memoizer("price"), cache.memoizer("page"));
///
/// let show = || {
///     page.call(&7, async || {
///         let (price, context) = (price.clone(), Memoizer::context());
///         let price = tokio::spawn(context.scope(async move { price.call(&7, async || 30).await }));
///         format!("{} EUR", price.await.unwrap())
///     })
/// };
/// show().await;
/// price.delete_memoized().await?;
/// assert_eq!(cache.stats().misses, 2);
/// show().await;
/// assert_eq!(cache.stats().misses, 4, "the page was made of the price");
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct FillContext(Option<Arc<Filling>>);

struct Filling {
    parent: FillContext,
    /// The cache and the key that are being filled.
    cache: usize,
    key: Arc<str>,
    backend: Arc<dyn Backend>,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    carried: Vec<Carried>,
    /// Something it depends on is not fit to be depended on: a purge came while it was read.
    is_refused: bool,
}

impl FillContext {
    /// Whether the caller is a part of a fill.
    #[inline]
    pub(crate) fn is_current() -> bool {
        CURRENT.try_with(|context| !context.is_empty()).unwrap_or(false)
    }

    /// That of the caller; an empty one outside of fills.
    #[inline]
    pub(crate) fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs a future as a part of the fill that this is the context of.
    ///
    /// Cancel safe if the future is.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// The context of a new fill inside that of the caller.
    pub(super) fn of_fill(cache: &Cache, key: &Arc<str>) -> Self {
        Self(Some(Arc::new(Filling {
            parent: Self::current(),
            cache: cache.id(),
            key: Arc::clone(key),
            backend: Arc::clone(&cache.core.backend),
            noted: Mutex::default(),
        })))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the caller is a part of the fill of this key: to wait for it would be to wait for itself.
    pub(crate) fn is_filling(&self, cache: &Cache, key: &str) -> bool {
        let mut context = self;
        while let Some(filling) = &context.0 {
            if filling.cache == cache.id() && *filling.key == *key {
                return true;
            }
            context = &filling.parent;
        }
        false
    }

    /// Notes what a value depends on that the fill has read from the backend `from`.
    pub(crate) fn note(&self, carried: &[Carried], from: &Arc<dyn Backend>) {
        let Some(filling) = self.0.as_ref().filter(|_| !carried.is_empty()) else { return };
        let mut noted = filling.lock();
        for one in carried.iter().map(|one| one.seen_from(&filling.backend, from)) {
            if !noted.carried.iter().any(|other| other.is_of(&one)) {
                noted.carried.push(one);
            }
        }
        noted.is_refused |= noted.carried.len() > MAX_CARRIED;
    }

    /// Notes that it read what a purge has overtaken.
    pub(crate) fn refuse(&self) {
        if let Some(filling) = &self.0 {
            filling.lock().is_refused = true;
        }
    }

    /// What was noted; `None` if the entry may not be stored.
    pub(crate) fn carried(&self) -> Option<Vec<Carried>> {
        let Some(filling) = &self.0 else { return Some(Vec::new()) };
        let noted = filling.lock();
        (!noted.is_refused).then(|| noted.carried.clone())
    }
}

impl Filling {
    // A panic under this lock is not possible; if it was, what is noted is still right.
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FillContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FillContext").field(&self.0.as_ref().map(|filling| &*filling.key)).finish()
    }
}
