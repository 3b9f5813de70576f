//! What can be said of one call.

use std::{borrow::Cow, fmt, future::Future, sync::Arc};

use serde::Serialize;

use super::{Begun, Keep, Memoizer, flow::State};
use crate::{cache::FillContext, error::Result, observe::Event, reason::BypassReason, ttl::Ttl};

/// A call of a memoized function, with what holds for this call alone; see [`Memoizer::at`].
#[must_use = "a call does nothing until it is told how to compute"]
pub struct Call<'a, 's, 'args, A: ?Sized, T, K> {
    memoizer: &'a Memoizer<T, K>,
    args: &'args A,
    unless: bool,
    forced: bool,
    own: Own<'s, T>,
}

/// Most calls have nothing of their own, and carry the room for a pointer only.
pub(super) type Own<'a, T> = Option<Box<Settings<'a, T>>>;

/// What holds for one call, from its key on.
pub(super) struct Settings<'a, T> {
    pub(super) ttl: Ttl,
    pub(super) is_stale: Option<Test<'a, T>>,
    pub(super) filter: Option<Test<'a, T>>,
    pub(super) tags: Vec<Cow<'a, str>>,
}

impl<T> Default for Settings<'_, T> {
    fn default() -> Self {
        Self { ttl: Ttl::Default, is_stale: None, filter: None, tags: Vec::new() }
    }
}

type Test<'a, T> = Box<dyn Fn(&T) -> bool + Send + Sync + 'a>;

impl<T, K> Memoizer<T, K> {
    /// A call with these arguments, to say more of it than that.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let reports = cache.memoizer("report");
    /// let year = 2026;
    ///
    /// let report = reports
    ///     .at(&year)
    ///     .unless(year < 2000)
    ///     .ttl(Duration::from_secs(if year == 2026 { 60 } else { 3600 }))
    ///     .call(async || format!("report of {year}"))
    ///     .await;
    /// assert_eq!(report, "report of 2026");
    /// # });
    /// ```
    #[inline]
    pub fn at<'a, 's, 'args, A: Serialize + ?Sized>(&'a self, args: &'args A) -> Call<'a, 's, 'args, A, T, K> {
        Call { memoizer: self, args, unless: false, forced: false, own: None }
    }
}

impl<'s, A: Serialize + ?Sized, T, K> Call<'_, 's, '_, A, T, K> {
    /// Whether this call does not touch the cache; a fill around it does not depend on it then.
    pub fn unless(mut self, unless: bool) -> Self {
        self.unless |= unless;
        self
    }

    /// Whether this call computes, and stores what it made, whatever is stored.
    pub fn forced_update(mut self, forced: bool) -> Self {
        self.forced |= forced;
        self
    }

    /// How long the result is kept.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.own.get_or_insert_default().ttl = ttl.into();
        self
    }

    /// Kept values that this call does not take.
    pub fn is_stale(mut self, is_stale: impl Fn(&T) -> bool + Send + Sync + 's) -> Self {
        self.own.get_or_insert_default().is_stale = Some(Box::new(is_stale));
        self
    }

    /// Values that are kept, beside what the memoizer says.
    pub fn response_filter(mut self, filter: impl Fn(&T) -> bool + Send + Sync + 's) -> Self {
        self.own.get_or_insert_default().filter = Some(Box::new(filter));
        self
    }

    /// Names that the result goes by: [`Cache::purge_tag`](crate::Cache::purge_tag) takes away all results with one
    /// of them, and what was made of those. They are known before anything is computed.
    pub fn tags<S: Into<Cow<'s, str>>>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.own.get_or_insert_default().tags.extend(tags.into_iter().map(Into::into));
        self
    }
}

