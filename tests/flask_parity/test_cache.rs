//! `test_cache.py`: the explicit calls, and functions whose result is kept under a key.

mod functions;
mod generators;

use axum_caching::{Cache, Ttl};

use crate::fixture::*;

async fn get(cache: &Cache, key: &str) -> Option<String> {
    cache.get(key).await.unwrap()
}

#[tokio::test]
async fn test_cache_set() {
    for (cache, _) in caches() {
        cache.set("hi", "hello", Ttl::Default).await.unwrap();
        assert_eq!(get(&cache, "hi").await.as_deref(), Some("hello"));
    }
}

#[tokio::test]
async fn test_cache_has() {
    for (cache, _) in caches() {
        assert!(!cache.has("hi").await.unwrap());
        cache.add("hi", "hello", Ttl::Default).await.unwrap();
        assert!(cache.has("hi").await.unwrap());
    }
}

#[tokio::test]
async fn test_cache_add() {
    for (cache, _) in caches() {
        cache.add("hi", "hello", Ttl::Default).await.unwrap();
        assert_eq!(get(&cache, "hi").await.as_deref(), Some("hello"));
        cache.add("hi", "foobar", Ttl::Default).await.unwrap();
        assert_eq!(get(&cache, "hi").await.as_deref(), Some("hello"));
    }
}

#[tokio::test]
async fn test_cache_delete() {
    for (cache, _) in caches() {
        cache.set("hi", "hello", Ttl::Default).await.unwrap();
        cache.delete("hi").await.unwrap();
        assert_eq!(get(&cache, "hi").await, None);
    }
}

/// "ho" was never set, and does not count.
#[tokio::test]
async fn test_cache_delete_many() {
    for (cache, _) in caches() {
        cache.set("hi", "hello", Ttl::Default).await.unwrap();
        assert_eq!(cache.delete_many(["ho", "hi"]).await.unwrap(), 1);
        assert_eq!(get(&cache, "hi").await, None);
    }
}

/// On a server that has `UNLINK`, which is then used.
#[cfg(all(feature = "redis", unix))]
#[tokio::test]
async fn test_cache_unlink() {
    let server = crate::support::redis::Server::start();
    let cache = Cache::new(axum_caching::RedisBackend::new(server.url()).unwrap());
    for keys in [&["biggerkey"][..], &["biggerkey1", "biggerkey2"]] {
        for key in keys {
            cache.set(key, &"test".repeat(100), Ttl::Default).await.unwrap();
        }
        server.forget_calls();
        assert_eq!(cache.unlink(keys.iter().copied()).await.unwrap(), keys.len());
        assert_eq!((server.calls("unlink"), server.calls("del")), (1, 0));
        assert_eq!(get(&cache, keys[0]).await, None);
    }
}

#[tokio::test]
async fn test_cache_unlink_if_not() {
    for (cache, _) in caches() {
        cache.set("biggerkey", &"test".repeat(100), Ttl::Default).await.unwrap();
        assert_eq!(cache.unlink(["biggerkey"]).await.unwrap(), 1);
        assert_eq!(get(&cache, "biggerkey").await, None);

        cache.set("biggerkey1", &"test".repeat(100), Ttl::Default).await.unwrap();
        cache.set("biggerkey2", &"test".repeat(100), Ttl::Default).await.unwrap();
        assert_eq!(cache.unlink(["biggerkey1", "biggerkey2"]).await.unwrap(), 2);
        assert_eq!((get(&cache, "biggerkey1").await, get(&cache, "biggerkey2").await), (None, None));
    }
}

/// There are no errors to ignore: a key that is absent stands in nobody's way, wherever it is named.
#[tokio::test]
async fn test_cache_delete_many_ignored() {
    for (cache, _) in caches() {
        cache.set_many([("hi", "hello"), ("hey", "you")], Ttl::Default).await.unwrap();
        assert_eq!(cache.delete_many(["ho", "hi", "ha", "hey", "hi"]).await.unwrap(), 2);
        assert_eq!((get(&cache, "hi").await, get(&cache, "hey").await), (None, None));
    }
}
