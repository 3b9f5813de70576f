use std::sync::Arc;

use super::{Address, Make, log_in, no_host};
use crate::{
    backend::{RedisBackend, RedisBackendBuilder},
    config::{
        address::{Host, encoded, hosts_of},
        parameters::{Parameter, Parameters, wrong},
        settings::set,
    },
    error::Result,
};

/// Where a sentinel listens, if nobody says otherwise.
const SENTINEL_PORT: u16 = 26_379;

pub(super) fn read(address: &mut Address) -> Result<Make> {
    let make = backend(address)?;
    Ok(Box::new(|_| Ok(Arc::new(make()?))))
}

/// What makes the backend itself, which has more to it than others.
pub(super) fn backend(address: &mut Address) -> Result<Box<dyn FnOnce() -> Result<RedisBackend>>> {
    let builder = builder(address)?;
    #[cfg(feature = "redis-tls")]
    if let Some(tls) = tls::read(address)? {
        return Ok(Box::new(move || tls.apply(builder)?.build()));
    }
    Ok(Box::new(|| builder.build()))
}

fn builder(address: &mut Address) -> Result<RedisBackendBuilder> {
    let (username, password) = log_in(address)?;
    let (builder, path) = match address.scheme.name {
        "redis+unix" => (socket(address)?, String::new()),
        "redis+sentinel" | "rediss+sentinel" => sentinel(address)?,
        "redis+cluster" | "rediss+cluster" => {
            let builder = RedisBackend::cluster(hosts(address)?);
            (replicas(&mut address.parameters, builder)?, address.path.clone())
        }
        scheme => (server(address, scheme)?, address.path.clone()),
    };
    let builder = set(builder, username, RedisBackendBuilder::username);
    let builder = set(builder, password, RedisBackendBuilder::password);
    let builder = set(builder, database(address, &path)?, RedisBackendBuilder::database);
    let given = &mut address.parameters;
    let builder = set(builder, given.yes_or_no("scripts")?, RedisBackendBuilder::scripts);
    let builder = set(builder, given.timeout("connect_timeout")?, RedisBackendBuilder::connect_timeout);
    let builder = set(builder, given.timeout("response_timeout")?, RedisBackendBuilder::response_timeout);
    Ok(set(builder, given.bytes("max_value_bytes")?, RedisBackendBuilder::max_value_bytes))
}

/// One server, and its replicas.
fn server(address: &mut Address, scheme: &str) -> Result<RedisBackendBuilder> {
    let url = |host: &Host| format!("{scheme}://{host}");
    let [host] = address.hosts.as_slice() else {
        return Err(match address.hosts.len() {
            0 => no_host(address),
            _ => wrong(format!(
                "{scheme}:// has several hosts: a cluster is {scheme}+cluster://, sentinels {scheme}+sentinel://"
            )),
        });
    };
    let replicas = address.parameters.take(&["replicas"])?;
    let replicas = replicas.map(|it| hosts_of(&it.text).map_err(|error| wrong(format!("{it}: {}", error.text()))));
    let replicas = replicas.transpose()?.unwrap_or_default();
    Ok(replicas.iter().fold(RedisBackend::builder(url(host)), |builder, host| builder.replica(url(host))))
}

fn socket(address: &Address) -> Result<RedisBackendBuilder> {
    if !address.hosts.is_empty() || address.path.trim_matches('/').is_empty() {
        return Err(wrong(format!("redis+unix:// is the path of a socket: expected `{}`", address.scheme.form)));
    }
    Ok(RedisBackend::builder(format!("unix://{}", encoded(&address.path))))
}

