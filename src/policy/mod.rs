//! What a response says about how it may be kept: its [`CachePolicy`], `Cache-Control`, `Expires`, `Age`.

mod said;

use std::time::Duration;

pub(crate) use self::said::{Said, request_forbids_storing, request_wants_refresh};
use crate::{
    profile::{Profile, Windows},
    reason::NotStored,
    ttl::Ttl,
};

/// What a handler says about caching its own response (`CachedResponse` in Flask-Caching).
///
/// Put it into the extensions of the response; in axum, return it as a part of the response. It goes before what the
/// layer and the header fields say, but `Cache-Control: no-store` and `private` always restrict.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use std::time::Duration;
/// use axum::response::IntoResponse;
/// use axum_caching::CachePolicy;
///
/// async fn news() -> impl IntoResponse {
///     (CachePolicy::ttl(Duration::from_secs(5)), "short-lived")
/// }
/// # }
/// ```
///
/// Without axum:
///
/// ```
/// use axum_caching::CachePolicy;
///
/// let mut response = http::Response::new("a secret");
/// response.extensions_mut().insert(CachePolicy::no_store());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a policy does nothing until it is part of a response"]
#[doc(alias = "CachedResponse")]
pub struct CachePolicy {
    ttl: Ttl,
    stale_while_revalidate: Option<Duration>,
    stale_if_error: Option<Duration>,
    tags: Vec<String>,
}

impl CachePolicy {
    /// The response may be kept this long, with whatever status but 1xx, 206 and 304.
    ///
    /// `Ttl::Default` says nothing.
    pub fn ttl(ttl: impl Into<Ttl>) -> Self {
        Self { ttl: ttl.into(), ..Self::default() }
    }

    /// For how long after its ttl the response is served while it is made anew in the background.
    ///
    /// It goes before `Cache-Control: must-revalidate`, and before what the layer says.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::{CachePolicy, Ttl};
    ///
    /// let policy = CachePolicy::ttl(Ttl::Default).stale_while_revalidate(Duration::from_secs(30));
    /// assert_ne!(policy, CachePolicy::default());
    /// ```
    pub fn stale_while_revalidate(self, window: Duration) -> Self {
        Self { stale_while_revalidate: Some(window), ..self }
    }

    /// For how long after its ttl the response is served if the handler fails; as
    /// [`stale_while_revalidate`](CachePolicy::stale_while_revalidate) otherwise.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::CachePolicy;
    ///
    /// let minute = Duration::from_secs(60);
    /// assert_ne!(CachePolicy::ttl(minute).stale_if_error(minute), CachePolicy::ttl(minute));
    /// ```
    pub fn stale_if_error(self, window: Duration) -> Self {
        Self { stale_if_error: Some(window), ..self }
    }

    /// The response may not be kept, and not be shared with others who wait for it.
    pub fn no_store() -> Self {
        Self::ttl(Ttl::DontStore)
    }

    /// Names that the response goes by: [`Cache::purge_tag`](crate::Cache::purge_tag) takes away all entries with one
    /// of them. What is known before the handler runs is better said at the layer, see
    /// [`FillContext::tag`](crate::FillContext::tag).
    ///
    /// ```
    /// use axum_caching::{CachePolicy, Ttl};
    ///
    /// let policy = CachePolicy::ttl(Ttl::Default).tags(["user:7", "news"]);
    /// assert_ne!(policy, CachePolicy::default());
    /// ```
    #[doc(alias = "surrogate_key")]
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Takes what it does not say itself.
    pub(crate) fn add(&mut self, profile: Profile) {
        self.ttl = self.ttl.or(profile.ttl);
        self.stale_while_revalidate = self.stale_while_revalidate.or(profile.stale_while_revalidate);
        self.stale_if_error = self.stale_if_error.or(profile.stale_if_error);
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.tags
    }

    /// Whether the handler gave a lifetime, so that the status is its own affair.
    pub(crate) fn names_a_lifetime(&self) -> bool {
        !matches!(self.ttl, Ttl::Default | Ttl::DontStore)
    }
}

/// What meets at one response, from the widest to the most specific.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configured<'a> {
    pub(crate) cache: Ttl,
    /// Of the innermost layer that has one.
    pub(crate) layer: Ttl,
    /// Of the layer and the cache together.
    pub(crate) profile: &'a Profile,
}

/// How a response may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// From now on; `None` is for ever.
    pub(crate) fresh: Option<Duration>,
    /// How old it is already.
    pub(crate) age: Duration,
    pub(crate) windows: Windows,
}

