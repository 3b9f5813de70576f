//! Users and passwords are in nothing that is shown.

use std::error::Error as _;

use axum_caching::{CacheConfig, Error};
use proptest::{collection::vec, prelude::*, sample::select};

const SECRET: &str = "hunter2xyz";

/// URLs with a secret in each place where one may be, or may get to if it is not encoded.
const URLS: &[&str] = &[
    "redis://{}@h",
    "redis://:{}@h",
    "redis://u:{}@h:1/2?ttl=1",
    "rediss://{}:{}@h",
    "redis://u:{}@h/x",
    "redis://u:{}@h?ttl=x",
    "redis://u:{}@h?tll=1",
    "redis://u:{}@",
    "redis://u:{}@h:port",
    "redis://u:{}@a,b",
    "redis://u:a/{}@h",
    "redis://u:a/{}",
    "redis://u:{}/a",
    "redis://u:a?{}@h",
    "redis://u:a?b={}@h",
    "redis://u:a?ttl={}@h",
    "redis://u:a#{}@h",
    "redis://u:a@{}@h",
    "redis://u:{}@a@h",
    "redis://u:a&{}@h",
    "redis://u:a=b&c={}@h",
    "redis://u:{}%@h",
    "redis://u:%zz{}@h",
    "redis://u:{}\n@h",
    "redis://u:{}",
    "redis://u:{}:1",
    "redis:/u:{}@h",
    "redis:u:{}@h",
    "redis//u:{}@h",
    "u:{}@h:6379",
    "{}@h",
    "{}",
    "u:{}://h",
    "reddis://u:{}@h",
    "redis://h?password={}",
    "redis://h?username={}",
    "redis://h?pasword={}",
    "redis://h?Password={}",
    "redis://h?passwd={}",
    "redis://h?api_token={}",
    "redis://h?password=a&{}",
    "redis://h?password=a&{}=b",
    "redis://h?password=a&b={}",
    "redis://h?password=a&ttl={}",
    "redis://h?password=a&database={}",
    "redis://h?ttl={}&password=a",
    "redis://u:{}@h?password=other",
    "redis://h?password={}&password=other",
    "redis+unix:///s?password={}",
    "unix://:{}@/s",
    "redis+sentinel://u:{}@a,b/m",
    "redis+sentinel://u:{}@a,b",
    "redis+sentinel://a/m?sentinel_password={}",
    "redis+sentinel://a/m?sentinel_username={}",
    "redis+sentinel://a/m?sentinel_pasword={}",
    "redis://h?sentinel_password={}",
    "redis+cluster://u:{}@a,b",
    "redis+cluster://a,u:{}@b",
    "redis+cluster://u:{}@a,u:{}@b",
    "redis+cluster://a,u:{}",
    "memcached://u:{}@h",
    "memcached://{}@h",
    "memcached://u:{}@h?login=ascii",
    "memcached://u:{}@h,h",
    "memcached://u:{} x@h?login=ascii",
    "memcached://u:{}%0A@h?login=ascii",
    "memcached://h,u:{}",
    "memcached://u:{}",
    "file://u:{}@h/x",
    "file://u:{}@",
    "memory://u:{}@h",
    "null://:{}@",
    "memory:// + redis://u:{}@h:x",
    "memory:// + redis://u:{}@h",
    "redis://u:a + {}@h",
    "redis://u:1 + {}@h",
    // Encoded, in the wrong place.
    "redis://h?replicas=u%3A{}%40h2",
    "redis://h?ttl=u%3A{}%40h2",
    "redis://h/u%3A{}%40h2",
    "memcached://h/u%3A{}%40h2",
    "memory:///u%3A{}%40h2",
    // The content of a file in place of its path.
    "rediss://h?tls_key={}",
    "rediss://h?tls_certificate=/certificate&tls_key={}",
    "rediss://h?tls_certificate=-----BEGIN%20PRIVATE%20KEY-----{}&tls_key=/key",
    "rediss://h?tls_root=-----BEGIN%20PRIVATE%20KEY-----{}",
    "rediss://h?tls_root=-----BEGIN%20PRIVATE%20KEY-----%0A{}",
    "redis://h?tls_kye={}",
];

/// Everything that an error shows.
fn shown_by(error: &Error) -> String {
    let mut shown = vec![format!("{error} {error:?} {error:#?}")];
    let mut source = error.source();
    while let Some(cause) = source {
        shown.push(format!("{cause} {cause:?}"));
        source = cause.source();
    }
    shown.join(" ")
}

