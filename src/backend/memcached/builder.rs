use std::{sync::Arc, time::Duration};

use super::{
    Inner, MemcachedBackend,
    address::Address,
    item::OVERHEAD,
    ketama::Ring,
    protocol::Wire,
    server::{Server, Settings},
};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind, Result},
};

/// What memcached takes unless it was started with `-I`.
const ITEM_LIMIT: usize = 1 << 20;

/// The least that `-I` allows, and what a piece of a value has to have room for.
const LEAST_LIMIT: usize = 2 << 10;

/// As much as `-I` allows.
const LARGEST_LIMIT: usize = 1 << 30;

/// So much is read in any case: another program of this backend may have a larger limit. It is kept as it arrives.
pub(super) const LARGEST_READ: usize = 64 << 20;

/// Settings of a [`MemcachedBackend`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use axum_caching::MemcachedBackend;
///
/// let backend = MemcachedBackend::builder()
///     .server("10.0.0.1:11211")
///     .weighted_server("10.0.0.2:11211", 3)
///     .timeout(Duration::from_millis(200))
///     .split_up_to(16 << 20)
///     .build()?;
/// assert!(format!("{backend:?}").contains("10.0.0.2:11211"));
/// # Ok::<(), axum_caching::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct MemcachedBackendBuilder {
    servers: Vec<(String, u32)>,
    settings: Settings,
    item_limit: usize,
    split: usize,
    clock: Clock,
}

impl MemcachedBackendBuilder {
    pub(super) fn new() -> Self {
        let timeout = Duration::from_millis(500);
        let settings =
            Settings { wire: Wire::Meta, log_in: None, connect_timeout: timeout, timeout, connections: 2, largest: 0 };
        Self { servers: Vec::new(), settings, item_limit: ITEM_LIMIT, split: 0, clock: Clock::system() }
    }

    /// One more server, of weight 1: `host`, `host:port`, or the path of a socket. None by default.
    pub fn server(self, server: impl Into<String>) -> Self {
        self.weighted_server(server, 1)
    }

    /// One more server, with a share of the keys by its weight.
    ///
    /// ```
    /// use axum_caching::{ErrorKind, MemcachedBackend};
    ///
    /// let builder = MemcachedBackend::builder().weighted_server("10.0.0.1", 0);
    /// assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Config);
    /// ```
    pub fn weighted_server(mut self, server: impl Into<String>, weight: u32) -> Self {
        self.servers.push((server.into(), weight));
        self
    }

    /// How long a connection may take, with a name that has to be looked up. 500 ms by default.
    ///
    /// It is best below [`backend_timeout`](crate::CacheBuilder::backend_timeout), as is [`timeout`](Self::timeout).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long an answer may take; after that, nothing more is sent on its connection. 500 ms by default.
    ///
    /// A read is then [`ErrorKind::Timeout`]. A change is waited for all the same, until its connection is gone: a server
    /// that hangs may still do it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How many connections each server has from each runtime; 0 counts as 1. 2 by default.
    ///
    /// All callers share them. More of them help where large values go beside small ones.
    pub fn connections(mut self, connections: usize) -> Self {
        self.settings.connections = connections.max(1);
        self
    }

    /// Who this is, for servers that were started with `-Y`. Nobody by default.
    ///
    /// The password goes over the network as it is; there is no TLS. A server without `-Y` is used like any other, since
    /// it answers the same; nobody gets from it what it was told.
    pub fn ascii_auth(self, username: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.log_in(Wire::Meta, username.as_ref(), password.as_ref())
    }

    /// Who this is, for servers that were started with `-S`: SASL with the mechanism PLAIN. Nobody by default.
    ///
    /// Such servers speak the binary protocol alone, and so does this backend then. The password goes over the network as
    /// it is; there is no TLS, and no other mechanism.
    ///
    /// ```
    /// use axum_caching::MemcachedBackend;
    ///
    /// let builder = MemcachedBackend::builder().server("10.0.0.1").sasl("ada", "secret");
    /// assert!(!format!("{builder:?} {:?}", builder.clone().build()?).contains("secret"));
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    #[doc(alias = "SASLMemcachedCache")]
    pub fn sasl(self, username: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.log_in(Wire::Binary, username.as_ref(), password.as_ref())
    }