/// The master's name is the first part of the path.
fn sentinel(address: &mut Address) -> Result<(RedisBackendBuilder, String)> {
    let path = address.path.trim_start_matches('/');
    let (master, database) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        let (name, form) = (address.scheme.name, address.scheme.form);
        return Err(wrong(format!("{name}:// does not say the name of the master: expected `{form}`")));
    }
    let (master, database) = (master.to_owned(), database.to_owned());
    let over_tls = address.parameters.yes_or_no("sentinel_tls")?.unwrap_or_default();
    if over_tls && !cfg!(feature = "redis-tls") {
        return Err(wrong("`sentinel_tls` needs the feature `redis-tls`"));
    }
    let named = |host: &Host| {
        let host = Host { name: host.name.clone(), port: host.port.or(Some(SENTINEL_PORT)) };
        if over_tls { format!("rediss://{host}") } else { host.to_string() }
    };
    if address.hosts.is_empty() {
        return Err(no_host(address));
    }
    let builder = RedisBackend::sentinel(master, address.hosts.iter().map(named));
    let given = &mut address.parameters;
    let builder = set(builder, given.text("sentinel_username")?, RedisBackendBuilder::sentinel_username);
    let builder = set(builder, given.text("sentinel_password")?, RedisBackendBuilder::sentinel_password);
    replicas(given, builder).map(|builder| (builder, database))
}

fn hosts(address: &Address) -> Result<Vec<String>> {
    if address.hosts.is_empty() {
        Err(no_host(address))
    } else {
        Ok(address.hosts.iter().map(Host::to_string).collect())
    }
}

fn replicas(given: &mut Parameters, builder: RedisBackendBuilder) -> Result<RedisBackendBuilder> {
    Ok(set(builder, given.yes_or_no("read_from_replicas")?, RedisBackendBuilder::read_from_replicas))
}

/// In the path, or in a parameter.
fn database(address: &mut Address, path: &str) -> Result<Option<u32>> {
    let path = path.trim_start_matches('/').trim_end_matches('/');
    if !path.is_empty() {
        address.parameters.0.push(Parameter::new("database", path));
    }
    let database =
        address.parameters.read(&["database", "db"], "the number of a database, from 0", |it| it.parse().ok())?;
    if database.is_some_and(|number: u32| number > 0) && address.scheme.name.ends_with("+cluster") {
        return Err(wrong("`database`: a cluster has no other database than 0"));
    }
    Ok(database)
}

#[cfg(feature = "redis-tls")]
mod tls {
    use super::{Address, Parameter, RedisBackendBuilder, Result, wrong};

    /// Certificates, by the paths of their files, and whether the address does not say TLS itself.
    pub(super) struct Tls {
        must_say: bool,
        root: Option<String>,
        identity: Option<(String, String)>,
    }

    pub(super) fn read(address: &mut Address) -> Result<Option<Tls>> {
        if !address.scheme.name.starts_with("rediss") {
            return Ok(None);
        }
        let given = &mut address.parameters;
        let root = given.text("tls_root")?;
        let identity = match (given.text("tls_certificate")?, given.text("tls_key")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(wrong("`tls_certificate` and `tls_key` go together")),
        };
        // The URL of one server says it itself.
        Ok(Some(Tls { must_say: address.scheme.name.contains('+'), root, identity }))
    }

    impl Tls {
        pub(super) fn apply(self, builder: RedisBackendBuilder) -> Result<RedisBackendBuilder> {
            let mut builder = if self.must_say { builder.tls(true) } else { builder };
            if let Some(path) = self.root {
                builder = builder.tls_root(pem("tls_root", &path)?);
            }
            if let Some((certificate, key)) = self.identity {
                builder = builder.tls_identity(pem("tls_certificate", &certificate)?, pem("tls_key", &key)?);
            }
            Ok(builder)
        }
    }

    fn pem(key: &str, path: &str) -> Result<Vec<u8>> {
        let given = Parameter::new(key, path);
        std::fs::read(path).map_err(|error| given.wrong(&format!("the path of a PEM file: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::backends::same;

    #[test]
    fn waits_and_scripts_are_their_methods() {
        let of = || RedisBackend::builder("redis://a");
        let ms = Duration::from_millis;
        same("redis://a", builder, of());
        same("redis://a?connect_timeout=9ms", builder, of().connect_timeout(ms(9)));
        same("redis://a?response_timeout=9ms", builder, of().response_timeout(ms(9)));
        same("redis://a?scripts=false", builder, of().scripts(false));
    }
}
