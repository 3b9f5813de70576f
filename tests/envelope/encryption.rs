//! What of an entry can be seen by who has its bytes, and what can be done with them.

use std::time::Duration;

use axum::body::Body;
use axum_caching::{CacheLayer, CacheStatus, ErrorKind, Memoizer, Ttl, Value};
use http::Response;

use crate::{
    common::{Stage, contains, keys, long_text},
    support::{app, fetch},
};

const UNSEALED: &str = "it is not sealed, and where entries are encrypted no other is taken";

#[tokio::test]
async fn a_value_cannot_be_seen_in_its_bytes_and_comes_back() {
    for settings in [0, 1] {
        let stage = Stage::new(|it| if settings == 0 { it } else { it.compress_above(1_000) }.keys(keys()));
        for (key, text) in [("short", "Ada Lovelace".to_owned()), ("long", long_text())] {
            stage.cache.set(key, &text, Ttl::Default).await.unwrap();
            let raw = stage.raw(key);
            assert!(!contains(&raw, b"Ada") && !contains(&raw, b"the same"));
            assert!(raw.starts_with(b"axc\x01v"), "what is compared stands in clear");
            assert_eq!(stage.cache.get(key).await.unwrap(), Some(text.clone()));
            assert_eq!(stage.cache.get_many::<String>(["none", key]).await.unwrap(), [None, Some(text)]);
            assert!(stage.cache.has(key).await.unwrap());
        }
        assert_eq!(stage.raw("long").len() > 1_000, settings == 0, "compressed before it is encrypted");
        assert_eq!(stage.failures.take(), [""; 0]);
    }
}

#[tokio::test]
async fn the_same_value_never_has_the_same_bytes() {
    let stage = Stage::sealing();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        stage.cache.set("n", &5, Ttl::Default).await.unwrap();
        assert!(seen.insert(stage.raw("n")[17..].to_vec()));
    }
}

#[tokio::test]
async fn integers_are_encrypted_and_nobody_adds_to_them() {
    let stage = Stage::sealing();
    stage.cache.set("n", &1_234_567, Ttl::Default).await.unwrap();
    assert!(!contains(&stage.raw("n"), b"1234567"));
    assert_eq!(stage.cache.get("n").await.unwrap(), Some(1_234_567));
    assert!(!stage.cache.add("n", &1, Ttl::Default).await.unwrap());
    stage.cache.set_many([("a", 1), ("b", 2)], Ttl::Default).await.unwrap();
    assert_eq!(stage.cache.get_many::<i32>(["a", "b"]).await.unwrap(), [Some(1), Some(2)]);
    assert_eq!(stage.cache.get_or_compute("n", Ttl::Default, async || 8).await, 1_234_567);

    let error = stage.cache.increment("n", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "not supported by this backend: `increment`: nobody can add to what is encrypted, and integers are too"
    );
    assert_eq!(stage.cache.get("n").await.unwrap(), Some(1_234_567));
}

#[tokio::test]
async fn what_somebody_else_wrote_is_nothing() {
    let stage = Stage::sealing();
    let plain = stage.without();
    plain.cache.set("text", "forged", Ttl::Default).await.unwrap();
    plain.cache.set("n", &1_000_000, Ttl::Default).await.unwrap();
    // As long as a stamp is, under a key that has in it what keys of stamps have.
    stage.stored.put_raw("of@t/mine", "1234567890123456");
    stage.again(|it| it.compress_above(100)).cache.set("long", &long_text(), Ttl::Default).await.unwrap();
    stage.stored.put_raw("noise", "some bytes of another program");
    for key in ["text", "n", "of@t/mine", "long", "noise"] {
        assert_eq!(stage.cache.get::<String>(key).await.unwrap(), None, "{key}");
        assert_eq!(stage.cache.get::<i64>(key).await.unwrap(), None, "{key}");
        assert!(!stage.cache.has(key).await.unwrap(), "{key}");
        assert_eq!(stage.cache.get_many::<i64>([key]).await.unwrap(), [None], "{key}");
        let failures = stage.failures.take();
        assert!(!failures.is_empty() && failures.iter().all(|failure| failure.contains(UNSEALED)), "{failures:?}");
        assert!(stage.cache.add(key, "own", Ttl::Default).await.unwrap(), "{key}");
        assert_eq!(stage.cache.get(key).await.unwrap(), Some("own".to_owned()), "{key}");
        stage.failures.take();
    }
}

