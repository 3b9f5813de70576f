//! What is kept of a response, and how it becomes one again.

mod head;
mod range;
mod select;
mod shape;
mod validators;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

pub(crate) use self::{
    head::Filled,
    range::{ByteRange, Cut},
    select::{Asked, HostField, Selecting, Selector, varied},
    validators::{Tag, is_named, is_same, is_unmodified_since, make_tag, tag},
};
use self::{head::Head, select::Selected, shape::Line};
use crate::{
    error::{Error, ErrorKind, Result},
    fields::members,
    record::{self, Payload},
};

/// Bodies up to this size are copied into a buffer of their own: a small slice of a large read buffer, as proxying
/// handlers make them, would keep all of it alive.
const COPIED: usize = 64 * 1024;

/// More fields than a response has that was stored.
const TOO_MANY: usize = 2_000;

/// The answer to a later request: status, header fields and the whole body.
///
/// # Examples
///
/// It is what [`CacheLayer::is_stale`](crate::CacheLayer::is_stale) looks at:
///
/// ```
/// use axum_caching::{Cache, CacheLayer, NullBackend};
///
/// let cache = Cache::new(NullBackend::default());
/// let layer = CacheLayer::new(&cache)
///     .is_stale(|_request, stored| stored.headers().get("x-build").is_none_or(|build| build != "42"));
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
pub struct StoredResponse {
    status: StatusCode,
    head: Head,
    body: Bytes,
    selecting: Selecting,
}

