//! How long an entry is of use, and what for: the numbers that layers, memoizers and the cache itself can set.

mod named;
mod read;

use std::time::Duration;

pub use self::named::Profiles;
pub(crate) use self::read::{KEYS, LENGTH, length};

use crate::ttl::Ttl;

/// How long a dead origin is left alone, if nobody says another time.
const DEFAULT_BACKOFF: Duration = Duration::from_secs(10);

/// How entries are kept up: how long they are fresh, what a stale one is still good for, and when it is made anew.
///
/// Whatever is not set is what the next wider level says: the handler's [`CachePolicy`](crate::CachePolicy), then the
/// layer or the memoizer, then the cache ([`CacheBuilder::profile`](crate::CacheBuilder::profile)). Nothing is on by
/// default but a `failure_backoff` of 10 seconds, which has nothing to do without the others.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use axum_caching::{Cache, CacheLayer, NullBackend, Profile};
///
/// const MINUTE: Duration = Duration::from_secs(60);
///
/// /// Fresh for a minute; good for ten more while it is refreshed, and for a day if that fails.
/// let hardy = Profile::ttl(MINUTE).stale_while_revalidate(10 * MINUTE).stale_if_error(24 * 60 * MINUTE);
///
/// let cache = Cache::new(NullBackend::default());
/// let layer = CacheLayer::new(&cache).profile(hardy.jitter(0.1));
/// # let _ = layer;
/// ```
///
/// A configuration can say it, and give it a name ([`Profiles`]):
///
/// ```
/// use std::time::Duration;
/// use axum_caching::Profile;
///
/// let read: Profile = serde_json::from_str(r#"{ "ttl": "90s", "stale_if_error": "1d" }"#)?;
/// assert_eq!(read, Profile::ttl(Duration::from_secs(90)).stale_if_error(Duration::from_secs(24 * 3600)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[must_use = "a profile does nothing until it is given to a cache, a layer or a memoizer"]
pub struct Profile {
    pub(crate) ttl: Ttl,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) keep: Option<Duration>,
    pub(crate) failure_backoff: Option<Duration>,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) hard_timeout: Option<Duration>,
    pub(crate) refresh_ahead: Option<f64>,
    pub(crate) early_expiration: Option<f64>,
    pub(crate) jitter: Option<f64>,
}

