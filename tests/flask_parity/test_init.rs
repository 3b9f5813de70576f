//! `test_init.py`: what a cache is made of.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum_caching::{Backend, Cache, CacheLayer, CachePolicy, Clock, MemoryBackend, NullBackend, Ttl};
use http::StatusCode;

use crate::{
    bytewise::Bytewise,
    fixture::*,
    support::{app, cache, fetch, get, lines, send},
};

/// The backend is a value: those that exist, one of another crate, and one that is chosen while the program runs.
#[tokio::test]
async fn test_init_nullcache() {
    let chosen: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
    let caches = [
        (Cache::new(NullBackend::default()), "NullBackend", false),
        (Cache::new(MemoryBackend::default()), "MemoryBackend", true),
        (Cache::new(Bytewise::new(Clock::system())), "Bytewise", true),
        (Cache::new(chosen), "MemoryBackend", true),
    ];
    for (cache, name, keeps) in caches {
        assert!(format!("{cache:?}").contains(name), "{cache:?}");
        cache.set("hi", "hello", Ttl::Default).await.unwrap();
        assert_eq!(cache.has("hi").await.unwrap(), keeps, "{name}");
    }
}

/// The policy is a part of the response, and no other response.
#[tokio::test]
async fn test_cached_response_construction_with_flask_response() {
    let (cache, clock) = cache();
    let (app, runs) = app(CacheLayer::new(&cache).ttl(seconds(1)), |_, _| -> Response {
        (StatusCode::CREATED, CachePolicy::ttl(seconds(10)), [("x-field", "kept")], "hi").into_response()
    });
    for _ in 0..2 {
        let response = send(&app, get("/")).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(lines(&response, "x-field"), ["kept"]);
        assert_eq!(crate::support::text(response).await, "hi");
        clock.advance(seconds(9));
    }
    assert_eq!(runs.count(), 1);
    fetch(&app, "/").await;
    assert_eq!(runs.count(), 2);
}
