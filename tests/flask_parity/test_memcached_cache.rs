//! `test_memcached_cache.py` of cachelib: memcached servers.

use std::time::Duration;

use axum_caching::{Cache, ErrorKind, MemcachedBackend, Ttl};
use tokio::task::JoinSet;

use crate::support::memcached::Memcached;

fn patient(backend: MemcachedBackend) -> Cache {
    Cache::builder(backend).backend_timeout(Duration::from_secs(10)).build()
}

/// They come back as what they were, and not as 1 and 0.
#[tokio::test]
async fn test_bool_roundtrip() {
    let server = Memcached::on_socket(&[]);
    let cache = patient(server.backend());
    cache.set("true-key", &true, Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<bool>("true-key").await.unwrap(), Some(true));
    cache.set("false-key", &false, Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<bool>("false-key").await.unwrap(), Some(false));
}

/// Two connections are never more than two. Nobody waits for one that is in use: callers share them.
#[tokio::test]
async fn test_pool_enforces_capacity_and_blocking_waits_for_release() {
    let server = Memcached::on_socket(&[]);
    let before = server.stat("total_connections");
    let cache = patient(server.builder().connections(2).build().unwrap());
    let mut callers = JoinSet::new();
    for number in 0..100 {
        let cache = cache.clone();
        callers.spawn(async move { cache.set(&format!("{number}"), &number, Ttl::Default).await.unwrap() });
    }
    callers.join_all().await;
    assert_eq!(server.stat("total_connections") - before, 2 + 1, "and that of who asks");
    assert_eq!(cache.get::<i32>("99").await.unwrap(), Some(99));
}

/// There is no switch for it: who wants to know at once makes a call.
#[tokio::test]
async fn test_unreachable_server_raises_when_enabled() {
    let cache = patient(MemcachedBackend::new(["127.0.0.1:1"]).unwrap());
    assert_eq!(cache.has("anything").await.unwrap_err().kind(), ErrorKind::Connect);
}

#[test]
fn test_unreachable_server_is_lazy_by_default() {
    assert!(MemcachedBackend::new(["127.0.0.1:1"]).is_ok());
}

#[tokio::test]
async fn test_reachable_server_constructs_and_works() {
    let server = Memcached::on_socket(&[]);
    let cache = patient(server.backend());
    cache.set("k", "v", Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("v"));
}
