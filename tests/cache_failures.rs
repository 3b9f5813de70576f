//! Bytes that are nothing, and a backend that is down.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::get};
use axum_caching::{Breaker, Cache, CacheLayer, ErrorKind, Event, MemoryBackend, Ttl, testing::Calls};
use bytewise::{Bytewise, Told, settle};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// Whole entries, of which each test takes something away.
async fn entry_bytes() -> Vec<u8> {
    let (cache, backend, _) = bytewise::bytewise();
    cache.set("key", "value", Ttl::Forever).await.unwrap();
    backend.raw("key").expect("stored").to_vec()
}

async fn undecodable() -> Vec<Vec<u8>> {
    let whole = entry_bytes().await;
    let mut other_version = whole.clone();
    other_version[3] += 1;
    let mut other_kind = whole.clone();
    other_kind[4] = b'r';
    let mut longer = whole.clone();
    longer.push(0);
    let endless_head = [&whole[..13], &[0xff; 4], &whole[17..]].concat();
    let cut = whole[..whole.len() - 1].to_vec();
    let none = Vec::new();
    vec![
        none,
        b"garbage".to_vec(),
        vec![0xff; 1_000],
        b"axc".to_vec(),
        cut,
        longer,
        other_version,
        other_kind,
        endless_head,
    ]
}

fn observed() -> (Cache, Bytewise, Told) {
    let told = Told::default();
    let backend = Bytewise::new(axum_caching::Clock::system());
    // What the backend itself says is the subject here; `backend_breaker` has the other.
    let cache = Cache::builder(backend.clone()).observer(told.observer()).breaker(Breaker::off()).build();
    (cache, backend, told)
}

