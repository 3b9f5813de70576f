//! The application: one route, one response with the headers of an ordinary cacheable page (five here,
//! and the `content-length` that axum adds).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::{MethodRouter, get},
};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// How often a handler ran in this process.
pub(crate) fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// Answers `/item/{id}` with a body of `size` bytes that all responses share.
pub(crate) fn app(size: usize) -> Router {
    let body = Bytes::from(vec![b'x'; size]);
    item(get(move || async move { page(body.clone()) }))
}

/// The same, but each response has a body of its own, as from a handler that renders something.
pub(crate) fn rendering_app(size: usize) -> Router {
    item(get(move || async move { page(Bytes::from(vec![b'x'; size])) }))
}

/// The same as [`app`], after `delay`.
pub(crate) fn slow_app(size: usize, delay: Duration) -> Router {
    let body = Bytes::from(vec![b'x'; size]);
    item(get(move || async move {
        // The slow origin that a stampede runs into; nothing waits for the cache here.
        tokio::time::sleep(delay).await;
        page(body.clone())
    }))
}

fn item(handler: MethodRouter) -> Router {
    Router::new().route("/item/{id}", handler)
}

fn page(body: Bytes) -> impl IntoResponse {
    CALLS.fetch_add(1, Ordering::Relaxed);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_LANGUAGE, HeaderValue::from_static("en")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
        (header::ETAG, HeaderValue::from_static("\"5f0c-6419a3c1d4f80\"")),
        (header::LAST_MODIFIED, HeaderValue::from_static("Sun, 01 Nov 2026 08:00:00 GMT")),
    ];
    (headers, body)
}
