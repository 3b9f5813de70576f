//! Purges of pages, by what clients ask for: what a layer, the cache and a purge as a value can be told.

use http::Uri;

use super::{CacheLayer, key_by::percent_encoded};
use crate::{
    cache::{Cache, Kind, Purge},
    error::{Error, ErrorKind, Result},
};

impl CacheLayer {
    /// Marks stale what is stored for `GET target`; says whether anything was. See [`Cache::mark_stale`]: one variant
    /// stays to be served once more, the others go.
    ///
    /// `target` is as [`delete_cached`](CacheLayer::delete_cached) takes it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default()));
    /// assert!(!layer.mark_stale_cached("/never seen?page=1").await?);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`key_for`](CacheLayer::key_for), and what the backend says.
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::mark_stale`].
    pub async fn mark_stale_cached(&self, target: &str) -> Result<bool> {
        let mut was_there = false;
        for key in self.keys_for(target)? {
            was_there |= self.cache.mark_stale(&key).await?;
        }
        Ok(was_there)
    }
}

impl Cache {
    /// Marks stale what a layer with the default keys has stored for `GET target`: as
    /// [`CacheLayer::mark_stale_cached`], for the layers that [`delete_cached`](Cache::delete_cached) is for.
    ///
    /// # Errors
    ///
    /// As [`delete_cached`](Cache::delete_cached).
    pub async fn mark_stale_cached(&self, target: &str) -> Result<bool> {
        CacheLayer::new(self).mark_stale_cached(target).await
    }

    /// As [`CacheLayer::purge_path`], where the layers are not at hand: it reaches those that have
    /// [`tag_by_path`](CacheLayer::tag_by_path), and it is no error if there is none: then nothing is purged.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, ErrorKind, NullBackend};
    ///
    /// let cache = Cache::new(NullBackend::default());
    /// cache.purge_path("/items").await?;
    /// assert_eq!(cache.purge_path("items").await.unwrap_err().kind(), ErrorKind::Key);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] if it is no path, and what the backend says.
    pub async fn purge_path(&self, path: &str) -> Result<()> {
        self.purge().path(path).run().await.into_result()
    }

    /// As [`CacheLayer::mark_stale_path`], where the layers are not at hand.
    ///
    /// # Errors
    ///
    /// As [`purge_path`](Cache::purge_path).
    pub async fn mark_stale_path(&self, path: &str) -> Result<()> {
        self.purge().path(path).mark_stale().run().await.into_result()
    }

    /// As [`CacheLayer::purge_route`], where the layers are not at hand: it reaches those that have
    /// [`tag_by_route`](CacheLayer::tag_by_route), and it is no error if there is none: then nothing is purged.
    ///
    /// # Errors
    ///
    /// As [`purge_path`](Cache::purge_path).
    #[cfg(feature = "axum")]
    pub async fn purge_route(&self, pattern: &str) -> Result<()> {
        self.purge().route(pattern).run().await.into_result()
    }

    /// As [`CacheLayer::mark_stale_route`], where the layers are not at hand.
    ///
    /// # Errors
    ///
    /// As [`purge_path`](Cache::purge_path).
    #[cfg(feature = "axum")]
    pub async fn mark_stale_route(&self, pattern: &str) -> Result<()> {
        self.purge().route(pattern).mark_stale().run().await.into_result()
    }
}

impl Purge {
    /// What a layer with the default keys has stored for `GET target`, as [`Cache::delete_cached`]. A target that is
    /// none is in the receipt.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, NullBackend};
    ///
    /// let cache = Cache::new(NullBackend::default());
    /// let receipt = cache.purge().cached("/items/7").cached("no path").run().await;
    /// assert_eq!(receipt.failed().next().unwrap().0, "`no path`");
    /// # });
    /// ```
    pub fn cached(self, target: &str) -> Self {
        let layer = CacheLayer::new(self.cache());
        self.cached_by(&layer, target)
    }

    /// As [`cached`](Purge::cached), by the keys of a layer of this cache, as [`CacheLayer::delete_cached`].
    pub fn cached_by(self, layer: &CacheLayer, target: &str) -> Self {
        match layer.keys_for(target) {
            Ok(keys) => self.keys(keys),
            Err(error) => self.with_wrong(target, &error),
        }
    }

    /// What layers with [`tag_by_path`](CacheLayer::tag_by_path) have stored for a path, with all queries, as
    /// [`Cache::purge_path`]. It is no error if there is no such layer, and then nothing is purged.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, NullBackend};
    ///
    /// let purge = Cache::new(NullBackend::default()).purge().path("/items").path("/prices");
    /// purge.run().await.into_result()?;
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    pub fn path(self, path: &str) -> Self {
        let encoded = percent_encoded(path);
        if let Err(error) = check_path(&encoded) {
            return self.with_wrong(path, &error);
        }
        self.with_tag(Kind::Path, &encoded).with_tag(Kind::Path, path)
    }

    /// What layers with [`tag_by_route`](CacheLayer::tag_by_route) have stored for a route, as [`Cache::purge_route`]. It
    /// is no error if there is no such layer, and then nothing is purged.
    #[cfg(feature = "axum")]
    pub fn route(self, pattern: &str) -> Self {
        self.with_tag(Kind::Route, pattern)
    }
}

fn check_path(path: &str) -> Result<()> {
    let uri: Uri = path.parse().map_err(|error| Error::new(ErrorKind::Key, error))?;
    if uri.path() != path || !path.starts_with('/') {
        let message = format!("`{path}`, expected a path that begins with `/` and has no query");
        return Err(Error::message(ErrorKind::Key, message));
    }
    Ok(())
}
