//! The settings of a [`RedisBackend`].

use std::{fmt, sync::Arc, time::Duration};

use redis::ConnectionInfo;

use super::{
    Inner, RedisBackend,
    address::{self, Access},
    link::Link,
    rungs::Rungs,
    sentinel::Sentinels,
    source::{Role, Source, Waits},
};
use crate::error::{Error, ErrorKind, Result};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an answer may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a Redis server takes, if nobody has told it otherwise (`proto-max-bulk-len`).
const MAX_VALUE: usize = 512 << 20;

/// Settings of a [`RedisBackend`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use axum_caching::{ErrorKind, RedisBackend};
///
/// let backend = RedisBackend::builder("redis://cache.internal")
///     .username("shop")
///     .password("secret")
///     .database(2)
///     .response_timeout(Duration::from_millis(500))
///     .build()?;
/// assert!(!format!("{backend:?}").contains("secret"));
///
/// let error = RedisBackend::builder("cache.internal:secret@").build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// assert!(!error.to_string().contains("secret"));
/// # Ok::<(), axum_caching::Error>(())
/// ```
#[must_use = "call `build`"]
pub struct RedisBackendBuilder {
    target: Target,
    access: Access,
    sentinel_username: Option<String>,
    sentinel_password: Option<String>,
    tls: bool,
    replicas: Vec<String>,
    read_from_replicas: bool,
    scripts: bool,
    waits: Waits,
    max_value: usize,
}

pub(super) enum Target {
    Url(String),
    Info(Box<ConnectionInfo>),
    Sentinel { master: String, sentinels: Vec<String> },
    Cluster(Vec<String>),
}

