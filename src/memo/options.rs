//! The settings of a memoizer, one method each.

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use digest::Digest;

use super::{Encoded, Live, Memoizer, Shared};
use crate::{
    error::{Error, ErrorKind, Result},
    key::HashMethod,
    profile::Profile,
    ttl::Ttl,
};

impl<T, K> Memoizer<T, K> {
    /// How long results are kept (`timeout` in Flask-Caching); by default as long as the cache says, 300 seconds.
    #[doc(alias = "timeout")]
    pub fn ttl(self, ttl: impl Into<Ttl>) -> Self {
        let ttl = ttl.into();
        self.with(|shared| shared.ttl = Arc::new(Mutex::new(ttl)))
    }

    /// How results are kept up: beside the ttl, for how long a stale one is served while it is made anew or if that
    /// fails, and so on. What the profile does not set stays as it is, or is as the cache says.
    ///
    /// With [`call`](Memoizer::call) and its like, which compute in their caller, one of those who find a stale result
    /// computes, and the others are served the stale one meanwhile. [`call_owned`](Memoizer::call_owned) lets nobody wait.
    /// A soft time-out holds for those who wait for another, and for owned calls; a hard one does not hold: a time-out in
    /// the function itself gives an error of its own type, which counts as a failure.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend, Memoizer, Profile, testing::ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let cache = Cache::builder(MemoryBackend::builder().clock(clock.clock()).build()).clock(clock.clock()).build();
    /// let minute = Duration::from_secs(60);
    /// let rates: Memoizer<u32> = cache.memoizer("rate").profile(Profile::ttl(minute).stale_if_error(60 * minute));
    ///
    /// assert_eq!(rates.try_call(&"eur", async || Ok::<_, &str>(7)).await, Ok(7));
    /// clock.advance(2 * minute);
    /// assert_eq!(rates.try_call(&"eur", async || Err("down")).await, Ok(7));
    /// # });
    /// ```
    pub fn profile(self, profile: impl Into<Profile>) -> Self {
        let profile = profile.into();
        let this = self.with(|shared| shared.own = profile.or(shared.own));
        if profile.ttl == Ttl::Default { this } else { this.ttl(profile.ttl) }
    }

    /// For how long after its ttl a result is served while it is made anew. Not at all by default. See
    /// [`profile`](Memoizer::profile).
    pub fn stale_while_revalidate(self, window: Duration) -> Self {
        self.profile(Profile::default().stale_while_revalidate(window))
    }

    /// For how long after its ttl a result is served if the function fails. Not at all by default. See
    /// [`profile`](Memoizer::profile).
    pub fn stale_if_error(self, window: Duration) -> Self {
        self.profile(Profile::default().stale_if_error(window))
    }

    /// Ends a result `idle` after it was used last, and with its ttl in any case. Not at all by default.
    ///
    /// The end moves in the background, on the tokio runtime of the caller, once a hit would move it by a quarter of
    /// `idle`: one write for many hits. A result that ended unused is still good until its ttl ends if the function
    /// fails; the windows of a [`profile`](Memoizer::profile) do not count here, and neither do results that are
    /// [`negative`](Memoizer::negative).
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend, Memoizer, testing::ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let cache = Cache::builder(MemoryBackend::builder().clock(clock.clock()).build()).clock(clock.clock()).build();
    /// let minute = Duration::from_secs(60);
    /// let sessions: Memoizer<u32> = cache.memoizer("session").ttl(60 * minute).sliding(10 * minute);
    ///
    /// assert_eq!(sessions.call(&7, async || 1).await, 1);
    /// for _ in 0..5 {
    ///     clock.advance(9 * minute);
    ///     assert_eq!(sessions.call(&7, async || 2).await, 1, "used every nine minutes");
    ///     tokio::task::yield_now().await;
    /// }
    /// clock.advance(10 * minute);
    /// assert_eq!(sessions.call(&7, async || 3).await, 3, "unused for ten");
    /// # });
    /// ```
    pub fn sliding(self, idle: Duration) -> Self {
        self.with(|shared| shared.sliding = (idle > Duration::ZERO).then_some(idle))
    }

    /// The lifetime of results from now on (`cache_timeout` in Flask-Caching).
    #[doc(alias = "cache_timeout")]
    pub fn cache_ttl(&self) -> Ttl {
        self.ttl_now().or(self.cache.ttl())
    }

