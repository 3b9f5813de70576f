//! `test_hash_method.py`: which hash stands for a query, or for long arguments.

use std::fmt::Write;

use axum_caching::CacheLayer;
use digest::Digest;

use crate::{fixture::*, support::cache};

/// The key of a query, made anew: its parameters as they are on the wire, sorted by name.
fn query_string_key<D: Digest>(prefix: &str, sorted: &str) -> String {
    let mut key = format!("{prefix}?");
    for byte in D::digest(sorted.as_bytes()) {
        write!(key, "{byte:02x}").expect("a text takes everything");
    }
    key
}

fn layer() -> CacheLayer {
    CacheLayer::new(&cache().0)
}

/// It is MD5, since what was hashed is compared on hits.
#[tokio::test]
async fn test_default_hash_method_is_sha256() {
    assert_eq!(layer().key_for("/works?b=2&a=1").unwrap(), query_string_key::<md5::Md5>("view//works", "a=1&b=2"));
}

#[tokio::test]
async fn test_query_string_key_includes_key_prefix() {
    let key = layer().key_prefix("custom/%s").key_for("/works?a=1").unwrap();
    assert_eq!(key, query_string_key::<md5::Md5>("custom//works", "a=1"));
}

/// What is the same for many views is a layer that they are all given.
#[tokio::test]
async fn test_cached_uses_configured_hash_method() {
    let configured = layer().hash_method::<sha2::Sha256>();
    for prefix in ["one/%s", "two/%s"] {
        let view = configured.clone().key_prefix(prefix);
        let expected = query_string_key::<sha2::Sha256>(&prefix.replace("%s", "/works"), "a=1&b=2");
        assert_eq!(view.key_for("/works?a=1&b=2").unwrap(), expected);
    }
}

/// What one view says of itself does not change the layer that it began with.
#[tokio::test]
async fn test_decorator_argument_overrides_configured_hash_method() {
    let configured = layer().hash_method::<sha2::Sha256>();
    let own = configured.clone().hash_method::<sha2::Sha512>();
    let key = |layer: &CacheLayer| layer.key_for("/works?a=1&b=2").unwrap();
    assert_eq!(key(&own), query_string_key::<sha2::Sha512>("view//works", "a=1&b=2"));
    assert_eq!(key(&configured), query_string_key::<sha2::Sha256>("view//works", "a=1&b=2"));
}

/// The arguments are long, since only long ones are hashed.
#[tokio::test]
async fn test_delete_memoized_matches_configured_hash_method() {
    for (cache, _) in caches() {
        let add = Foo::new(cache.memoizer("add").ttl(seconds(50)).hash_method::<sha2::Sha256>());
        let long = "1".repeat(1_000);
        let (result, other) = (add.call((&long, 2)).await, add.call((&long, 3)).await);
        assert_eq!(add.call((&long, 2)).await, result);

        assert!(add.memo.delete_memoized_for(&(&long, 2)).await.unwrap());

        assert_ne!(add.call((&long, 2)).await, result);
        assert_eq!(add.call((&long, 3)).await, other);
    }
}

/// The keys of short arguments are their text, whatever the hash.
#[tokio::test]
async fn test_configured_hash_method_changes_memoize_key() {
    let (cache, _) = cache();
    let md5 = cache.memoizer::<u32>("add").hash_method::<md5::Md5>();
    let sha512 = cache.memoizer::<u32>("add").hash_method::<sha2::Sha512>();
    let long = "1".repeat(1_000);
    assert_ne!(md5.make_cache_key(&(&long, 2)).unwrap(), sha512.make_cache_key(&(&long, 2)).unwrap());
    assert_eq!(
        md5.make_cache_key(&(&long, 2)).unwrap(),
        cache.memoizer::<u32>("add").make_cache_key(&(&long, 2)).unwrap()
    );
    assert_eq!(md5.make_cache_key(&(1, 2)).unwrap(), "memo/add(1,2)");
    assert_eq!(sha512.make_cache_key(&(1, 2)).unwrap(), "memo/add(1,2)");
}

/// It is SHA-256, and no setting.
#[cfg(all(feature = "file", unix))]
#[tokio::test]
async fn test_file_hash_method_is_independent() {
    let folder = tempfile::tempdir().unwrap();
    let backend = axum_caching::FileBackend::new(folder.path()).unwrap();
    let cache = axum_caching::Cache::new(backend.clone());
    let layers = [CacheLayer::new(&cache), CacheLayer::new(&cache).hash_method::<sha2::Sha512>()];
    for layer in layers {
        cache.set(&layer.key_for("/works").unwrap(), &1, axum_caching::Ttl::Default).await.unwrap();
        assert_eq!(crate::files::entries(&backend).len(), 1);
    }
}
