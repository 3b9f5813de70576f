//! Whether a response may be kept. Decided before its body is read.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response};

use super::Rules;
use crate::{
    layer::{catalogue::Minded, nested::Advice},
    policy::{self, CachePolicy, Configured, Said, Terms},
    profile::Windows,
    reason::NotStored,
    response::{Asked, Selecting, Selector, varied},
    ttl::Ttl,
};

/// A response with more fields than this is not kept.
const MAX_FIELDS: usize = 1_000;

/// What to do with a response.
#[derive(Debug)]
pub(in crate::layer) enum Verdict {
    /// Collect its body.
    Collect {
        /// How it may be kept; or why it is only for those who have waited already.
        keep: Result<Terms, NotStored>,
        selecting: Selecting,
        /// What `Content-Length` says.
        announced: Option<u64>,
    },
    Pass(NotStored),
}

/// The fields of a response that decide something, found in one pass.
#[derive(Default)]
struct Fields<'a> {
    said: Said<'a>,
    varies: bool,
    announced: Option<u64>,
}

impl<'a> Fields<'a> {
    fn of(headers: &'a HeaderMap, rules: &Rules, delay: Duration) -> Result<Self, NotStored> {
        let mut fields = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "set-cookie" if !rules.strip_set_cookie => return Err(NotStored::SetCookie),
                "content-type" if is_streaming(value) => return Err(NotStored::Streaming),
                "content-length" => fields.announced = fields.announced.or_else(|| length(value)),
                "vary" => fields.varies = true,
                "age" => fields.said.age(value, delay),
                "cache-control" if rules.obey_response => fields.said.cache_control(value),
                "expires" if rules.obey_response => fields.said.expires(value),
                "date" => fields.said.date(value),
                _ => {}
            }
        }
        Ok(fields)
    }
}

impl Rules {
    /// Whether a response may be kept, how long, and what selects it. Decided before its body is read. `delay` is how
    /// long it took, until `now`.
    pub(in crate::layer) fn of_response(
        &self,
        parts: &response::Parts,
        asked: Asked<'_>,
        cache: Ttl,
        now: u64,
        delay: Duration,
    ) -> Verdict {
        self.judge(parts, asked, cache, now, delay).unwrap_or_else(Verdict::Pass)
    }

    fn judge(
        &self,
        parts: &response::Parts,
        asked: Asked<'_>,
        cache: Ttl,
        now: u64,
        delay: Duration,
    ) -> Result<Verdict, NotStored> {
        let status = parts.status;
        if status.is_informational() || status == StatusCode::PARTIAL_CONTENT || status == StatusCode::NOT_MODIFIED {
            return Err(NotStored::Partial);
        }
        if parts.headers.len() > MAX_FIELDS {
            return Err(NotStored::TooLarge);
        }
        let Fields { said, varies, announced } = Fields::of(&parts.headers, self, delay)?;
        if announced.is_some_and(|length| length > self.max_body_size as u64) {
            return Err(NotStored::TooLarge);
        }
        let advice = parts.extensions.get::<Advice>();
        if let Some(reason) = advice.and_then(|advice| advice.refuses(self)) {
            return Err(reason);
        }
        let selecting = match (varies, advice) {
            (false, None) => Selecting::of(&self.selectors, asked)?,
            _ => self.selecting(&parts.headers, advice, asked)?,
        };
        let policy = parts.extensions.get::<CachePolicy>();
        let layer = advice.map_or(self.own.ttl, |advice| advice.ttl.or(self.own.ttl));
        let names_a_lifetime = policy.is_some_and(CachePolicy::names_a_lifetime);
        let negative = self.negative.filter(|_| is_negative(status) && !names_a_lifetime);
        let configured = Configured { cache, layer: negative.unwrap_or(layer), profile: &self.profile };
        let mut terms = policy::lifetime(configured, policy, &said, now)?;
        if let Some(advice) = advice {
            terms = advice.bound(terms);
        }
        // An error is never served in place of another one, nor while it is asked whether it is over.
        if status.is_client_error() || status.is_server_error() {
            terms.windows = Windows::default();
        }
        // A filter is not asked of what is kept whatever it says.
        let filtered = if negative.is_some() { Some(Ok(())) } else { self.filters(parts) };
        let keep = match filtered {
            Some(Err(reason)) => return Err(reason),
            Some(Ok(())) => Ok(terms),
            None if is_kept_by_default(parts) => Ok(terms),
            None if is_of_the_resource(status) => Err(NotStored::Status),
            None => return Err(NotStored::Status),
        };
        Ok(Verdict::Collect { keep, selecting, announced })
    }

    /// What the user's own filter says, if there is one. A response that would not be kept for its status anyway says
    /// nothing of those that come after it, whatever the filter looked at.
    pub(in crate::layer) fn filters(&self, parts: &response::Parts) -> Option<Result<(), NotStored>> {
        let filter = self.response_filter.as_ref()?;
        Some(match filter(parts) {
            true => Ok(()),
            false if is_kept_by_default(parts) => Err(NotStored::Filtered),
            false => Err(NotStored::Status),
        })
    }

    fn selecting(
        &self,
        headers: &HeaderMap,
        advice: Option<&Advice>,
        asked: Asked<'_>,
    ) -> Result<Selecting, NotStored> {
        let mut selectors = self.selectors.to_vec();
        for selector in advice.into_iter().flat_map(|advice| &advice.selectors) {
            if !selectors.contains(selector) {
                selectors.push(selector.clone());
            }
        }
        for name in varied(headers)? {
            if self.is_credential(&name) {
                return Err(NotStored::VaryCredentials);
            }
            // The named cookies stand for the field.
            let selector = Selector::from(name);
            let is_covered = selector == Selector::Field(header::COOKIE) && matches!(self.cookies.0, Minded::Only(_))
                || selector == Selector::Host && self.ignore_host;
            if !is_covered && !selectors.contains(&selector) {
                selectors.push(selector);
            }
        }
        Selecting::of(&selectors.into(), asked)
    }

    /// A response that varies with a credential is for one user, also if this request had none
    /// (Django CVE-2026-48588, Hono CVE-2026-44457).
    fn is_credential(&self, name: &HeaderName) -> bool {
        let is_named = self.vary_by.contains(name);
        match *name {
            header::COOKIE => !is_named && !matches!(self.cookies.0, Minded::Only(_)),
            header::AUTHORIZATION => !is_named,
            _ => false,
        }
    }
}

fn is_kept_by_default(parts: &response::Parts) -> bool {
    matches!(parts.status.as_u16(), 200 | 203 | 204 | 301 | 308)
        || parts.extensions.get::<CachePolicy>().is_some_and(CachePolicy::names_a_lifetime)
}

/// Errors that say that there is nothing here.
pub(in crate::layer) fn is_negative(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 405 | 410)
}

/// Errors that say something of the resource or of the server, and nothing of the client (as 401 or 429 do).
fn is_of_the_resource(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 405 | 410 | 500..=510)
}

/// Bodies that do not end, or that are framed for one reader.
fn is_streaming(content_type: &HeaderValue) -> bool {
    let kind = content_type.as_bytes();
    let begins = |with: &[u8]| kind.len() >= with.len() && kind[..with.len()].eq_ignore_ascii_case(with);
    begins(b"text/event-stream") || begins(b"multipart/")
}

/// The number, if it is one.
fn length(value: &HeaderValue) -> Option<u64> {
    let length = value.to_str().ok()?;
    length.bytes().all(|byte| byte.is_ascii_digit()).then(|| length.parse().ok())?
}