impl Profile {
    /// A profile that says nothing, where constants are made.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::Profile;
    ///
    /// const HARDY: Profile = Profile::new().stale_if_error(Duration::from_secs(3600));
    /// assert_ne!(HARDY, Profile::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            ttl: Ttl::Default,
            stale_while_revalidate: None,
            stale_if_error: None,
            keep: None,
            failure_backoff: None,
            soft_timeout: None,
            hard_timeout: None,
            refresh_ahead: None,
            early_expiration: None,
            jitter: None,
        }
    }

    /// How long entries stay fresh.
    pub fn ttl(ttl: impl Into<Ttl>) -> Self {
        Self { ttl: ttl.into(), ..Self::new() }
    }

    /// For how long after that a stale entry is served at once, while one run in the background makes it anew
    /// (RFC 5861 §3).
    pub const fn stale_while_revalidate(self, window: Duration) -> Self {
        Self { stale_while_revalidate: Some(window), ..self }
    }

    /// For how long after the ttl a stale entry is served if the origin fails (RFC 5861 §4): an error, a status of
    /// 5xx, a time-out. What says itself that it is an error is never served so.
    #[doc(alias = "fail_safe")]
    pub const fn stale_if_error(self, window: Duration) -> Self {
        Self { stale_if_error: Some(window), ..self }
    }

    /// For how long after the ttl a response is kept that may not be served, so that the handler can say that it is
    /// still right ([`CacheLayer::conditional_refresh`](crate::CacheLayer::conditional_refresh)). Not at all by default;
    /// one that may be served stale is kept for as long as that in any case.
    pub const fn keep(self, window: Duration) -> Self {
        Self { keep: Some(window), ..self }
    }

    /// How long an origin that has failed is not asked again for a key that has a stale entry to serve. 10 seconds by
    /// default; zero asks at every request.
    ///
    /// A cache remembers some 4 000 such keys at once, in this process; of more than that it forgets some before their
    /// time.
    #[doc(alias = "throttle")]
    pub const fn failure_backoff(self, backoff: Duration) -> Self {
        Self { failure_backoff: Some(backoff), ..self }
    }

    /// After how long a run of the origin is no longer waited for, if there is a stale entry to serve. The run goes on
    /// in the background, and its late result is stored.
    pub const fn soft_timeout(self, after: Duration) -> Self {
        Self { soft_timeout: Some(after), ..self }
    }

    /// After how long a run of the origin is no longer waited for in any case: the client gets what is stale, or
    /// `504 Gateway Timeout`. The run goes on in the background, and its late result is stored.
    ///
    /// It is for layers. What a function returns has no room for an error of ours, so that its caller says how long it
    /// waits, and gets the error of tokio. Around a call that owns what it uses
    /// ([`call_owned`](crate::Memoizer::call_owned), [`get_or_compute_owned`](crate::Cache::get_or_compute_owned),
    /// and `#[memoize]` with an option that runs in the background) that is a hard time-out: the run goes on, and its
    /// late result is stored. What is stale is served after [`soft_timeout`](Profile::soft_timeout).
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend};
    /// use tokio::time::{sleep, timeout};
    ///
    /// let reports = Cache::new(MemoryBackend::default()).memoizer::<u32>("reports");
    /// let second = Duration::from_secs(1);
    /// let slow = async move || { sleep(3 * second).await; 7 };
    /// assert!(timeout(second, reports.call_owned(&2026, slow)).await.is_err());
    /// sleep(3 * second).await;
    /// assert_eq!(reports.call(&2026, async || 8).await, 7, "late, and kept");
    /// # });
    /// ```
    pub const fn hard_timeout(self, after: Duration) -> Self {
        Self { hard_timeout: Some(after), ..self }
    }

    /// After which part of its ttl an entry that is asked for is made anew in the background: `0.8` is after 80 %.
    /// What is not between 0 and 1 turns it off.
    #[doc(alias = "eager_refresh")]
    pub const fn refresh_ahead(self, part: f64) -> Self {
        Self { refresh_ahead: Some(part), ..self }
    }

    /// Probabilistic early expiration (`XFetch`; Vattani, Chierichetti and Lowenstein 2015): an entry that is asked for
    /// is made anew in the background the more likely the nearer its end is and the longer its making took, so that
    /// processes that share a backend do not do it all at once. `beta` is 1 as a rule; more is more eager, and what is
    /// not above 0 turns it off.
    #[doc(alias = "xfetch")]
    pub const fn early_expiration(self, beta: f64) -> Self {
        Self { early_expiration: Some(beta), ..self }
    }

    /// By which part of it, at the most, the ttl of each entry is shortened at random: with `0.1` it is 90 to 100 % of
    /// what was asked for, so that what was stored together does not end together. It is never prolonged. What is not
    /// between 0 and 1 turns it off.
    pub const fn jitter(self, part: f64) -> Self {
        Self { jitter: Some(part), ..self }
    }

    /// This, and what the wider level says where this says nothing.
    pub(crate) fn or(self, wider: Self) -> Self {
        Self {
            ttl: self.ttl.or(wider.ttl),
            stale_while_revalidate: self.stale_while_revalidate.or(wider.stale_while_revalidate),
            stale_if_error: self.stale_if_error.or(wider.stale_if_error),
            keep: self.keep.or(wider.keep),
            failure_backoff: self.failure_backoff.or(wider.failure_backoff),
            soft_timeout: self.soft_timeout.or(wider.soft_timeout),
            hard_timeout: self.hard_timeout.or(wider.hard_timeout),
            refresh_ahead: self.refresh_ahead.or(wider.refresh_ahead),
            early_expiration: self.early_expiration.or(wider.early_expiration),
            jitter: self.jitter.or(wider.jitter),
        }
    }

    pub(crate) fn windows(&self) -> Windows {
        Windows {
            revalidate: self.stale_while_revalidate.unwrap_or_default(),
            error: self.stale_if_error.unwrap_or_default(),
            keep: self.keep.unwrap_or_default(),
        }
    }

    /// Whether runs of the origin are not waited for without end.
    pub(crate) fn is_timed(&self) -> bool {
        self.soft_timeout.is_some() || self.hard_timeout.is_some()
    }

    /// Whether there is nothing to be known of an entry but when it ends.
    pub(crate) fn is_plain(&self) -> bool {
        self.windows() == Windows::default() && self.early().is_off()
    }

    pub(crate) fn backoff(&self) -> Duration {
        self.failure_backoff.unwrap_or(DEFAULT_BACKOFF)
    }

    pub(crate) fn early(&self) -> Early {
        let part = self.refresh_ahead.filter(|part| 0.0 < *part && *part < 1.0);
        let beta = self.early_expiration.filter(|beta| 0.0 < *beta && beta.is_finite());
        Early { part, beta }
    }

    /// A lifetime, less what chance takes of it; `draw` is a number from 0 to 1.
    pub(crate) fn shortened(&self, lifetime: Duration, draw: impl FnOnce() -> f64) -> Duration {
        match self.jitter.filter(|part| 0.0 < *part && *part < 1.0) {
            Some(part) => lifetime.mul_f64(1.0 - part * draw().clamp(0.0, 1.0)),
            None => lifetime,
        }
    }
}

