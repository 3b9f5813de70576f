//! Addresses, and who asks there.

use std::time::Duration;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    cluster::ClusterClient, cluster_read_routing::RandomReplicaStrategy, io::tcp::TcpSettings,
};

use super::{
    builder::config,
    source::{Source, Waits, speaking},
};
use crate::error::Result;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

/// A peer that does not even acknowledge what was sent is gone after this. (One that hangs acknowledges.)
const DEAD: Duration = Duration::from_secs(10);

/// Who asks, of which database.
#[derive(Default)]
pub(super) struct Access {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<u32>,
    #[cfg(feature = "redis-tls")]
    pub(super) root: Option<Vec<u8>>,
    #[cfg(feature = "redis-tls")]
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Access {
    /// An address with what was said beside it.
    #[cfg_attr(
        not(feature = "redis-tls"),
        expect(clippy::unnecessary_wraps, reason = "only certificates can be wrong")
    )]
    pub(super) fn applied(&self, info: ConnectionInfo) -> Result<ConnectionInfo> {
        #[cfg(feature = "redis-tls")]
        let info = self.over_tls(info)?;
        let settings = self.over(info.redis_settings().clone());
        Ok(speaking(&info.set_redis_settings(settings).set_tcp_settings(tcp()), ProtocolVersion::RESP3))
    }

    pub(super) fn settings(&self) -> RedisConnectionInfo {
        self.over(RedisConnectionInfo::default())
    }

    fn over(&self, mut settings: RedisConnectionInfo) -> RedisConnectionInfo {
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        // Without a password the client would not log in at all, and be the default user.
        if settings.username().is_some() && settings.password().is_none() {
            settings = settings.set_password("");
        }
        match self.database {
            Some(database) => settings.set_db(database.into()),
            None => settings,
        }
    }

    #[cfg(feature = "redis-tls")]
    pub(super) fn certificates(&self) -> Option<redis::TlsCertificates> {
        (self.root.is_some() || self.identity.is_some()).then(|| redis::TlsCertificates {
            client_tls: self
                .identity
                .clone()
                .map(|(client_cert, client_key)| redis::ClientTlsConfig { client_cert, client_key }),
            root_cert: self.root.clone(),
        })
    }

    #[cfg(feature = "redis-tls")]
    fn over_tls(&self, info: ConnectionInfo) -> Result<ConnectionInfo> {
        let Some(certificates) = self.certificates() else { return Ok(info) };
        if !is_secure(info.addr()) {
            return Err(config("there are certificates, and the address is not `rediss://`"));
        }
        let client = Client::build_with_tls(info, certificates)
            .map_err(|_| config("the certificates or the key are not what they should be: PEM, and a pair"))?;
        Ok(client.get_connection_info().clone())
    }
}

/// One server, by its URL.
pub(super) fn server(url: &str, tls: bool) -> Result<ConnectionInfo> {
    if url.contains("://") {
        let info = url.into_connection_info().map_err(|_| not_an_address())?;
        return agreeing(info, tls);
    }
    let (host, port) = host_and_port(url, PORT)?;
    url_of(host, port, tls).as_str().into_connection_info().map_err(|_| not_an_address())
}

/// An address that says itself whether it is of TLS, and does not say otherwise than what was said beside it.
pub(super) fn agreeing(info: ConnectionInfo, tls: bool) -> Result<ConnectionInfo> {
    if tls && !is_secure(info.addr()) {
        return Err(config(
            "`tls(true)`, and an address that says it is without: expected `rediss://..`, or `host:port`",
        ));
    }
    Ok(info)
}

pub(super) fn is_secure(address: &ConnectionAddr) -> bool {
    matches!(address, ConnectionAddr::TcpTls { .. })
}

