//! What a request and a response are, to a layer: the decisions that need no lookup.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request, response, uri::Scheme};

use super::{
    catalogue::{Cookies, KeyPrefix, Minded, Prefix, Query},
    key_by::BodyKey,
    nested::Advice,
};
use crate::{
    key::HashMethod,
    policy::{self, CachePolicy, Configured},
    reason::{BypassReason, NotStored},
    response::{Asked, Selecting, Selector, StoredResponse, varied},
    ttl::Ttl,
};

pub(super) type RequestTest = Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>;
pub(super) type StaleTest = Arc<dyn Fn(&request::Parts, &StoredResponse) -> bool + Send + Sync>;
pub(super) type ResponseTest = Arc<dyn Fn(&response::Parts) -> bool + Send + Sync>;
pub(super) type KeyFn = Arc<dyn Fn(&request::Parts) -> Option<String> + Send + Sync>;

/// A response with more fields than this is not kept.
const MAX_FIELDS: usize = 1_000;

/// The settings of a layer; never changed once requests come.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) ttl: Ttl,
    pub(super) key_prefix: KeyPrefix,
    pub(super) make_cache_key: Option<KeyFn>,
    pub(super) query: Query,
    pub(super) hash: HashMethod,
    pub(super) version: Option<String>,
    pub(super) methods: Vec<Method>,
    /// The most bytes of a request body that are read for a key; `None`: none are.
    pub(super) key_by_body: Option<usize>,
    pub(super) unless: Option<RequestTest>,
    pub(super) forced_update: Option<RequestTest>,
    pub(super) is_stale: Option<StaleTest>,
    pub(super) response_filter: Option<ResponseTest>,
    pub(super) vary_by: Vec<HeaderName>,
    pub(super) cookies: Cookies,
    pub(super) ignore_authorization: bool,
    pub(super) ignore_host: bool,
    pub(super) obey_response: bool,
    pub(super) obey_request: bool,
    pub(super) strip_set_cookie: bool,
    pub(super) hit_header: Option<HeaderName>,
    pub(super) age_header: bool,
    pub(super) cache_status: Option<String>,
    /// Fields that change at every hit: what `hit_header`, `age_header` and `cache_status` come to.
    pub(super) slots: Vec<HeaderName>,
    /// What selects before any response is known.
    pub(super) selectors: Vec<Selector>,
    pub(super) max_body_size: usize,
    pub(super) body_wait: Duration,
    /// For which reasons the user was told how to cache what bypasses: one bit each.
    pub(super) hinted: Arc<AtomicU32>,
}

/// A request that may use the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) is_head: bool,
    /// Skip the lookup, and store what comes.
    pub(super) is_forced: bool,
    /// If nothing is stored: not to be answered for others, nor by them.
    pub(super) on_miss: Option<BypassReason>,
}

/// What to do with a response.
#[derive(Debug)]
pub(super) enum Verdict {
    Keep {
        fresh: Option<Duration>,
        age: Duration,
        selecting: Selecting,
    },
    /// For those who have waited already, but not for the store.
    Share {
        selecting: Selecting,
        reason: NotStored,
    },
    Pass(NotStored),
}

/// The fields of a request that decide something, found in one pass.
#[derive(Default)]
struct Fields {
    upgrade: bool,
    authorization: bool,
    cookie: bool,
    conditional: bool,
    cache_control: bool,
    body: bool,
    hosts: usize,
}

impl Fields {
    fn of(headers: &HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "upgrade" => fields.upgrade = true,
                "authorization" => fields.authorization = true,
                "cookie" => fields.cookie = true,
                "range" | "if-range" | "if-match" | "if-unmodified-since" => fields.conditional = true,
                "cache-control" => fields.cache_control = true,
                "transfer-encoding" => fields.body = true,
                "content-length" => fields.body |= value != "0",
                "host" => fields.hosts += 1,
                _ => {}
            }
        }
        fields
    }
}

