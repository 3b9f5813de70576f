//! What is kept of a response, and how it becomes one again.

mod select;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

pub(crate) use self::select::{Asked, Selecting, Selector, varied};
use crate::{
    error::{Error, ErrorKind, Result},
    fields::members,
    record::{self, Payload},
};

/// Bodies up to this size are copied into a buffer of their own: a small slice of a large read buffer, as proxying
/// handlers make them, would keep all of it alive.
const COPIED: usize = 64 * 1024;

/// What is in a slot until an answer is made.
const EMPTY_SLOT_TEXT: &str = "-";
pub(crate) const EMPTY_SLOT: &[u8] = EMPTY_SLOT_TEXT.as_bytes();

/// More fields than a response has that was stored.
const TOO_MANY: usize = 2_000;

/// The memory one field of a header map takes beside its value.
const FIELD: usize = 112;

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
#[derive(Debug)]
pub struct StoredResponse {
    status: StatusCode,
    /// With a slot for each field that changes at every hit: `HeaderMap` reallocates when it grows after a clone.
    headers: HeaderMap,
    body: Bytes,
    selecting: Selecting,
    slots: Box<[HeaderName]>,
}

impl StoredResponse {
    /// Keeps what may be kept of a response. `slots` are the fields that a hit overwrites.
    pub(crate) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
        selecting: Selecting,
        slots: &[HeaderName],
    ) -> Self {
        let mut headers = headers.clone();
        remove_hop_by_hop(&mut headers);
        if has_content(status) && !headers.contains_key(header::CONTENT_LENGTH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let body = own(&mut headers, body);
        Self::with(status, headers, body, selecting, slots)
    }

    fn with(
        status: StatusCode,
        mut headers: HeaderMap,
        body: Bytes,
        selecting: Selecting,
        slots: &[HeaderName],
    ) -> Self {
        // A field that the origin has sent is its own, and stays.
        let mut own = Box::default();
        if !slots.is_empty() {
            let missing: Vec<&HeaderName> = slots.iter().filter(|slot| !headers.contains_key(*slot)).collect();
            for slot in &missing {
                headers.insert(*slot, HeaderValue::from_static(EMPTY_SLOT_TEXT));
            }
            own = missing.into_iter().cloned().collect();
            // A clone is exact: no room that was only needed while it grew.
            headers = headers.clone();
        }
        Self { status, headers, body, selecting, slots: own }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields. Those that the layer adds to each answer have no meaning here.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
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

    /// The header fields for one answer, the slots of which are still to be filled.
    #[inline]
    pub(crate) fn headers_for(&self, slots: &[HeaderName]) -> HeaderMap {
        let mut headers = self.headers.clone();
        // Stored by a layer with other options.
        for slot in self.slots.iter().filter(|slot| !slots.contains(slot)) {
            headers.remove(slot);
        }
        headers
    }
}

/// Whether responses of this status say how long they are.
pub(crate) fn has_content(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED && !status.is_informational()
}

/// Takes off what belongs to one connection or one client, not to the representation (RFC 9111 §3.1).
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if !headers.keys().any(is_hop_by_hop) {
        return;
    }
    let lines = headers.get_all(header::CONNECTION).into_iter();
    let named: Vec<HeaderName> =
        lines.flat_map(|line| members(line.as_bytes())).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    let fixed: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    for name in named.iter().chain(&fixed) {
        headers.remove(name);
    }
}

/// Copies all values, and the body if it is small, into one buffer of exactly their size.
fn own(headers: &mut HeaderMap, body: &Bytes) -> Bytes {
    let copied = if body.len() <= COPIED { body.len() } else { 0 };
    let size = headers.values().map(HeaderValue::len).sum::<usize>();
    let mut buffer = Vec::with_capacity(size + copied);
    headers.values().for_each(|value| buffer.extend_from_slice(value.as_bytes()));
    buffer.extend_from_slice(&body[..copied]);
    let buffer = Bytes::from(buffer);
    let mut start = 0;
    for value in headers.values_mut() {
        let end = start + value.len();
        let mut copy = HeaderValue::from_maybe_shared(buffer.slice(start..end))
            .expect("copied from a header value, byte for byte");
        copy.set_sensitive(value.is_sensitive());
        *value = copy;
        start = end;
    }
    if copied == body.len() { buffer.slice(start..) } else { body.clone() }
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
    type Head = (u16, Vec<(String, Vec<u8>)>, Selecting);

    fn encode(&self) -> (Self::Head, Bytes) {
        let fixed = self.headers.iter().filter(|(name, _)| !self.slots.contains(name));
        let fields = fixed.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        ((self.status.as_u16(), fields, self.selecting.clone()), self.body.clone())
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
        Ok(Self::with(status, headers, body, selecting, &[]))
    }

    fn has_variants() -> bool {
        true
    }

    fn weight(&self) -> usize {
        let values: usize = self.headers.values().map(HeaderValue::len).sum();
        self.headers.len() * FIELD + values + self.body.len() + self.selecting.weight() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(lines: &[(&str, &str)]) -> StoredResponse {
        let mut response = http::Response::builder();
        for (name, value) in lines {
            response = response.header(*name, *value);
        }
        let (parts, ()) = response.body(()).expect("valid").into_parts();
        let body = Bytes::from_static(b"body");
        StoredResponse::new(parts.status, &parts.headers, &body, Selecting::default(), &[])
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
        let names: Vec<_> = stored.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-kept", "content-length"]);
    }

    #[test]
    fn lines_of_one_name_and_bytes_that_are_no_text_are_kept() {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.headers.append("link", HeaderValue::from_static("a"));
        parts.headers.append("link", HeaderValue::from_bytes(b"caf\xe9").expect("valid"));
        let stored = StoredResponse::new(parts.status, &parts.headers, &Bytes::new(), Selecting::default(), &[]);

        let (head, body) = stored.encode();
        let back = StoredResponse::decode(head, body).expect("decodes");

        let links: Vec<_> = back.headers().get_all("link").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(links, [&b"a"[..], b"caf\xe9"]);
    }

    #[test]
    fn a_small_body_does_not_keep_the_buffer_it_was_cut_from() {
        let buffer = Bytes::from(vec![1; 1 << 20]);
        let slice = buffer.slice(..10);
        let copy = own(&mut HeaderMap::new(), &slice);
        assert_eq!(copy, slice);
        assert_ne!(copy.as_ptr(), slice.as_ptr());
    }
}