fn url_of(host: &str, port: u16, tls: bool) -> String {
    let (scheme, is_v6) = (if tls { "rediss" } else { "redis" }, host.contains(':'));
    if is_v6 { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") }
}

pub(super) fn sentinel(text: &str) -> Result<ConnectionAddr> {
    if text.contains("://") {
        let info = server(text, false)?;
        let settings = info.redis_settings();
        if settings.username().is_some() || settings.password().is_some() {
            return Err(config(
                "the URL of a sentinel has a user or a password in it: expected those of all sentinels beside it, by \
                 `sentinel_username` and `sentinel_password`",
            ));
        }
        if settings.db() != 0 {
            return Err(config("the URL of a sentinel names a database: expected that of the server by `database`"));
        }
        return Ok(info.addr().clone());
    }
    let (host, port) = host_and_port(text, SENTINEL_PORT)?;
    Ok(ConnectionAddr::Tcp(host.to_owned(), port))
}

fn host_and_port(text: &str, default: u16) -> Result<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(default), |port| port.parse().ok()).ok_or_else(not_an_address)?;
    let is_host = !host.is_empty() && !host.contains(['@', '/', '?', '#', ' ']);
    if is_host { Ok((host, port)) } else { Err(not_an_address()) }
}

pub(super) fn source(info: ConnectionInfo) -> Result<Source> {
    Client::open(info).map(|client| Source::Server(Box::new(client))).map_err(|_| not_an_address())
}

/// The client of a cluster sends again what one node did not answer in time, be it an `INCRBY`. So the whole call ends
/// before that, by so much that it does on a busy machine too.
fn of_one_node(waits: Waits) -> Duration {
    waits.response.saturating_mul(5) / 2
}

pub(super) fn cluster(seeds: &[String], access: &Access, tls: bool, waits: Waits, replicas: bool) -> Result<Source> {
    let nodes = seeds.iter().map(|seed| Ok(access.plain(server(seed, tls)?))).collect::<Result<Vec<_>>>()?;
    let mut builder = ClusterClient::builder(nodes)
        .connection_timeout(waits.connect)
        .response_timeout(of_one_node(waits))
        .overall_response_timeout(Some(waits.response.saturating_mul(2)))
        .retries(8)
        .min_retry_wait(5)
        .max_retry_wait(200)
        .tcp_settings(tcp());
    if replicas {
        builder = builder.read_routing_strategy(RandomReplicaStrategy);
    }
    #[cfg(feature = "redis-tls")]
    if let Some(certificates) = access.certificates() {
        builder = builder.certs(certificates);
    }
    let client = builder.build().map_err(|_| {
        config("the seeds of the cluster do not go together: expected one at least, `host:port` or URLs, all of one user, all with TLS or none")
    })?;
    let each = |seed: &String| Client::open(access.applied(server(seed, tls)?)?).map_err(|_| not_an_address());
    let nodes = seeds.iter().map(each).collect::<Result<_>>()?;
    Ok(Source::Cluster(Box::new(client), nodes))
}

impl Access {
    /// Without certificates, which the client of a cluster has for all nodes.
    fn plain(&self, info: ConnectionInfo) -> ConnectionInfo {
        let settings = self.over(info.redis_settings().clone()).set_skip_set_lib_name();
        info.set_redis_settings(settings).set_tcp_settings(tcp())
    }
}

pub(super) fn tcp() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(DEAD);
    #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
    let _ = DEAD;
    settings
}

/// An address as it may be shown: without user and password.
pub(super) fn shown(info: &ConnectionInfo) -> String {
    let at = match info.addr() {
        ConnectionAddr::Tcp(host, port) => format!("redis://{host}:{port}"),
        ConnectionAddr::TcpTls { host, port, .. } => format!("rediss://{host}:{port}"),
        ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
        _ => "redis".to_owned(),
    };
    format!("{at}/{}", info.redis_settings().db())
}

fn not_an_address() -> crate::error::Error {
    config(
        "not an address of a Redis server: expected `redis://[user:password@]host[:port][/database]`, `rediss://..` with \
         the feature `redis-tls`, `unix:///path`, or `host:port`",
    )
}
