//! `clear.py` of cachelib.

use axum_caching::Ttl;

use crate::fixture::*;

/// It empties this cache and its scopes.
#[tokio::test]
async fn test_clear() {
    for (cache, _) in caches() {
        let scope = cache.scoped("scope");
        for cache in [&cache, &scope] {
            cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
        }
        cache.clear().await.unwrap();
        for cache in [&cache, &scope] {
            assert!(cache.get_many::<Any>(sample_keys()).await.unwrap().iter().all(Option::is_none));
        }
    }
}
