use std::sync::Arc;

use super::{Address, Make, log_in, no_host};
use crate::{
    backend::{MemcachedBackend, MemcachedBackendBuilder},
    config::{parameters::wrong, settings::set, units},
    error::Result,
};

pub(super) fn read(address: &mut Address) -> Result<Make> {
    let builder = builder(address)?;
    Ok(Box::new(move |clock| Ok(Arc::new(set(builder, clock.cloned(), MemcachedBackendBuilder::clock).build()?))))
}

fn builder(address: &mut Address) -> Result<MemcachedBackendBuilder> {
    let (username, password) = log_in(address)?;
    let builder = servers(address)?;
    let given = &mut address.parameters;
    let builder = set(builder, given.timeout("connect_timeout")?, MemcachedBackendBuilder::connect_timeout);
    let builder = set(builder, given.timeout("timeout")?, MemcachedBackendBuilder::timeout);
    let builder = set(builder, given.count(&["connections"])?, MemcachedBackendBuilder::connections);
    let builder = set(builder, given.bytes("item_limit")?, MemcachedBackendBuilder::item_limit);
    let builder = set(builder, given.bytes("split_up_to")?, MemcachedBackendBuilder::split_up_to);
    let is_ascii =
        given.read(&["login"], r#""sasl" for servers with -S, or "ascii" for servers with -Y"#, |it| match it {
            "sasl" => Some(false),
            "ascii" => Some(true),
            _ => None,
        })?;
    match (username, password) {
        (Some(username), Some(password)) if is_ascii == Some(true) => Ok(builder.ascii_auth(username, password)),
        (Some(username), Some(password)) => Ok(builder.sasl(username, password)),
        (None, None) if is_ascii.is_none() => Ok(builder),
        _ => Err(wrong("memcached:// has a user and a password, or neither of them")),
    }
}

/// Hosts, or the one socket whose path it is.
fn servers(address: &mut Address) -> Result<MemcachedBackendBuilder> {
    let weights: Option<Vec<u32>> = address.parameters.read(
        &["weights"],
        "whole numbers from 1 with commas between, one for each host",
        |text| text.split(',').map(|weight| units::count(weight.trim())).collect(),
    )?;
    let servers = if address.hosts.is_empty() {
        match address.path.as_str() {
            "" | "/" => return Err(no_host(address)),
            path => vec![path.to_owned()],
        }
    } else {
        address.has_no_path()?;
        address.hosts.iter().map(ToString::to_string).collect()
    };
    let weights = weights.unwrap_or_else(|| vec![1; servers.len()]);
    if weights.len() != servers.len() {
        let (weights, servers) = (weights.len(), servers.len());
        return Err(wrong(format!("`weights` has {weights} numbers, and there are {servers} hosts")));
    }
    let pairs = servers.into_iter().zip(weights);
    Ok(pairs.fold(MemcachedBackend::builder(), |builder, (server, weight)| builder.weighted_server(server, weight)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::backends::same;

    #[test]
    fn each_parameter_of_memcached_is_its_method() {
        let of = || MemcachedBackend::builder().server("a");
        let ms = Duration::from_millis;
        same("memcached://a", builder, of());
        same("memcached://a/", builder, of());
        same("memcached://a,b:1,[::1]:2", builder, of().server("b:1").server("[::1]:2"));
        same("memcached:///run/m.sock", builder, MemcachedBackend::builder().server("/run/m.sock"));
        same("memcached://a,b?weights=1,3", builder, of().weighted_server("b", 3));
        same("memcached://a?connect_timeout=9ms", builder, of().connect_timeout(ms(9)));
        same("memcached://a?timeout=9ms", builder, of().timeout(ms(9)));
        same("memcached://a?connections=3", builder, of().connections(3));
        same("memcached://a?item_limit=2MiB", builder, of().item_limit(2 << 20));
        same("memcached://a?split_up_to=2MiB", builder, of().split_up_to(2 << 20));
    }

    #[test]
    fn who_asks_is_before_the_host_or_in_parameters() {
        let secrets = |text: &str| {
            let mut address = Address::parse(text).expect("a URL");
            let log_in = log_in(&mut address).expect("one user");
            (log_in.0.unwrap_or_default(), log_in.1.unwrap_or_default())
        };
        let expected = ("ada".to_owned(), "p@ss:/?#".to_owned());
        assert_eq!(secrets("memcached://ada:p%40ss%3A%2F%3F%23@a"), expected);
        assert_eq!(secrets("memcached://ada:p%40ss:%2F%3F%23@a"), expected);
        assert_eq!(secrets("memcached://a?username=ada&password=p%40ss:/?%23"), expected);
        assert_eq!(secrets("memcached://ada@a?password=p%40ss:/?%23"), expected);
        let of = || MemcachedBackend::builder().server("a");
        same("memcached://ada:x@a", builder, of().sasl("ada", "x"));
        same("memcached://ada:x@a?login=sasl", builder, of().sasl("ada", "x"));
        same("memcached://ada:x@a?login=ascii", builder, of().ascii_auth("ada", "x"));
    }
}
