//! What is asked of sentinels.

use redis::{
    ConnectionAddr, RedisConnectionInfo, RedisResult,
    io::tcp::TcpSettings,
    sentinel::{SentinelClientBuilder, SentinelServerType},
};

/// A master by its name, and those who know where it is.
pub(super) struct Sentinels {
    pub(super) master: String,
    pub(super) addresses: Vec<ConnectionAddr>,
    /// What the servers are told; their addresses come from the sentinels.
    pub(super) server: RedisConnectionInfo,
    pub(super) tls: bool,
    pub(super) tcp: TcpSettings,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    #[cfg(feature = "redis-tls")]
    pub(super) certificates: Option<redis::TlsCertificates>,
}

impl Sentinels {
    pub(super) fn builder(&self, kind: SentinelServerType) -> RedisResult<SentinelClientBuilder> {
        let addresses = self.addresses.clone();
        let mut builder = SentinelClientBuilder::new(addresses, &self.master, kind)?
            .set_client_to_redis_db(self.server.db())
            .set_client_to_redis_tcp_settings(self.tcp.clone())
            .set_client_to_sentinel_tcp_settings(self.tcp.clone());
        if let Some(name) = self.server.username() {
            builder = builder.set_client_to_redis_username(name);
        }
        if let Some(password) = self.server.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(name) = &self.username {
            builder = builder.set_client_to_sentinel_username(name);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if self.tls {
            builder = builder.set_client_to_redis_tls_mode(redis::TlsMode::Secure);
        }
        #[cfg(feature = "redis-tls")]
        if let Some(certificates) = &self.certificates {
            if self.tls {
                builder = builder.set_client_to_redis_certificates(certificates.clone());
            }
            if matches!(self.addresses.first(), Some(ConnectionAddr::TcpTls { .. })) {
                builder = builder.set_client_to_sentinel_certificates(certificates.clone());
            }
        }
        Ok(builder)
    }
}
