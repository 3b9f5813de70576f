//! The backends that a configuration can name, a file each.

#[cfg(all(feature = "file", unix))]
mod file;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "memory")]
mod memory;
mod null;
#[cfg(feature = "redis")]
mod redis;
pub(super) mod tiers;

use std::sync::Arc;

use super::{
    address::Address,
    parameters::{self, unknown, wrong},
    settings,
};
use crate::{
    backend::Backend,
    clock::Clock,
    error::{Error, Result},
};

/// Makes a backend, by this clock if it goes by one.
pub(super) type Make = Box<dyn FnOnce(Option<&Clock>) -> Result<Arc<dyn Backend>>>;

/// Reads an address as its backend understands it. Nothing is opened, and nobody is connected to.
pub(super) type Read = fn(&mut Address) -> Result<Make>;

/// One way to begin a URL.
pub(super) struct Scheme {
    pub(super) name: &'static str,
    /// What such a URL looks like.
    pub(super) form: &'static str,
    /// What it is made for; parameters of one are for all of a family.
    pub(super) family: Family,
    /// Without a network: an `@` is no sign of a user.
    pub(super) is_local: bool,
    /// The parameters, beside those of every cache.
    pub(super) keys: &'static [&'static str],
    feature: &'static str,
    /// Where the feature is.
    read: Option<Read>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Memory,
    Null,
    File,
    Memcached,
    Redis,
}

#[cfg(feature = "memory")]
const MEMORY: Option<Read> = Some(memory::read);
#[cfg(not(feature = "memory"))]
const MEMORY: Option<Read> = None;
#[cfg(all(feature = "file", unix))]
const FILE: Option<Read> = Some(file::read);
#[cfg(not(all(feature = "file", unix)))]
const FILE: Option<Read> = None;
#[cfg(feature = "memcached")]
const MEMCACHED: Option<Read> = Some(memcached::read);
#[cfg(not(feature = "memcached"))]
const MEMCACHED: Option<Read> = None;

#[cfg(feature = "redis")]
const REDIS: Option<Read> = Some(redis::read);
#[cfg(not(feature = "redis"))]
const REDIS: Option<Read> = None;
const REDIS_TLS: Option<Read> = if cfg!(feature = "redis-tls") { REDIS } else { None };

const MEMCACHED_KEYS: &[&str] = &[
    "username",
    "password",
    "login",
    "weights",
    "connect_timeout",
    "timeout",
    "connections",
    "item_limit",
    "split_up_to",
];

/// Those of all kinds of servers; which has what is for its own code to say.
const REDIS_KEYS: &[&str] = &[
    "username",
    "password",
    "database",
    "db",
    "sentinel_username",
    "sentinel_password",
    "replicas",
    "read_from_replicas",
    "scripts",
    "connect_timeout",
    "response_timeout",
    "max_value_bytes",
    "sentinel_tls",
    "tls_root",
    "tls_certificate",
    "tls_key",
];

const fn plain(name: &'static str, form: &'static str) -> Scheme {
    let (family, keys) = (Family::Redis, REDIS_KEYS);
    Scheme { name, form, family, is_local: false, keys, feature: "the feature `redis`", read: REDIS }
}

const fn over_tls(name: &'static str, form: &'static str) -> Scheme {
    Scheme { feature: "the feature `redis-tls`", read: REDIS_TLS, ..plain(name, form) }
}

