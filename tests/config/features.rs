//! What is said if a feature is missing.

use axum_caching::{Cache, CacheConfig, ErrorKind};

#[test]
fn a_backend_that_is_not_compiled_in_names_its_feature() {
    let all = [
        (cfg!(feature = "memory"), "memory://", "memory:// needs the feature `memory`"),
        (
            cfg!(all(feature = "file", unix)),
            "file:///tmp/axum-caching-none",
            "file:// needs the feature `file`, and Unix",
        ),
        (cfg!(feature = "memcached"), "memcached://h", "memcached:// needs the feature `memcached`"),
        (cfg!(feature = "redis"), "redis://h", "redis:// needs the feature `redis`"),
        (cfg!(feature = "redis"), "redis+unix:///s", "redis+unix:// needs the feature `redis`"),
        (cfg!(feature = "redis"), "redis+sentinel://h/m", "redis+sentinel:// needs the feature `redis`"),
        (cfg!(feature = "redis"), "redis+cluster://h", "redis+cluster:// needs the feature `redis`"),
        (cfg!(feature = "redis-tls"), "rediss://h", "rediss:// needs the feature `redis-tls`"),
        (cfg!(feature = "redis-tls"), "rediss+sentinel://h/m", "rediss+sentinel:// needs the feature `redis-tls`"),
        (cfg!(feature = "redis-tls"), "rediss+cluster://h", "rediss+cluster:// needs the feature `redis-tls`"),
        (
            cfg!(all(feature = "redis", feature = "zstd")),
            "redis://h?compress_above=1KiB",
            if cfg!(feature = "zstd") {
                "redis:// needs the feature `redis`"
            } else {
                "`compress_above` needs the feature `zstd`"
            },
        ),
        (cfg!(feature = "json"), "null://?serializer=json", "`serializer` needs the feature `json`"),
    ];
    for (is_there, url, expected) in all {
        match CacheConfig::new(url) {
            Ok(_) => assert!(is_there, "{url}"),
            Err(error) => {
                assert!(!is_there, "{url}: {error}");
                assert_eq!(error.kind(), ErrorKind::Config);
                assert_eq!(error.to_string(), format!("wrong configuration: {expected}"));
            }
        }
    }
}

#[test]
fn keys_need_the_feature_that_encrypts() {
    let key = "07".repeat(32);
    let config = CacheConfig::from_vars([("CACHE_URL", "redis://h"), ("CACHE_ENCRYPTION_KEYS", &key)]);
    match config {
        Ok(_) => assert_eq!((cfg!(feature = "redis"), cfg!(feature = "encryption")), (true, true)),
        Err(error) if cfg!(feature = "encryption") => assert!(error.to_string().contains("redis:// needs the feature")),
        Err(error) => {
            let expected = "wrong configuration: `CACHE_ENCRYPTION_KEYS` needs the feature `encryption`";
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[test]
fn a_cache_that_keeps_nothing_needs_no_feature() {
    let cache = Cache::connect("null://?ttl=7&key_prefix=a%3A").unwrap();
    assert_eq!(cache.ttl(), std::time::Duration::from_secs(7).into());
}
