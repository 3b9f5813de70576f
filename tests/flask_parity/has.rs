//! `has.py` of cachelib.

use axum_caching::Ttl;

use crate::fixture::*;

#[tokio::test]
async fn test_has() {
    for (cache, _) in caches() {
        cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
        for key in sample_keys() {
            assert!(cache.has(key).await.unwrap(), "{key}");
        }
        assert!(!cache.has("unknown").await.unwrap());
    }
}