impl<'a, 's, A: Serialize + ?Sized, T: Send + Sync + 'static, K: Keep<T>> Call<'a, 's, '_, A, T, K> {
    /// Looks the call up, as far as that goes without waiting. What comes after may take the arguments.
    ///
    /// It may hold the place of the one who computes, for whom others wait: call it or drop it at once.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let names = Cache::new(MemoryBackend::default()).memoizer("names");
    /// let name = String::from("ada");
    ///
    /// let begun = names.at(&(&name, 7)).begin();
    /// assert_eq!(begun.call(async || name + " 7").await, "ada 7");
    /// # });
    /// ```
    #[inline]
    pub fn begin(self) -> Begun<'a, 's, T, K> {
        let Self { memoizer, args, unless, forced, own } = self;
        let state =
            if unless { memoizer.bypass(BypassReason::Unless) } else { memoizer.look(args, forced, own.as_deref()) };
        Begun::of(memoizer, own, state)
    }

    /// The result: a kept one, or what `compute` makes.
    #[inline]
    pub async fn call<F, Fut>(self, compute: F) -> T
    where
        T: Clone,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        Arc::unwrap_or_clone(self.call_shared(compute).await)
    }

    /// As [`call`](Call::call), without a copy.
    #[inline]
    pub async fn call_shared<F, Fut>(self, compute: F) -> Arc<T>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        match self.begin().into_ready() {
            Ok(value) => value,
            Err(begun) => begun.call_shared(compute).await,
        }
    }

    /// The result: a kept one, or what `compute` makes; only `Ok` is kept.
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    #[inline]
    pub async fn try_call<E, F, Fut>(self, compute: F) -> Result<T, E>
    where
        T: Clone,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.try_call_shared(compute).await.map(Arc::unwrap_or_clone)
    }

    /// As [`try_call`](Call::try_call), without a copy.
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    #[inline]
    pub async fn try_call_shared<E, F, Fut>(self, compute: F) -> Result<Arc<T>, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        match self.begin().into_ready() {
            Ok(value) => Ok(value),
            Err(begun) => begun.try_call_shared(compute).await,
        }
    }

    /// Stores a result that is known already, with the lifetime and the tags of this call.
    ///
    /// # Errors
    ///
    /// As [`Memoizer::prime`].
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let names = cache.memoizer("names");
    /// names.at(&7).tags(["user:7"]).prime("ada".to_owned()).await?;
    /// cache.purge_tag("user:7").await?;
    /// assert_eq!(names.call(&7, async || "grace".to_owned()).await, "grace");
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub async fn prime(self, value: T) -> Result<()> {
        self.prime_shared(Arc::new(value)).await
    }

    pub(crate) async fn prime_shared(self, value: Arc<T>) -> Result<()> {
        self.memoizer.prime_with(self.args, self.own.as_deref(), value).await
    }
}

