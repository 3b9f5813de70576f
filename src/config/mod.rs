//! A cache from what stands in a configuration: a URL, a file, or the environment.
#![cfg_attr(
    not(all(feature = "memory", feature = "file", feature = "memcached", feature = "redis", feature = "json")),
    allow(clippy::allow_attributes, dead_code, reason = "each backend uses a part of what is here")
)]

mod address;
mod backends;
mod connect;
mod near;
mod parameters;
mod plan;
mod read;
mod settings;
mod units;
mod vars;

use std::{ffi::OsString, fmt, sync::Arc};

use self::{
    parameters::{Parameters, is_name},
    plan::Tier,
};
use crate::{
    backend::Backend,
    cache::{Cache, CacheBuilder},
    clock::Clock,
    error::Result,
    profile::Profiles,
};

/// A cache as a configuration describes it: a URL, and settings.
///
/// # URLs
///
/// | URL | backend | parameters |
/// |---|---|---|
/// | `memory://` | `MemoryBackend` | `max_bytes`, `max_entries`; `lag`, `backplane` before a second tier |
/// | `null://` | [`NullBackend`](crate::NullBackend) | |
/// | `file:///path` | `FileBackend` in that directory | `max_bytes`, `max_entries`, `sync` |
/// | `memcached://[user:password@]host[:port],host..`, `memcached:///path/of/socket` | `MemcachedBackend` | `username`, `password`, `login` (`sasl`, the default, or `ascii`), `weights` (`1,3`), `connect_timeout`, `timeout`, `connections`, `item_limit`, `split_up_to` |
/// | `redis://[user:password@]host[:port][/database]`, `rediss://..` over TLS | `RedisBackend`, one server | `username`, `password`, `database` (or `db`), `replicas` (hosts with commas between), `scripts`, `connect_timeout`, `response_timeout`, `max_value_bytes`; with TLS `tls_root`, `tls_certificate`, `tls_key`: paths of PEM files |
/// | `redis+unix:///path/of/socket`, `unix://..` | the same on a socket | the same, without `replicas` and TLS |
/// | `redis+sentinel://[user:password@]host[:port],host../master[/database]`, `rediss+sentinel://..` | the master of that name; the hosts are sentinels, the user is the server's | those of one server but `replicas`; `read_from_replicas`, `sentinel_username`, `sentinel_password`, `sentinel_tls` |
/// | `redis+cluster://[user:password@]host[:port],host..`, `rediss+cluster://..` | a cluster; the hosts are some of its nodes | those of one server but `replicas` and `database`; `read_from_replicas` |
///
/// `valkey://` and `valkeys://` are other names for `redis://` and `rediss://`.
///
/// Each is named like the method of the builder that it stands for, which says what it does and what it is by default;
/// `threshold` is another name for `max_entries`. These are for every cache, whatever its backend:
///
/// | parameter | |
/// |---|---|
/// | `ttl`, or `default_timeout` | [`CacheBuilder::ttl`] |
/// | `stale_while_revalidate`, `stale_if_error`, `keep`, `failure_backoff`, `soft_timeout`, `hard_timeout`, `refresh_ahead`, `early_expiration`, `jitter` | [`Profile`](crate::Profile) |
/// | `key_prefix`, `name`, `max_wait`, `distributed_single_flight`, `fill_timeout`, `max_refreshes`, `backend_timeout` | [`CacheBuilder`] |
/// | `breaker_failures` (or `off`), `breaker_open_for` | [`Breaker`](crate::Breaker) |
/// | `serializer` | `postcard`, or `json` (feature `json`) |
///
/// Lengths of time are seconds, or `250ms`, `90s`, `5m`, `2h`, `1d`; `ttl` is `forever` or `never` as well. Bytes are a
/// number, or `500kB`, `64MiB`, `2GiB`. What is no letter and no digit in a user, a password or a value is written as `%`
/// and two digits: `%40` for `@`. A `+` is a plus.
///
/// # Files
///
/// Where it is read with serde it is the URL, or a map with the `url` and any of the parameters beside it, which may hold
/// a secret that should not stand in a URL; and `profiles`, see [`Profiles`].
///
/// # Errors
///
/// A name that is not known, a value that cannot be, two that contradict each other and a feature that is missing are
/// [`ErrorKind::Config`](crate::ErrorKind::Config). The text says what was expected. Users and passwords are in no
/// error, and not in `Debug`.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use std::time::Duration;
/// use axum_caching::CacheConfig;
///
/// let config: CacheConfig = serde_json::from_str(
///     r#"{
///         "url": "memory://?max_bytes=256MiB",
///         "ttl": "10m",
///         "key_prefix": "shop:",
///         "profiles": { "hours": { "ttl": "2h", "stale_if_error": "1d" } }
///     }"#,
/// )?;
/// // What a file cannot say is said in code.
/// let cache = config.builder()?.observer(|_: &axum_caching::Event<'_>| {}).build();
/// assert_eq!(cache.ttl(), Duration::from_secs(600).into());
/// assert!(cache.profile("hours").is_ok());
///
/// let error = CacheConfig::new("memory://?max_byte=64MiB").unwrap_err().to_string();
/// assert!(error.contains("`max_byte` means nothing to memory://; did you mean `max_bytes`?"), "{error}");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "call `build`"]
pub struct CacheConfig {
    tiers: Vec<Tier>,
    parameters: Parameters,
    profiles: Profiles,
    clock: Option<Clock>,
}