impl<T: Into<Ttl>> From<T> for Profile {
    fn from(ttl: T) -> Self {
        Self::ttl(ttl)
    }
}

/// What an entry is good for after it was fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Windows {
    /// While it is refreshed.
    pub(crate) revalidate: Duration,
    /// If the origin fails.
    pub(crate) error: Duration,
    /// For its validators.
    pub(crate) keep: Duration,
}

/// When an entry that is fresh is made anew all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Early {
    /// After this part of its lifetime.
    pub(crate) part: Option<f64>,
    /// By chance.
    pub(crate) beta: Option<f64>,
}

impl Early {
    pub(crate) fn is_off(&self) -> bool {
        self.part.is_none() && self.beta.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_not_set_is_what_the_wider_level_says() {
        let narrow = Profile::default().stale_if_error(MINUTE);
        let wide = Profile::ttl(MINUTE).stale_if_error(2 * MINUTE).stale_while_revalidate(3 * MINUTE).jitter(0.5);
        let both = narrow.or(wide);
        assert_eq!(both.ttl, Ttl::For(MINUTE));
        assert_eq!(both.windows(), Windows { revalidate: 3 * MINUTE, error: MINUTE, keep: Duration::ZERO });
        assert_eq!(both.jitter, Some(0.5));
    }

    #[test]
    fn jitter_shortens_by_its_part_at_the_most_and_never_prolongs() {
        let profile = Profile::default().jitter(0.25);
        assert_eq!(profile.shortened(4 * MINUTE, || 0.0), 4 * MINUTE);
        assert_eq!(profile.shortened(4 * MINUTE, || 1.0), 3 * MINUTE);
        assert_eq!(profile.shortened(4 * MINUTE, || 7.0), 3 * MINUTE);
    }

    #[test]
    fn numbers_that_make_no_sense_turn_their_option_off() {
        for part in [0.0, 1.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
            let profile = Profile::default().jitter(part).refresh_ahead(part);
            assert_eq!(profile.shortened(MINUTE, || 0.5), MINUTE, "{part}");
            assert_eq!(profile.early().part, None, "{part}");
        }
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Profile::default().early_expiration(beta).early().beta, None, "{beta}");
        }
    }
}
