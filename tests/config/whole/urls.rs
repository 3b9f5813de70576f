//! Each scheme and each parameter. What the parameters of a backend do to its builder is tested beside them.

use std::time::Duration;

use axum_caching::{Cache, CacheConfig, ErrorKind, Profile, Ttl, Value};

const SECOND: Duration = Duration::from_secs(1);

/// What the backend of a URL says that it is.
fn backend(url: &str) -> String {
    format!("{:?}", CacheConfig::new(url).expect(url).backend().expect(url))
}

#[tokio::test]
async fn memory_has_the_bounds_of_its_url() {
    assert!(backend("memory://?max_bytes=64MiB&max_entries=10000").contains("max_bytes: 67108864"));
    let cache = Cache::connect("memory://?max_bytes=1KiB&max_entries=1").unwrap();
    let error = cache.set("k", &"x".repeat(2_000), Ttl::Default).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn null_keeps_nothing() {
    let cache = Cache::connect("null://").unwrap();
    cache.set("k", &1, Ttl::Default).await.unwrap();
    assert!(!cache.has("k").await.unwrap());
}

#[tokio::test]
async fn files_are_in_the_directory_of_the_url_and_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b").display().to_string().replace(' ', "%20");
    let url = format!("file://{path}?max_bytes=1MiB&max_entries=10&sync=true");
    Cache::connect(&url).unwrap().set("k", &42, Ttl::Default).await.unwrap();
    assert_eq!(Cache::connect(&url).unwrap().get::<i32>("k").await.unwrap(), Some(42));
    assert!(folder.path().join("a b/axum-caching").is_dir());
    assert!(backend(&url).contains("max_bytes: 1048576"));
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_when_it_is_built() {
    let config = CacheConfig::new("file:///proc/none/cache").unwrap();
    assert!(config.build().unwrap_err().to_string().contains("/proc/none/cache"));
}

#[test]
fn redis_is_one_server_a_socket_sentinels_or_a_cluster() {
    for (url, expected) in [
        ("redis://h", r#"server: "redis://h:6379/0", replicas: 0"#),
        ("REDIS://h", r#"server: "redis://h:6379/0", replicas: 0"#),
        ("redis://u:p@h:1/2", r#"server: "redis://h:1/2", replicas: 0"#),
        ("redis://h/?db=3", r#"server: "redis://h:6379/3", replicas: 0"#),
        ("redis://h/3?database=3", r#"server: "redis://h:6379/3", replicas: 0"#),
        ("redis://[::1]:7", r#"server: "redis://::1:7/0", replicas: 0"#),
        ("redis://h?replicas=a,b:2", r#"server: "redis://h:6379/0", replicas: 2"#),
        ("valkey://h", r#"server: "redis://h:6379/0", replicas: 0"#),
        ("rediss://h", r#"server: "rediss://h:6379/0", replicas: 0"#),
        ("valkeys://h", r#"server: "rediss://h:6379/0", replicas: 0"#),
        ("redis+unix:///run/r.sock?db=4", r#"server: "unix:///run/r.sock/4", replicas: 0"#),
        ("redis+unix:///a%20b/%23%3F%25.sock", r#"server: "unix:///a b/#?%.sock/0", replicas: 0"#),
        ("unix://:p@/run/r.sock", r#"server: "unix:///run/r.sock/0", replicas: 0"#),
        ("redis+sentinel://a,b:1/shop", r#"server: "shop of 2 sentinels", replicas: 0"#),
        ("redis+sentinel://a/shop/5?read_from_replicas=true", r#"server: "shop of 1 sentinels", replicas: 1"#),
        ("redis+sentinel://a/m?sentinel_username=x&sentinel_password=y", r#"server: "m of 1 sentinels", replicas: 0"#),
        ("rediss+sentinel://a/m?sentinel_tls=true", r#"server: "m of 1 sentinels", replicas: 0"#),
        ("redis+cluster://u:p@a:1,b:2,c:3", r#"server: "cluster of 3 seeds", replicas: 0"#),
        ("redis+cluster://a?read_from_replicas=on", r#"server: "cluster of 1 seeds", replicas: 1"#),
        ("rediss+cluster://a", r#"server: "cluster of 1 seeds", replicas: 0"#),
    ] {
        let backend = backend(url);
        assert!(backend.contains(expected), "{url}: {backend}");
    }
}

#[test]
fn nodes_hear_of_each_other_as_the_first_of_two_tiers_says() {
    for (url, expected) in [
        ("memory:// + redis://h", r#"backplane: Some(RedisBackplane("axum-caching:tiers"))"#),
        ("memory://?backplane=pubsub + redis+cluster://h", r#"backplane: Some(RedisBackplane("axum-caching:tiers"))"#),
        ("memory://?backplane=tracking + redis://h", r#"backplane: Some(RedisTracking(""))"#),
        ("memory://?backplane=tracking:a:b + redis+sentinel://h/m", r#"backplane: Some(RedisTracking("a:b"))"#),
        ("memory://?backplane=none + redis://h", "backplane: None"),
        ("memory://?backplane=none + memcached://h", "backplane: None"),
        ("memory:// + memcached://h", "backplane: None"),
    ] {
        let backend = backend(url);
        assert!(backend.contains(expected), "{url}: {backend}");
    }
}

#[tokio::test]
async fn what_redis_is_told_without_a_server_holds() {
    let key = |url: &str| CacheConfig::new(url).unwrap().backend().unwrap();
    let small = key("redis://127.0.0.1:1?max_value_bytes=1kB");
    let error = small.set("k", Value::from_bytes(vec![0; 1_001]), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(key("redis://127.0.0.1:1").compares());
    assert!(!key("redis://127.0.0.1:1?scripts=false").compares());
}

#[test]
fn memcached_has_its_servers() {
    for (url, expected) in [
        ("memcached://a", r#"["a:11211"]"#),
        ("memcached://u:p@a,b:1?weights=1,2", r#"["a:11211", "b:1"]"#),
        ("memcached:///run/m.sock", r#"["/run/m.sock"]"#),
    ] {
        assert!(backend(url).contains(expected), "{url}: {}", backend(url));
    }
}

#[test]
fn each_setting_of_a_cache_is_its_method() {
    let of = || Cache::builder(axum_caching::NullBackend::default());
    let breaker = axum_caching::Breaker::default;
    let profile = Profile::new;
    let all = [
        ("ttl=90", of().ttl(90 * SECOND)),
        ("ttl=1.5", of().ttl(3 * SECOND / 2)),
        ("ttl=250ms", of().ttl(SECOND / 4)),
        ("ttl=0", of().ttl(Duration::ZERO)),
        ("ttl=forever", of().ttl(Ttl::Forever)),
        ("ttl=never", of().ttl(Ttl::DontStore)),
        ("default_timeout=2h", of().ttl(7_200 * SECOND)),
        ("default_timeout=forever", of().ttl(Ttl::Forever)),
        ("ttl=60&default_timeout=60", of().ttl(60 * SECOND)),
        ("key_prefix=a%3A+b%20c", of().key_prefix("a:+b c")),
        ("name=pages", of().name("pages")),
        ("serializer=postcard", of()),
        ("serializer=json", of().codec(axum_caching::codec::Json::default())),
        ("max_wait=3", of().max_wait(3 * SECOND)),
        ("max_wait=0", of().max_wait(Duration::ZERO)),
        ("distributed_single_flight=2s", of().distributed_single_flight(2 * SECOND)),
        ("fill_timeout=5m", of().fill_timeout(300 * SECOND)),
        ("max_refreshes=0", of().max_refreshes(0)),
        ("max_refreshes=7", of().max_refreshes(7)),
        ("backend_timeout=200ms", of().backend_timeout(SECOND / 5)),
        ("backend_timeout=forever", of().backend_timeout(Duration::MAX)),
        ("breaker_failures=3&breaker_open_for=1m", of().breaker(breaker().failures(3).open_for(60 * SECOND))),
        ("breaker_failures=off", of().breaker(axum_caching::Breaker::off())),
        ("stale_while_revalidate=1s", of().profile(profile().stale_while_revalidate(SECOND))),
        ("stale_if_error=1d", of().profile(profile().stale_if_error(86_400 * SECOND))),
        ("keep=1s", of().profile(profile().keep(SECOND))),
        ("failure_backoff=1s", of().profile(profile().failure_backoff(SECOND))),
        ("soft_timeout=1s", of().profile(profile().soft_timeout(SECOND))),
        ("hard_timeout=1s", of().profile(profile().hard_timeout(SECOND))),
        ("refresh_ahead=0.8", of().profile(profile().refresh_ahead(0.8))),
        ("early_expiration=1", of().profile(profile().early_expiration(1.0))),
        ("jitter=0.1", of().profile(profile().jitter(0.1))),
        ("", of()),
        ("&", of()),
    ];
    for (query, expected) in all {
        let builder = CacheConfig::new(format!("null://?{query}")).expect(query).builder().unwrap();
        assert_eq!(format!("{builder:?}"), format!("{expected:?}"), "{query}");
    }
}

#[test]
fn what_code_says_after_a_configuration_holds() {
    let builder = CacheConfig::new("null://?ttl=60").unwrap().builder().unwrap();
    assert_eq!(builder.ttl(SECOND).build().ttl(), SECOND.into());
}

#[tokio::test]
async fn no_length_of_time_is_too_long() {
    let most = ["18446744073709551615", "18446744073709551615ms", "1.8e19"];
    let keys = [
        "ttl",
        "stale_while_revalidate",
        "stale_if_error",
        "keep",
        "failure_backoff",
        "soft_timeout",
        "hard_timeout",
        "max_wait",
        "fill_timeout",
        "backend_timeout",
        "breaker_open_for",
    ];
    let folder = tempfile::tempdir().unwrap();
    for long in most {
        let all: Vec<_> = keys.iter().map(|key| format!("{key}={long}")).collect();
        let all = format!("{}&breaker_failures=1&refresh_ahead=0.9&jitter=0.9&early_expiration=1", all.join("&"));
        let file = format!("file://{}?{all}", folder.path().display());
        for url in [format!("memory://?{all}"), format!("null://?{all}"), file] {
            let cache = Cache::connect(&url).expect(&url);
            let profile = Profile::ttl(SECOND);
            let fails = async || Err::<i32, _>(std::io::Error::other("away"));
            for _ in 0..2 {
                assert_eq!(cache.get_or_compute("key", Ttl::Default, async || 42).await, 42, "{url}");
                let failed = cache.try_get_or_compute("failing", profile, fails).await;
                assert!(failed.is_err(), "{url}");
            }
        }
    }
    for key in keys {
        let url = format!("null://?{key}=18446744073709551615d");
        assert!(CacheConfig::new(&url).is_err(), "{url}: more than a number of seconds can say");
    }
}
