//! `test_basic_app.py`: settings, and several applications.

use std::sync::Arc;

use axum_caching::{Backend, Cache, CacheConfig, CacheLayer, Clock, MemoryBackend, Ttl};
use serde_json::json;

use crate::{
    bytewise::{Bytewise, settle},
    fixture::*,
    support::{app, fetch},
};

/// There is one builder, and its settings hold.
#[tokio::test]
async fn test_dict_config() {
    let backend = Bytewise::new(Clock::system());
    let cache = Cache::builder(backend.clone()).ttl(seconds(7)).key_prefix("shop:").build();
    assert_eq!(cache.ttl(), seconds(7).into());
    cache.set("hi", "hello", Ttl::Default).await.unwrap();
    assert_eq!(backend.keys(), ["shop:hi"]);
}

/// A dictionary may be read with serde.
#[tokio::test]
async fn test_dict_config_initapp() {
    let config: CacheConfig = serde_json::from_value(json!({ "url": "memory://", "default_timeout": 7 })).unwrap();
    let cache = config.build().unwrap();
    assert_eq!(cache.ttl(), seconds(7).into());
    assert!(format!("{cache:?}").contains("MemoryBackend"), "{cache:?}");
}

/// What is said later, in code, holds; what is not said again stays.
#[tokio::test]
async fn test_dict_config_both() {
    let config = json!({ "url": "null://", "default_timeout": 7, "key_prefix": "shop:" });
    let config: CacheConfig = serde_json::from_value(config).unwrap();
    let cache = config.builder().unwrap().ttl(seconds(60)).build();
    assert_eq!(cache.ttl(), seconds(60).into());
    let shown = format!("{cache:?}");
    assert!(shown.contains("NullBackend") && shown.contains("shop:"), "{shown}");
}

/// An application is a router and a cache; two share a backend, each under a prefix.
#[tokio::test]
async fn test_init_app_multi_apps() {
    let backend = Bytewise::new(Clock::system());
    let apps = ["foo", "bar"].map(|prefix| {
        let cache = Cache::builder(backend.clone()).key_prefix(prefix).build();
        let (app, _) = app(CacheLayer::new(&cache), move |_, run| format!("{prefix} {run}"));
        (cache, app)
    });
    for _ in 0..2 {
        assert_eq!(fetch(&apps[0].1, "/").await.1, "foo 1");
        assert_eq!(fetch(&apps[1].1, "/").await.1, "bar 1");
        settle().await;
    }
    let keys = backend.keys();
    assert!(keys.iter().any(|key| key == "fooview//") && keys.iter().any(|key| key == "barview//"), "{keys:?}");

    apps[0].0.clear().await.unwrap();

    assert_eq!(fetch(&apps[0].1, "/").await.1, "foo 2");
    assert_eq!(fetch(&apps[1].1, "/").await.1, "bar 1");
}

/// A backend of one's own is given as it is, or behind a function that makes it.
#[tokio::test]
async fn test_app_custom_cache_backend() {
    fn new_simple(name: &str) -> Arc<dyn Backend> {
        match name {
            "bytes" => Arc::new(Bytewise::new(Clock::system())),
            _ => Arc::new(MemoryBackend::default()),
        }
    }

    for (name, expected) in [("bytes", "Bytewise"), ("", "MemoryBackend")] {
        let cache = Cache::new(new_simple(name));
        assert!(format!("{cache:?}").contains(expected), "{cache:?}");
        let (app, runs) = app(CacheLayer::new(&cache), |_, _| "hello");
        fetch(&app, "/").await;
        settle().await;
        fetch(&app, "/").await;
        assert_eq!(runs.count(), 1);
    }
}

/// Where an application's entries are, of the 16 databases of a server of its own.
#[cfg(all(feature = "redis", unix))]
async fn database_of(configure: impl Fn(&str) -> axum_caching::RedisBackendBuilder) -> String {
    let server = crate::support::redis::Server::start();
    let cache = Cache::new(configure(&server.url()).build().unwrap());
    cache.set("hi", "hello", Ttl::Default).await.unwrap();
    let keyspace: String = server.run("INFO keyspace");
    keyspace.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.starts_with("db"))).unwrap().0.into()
}

#[cfg(all(feature = "redis", unix))]
#[tokio::test]
async fn test_app_redis_cache_backend_url_default_db() {
    assert_eq!(database_of(|url| axum_caching::RedisBackend::builder(url)).await, "db0");
}

#[cfg(all(feature = "redis", unix))]
#[tokio::test]
async fn test_app_redis_cache_backend_url_custom_db() {
    assert_eq!(database_of(|url| axum_caching::RedisBackend::builder(format!("{url}/2"))).await, "db2");
}

#[cfg(all(feature = "redis", unix))]
#[tokio::test]
async fn test_app_redis_cache_backend_url_explicit_db_arg() {
    assert_eq!(database_of(|url| axum_caching::RedisBackend::builder(url).database(1)).await, "db1");
}
