//! The environment, beside the variables of Flask-Caching.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, time::Duration};

use axum_caching::{CacheConfig, ErrorKind};

const SECOND: Duration = Duration::from_secs(1);

fn error(vars: &[(&str, &str)]) -> String {
    let Err(error) = CacheConfig::from_vars(vars.iter().copied()) else { panic!("{vars:?} is a configuration") };
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

fn backend(vars: &[(&str, &str)]) -> String {
    let config = CacheConfig::from_vars(vars.iter().copied()).unwrap_or_else(|error| panic!("{vars:?}: {error}"));
    format!("{:?}", config.backend().unwrap())
}

#[test]
fn nothing_said_is_memory() {
    let nothing: [(&str, &str); 0] = [];
    let config = CacheConfig::from_vars(nothing).unwrap();
    assert!(format!("{:?}", config.backend().unwrap()).contains("MemoryBackend"));
    assert_eq!(config.build().unwrap().ttl(), (300 * SECOND).into());
}

#[test]
fn others_variables_are_left_alone_and_empty_ones_are_none() {
    let vars = [("PATH", "/bin"), ("XCACHE_URL", "x"), ("cache_url", "x"), ("CACHE_URL", ""), ("CACHE_WHATEVER", "")];
    assert!(backend(&vars).contains("MemoryBackend"));
}

#[test]
fn every_parameter_may_be_a_variable() {
    let vars = [
        ("CACHE_URL", "memcached://h"),
        ("CACHE_TTL", "90s"),
        ("CACHE_USERNAME", "ada"),
        ("CACHE_PASSWORD", "secret"),
        ("CACHE_LOGIN", "ascii"),
        ("CACHE_NAME", "pages"),
        ("CACHE_STALE_IF_ERROR", "1d"),
    ];
    let builder = CacheConfig::from_vars(vars).unwrap().builder().unwrap();
    let shown = format!("{builder:?}");
    assert!(shown.contains("pages") && shown.contains("stale_if_error: Some(86400s)"), "{shown}");
    assert_eq!(builder.build().ttl(), (90 * SECOND).into());
}

#[test]
fn a_variable_that_means_nothing_is_an_error() {
    for (vars, expected) in [
        (&[("CACHE_URI", "null://")][..], "`CACHE_URI` means nothing to this cache"),
        (&[("CACHE_URI", "null://")], "did you mean `CACHE_URL`?"),
        (&[("CACHE_TIPE", "x")], "did you mean `CACHE_TYPE`?"),
        (&[("CACHE_DEFAULT_TIMEOT", "5")], "did you mean `CACHE_DEFAULT_TIMEOUT`?"),
        (&[("CACHE_REDIS_HOTS", "h")], "did you mean `CACHE_REDIS_HOST`?"),
        (&[("CACHE_OF_SOMEBODY", "1")], "filters them: `CacheConfig::from_vars`"),
        (&[("CACHE_MAX_BYTES", "64M")], r#"`CACHE_MAX_BYTES` is "64M", expected bytes from 1"#),
        (&[("CACHE_SYNC", "true")], "`CACHE_SYNC` means nothing to memory://; expected one of `CACHE_MAX_BYTES`"),
        (&[("CACHE_URL", "null://?ttl=1"), ("CACHE_TTL", "2")], "`CACHE_TTL` and `ttl` contradict each other"),
        (&[("CACHE_TTL", "1"), ("CACHE_DEFAULT_TIMEOUT", "2")], "`CACHE_DEFAULT_TIMEOUT` and `CACHE_TTL` contradict"),
        (&[("CACHE_CACHE_TTL", "5")], "`CACHE_CACHE_TTL` means nothing to this cache"),
    ] {
        let said = error(vars);
        assert!(said.contains(expected), "{vars:?}\n  {said}\n  {expected}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_an_error_if_it_is_meant() {
    let no_text = || OsString::from_vec(vec![0xff]);
    let vars = [(OsString::from("PATH"), no_text()), (no_text(), OsString::from("x"))];
    assert!(CacheConfig::from_vars(vars).is_ok());
    let error = CacheConfig::from_vars([(OsString::from("CACHE_URL"), no_text())]).unwrap_err();
    assert_eq!(error.to_string(), "wrong configuration: `CACHE_URL` is no UTF-8 text");
}

#[test]
fn what_is_wrong_with_the_url_is_said_before_what_does_not_fit_it() {
    let kind = ("CACHE_TYPE", "RedisCache");
    for (vars, expected) in [
        (&[("CACHE_URL", "nul://")][..], "`CACHE_URL`: no backend is called \"nul\"; did you mean `null://`?"),
        (&[kind, ("CACHE_URL", "redis://h:port")], "`CACHE_URL`: redis://: host 1 is none"),
        (&[("CACHE_URL", "redis:/h"), ("CACHE_REDIS_DB", "1")], "`CACHE_URL`: not the URL of a backend"),
        (&[kind, ("CACHE_URL", "memory:// + redis://h#")], "`CACHE_URL`: redis://: there is a `#`"),
    ] {
        let said = error(vars);
        assert!(said.contains(expected), "{vars:?}\n  {said}\n  {expected}");
    }
}

#[test]
fn a_type_says_which_kind_of_redis_the_url_is_of() {
    for (kind, url, expected) in [
        ("RedisClusterCache", "redis://h", "redis+cluster:// or rediss+cluster://"),
        ("RedisClusterCache", "memory:// + rediss://h", "redis+cluster:// or rediss+cluster://"),
        ("RedisSentinelCache", "redis://h", "redis+sentinel:// or rediss+sentinel://"),
        ("RedisCache", "redis+cluster://h", "redis://, rediss:// or redis+unix://"),
        ("SimpleCache", "redis://h", "memory://"),
    ] {
        let said = error(&[("CACHE_TYPE", kind), ("CACHE_URL", url)]);
        let expected = format!("expected {expected} in `CACHE_URL`, or no `CACHE_TYPE`");
        assert!(said.contains("`CACHE_TYPE` and `CACHE_URL` contradict each other"), "{said}");
        assert!(said.contains(&expected), "{said}\n  {expected}");
    }
    for (kind, url, expected) in [
        ("RedisClusterCache", "redis+cluster://a,b", "cluster of 2 seeds"),
        ("RedisClusterCache", "rediss+cluster://a", "cluster of 1 seeds"),
        ("RedisSentinelCache", "redis+sentinel://a/m", "m of 1 sentinels"),
        ("RedisCache", "valkeys://h", "rediss://h:6379/0"),
        ("RedisCache", "unix:///r.sock", "unix:///r.sock/0"),
        ("RedisCache", "memory:// + redis://h", "TieredBackend"),
        ("SASLMemcachedCache", "memcached://u:p@h", "h:11211"),
    ] {
        let shown = backend(&[("CACHE_TYPE", kind), ("CACHE_URL", url)]);
        assert!(shown.contains(expected), "{kind} {url}: {shown}");
    }
}
