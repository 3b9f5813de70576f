//! Configurations in files.

use std::time::Duration;

use axum_caching::{CacheConfig, ErrorKind, Profile};
use serde::Deserialize;
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

fn read(value: serde_json::Value) -> Result<CacheConfig, serde_json::Error> {
    serde_json::from_value(value)
}

#[derive(Deserialize)]
struct Application {
    port: u16,
    cache: CacheConfig,
}

#[tokio::test]
async fn a_file_has_a_cache_among_its_settings() {
    let application: Application = toml::from_str(
        r#"
        port = 3000

        [cache]
        url = "memory://"
        max_bytes = "1MiB"
        max_entries = 100
        ttl = 90
        jitter = 0.1
        key_prefix = "shop:"

        [cache.profiles.hours]
        ttl = "2h"
        stale_if_error = "1d"
        "#,
    )
    .unwrap();
    assert_eq!(application.port, 3000);
    let builder = application.cache.builder().unwrap();
    let shown = format!("{builder:?}");
    for expected in ["max_bytes: 1048576", r#"key_prefix: "shop:""#, "jitter: Some(0.1)"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    let cache = builder.build();
    assert_eq!(cache.ttl(), (90 * SECOND).into());
    assert_eq!(cache.profile("hours").unwrap(), Profile::ttl(7_200 * SECOND).stale_if_error(86_400 * SECOND));
}

#[test]
fn a_cache_is_a_url_a_list_of_them_or_a_map() {
    for value in [json!("null://"), json!(["null://"]), json!({ "url": "null://" }), json!({ "url": ["null://"] })] {
        let backend = read(value.clone()).unwrap().backend().unwrap();
        assert!(format!("{backend:?}").contains("NullBackend"), "{value}");
    }
    for value in [json!([]), json!({ "url": [] }), json!(""), json!([""])] {
        assert_eq!(read(value.clone()).unwrap().build().unwrap_err().kind(), ErrorKind::Config, "{value}");
    }
}

#[test]
fn a_parameter_beside_several_urls_is_for_the_one_that_has_it() {
    let said = |value| read(value).unwrap().build().unwrap_err().to_string();
    let tiers = ["memory://", "redis://h"];
    let both = read(json!({ "url": tiers, "max_entries": 5, "scripts": true, "lag": "2s" })).unwrap();
    assert!(format!("{:?}", both.backend().unwrap()).starts_with("TieredBackend"));
    assert!(said(json!({ "url": tiers, "sync": true })).contains("`sync` means nothing to any of the tiers"));
    let said = said(json!({ "url": ["redis://h", "memcached://h"], "username": "u" }));
    assert!(said.contains("`username` may be for several tiers: it belongs into the URL of one of them"), "{said}");
}

#[test]
fn a_secret_may_stand_beside_the_url() {
    let file = json!({ "url": "memcached://h", "username": "ada", "password": 1_234 });
    assert!(read(file).unwrap().build().is_ok());
    let file = json!({ "url": "memcached://ada:one@h", "password": "two" });
    let error = read(file).unwrap().build().unwrap_err();
    assert!(error.to_string().contains("`password` is there twice, with different values"), "{error}");
}

#[test]
fn numbers_texts_and_truth_are_what_a_url_has() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let file =
        json!({ "url": url, "sync": true, "max_entries": 5, "max_bytes": "1MiB", "ttl": 1.5, "max_refreshes": 0 });
    let builder = read(file).unwrap().builder().unwrap();
    assert_eq!(builder.build().ttl(), (3 * SECOND / 2).into());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_key() {
    for (value, expected) in [
        (json!({ "url": "null://", "tll": 1 }), "unknown field `tll`, expected one of `backend_timeout`"),
        (json!({ "ttl": 1 }), "missing field `url`"),
        (json!({ "url": 5 }), "invalid type: integer `5`, expected a URL, or a list of them"),
        (json!(5), "expected the URL of a cache, a list of them, or a map with one"),
        (
            json!({ "url": "null://", "ttl": [1] }),
            "`ttl`: invalid type: sequence, expected a text, a number, true or false",
        ),
        (json!({ "url": "null://", "profiles": { "a": { "tll": 1 } } }), r#"profile "a": unknown field `tll`"#),
        (json!({ "url": "null://", "profiles": 1 }), "expected a map from names to profiles"),
    ] {
        let Err(error) = read(value.clone()) else { panic!("{value}") };
        assert!(error.to_string().contains(expected), "{value}: {error}");
    }
    let error = serde_json::from_str::<CacheConfig>(r#"{ "url": "null://", "ttl": 1, "ttl": 1 }"#).unwrap_err();
    assert!(error.to_string().contains("duplicate field `ttl`"), "{error}");
}

#[test]
fn a_value_that_cannot_be_is_said_when_it_is_built() {
    for (value, expected) in [
        (json!({ "url": "null://", "ttl": -1 }), r#"`ttl` is "-1", expected seconds from 0"#),
        (json!({ "url": "null://", "max_bytes": "1MiB" }), "`max_bytes` means nothing to null://"),
        (json!({ "url": "null://?ttl=5", "ttl": 6 }), "`ttl` is there twice, with different values"),
        (json!({ "url": "null://?ttl=5", "default_timeout": 6 }), "contradict each other"),
    ] {
        let error = read(value.clone()).unwrap().build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(expected), "{value}: {error}");
    }
}
