//! `CACHE_TYPE`, and where the backend of that type is.

use super::Vars;
use crate::{
    config::{
        address::{Address, Host, hosts_of},
        backends,
        near::nearest,
        parameters::{Parameter, wrong},
    },
    error::Result,
};

/// The types, in small letters and without `Cache` behind them, and the schemes that they are here.
const TYPES: &[(&str, &str)] = &[
    ("null", "null"),
    ("simple", "memory"),
    ("memory", "memory"),
    ("filesystem", "file"),
    ("redis", "redis"),
    ("valkey", "redis"),
    ("redissentinel", "redis+sentinel"),
    ("rediscluster", "redis+cluster"),
    ("memcached", "memcached"),
    ("saslmemcached", "memcached"),
    ("spreadsaslmemcached", "memcached"),
];

/// Types that are not here.
const NONE: &[(&str, &str)] = &[
    ("uwsgi", "uWSGI runs no Rust program"),
    ("gaememcached", "App Engine's memcached has no client outside Python 2"),
    ("googlecloudstorage", "there is none so far; implement `Backend`"),
    ("dynamodb", "there is none so far; implement `Backend`"),
    ("mongodb", "there is none so far; implement `Backend`"),
];

const EXPECTED: &str = "NullCache, SimpleCache, FileSystemCache, RedisCache, RedisSentinelCache, RedisClusterCache, \
                        MemcachedCache, SASLMemcachedCache or SpreadSASLMemcachedCache, or a URL in `CACHE_URL`";

/// As many pieces of 1 MiB as Flask-Caching splits values into.
const SPREAD: &str = "32MiB";

pub(super) struct Kind {
    name: &'static str,
    scheme: &'static str,
}

impl Kind {
    /// `SimpleCache`, with or without the module it is in, or `simple` as it was called once.
    pub(super) fn of(text: &str) -> Result<Self> {
        let (module, class) = text.rsplit_once('.').unwrap_or(("", text));
        if !module.is_empty() && !["flask_caching", "cachelib"].iter().any(|known| module.starts_with(known)) {
            return Err(wrong(
                "`CACHE_TYPE` names a class of its own: such a backend is given in code (`Cache::builder`)",
            ));
        }
        let class = class.to_ascii_lowercase();
        let class = class.strip_suffix("cache").unwrap_or(&class);
        if let Some((name, scheme)) = TYPES.iter().find(|(name, _)| *name == class) {
            return Ok(Self { name, scheme });
        }
        if let Some((_, why)) = NONE.iter().find(|(name, _)| *name == class) {
            return Err(wrong(format!("`CACHE_TYPE` is {text}: {why}")));
        }
        let meant = nearest(class, TYPES.iter().map(|(name, _)| *name));
        let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        Err(wrong(format!("`CACHE_TYPE` is no type of backend{meant}; expected {EXPECTED}")))
    }

    /// Whether this is what the address is of.
    pub(super) fn names(&self, address: &Address) -> bool {
        self.schemes().contains(&address.scheme.name)
    }

