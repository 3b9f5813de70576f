//! Whether a request may use the cache.

use http::{HeaderMap, Method, header, request, uri::Scheme};

use super::Rules;
use crate::{
    layer::{catalogue::Minded, key_by::BodyKey},
    policy,
    reason::BypassReason,
    response::HostField,
};

/// A request that may use the cache.
#[derive(Clone, Copy, Debug)]
pub(in crate::layer) struct Use {
    pub(in crate::layer) is_head: bool,
    /// Skip the lookup, and store what comes.
    pub(in crate::layer) is_forced: bool,
    /// Layers of other caches and scopes further out fill entries with the answer.
    pub(in crate::layer) is_nested: bool,
    /// The client may have the answer already, or wants a part of it.
    pub(in crate::layer) narrows: bool,
    /// If nothing is stored: not to be answered for others, nor by them.
    pub(in crate::layer) on_miss: Option<BypassReason>,
}

/// The fields of a request that decide something, found in one pass.
#[derive(Default)]
struct Fields<'a> {
    /// Which of the sorts below there are.
    seen: u8,
    hosts: usize,
    host: HostField<'a>,
}

const UPGRADE: u8 = 1;
const AUTHORIZATION: u8 = 1 << 1;
const COOKIE: u8 = 1 << 2;
const CONDITIONAL: u8 = 1 << 3;
const CACHE_CONTROL: u8 = 1 << 4;
const BODY: u8 = 1 << 5;
const VALIDATOR: u8 = 1 << 6;
const RANGE: u8 = 1 << 7;

impl<'a> Fields<'a> {
    #[inline]
    fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            // Names that the `http` crate knows are told apart by a number.
            fields.seen |= match *name {
                header::UPGRADE => UPGRADE,
                header::AUTHORIZATION => AUTHORIZATION,
                header::COOKIE => COOKIE,
                header::RANGE => RANGE,
                header::IF_RANGE | header::IF_MATCH | header::IF_UNMODIFIED_SINCE => CONDITIONAL,
                header::IF_NONE_MATCH | header::IF_MODIFIED_SINCE => VALIDATOR,
                header::CACHE_CONTROL => CACHE_CONTROL,
                header::TRANSFER_ENCODING => BODY,
                header::CONTENT_LENGTH if value != "0" => BODY,
                header::HOST => {
                    fields.hosts += 1;
                    fields.host = fields.host.or(value);
                    continue;
                }
                _ => {
                    fields.host = fields.host.or_proxied(name);
                    continue;
                }
            };
        }
        fields
    }

    #[inline]
    fn has(&self, sort: u8) -> bool {
        self.seen & sort != 0
    }

    /// Why such a request, if nothing is stored, is not to be answered for others.
    fn on_miss(&self, is_head: bool, headers: &HeaderMap) -> Option<BypassReason> {
        if is_head {
            Some(BypassReason::Head)
        } else if self.has(CONDITIONAL | RANGE) {
            Some(BypassReason::Conditional)
        } else if self.has(CACHE_CONTROL) && policy::request_forbids_storing(headers) {
            Some(BypassReason::NoStore)
        } else {
            None
        }
    }
}

impl Rules {
    /// Whether a request may use the cache, and how; and what its fields say of its host.
    #[inline]
    pub(in crate::layer) fn of_request<'a>(
        &self,
        parts: &'a request::Parts,
        has_body: bool,
    ) -> Result<(Use, HostField<'a>), BypassReason> {
        let (is_head, is_plain) = match parts.method {
            Method::GET => (false, true),
            Method::HEAD => (true, true),
            _ if self.methods.contains(&parts.method) => (false, false),
            _ => return Err(BypassReason::Method),
        };
        let fields = Fields::of(&parts.headers);
        if fields.has(UPGRADE) {
            return Err(BypassReason::Upgrade);
        }
        if is_plain && (has_body || fields.has(BODY)) {
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
        if fields.has(AUTHORIZATION | COOKIE) {
            self.credentials(&fields)?;
        }
        let is_forced = self.forced_update.as_ref().is_some_and(|forced| forced(parts))
            || self.obey_request && fields.has(CACHE_CONTROL) && policy::request_wants_refresh(&parts.headers);
        let on_miss = fields.on_miss(is_head, &parts.headers);
        match on_miss {
            // Nothing stored will do, and what comes cannot be stored.
            Some(reason) if is_forced => Err(reason),
            on_miss => {
                let narrows = is_plain && fields.has(VALIDATOR | RANGE) && self.narrows(&fields, &parts.headers);
                Ok((Use { is_head, is_forced, is_nested: false, narrows, on_miss }, fields.host))
            }
        }
    }

    /// Whether the answer may be less than the whole. What the handler alone can judge is not passed over.
    #[cold]
    fn narrows(&self, fields: &Fields<'_>, headers: &HeaderMap) -> bool {
        let is_asked = self.says_not_modified() && fields.has(VALIDATOR) || self.ranges && fields.has(RANGE);
        is_asked && !headers.contains_key(header::IF_MATCH) && !headers.contains_key(header::IF_UNMODIFIED_SINCE)
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

    fn credentials(&self, fields: &Fields<'_>) -> Result<(), BypassReason> {
        if fields.has(AUTHORIZATION) && !self.ignore_authorization && !self.vary_by.contains(&header::AUTHORIZATION) {
            return Err(BypassReason::Authorization);
        }
        let minds = matches!(self.cookies.0, Minded::Bypass) && !self.vary_by.contains(&header::COOKIE);
        if fields.has(COOKIE) && minds {
            return Err(BypassReason::Cookie);
        }
        Ok(())
    }
}

/// A path, and one host: a field that differs from the target could put one host's page under another's name.
#[inline]
fn has_plain_target(parts: &request::Parts, hosts: usize) -> bool {
    let is_path = parts.uri.path().starts_with('/') && hosts <= 1;
    let names_a_host = parts.uri.authority().is_some() || parts.uri.scheme().is_some();
    is_path && parts.method != Method::CONNECT && (!names_a_host || has_plain_host(parts))
}

#[cold]
fn has_plain_host(parts: &request::Parts) -> bool {
    if parts.uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return false;
    }
    match (parts.uri.authority(), parts.headers.get(header::HOST)) {
        (Some(authority), Some(host)) => authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()),
        _ => true,
    }
}
