//! How a connection is made: to one server, to the master that sentinels name, or to a cluster.

use std::{sync::Arc, time::Duration};

#[cfg(feature = "memory")]
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind as Kind, ProtocolVersion, PushInfo, PushKind, RedisError,
    RedisResult, cluster::ClusterClient, sentinel::SentinelServerType,
};

use super::{
    health::Health,
    sentinel::Sentinels,
    wire::{Connection, Wire},
};

/// Where to connect to.
#[derive(Clone)]
pub(super) enum Source {
    Server(Box<Client>),
    Sentinel(Arc<Sentinels>, Role),
    /// And some of its nodes, each by itself.
    Cluster(
        Box<ClusterClient>,
        #[cfg_attr(not(feature = "memory"), expect(dead_code, reason = "only a backplane asks one of them"))]
        Arc<[Client]>,
    ),
}

/// Which of the servers that sentinels watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Master,
    Replica,
}

/// How long is waited, for a connection and for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    pub(super) connect: Duration,
    pub(super) response: Duration,
}

impl Source {
    pub(super) async fn connect(&self, waits: Waits) -> RedisResult<Wire> {
        #[cfg(feature = "redis-tls")]
        super::tls::choose_provider();
        let health = Arc::new(Health::new(waits.response));
        let connection = match self {
            Self::Server(client) => to_server(client, waits, &health).await?,
            Self::Sentinel(sentinels, role) => {
                let client = ask_sentinels(sentinels, *role).await?;
                to_server(&client, waits, &health).await?
            }
            Self::Cluster(client, _) => Connection::Cluster(client.get_async_connection().await?),
        };
        Ok(Wire::new(connection, health))
    }

    /// A connection to one server, which hands on what that says unasked. What is published in a cluster, each of its
    /// nodes says.
    #[cfg(feature = "memory")]
    pub(super) async fn listening(
        &self,
        waits: Waits,
        push: impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static,
    ) -> RedisResult<MultiplexedConnection> {
        #[cfg(feature = "redis-tls")]
        super::tls::choose_provider();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(waits.connect))
            .set_response_timeout(Some(waits.response))
            .set_push_sender(push);
        match self {
            Self::Server(client) => client.get_multiplexed_async_connection_with_config(&config).await,
            Self::Sentinel(sentinels, role) => {
                let client = ask_sentinels(sentinels, *role).await?;
                client.get_multiplexed_async_connection_with_config(&config).await
            }
            Self::Cluster(_, nodes) => {
                let mut last = None;
                for node in nodes.iter() {
                    match node.get_multiplexed_async_connection_with_config(&config).await {
                        Err(error) => last = Some(error),
                        connected => return connected,
                    }
                }
                Err(last.unwrap_or_else(|| RedisError::from((Kind::InvalidClientConfig, "a cluster without nodes"))))
            }
        }
    }

    /// Several steps, each of which may wait for `connect`, are made.
    pub(super) fn steps(&self) -> u32 {
        match self {
            Self::Server(_) => 2,
            Self::Sentinel(..) | Self::Cluster(..) => 4,
        }
    }
}

/// Sentinels are few and asked seldom, so their connections are not kept: they would belong to one runtime.
async fn ask_sentinels(sentinels: &Sentinels, role: Role) -> RedisResult<Client> {
    let kind = match role {
        Role::Master => SentinelServerType::Master,
        Role::Replica => SentinelServerType::Replica,
    };
    let client = sentinels.builder(kind)?.build()?.async_get_client().await?;
    Client::open(speaking(client.get_connection_info(), ProtocolVersion::RESP3))
}

/// With RESP3 the client tells when a connection is closed, so that no call is made on one that is. An older server,
/// or a proxy that does not know `HELLO`, is spoken to in RESP2.
async fn to_server(client: &Client, waits: Waits, health: &Arc<Health>) -> RedisResult<Connection> {
    let info = client.get_connection_info();
    if !info.redis_settings().protocol().supports_resp3() {
        return open(client, waits, None).await;
    }
    match open(client, waits, Some(health)).await {
        Err(error) if is_too_old(&error) => {
            open(&Client::open(speaking(info, ProtocolVersion::RESP2))?, waits, None).await
        }
        other => other,
    }
}

async fn open(client: &Client, waits: Waits, health: Option<&Arc<Health>>) -> RedisResult<Connection> {
    // Neither is left to the client's defaults. Writes have no end of their own: one that was given up may arrive
    // later, and nothing may be stored under its key before that.
    let mut config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(waits.connect)).set_response_timeout(None);
    if let Some(health) = health {
        let health = Arc::clone(health);
        config = config.set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                health.lost();
            }
            Ok::<(), ()>(())
        });
    }
    let writes = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut reads = writes.clone();
    reads.set_response_timeout(waits.response);
    Ok(Connection::Server { reads, writes })
}

pub(super) fn is_too_old(error: &RedisError) -> bool {
    error.kind() == Kind::RESP3NotSupported
        || !error.is_io_error()
            && error.kind() != Kind::AuthenticationFailed
            && error.detail().is_some_and(|detail| detail.contains("HELLO") || detail.contains("unknown command"))
}

/// The same server, in another protocol, and without telling it which client this is: it may be forbidden to.
pub(super) fn speaking(info: &ConnectionInfo, protocol: ProtocolVersion) -> ConnectionInfo {
    let redis = info.redis_settings().clone().set_protocol(protocol).set_skip_set_lib_name();
    info.clone().set_redis_settings(redis)
}