impl Default for Rules {
    fn default() -> Self {
        let mut rules = Self {
            ttl: Ttl::Default,
            key_prefix: KeyPrefix::default(),
            make_cache_key: None,
            query: Query::all(),
            hash: HashMethod::default(),
            version: None,
            methods: Vec::new(),
            key_by_body: None,
            unless: None,
            forced_update: None,
            is_stale: None,
            response_filter: None,
            vary_by: Vec::new(),
            cookies: Cookies::bypass(),
            ignore_authorization: false,
            ignore_host: false,
            obey_response: true,
            obey_request: false,
            strip_set_cookie: false,
            hit_header: None,
            age_header: false,
            cache_status: None,
            slots: Vec::new(),
            selectors: Vec::new(),
            max_body_size: 1 << 20,
            body_wait: Duration::from_secs(1),
            hinted: Arc::default(),
        };
        rules.settle();
        rules
    }
}

impl Rules {
    /// Works out what follows from the settings.
    pub(super) fn settle(&mut self) {
        let age = self.age_header.then_some(header::AGE);
        let status = self.cache_status.is_some().then(|| HeaderName::from_static("cache-status"));
        self.slots = age.into_iter().chain(self.hit_header.clone()).chain(status).collect();

        let host = (!self.ignore_host || self.vary_by.contains(&header::HOST)).then_some(Selector::Host);
        let fields = self.vary_by.iter().cloned().map(Selector::from);
        self.selectors = host.into_iter().chain(fields.filter(|field| *field != Selector::Host)).collect();
        if let Minded::Only(names) = &self.cookies.0 {
            self.selectors.extend(names.iter().map(|name| Selector::Cookie(name.as_str().into())));
        }
    }

    /// Whether a function makes the key, or a part of it.
    pub(super) fn has_own_key(&self) -> bool {
        self.make_cache_key.is_some() || matches!(self.key_prefix.0, Prefix::Custom(_))
    }

    /// Says once how to cache what bypasses; to `tracing`, if that is there.
    pub(super) fn hint(&self, reason: BypassReason) {
        #[cfg(feature = "tracing")]
        if let Some(hint) = reason.hint() {
            let bit = 1 << (reason as u32);
            if self.hinted.fetch_or(bit, std::sync::atomic::Ordering::Relaxed) & bit == 0 {
                tracing::warn!(target: "axum_caching", reason = reason.as_str(), "not cached; if it should be, {hint}");
            }
        }
        #[cfg(not(feature = "tracing"))]
        let _ = (&self.hinted, reason);
    }

    /// Whether a request may use the cache, and how.
    pub(super) fn of_request(&self, parts: &request::Parts, has_body: bool) -> Result<Use, BypassReason> {
        let is_head = parts.method == Method::HEAD;
        let is_plain = is_head || parts.method == Method::GET;
        if !is_plain && !self.methods.contains(&parts.method) {
            return Err(BypassReason::Method);
        }
        let fields = Fields::of(&parts.headers);
        if fields.upgrade {
            return Err(BypassReason::Upgrade);
        }
        if is_plain && (has_body || fields.body) {
            return Err(BypassReason::UnexpectedBody);
        }
        if !is_plain {
            self.body_key(parts)?;
        }
        if !has_plain_target(parts, fields.hosts) {
            return Err(BypassReason::Target);
        }
        if self.unless.as_ref().is_some_and(|unless| unless(parts)) {
            return Err(BypassReason::Unless);
        }
        self.credentials(&fields)?;
        let is_forced = self.forced_update.as_ref().is_some_and(|forced| forced(parts))
            || self.obey_request && fields.cache_control && policy::request_wants_refresh(&parts.headers);
        let on_miss = if is_head {
            Some(BypassReason::Head)
        } else if fields.conditional {
            Some(BypassReason::Conditional)
        } else if fields.cache_control && policy::request_forbids_storing(&parts.headers) {
            Some(BypassReason::NoStore)
        } else {
            None
        };
        match on_miss {
            // Nothing stored will do, and what comes cannot be stored.
            Some(reason) if is_forced => Err(reason),
            on_miss => Ok(Use { is_head, is_forced, on_miss }),
        }
    }

    /// Whether the key of a request with a body covers the body.
    fn body_key(&self, parts: &request::Parts) -> Result<(), BypassReason> {
        match (self.key_by_body, parts.extensions.get::<BodyKey>()) {
            (Some(_), Some(BodyKey::Unread(reason))) => Err(*reason),
            (Some(_), Some(BodyKey::Read { .. })) => Ok(()),
            _ if self.make_cache_key.is_some() => Ok(()),
            _ => Err(BypassReason::BodyNotInKey),
        }
    }