/// How long a response may be kept, and what it is good for after that.
///
/// The policy of the handler, then `s-maxage`, then the smaller of the layer's lifetime and `max-age` or `Expires`,
/// then the cache's default. `no-store` and `private` restrict whatever else is said.
pub(crate) fn lifetime(
    configured: Configured<'_>,
    policy: Option<&CachePolicy>,
    said: &Said<'_>,
    now: u64,
) -> Result<Terms, NotStored> {
    let own = policy.map_or(Ttl::Default, |policy| policy.ttl);
    if let Some(reason) = said.forbids(own) {
        return Err(reason);
    }
    let ttl = match (own, said.shared) {
        (Ttl::Default, _) if configured.layer == Ttl::DontStore => Ttl::DontStore,
        (Ttl::Default, Some(seconds)) => said.left(seconds),
        (Ttl::Default, None) => {
            configured.layer.min(said.private(now).map_or(Ttl::Default, |seconds| said.left(seconds)))
        }
        (own, _) => own,
    };
    let fresh = ttl.or(configured.cache).lifetime().ok_or(NotStored::NoLifetime)?;
    let windows = windows(policy, said, configured.profile);
    Ok(Terms { fresh, age: said.age.unwrap_or_default(), windows })
}

/// The policy of the handler, then what the response says (RFC 5861), then the layer, then the cache. Between the
/// first two stands what forbids stale answers (RFC 9111 §4.2.4); `s-maxage` does so where nothing is said of them.
fn windows(policy: Option<&CachePolicy>, said: &Said<'_>, profile: &Profile) -> Windows {
    let window = |own: Option<Duration>, response: Option<u64>, configured: Duration| match (own, response) {
        (Some(own), _) => own,
        _ if said.must_revalidate => Duration::ZERO,
        (None, Some(seconds)) => Duration::from_secs(seconds),
        (None, None) if said.shared.is_some() => Duration::ZERO,
        (None, None) => configured,
    };
    let configured = profile.windows();
    let own = |of: fn(&CachePolicy) -> Option<Duration>| policy.and_then(of);
    Windows {
        revalidate: window(own(|policy| policy.stale_while_revalidate), said.revalidate, configured.revalidate),
        error: window(own(|policy| policy.stale_if_error), said.error, configured.error),
        // Nothing forbids to ask.
        keep: configured.keep,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::{said::MAX_SECONDS, *};

    const MINUTE: Duration = Duration::from_secs(60);
    fn lifetime_of(policy: Option<&CachePolicy>, lines: Lines<'_>) -> Result<(Option<Duration>, Duration), NotStored> {
        terms_of(policy, lines).map(|terms| (terms.fresh, terms.age))
    }

    fn windows_of(policy: Option<&CachePolicy>, lines: Lines<'_>) -> [u64; 2] {
        let windows = terms_of(policy, lines).expect("kept").windows;
        [windows.revalidate.as_secs(), windows.error.as_secs()]
    }

    type Lines<'a> = &'a [(&'static str, &'static str)];

    fn terms_of(policy: Option<&CachePolicy>, lines: Lines<'_>) -> Result<Terms, NotStored> {
        let profile =
            Profile::default().stale_while_revalidate(Duration::from_secs(1)).stale_if_error(Duration::from_secs(2));
        let configured =
            Configured { cache: Ttl::For(Duration::from_secs(300)), layer: Ttl::For(MINUTE), profile: &profile };
        let values: Vec<_> = lines.iter().map(|(name, value)| (*name, HeaderValue::from_static(value))).collect();
        let mut said = Said::default();
        for (name, value) in &values {
            match *name {
                "cache-control" => said.cache_control(value),
                "expires" => said.expires(value),
                "date" => said.date(value),
                _ => said.age(value, Duration::ZERO),
            }
        }
        lifetime(configured, policy, &said, 0)
    }

    fn kept(lines: Lines<'_>) -> Result<u64, NotStored> {
        let (fresh, _) = lifetime_of(None, lines)?;
        Ok(fresh.expect("an end").as_secs())
    }

    #[test]
    fn the_most_specific_lifetime_wins() {
        assert_eq!(kept(&[]), Ok(60));
        assert_eq!(kept(&[("cache-control", "max-age=10")]), Ok(10));
        assert_eq!(kept(&[("cache-control", "max-age=100")]), Ok(60), "the layer bounds max-age");
        assert_eq!(kept(&[("cache-control", "max-age=10, s-maxage=100")]), Ok(100));
        let policy = CachePolicy::ttl(Duration::from_secs(7));
        let (fresh, _) = lifetime_of(Some(&policy), &[("cache-control", "s-maxage=100")]).expect("kept");
        assert_eq!(fresh, Some(Duration::from_secs(7)));
    }

    #[test]
    fn restrictions_are_found_in_any_case_and_quoting() {
        // Django CVE-2026-8404, Hono CVE-2026-24472.
        assert_eq!(kept(&[("cache-control", "NO-STORE")]), Err(NotStored::NoStore));
        assert_eq!(kept(&[("cache-control", "max-age=60,Private")]), Err(NotStored::Private));
        assert_eq!(kept(&[("cache-control", "private=\"set-cookie, x\"")]), Err(NotStored::Private));
        assert_eq!(kept(&[("cache-control", "x=\"a, b\", no-cache")]), Err(NotStored::NoCache));
        assert_eq!(kept(&[("cache-control", "max-age=1"), ("cache-control", " no-store ")]), Err(NotStored::NoStore));
        assert_eq!(kept(&[("cache-control", "x=\"open, no-store")]), Err(NotStored::NoStore));
        assert_eq!(kept(&[("cache-control", "x=\"no-store\"")]), Ok(60), "inside a string it is no directive");
    }

    #[test]
    fn no_store_and_private_restrict_the_handler_too_and_no_cache_does_not() {
        let policy = CachePolicy::ttl(MINUTE);
        let with = |value| lifetime_of(Some(&policy), &[("cache-control", value)]).map(drop);
        assert_eq!(with("no-store"), Err(NotStored::NoStore));
        assert_eq!(with("private"), Err(NotStored::Private));
        assert_eq!(with("no-cache"), Ok(()));
    }

    #[test]
    fn numbers_that_are_none_are_stale_and_large_ones_are_large() {
        assert_eq!(kept(&[("cache-control", "max-age=ten")]), Err(NotStored::NoLifetime));
        assert_eq!(kept(&[("cache-control", "max-age=-1")]), Err(NotStored::NoLifetime));
        assert_eq!(kept(&[("cache-control", "max-age=0")]), Err(NotStored::NoLifetime));
        assert_eq!(kept(&[("cache-control", "max-age=\"10\"")]), Ok(10));
        assert_eq!(kept(&[("cache-control", "max-age=20, max-age=10")]), Ok(10));
        assert_eq!(kept(&[("cache-control", "s-maxage=99999999999999999999999")]), Ok(MAX_SECONDS));
    }

    #[test]
    fn expires_counts_from_date_and_a_bad_one_is_past() {
        let date = ("date", "Thu, 01 Jan 1970 00:00:10 GMT");
        assert_eq!(kept(&[date, ("expires", "Thu, 01 Jan 1970 00:00:30 GMT")]), Ok(20));
        assert_eq!(kept(&[("expires", "0")]), Err(NotStored::NoLifetime));
        assert_eq!(kept(&[("expires", "0"), ("cache-control", "max-age=5")]), Ok(5));
    }

    #[test]
    fn the_age_at_the_origin_is_taken_off() {
        assert_eq!(kept(&[("age", "4"), ("cache-control", "max-age=10")]), Ok(6));
        assert_eq!(kept(&[("age", "10"), ("cache-control", "max-age=10")]), Err(NotStored::NoLifetime));
        let (_, age) = lifetime_of(None, &[("age", "4, 9")]).expect("kept");
        assert_eq!(age.as_secs(), 4);
    }

    #[test]
    fn the_most_specific_windows_win() {
        const LINE: (&str, &str) = ("cache-control", "stale-while-revalidate=30, STALE-IF-ERROR=\"40\"");
        assert_eq!(windows_of(None, &[]), [1, 2], "of the layer");
        assert_eq!(windows_of(None, &[LINE]), [30, 40], "of the response");
        let policy = CachePolicy::ttl(MINUTE).stale_while_revalidate(Duration::from_secs(7));
        assert_eq!(windows_of(Some(&policy), &[LINE]), [7, 40], "of the handler");
    }

    #[test]
    fn a_response_that_must_be_revalidated_is_never_served_stale_unless_the_handler_says_so() {
        for forbids in ["must-revalidate", "Proxy-Revalidate", "s-maxage=60"] {
            assert_eq!(windows_of(None, &[("cache-control", forbids)]), [0, 0], "{forbids}");
        }
        let both = ("cache-control", "s-maxage=60, stale-while-revalidate=5");
        assert_eq!(windows_of(None, &[both]), [5, 0]);
        let both = ("cache-control", "must-revalidate, stale-while-revalidate=5");
        assert_eq!(windows_of(None, &[both]), [0, 0]);
        let policy = CachePolicy::ttl(MINUTE).stale_if_error(MINUTE);
        assert_eq!(windows_of(Some(&policy), &[("cache-control", "must-revalidate")]), [0, 60]);
    }
}