/// Everything that a configuration shows, and what is made of it.
fn shown(config: Result<CacheConfig, Error>) -> String {
    let config = match config {
        Ok(config) => config,
        Err(error) => return shown_by(&error),
    };
    let made = match config.builder() {
        Ok(builder) => format!("{builder:?}") + &format!("{:?}", builder.build()),
        Err(error) => shown_by(&error),
    };
    format!("{config} {config:?} {config:#?} {made}")
}

#[test]
fn no_url_shows_a_secret() {
    let mut built = 0;
    for template in URLS {
        let url = template.replace("{}", SECRET);
        let config = CacheConfig::new(&url);
        built += usize::from(config.is_ok());
        let shown = shown(config);
        assert!(!shown.contains(SECRET), "{template}: {shown}");
        // As files have it, where nothing is looked at before it is built.
        let config: CacheConfig = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
        let shown = self::shown(Ok(config));
        assert!(!shown.contains(SECRET), "{template} in a file: {shown}");
        let shown = self::shown(CacheConfig::from_vars([("CACHE_URL", url.as_str())]));
        assert!(!shown.contains(SECRET), "{template} as CACHE_URL: {shown}");
        for kind in ["RedisCache", "RedisClusterCache", "SimpleCache"] {
            let vars = [("CACHE_TYPE", kind), ("CACHE_REDIS_URL", url.as_str())];
            let shown = self::shown(CacheConfig::from_vars(vars));
            assert!(!shown.contains(SECRET), "{template} as CACHE_REDIS_URL: {shown}");
        }
    }
    assert!(built >= 15, "{built} of the URLs are right, and show nothing either");
}

#[test]
fn no_variable_shows_a_secret() {
    let secret = SECRET;
    let user = format!("u:{secret}@h");
    let url = format!("redis://u:{secret}@h");
    for (name, value) in [
        ("CACHE_REDIS_PASSWORD", secret),
        ("CACHE_REDIS_PASWORD", secret),
        ("CACHE_REDIS_SENTINEL_PASSWORD", secret),
        ("CACHE_MEMCACHED_USERNAME", secret),
        ("CACHE_MEMCACHED_PASSWORD", secret),
        ("CACHE_PASSWORD", secret),
        ("CACHE_USERNAME", secret),
        ("CACHE_PASSWD", secret),
        ("CACHE_SOMETHING", secret),
        ("CACHE_REDIS_HOST", &user),
        ("CACHE_REDIS_SENTINELS", &user),
        ("CACHE_REDIS_CLUSTER", &user),
        ("CACHE_MEMCACHED_SERVERS", &user),
        ("CACHE_TYPE", &url),
        ("CACHE_REDIS_HOST", &url),
        ("CACHE_OPTIONS", &format!("password={secret}")),
        ("CACHE_OPTIONS", &format!("password=a&{secret}")),
        ("CACHE_OPTIONS", &format!("{{\"password\": \"{secret}\"}}")),
        ("CACHE_ARGS", secret),
    ] {
        for kind in
            ["NullCache", "RedisCache", "RedisSentinelCache", "RedisClusterCache", "SASLMemcachedCache", "Cache"]
        {
            let mut vars = vec![("CACHE_TYPE", kind), ("CACHE_DB", "x")];
            vars.retain(|(known, _)| *known != name);
            for vars in [&vars[..1], &vars[..], &[]] {
                let vars = vars.iter().copied().chain([(name, value)]);
                let shown = shown(CacheConfig::from_vars(vars));
                assert!(!shown.contains(SECRET), "{name} with {kind}: {shown}");
            }
        }
    }
}

#[test]
fn no_file_shows_a_secret_though_its_format_repeats_the_line() {
    for text in [
        format!("url = 'redis://u:{SECRET}@h:port'"),
        format!("url = ['memory://', 'redis://u:a/{SECRET}@h']"),
        format!("password = '{SECRET}'\nurl = 'redis://u:other@h'"),
        format!("password = '{SECRET}'\nurl = 'memory://'"),
        format!("password = '{SECRET}'\nurl = 'memcached://h'"),
        format!("password = '{SECRET}'\nusername = 'u'\nlogin = 'x'\nurl = 'memcached://h'"),
    ] {
        let config: CacheConfig = toml::from_str(&text).unwrap();
        let shown = shown(Ok(config));
        assert!(!shown.contains(SECRET), "{text}: {shown}");
    }
}

