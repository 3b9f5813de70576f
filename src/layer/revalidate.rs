//! Asking the origin whether a stale entry is still right, and renewing it if so (RFC 9111 §4.3).

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request};
use http_body::Body;

use super::{
    body::CacheBody,
    date,
    narrow::{CONTENT_DIGEST, CONTENT_MD5},
    question::Ask,
    rules::Rules,
};
use crate::{
    cache::Fill,
    reason::MissReason,
    record::{Carried, Record},
    response::{StoredResponse, Tag, make_tag, tag},
};

/// What the cache has in place of the response that a handler is asked for: an entry that is stale, and may still be
/// right.
///
/// It is in the extensions of the request where [`CacheLayer::conditional_refresh`] is on. A handler that finds that
/// nothing has changed answers `304 Not Modified`, and the stale entry is fresh again, body and all. Fields and a
/// [`CachePolicy`](crate::CachePolicy) of that answer count as those of a whole one; fields that it does not have stay as
/// they were, and a policy is not kept, so a handler that gives one gives it again.
///
/// A handler that proxies passes `If-None-Match` and `If-Modified-Since` on, which say the same, and needs nothing of
/// this.
///
/// [`CacheLayer::conditional_refresh`]: crate::CacheLayer::conditional_refresh
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Extension, http::{StatusCode, header}, response::{IntoResponse, Response}};
/// use axum_caching::ConditionalRefresh;
///
/// async fn report(kept: Option<Extension<ConditionalRefresh>>) -> Response {
///     let version = "\"v7\""; // cheap to find out
///     if kept.is_some_and(|kept| kept.etag().is_some_and(|tag| tag == version)) {
///         return StatusCode::NOT_MODIFIED.into_response();
///     }
///     ([(header::ETAG, version)], "a report that takes long to make").into_response()
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct ConditionalRefresh {
    record: Arc<Record<StoredResponse>>,
    /// Whether the origin knows the tag, since it is not of the layer's own making.
    has_tag: bool,
}

impl ConditionalRefresh {
    /// The stale response.
    pub fn stored(&self) -> &StoredResponse {
        &self.record.payload
    }

    /// The `ETag` that the handler gave it. One that the layer made ([`CacheLayer::etag`](crate::CacheLayer::etag)) is
    /// only in what is [`stored`](ConditionalRefresh::stored).
    pub fn etag(&self) -> Option<&HeaderValue> {
        self.stored().header(header::ETAG).filter(|_| self.has_tag)
    }

    /// The `Last-Modified` that the handler gave it.
    pub fn last_modified(&self) -> Option<&HeaderValue> {
        self.stored().header(header::LAST_MODIFIED)
    }

    /// Whether a 304 is about this response (RFC 9111 §4.3.4).
    fn is_meant_by(&self, headers: &HeaderMap) -> bool {
        match (headers.get(header::ETAG), headers.get(header::LAST_MODIFIED)) {
            (Some(_), _) => {
                let own = self.etag().and_then(|own| Tag::of(own.as_bytes()));
                own.zip(tag(headers)).is_some_and(|(own, theirs)| own.is(theirs))
            }
            (None, Some(modified)) if !self.has_tag => self.last_modified() == Some(modified),
            _ => true,
        }
    }
}

impl fmt::Debug for ConditionalRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionalRefresh")
            .field("etag", &self.etag())
            .field("last_modified", &self.last_modified())
            .finish_non_exhaustive()
    }
}

/// A stale entry, for the fill that is to replace it.
pub(super) struct Stale {
    refresh: ConditionalRefresh,
    carried: Vec<Carried>,
}

/// The body of the answer to a fill.
pub(super) enum Source<B> {
    Origin(B),
    /// Of the entry that a 304 renews.
    Kept(Bytes),
    /// Of an entry of which a 304 says that it is right, and means another: for this client, and for nobody else.
    Doubtful(Bytes),
}

