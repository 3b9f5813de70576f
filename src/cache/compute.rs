//! Values that are computed once: a lookup, a flight and a store around a closure.

use std::{convert::Infallible, future::Future, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::Handle;

use super::{
    Cache, FillContext, OwnedKey,
    computed::{Computed, run},
};
use crate::{observe::Event, profile::Profile, reason::BypassReason};

impl Cache {
    /// The value of a key, or what `compute` makes of it, which is then stored.
    ///
    /// A thousand callers of a missing key run `compute` once; the others wait and decode what the first one made.
    /// The cache cannot make this call fail: when the backend does, `compute` runs.
    ///
    /// `compute` may borrow: it runs in its caller. If that goes away, one of the others takes over with its own.
    /// An entry that is not a `T` is replaced.
    ///
    /// Beside a ttl a [`Profile`] may be given. Of callers that find a stale value one computes and waits for it, and
    /// the others are served the stale one meanwhile;
    /// [`get_or_compute_owned`](Cache::get_or_compute_owned) lets nobody wait.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// for _ in 0..2 {
    ///     let sum = cache.get_or_compute("sum", Duration::from_secs(60), async || 1 + 2).await;
    ///     assert_eq!(sum, 3);
    /// }
    /// assert_eq!(cache.stats().misses, 1);
    /// # });
    /// ```
    pub async fn get_or_compute<T, F, Fut>(&self, key: &str, profile: impl Into<Profile>, compute: F) -> T
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let computed = self.try_get_or_compute(key, profile, async || Ok::<_, Infallible>(compute().await));
        match computed.await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value of a key, or what `compute` makes of it, which is stored if it is `Ok`.
    ///
    /// An error goes to the caller whose `compute` it came from, and to nobody else; the others try for themselves. If
    /// there is a stale value that may be served in that case, it is: see
    /// [`stale_if_error`](Profile::stale_if_error).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Ttl};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let failed = cache.try_get_or_compute("n", Ttl::Default, async || "seven".parse::<u32>()).await;
    /// assert!(failed.is_err());
    /// let found = cache.try_get_or_compute("n", Ttl::Default, async || "7".parse::<u32>()).await;
    /// assert_eq!(found, Ok(7));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    pub async fn try_get_or_compute<T, E, F, Fut>(
        &self,
        key: &str,
        profile: impl Into<Profile>,
        compute: F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let profile = profile.into().or(self.core.profile);
        let Some(key) = self.computed_key(key) else { return compute().await };
        let (fill, fallback) = match self.computed(key, &profile).await {
            Computed::Value(value) => return Ok(value),
            Computed::Late { value, late } => match self.refill(late.key, 0, &late.found) {
                Some(fill) => (fill, Some(late.found.record)),
                None => return Ok(value),
            },
            Computed::Missing(fill, fallback) => (fill, fallback),
        };
        run(fill, fallback, profile, compute).await.map(|made| self.served(made))
    }

    /// As [`get_or_compute`](Cache::get_or_compute), with a `compute` that owns what it uses: so it may run in the
    /// background, on the tokio runtime of its caller.
    ///
    /// A stale value is served at once, and made anew behind the caller. A run that takes longer than `soft_timeout` is
    /// no longer waited for if there is a stale value. A caller that goes away leaves its run behind, which goes on and
    /// stores what it makes. Without a runtime all this is as with `get_or_compute`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend, Profile};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let minute = Duration::from_secs(60);
    /// let hardy = Profile::ttl(minute).stale_while_revalidate(10 * minute).stale_if_error(60 * minute);
    /// let name = String::from("ada");
    /// let greeting = cache.get_or_compute_owned("hello", hardy, async move || format!("hello, {name}")).await;
    /// assert_eq!(greeting, "hello, ada");
    /// # });
    /// ```
    pub async fn get_or_compute_owned<T, F, Fut>(&self, key: &str, profile: impl Into<Profile>, compute: F) -> T
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let compute = move || {
            let computed = compute();
            async move { Ok::<_, Infallible>(computed.await) }
        };
        match self.try_get_or_compute_owned(key, profile, compute).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`try_get_or_compute`](Cache::try_get_or_compute), with a `compute` that owns what it uses: see
    /// [`get_or_compute_owned`](Cache::get_or_compute_owned).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, MemoryBackend, Ttl};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let found = cache.try_get_or_compute_owned("n", Ttl::Default, async || "7".parse::<u32>()).await;
    /// assert_eq!(found, Ok(7));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    pub async fn try_get_or_compute_owned<T, E, F, Fut>(
        &self,
        key: &str,
        profile: impl Into<Profile>,
        compute: F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let profile = profile.into().or(self.core.profile);
        let Some(key) = self.computed_key(key) else { return compute().await };
        match self.computed(key, &profile).await {
            Computed::Value(value) => Ok(value),
            Computed::Late { value, late } => {
                let Ok(runtime) = Handle::try_current() else {
                    let Some(fill) = self.refill(late.key, 0, &late.found) else { return Ok(value) };
                    let made = run(fill, Some(late.found.record), profile, compute).await;
                    return made.map(|made| self.served(made));
                };
                let record = Arc::clone(&late.found.record);
                let run = move |fill| async move { run(fill, Some(record), profile, compute).await.is_ok() };
                self.refresh(&runtime, late.key, 0, &late.found, profile.backoff(), run);
                Ok(value)
            }
            Computed::Missing(fill, fallback) => {
                let (key, stale) = (fill.key.clone(), fallback.clone());
                let run = self.handover(run(fill, fallback, profile, compute));
                self.unless_late(run, &key, &profile, stale, |record| self.decoded(record)).await
            }
        }
    }

    fn computed_key(&self, key: &str) -> Option<OwnedKey> {
        let key = match self.key(key) {
            Ok(key) => OwnedKey::from(&key),
            Err(error) => {
                self.core.reporter.failed("key", &error);
                return None;
            }
        };
        if FillContext::current().is_filling(self, &key.primary) {
            self.core.reporter.tell(&Event::Bypass { reason: BypassReason::Recursion });
            return None;
        }
        Some(key)
    }
}
