//! `test_redis_cache.py`: whether a server has to be there.
//!
//! There is no `check_connection`: a backend connects when it is first asked, so asking is the check.

use axum_caching::{Backend, Cache, ErrorKind, RedisBackend, Ttl, Value};

use crate::support::redis::{Server, free_port};

#[tokio::test]
async fn test_unreachable_server_raises_when_enabled() {
    let cache = Cache::new(RedisBackend::new(format!("127.0.0.1:{}", free_port())).unwrap());
    assert_eq!(cache.has("check").await.unwrap_err().kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn test_unreachable_server_is_lazy_by_default() {
    let backend = RedisBackend::new(format!("127.0.0.1:{}", free_port())).unwrap();
    assert_eq!(backend.set("foo", Value::from_bytes("bar"), None).await.unwrap_err().kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn test_reachable_server_constructs_and_works() {
    let server = Server::start();
    let cache = Cache::new(RedisBackend::new(server.url()).unwrap());
    assert!(!cache.has("foo").await.unwrap());
    cache.set("foo", "bar", Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<String>("foo").await.unwrap().as_deref(), Some("bar"));
}