    fn log_in(mut self, wire: Wire, username: &str, password: &str) -> Self {
        self.settings.wire = wire;
        self.settings.log_in = Some((username.into(), password.into()));
        self
    }

    /// What a server takes: the value that it was started with as `-I`, in bytes. 1 MiB by default, as there.
    ///
    /// Of that, 512 bytes are for the key and what is written beside the value.
    pub fn item_limit(mut self, bytes: usize) -> Self {
        self.item_limit = bytes;
        self
    }

    /// Splits values over the [`item_limit`](Self::item_limit) into pieces, up to this many bytes. 0, which is not at all,
    /// by default.
    ///
    /// What others split is read up to 64 MiB, or this many bytes if they are more; a larger value is a miss, and left alone.
    ///
    /// The pieces are on all servers, so that one that is down costs all such values. Pieces that nothing names any more,
    /// since the value was replaced or purged, are left to expire or to make room.
    #[doc(alias = "SpreadSASLMemcachedCache")]
    pub fn split_up_to(mut self, bytes: usize) -> Self {
        self.split = bytes;
        self
    }

    /// The clock that the exact end of an entry goes by; the clock of the machine by default.
    ///
    /// Machines that share servers are best in step: one that is ahead takes entries for ended so much earlier.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The backend. It does not connect before it is used.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there is no server, one is there twice, has the weight 0 or cannot be one; if a username
    /// or a password cannot be sent; if the item limit is under 2 KiB or over 1 GiB.
    pub fn build(self) -> Result<MemcachedBackend> {
        let mut settings = self.settings;
        check_log_in(&settings)?;
        if !(LEAST_LIMIT..=LARGEST_LIMIT).contains(&self.item_limit) {
            let limit = self.item_limit;
            return wrong(format!("an item limit of {limit} bytes, expected {LEAST_LIMIT} to {LARGEST_LIMIT}"));
        }
        settings.largest = self.item_limit.max(LARGEST_READ) + OVERHEAD;
        let mut servers: Vec<Server> = Vec::with_capacity(self.servers.len());
        let mut places = Vec::with_capacity(self.servers.len());
        for (text, weight) in &self.servers {
            let address = Address::parse(text)?;
            if *weight == 0 {
                return wrong(format!("memcached at {address} has the weight 0, expected 1 or more"));
            }
            if servers.iter().any(|other| other.address == address) {
                return wrong(format!("memcached at {address} is there twice"));
            }
            places.push((address.on_the_ring(), *weight));
            servers.push(Server::new(address, settings.clone()));
        }
        if servers.is_empty() {
            return wrong("no memcached server, expected at least one: `MemcachedBackendBuilder::server`".to_owned());
        }
        let ring = Ring::new(&places);
        let (item_limit, split) = (self.item_limit, self.split);
        Ok(MemcachedBackend(Arc::new(Inner { servers, ring, clock: self.clock, item_limit, split })))
    }
}

fn wrong<T>(why: String) -> Result<T> {
    Err(Error::message(ErrorKind::Config, why))
}

/// Never with what they are.
fn check_log_in(settings: &Settings) -> Result<()> {
    let Some((username, password)) = &settings.log_in else { return Ok(()) };
    let is_too_long = username.len() + password.len() > 500;
    match settings.wire {
        _ if username.is_empty() || is_too_long => {
            wrong("a username without a letter, or too long with its password for memcached".to_owned())
        }
        Wire::Meta if username.contains(' ') || [username, password].iter().any(|text| text.contains(['\r', '\n'])) => {
            wrong(
                "a username with a blank, or one or a password of several lines, cannot be sent to memcached"
                    .to_owned(),
            )
        }
        Wire::Binary if [username, password].iter().any(|text| text.contains('\0')) => {
            wrong("a username or a password with a zero byte cannot be sent to memcached".to_owned())
        }
        _ => Ok(()),
    }
}
