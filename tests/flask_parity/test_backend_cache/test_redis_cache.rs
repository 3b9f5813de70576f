//! `TestRedisCache`.

use axum_caching::{Backend, Cache, RedisBackend};

use crate::support::redis::Server;

/// What another program wrote. Digits are an integer; other text is no value of the codec, so it is
/// absent to the cache, and the backend has it.
#[tokio::test]
async fn test_compat() {
    let server = Server::start();
    let backend = RedisBackend::new(server.url()).unwrap();
    let cache = Cache::new(backend.clone());
    server.run::<()>("SET foo Awesome");
    assert_eq!(cache.get::<String>("foo").await.unwrap(), None);
    assert_eq!(backend.get("foo").await.unwrap().unwrap().to_bytes().unwrap(), "Awesome");
    server.run::<()>("SET foo 42");
    assert_eq!(cache.get::<i32>("foo").await.unwrap(), Some(42));
}
