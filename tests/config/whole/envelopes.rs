//! Compression and encryption, as configurations say them.

use axum_caching::{Cache, CacheConfig, ErrorKind, KeyRing, Ttl};

use crate::support::redis::Server;

const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const OTHER: &str = "0808080808080808080808080808080808080808080808080808080808080808";

/// What the builder of a cache shows of its backend.
fn shown(config: &CacheConfig) -> String {
    format!("{:?}", config.builder().unwrap())
}

fn keys() -> String {
    format!("{:?}", KeyRing::new([7; 32]).also_read([8; 32]))
}

#[test]
fn the_envelope_is_around_what_processes_share() {
    for url in ["file:///tmp/axum-caching-config-none", "memcached://h", "redis://h", "redis+cluster://h"] {
        let config = CacheConfig::new(format!("{url}?compress_above=1KiB&compression_level=5")).unwrap();
        let shown = shown(&config);
        assert!(shown.contains("Envelope { backend: "), "{shown}");
        assert!(shown.contains("compress_above: 1024, compression_level: 5"), "{shown}");
    }
    drop(std::fs::remove_dir_all("/tmp/axum-caching-config-none"));
    for url in ["memory://?lag=1s + redis://h?compress_above=2KiB", "memory:// + memcached://h?compress_above=2KiB"] {
        let shown = shown(&CacheConfig::new(url).unwrap());
        assert!(shown.contains("TieredBackend { kept: Envelope { backend: "), "{shown}");
        assert!(shown.contains("compress_above: 2048"), "{shown}");
    }
    let shown = shown(&CacheConfig::new("memory:// + redis://h?compress_above=2KiB").unwrap());
    assert!(shown.contains("RedisBackplane"), "{shown}");
}

#[test]
fn keys_stand_beside_the_url() {
    let both = format!("{KEY},{OTHER}");
    let vars =
        [("CACHE_URL", "memory:// + redis://h"), ("CACHE_ENCRYPTION_KEYS", &*both), ("CACHE_COMPRESS_ABOVE", "4KiB")];
    let of_vars = CacheConfig::from_vars(vars).unwrap();
    let json = serde_json::json!({ "url": "redis://h", "encryption_keys": [KEY, OTHER], "compress_above": "4KiB" });
    let of_list: CacheConfig = serde_json::from_value(json).unwrap();
    let of_text: CacheConfig =
        toml::from_str(&format!("url = 'redis://h'\nencryption_keys = '{both}'\ncompress_above = 4096")).unwrap();
    for config in [of_vars, of_list, of_text] {
        let shown = shown(&config);
        assert!(shown.contains("compress_above: 4096") && shown.contains(&keys()), "{shown}");
        let shown = format!("{shown} {config} {config:?}");
        assert!(!shown.contains(KEY) && !shown.contains(OTHER), "{shown}");
    }
}

#[test]
fn what_is_wrong_is_said_and_no_key_is_shown() {
    let beside = |url: &str, name: &str, value: &str| {
        let error = CacheConfig::from_vars([("CACHE_URL", url), (name, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let shown = format!("{error} {error:?}");
        assert!(value.len() < 10 || !shown.contains(&value[..10]), "{shown}");
        error.to_string()
    };
    let in_url = |url: String| {
        let error = CacheConfig::new(&url).unwrap_err().to_string();
        assert!(!error.contains(&KEY[..10]), "{error}");
        error
    };
    for (said, expected) in [
        (
            beside("redis://h", "CACHE_ENCRYPTION_KEYS", &format!("{KEY},hunter2hunter2")),
            "`CACHE_ENCRYPTION_KEYS`: key 2 of the key ring is none: expected 32 random bytes as base64 (44 characters, as \
             `openssl rand -base64 32` prints them) or as 64 hexadecimal digits",
        ),
        (beside("redis://h", "CACHE_ENCRYPTION_KEY", KEY), "did you mean `CACHE_ENCRYPTION_KEYS`?"),
        (
            beside("memory://", "CACHE_ENCRYPTION_KEYS", KEY),
            "`CACHE_ENCRYPTION_KEYS` means nothing to memory://, whose entries stay in the process; it is for those that \
             processes share, as redis://",
        ),
        (beside("null://", "CACHE_COMPRESS_ABOVE", "1KiB"), "`CACHE_COMPRESS_ABOVE` means nothing to null://"),
        (
            in_url(format!("redis://h?encryption_keys={KEY}")),
            "`encryption_keys` must not stand in a URL, which others may see; expected it beside the URL, or as \
             `CACHE_ENCRYPTION_KEYS`",
        ),
        (in_url(format!("redis://h?encription_keys={KEY}")), "did you mean `encryption_keys`?"),
        (in_url(format!("memory:// + redis://h?encryption_keys={KEY}")), "must not stand in a URL"),
        (in_url("memory://?compress_above=1KiB + redis://h".to_owned()), "`compress_above` means nothing to memory://"),
        (in_url("redis://h?compress_above=0".to_owned()), r#"`compress_above` is "0", expected bytes from 1"#),
        (
            in_url("redis://h?compress_above=1&compression_level=23".to_owned()),
            r#"`compression_level` is "23", expected a whole number from 1 to 22"#,
        ),
        (
            in_url("redis://h?compression_level=3".to_owned()),
            "`compression_level` means nothing without `compress_above`",
        ),
    ] {
        assert!(said.contains(expected), "{said}\n{expected}");
    }
}

#[tokio::test]
async fn a_cache_of_the_environment_encrypts_on_a_server_and_reads_what_it_wrote() {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}", server.port);
    let tiers = format!("memory:// + {url}");
    let cache = |url: &str| {
        let vars = [("CACHE_URL", url), ("CACHE_COMPRESS_ABOVE", "100"), ("CACHE_ENCRYPTION_KEYS", KEY)];
        CacheConfig::from_vars(vars).unwrap().build().unwrap()
    };
    let text = "hunter2 ".repeat(100);
    cache(&tiers).set("key", &text, Ttl::Default).await.unwrap();
    assert_eq!(cache(&url).get("key").await.unwrap(), Some(text));
    assert_eq!(Cache::connect(&url).unwrap().get::<String>("key").await.unwrap(), None);
    let stored: Vec<u8> = redis::cmd("GET").arg("key").query(&mut server.connection()).unwrap();
    assert!(stored.len() < 200 && !stored.windows(7).any(|part| part == b"hunter2"));
}
