//! What a fill depends on: the stamps of the memoized values that were read while it ran.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;

use super::{Cache, tags::Kind};
use crate::{
    backend::Backend,
    profile::Profile,
    reason::NotStored,
    record::{Carried, MAX_CARRIED},
};

tokio::task_local! {
    static CURRENT: FillContext;
}

thread_local! {
    /// How many scopes are on the stack of this thread. Each hit asks whether there is one, and a number that needs no
    /// destructor is read with one instruction, where the task-local takes twenty.
    static SCOPES: Cell<usize> = const { Cell::new(0) };
}

/// Counts a scope while it is there.
struct Entered;

impl Entered {
    fn new() -> Self {
        SCOPES.set(SCOPES.get() + 1);
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        SCOPES.set(SCOPES.get() - 1);
    }
}

pin_project! {
    /// A future in the scope of a fill. What its destructors do when it is given up is not counted: that fill is over.
    struct Scoped<F> {
        #[pin]
        future: TaskLocalFuture<FillContext, F>,
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = Entered::new();
        self.project().future.poll(context)
    }
}

/// The fill that a call is part of.
///
/// A memoized function that calls others depends on what they return: when one of those values is purged, its own
/// entry has to go too. So each call notes itself with the fill it is part of, which it finds in a task-local. A task
/// that is spawned has none; [`scope`](FillContext::scope) takes it there. What is noted counts until the fill ends.
///
/// An entry depends on what those before it depend on, and on 256 stamps at most; one that depends on more is not kept
/// ([`NotStored::TooManyDependencies`]). Give what is read in such numbers one tag, and read it outside of the memoized
/// function.
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
    /// Tags whose stamps are still to be read.
    tags: BTreeSet<(Kind, Box<str>)>,
    /// What the origin said of the entry. Boxed, since hardly one says anything.
    profile: Option<Box<Profile>>,
    /// Why the entry may not be stored.
    refused: Option<NotStored>,
}

#[inline]
fn with_current<T>(work: impl FnOnce(&FillContext) -> T) -> Option<T> {
    // The threads of a model run on one thread, and would see each other's.
    if cfg!(all(test, model)) || SCOPES.get() == 0 {
        return None;
    }
    CURRENT.try_with(work).ok()
}

impl FillContext {
    /// Whether the caller is a part of a fill.
    #[inline]
    pub(crate) fn is_current() -> bool {
        with_current(|context| !context.is_empty()).unwrap_or(false)
    }

    /// Does something with that of the caller, if it is a part of a fill.
    #[inline]
    pub(crate) fn current_or_none(work: impl FnOnce(&Self)) {
        // Outside of fills there is none.
        let _ = with_current(work);
    }

    /// That of the caller; an empty one outside of fills.
    #[inline]
    pub(crate) fn current() -> Self {
        with_current(Clone::clone).unwrap_or_default()
    }