impl<T: Send + Sync + 'static, K: Keep<T>> Memoizer<T, K> {
    /// The result for these arguments: a kept one, or what `compute` makes, which is then kept.
    ///
    /// Short for [`at(args)`](Memoizer::at)[`.call(compute)`](Call::call).
    ///
    /// # Panics
    ///
    /// If `compute` does, or another closure of this memoizer, or the `Serialize` of the value: a panic goes to the
    /// caller whose it was, and one of the others takes over. In callers that wait, on a tokio runtime that does not
    /// count the time (`enable_time`).
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves its place to the others. What was sent to a backend is seen through.
    #[inline]
    pub async fn call<A, F, Fut>(&self, args: &A, compute: F) -> T
    where
        A: Serialize + ?Sized,
        T: Clone,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        Arc::unwrap_or_clone(self.call_shared(args, compute).await)
    }

    /// What `compute` makes, without the cache (`uncached` in Flask-Caching). Nothing is looked up or kept, and a fill
    /// around it does not depend on it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, Memoizer, NullBackend};
    ///
    /// let sums: Memoizer<u32> = Cache::new(NullBackend::default()).memoizer("sum");
    /// assert_eq!(sums.uncached(async || 3).await, 3);
    /// # });
    /// ```
    pub async fn uncached<F, Fut>(&self, compute: F) -> T
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        self.cache.core.reporter.tell(&Event::Bypass { reason: BypassReason::Unless });
        FillContext::default().run(compute).await
    }

    /// As [`call`](Memoizer::call), without a copy.
    #[inline]
    pub async fn call_shared<A, F, Fut>(&self, args: &A, compute: F) -> Arc<T>
    where
        A: Serialize + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        match self.look(args, false, None) {
            State::Ready(value) => value,
            state => Begun::of(self, None, state).call_shared(compute).await,
        }
    }

    /// The result for these arguments: a kept one, or what `compute` makes, which is kept if it is `Ok`.
    ///
    /// An error goes to the caller whose closure it came from, and to nobody else; the others try for themselves. To
    /// keep some errors, memoize the `Result`: see [`negative`](Memoizer::negative).
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    #[inline]
    pub async fn try_call<A, E, F, Fut>(&self, args: &A, compute: F) -> Result<T, E>
    where
        A: Serialize + ?Sized,
        T: Clone,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.try_call_shared(args, compute).await.map(Arc::unwrap_or_clone)
    }

    /// As [`try_call`](Memoizer::try_call), without a copy.
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    #[inline]
    pub async fn try_call_shared<A, E, F, Fut>(&self, args: &A, compute: F) -> Result<Arc<T>, E>
    where
        A: Serialize + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        match self.look(args, false, None) {
            State::Ready(value) => Ok(value),
            state => Begun::of(self, None, state).try_call_shared(compute).await,
        }
    }
}

impl<A: Serialize + ?Sized, T: Send + Sync + 'static, K: Keep<T>> Call<'_, 'static, '_, A, T, K> {
    /// The result: a kept one, or what `compute` makes, which may run in the background: see
    /// [`Memoizer::call_owned`]. What is said of the call must not borrow either.
    pub async fn call_owned<F, Fut>(self, compute: F) -> T
    where
        T: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.begin().call_owned(compute).await
    }

    /// As [`call_owned`](Call::call_owned); only `Ok` is kept.
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    pub async fn try_call_owned<E, F, Fut>(self, compute: F) -> Result<T, E>
    where
        T: Clone,
        E: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.begin().try_call_owned(compute).await
    }
}

impl<T: Send + Sync + 'static, K: Keep<T>> Memoizer<T, K> {
    /// As [`call`](Memoizer::call), with a `compute` that owns what it uses: so it may run in the background, on the tokio
    /// runtime of its caller.
    ///
    /// A stale result is served at once, and made anew behind the caller. A run that takes longer than the soft time-out
    /// is not waited for if there is a stale result. A caller that goes away leaves its run behind, which goes on and is
    /// kept. Without a runtime all this is as with `call`.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend, Profile};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let minute = Duration::from_secs(60);
    /// let names = cache.memoizer("names").profile(Profile::ttl(minute).stale_while_revalidate(10 * minute));
    ///
    /// let id = String::from("ada");
    /// let call = names.at(&*id).begin(); // what comes after may take the arguments
    /// assert_eq!(call.call_owned(async move || format!("name of {id}")).await, "name of ada");
    /// # });
    /// ```
    pub async fn call_owned<A, F, Fut>(&self, args: &A, compute: F) -> T
    where
        A: Serialize + ?Sized,
        T: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.at(args).call_owned(compute).await
    }

    /// As [`try_call`](Memoizer::try_call), with a `compute` that owns what it uses: see
    /// [`call_owned`](Memoizer::call_owned).
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    pub async fn try_call_owned<A, E, F, Fut>(&self, args: &A, compute: F) -> Result<T, E>
    where
        A: Serialize + ?Sized,
        T: Clone,
        E: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.at(args).try_call_owned(compute).await
    }
}

impl<A: ?Sized, T, K> fmt::Debug for Call<'_, '_, '_, A, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("of", &self.memoizer.name()).finish_non_exhaustive()
    }
}