    /// What a URL of this type begins with.
    pub(super) fn expected(&self) -> String {
        let all: Vec<_> = self.schemes().iter().map(|scheme| format!("{scheme}://")).collect();
        match all.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => all.concat(),
        }
    }

    fn schemes(&self) -> &[&'static str] {
        match self.scheme {
            "redis" => &["redis", "rediss", "redis+unix"],
            "redis+sentinel" => &["redis+sentinel", "rediss+sentinel"],
            "redis+cluster" => &["redis+cluster", "rediss+cluster"],
            _ => std::slice::from_ref(&self.scheme),
        }
    }

    /// Where the backend is, as the variables of its family say, or the defaults of Flask-Caching.
    pub(super) fn address(&self, vars: &mut Vars) -> Result<Address> {
        match self.scheme {
            "file" => {
                let mut address = self.empty()?;
                let directory = vars.take("CACHE_DIR");
                address.path = directory.ok_or_else(|| {
                    wrong("`CACHE_TYPE` is FileSystemCache, and there is no `CACHE_DIR`; expected the path of a directory")
                })?;
                Ok(address)
            }
            "memcached" => self.memcached(vars),
            "redis" => match vars.take("CACHE_REDIS_URL") {
                Some(url) => self.redis_url(&url),
                None => self.redis(vars),
            },
            "redis+sentinel" => {
                let mut address = self.empty()?;
                address.hosts = hosts(vars, "CACHE_REDIS_SENTINELS", Some("127.0.0.1:26379"))?;
                let master = vars.take("CACHE_REDIS_SENTINEL_MASTER");
                address.path = format!("/{}", master.as_deref().unwrap_or("mymaster"));
                Ok(address)
            }
            "redis+cluster" => match vars.take("CACHE_REDIS_URL") {
                Some(url) => self.redis_url(&url),
                None => Ok(Address { hosts: hosts(vars, "CACHE_REDIS_CLUSTER", None)?, ..self.empty()? }),
            },
            _ => self.empty(),
        }
    }

    fn empty(&self) -> Result<Address> {
        let scheme = backends::scheme(self.scheme);
        scheme.map(Address::of).ok_or_else(|| wrong(format!("`CACHE_TYPE`: there is no {}://", self.scheme)))
    }

    fn memcached(&self, vars: &mut Vars) -> Result<Address> {
        let mut address = self.empty()?;
        address.hosts = hosts(vars, "CACHE_MEMCACHED_SERVERS", Some("127.0.0.1:11211"))?;
        for name in ["CACHE_MEMCACHED_USERNAME", "CACHE_MEMCACHED_PASSWORD"] {
            if self.name == "saslmemcached" && !vars.0.contains_key(name) {
                return Err(wrong(format!("`CACHE_TYPE` is SASLMemcachedCache, and there is no `{name}`")));
            }
        }
        if self.name == "spreadsaslmemcached" {
            address.parameters.0.push(Parameter::new("split_up_to", SPREAD));
        }
        Ok(address)
    }

    fn redis(&self, vars: &mut Vars) -> Result<Address> {
        let mut address = self.empty()?;
        let port = vars.take("CACHE_REDIS_PORT").map(|text| Parameter::of_variable("", text, "CACHE_REDIS_PORT"));
        let port = port
            .map(|it| it.text.parse().ok().filter(|port| *port > 0).ok_or_else(|| it.wrong("a port from 1 to 65535")));
        let port = port.transpose()?;
        match hosts(vars, "CACHE_REDIS_HOST", Some("localhost"))?.as_slice() {
            [Host { name, port: None }] => address.hosts = vec![Host { name: name.clone(), port }],
            _ => {
                return Err(wrong(
                    "`CACHE_REDIS_HOST` is not one host without a port; the port is in `CACHE_REDIS_PORT`",
                ));
            }
        }
        Ok(address)
    }

    fn redis_url(&self, url: &str) -> Result<Address> {
        let mut address = Address::parse(url).map_err(|error| wrong(format!("`CACHE_REDIS_URL`: {}", error.text())))?;
        let name = match (self.scheme, address.scheme.name) {
            ("redis", "redis" | "rediss" | "redis+unix") => return Ok(address),
            ("redis+cluster", "redis" | "redis+cluster") => "redis+cluster",
            ("redis+cluster", "rediss" | "rediss+cluster") => "rediss+cluster",
            _ => {
                return Err(wrong(
                    "`CACHE_REDIS_URL` is not what `CACHE_TYPE` says; expected redis://, rediss:// or unix://",
                ));
            }
        };
        address.scheme = backends::scheme(name).unwrap_or(address.scheme);
        Ok(address)
    }
}

fn hosts(vars: &mut Vars, variable: &str, default: Option<&str>) -> Result<Vec<Host>> {
    let text = vars.take(variable).or(default.map(String::from));
    let text =
        text.ok_or_else(|| wrong(format!("there is no `{variable}`; expected hosts, as `host:port,host:port`")))?;
    hosts_of(&text).map_err(|error| wrong(format!("`{variable}`: {}", error.text())))
}