#[tokio::test]
async fn an_entry_does_not_open_under_another_key() {
    let stage = Stage::sealing();
    for (key, text) in [("admin", "yes"), ("guest", "no")] {
        stage.cache.set(key, text, Ttl::Default).await.unwrap();
    }
    stage.stored.put_raw("guest", stage.raw("admin"));
    assert_eq!(stage.cache.get::<String>("guest").await.unwrap(), None);
    assert!(stage.failures.take()[0].contains("it was changed, or is the entry of another key"));
    assert_eq!(stage.cache.get("admin").await.unwrap(), Some("yes".to_owned()));
}

#[tokio::test]
async fn an_entry_does_not_open_with_the_token_of_another() {
    let stage = Stage::sealing();
    stage.cache.set("key", "old", Ttl::Default).await.unwrap();
    let old = stage.raw("key");
    stage.cache.set("key", "new", Ttl::Default).await.unwrap();
    let new = stage.raw("key");
    stage.stored.put_raw("key", [&new[..13], &old[13..]].concat());
    assert_eq!(stage.cache.get::<String>("key").await.unwrap(), None);
    // What was stored there once, whole, is as good as it was: `Envelope` says so.
    stage.stored.put_raw("key", old);
    assert_eq!(stage.cache.get("key").await.unwrap(), Some("old".to_owned()));
}

#[tokio::test]
async fn a_reader_without_keys_says_so() {
    let stage = Stage::sealing();
    stage.cache.set("key", "text", Ttl::Default).await.unwrap();
    let compressing = stage.again(|it| it.compress_above(100));
    assert_eq!(compressing.cache.get::<String>("key").await.unwrap(), None);
    assert!(compressing.failures.take()[0].contains("it is sealed, and there are no keys to open it"));
    let plain = stage.without();
    assert_eq!(plain.cache.get::<String>("key").await.unwrap(), None);
    assert!(plain.failures.take()[0].contains("it is in an envelope, and nothing here opens it"));
}

#[tokio::test]
async fn a_response_cannot_be_seen_in_its_bytes() {
    let stage = Stage::new(|it| it.compress_above(200).keys(keys()));
    let layer = CacheLayer::new(&stage.cache).ttl(Duration::from_secs(60));
    let (app, runs) = app(layer, |_, _| {
        let builder = Response::builder().header("x-account", "account 4711").header("content-type", "text/x-secret");
        builder.body(Body::from("balance: 1234 ".repeat(50))).unwrap()
    });
    assert!(matches!(fetch(&app, "/account").await.0, CacheStatus::Miss { .. }));
    assert!(stage.cache.close().await);
    for key in stage.stored.keys() {
        let raw = stage.raw(&key);
        for part in ["4711", "x-account", "x-secret", "balance", "1234"] {
            assert!(!contains(&raw, part.as_bytes()), "{part} in the bytes of {key}");
        }
    }
    let (status, body) = fetch(&app, "/account").await;
    assert_eq!((status, body), (CacheStatus::Hit, "balance: 1234 ".repeat(50)));
    assert_eq!(runs.count(), 1);

    // A page that somebody plants is not served, and not kept.
    stage.without().cache.clear().await.unwrap();
    stage.stored.put_raw("view//account", Value::from_bytes("planted").to_bytes().unwrap());
    assert!(matches!(fetch(&app, "/account").await.0, CacheStatus::Miss { .. }));
    assert!(stage.cache.close().await);
    assert_eq!(fetch(&app, "/account").await.0, CacheStatus::Hit);
}

#[tokio::test]
async fn stamps_stay_as_they_are_so_that_tags_are_purged() {
    let stage = Stage::over(
        crate::bytewise::Bytewise::shared(axum_caching::testing::ManualClock::new().clock()),
        axum_caching::testing::ManualClock::new(),
        |it| it.compress_above(0).keys(keys()),
    );
    let pages: Memoizer<String> = stage.cache.memoizer("pages");
    let page = async |text: &'static str| pages.at(&7).tags(["shop"]).call(async move || text.to_owned()).await;
    assert_eq!(page("old").await, "old");
    assert_eq!(page("new").await, "old");
    let stamps: Vec<_> = stage.stored.keys().into_iter().filter(|key| key.contains("@t/")).collect();
    assert!(!stamps.is_empty());
    for key in &stamps {
        assert!([8, 16].contains(&stage.raw(key).len()), "{key}");
    }
    stage.cache.purge_tag("shop").await.unwrap();
    assert_eq!(page("new").await, "new");
    assert_eq!(stage.failures.take(), [""; 0]);
}
