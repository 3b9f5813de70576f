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
        (&[("CACHE_URL", "nul://")], "did you mean `null://`?"),
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
