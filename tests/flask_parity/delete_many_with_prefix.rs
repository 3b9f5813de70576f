//! `delete_many_with_prefix.py` of cachelib.

use axum_caching::{Cache, Ttl};

use crate::bytewise::Bytewise;

/// The answer is how many were there, and the prefix is that of the cache.
#[tokio::test]
async fn test_delete_many_with_prefix() {
    let backend = Bytewise::new(axum_caching::Clock::system());
    let cache = Cache::builder(backend.clone()).key_prefix("test_prefix:").build();
    cache.set_many([("foo", 1), ("bar", 2), ("baz", 3)], Ttl::Default).await.unwrap();
    assert!(backend.keys().iter().all(|key| key.starts_with("test_prefix:")));

    assert_eq!(cache.delete_many(["foo", "bar", "baz"]).await.unwrap(), 3);

    assert_eq!(cache.get_many::<u8>(["foo", "bar", "baz"]).await.unwrap(), [None, None, None]);
    assert!(backend.keys().is_empty());
}
