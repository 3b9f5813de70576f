//! What the tests share: an application that counts, requests, and ways to look at answers.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file is a crate of its own and uses a part of this"
)]

pub mod held;
#[cfg(all(feature = "memcached", unix))]
pub mod memcached;
#[cfg(all(feature = "redis", unix))]
pub mod redis;
pub mod revalidate;
pub mod scripted;
pub mod stale;
pub mod wire;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use axum_caching::{Cache, CacheLayer, CacheStatus, MemoryBackend, NotStored, testing::ManualClock};
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

/// Counts the runs of a handler.
pub use axum_caching::testing::Calls as Runs;

/// A cache in memory whose time stands still.
pub fn cache() -> (Cache, ManualClock) {
    let (cache, _, clock) = cache_and_backend();
    (cache, clock)
}

pub fn cache_and_backend() -> (Cache, MemoryBackend, ManualClock) {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    (Cache::builder(backend.clone()).clock(clock.clock()).build(), backend, clock)
}

pub fn layer(cache: &Cache) -> CacheLayer {
    CacheLayer::new(cache).ttl(Duration::from_secs(60))
}

/// A router in which everything goes to a handler that is told of the request and of the number of the run.
pub fn app<R: IntoResponse>(
    layer: CacheLayer,
    handler: impl Fn(Request<Body>, usize) -> R + Clone + Send + Sync + 'static,
) -> (Router, Runs) {
    let runs = Runs::default();
    let counted = runs.clone();
    let router = Router::new()
        .fallback(move |request: Request<Body>| {
            let response = handler(request, counted.next()).into_response();
            async move { response }
        })
        .layer(layer);
    (router, runs)
}

pub fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}

pub fn get_with(uri: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let builder = fields.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
    builder.body(Body::empty()).unwrap()
}

pub async fn send(app: &Router, request: Request<Body>) -> Response {
    app.clone().oneshot(request).await.unwrap()
}

pub async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Sends a GET, and gives status of the cache and body.
pub async fn fetch(app: &Router, uri: &str) -> (CacheStatus, String) {
    fetch_request(app, get(uri)).await
}

pub async fn fetch_request(app: &Router, request: Request<Body>) -> (CacheStatus, String) {
    let response = send(app, request).await;
    let status = CacheStatus::of(&response).expect("a status is always there");
    (status, text(response).await)
}

pub fn is_miss(status: CacheStatus) -> bool {
    matches!(status, CacheStatus::Miss { .. })
}

pub fn not_stored(status: CacheStatus) -> Option<NotStored> {
    match status {
        CacheStatus::Miss { not_stored, .. } => not_stored,
        other => panic!("expected a miss, got {other:?}"),
    }
}

/// Sends a request twice, and gives what the cache did with each.
pub async fn twice(app: &Router, request: impl Fn() -> Request<Body>) -> [CacheStatus; 2] {
    [fetch_request(app, request()).await.0, fetch_request(app, request()).await.0]
}

/// An application whose every answer has these fields, and says which run it comes from.
pub fn answering(layer: CacheLayer, fields: &[(&'static str, &'static str)]) -> (Router, Runs) {
    let fields = fields.to_vec();
    app(layer, move |_, run| answer(&fields, format!("run {run}")))
}

/// A response with these fields.
pub fn answer(fields: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let builder = fields.iter().fold(Response::builder(), |response, (name, value)| response.header(*name, *value));
    builder.body(body.into()).unwrap()
}

pub fn request(method: http::Method, uri: &str) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
}

/// All lines of a field.
pub fn lines(response: &Response, name: &str) -> Vec<String> {
    let lines = response.headers().get_all(name).iter();
    lines.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// What a request has in a field, or `-`.
pub fn seen(request: &Request<Body>, name: &str) -> String {
    request.headers().get(name).map_or_else(|| "-".into(), |value| String::from_utf8_lossy(value.as_bytes()).into())
}
