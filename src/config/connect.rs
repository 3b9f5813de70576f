use super::CacheConfig;
use crate::{cache::Cache, error::Result};

impl Cache {
    /// A cache over the backend that a URL names; [`CacheConfig`] says what there is.
    ///
    /// It does not wait: backends behind a network connect when they are first asked, so that an application starts
    /// without its server.
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, Ttl};
    ///
    /// let cache = Cache::connect("memory://?max_bytes=64MiB&max_entries=10000&ttl=10m")?;
    /// cache.set("answer", &42, Ttl::Default).await?;
    /// assert_eq!(cache.get::<i32>("answer").await?, Some(42));
    ///
    /// let error = Cache::connect("memory://?max_bytes=64M").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     r#"wrong configuration: `max_bytes` is "64M", expected bytes from 1, or a text like "64MiB", "2GiB" or "500kB""#
    /// );
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`CacheConfig::build`].
    pub fn connect(url: impl AsRef<str>) -> Result<Self> {
        CacheConfig::new(url)?.build()
    }

    /// A cache as the environment says, by `CACHE_URL` and the variables of Flask-Caching; see
    /// [`CacheConfig::from_vars`]. Without `CACHE_URL` and `CACHE_TYPE` it is `memory://`. Any other variable that begins with
    /// `CACHE_` is an error.
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// let cache = axum_caching::Cache::from_env()?;
    /// assert_eq!(cache.ttl(), std::time::Duration::from_secs(300).into());
    /// # }
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`CacheConfig::from_vars`] and [`CacheConfig::build`].
    #[doc(alias = "CACHE_TYPE")]
    pub fn from_env() -> Result<Self> {
        CacheConfig::from_env()?.build()
    }
}
