//! A flood of unique query strings stays within the bytes that the backend was given.
//!
//! A test of its own process, since it looks at the memory of all of it. `benches/memory.rs` does the same with
//! millions.
#![cfg(all(target_os = "linux", feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderValue, Request, Response, header},
    routing::get,
};
use axum_caching::{Cache, CacheLayer, CacheStatus, MemoryBackend};
use tower::Service;

/// Of each kind, and there are two.
const REQUESTS: u64 = 100_000;
const MAX_BYTES: u64 = 8 << 20;

/// So many that it is the bytes that bound.
const MAX_ENTRIES: usize = 1_000_000;

/// Whatever the bound: pages of the program that are loaded when first run, and what the allocator keeps for requests
/// under way. They are a part of the growth, and no part of the entries. Memory that goes with the number of requests
/// does not fit: 20 bytes a request would be as much.
const BESIDE: u64 = 2 << 20;

/// Resident memory, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

fn small() -> Response<Body> {
    let mut response = Response::new(Body::from(vec![b'x'; 64]));
    response.headers_mut().insert(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    response
}

/// As from a handler that read it from a connection: small slices, each of which keeps a buffer of 64 KiB.
fn proxied() -> Response<Body> {
    let buffer = Bytes::from(vec![b'x'; 64 << 10]);
    let mut response = Response::new(Body::from(buffer.slice(..64)));
    let value = HeaderValue::from_maybe_shared(buffer.slice(64..80)).unwrap();
    response.headers_mut().insert(header::ETAG, value);
    response
}

/// Sends `GET /items?q=<n>` for each n; `look` is called after each.
async fn flood(backend: &MemoryBackend, page: fn() -> Response<Body>, requests: u64, mut look: impl FnMut(u64)) {
    let layer = CacheLayer::new(&Cache::new(backend.clone())).ttl(Duration::from_secs(3_600));
    let mut app = Router::new().route("/items", get(async move || page())).layer(layer).with_state::<()>(());
    for number in 1..=requests {
        let request = Request::get(format!("/items?q={number}")).body(Body::empty()).unwrap();
        let response = app.call(request).await.unwrap();
        let status = CacheStatus::of(&response);
        assert!(matches!(status, Some(CacheStatus::Miss { not_stored: None, .. })), "{status:?}");
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        look(number);
    }
}

#[tokio::test]
async fn unique_queries_stay_within_the_bytes() {
    // What a process loads and allocates once.
    flood(&MemoryBackend::builder().max_entries(10).build(), proxied, 1_000, |_| ()).await;

    // Both against the same start, since what the first gives back the second takes again.
    let before = resident();
    for (name, page) in [("64 B", small as fn() -> _), ("slices of 64 KiB", proxied)] {
        let max_bytes = MAX_BYTES.try_into().unwrap();
        let backend = MemoryBackend::builder().max_bytes(max_bytes).max_entries(MAX_ENTRIES).build();
        let mut most = 0;
        flood(&backend, page, REQUESTS, |number| {
            let weight = backend.weight();
            assert!(weight <= MAX_BYTES, "{name}: {weight} bytes after {number} requests");
            if number % 1_000 == 0 {
                most = most.max(resident().saturating_sub(before));
            }
        })
        .await;
        println!(
            "{name}: {} entries weigh {} B, and the process grew by {most} B",
            backend.entries(),
            backend.weight()
        );
        assert!(backend.evictions() > REQUESTS / 2, "{name}: the bound was not reached");
        assert!(most <= MAX_BYTES / 4 * 5 + BESIDE, "{name}: {most} bytes resident");
    }
}