impl StoredResponse {
    /// Keeps what may be kept of a response. `date` is for one without a `Date`, `slots` are the fields that are made
    /// for each answer.
    pub(crate) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
        date: &HeaderValue,
        selecting: Selecting,
        slots: &Arc<[HeaderName]>,
    ) -> Self {
        let copies = body.len() <= COPIED;
        Self::made(status, headers, (body, copies), date, selecting, slots)
    }

    /// As [`new`](StoredResponse::new), with the body of a stored response, which is shared and not copied.
    pub(crate) fn renewed(
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
        date: &HeaderValue,
        selecting: Selecting,
        slots: &Arc<[HeaderName]>,
    ) -> Self {
        Self::made(status, headers, (body, false), date, selecting, slots)
    }

    fn made(
        status: StatusCode,
        headers: &HeaderMap,
        (body, copies): (&Bytes, bool),
        date: &HeaderValue,
        selecting: Selecting,
        slots: &Arc<[HeaderName]>,
    ) -> Self {
        let mut lines = Vec::with_capacity(headers.len() + 2);
        lines.extend(headers);
        remove_hop_by_hop(headers, &mut lines);
        let has = |lines: &[Line<'_>], wanted: HeaderName| lines.iter().any(|(name, _)| **name == wanted);
        let length;
        if has_content(status) && !has(&lines, header::CONTENT_LENGTH) {
            length = HeaderValue::from(body.len());
            lines.push((&header::CONTENT_LENGTH, &length));
        }
        if !has(&lines, header::DATE) {
            lines.push((&header::DATE, date));
        }
        Self::with(status, &lines, (body, copies), selecting, slots)
    }

    fn with(
        status: StatusCode,
        lines: &[Line<'_>],
        (body, copies): (&Bytes, bool),
        selecting: Selecting,
        slots: &Arc<[HeaderName]>,
    ) -> Self {
        let (head, copy) = Head::new(lines, slots, if copies { body } else { b"" });
        Self { status, head, body: if copies { copy } else { body.clone() }, selecting }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A copy of the header fields, without those that the layer adds to each answer.
    ///
    /// To look at one field, [`header`](StoredResponse::header) costs less.
    pub fn headers(&self) -> HeaderMap {
        self.head.lines().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The first line of a field.
    pub fn header(&self, name: impl AsRef<str>) -> Option<&HeaderValue> {
        let name = name.as_ref();
        self.head.lines().find(|(own, _)| own.as_str().eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    pub(crate) fn selecting(&self) -> &Selecting {
        &self.selecting
    }

    pub(crate) fn select_by(&mut self, selecting: Selecting) {
        self.selecting = selecting;
    }

    /// The header fields of one answer, with what is made for it.
    #[inline]
    pub(crate) fn headers_with(&self, filled: &Filled<'_, impl Fn(usize) -> Option<HeaderValue>>) -> HeaderMap {
        self.head.answer(filled)
    }
}

/// Whether responses of this status say how long they are.
fn has_content(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED && !status.is_informational()
}

/// Takes off what belongs to one connection or one client, not to the representation (RFC 9111 §3.1).
fn remove_hop_by_hop(headers: &HeaderMap, lines: &mut Vec<Line<'_>>) {
    if !lines.iter().any(|(name, _)| is_hop_by_hop(name)) {
        return;
    }
    let connection = headers.get_all(header::CONNECTION).into_iter();
    let named: Vec<HeaderName> = connection
        .flat_map(|line| members(line.as_bytes()))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    lines.retain(|(name, _)| !is_hop_by_hop(name) && !named.contains(name));
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            // Never replayed, whoever allowed such a response to be stored.
            | "set-cookie"
            // Counted, and made anew.
            | "age"
    )
}

impl Payload for StoredResponse {
    const KIND: u8 = record::RESPONSE;
    type Head = (u16, Vec<(String, Vec<u8>)>, Vec<(Selector, Selected)>);

    fn encode(&self) -> Result<(Self::Head, Bytes)> {
        let fields =
            self.head.lines().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        let selecting = self.selecting.pairs().map(|(selector, value)| (selector.clone(), value.clone())).collect();
        Ok(((self.status.as_u16(), fields, selecting), self.body.clone()))
    }

    fn decode((status, fields, selecting): Self::Head, body: Bytes) -> Result<Self> {
        let status = StatusCode::from_u16(status).map_err(|error| Error::new(ErrorKind::Decode, error))?;
        if status.is_informational() || matches!(status.as_u16(), 206 | 304) {
            return Err(Error::message(ErrorKind::Decode, format!("a response of status {status} is never stored")));
        }
        if fields.len() > TOO_MANY {
            return Err(Error::message(ErrorKind::Decode, "too many header fields"));
        }
        let mut headers = HeaderMap::with_capacity(fields.len());
        for (name, value) in fields {
            let name = HeaderName::try_from(name).map_err(|error| Error::new(ErrorKind::Decode, error))?;
            let value = HeaderValue::try_from(value).map_err(|error| Error::new(ErrorKind::Decode, error))?;
            if is_hop_by_hop(&name) {
                return Err(Error::message(ErrorKind::Decode, format!("a field `{name}` is never stored")));
            }
            headers.append(name, value);
        }
        let length = HeaderValue::from(body.len());
        if headers.get_all(header::CONTENT_LENGTH).iter().any(|stored| stored != length) {
            return Err(Error::message(ErrorKind::Decode, "a body of another length than its field says"));
        }
        let lines: Vec<Line<'_>> = headers.iter().collect();
        Ok(Self::with(status, &lines, (&body, body.len() <= COPIED), selecting.into_iter().collect(), &Arc::default()))
    }

    fn again(&self) -> Self {
        self.clone()
    }

    fn has_variants() -> bool {
        true
    }

    fn weight(&self) -> usize {
        self.head.weight() + self.body.len() + self.selecting.weight() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: HeaderValue = HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT");

    fn stored(lines: &[(&str, &str)]) -> StoredResponse {
        let mut response = http::Response::builder();
        for (name, value) in lines {
            response = response.header(*name, *value);
        }
        let (parts, ()) = response.body(()).expect("valid").into_parts();
        let body = Bytes::from_static(b"body");
        StoredResponse::new(parts.status, &parts.headers, &body, &DATE, Selecting::default(), &Arc::default())
    }

    #[test]
    fn what_belongs_to_one_connection_or_one_client_is_not_kept() {
        let stored = stored(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-authenticate", "x"),
            ("set-cookie", "a=1"),
            ("age", "7"),
            ("x-kept", "1"),
        ]);
        let names: Vec<_> = stored.head.lines().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-kept", "content-length", "date"]);
    }

    #[test]
    fn lines_of_one_name_and_bytes_that_are_no_text_are_kept() {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.headers.append("link", HeaderValue::from_static("a"));
        parts.headers.append("link", HeaderValue::from_bytes(b"caf\xe9").expect("valid"));
        let stored = StoredResponse::new(
            parts.status,
            &parts.headers,
            &Bytes::new(),
            &DATE,
            Selecting::default(),
            &Arc::default(),
        );

        let (head, body) = stored.encode().expect("encodes");
        let back = StoredResponse::decode(head, body).expect("decodes");

        let headers = back.headers();
        let links: Vec<_> = headers.get_all("link").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(links, [&b"a"[..], b"caf\xe9"]);
    }

    #[test]
    fn a_small_body_does_not_keep_the_buffer_it_was_cut_from() {
        let buffer = Bytes::from(vec![1; 1 << 20]);
        let slice = buffer.slice(..10);
        let stored = StoredResponse::new(
            StatusCode::OK,
            &HeaderMap::new(),
            &slice,
            &DATE,
            Selecting::default(),
            &Arc::default(),
        );
        assert_eq!(stored.body(), &slice);
        assert_ne!(stored.body().as_ptr(), slice.as_ptr());
    }
}
