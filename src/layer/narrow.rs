//! Less than the whole answer, for a client that has it already or wants a part of it.

use std::{ops, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request};
use http_body::Body;

use super::{body::CacheBody, rules::Rules, status::CacheStatus};
use crate::response::{ByteRange, Cut, is_named, is_same, is_unmodified_since, make_tag, tag};

/// The digest of the content of one message, be that whole or a part (RFC 9530 §2).
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The same, as it was before (RFC 2616 §14.15).
pub(super) const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What a client says of what it has and wants, kept until the answer is there.
pub(super) struct Narrowing {
    rules: Arc<Rules>,
    fields: HeaderMap,
    is_head: bool,
}

impl Narrowing {
    pub(super) fn of(rules: &Arc<Rules>, parts: &request::Parts) -> Self {
        let names = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_RANGE, header::RANGE];
        let lines = names.iter().flat_map(|name| parts.headers.get_all(name).iter().map(move |line| (name, line)));
        let fields = lines.map(|(name, line)| (name.clone(), line.clone())).collect();
        Self { rules: Arc::clone(rules), fields, is_head: parts.method == http::Method::HEAD }
    }

    /// Makes a `200 OK` that is stored what the client asked for; the order is that of RFC 9110 §13.2.2.
    pub(super) fn apply<B: Body>(&self, response: Response<CacheBody<B>>) -> Response<CacheBody<B>> {
        if response.status() != StatusCode::OK || !is_stored(&response) {
            return response;
        }
        if self.rules.says_not_modified() && self.is_unmodified(response.headers()) {
            return self.not_modified(response);
        }
        match self.range(response.headers()).zip(response.body().as_whole()) {
            Some((range, whole)) => match range.of_length(whole.len()) {
                Cut::Whole => response,
                Cut::Part(part) => partial(response, part),
                Cut::Unsatisfiable => self.unsatisfiable(response),
            },
            None => response,
        }
    }

    fn lines(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        self.fields.get_all(name).into_iter().map(HeaderValue::as_bytes)
    }

    /// Whether the client has what is in an answer with these fields.
    fn is_unmodified(&self, headers: &HeaderMap) -> bool {
        if self.fields.contains_key(header::IF_NONE_MATCH) {
            return is_named(self.lines(&header::IF_NONE_MATCH), tag(headers));
        }
        is_unmodified_since(self.lines(&header::IF_MODIFIED_SINCE), headers)
    }

    /// The part that the client wants of an answer with these fields, if it wants one and it fits to what it has.
    fn range(&self, headers: &HeaderMap) -> Option<ByteRange> {
        if !self.rules.ranges || self.is_head {
            return None;
        }
        let mut lines = self.lines(&header::RANGE);
        let (Some(range), None) = (lines.next(), lines.next()) else { return None };
        let fits = !self.fields.contains_key(header::IF_RANGE) || is_same(self.lines(&header::IF_RANGE), headers);
        ByteRange::of(range).filter(|_| fits)
    }

    fn not_modified<B: Body>(&self, response: Response<CacheBody<B>>) -> Response<CacheBody<B>> {
        let has_tag = response.headers().contains_key(header::ETAG);
        self.without_body(response, StatusCode::NOT_MODIFIED, |name| match *name {
            // RFC 9110 §15.4.5; and what only the client has whose request ran the handler.
            header::CACHE_CONTROL | header::CONTENT_LOCATION | header::ETAG | header::EXPIRES | header::SET_COOKIE => {
                true
            }
            header::LAST_MODIFIED => !has_tag,
            _ => false,
        })
    }

    fn unsatisfiable<B: Body>(&self, response: Response<CacheBody<B>>) -> Response<CacheBody<B>> {
        let length = response.body().as_whole().map_or(0, Bytes::len);
        let mut response = self.without_body(response, StatusCode::RANGE_NOT_SATISFIABLE, |_| false);
        response.headers_mut().insert(header::CONTENT_RANGE, value(format!("bytes */{length}")));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        response
    }

    /// The same with another status, without a body and the fields that are about it. What this layer adds stays, and
    /// so does what says who may read the answer.
    fn without_body<B: Body>(
        &self,
        response: Response<CacheBody<B>>,
        status: StatusCode,
        keeps: impl Fn(&HeaderName) -> bool,
    ) -> Response<CacheBody<B>> {
        let (mut parts, _) = response.into_parts();
        let mut headers = HeaderMap::with_capacity(parts.headers.len());
        for (name, value) in &parts.headers {
            let stays = matches!(*name, header::DATE | header::VARY)
                || name.as_str().starts_with("access-control-")
                || self.rules.slots.contains(name)
                || keeps(name);
            if stays {
                headers.append(name, value.clone());
            }
        }
        (parts.status, parts.headers) = (status, headers);
        Response::from_parts(parts, CacheBody::absent())
    }
}

/// Whether an answer is in the cache, or on its way there.
fn is_stored<B>(response: &Response<B>) -> bool {
    match CacheStatus::of(response) {
        Some(CacheStatus::Miss { not_stored, .. }) => not_stored.is_none(),
        Some(CacheStatus::Bypass(_)) | None => false,
        Some(_) => true,
    }
}

fn partial<B: Body>(response: Response<CacheBody<B>>, part: ops::Range<usize>) -> Response<CacheBody<B>> {
    let (mut parts, body) = response.into_parts();
    let whole = body.as_whole().cloned().unwrap_or_default();
    let (first, last, length) = (part.start, part.end.saturating_sub(1), whole.len());
    parts.status = StatusCode::PARTIAL_CONTENT;
    for name in [CONTENT_DIGEST, CONTENT_MD5] {
        parts.headers.remove(name);
    }
    parts.headers.insert(header::CONTENT_RANGE, value(format!("bytes {first}-{last}/{length}")));
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.len()));
    Response::from_parts(parts, CacheBody::whole(whole.slice(part)))
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("a unit and numbers are valid")
}

impl Rules {
    /// Whether clients are told that they have it already. A tag of our own has no other use.
    pub(super) fn says_not_modified(&self) -> bool {
        self.not_modified || self.etag
    }

    /// Adds what a stored `200 OK` is to be asked for later: its tag, and that there are parts of it.
    pub(super) fn mark(&self, status: StatusCode, headers: &mut HeaderMap, body: &Bytes) {
        if status != StatusCode::OK {
            return;
        }
        // A map that is full cannot tell; that is no reason to fail.
        if self.etag && !headers.contains_key(header::ETAG) {
            let _ = headers.try_insert(header::ETAG, make_tag(headers, body));
        }
        if self.ranges && !headers.contains_key(header::ACCEPT_RANGES) {
            let _ = headers.try_insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
    }
}