impl RedisBackendBuilder {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            access: Access::default(),
            sentinel_username: None,
            sentinel_password: None,
            tls: false,
            replicas: Vec::new(),
            read_from_replicas: false,
            scripts: true,
            waits: Waits { connect: CONNECT_TIMEOUT, response: RESPONSE_TIMEOUT },
            max_value: MAX_VALUE,
        }
    }

    /// The user of the server's ACL. What the URL says by default, or else the server's default user. One without a
    /// password logs in with an empty one, which a server takes for a user that needs none (`nopass`).
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.access.username = Some(username.into());
        self
    }

    /// The password, as it is: here nothing has to be percent-encoded. What the URL says by default.
    #[doc(alias = "CACHE_REDIS_PASSWORD")]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.access.password = Some(password.into());
        self
    }

    /// The number of the database. What the URL says by default, or else 0.
    #[doc(alias = "CACHE_REDIS_DB")]
    pub fn database(mut self, database: u32) -> Self {
        self.access.database = Some(database);
        self
    }

    /// The user with whom sentinels are asked. None by default. Where there are no sentinels it is an error.
    pub fn sentinel_username(mut self, username: impl Into<String>) -> Self {
        self.sentinel_username = Some(username.into());
        self
    }

    /// The password with which sentinels are asked. None by default: it is not that of the server. Where there are no
    /// sentinels it is an error.
    #[doc(alias = "CACHE_REDIS_SENTINEL_PASSWORD")]
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// Whether the servers that sentinels name, or the nodes of a cluster that are named without a scheme, are spoken to
    /// over TLS. `false` by default. A URL says it by `rediss://`; one that does not is an error beside `tls(true)`.
    #[cfg(feature = "redis-tls")]
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// The certificates that are trusted, as PEM, in place of those of the operating system.
    #[cfg(feature = "redis-tls")]
    pub fn tls_root(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.access.root = Some(pem.into());
        self
    }

    /// The certificate and the key that show who this client is, as PEM. None by default.
    #[cfg(feature = "redis-tls")]
    pub fn tls_identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.access.identity = Some((certificate.into(), key.into()));
        self
    }

    /// A replica of the one server, which is read from in its place. Several are asked in turn. One that is not connected
    /// is passed over, and so is one that does not answer within a quarter of
    /// [`response_timeout`](Self::response_timeout): the server itself is read then. None by default.
    ///
    /// Entries are as old then as the replica is behind: after a purge was acknowledged they are still served until the
    /// replica has heard of it. Nothing is stored over what was purged all the same. What decides whether an entry holds,
    /// tags and the stamps of functions, is always read from the master: every key with `@t/` in it.
    pub fn replica(mut self, url: impl Into<String>) -> Self {
        self.replicas.push(url.into());
        self
    }

    /// Whether the replicas that sentinels or a cluster name are read from: see [`replica`](Self::replica). `false` by
    /// default.
    pub fn read_from_replicas(mut self, read: bool) -> Self {
        self.read_from_replicas = read;
        self
    }

    /// Whether compare-and-set is used, which is one small Lua script on one key. `true` by default; where the server
    /// or the rights of the user do not allow it, that is found out with the first connection.
    ///
    /// All processes that share entries should have it or not have it.
    pub fn scripts(mut self, scripts: bool) -> Self {
        self.scripts = scripts;
        self
    }

    /// How long a connection may take, the handshake included. One second by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.waits.connect = timeout;
        self
    }

    /// How long an answer may take. Two seconds by default; callers wait as long as
    /// [`backend_timeout`](crate::CacheBuilder::backend_timeout) says, if that is less.
    ///
    /// In a cluster it is twice as long, since a call may have to go to another node.
    ///
    /// A connection that owes answers for longer is left, and made anew. A write that was sent over it is waited for until
    /// the old one answers or is closed, in the background: it may still arrive.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.waits.response = timeout;
        self
    }

    /// How long a value may be, in bytes. 512 MiB by default, which is what a server takes (`proto-max-bulk-len`); it
    /// closes the connection of whoever sends more.
    ///
    /// What is longer is [`ErrorKind::TooLarge`].
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// The backend. It connects when it is first asked, so a server that is down now is no error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an address that is none, and for settings that do not go together. The text does not
    /// repeat what may have a password in it.
    pub fn build(self) -> Result<RedisBackend> {
        if self.waits.connect.is_zero() || self.waits.response.is_zero() {
            return Err(config("a time-out of zero: nothing would ever be in time"));
        }
        let replica_waits = Waits { response: (self.waits.response / 4).max(Duration::from_millis(1)), ..self.waits };
        let rungs = Arc::new(Rungs::default());
        let primary = |source| Link::new(source, self.waits, Some(Arc::clone(&rungs)));
        let replica = |source| Link::new(source, replica_waits, None);
        if !self.replicas.is_empty() && !matches!(self.target, Target::Url(_) | Target::Info(_)) {
            return Err(config("`replica` is for one server; for others there is `read_from_replicas`"));
        }
        let names_sentinel = self.sentinel_username.is_some() || self.sentinel_password.is_some();
        if names_sentinel && !matches!(self.target, Target::Sentinel { .. }) {
            return Err(config(
                "`sentinel_username` and `sentinel_password` are for sentinels, and there are none: a server's are \
                 `username` and `password`",
            ));
        }
        let (what, link, mut replicas) = match &self.target {
            Target::Url(_) | Target::Info(_) if self.read_from_replicas => {
                return Err(config("one server does not name its replicas: name them with `replica`"));
            }
            Target::Url(url) => {
                let info = self.access.applied(address::server(url, self.tls)?)?;
                (address::shown(&info), primary(address::source(info)?), Vec::new())
            }
            Target::Info(info) => {
                let info = self.access.applied(address::agreeing((**info).clone(), self.tls)?)?;
                (address::shown(&info), primary(address::source(info)?), Vec::new())
            }
            Target::Sentinel { master, sentinels } => {
                let found = Arc::new(self.sentinels(master, sentinels)?);
                let replicas = self.read_from_replicas;
                let replicas = replicas.then(|| replica(Source::Sentinel(Arc::clone(&found), Role::Replica)));
                let what = format!("{master} of {} sentinels", sentinels.len());
                (what, primary(Source::Sentinel(found, Role::Master)), replicas.into_iter().collect())
            }
            Target::Cluster(seeds) => {
                let of = |waits, replicas| address::cluster(seeds, &self.access, self.tls, waits, replicas);
                let replicas = self.read_from_replicas.then(|| of(replica_waits, true)).transpose()?.map(replica);
                let masters = primary(of(self.waits, false)?);
                (format!("cluster of {} seeds", seeds.len()), masters, replicas.into_iter().collect())
            }
        };
        for url in &self.replicas {
            let info = self.access.applied(address::server(url, self.tls)?)?;
            replicas.push(replica(address::source(info)?));
        }
        let inner = Inner::new(what, link, replicas, rungs, self.scripts, self.max_value);
        Ok(RedisBackend { inner: Arc::new(inner) })
    }

    fn sentinels(&self, master: &str, sentinels: &[String]) -> Result<Sentinels> {
        if sentinels.is_empty() {
            return Err(config("no sentinel: expected `host:port` of one at least"));
        }
        let addresses = sentinels.iter().map(|sentinel| address::sentinel(sentinel)).collect::<Result<Vec<_>>>()?;
        #[cfg(feature = "redis-tls")]
        if self.access.certificates().is_some() && !self.tls && !addresses.iter().any(address::is_secure) {
            return Err(config(
                "there are certificates, and neither the servers nor the sentinels are spoken to over TLS: expected \
                 `tls(true)` for the servers, or `rediss://..` for the sentinels",
            ));
        }
        Ok(Sentinels {
            master: master.to_owned(),
            addresses,
            server: self.access.settings(),
            tls: self.tls,
            tcp: address::tcp(),
            username: self.sentinel_username.clone(),
            // As the user of a server: without a password nobody would log in.
            password: self.sentinel_password.clone().or_else(|| self.sentinel_username.as_ref().map(|_| String::new())),
            #[cfg(feature = "redis-tls")]
            certificates: self.access.certificates(),
        })
    }
}

pub(super) fn config(text: &'static str) -> Error {
    Error::message(ErrorKind::Config, text)
}

/// Without any text that a user gave: each may have a password in it.
impl fmt::Debug for RedisBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackendBuilder")
            .field("connect_timeout", &self.waits.connect)
            .field("response_timeout", &self.waits.response)
            .field("scripts", &self.scripts)
            .finish_non_exhaustive()
    }
}