#[test]
fn a_key_in_place_of_its_path_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("certificate");
    std::fs::write(&certificate, "").unwrap();
    let key = format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n");
    for value in [&key, SECRET, &key.replace('\n', "\\n")] {
        let config = || -> CacheConfig {
            let file = serde_json::json!({ "url": "rediss://h", "tls_certificate": certificate, "tls_key": value });
            serde_json::from_value(file).unwrap()
        };
        let said = config().build().unwrap_err().to_string();
        assert!(said.contains("`tls_key`") && said.contains("expected the path of a PEM file"), "{said}");
        assert!(!shown(Ok(config())).contains(SECRET), "{value:?}");
        let vars = [("CACHE_URL", "rediss://h"), ("CACHE_TLS_CERTIFICATE", "/c"), ("CACHE_TLS_KEY", value)];
        assert!(!shown(CacheConfig::from_vars(vars)).contains(SECRET), "{value:?}");
    }
    // Of what is no secret it is said which path was looked at.
    let error = CacheConfig::new("rediss://h?tls_root=/none/root.pem").unwrap().build().unwrap_err();
    assert!(
        error.to_string().contains(r#"`tls_root` is "/none/root.pem", expected the path of a PEM file"#),
        "{error}"
    );
}

#[test]
fn a_line_at_the_start_is_one_line() {
    for url in [
        "null://?name=a%0Ab",
        "null://?key_prefix=a%1B%5B2Jb&name=%7F",
        "file:///a%0Ab",
        "redis://h/a%0Db?database=%C2%85",
        "redis+unix:///a%00b",
    ] {
        let config: CacheConfig = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
        for shown in [config.to_string(), format!("{config:?}")] {
            assert!(!shown.contains(char::is_control), "{url}: {shown:?}");
        }
    }
    let shown = CacheConfig::new("file:///var/a%20b/c@d?max_bytes=1GiB").unwrap().to_string();
    assert_eq!(shown, "file:///var/a b/c@d?max_bytes=1GiB");
}

#[test]
fn a_number_in_place_of_a_secret_is_taken_as_it_is_written_or_refused() {
    for number in ["1.10", "-1.5e3", "99999999999999999999", "true"] {
        let file = format!(r#"{{ "url": "memcached://h", "username": "u", "password": {number} }}"#);
        let error = serde_json::from_str::<CacheConfig>(&file).unwrap_err().to_string();
        assert!(error.contains("`password`") && error.contains("expected a text"), "{number}: {error}");
        for part in ["1.1", "1500", "99999", "1e20", "100000", "true"] {
            assert!(!error.contains(part), "{number}: {error}");
        }
    }
    let file = r#"{ "url": "memcached://h", "username": 7, "password": -18 }"#;
    assert!(serde_json::from_str::<CacheConfig>(file).unwrap().build().is_ok());
    // Elsewhere a number is a number.
    let config: CacheConfig = serde_json::from_str(r#"{ "url": "null://", "ttl": 1.50, "jitter": 0.10 }"#).unwrap();
    assert!(config.build().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_password_that_nobody_encoded_is_not_shown(
        scheme in select(&["redis", "rediss", "redis+cluster", "redis+sentinel", "memcached", "file", "memory"][..]),
        before in vec(select(SIGNS), 0..6),
        after in vec(select(SIGNS), 0..6),
    ) {
        let url = format!("{scheme}://user:{}{SECRET}{}@host/0", before.concat(), after.concat());
        let shown = shown(CacheConfig::new(&url));
        prop_assert!(!shown.contains(SECRET), "{} {}", url, shown);
    }

    #[test]
    fn a_password_that_is_encoded_is_taken_and_not_shown(
        before in any::<String>(), after in any::<String>(),
    ) {
        let password = format!("{before}{SECRET}{after}");
        let password = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
        let config = CacheConfig::new(format!("redis://user:{password}@host/0"));
        prop_assert!(config.is_ok());
        prop_assert!(!shown(config).contains(SECRET));
    }
}

const SIGNS: &[&str] = &[
    "a",
    "1",
    "%",
    "%4",
    "%40",
    ":",
    "/",
    "//",
    "://",
    "?",
    "&",
    "=",
    "#",
    "@",
    ",",
    "[",
    "]",
    "+",
    " ",
    " + ",
    "\"",
    "'",
    "\\",
    "{",
    "}",
    "\n",
    "\0",
    "ä",
    "ttl=",
    "password=",
    "max_bytes=",
    "host",
    "redis://",
    "memory://",
];