    /// Runs a future as a part of the fill that this is the context of.
    ///
    /// Cancel safe if the future is.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        Scoped { future: CURRENT.scope(self, future) }
    }

    /// Calls a closure, and runs the future that it gives, as a part of the fill: it may do something before its future.
    pub(crate) fn run<F: Future>(self, make: impl FnOnce() -> F) -> impl Future<Output = F::Output> {
        let future = {
            let _entered = Entered::new();
            CURRENT.sync_scope(self.clone(), make)
        };
        self.scope(future)
    }

    /// Gives the entry that is being filled a tag, by which [`Cache::purge_tag`] takes it away: for what a function or a
    /// handler finds in the data. Outside of fills it does nothing.
    ///
    /// A tag that is known before the data is read is better said there: at the call, the attribute or the layer. One
    /// that is purged while the fill runs may cost that fill its entry, and so may, more rarely, another one's purge.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Memoizer};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let posts: Memoizer<String> = cache.memoizer("post");
    /// let post = |author: u32| {
    ///     posts.call(&1, async move || {
    ///         Memoizer::context().tag(format!("user:{author}"));
    ///         format!("by {author}")
    ///     })
    /// };
    /// assert_eq!(post(7).await, "by 7");
    /// cache.purge_tag("user:7").await?;
    /// assert_eq!(post(8).await, "by 8");
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub fn tag(&self, tag: impl Into<String>) {
        self.tag_as(Kind::Named, tag.into());
    }

    pub(crate) fn tag_as(&self, kind: Kind, name: String) {
        if let Some(filling) = &self.0 {
            filling.lock().tags.insert((kind, name.into()));
        }
    }

    /// Says how the entry that is being filled is kept up: its ttl and its windows, before what the call, the memoizer, the
    /// layer or the cache say. What is said later goes before what was said earlier. Outside of fills it does nothing.
    ///
    /// A handler says the same in the response, with [`CachePolicy`](crate::CachePolicy), which goes before this.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Memoizer, Profile, Ttl};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let rates: Memoizer<u32> = cache.memoizer("rate");
    /// let rate = |rate| {
    ///     rates.call(&"eur", async move || {
    ///         // Nothing that is worth keeping.
    ///         Memoizer::context().profile(Profile::ttl(Ttl::DontStore));
    ///         rate
    ///     })
    /// };
    /// assert_eq!((rate(1).await, rate(2).await), (1, 2));
    /// # });
    /// ```
    pub fn profile(&self, profile: impl Into<Profile>) {
        if let Some(filling) = &self.0 {
            let mut noted = filling.lock();
            let before = noted.profile.take().map_or_else(Profile::default, |before| *before);
            noted.profile = Some(Box::new(profile.into().or(before)));
        }
    }

    /// What the origin said of the entry.
    pub(crate) fn noted_profile(&self) -> Option<Profile> {
        self.0.as_ref()?.lock().profile.as_deref().copied()
    }

    /// The tags that were named since this was last asked.
    pub(super) fn take_tags(&self) -> BTreeSet<(Kind, Box<str>)> {
        self.0.as_ref().map(|filling| mem::take(&mut filling.lock().tags)).unwrap_or_default()
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
        if carried.iter().any(|one| matches!(one, Carried::Unknown)) {
            return self.refuse(NotStored::Backend);
        }
        let mut noted = filling.lock();
        if noted.refused.is_some() {
            return;
        }
        for one in carried.iter().map(|one| one.seen_from(&filling.backend, from)) {
            if !noted.carried.iter().any(|other| other.is_of(&one)) {
                noted.carried.push(one);
            }
        }
        if noted.carried.len() > MAX_CARRIED {
            noted.carried = Vec::new();
            noted.refused = Some(NotStored::TooManyDependencies);
        }
    }

    /// Notes why the entry may not be stored: it read what a purge has overtaken, or, which is less, nobody knows.
    pub(crate) fn refuse(&self, why: NotStored) {
        let Some(filling) = &self.0 else { return };
        let mut noted = filling.lock();
        if noted.refused.is_none_or(|before| before == NotStored::Backend) {
            noted.refused = Some(why);
        }
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.0.as_ref().is_some_and(|filling| filling.lock().refused.is_some())
    }

    /// What was noted, or why the entry may not be stored.
    pub(crate) fn carried(&self) -> Result<Vec<Carried>, NotStored> {
        let Some(filling) = &self.0 else { return Ok(Vec::new()) };
        let noted = filling.lock();
        noted.refused.map_or_else(|| Ok(noted.carried.clone()), Err)
    }
}

impl Filling {
    // A panic under this lock is not possible; if it was, what is noted is still right.
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Filling {
    // One after the other: a task that spawns the next within itself makes a chain of any length.
    fn drop(&mut self) {
        let mut parent = self.parent.0.take();
        while let Some(mut last) = parent.and_then(Arc::into_inner) {
            parent = last.parent.0.take();
        }
    }
}

impl fmt::Debug for FillContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FillContext").field(&self.0.as_ref().map(|filling| &*filling.key)).finish()
    }
}
