//! Each variable of Flask-Caching that `COMPATIBILITY.md` has in its table.

use std::collections::BTreeSet;

use axum_caching::{CacheConfig, ErrorKind, Ttl};

/// Variables, and what the cache that they make says of itself.
type Made = (Vec<(&'static str, String)>, Vec<&'static str>);

fn made() -> Vec<Made> {
    let folder = "/tmp/axum-caching-config-none";
    let mut all = Vec::new();
    let mut of = |vars: &[(&'static str, &str)], expected: &[&'static str]| {
        all.push((vars.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), expected.to_vec()));
    };
    // CACHE_TYPE, with its names of then and now.
    for name in ["NullCache", "null", "flask_caching.backends.NullCache", "flask_caching.backends.nullcache.NullCache"]
    {
        of(&[("CACHE_TYPE", name)], &["NullBackend"]);
    }
    for name in ["SimpleCache", "simple", "cachelib.SimpleCache", "flask_caching.backends.simplecache.SimpleCache"] {
        of(&[("CACHE_TYPE", name)], &["MemoryBackend"]);
    }
    for name in ["FileSystemCache", "filesystem", "cachelib.file.FileSystemCache"] {
        of(&[("CACHE_TYPE", name), ("CACHE_DIR", folder)], &["FileBackend"]);
    }
    for name in ["RedisCache", "redis", "cachelib.redis.RedisCache", "cachelib.valkey.ValkeyCache"] {
        of(&[("CACHE_TYPE", name)], &["redis://localhost:6379/0"]);
    }
    for name in ["RedisSentinelCache", "redissentinel"] {
        of(&[("CACHE_TYPE", name)], &["mymaster of 1 sentinels"]);
    }
    for name in ["RedisClusterCache", "rediscluster"] {
        of(&[("CACHE_TYPE", name), ("CACHE_REDIS_CLUSTER", "a:1,b:2")], &["cluster of 2 seeds"]);
    }
    for name in ["MemcachedCache", "memcached", "SpreadSASLMemcachedCache", "spreadsaslmemcached"] {
        of(&[("CACHE_TYPE", name)], &["127.0.0.1:11211"]);
    }
    for name in ["SASLMemcachedCache", "saslmemcached"] {
        let login = [("CACHE_MEMCACHED_USERNAME", "u"), ("CACHE_MEMCACHED_PASSWORD", "p")];
        of(&[("CACHE_TYPE", name), login[0], login[1], ("CACHE_MEMCACHED_SERVERS", "a,b:2")], &["a:11211", "b:2"]);
    }
    // What says where Redis is.
    let redis = ("CACHE_TYPE", "RedisCache");
    of(&[redis, ("CACHE_REDIS_HOST", "h"), ("CACHE_REDIS_PORT", "7"), ("CACHE_REDIS_DB", "3")], &["redis://h:7/3"]);
    of(&[redis, ("CACHE_REDIS_PASSWORD", "p")], &["redis://localhost:6379/0"]);
    of(&[redis, ("CACHE_REDIS_URL", "redis://u:p@h/2")], &["redis://h:6379/2"]);
    of(&[redis, ("CACHE_REDIS_URL", "rediss://h")], &["rediss://h:6379/0"]);
    of(&[redis, ("CACHE_REDIS_URL", "unix:///r.sock?db=1")], &["unix:///r.sock/1"]);
    of(&[redis, ("CACHE_REDIS_URL", "redis://h"), ("CACHE_REDIS_DB", "1")], &["redis://h:6379/1"]);
    of(&[("CACHE_URL", "redis://h"), ("CACHE_REDIS_PASSWORD", "p"), ("CACHE_REDIS_DB", "1")], &["redis://h:6379/1"]);
    of(&[redis, ("CACHE_URL", "redis://h")], &["redis://h:6379/0"]);
    let cluster = ("CACHE_TYPE", "RedisClusterCache");
    of(&[cluster, ("CACHE_REDIS_URL", "redis://u:p@a,b")], &["cluster of 2 seeds"]);
    of(&[cluster, ("CACHE_REDIS_URL", "rediss://a")], &["cluster of 1 seeds"]);
    let sentinel = [
        ("CACHE_TYPE", "RedisSentinelCache"),
        ("CACHE_REDIS_SENTINELS", "a:1,b:2"),
        ("CACHE_REDIS_SENTINEL_MASTER", "shop"),
        ("CACHE_REDIS_SENTINEL_PASSWORD", "s"),
        ("CACHE_REDIS_PASSWORD", "p"),
        ("CACHE_REDIS_DB", "1"),
    ];
    of(&sentinel, &["shop of 2 sentinels"]);
    // What is the same for all.
    of(&[("CACHE_DEFAULT_TIMEOUT", "60"), ("CACHE_KEY_PREFIX", "flask_cache_")], &["For(60s)", r#""flask_cache_""#]);
    of(&[("CACHE_THRESHOLD", "500"), ("CACHE_OPTIONS", "max_bytes=1MiB")], &["max_bytes: 1048576"]);
    of(&[("CACHE_OPTIONS", "threshold=500&default_timeout=60")], &["For(60s)"]);
    let file = [("CACHE_TYPE", "FileSystemCache"), ("CACHE_DIR", folder)];
    of(
        &[file[0], file[1], ("CACHE_OPTIONS", "mode=0600&threshold=9"), ("CACHE_FILE_HASH_METHOD", "hashlib.sha256")],
        &["FileBackend"],
    );
    of(&[("CACHE_SERIALIZER", "cachelib.serializers.JSONSerializer")], &["Json"]);
    // What is so in any case.
    of(&[("CACHE_TYPE", "NullCache"), ("CACHE_NO_NULL_WARNING", "True")], &["NullBackend"]);
    of(
        &[("CACHE_IGNORE_ERRORS", "False"), ("CACHE_SOURCE_CHECK", "0"), ("CACHE_ENABLE_SIGNALS", "true")],
        &["MemoryBackend"],
    );
    of(&[("CACHE_HASH_METHOD", "md5")], &["MemoryBackend"]);
    all
}

/// Variables, and what is said against them.
const REFUSED: &[(&[(&str, &str)], &str)] = &[
    (
        &[("CACHE_TYPE", "SimplCache")],
        "`CACHE_TYPE` is no type of backend; did you mean `simple`?; expected NullCache, SimpleCache",
    ),
    (&[("CACHE_TYPE", "UWSGICache")], "`CACHE_TYPE` is UWSGICache: uWSGI runs no Rust program"),
    (
        &[("CACHE_TYPE", "flask_caching.contrib.googlecloudstoragecache.GoogleCloudStorageCache")],
        "there is none so far; implement `Backend`",
    ),
    (&[("CACHE_TYPE", "cachelib.DynamoDbCache")], "there is none so far"),
    (&[("CACHE_TYPE", "cachelib.MongoDbCache")], "there is none so far"),
    (&[("CACHE_TYPE", "gaememcached")], "App Engine's"),
    (&[("CACHE_TYPE", "shop.cache.Custom")], "such a backend is given in code (`Cache::builder`)"),
    (&[("CACHE_TYPE", "RedisCache"), ("CACHE_URL", "memory://")], "`CACHE_TYPE` and `CACHE_URL` contradict each other"),
    (&[("CACHE_TYPE", "FileSystemCache")], "there is no `CACHE_DIR`; expected the path of a directory"),
    (
        &[("CACHE_DIR", "/d")],
        "`CACHE_DIR` is for FileSystemCache (`file://`), which neither `CACHE_TYPE` nor `CACHE_URL` names",
    ),
    (
        &[("CACHE_URL", "file:///d"), ("CACHE_DIR", "/e")],
        "`CACHE_DIR` says where the backend is, and another variable says that too",
    ),
    (
        &[("CACHE_TYPE", "NullCache"), ("CACHE_NO_NULL_WARNING", "maybe")],
        r#"`CACHE_NO_NULL_WARNING` is "maybe", expected "true" or "false""#,
    ),
    (&[("CACHE_ENABLE_SIGNALS", "maybe")], "an observer is given in code (`CacheBuilder::observer`)"),
    (&[("CACHE_IGNORE_ERRORS", "true")], "expected false: each call returns its error"),
    (&[("CACHE_SOURCE_CHECK", "true")], "expected false: `source_check` is said at `#[memoize]`"),
    (
        &[("CACHE_HASH_METHOD", "hashlib.sha256")],
        "expected md5; another one is given at a layer (`CacheLayer::hash_method`)",
    ),
    (&[("CACHE_FILE_HASH_METHOD", "md5")], "expected sha256, which names all files"),
    (&[("CACHE_ARGS", "1")], "`CACHE_ARGS` is set; expected no such variable: parameters have names"),
    (&[("CACHE_UWSGI_NAME", "x")], "`CACHE_UWSGI_NAME` is set"),
    (&[("CACHE_GCS_BUCKET", "x")], "`CACHE_GCS_BUCKET` is set"),
    (
        &[("CACHE_OPTIONS", "{'threshold': 5}")],
        "`CACHE_OPTIONS` is no dictionary here; expected parameters as a URL has them",
    ),
    (&[("CACHE_OPTIONS", "treshold=5")], "`treshold` means nothing to memory://; did you mean `threshold`?"),
    (&[("CACHE_OPTIONS", "a=%")], "`CACHE_OPTIONS` is not encoded"),
    (
        &[("CACHE_DEFAULT_TIMEOUT", "0")],
        r#"`CACHE_DEFAULT_TIMEOUT` is "0", expected "forever" for entries without an end"#,
    ),
    (&[("CACHE_DEFAULT_TIMEOUT", "-1")], r#"`CACHE_DEFAULT_TIMEOUT` is "-1", expected seconds from 0"#),
    (
        &[("CACHE_KEY_PREFIX", "a"), ("CACHE_URL", "null://?key_prefix=b")],
        "`CACHE_KEY_PREFIX` and `key_prefix` contradict each other",
    ),
    (&[("CACHE_THRESHOLD", "0")], r#"`CACHE_THRESHOLD` is "0", expected a whole number from 1"#),
    (&[("CACHE_TYPE", "RedisCache"), ("CACHE_THRESHOLD", "500")], "`CACHE_THRESHOLD` means nothing to redis://"),
    (&[("CACHE_SERIALIZER", "pickle")], r#"`CACHE_SERIALIZER` is "pickle", expected "postcard" or "json""#),
    (&[("CACHE_REDIS_HOST", "h")], "`CACHE_REDIS_HOST` is for RedisCache (`redis://`), which neither"),
    (&[("CACHE_REDIS_PASSWORD", "p"), ("CACHE_URL", "memcached://h")], "`CACHE_REDIS_PASSWORD` is for RedisCache"),
    (&[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_HOST", "a,b")], "`CACHE_REDIS_HOST` is not one host without a port"),
    (&[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_HOST", "a:1")], "the port is in `CACHE_REDIS_PORT`"),
    (
        &[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_PORT", "x")],
        r#"`CACHE_REDIS_PORT` is "x", expected a port from 1 to 65535"#,
    ),
    (
        &[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_DB", "x")],
        r#"`CACHE_REDIS_DB` is "x", expected the number of a database"#,
    ),
    (
        &[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_URL", "redis://a"), ("CACHE_REDIS_HOST", "b")],
        "`CACHE_REDIS_HOST` says where the backend is, and another variable says that too",
    ),
    (
        &[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_URL", "redis://a/1"), ("CACHE_REDIS_DB", "2")],
        "`CACHE_REDIS_DB` and `database` contradict each other",
    ),
    (
        &[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_URL", "memory://")],
        "`CACHE_REDIS_URL` is not what `CACHE_TYPE` says",
    ),
    (&[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_URL", "redis:a")], "`CACHE_REDIS_URL`: not the URL of a backend"),
    (&[("CACHE_URL", "redis://a"), ("CACHE_REDIS_URL", "redis://b")], "`CACHE_REDIS_URL` says where the backend is"),
    (
        &[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_SENTINELS", "a")],
        "`CACHE_REDIS_SENTINELS` says where the backend is",
    ),
    (&[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_SENTINEL_MASTER", "a")], "`CACHE_REDIS_SENTINEL_MASTER` says where"),
    (
        &[("CACHE_TYPE", "RedisCache"), ("CACHE_REDIS_SENTINEL_PASSWORD", "a")],
        "`CACHE_REDIS_SENTINEL_PASSWORD` means nothing here",
    ),
    (
        &[("CACHE_TYPE", "RedisSentinelCache"), ("CACHE_REDIS_SENTINELS", "[('a', 1)]")],
        "`CACHE_REDIS_SENTINELS`: host 1 is none; expected",
    ),
    (&[("CACHE_TYPE", "RedisClusterCache")], "there is no `CACHE_REDIS_CLUSTER`; expected hosts"),
    (&[("CACHE_TYPE", "RedisClusterCache"), ("CACHE_REDIS_CLUSTER", "a:b")], "`CACHE_REDIS_CLUSTER`: host 1 is none"),
    (
        &[("CACHE_TYPE", "MemcachedCache"), ("CACHE_MEMCACHED_SERVERS", "a:b")],
        "`CACHE_MEMCACHED_SERVERS`: host 1 is none",
    ),
    (&[("CACHE_TYPE", "SASLMemcachedCache")], "there is no `CACHE_MEMCACHED_USERNAME`"),
    (
        &[("CACHE_TYPE", "SASLMemcachedCache"), ("CACHE_MEMCACHED_USERNAME", "u")],
        "there is no `CACHE_MEMCACHED_PASSWORD`",
    ),
    (&[("CACHE_MEMCACHED_SERVERS", "a")], "`CACHE_MEMCACHED_SERVERS` is for MemcachedCache (`memcached://`)"),
];

#[test]
fn a_variable_of_flask_caching_makes_what_the_table_says() {
    for (vars, expected) in made() {
        let config = CacheConfig::from_vars(vars.clone()).unwrap_or_else(|error| panic!("{vars:?}: {error}"));
        let builder = config.builder().unwrap();
        let shown = format!("{builder:?}");
        for expected in expected {
            assert!(shown.contains(expected), "{vars:?}: {expected} in {shown}");
        }
    }
    drop(std::fs::remove_dir_all("/tmp/axum-caching-config-none"));
}

#[test]
fn a_variable_of_flask_caching_that_means_something_else_here_is_an_error() {
    for (vars, expected) in REFUSED {
        let Err(error) = CacheConfig::from_vars(vars.iter().copied()) else { panic!("{vars:?} is a configuration") };
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(expected), "{vars:?}\n  {error}\n  {expected}");
    }
}

#[test]
fn each_variable_in_the_table_is_tried() {
    let tried: BTreeSet<String> = made()
        .into_iter()
        .flat_map(|(vars, _)| vars)
        .map(|(name, _)| name.to_owned())
        .chain(REFUSED.iter().flat_map(|(vars, _)| vars.iter()).map(|(name, _)| (*name).to_owned()))
        .collect();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/COMPATIBILITY.md")).unwrap();
    let table = text.split("### Configuration keys").nth(1).unwrap().split("\n### ").next().unwrap();
    let left = table.lines().filter(|line| line.starts_with("| `CACHE_")).filter_map(|line| line.split('|').nth(1));
    let named: BTreeSet<String> = left
        .flat_map(|cell| {
            cell.split('`').filter(|word| word.starts_with("CACHE_")).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let count = 28; // as many as Flask-Caching has, and the URL
    assert_eq!(named.len(), count + 1, "{named:?}");
    let missing: Vec<_> = named.difference(&tried).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_timeout_without_an_end_is_said_in_words() {
    let cache = CacheConfig::from_vars([("CACHE_DEFAULT_TIMEOUT", "forever")]).unwrap().build().unwrap();
    assert_eq!(cache.ttl(), Ttl::Forever);
}