pub(super) const SCHEMES: &[Scheme] = &[
    Scheme {
        name: "memory",
        form: "memory://?max_bytes=64MiB&max_entries=10000",
        family: Family::Memory,
        is_local: true,
        keys: &["max_bytes", "max_entries", "threshold", "lag", "backplane"],
        feature: "the feature `memory`",
        read: MEMORY,
    },
    Scheme {
        name: "null",
        form: "null://",
        family: Family::Null,
        is_local: true,
        keys: &[],
        feature: "",
        read: Some(null::read),
    },
    Scheme {
        name: "file",
        form: "file:///var/cache/app?max_bytes=1GiB",
        family: Family::File,
        is_local: true,
        keys: &["max_bytes", "max_entries", "threshold", "sync", "mode", "hash_method"],
        feature: "the feature `file`, and Unix",
        read: FILE,
    },
    Scheme {
        name: "memcached",
        form: "memcached://[user:password@]host[:port][,host[:port]..]",
        family: Family::Memcached,
        is_local: false,
        keys: MEMCACHED_KEYS,
        feature: "the feature `memcached`",
        read: MEMCACHED,
    },
    plain("redis", "redis://[user:password@]host[:port][/database]"),
    over_tls("rediss", "rediss://[user:password@]host[:port][/database]"),
    plain("redis+unix", "redis+unix:///path/of/socket?database=0"),
    plain("redis+sentinel", "redis+sentinel://[user:password@]host[:port][,host..]/master[/database]"),
    over_tls("rediss+sentinel", "rediss+sentinel://[user:password@]host[:port][,host..]/master[/database]"),
    plain("redis+cluster", "redis+cluster://[user:password@]host[:port][,host..]"),
    over_tls("rediss+cluster", "rediss+cluster://[user:password@]host[:port][,host..]"),
];

/// Other ways to write a scheme: as in `CACHE_REDIS_URL`, and the server that Redis became elsewhere.
const ALIASES: &[(&str, &str)] = &[("unix", "redis+unix"), ("valkey", "redis"), ("valkeys", "rediss")];

pub(super) fn scheme(name: &str) -> Option<&'static Scheme> {
    let name = name.to_ascii_lowercase();
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, name)| name);
    SCHEMES.iter().find(|scheme| scheme.name == name)
}

/// What makes the backend of this address, all of whose parameters mean something to it.
fn read(address: Address) -> Result<Make> {
    let read = address.scheme.read;
    // Without its feature it is refused before.
    checked(address, |address| read.map_or_else(|| Err(wrong("there is no such backend")), |read| read(address)))
}

/// What is read of this address, which has to be all there is to read.
fn checked<T>(mut address: Address, read: impl FnOnce(&mut Address) -> Result<T>) -> Result<T> {
    let scheme = address.scheme;
    let whose = format!("{}://", scheme.name);
    let known: Vec<_> = scheme.keys.iter().copied().chain(settings::keys()).collect();
    if let Some(parameter) = address.parameters.0.iter().find(|it| !known.contains(&it.key.as_str())) {
        return Err(unknown(parameter, &whose, &known));
    }
    if scheme.read.is_none() {
        return Err(wrong(format!("{whose} needs {}", scheme.feature)));
    }
    let read = read(&mut address)?;
    match address.parameters.0.first() {
        None => Ok(read),
        Some(parameter) => Err(wrong(format!("{parameter} means nothing here: {whose} has it for other servers"))),
    }
}

/// Whether there is a parameter of this name anywhere.
pub(super) fn has_key(key: &str) -> bool {
    keys().any(|known| known == key)
}

pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    settings::keys().chain(SCHEMES.iter().flat_map(|scheme| scheme.keys.iter().copied()))
}

/// Who asks: what stands before the `@`, or in parameters of these names, but not in both.
pub(super) fn log_in(address: &mut Address) -> Result<(Option<String>, Option<String>)> {
    let mut of = |key: &'static str, text: Option<String>| {
        let before = text.map(|text| parameters::Parameter::new(key, text));
        address.parameters.0.extend(before);
        address.parameters.text(key)
    };
    Ok((of("username", address.username.take())?, of("password", address.password.take())?))
}

pub(super) fn no_host(address: &Address) -> Error {
    wrong(format!("{}:// has no host: expected `{}`", address.scheme.name, address.scheme.form))
}

/// That a URL makes this builder, as far as `Debug` tells.
#[cfg(all(test, any(feature = "memory", feature = "file", feature = "memcached", feature = "redis")))]
fn same<B: std::fmt::Debug>(url: &str, read: fn(&mut Address) -> Result<B>, expected: B) {
    let mut address = Address::parse(url).expect(url);
    assert_eq!(format!("{:?}", read(&mut address).expect(url)), format!("{expected:?}"), "{url}");
    assert!(address.parameters.0.is_empty(), "{url} leaves {:?}", address.parameters);
}