impl CacheConfig {
    /// What a URL says. Two with ` + ` between are tiers: copies in memory, and what several processes share, as in
    /// `memory://?max_bytes=16MiB&lag=1s + redis://host`. Over Redis the processes tell each other of what they change,
    /// by pub/sub; with `backplane=tracking` on the first tier the server tells, of all its keys
    /// (`RedisTracking`) or of those that begin with `shop:` (`backplane=tracking:shop:`), and with
    /// `backplane=none` nobody does.
    ///
    /// ```
    /// use axum_caching::{CacheConfig, ErrorKind};
    ///
    /// let cache = CacheConfig::new("null://?ttl=1h&name=pages")?.build()?;
    /// assert_eq!(cache.ttl(), std::time::Duration::from_secs(3600).into());
    ///
    /// let error = CacheConfig::new("nul://").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// assert!(error.to_string().contains("did you mean `null://`?"));
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config).
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        Self::of(Tier::all(url.as_ref()), Parameters::default()).checked()
    }

    /// What the environment says: `CACHE_URL`, or the variables that Flask-Caching has; see
    /// [`from_vars`](CacheConfig::from_vars).
    ///
    /// ```
    /// use axum_caching::CacheConfig;
    ///
    /// // Here nothing says where the cache is, so it is in memory.
    /// # #[cfg(feature = "memory")]
    /// assert!(format!("{:?}", CacheConfig::from_env()?).contains("memory://"));
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_vars`](CacheConfig::from_vars).
    pub fn from_env() -> Result<Self> {
        Self::from_vars(std::env::vars_os())
    }

    /// What these variables say. Those that do not begin with `CACHE_` are left alone, and those that are empty count as
    /// not there.
    ///
    /// `CACHE_URL` is the URL, and each parameter may be a variable: `CACHE_TTL`, `CACHE_MAX_BYTES`. The variables of
    /// Flask-Caching, `CACHE_TYPE`, `CACHE_DEFAULT_TIMEOUT`, `CACHE_REDIS_HOST` and so on, are in a table in
    /// `COMPATIBILITY.md`. `CACHE_OPTIONS` has parameters as a URL has them. Where nothing says which backend it is, it is
    /// `memory://`.
    ///
    /// A `CACHE_` variable that means nothing is an error, so that no slip goes unseen. An application that has some of
    /// its own, or several caches, says here which are meant:
    ///
    /// ```
    /// use axum_caching::CacheConfig;
    ///
    /// let environment = [("PAGES_CACHE_URL", "null://"), ("PAGES_CACHE_TTL", "5m"), ("CACHE_OF_CDN", "/edge")];
    /// let pages = environment.into_iter().filter_map(|(name, value)| Some((name.strip_prefix("PAGES_")?, value)));
    /// let cache = CacheConfig::from_vars(pages)?.build()?;
    /// assert_eq!(cache.ttl(), std::time::Duration::from_secs(300).into());
    ///
    /// let error = CacheConfig::from_vars([("CACHE_URI", "null://")]).unwrap_err().to_string();
    /// assert!(error.contains("did you mean `CACHE_URL`?"), "{error}");
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), also for a variable of Flask-Caching that has no counterpart
    /// here: the text says what there is in its place.
    pub fn from_vars(vars: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>) -> Result<Self> {
        vars::read(vars.into_iter().map(|(name, value)| (name.into(), value.into())))?.checked()
    }

    fn checked(self) -> Result<Self> {
        drop(self.plan()?);
        Ok(self)
    }

    fn of(tiers: Vec<Tier>, parameters: Parameters) -> Self {
        Self { tiers, parameters, profiles: Profiles::default(), clock: None }
    }

    /// The clock of the backend and of the cache, for tests; the clock of the machine by default.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # #[cfg(all(feature = "memory", feature = "testing"))] {
    /// use std::time::Duration;
    /// use axum_caching::{CacheConfig, Ttl, testing::ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let cache = CacheConfig::new("memory://?ttl=1h")?.clock(clock.clock()).build()?;
    /// cache.set("answer", &42, Ttl::Default).await?;
    /// clock.advance(Duration::from_secs(3600));
    /// assert!(!cache.has("answer").await?);
    /// # }
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The backend alone.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheConfig};
    ///
    /// let backend = CacheConfig::new("null://?ttl=1h")?.backend()?;
    /// // The settings of a cache are not the backend's.
    /// assert_eq!(Cache::new(backend).ttl(), std::time::Duration::from_secs(300).into());
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`build`](CacheConfig::build).
    pub fn backend(&self) -> Result<Arc<dyn Backend>> {
        (self.plan()?.0)(self.clock.as_ref())
    }

    /// A builder with all that is said here, to which code may add the rest: an observer, a codec. What it sets then
    /// holds.
    ///
    /// # Errors
    ///
    /// As [`build`](CacheConfig::build).
    pub fn builder(&self) -> Result<CacheBuilder> {
        let (make, settings) = self.plan()?;
        let builder = settings.apply(Cache::builder(make(self.clock.as_ref())?)).profiles(self.profiles.clone());
        Ok(settings::set(builder, self.clock.clone(), CacheBuilder::clock))
    }

    /// The cache.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if it was read with serde, which does not look at everything, and
    /// whatever the backend says: a directory may not be writable. A server that cannot be reached is no error: no
    /// backend connects before it is used.
    pub fn build(&self) -> Result<Cache> {
        Ok(self.builder()?.build())
    }
}

/// Where the cache is, without users and passwords: for a line at the start.
///
/// ```
/// # #[cfg(feature = "memcached")] {
/// use axum_caching::CacheConfig;
///
/// let config = CacheConfig::new("memcached://ada:secret@10.0.0.1?ttl=5m")?;
/// assert_eq!(config.to_string(), "memcached://..@10.0.0.1?ttl=5m");
/// # }
/// # Ok::<(), axum_caching::Error>(())
/// ```
impl fmt::Display for CacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiers: Vec<_> = self.tiers.iter().map(Tier::shown).collect();
        f.write_str(&tiers.join(plan::NEXT_TIER))
    }
}

/// As `Display`, with the names of the settings that are beside the URL.
impl fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<_> = self.parameters.0.iter().filter(|it| is_name(&it.key)).collect();
        f.debug_struct("CacheConfig")
            .field("url", &format_args!("{self}"))
            .field("settings", &settings)
            .finish_non_exhaustive()
    }
}