    /// Sets the lifetime of results that are stored from now on, in all clones.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::{Cache, Memoizer, NullBackend};
    ///
    /// let sums: Memoizer<u32> = Cache::new(NullBackend::default()).memoizer("sum");
    /// assert_eq!(sums.cache_ttl(), Duration::from_secs(300).into());
    /// sums.set_cache_ttl(Duration::from_secs(5));
    /// assert_eq!(sums.clone().cache_ttl(), Duration::from_secs(5).into());
    /// ```
    #[doc(alias = "cache_timeout")]
    pub fn set_cache_ttl(&self, ttl: impl Into<Ttl>) {
        *self.shared.ttl.lock().unwrap_or_else(PoisonError::into_inner) = ttl.into();
    }

    /// While it is true, calls do not touch the cache. What depends on the arguments is said at the
    /// [`call`](super::Call::unless).
    pub fn unless(self, unless: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.unless = Some(Arc::new(unless)))
    }

    /// While it is true, calls compute, and store what they made, whatever is stored.
    pub fn forced_update(self, forced: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.forced_update = Some(Arc::new(forced)))
    }

    /// Kept values that are not taken: they are computed anew. It is asked on hits only.
    pub fn is_stale(self, is_stale: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.is_stale = Some(Arc::new(is_stale)))
    }

    /// Values that are kept; all of them by default.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let found = cache.memoizer("found").response_filter(Option::is_some);
    /// assert_eq!(found.call(&1, async || None).await, None);
    /// assert_eq!(found.call(&1, async || Some(7)).await, Some(7));
    /// assert_eq!(found.call(&1, async || None).await, Some(7));
    /// # });
    /// ```
    pub fn response_filter(self, filter: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.response_filter = Some(Arc::new(filter)))
    }

    /// Values that are kept for a time of their own, whatever the filter says of them: `None`, or some errors.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// enum Failure { NotFound, Broken }
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let users = cache
    ///     .memoizer("users")
    ///     .response_filter(Result::is_ok)
    ///     .negative(|user| matches!(user, Err(Failure::NotFound)), Duration::from_secs(5));
    ///
    /// assert_eq!(users.call(&1, async || Err(Failure::Broken)).await, Err(Failure::Broken));
    /// assert_eq!(users.call(&1, async || Err(Failure::NotFound)).await, Err(Failure::NotFound));
    /// assert_eq!(users.call(&1, async || Ok(7)).await, Err(Failure::NotFound));
    /// # });
    /// ```
    pub fn negative(self, is_negative: impl Fn(&T) -> bool + Send + Sync + 'static, ttl: impl Into<Ttl>) -> Self {
        let ttl = ttl.into();
        self.with(|shared| shared.negative = Some((Arc::new(is_negative), ttl)))
    }

    /// A text that goes into the keys beside the name; it is made of the name.
    ///
    /// Two functions never share results, whatever is made of their names.
    pub fn make_name(self, make: impl FnOnce(&str) -> String) -> Self {
        self.with(|shared| shared.made = Some(make(&shared.name).into()))
    }

    /// The hash that stands for arguments whose text is over 512 bytes. MD5 by default; any [`Digest`] will do.
    pub fn hash_method<D: Digest>(self) -> Self {
        self.with(|shared| shared.hash = HashMethod::of::<D>())
    }

    /// A part of every key that a new release of the function changes (`source_check` in Flask-Caching).
    #[doc(alias = "source_check")]
    pub fn version(self, version: impl Into<String>) -> Self {
        self.with(|shared| shared.version = Some(version.into().into()))
    }

    /// How many bytes of memory hang on a value, beside its own size. By default as many as its serde form has; for
    /// values that are kept live, none.
    pub fn weight(self, weigh: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.weigh = Some(Arc::new(weigh)))
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Shared<T>)) -> Self {
        let shared = Arc::make_mut(&mut self.shared);
        change(shared);
        shared.settle(&self.cache.space.scope, &self.cache.core.profile);
        self
    }
}

impl<T> Memoizer<T, Encoded> {
    /// Keeps values as the objects they are: they need no serde form, and are shared by all who get them in an [`Arc`].
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// struct Template(String); // no serde
    ///
    /// let templates = Cache::new(MemoryBackend::default()).memoizer("template").live()?;
    /// let page: Arc<Template> = templates.call_shared("page", async || Template("<p>".into())).await;
    /// let again = templates.call_shared("page", async || unreachable!()).await;
    /// assert!(Arc::ptr_eq(&page, &again));
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the backend keeps bytes.
    pub fn live(self) -> Result<Memoizer<T, Live>> {
        if self.cache.core.backend.keeps_live() {
            return Ok(Memoizer { cache: self.cache, shared: self.shared, keep: PhantomData });
        }
        let message = format!(
            "`{}` is to keep its values live, and {:?} keeps bytes; use a MemoryBackend for it, or leave `live` out",
            self.name(),
            self.cache.core.backend
        );
        Err(Error::message(ErrorKind::Config, message))
    }
}
