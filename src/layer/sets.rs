//! Sets of responses that have a tag without being given one: those of a path, and those of a route.

use http::request;

use super::{CacheLayer, key_by::Target};
use crate::{
    cache::Kind,
    error::{Error, ErrorKind, Result},
};

/// Which tags the responses of a layer have beside those that are named.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sets {
    by_path: bool,
    #[cfg(feature = "axum")]
    by_route: bool,
}

impl Sets {
    /// Those of a request. They are known before the origin runs.
    pub(super) fn of(self, parts: &request::Parts) -> impl Iterator<Item = (Kind, String)> {
        let path = self.by_path.then(|| (Kind::Path, Target::of(parts).path().to_owned()));
        #[cfg(feature = "axum")]
        let route = self.by_route.then(|| crate::axum::matched_path(&parts.extensions)).flatten();
        #[cfg(not(feature = "axum"))]
        let route = None::<&str>;
        path.into_iter().chain(route.map(|route| (Kind::Route, route.to_owned())))
    }

    pub(super) fn by_path(self) -> bool {
        self.by_path
    }
}

impl CacheLayer {
    /// Whether every response has its path for a tag, so that [`purge_path`](CacheLayer::purge_path) takes a path away
    /// with all its queries. Off by default: a hit looks the tag up too.
    ///
    /// The path is the one that the client asked for, raw, as keys have it. What was stored before the option was set
    /// has no such tag. The tag belongs to the cache, or its scope, and not to this layer alone. It is kept for a day,
    /// since there are as many as paths are asked for: what lives longer than that is made anew once a day.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default())).tag_by_path(true);
    /// # let _ = layer;
    /// ```
    pub fn tag_by_path(self, tags: bool) -> Self {
        self.with(|rules| rules.sets.by_path = tags)
    }

    /// Whether every response has the pattern of its route for a tag (axum's `MatchedPath`, as in `/items/{id}`), so
    /// that [`purge_route`](CacheLayer::purge_route) takes all pages of a route away. Off by default: a hit looks the
    /// tag up too.
    ///
    /// The pattern is known inside of routing only: to a layer on a route or a router (`Router::layer`,
    /// `Router::route_layer`, `MethodRouter::layer`). It is the whole of it, with what nested routers stripped.
    /// A layer [`around`](CacheLayer::around) a router, or in front of a fallback or of a service that is nested
    /// (`nest_service`), does not know it. What such a layer stores has no such tag, and no purge of a route reaches
    /// it, unless a second layer of the same cache with this option is inside of routing: that one tells the first.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, body::Body, http::Request, routing::get};
    /// use axum_caching::{Cache, CacheLayer, CacheStatus, MemoryBackend};
    /// use tower::ServiceExt;
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let layer = CacheLayer::new(&cache).tag_by_route(true);
    /// let app: Router = Router::new().route("/items/{id}", get(async || "an item")).layer(layer.clone());
    /// let ask = async || {
    ///     let request = Request::get("/items/7").body(Body::empty()).unwrap();
    ///     CacheStatus::of(&app.clone().oneshot(request).await.unwrap()).unwrap()
    /// };
    /// ask().await;
    /// assert_eq!(ask().await, CacheStatus::Hit);
    /// layer.purge_route("/items/{id}").await?;
    /// assert_ne!(ask().await, CacheStatus::Hit);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    #[cfg(feature = "axum")]
    pub fn tag_by_route(self, tags: bool) -> Self {
        self.with(|rules| rules.sets.by_route = tags)
    }

    /// Takes away what is stored for a path: with every query, every variant and every method. It costs the same
    /// however much that is.
    ///
    /// It reaches all layers of the cache (or scope) that have [`tag_by_path`](CacheLayer::tag_by_path). `path` is as
    /// on the wire and without a query; one that was written unescaped is also tried in its percent-encoded form. Runs
    /// of the handler that began before do not store what they made.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, CacheLayer, ErrorKind, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default()));
    /// assert_eq!(layer.purge_path("/items").await.unwrap_err().kind(), ErrorKind::Config);
    /// layer.tag_by_path(true).purge_path("/items").await?;
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if this layer is without the option, [`ErrorKind::Key`] if it is no path, and what the
    /// backend says; it is then not known whether the path was purged, and the call can be repeated.
    ///
    /// # Cancel safety
    ///
    /// As [`Purge::run`](crate::Purge::run).
    pub async fn purge_path(&self, path: &str) -> Result<()> {
        need(self.rules.sets.by_path, "tag_by_path")?;
        self.cache.purge_path(path).await
    }

    /// As [`purge_path`](CacheLayer::purge_path), but what is stored is marked stale: see
    /// [`Cache::mark_stale_tag`](crate::Cache::mark_stale_tag).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default())).tag_by_path(true);
    /// layer.mark_stale_path("/items").await?;
    /// assert!(layer.mark_stale_path("/items?page=1").await.is_err(), "a path has no query");
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`purge_path`](CacheLayer::purge_path).
    pub async fn mark_stale_path(&self, path: &str) -> Result<()> {
        need(self.rules.sets.by_path, "tag_by_path")?;
        self.cache.mark_stale_path(path).await
    }

    /// Takes away what is stored of a route, by its pattern as the router has it: `/items/{id}`.
    ///
    /// It reaches all layers of the cache (or scope) that have [`tag_by_route`](CacheLayer::tag_by_route), where it is
    /// said which ones know their route. A pattern that no route has takes nothing away.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Cache, CacheLayer, ErrorKind, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default()));
    /// assert_eq!(layer.purge_route("/items/{id}").await.unwrap_err().kind(), ErrorKind::Config);
    /// layer.tag_by_route(true).purge_route("/items/{id}").await?;
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`purge_path`](CacheLayer::purge_path).
    #[cfg(feature = "axum")]
    pub async fn purge_route(&self, pattern: &str) -> Result<()> {
        need(self.rules.sets.by_route, "tag_by_route")?;
        self.cache.purge_route(pattern).await
    }

    /// As [`purge_route`](CacheLayer::purge_route), but what is stored is marked stale: see
    /// [`Cache::mark_stale_tag`](crate::Cache::mark_stale_tag).
    ///
    /// # Errors
    ///
    /// As [`purge_path`](CacheLayer::purge_path).
    #[cfg(feature = "axum")]
    pub async fn mark_stale_route(&self, pattern: &str) -> Result<()> {
        need(self.rules.sets.by_route, "tag_by_route")?;
        self.cache.mark_stale_route(pattern).await
    }
}

fn need(has: bool, option: &str) -> Result<()> {
    let missing = || Error::message(ErrorKind::Config, format!("the layer has no such tags: set `{option}(true)`"));
    has.then_some(()).ok_or_else(missing)
}