    fn credentials(&self, fields: &Fields) -> Result<(), BypassReason> {
        if fields.authorization && !self.ignore_authorization && !self.vary_by.contains(&header::AUTHORIZATION) {
            return Err(BypassReason::Authorization);
        }
        let minds = matches!(self.cookies.0, Minded::Bypass) && !self.vary_by.contains(&header::COOKIE);
        if fields.cookie && minds {
            return Err(BypassReason::Cookie);
        }
        Ok(())
    }

    /// Whether a response may be kept, how long, and what selects it. Decided before its body is read.
    pub(super) fn of_response(&self, parts: &response::Parts, asked: Asked<'_>, cache: Ttl, now: u64) -> Verdict {
        self.judge(parts, asked, cache, now).unwrap_or_else(Verdict::Pass)
    }

    fn judge(&self, parts: &response::Parts, asked: Asked<'_>, cache: Ttl, now: u64) -> Result<Verdict, NotStored> {
        let status = parts.status;
        if status.is_informational() || status == StatusCode::PARTIAL_CONTENT || status == StatusCode::NOT_MODIFIED {
            return Err(NotStored::Partial);
        }
        if parts.headers.len() > MAX_FIELDS {
            return Err(NotStored::TooLarge);
        }
        let mut varies = false;
        for (name, value) in &parts.headers {
            match name.as_str() {
                "set-cookie" if !self.strip_set_cookie => return Err(NotStored::SetCookie),
                "content-type" if is_streaming(value) => return Err(NotStored::Streaming),
                "vary" => varies = true,
                _ => {}
            }
        }
        if announced(&parts.headers).is_some_and(|length| length > self.max_body_size as u64) {
            return Err(NotStored::TooLarge);
        }
        let advice = parts.extensions.get::<Advice>();
        if advice.is_some_and(|advice| advice.no_store) {
            return Err(NotStored::Filtered);
        }
        let selecting = match (varies, advice) {
            (false, None) => Selecting::of(&self.selectors, asked)?,
            _ => self.selecting(&parts.headers, advice, asked)?,
        };
        let policy = parts.extensions.get::<CachePolicy>();
        let layer = advice.map_or(self.ttl, |advice| advice.ttl.or(self.ttl));
        let configured = Configured { cache, layer, obey: self.obey_response };
        let (fresh, age) = policy::lifetime(configured, policy, &parts.headers, now)?;
        match &self.response_filter {
            Some(filter) if !filter(parts) => Err(NotStored::Filtered),
            Some(_) => Ok(Verdict::Keep { fresh, age, selecting }),
            None if is_kept_by_default(status) || policy.is_some_and(CachePolicy::names_a_lifetime) => {
                Ok(Verdict::Keep { fresh, age, selecting })
            }
            None if is_of_the_resource(status) => Ok(Verdict::Share { selecting, reason: NotStored::Status }),
            None => Err(NotStored::Status),
        }
    }

    fn selecting(
        &self,
        headers: &HeaderMap,
        advice: Option<&Advice>,
        asked: Asked<'_>,
    ) -> Result<Selecting, NotStored> {
        let mut selectors = self.selectors.clone();
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
        Selecting::of(&selectors, asked)
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

/// A path, and one host: a field that differs from the target could put one host's page under another's name.
fn has_plain_target(parts: &request::Parts, hosts: usize) -> bool {
    if parts.method == Method::CONNECT || !parts.uri.path().starts_with('/') || hosts > 1 {
        return false;
    }
    if parts.uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return false;
    }
    match (parts.uri.authority(), parts.headers.get(header::HOST)) {
        (Some(authority), Some(host)) => authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()),
        _ => true,
    }
}

fn is_kept_by_default(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 301 | 308)
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

/// What `Content-Length` says, if it is one number.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    length.bytes().all(|byte| byte.is_ascii_digit()).then(|| length.parse().ok())?
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("ttl", &self.ttl)
            .field("key_prefix", &self.key_prefix)
            .field("query", &self.query)
            .field("methods", &self.methods)
            .field("vary_by", &self.vary_by)
            .field("cookies", &self.cookies)
            .field("max_body_size", &self.max_body_size)
            .finish_non_exhaustive()
    }
}
