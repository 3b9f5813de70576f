//! What a response says about how it may be kept: its [`CachePolicy`], `Cache-Control`, `Expires`, `Age`.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};

use crate::{fields::members, reason::NotStored, ttl::Ttl};

/// The largest number of seconds that is told apart (RFC 9111 §1.2.2).
const MAX_SECONDS: u64 = 1 << 31;

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
}

impl CachePolicy {
    /// The response may be kept this long, with whatever status but 1xx, 206 and 304.
    ///
    /// `Ttl::Default` says nothing.
    pub fn ttl(ttl: impl Into<Ttl>) -> Self {
        Self { ttl: ttl.into() }
    }

    /// The response may not be kept, and not be shared with others who wait for it.
    pub fn no_store() -> Self {
        Self::ttl(Ttl::DontStore)
    }

    /// Whether the handler gave a lifetime, so that the status is its own affair.
    pub(crate) fn names_a_lifetime(&self) -> bool {
        !matches!(self.ttl, Ttl::Default | Ttl::DontStore)
    }
}

/// The lifetimes that meet at one response, from the widest to the most specific.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configured {
    pub(crate) cache: Ttl,
    pub(crate) layer: Ttl,
}

/// How long a response may be kept from now on (`None` is for ever), and how old it is already.
///
/// The policy of the handler, then `s-maxage`, then the smaller of the layer's lifetime and `max-age` or `Expires`,
/// then the cache's default. `no-store` and `private` restrict whatever else is said.
pub(crate) fn lifetime(
    configured: Configured,
    policy: Option<&CachePolicy>,
    said: &Said<'_>,
    now: u64,
) -> Result<(Option<Duration>, Duration), NotStored> {
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
    Ok((fresh, Duration::from_secs(said.age.unwrap_or(0))))
}

/// What the header fields say, one after the other. An unqualified and a qualified `private` or `no-cache` are taken
/// alike.
#[derive(Debug, Default)]
pub(crate) struct Said<'a> {
    no_store: bool,
    private_only: bool,
    no_cache: bool,
    /// `s-maxage`, in seconds.
    shared: Option<u64>,
    max_age: Option<u64>,
    expires: Option<&'a HeaderValue>,
    date: Option<&'a HeaderValue>,
    age: Option<u64>,
}

impl<'a> Said<'a> {
    pub(crate) fn cache_control(&mut self, line: &HeaderValue) {
        for (name, argument) in members(line.as_bytes()).map(split_directive) {
            let is = |directive: &str| name.eq_ignore_ascii_case(directive.as_bytes());
            if is("no-store") {
                self.no_store = true;
            } else if is("private") {
                self.private_only = true;
            } else if is("no-cache") {
                self.no_cache = true;
            } else if is("max-age") {
                self.max_age = Some(restrictive(self.max_age, argument));
            } else if is("s-maxage") {
                self.shared = Some(restrictive(self.shared, argument));
            }
        }
    }

    /// Of several lines the first counts, here and for the next two.
    pub(crate) fn expires(&mut self, line: &'a HeaderValue) {
        self.expires.get_or_insert(line);
    }

    pub(crate) fn date(&mut self, line: &'a HeaderValue) {
        self.date.get_or_insert(line);
    }

    /// The age at which a response came here; the first member counts, and what is no number does not (RFC 9111 §5.1).
    pub(crate) fn age(&mut self, line: &HeaderValue) {
        let first = || members(line.as_bytes()).next().and_then(seconds).unwrap_or(0);
        self.age.get_or_insert_with(first);
    }

    /// What `max-age` says, or else what `Expires` comes to: less `Date`, or less now. A date that is none is in the
    /// past (RFC 9111 §5.3).
    fn private(&self, now: u64) -> Option<u64> {
        self.max_age.or_else(|| {
            let expires = date(self.expires?).unwrap_or(0);
            Some(expires.saturating_sub(self.date.and_then(date).unwrap_or(now / 1_000)))
        })
    }

    /// `own` is the lifetime that the handler gave.
    fn forbids(&self, own: Ttl) -> Option<NotStored> {
        if self.no_store {
            Some(NotStored::NoStore)
        } else if self.private_only {
            Some(NotStored::Private)
        } else if self.no_cache && own == Ttl::Default {
            Some(NotStored::NoCache)
        } else {
            None
        }
    }

    /// A lifetime that counts from the origin, less the time that is over.
    fn left(&self, seconds: u64) -> Ttl {
        Ttl::For(Duration::from_secs(seconds.saturating_sub(self.age.unwrap_or(0))))
    }
}

/// Whether a request says `no-store` (RFC 9111 §5.2.1.5).
pub(crate) fn request_forbids_storing(headers: &HeaderMap) -> bool {
    directives(headers).any(|(name, _)| name.eq_ignore_ascii_case(b"no-store"))
}

/// Whether a request wants a new answer: `no-cache` or `max-age=0`.
pub(crate) fn request_wants_refresh(headers: &HeaderMap) -> bool {
    directives(headers).any(|(name, argument)| {
        name.eq_ignore_ascii_case(b"no-cache")
            || name.eq_ignore_ascii_case(b"max-age") && argument.is_some_and(|argument| seconds(argument) == Some(0))
    })
}

fn directives(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let lines = headers.get_all(header::CACHE_CONTROL).into_iter();
    lines.flat_map(|line| members(line.as_bytes())).map(split_directive)
}

fn split_directive(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    match member.iter().position(|byte| *byte == b'=') {
        Some(at) => (member[..at].trim_ascii(), Some(unquoted(member[at + 1..].trim_ascii()))),
        None => (member, None),
    }
}

fn unquoted(argument: &[u8]) -> &[u8] {
    argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(argument)
}

/// Of two numbers for one directive the smaller; what is no number counts as 0, which is stale (RFC 9111 §4.2.1).
fn restrictive(before: Option<u64>, argument: Option<&[u8]>) -> u64 {
    let now = argument.and_then(seconds).unwrap_or(0);
    before.map_or(now, |before| before.min(now))
}

fn seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')).min(MAX_SECONDS);
    Some(digits.iter().fold(0, add))
}

/// UNIX seconds.
fn date(line: &HeaderValue) -> Option<u64> {
    let date = httpdate::parse_http_date(line.to_str().ok()?.trim()).ok()?;
    Some(date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const LAYER: Configured = Configured { cache: Ttl::For(Duration::from_secs(300)), layer: Ttl::For(MINUTE) };

    type Lines<'a> = &'a [(&'static str, &'static str)];

    fn lifetime_of(policy: Option<&CachePolicy>, lines: Lines<'_>) -> Result<(Option<Duration>, Duration), NotStored> {
        let values: Vec<_> = lines.iter().map(|(name, value)| (*name, HeaderValue::from_static(value))).collect();
        let mut said = Said::default();
        for (name, value) in &values {
            match *name {
                "cache-control" => said.cache_control(value),
                "expires" => said.expires(value),
                "date" => said.date(value),
                _ => said.age(value),
            }
        }
        lifetime(LAYER, policy, &said, 0)
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
}
