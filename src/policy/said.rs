//! What the header fields of a message say about caching: `Cache-Control`, `Expires`, `Date`, `Age`.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use crate::{
    fields::{self, members},
    reason::NotStored,
    ttl::Ttl,
};

/// The largest number of seconds that is told apart (RFC 9111 §1.2.2).
pub(super) const MAX_SECONDS: u64 = 1 << 31;

/// What the header fields say, one after the other. An unqualified and a qualified `private` or `no-cache` are taken
/// alike.
#[derive(Debug, Default)]
pub(crate) struct Said<'a> {
    pub(super) no_store: bool,
    pub(super) private_only: bool,
    pub(super) no_cache: bool,
    /// `s-maxage`, in seconds.
    pub(super) shared: Option<u64>,
    pub(super) max_age: Option<u64>,
    /// `must-revalidate` or `proxy-revalidate`.
    pub(super) must_revalidate: bool,
    /// `stale-while-revalidate`, in seconds.
    pub(super) revalidate: Option<u64>,
    /// `stale-if-error`, in seconds.
    pub(super) error: Option<u64>,
    pub(super) expires: Option<&'a HeaderValue>,
    pub(super) date: Option<&'a HeaderValue>,
    /// How old it was when it came.
    pub(super) age: Option<Duration>,
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
            } else if is("must-revalidate") || is("proxy-revalidate") {
                self.must_revalidate = true;
            } else if is("stale-while-revalidate") {
                self.revalidate = Some(restrictive(self.revalidate, argument));
            } else if is("stale-if-error") {
                self.error = Some(restrictive(self.error, argument));
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

    /// The age at which a response was sent; the first member counts, and what is no number does not (RFC 9111 §5.1).
    /// It may be as old as that and all of `delay`, the time since it was asked for (§4.2.3).
    pub(crate) fn age(&mut self, line: &HeaderValue, delay: Duration) {
        let first = || members(line.as_bytes()).next().and_then(seconds);
        let corrected = |age| Duration::from_secs(age).saturating_add(delay);
        self.age.get_or_insert_with(|| first().map_or(Duration::ZERO, corrected));
    }

    /// What `max-age` says, or else what `Expires` comes to: less `Date`, or less now. A date that is none is in the
    /// past (RFC 9111 §5.3).
    pub(super) fn private(&self, now: u64) -> Option<u64> {
        self.max_age.or_else(|| {
            let expires = date(self.expires?).unwrap_or(0);
            Some(expires.saturating_sub(self.date.and_then(date).unwrap_or(now / 1_000)))
        })
    }

    /// `own` is the lifetime that the handler gave.
    pub(super) fn forbids(&self, own: Ttl) -> Option<NotStored> {
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
    pub(super) fn left(&self, seconds: u64) -> Ttl {
        Ttl::For(Duration::from_secs(seconds).saturating_sub(self.age.unwrap_or_default()))
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
    fields::date(line.as_bytes())
}
