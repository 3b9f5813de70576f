//! Each way to be wrong, and what is said about it.

use axum_caching::{CacheConfig, ErrorKind};
use proptest::{collection::vec, prelude::*, sample::select};

/// The text of the error of a URL.
fn error(url: &str) -> String {
    let Err(error) = CacheConfig::new(url) else { panic!("{url:?} is a URL") };
    assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    error.to_string()
}

/// URLs, and what is said against them.
const WRONG: &[(&str, &str)] = &[
    // No URL, or an unknown one.
    ("", "not the URL of a backend; expected one that begins with memory://, null://, file://, memcached://, redis://"),
    ("memory", "not the URL of a backend; did you mean `memory://`?"),
    ("memory:", "did you mean `memory://`?"),
    ("/var/cache", "not the URL of a backend"),
    ("reddis://h", r#"no backend is called "reddis"; did you mean `redis://`?; expected memory://"#),
    ("postgres://h", r#"no backend is called "postgres"; expected memory://"#),
    ("memory:// + ", "not the URL of a backend"),
    ("memory:// + null://", "the second of two tiers is what processes share, as redis://; found null://"),
    ("redis://h + memory://", "the first of two tiers keeps copies: expected memory://, found redis://"),
    ("memory:// + redis://a + redis://b", "3 backends; expected one, or two: memory:// and what processes share"),
    ("memory://?lag=1s", "means nothing without a second tier"),
    ("memory://?lag=0 + redis://h", "`lag`"),
    ("memory://?backplane=tracking", "`backplane` means nothing without a second tier"),
    (
        "memory://?backplane=trackin + redis://h",
        "`backplane` is \"trackin\", expected `pubsub`, `tracking`, `tracking:` and what keys begin with, or `none`",
    ),
    ("memory://?backplane=trackings + redis://h", "`backplane` is \"trackings\", expected"),
    ("memory://?backplane=pubsub + memcached://h", "`backplane` is \"pubsub\", expected `none`: only Redis"),
    ("memory://?backplane=tracking:a + redis+cluster://h", "expected `pubsub` or `none`: a cluster has no tracking"),
    // Names.
    (
        "memory://?max_byte=1",
        "`max_byte` means nothing to memory://; did you mean `max_bytes`?; expected one of `max_bytes`, `max_entries`, `threshold`, `lag`, `backplane`, `ttl`",
    ),
    ("memory://?sync=true", "`sync` means nothing to memory://; expected one of"),
    ("null://?max_bytes=1", "`max_bytes` means nothing to null://"),
    ("null://?TTL=1", "`TTL` means nothing to null://; did you mean `ttl`?"),
    ("redis://h?sentinel_tls=true", "`sentinel_tls` means nothing here: redis:// has it for other servers"),
    ("redis://h?tls_root=/a", "`tls_root` means nothing here"),
    ("redis://h?read_from_replicas=true", "`read_from_replicas` means nothing here"),
    ("redis+cluster://h?replicas=a", "`replicas` means nothing here"),
    ("redis+unix:///s?replicas=a", "`replicas` means nothing here"),
    // Values.
    (
        "memory://?max_bytes=64M",
        r#"`max_bytes` is "64M", expected bytes from 1, or a text like "64MiB", "2GiB" or "500kB""#,
    ),
    ("memory://?max_bytes=0", r#"`max_bytes` is "0", expected bytes from 1"#),
    ("memory://?max_bytes=-1", r#"`max_bytes` is "-1", expected bytes"#),
    ("memory://?max_bytes=99999999999TiB", r#"`max_bytes` is "99999999999TiB", expected bytes"#),
    ("memory://?max_bytes", r#"`max_bytes` is "", expected bytes"#),
    ("memory://?max_entries=0", r#"`max_entries` is "0", expected a whole number from 1"#),
    ("memory://?threshold=1k", r#"`threshold` is "1k", expected a whole number from 1"#),
    (
        "null://?ttl=5x",
        r#"`ttl` is "5x", expected seconds from 0, a text like "250ms", "90s", "5m", "2h" or "1d", "forever", "never" or "none""#,
    ),
    ("null://?ttl=-1", r#"`ttl` is "-1", expected seconds from 0"#),
    ("null://?ttl=", r#"`ttl` is "", expected seconds"#),
    ("null://?ttl=inf", r#"`ttl` is "inf", expected seconds"#),
    ("null://?ttl=1e99", r#"`ttl` is "1e99", expected seconds"#),
    (
        "null://?default_timeout=0",
        r#"`default_timeout` is "0", expected "forever" for entries without an end, or "never" to keep none"#,
    ),
    ("null://?max_wait=soon", r#"`max_wait` is "soon", expected seconds from 0, or a text like "250ms""#),
    (
        "null://?backend_timeout=0",
        r#"`backend_timeout` is "0", expected seconds above 0, a text like "250ms", "90s" or "5m", or "forever""#,
    ),
    ("null://?max_refreshes=-1", r#"`max_refreshes` is "-1", expected a whole number from 0"#),
    ("null://?breaker_failures=0", r#"`breaker_failures` is "0", expected a whole number from 1, or "off""#),
    ("null://?jitter=1", r#"`jitter` is "1", expected a number above 0 and below 1"#),
    ("null://?early_expiration=nan", r#"`early_expiration` is "nan", expected a number above 0"#),
    ("null://?serializer=pickle", r#"`serializer` is "pickle", expected "postcard" or "json""#),
    ("file:///d?sync=maybe", r#"`sync` is "maybe", expected "true" or "false""#),
    ("file:///d?mode=0644", r#"`mode` is "0644", expected 0600, which all files have"#),
    ("file:///d?hash_method=md5", r#"`hash_method` is "md5", expected sha256"#),
    ("redis://h?connect_timeout=0", r#"`connect_timeout` is "0", expected seconds above 0, or a text like"#),
    ("redis://h?response_timeout=x", r#"`response_timeout` is "x", expected seconds above 0"#),
    ("redis://h?max_value_bytes=x", r#"`max_value_bytes` is "x", expected bytes"#),
    ("redis://h?scripts=x", r#"`scripts` is "x", expected "true" or "false""#),
    ("redis://h/shop", r#"`database` is "shop", expected the number of a database, from 0"#),
    ("redis://h?replicas=a:b", "`replicas`: host 1 is none"),
    ("redis+sentinel://h/m?sentinel_tls=x", r#"`sentinel_tls` is "x""#),
    ("memcached://h?weights=1,2", "`weights` has 2 numbers, and there are 1 hosts"),
    ("memcached://h?weights=0", r#"`weights` is "0", expected whole numbers from 1"#),
    ("memcached://h?timeout=0", r#"`timeout` is "0", expected seconds above 0"#),
    ("memcached://h?connect_timeout=0", r#"`connect_timeout` is "0""#),
    ("memcached://h?connections=0", r#"`connections` is "0", expected a whole number from 1"#),
    ("memcached://h?item_limit=x", r#"`item_limit` is "x", expected bytes"#),
    ("memcached://h?split_up_to=x", r#"`split_up_to` is "x", expected bytes"#),
    (
        "memcached://u:p@h?login=x",
        r#"`login` is "x", expected "sasl" for servers with -S, or "ascii" for servers with -Y"#,
    ),
    // Two that do not go together.
    ("null://?ttl=1&ttl=2", "`ttl` is there twice, with different values: leave one out"),
    ("null://?ttl=1&default_timeout=2", "`ttl` and `default_timeout` contradict each other: leave one out"),
    ("memory://?max_entries=1&threshold=2", "`max_entries` and `threshold` contradict each other"),
    ("redis://h/1?db=2", "`db` and `database` contradict each other"),
    ("redis://u:a@h?password=b", "`password` is there twice, with different values"),
    ("redis+cluster://h/1", "`database`: a cluster has no other database than 0"),
    ("memcached://u@h", "memcached:// has a user and a password, or neither of them"),
    ("memcached://h?login=sasl", "memcached:// has a user and a password, or neither of them"),
    ("rediss://h?tls_key=/a", "`tls_certificate` and `tls_key` go together"),
    // Places.
    ("memory://h", "memory:// has no host and no user: expected `memory://?max_bytes=64MiB&max_entries=10000`"),
    ("memory:///path", "memory:// has no path"),
    ("null://u@", "null:// has no host and no user: expected `null://`"),
    ("file://", "file:// has no path: expected `file:///var/cache/app?max_bytes=1GiB`"),
    ("file:///", "file:// has no path"),
    ("file://var/cache", "file:// has no host and no user: expected `file:///var/cache/app"),
    ("redis://", "redis:// has no host: expected `redis://[user:password@]host[:port][/database]`"),
    ("redis://a,b", "redis:// has several hosts: a cluster is redis+cluster://, sentinels redis+sentinel://"),
    (
        "redis://h:0",
        "redis://: host 1 is none; expected `host`, `host:port` or `[::1]:port`, with a port from 1 to 65535",
    ),
    ("redis://h:65536", "host 1 is none"),
    ("redis://h:", "host 1 is none"),
    ("redis://::1", "host 1 is none"),
    ("redis://[::1", "host 1 is none"),
    ("redis://[h]", "host 1 is none"),
    ("redis://h h", "host 1 is none"),
    ("redis+cluster://a,,b", "host 2 is none"),
    ("redis+cluster://", "redis+cluster:// has no host"),
    ("redis+unix://h/s", "redis+unix:// is the path of a socket"),
    ("redis+unix://", "redis+unix:// is the path of a socket"),
    ("redis+sentinel://h", "redis+sentinel:// does not say the name of the master"),
    ("redis+sentinel:///m", "redis+sentinel:// has no host"),
    ("memcached://", "memcached:// has no host"),
    ("memcached://h/p", "memcached:// has no path"),
    // Signs that have to be encoded.
    (
        "redis://u:p#q@h",
        "redis://: there is a `#`; what is not a letter or a digit in a name, a password or a value is written as %",
    ),
    ("redis://u:p/q@h", "redis://: there is an `@` behind the host; what is not"),
    ("redis://u:p?q@h", "redis://: there is an `@` behind the host"),
    ("redis://u:p@q@h", "redis://: there is more than one `@`"),
    ("redis+cluster://u:p@a,u:p@b", "redis+cluster://: there is more than one `@`"),
    ("redis+cluster://a,u:p@b", "redis+cluster://: there is a `,` before the `@`"),
    ("redis://u:50%@h", "redis://: the user or the password is not encoded"),
    ("redis://u:%ff@h", "redis://: the user or the password is not encoded"),
    ("file:///100%", "file://: the path is not encoded"),
    ("null://?key_prefix=%f", "null://: the query is not encoded"),
    ("null://?name=a\nb", "null://: there is a control character"),
];

#[test]
fn an_error_names_what_is_wrong_and_what_was_expected() {
    for (url, expected) in WRONG {
        let said = error(url);
        assert!(said.starts_with("wrong configuration: ") && said.contains(expected), "{url}\n  {said}\n  {expected}");
    }
}

#[test]
fn an_error_repeats_no_more_of_a_value_than_one_can_read() {
    let said = error(&format!("null://?ttl={}", "9x".repeat(5_000)));
    assert!(said.len() < 400, "{said}");
}

#[test]
fn what_only_a_backend_knows_is_said_when_it_is_built() {
    for (url, expected) in [
        ("memcached://h,h", "memcached at h:11211 is there twice"),
        ("memcached://h?item_limit=1kB", "an item limit of 1000 bytes, expected 2048 to 1073741824"),
        ("rediss://h?tls_root=/none.pem", r#"`tls_root` is "/none.pem", expected the path of a PEM file"#),
    ] {
        let error = CacheConfig::new(url).unwrap().build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(expected), "{url}: {error}");
    }
}

const PIECES: &[&str] = &[
    "memory",
    "null",
    "file",
    "redis",
    "rediss",
    "redis+unix",
    "redis+sentinel",
    "redis+cluster",
    "memcached",
    "unix",
    "://",
    ":",
    "/",
    "?",
    "&",
    "=",
    "@",
    "#",
    "%",
    "%40",
    "%zz",
    "%ff",
    ",",
    "[",
    "]",
    "[::1]",
    "+",
    " + ",
    " ",
    "\n",
    "ä",
    "h",
    "1",
    "6379",
    "-1",
    "0",
    "64MiB",
    "5m",
    "0.5",
    "true",
    "forever",
    "ttl",
    "max_bytes",
    "max_entries",
    "threshold",
    "password",
    "username",
    "database",
    "replicas",
    "weights",
    "sync",
    "jitter",
    "key_prefix",
    "breaker_failures",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_configuration_or_an_error_of_one(text in any::<String>()) {
        if let Err(error) = CacheConfig::new(&text) {
            prop_assert_eq!(error.kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn any_text_that_looks_like_a_url_is_a_configuration_or_an_error_of_one(
        scheme in select(PIECES), pieces in vec(select(PIECES), 0..12),
    ) {
        let text = format!("{scheme}://{}", pieces.concat());
        match CacheConfig::new(&text) {
            Ok(config) => {
                let shown = format!("{config:?}");
                prop_assert!(shown.contains("://"));
            }
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Config),
        }
    }
}