#[tokio::test]
async fn bytes_that_are_no_entry_are_a_miss_that_the_observer_is_told_of() {
    for bytes in undecodable().await {
        let (cache, backend, told) = observed();
        backend.put_raw("key", bytes.clone());
        assert_eq!(cache.get::<String>("key").await.unwrap(), None, "{bytes:?}");
        assert_eq!(cache.get_many::<String>(["key"]).await.unwrap(), [None]);
        assert_eq!(told.count("failed decode: Decode"), 2, "{bytes:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_entry_are_overwritten() {
    for bytes in undecodable().await {
        let (cache, backend, told) = observed();

        backend.put_raw("computed", bytes.clone());
        assert_eq!(cache.get_or_compute("computed", Ttl::Default, async || "new".to_owned()).await, "new");
        assert_eq!(cache.get::<String>("computed").await.unwrap().as_deref(), Some("new"), "{bytes:?}");
        assert_eq!(told.count("miss computed: Unreadable"), 1, "{bytes:?}");

        backend.put_raw("set", bytes.clone());
        cache.set("set", "new", Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<String>("set").await.unwrap().as_deref(), Some("new"), "{bytes:?}");

        backend.put_raw("deleted", bytes);
        assert!(cache.delete("deleted").await.unwrap());
        assert_eq!(backend.raw("deleted"), None);
    }
}

#[tokio::test]
async fn bytes_that_are_no_entry_are_absent_to_has_and_add_as_they_are_to_get() {
    for bytes in undecodable().await {
        // The kind of a cached response, which only its own reader can judge.
        if bytes.get(4) == Some(&b'r') {
            continue;
        }
        let (cache, backend, _) = observed();
        backend.put_raw("key", bytes.clone());
        assert!(!cache.has("key").await.unwrap(), "{bytes:?}");
        assert!(cache.add("key", "new", Ttl::Default).await.unwrap(), "{bytes:?}");
        assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn a_dead_backend_is_an_error_to_every_explicit_call() {
    let (cache, backend, told) = observed();
    backend.die(true);
    let down = ErrorKind::Connect;

    assert_eq!(cache.get::<String>("key").await.unwrap_err().kind(), down);
    assert_eq!(cache.set("key", "value", Ttl::Default).await.unwrap_err().kind(), down);
    assert_eq!(cache.set("key", "value", Ttl::DontStore).await.unwrap_err().kind(), down);
    assert_eq!(cache.add("key", "value", Ttl::Default).await.unwrap_err().kind(), down);
    assert_eq!(cache.delete("key").await.unwrap_err().kind(), down);
    assert_eq!(cache.has("key").await.unwrap_err().kind(), down);
    assert_eq!(cache.get_many::<String>(["key"]).await.unwrap_err().kind(), down);
    assert_eq!(cache.get_dict::<String>(["key"]).await.unwrap_err().kind(), down);
    assert_eq!(cache.set_many([("key", 1)], Ttl::Default).await.unwrap_err().kind(), down);
    assert_eq!(cache.delete_many(["key"]).await.unwrap_err().kind(), down);
    assert_eq!(cache.unlink(["key"]).await.unwrap_err().kind(), down);
    assert_eq!(cache.clear().await.unwrap_err().kind(), down);
    assert_eq!(cache.increment("key", 1).await.unwrap_err().kind(), down);
    assert_eq!(cache.decrement("key", 1).await.unwrap_err().kind(), down);
    assert_eq!(told.all(), [""; 0], "who got the error needs no event");
}

#[tokio::test]
async fn a_dead_backend_is_no_error_to_computed_values_and_the_observer_is_told() {
    let (cache, backend, told) = observed();
    backend.die(true);
    for run in 0..2 {
        assert_eq!(cache.get_or_compute("key", Ttl::Default, async || run).await, run);
    }
    let computed = cache.try_get_or_compute("key", Ttl::Default, async || Err::<i32, _>("own error")).await;
    assert_eq!(computed, Err("own error"));

    assert_eq!(told.count("miss key: Backend"), 3);
    assert_eq!(told.count("not stored key: Backend"), 2);
    assert!(told.count("failed get: Connect") >= 3 && told.count("failed set: Connect") == 2, "{:?}", told.all());
    assert_eq!(told.count("stored"), 0);
}

#[tokio::test]
async fn callers_share_a_run_also_while_the_backend_is_dead() {
    let (cache, backend, _) = observed();
    backend.die(true);
    let runs = Calls::default();
    runs.hold();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (cache, runs) = (cache.clone(), runs.clone());
            tokio::spawn(async move { cache.get_or_compute("key", Ttl::Default, async || runs.pass().await).await })
        })
        .collect();
    settle().await;
    runs.release();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 1);
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_backend_that_is_back_is_used_again() {
    let (cache, backend, _) = observed();
    cache.set("key", "old", Ttl::Forever).await.unwrap();
    backend.die(true);
    assert_eq!(cache.get_or_compute("key", Ttl::Default, async || "new".to_owned()).await, "new");
    backend.die(false);
    assert_eq!(cache.get_or_compute("key", Ttl::Default, async || "newer".to_owned()).await, "old");
}

#[tokio::test]
async fn a_dead_backend_does_not_change_a_response() {
    let (cache, backend, told) = observed();
    backend.die(true);
    let layer = CacheLayer::new(&cache).ttl(Duration::from_secs(60));
    let app = Router::new().route("/", get(async || "body")).layer(layer);
    for _ in 0..2 {
        let request = http::Request::get("/").body(axum::body::Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
    }
    assert!(cache.close().await);
    assert_eq!(told.count("not stored"), 2, "{:?}", told.all());
}

#[tokio::test]
async fn a_value_that_is_too_large_is_an_error_to_set_and_none_to_a_computed_value() {
    let told = Told::default();
    let backend = MemoryBackend::builder().max_bytes(10_000).build();
    let cache = Cache::builder(backend).observer(told.observer()).build();
    let large = vec![7_u8; 10_000];

    assert_eq!(cache.set("key", &large, Ttl::Default).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(cache.add("key", &large, Ttl::Default).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(cache.set_many([("key", &large)], Ttl::Default).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(cache.get_or_compute("key", Ttl::Default, async || large.clone()).await, large);
    assert_eq!(told.count("not stored key: TooLarge"), 1);
    assert!(!cache.has("key").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_increment_whose_turn_does_not_come_says_so_and_adds_nothing() {
    let (cache, backend, _) = bytewise::bytewise();
    let mut held = backend.hold("increment");
    let first = tokio::spawn({
        let cache = cache.clone();
        async move { cache.increment("visits", 1).await }
    });
    held.reached().await;
    let error = cache.increment("visits", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("earlier writes of this key are under way"), "{error}");

    assert_eq!(first.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    held.release();
    settle().await;
    assert_eq!(cache.increment("visits", 1).await.unwrap(), 2);
}

#[cfg(feature = "json")]
#[tokio::test]
async fn an_error_says_what_was_expected_and_where_and_not_what_is_stored() {
    let errors = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&errors);
    let cache = Cache::builder(Bytewise::new(axum_caching::Clock::system()))
        .codec(axum_caching::codec::Json::default())
        .observer(move |event: &Event<'_>| {
            if let Event::Failed { error, .. } = event {
                told.lock().unwrap().push(format!("{error} {error:?}"));
            }
        })
        .build();
    cache.set("token", "s3cret", Ttl::Default).await.unwrap();
    cache.set("number", &77_123, Ttl::Default).await.unwrap();

    let token = cache.get::<u32>("token").await.unwrap_err().to_string();
    assert!(token.ends_with("expected a `u32`: invalid type at line 1 column 8"), "{token}");
    let number = cache.get::<u8>("number").await.unwrap_err().to_string();
    assert!(number.contains("expected a `u8`") && !number.contains("77123"), "{number}");
    for key in ["token", "number"] {
        assert_eq!(cache.get_or_compute(key, Ttl::Default, async || 7_u8).await, 7);
    }
    let errors = errors.lock().unwrap();
    let is_content = |text: &String| text.contains("s3cret") || text.contains("77123");
    assert!(errors.len() >= 2 && !errors.iter().any(is_content), "{errors:?}");
}

#[cfg(feature = "json")]
#[tokio::test]
async fn json_is_what_the_backend_is_given_and_what_it_takes() {
    let backend = Bytewise::new(axum_caching::Clock::system());
    let cache = Cache::builder(backend.clone()).codec(axum_caching::codec::Json::default()).build();
    cache.set("key", &[Some("text"), None], Ttl::Forever).await.unwrap();

    let bytes = backend.raw("key").expect("stored");
    assert!(bytes.ends_with(br#"["text",null]"#), "{bytes:?}");
    let found = cache.get::<Vec<Option<String>>>("key").await.unwrap();
    assert_eq!(found, Some(vec![Some("text".to_owned()), None]));
    assert_eq!(cache.get::<i32>("key").await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(
        cache.get_or_compute("key", Ttl::Default, async || serde_json::json!(1)).await,
        serde_json::json!(["text", null])
    );
}
