//! Version 1 of the stored bytes: what is written today, the next version has to read, or to take for a miss.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, header},
    routing::get,
};
use axum_caching::{Cache, CacheLayer, CacheStatus, Ttl};
use bytewise::bytewise;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

/// `cache.set("key", &Row { .. }, 60 s)` at 2026-01-01T00:00:00Z.
///
/// Magic, version, kind, nonce, length of the head; created, fresh, stale and error until, took, nothing digested,
/// nothing depended on, length of the body; the body, as postcard writes it.
const VALUE: &[u8] = b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08\x1c\0\0\0\
    \x80\xd0\xea\xb6\xb7\x33\
    \xe0\xa4\xee\xb6\xb7\x33\
    \xe0\xa4\xee\xb6\xb7\x33\
    \xe0\xa4\xee\xb6\xb7\x33\
    \0\
    \0\
    \0\
    \x07\
    \x0e\x03Ada\x01\x02";

/// The nonce in the entries here; what is written has a random one.
const NONCE: &[u8] = b"\x01\x02\x03\x04\x05\x06\x07\x08";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    id: i32,
    name: String,
    rank: Option<u8>,
}

fn row() -> Row {
    Row { id: 7, name: "Ada".to_owned(), rank: Some(2) }
}

/// An entry with [`NONCE`] for its own.
fn with_nonce(bytes: &[u8]) -> Vec<u8> {
    [&bytes[..5], NONCE, &bytes[13..]].concat()
}

#[tokio::test]
async fn a_value_of_version_one_is_read() {
    let (cache, backend, clock) = bytewise();
    backend.put_raw("key", VALUE);
    assert_eq!(cache.get::<Row>("key").await.unwrap(), Some(row()));
    assert!(cache.has("key").await.unwrap());
    let computed = cache.get_or_compute("key", Ttl::Default, async || Row { id: 0, ..row() });
    assert_eq!(computed.await, row());

    clock.advance(Duration::from_millis(60_000 - 1));
    assert!(cache.has("key").await.unwrap());
    clock.advance(Duration::from_millis(1));
    assert_eq!(cache.get::<Row>("key").await.unwrap(), None, "its time is over");
}

#[tokio::test]
async fn a_value_is_written_as_version_one() {
    let (cache, backend, _) = bytewise();
    cache.set("key", &row(), Duration::from_secs(60)).await.unwrap();
    let bytes = backend.raw("key").unwrap();

    assert_eq!(with_nonce(&bytes), VALUE);
}

#[tokio::test]
async fn the_text_of_a_long_key_is_in_its_entry_and_is_compared() {
    let (cache, backend, _) = bytewise();
    let key = "k".repeat(600);
    cache.set(&key, "value", Ttl::Forever).await.unwrap();
    let [short] = &backend.keys()[..] else { panic!("one entry") };
    assert_eq!(short, "#long=4e7d067ea816c219c0675f53e1bef751");
    let bytes = backend.raw(short).unwrap();
    let at = bytes.windows(600).position(|window| window == key.as_bytes()).expect("the whole text");

    // Another text with that digest would find this entry, which is none of its own.
    let mut other = bytes.to_vec();
    other[at] = b'l';
    backend.put_raw(short, other);
    assert_eq!(cache.get::<String>(&key).await.unwrap(), None);
    assert_eq!(cache.get_or_compute(&key, Ttl::Default, async || "own".to_owned()).await, "own");
}

#[tokio::test]
async fn integers_are_ascii_digits() {
    let (cache, backend, _) = bytewise();
    cache.set("n", &-5, Ttl::Forever).await.unwrap();
    assert_eq!(backend.raw("n").unwrap(), "-5");
    backend.put_raw("n", "41");
    assert_eq!(cache.increment("n", 1).await.unwrap(), 42);
    assert_eq!(cache.get::<u8>("n").await.unwrap(), Some(42));
}

/// The answer to `GET /page`, stored at 2026-01-01T00:00:00Z for 60 seconds.
///
/// As above, and in the head: status, fields, and what selects: the host, which the request did not name.
const RESPONSE: &[u8] = b"axc\x01r\x01\x02\x03\x04\x05\x06\x07\x08\x77\0\0\0\
    \x80\xd0\xea\xb6\xb7\x33\
    \xe0\xa4\xee\xb6\xb7\x33\
    \xe0\xa4\xee\xb6\xb7\x33\
    \xe0\xa4\xee\xb6\xb7\x33\
    \0\
    \0\
    \0\
    \xc8\x01\
    \x05\
    \x04date\x1dThu, 01 Jan 2026 00:00:00 GMT\
    \x08x-binary\x04caf\xe9\
    \x04link\x03<a>\
    \x04link\x03<b>\
    \x0econtent-length\x0211\
    \x01\0\0\
    \x0b\
    <p>page</p>";

fn app(cache: &Cache) -> Router {
    let page = async || {
        let mut response = Response::new(Body::from("<p>page</p>"));
        response.headers_mut().insert(header::DATE, HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"));
        response.headers_mut().insert("x-binary", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        response.headers_mut().append(header::LINK, HeaderValue::from_static("<a>"));
        response.headers_mut().append(header::LINK, HeaderValue::from_static("<b>"));
        response
    };
    Router::new().route("/page", get(page)).layer(CacheLayer::new(cache).ttl(Duration::from_secs(60)))
}

async fn fetch(cache: &Cache) -> (CacheStatus, Response<String>) {
    let request = Request::get("/page").body(Body::empty()).unwrap();
    let response = app(cache).oneshot(request).await.unwrap();
    let status = CacheStatus::of(&response).unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (status, Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test]
async fn a_response_is_written_as_version_one() {
    let (cache, backend, _) = bytewise();
    fetch(&cache).await;
    assert!(cache.close().await);
    let bytes = backend.raw("view//page").expect("stored");
    assert_eq!(with_nonce(&bytes), RESPONSE);
}

#[tokio::test]
async fn a_response_of_version_one_is_read() {
    let (cache, backend, clock) = bytewise();
    // Another body than the origin has now.
    let end = RESPONSE.len() - "<p>page</p>".len();
    backend.put_raw("view//page", [&RESPONSE[..end], b"<p>PAGE</p>"].concat());
    let (status, response) = fetch(&cache).await;

    assert_eq!(status, CacheStatus::Hit);
    assert_eq!((response.status().as_u16(), response.body().as_str()), (200, "<p>PAGE</p>"));
    let headers = response.headers();
    assert_eq!(headers[header::DATE], "Thu, 01 Jan 2026 00:00:00 GMT");
    assert_eq!(headers["x-binary"], HeaderValue::from_bytes(b"caf\xe9").unwrap());
    assert_eq!(headers.get_all(header::LINK).iter().collect::<Vec<_>>(), ["<a>", "<b>"]);
    assert_eq!(headers[header::CONTENT_LENGTH], "11");

    clock.advance(Duration::from_secs(60));
    let (status, response) = fetch(&cache).await;
    assert!(matches!(status, CacheStatus::Miss { .. }));
    assert_eq!(response.body(), "<p>page</p>");
}

#[tokio::test]
async fn a_response_and_a_value_are_not_taken_for_each_other() {
    let (cache, backend, _) = bytewise();
    backend.put_raw("view//page", VALUE);
    backend.put_raw("key", RESPONSE);
    assert!(matches!(fetch(&cache).await.0, CacheStatus::Miss { .. }));
    assert_eq!(cache.get::<Row>("key").await.unwrap(), None);
    assert_eq!(cache.get_or_compute("key", Ttl::Default, async || row()).await, row());
}
