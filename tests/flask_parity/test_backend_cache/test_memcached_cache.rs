//! `TestMemcachedCache`: a server of its own for each.

use std::time::Duration;

use axum_caching::{Cache, Ttl, testing::ManualClock};

use crate::support::memcached::Memcached;

fn make_cache() -> (Cache, ManualClock, Memcached) {
    let (server, clock) = (Memcached::on_socket(&[]), ManualClock::new());
    let backend = server.builder().clock(clock.clock()).build().unwrap();
    let cache = Cache::builder(backend).clock(clock.clock()).key_prefix("werkzeug-test-case:");
    (cache.backend_timeout(Duration::from_secs(10)).build(), clock, server)
}

#[tokio::test]
async fn test_compat() {
    let (cache, _, _server) = make_cache();
    cache.set("foo", "bar", Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<String>("foo").await.unwrap().as_deref(), Some("bar"));
}

/// Beyond 30 days memcached takes a number for a time.
#[tokio::test]
async fn test_huge_timeouts() {
    let (cache, clock, _server) = make_cache();
    let month = Duration::from_secs(2_592_000);
    cache.set("foo", "bar", month + Duration::from_secs(100)).await.unwrap();
    assert_eq!(cache.get::<String>("foo").await.unwrap().as_deref(), Some("bar"));
    clock.advance(month);
    assert_eq!(cache.get::<String>("foo").await.unwrap().as_deref(), Some("bar"));
    clock.advance(Duration::from_secs(100));
    assert_eq!(cache.get::<String>("foo").await.unwrap(), None);
}

#[tokio::test]
async fn test_timeouts() {
    let (cache, clock, _server) = make_cache();
    cache.set("foo", "bar", Duration::from_secs(1)).await.unwrap();
    assert_eq!(cache.get::<String>("foo").await.unwrap().as_deref(), Some("bar"));
    clock.advance(Duration::from_secs(1));
    assert!(!cache.has("foo").await.unwrap());
}
