//! The variables of Flask-Caching: what each is here, or why it is nothing.

use super::Vars;
use crate::{
    config::{
        backends::Family,
        parameters::{Parameter, wrong},
        units,
    },
    error::Result,
};

/// Those of one family of backends: the parameter that it is, or `None` if it says where the backend is.
const OF_BACKENDS: &[(&str, Family, Option<&str>)] = &[
    ("CACHE_DIR", Family::File, None),
    ("CACHE_MEMCACHED_SERVERS", Family::Memcached, None),
    ("CACHE_MEMCACHED_USERNAME", Family::Memcached, Some("username")),
    ("CACHE_MEMCACHED_PASSWORD", Family::Memcached, Some("password")),
    ("CACHE_REDIS_URL", Family::Redis, None),
    ("CACHE_REDIS_HOST", Family::Redis, None),
    ("CACHE_REDIS_PORT", Family::Redis, None),
    ("CACHE_REDIS_PASSWORD", Family::Redis, Some("password")),
    ("CACHE_REDIS_DB", Family::Redis, Some("database")),
    ("CACHE_REDIS_SENTINELS", Family::Redis, None),
    ("CACHE_REDIS_SENTINEL_MASTER", Family::Redis, None),
    ("CACHE_REDIS_SENTINEL_PASSWORD", Family::Redis, Some("sentinel_password")),
    ("CACHE_REDIS_CLUSTER", Family::Redis, None),
];

/// Those that change nothing, the values that ask for what is so in any case, and why there are no others.
const INERT: &[(&str, Accepts, &str)] = &[
    ("CACHE_NO_NULL_WARNING", Accepts::YesOrNo, r#""true" or "false"; nothing warns of it"#),
    (
        "CACHE_ENABLE_SIGNALS",
        Accepts::YesOrNo,
        r#""true" or "false"; an observer is given in code (`CacheBuilder::observer`)"#,
    ),
    ("CACHE_IGNORE_ERRORS", Accepts::No, "false: each call returns its error, and a key that is absent is none"),
    ("CACHE_SOURCE_CHECK", Accepts::No, "false: `source_check` is said at `#[memoize]`, `version` at a layer"),
    ("CACHE_FILE_HASH_METHOD", Accepts::Hash("sha256"), "sha256, which names all files"),
    ("CACHE_HASH_METHOD", Accepts::Hash("md5"), "md5; another one is given at a layer (`CacheLayer::hash_method`)"),
    (
        "CACHE_ARGS",
        Accepts::Nothing,
        "no such variable: parameters have names, and are in `CACHE_OPTIONS` or in variables of their own",
    ),
    ("CACHE_UWSGI_NAME", Accepts::Nothing, "no such variable: uWSGI runs no Rust program"),
    ("CACHE_GCS_BUCKET", Accepts::Nothing, "no such variable: there is no backend for Google Cloud Storage so far"),
];

enum Accepts {
    YesOrNo,
    No,
    Hash(&'static str),
    Nothing,
}

impl Accepts {
    fn takes(&self, text: &str) -> bool {
        match self {
            Self::YesOrNo => units::yes_or_no(text).is_some(),
            Self::No => units::yes_or_no(text) == Some(false),
            Self::Hash(name) => text.rsplit('.').next() == Some(name),
            Self::Nothing => false,
        }
    }
}

/// Takes out what changes nothing.
pub(super) fn inert(vars: &mut Vars) -> Result<()> {
    for (name, accepts, expected) in INERT {
        if let Some(text) = vars.take(name).filter(|text| !accepts.takes(text)) {
            return Err(match accepts {
                Accepts::Nothing => wrong(format!("`{name}` is set; expected {expected}")),
                _ => Parameter::of_variable("", text, name).wrong(expected),
            });
        }
    }
    Ok(())
}

/// Whose it is, and what parameter it is there.
pub(super) fn parameter(name: &str) -> Option<(Family, Option<&'static str>)> {
    OF_BACKENDS.iter().find(|(known, ..)| *known == name).map(|(_, family, key)| (*family, *key))
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OF_BACKENDS.iter().map(|(name, ..)| *name).chain(INERT.iter().map(|(name, ..)| *name))
}

pub(super) fn types_of(family: Family) -> &'static str {
    match family {
        Family::Memory => "SimpleCache (`memory://`)",
        Family::Null => "NullCache (`null://`)",
        Family::File => "FileSystemCache (`file://`)",
        Family::Memcached => "MemcachedCache (`memcached://`)",
        Family::Redis => "RedisCache (`redis://`)",
    }
}
