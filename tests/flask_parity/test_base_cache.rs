//! `test_base_cache.py` of cachelib: a cache that keeps nothing, which is `NullBackend` here.

use std::{collections::HashMap, time::Duration};

use axum_caching::{Cache, ErrorKind, NullBackend, Ttl};

use crate::{bytewise, fixture::*};

const KEYS: [&str; 3] = ["bacon", "spam", "eggs"];

fn cache() -> Cache {
    Cache::new(NullBackend::default())
}

#[tokio::test]
async fn test_get() {
    let cache = cache();
    cache.set("bacon", "spam", Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<String>("bacon").await.unwrap(), None);
}

/// It was not there.
#[tokio::test]
async fn test_delete() {
    let cache = cache();
    cache.set("eggs", "spam", Ttl::Default).await.unwrap();
    assert!(!cache.delete("eggs").await.unwrap());
}

#[tokio::test]
async fn test_get_many() {
    let cache = cache();
    cache.set_many(KEYS.map(|key| (key, 1)), Ttl::Default).await.unwrap();
    assert_eq!(cache.get_many::<u8>(KEYS).await.unwrap(), [None; 3]);
}

#[tokio::test]
async fn test_get_dict() {
    let cache = cache();
    cache.set_many(KEYS.map(|key| (key, 1)), Ttl::Default).await.unwrap();
    assert_eq!(cache.get_dict::<u8>(KEYS).await.unwrap(), HashMap::from(KEYS.map(|key| (key.to_owned(), None))));
}

/// Nothing fails, and nothing is kept.
#[tokio::test]
async fn test_set() {
    let cache = cache();
    cache.set("sausage", "tomato", Ttl::Forever).await.unwrap();
    assert!(!cache.has("sausage").await.unwrap());
}

#[tokio::test]
async fn test_add() {
    let cache = cache();
    for _ in 0..2 {
        assert!(cache.add("baked", "beans", Ttl::Default).await.unwrap());
    }
    assert!(!cache.add("baked", "beans", Ttl::DontStore).await.unwrap());
}

/// The answer is nothing.
#[tokio::test]
async fn test_set_many() {
    let cache = cache();
    cache.set_many(KEYS.map(|key| (key, None::<u8>)), Ttl::Default).await.unwrap();
    assert!(!cache.has(KEYS[0]).await.unwrap());
}

/// None of them were there.
#[tokio::test]
async fn test_delete_many() {
    let cache = cache();
    cache.set_many(KEYS.map(|key| (key, 1)), Ttl::Default).await.unwrap();
    assert_eq!(cache.delete_many(KEYS).await.unwrap(), 0);
}

/// An error is what the backend says is one, and there is no switch for it.
#[tokio::test]
async fn test_delete_many_raise_errors() {
    let (cache, backend, _) = bytewise::bytewise();
    cache.set_many(KEYS.map(|key| (key, 1)), Ttl::Default).await.unwrap();
    backend.die(true);
    assert_eq!(cache.delete_many(KEYS).await.unwrap_err().kind(), ErrorKind::Connect);
    backend.die(false);
    assert_eq!(cache.delete_many(KEYS).await.unwrap(), 3);
}

#[tokio::test]
async fn test_clear() {
    let cache = cache();
    cache.clear().await.unwrap();
    assert_eq!(cache.get_or_compute("key", Ttl::Default, async || 1).await, 1);
    cache.clear().await.unwrap();
    assert_eq!(cache.get_or_compute("key", Ttl::Default, async || 2).await, 2);
}

#[tokio::test]
async fn test_inc() {
    let cache = cache();
    for _ in 0..2 {
        assert_eq!(cache.increment("crevettes", 10).await.unwrap(), 10);
    }
}

#[tokio::test]
async fn test_dec() {
    let cache = cache();
    for _ in 0..2 {
        assert_eq!(cache.decrement("truffle", 10).await.unwrap(), -10);
    }
}

/// 0 is `Ttl::Forever`; a lifetime is exact to the millisecond, and is not rounded to seconds.
#[tokio::test]
async fn test_normalize_timeout() {
    let millis = |millis| Ttl::For(Duration::from_millis(millis));
    let for_ever = None;
    let cases = [
        (millis(42_000), Ttl::Default, Some(42_000)),
        (millis(300_000), Ttl::Forever, for_ever),
        (millis(300_000), millis(60_000), Some(60_000)),
        (Ttl::Forever, Ttl::Default, for_ever),
        (millis(300_000), Duration::from_secs(60).into(), Some(60_000)),
        (millis(300_000), Duration::from_secs(120).into(), Some(120_000)),
        (millis(300_000), Duration::from_secs(86_400).into(), Some(86_400_000)),
        (millis(300_000), Duration::from_millis(500).into(), Some(500)),
        (millis(300_000), Duration::from_micros(1_200_300).into(), Some(1_201)),
        (Duration::from_secs(60).into(), Ttl::Default, Some(60_000)),
        (Duration::from_secs(60).into(), millis(30_000), Some(30_000)),
    ];
    for (default, ttl, expected) in cases {
        let clock = axum_caching::testing::ManualClock::new();
        let backend = bytewise::Bytewise::new(clock.clock());
        let cache = Cache::builder(backend).clock(clock.clock()).ttl(default).build();
        cache.set("key", &1, ttl).await.unwrap();
        clock.advance(Duration::from_millis(expected.unwrap_or(u64::from(u32::MAX)) - 1));
        assert!(cache.has("key").await.unwrap(), "{default:?}, {ttl:?}");
        clock.advance(Duration::from_millis(1));
        assert_eq!(cache.has("key").await.unwrap(), expected.is_none(), "{default:?}, {ttl:?}");
    }
    let (cache, _) = caches().into_iter().next().unwrap();
    cache.set("key", &1, Duration::ZERO).await.unwrap();
    assert!(!cache.has("key").await.unwrap(), "zero is not for ever");
    assert_eq!(cache.ttl(), seconds(300).into());
}
