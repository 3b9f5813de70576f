//! The settings of a layer that are about validators: clients that have a copy already, and copies of our own that may
//! still be right.

use std::time::Duration;

use super::CacheLayer;
use crate::profile::Profile;

impl CacheLayer {
    /// Whether a client that has the stored response already is told so: `304 Not Modified` without a body, to
    /// `If-None-Match` with its `ETag`, or else to `If-Modified-Since` with its `Last-Modified` (RFC 9110 §13). Off by
    /// default: such fields are ignored and the client gets the whole.
    ///
    /// It is for stored responses of status 200 to GET and HEAD, served fresh or stale, and for the client whose
    /// request fills the cache. `If-Match` and `If-Unmodified-Since` are for the handler alone.
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "memory"))]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, body::Body, http::{Request, StatusCode, header}, routing::get};
    /// use axum_caching::{Cache, CacheLayer, MemoryBackend};
    /// use tower::ServiceExt;
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let app: Router = Router::new()
    ///     .route("/", get(async || ([(header::ETAG, "\"v7\"")], "a long text")))
    ///     .layer(CacheLayer::new(&cache).not_modified(true));
    ///
    /// let request = Request::get("/").header(header::IF_NONE_MATCH, "\"v7\"").body(Body::empty()).unwrap();
    /// assert_eq!(app.oneshot(request).await.unwrap().status(), StatusCode::NOT_MODIFIED);
    /// # });
    /// ```
    #[doc(alias = "304")]
    pub fn not_modified(self, answers: bool) -> Self {
        self.with(|rules| rules.not_modified = answers)
    }

    /// Whether a response that has no `ETag` is given one when it is stored, and clients that have it already are told
    /// so, as with [`not_modified`](CacheLayer::not_modified). Off by default.
    ///
    /// The tag is strong (RFC 9110 §8.8.1): a digest of the body, its `Content-Type` and its `Content-Encoding`, the
    /// same in every process. A tag that the handler sends stays as it is. The response that fills the cache has it
    /// too, if its body was there at once: a stream is not held back to be read to its end.
    ///
    /// A layer further out that changes bodies, as compression does, has to change the tag: put it inside the cache.
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "memory"))]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, body::Body, http::{Request, header}, routing::get};
    /// use axum_caching::{Cache, CacheLayer, MemoryBackend};
    /// use tower::ServiceExt;
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let app: Router =
    ///     Router::new().route("/", get(async || "hello")).layer(CacheLayer::new(&cache).etag(true));
    ///
    /// let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    /// assert!(response.headers().contains_key(header::ETAG));
    /// # });
    /// ```
    pub fn etag(self, etag: bool) -> Self {
        self.with(|rules| rules.etag = etag)
    }

    /// Whether a part of a stored response is served to a request with `Range`: `206 Partial Content` for one range of
    /// bytes, `416 Range Not Satisfiable` where there is nothing, `If-Range` included (RFC 9110 §14). Off by default:
    /// such a request gets the whole.
    ///
    /// Several ranges, and units other than bytes, are answered with the whole. A request with `Range` that nothing
    /// stored answers goes to the handler as it is, and fills nothing. Parts are of the body as it is stored, in its
    /// `Content-Encoding`, and are not copied.
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "memory"))]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, body::{Body, to_bytes}, http::{Request, header}, routing::get};
    /// use axum_caching::{Cache, CacheLayer, MemoryBackend};
    /// use tower::ServiceExt;
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let app: Router =
    ///     Router::new().route("/", get(async || "a long text")).layer(CacheLayer::new(&cache).ranges(true));
    ///
    /// let fill = Request::get("/").body(Body::empty()).unwrap();
    /// to_bytes(app.clone().oneshot(fill).await.unwrap().into_body(), 100).await.unwrap();
    /// let part = Request::get("/").header(header::RANGE, "bytes=2-5").body(Body::empty()).unwrap();
    /// let response = app.oneshot(part).await.unwrap();
    /// assert_eq!(response.headers()[header::CONTENT_RANGE], "bytes 2-5/11");
    /// assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "long");
    /// # });
    /// ```
    pub fn ranges(self, ranges: bool) -> Self {
        self.with(|rules| rules.ranges = ranges)
    }

    /// Whether the handler is told what the cache has when it is asked to make a stale entry anew, and may answer that
    /// this is still right: `304 Not Modified` renews the entry without a body (RFC 9111 §4.3). Off by default.
    ///
    /// What it is told is [`ConditionalRefresh`](crate::ConditionalRefresh), in the extensions of the request, and the
    /// fields `If-None-Match` and `If-Modified-Since`, for an inner service that is a proxy or serves files. That is so
    /// for a stored response of status 200 that came with an `ETag` or a `Last-Modified`; entries are there after their
    /// ttl if a window of their [`Profile`] says so, [`keep`](CacheLayer::keep) for one.
    ///
    /// A purge wins here too: one that came before the handler runs leaves nothing to tell of, and one that comes while
    /// it runs leaves the entry as it is, purged. The client whose request it was gets the whole response in any case.
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "memory"))]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum::{Extension, Router, body::{Body, to_bytes}, http::{Request, StatusCode, header}};
    /// use axum::{response::IntoResponse, routing::get};
    /// use axum_caching::{Cache, CacheLayer, ConditionalRefresh, MemoryBackend};
    /// use tower::ServiceExt;
    ///
    /// let report = async |kept: Option<Extension<ConditionalRefresh>>| match kept {
    ///     Some(_) => StatusCode::NOT_MODIFIED.into_response(),
    ///     None => ([(header::ETAG, "\"v7\"")], "made once").into_response(),
    /// };
    /// let cache = Cache::new(MemoryBackend::default());
    /// let layer = CacheLayer::new(&cache).conditional_refresh(true).keep(Duration::from_secs(3600));
    /// let app: Router = Router::new().route("/", get(report)).layer(layer.ttl(Duration::from_nanos(1)));
    ///
    /// for _ in 0..2 {
    ///     let request = Request::get("/").body(Body::empty()).unwrap();
    ///     let response = app.clone().oneshot(request).await.unwrap();
    ///     assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "made once");
    /// }
    /// # });
    /// ```
    pub fn conditional_refresh(self, tells: bool) -> Self {
        self.with(|rules| rules.conditional_refresh = tells)
    }

    /// For how long after its ttl a response is kept for [`conditional_refresh`](CacheLayer::conditional_refresh), though
    /// it may not be served. Not at all by default. See [`Profile::keep`].
    pub fn keep(self, window: Duration) -> Self {
        self.profile(Profile::default().keep(window))
    }
}