impl<B> Source<B> {
    /// What an origin has answered, and if it was only that the entry is right, the entry.
    pub(super) fn of(fill: &Fill, stale: Option<Stale>, response: Response<B>) -> Response<Self> {
        match stale {
            Some(stale) if response.status() == StatusCode::NOT_MODIFIED => stale.revalidated(fill, response),
            _ => response.map(Self::Origin),
        }
    }
}

impl<B: Body> Source<B> {
    pub(super) fn into_body(self) -> CacheBody<B> {
        match self {
            Self::Origin(body) => CacheBody::inner(body),
            Self::Kept(bytes) | Self::Doubtful(bytes) => CacheBody::whole(bytes),
        }
    }
}

impl Stale {
    /// What a fill is to replace, if the origin may be asked whether it is still right.
    pub(super) async fn find(rules: &Rules, fill: &Fill, parts: &request::Parts) -> Option<Self> {
        if !rules.conditional_refresh || !matches!(fill.reason, MissReason::Expired | MissReason::Refresh) {
            return None;
        }
        let found = fill.cache().renewable(&fill.key, &Ask::of(fill.cache(), rules, parts)).await?;
        let stored = &found.record.payload;
        let has_tag = stored.header(header::ETAG).is_some_and(|tag| !(rules.etag && is_made(tag, stored)));
        let refresh = ConditionalRefresh { has_tag, record: found.record };
        let has_validator = refresh.etag().or(refresh.last_modified()).is_some();
        let is_asked_for = refresh.stored().status() == StatusCode::OK && has_validator;
        is_asked_for.then_some(Self { refresh, carried: found.carried })
    }

    /// Tells the origin.
    pub(super) fn ask(&self, parts: &mut request::Parts) {
        let conditions =
            [(header::IF_NONE_MATCH, self.refresh.etag()), (header::IF_MODIFIED_SINCE, self.refresh.last_modified())];
        for (name, value) in conditions {
            // A map that is full cannot tell: then it is the typed form alone.
            let _ = value.map(|value| parts.headers.try_insert(name, value.clone()));
        }
        parts.extensions.insert(self.refresh.clone());
    }

    /// The whole answer that a 304 stands for. What the old one depended on, it does too.
    fn revalidated<B>(self, fill: &Fill, response: Response<B>) -> Response<Source<B>> {
        fill.depends_on(&self.carried);
        let stored = self.refresh.stored();
        let body = stored.body().clone();
        let (mut parts, _) = response.into_parts();
        let is_meant = self.refresh.is_meant_by(&parts.headers);
        parts.status = stored.status();
        let now = fill.cache().core.clock.now();
        parts.headers = if is_meant { updated(stored.headers(), &parts.headers, now) } else { stored.headers() };
        Response::from_parts(parts, if is_meant { Source::Kept(body) } else { Source::Doubtful(body) })
    }
}

/// Whether a tag is of the layer's own making: it is compared, so that nothing has to be remembered with the entry.
fn is_made(tag: &HeaderValue, stored: &StoredResponse) -> bool {
    make_tag(&stored.headers(), stored.body()) == *tag
}

/// The fields of a stored response with those of a 304 in their place (RFC 9111 §3.2). Its date is that of the 304, or
/// `now`, in UNIX milliseconds: `Expires` counts from there.
fn updated(mut stored: HeaderMap, new: &HeaderMap, now: u64) -> HeaderMap {
    stored.insert(header::DATE, date::value(now));
    for name in new.keys().filter(|name| !is_of_the_body(name)) {
        stored.remove(name);
        for line in new.get_all(name) {
            // Of two maps that are full together, the rest of the second is lost.
            let _ = stored.try_append(name, line.clone());
        }
    }
    stored
}

/// What the stored body depends on. Frameworks add some of it to every answer, whatever its body is.
fn is_of_the_body(name: &HeaderName) -> bool {
    let is_digest = [CONTENT_DIGEST, CONTENT_MD5].contains(name);
    is_digest
        || matches!(
            *name,
            header::CONTENT_LENGTH
                | header::CONTENT_ENCODING
                | header::CONTENT_RANGE
                | header::CONTENT_TYPE
                | header::TRANSFER_ENCODING
        )
}
