//! Requests that write (RFC 9111 §4.4): what is stored of their target goes before their answer does.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, header, request};
use http_body::Body;
use tower_service::Service;

use super::{
    CacheLayer,
    body::CacheBody,
    future::{Answer, Oneshot},
    key_by::Target,
    reference::{Origin, resolve},
    rules::Rules,
    service::Afterwards,
};
use crate::{cache::Purge, key::MAX_TEXT};

/// The fields of an answer that name other resources which the request has changed.
const NAMING: [HeaderName; 2] = [header::LOCATION, header::CONTENT_LOCATION];

impl CacheLayer {
    /// Whether a request that writes takes away what is stored of its target (RFC 9111 §4.4). Off by default.
    ///
    /// Such are POST, PUT, PATCH, DELETE and every method that is not known to be safe, but for those that the layer is
    /// told to [cache](CacheLayer::methods). If the inner service answers one with 2xx or 3xx, before its client sees
    /// the answer these go, with all their variants:
    ///
    /// - what this layer stores for GET of the same target, with its query and without;
    /// - what it stores for the targets in `Location` and `Content-Location`, if they are of the same origin, as far as
    ///   the request says it: the host and port of its target or else of `Host`, and the scheme, if the target names
    ///   it. What proxies say of the host does not count, and another host is never touched for a field of an answer;
    /// - with [`tag_by_path`](CacheLayer::tag_by_path), all of that with every query and every method.
    ///
    /// The variants of all hosts hang on one key, so those of the same target under other hosts go too: a client says
    /// itself which host it means. Give hosts that must not reach each other's pages a scope each. No request takes
    /// away more than the pages that it, or the answer of the inner service, names. But whoever may write may do so: a
    /// client that is sent to a page for logging in counts as one that has written (3xx), so refuse such writes
    /// outside of the layer, or with 401 or 403.
    ///
    /// A write that fails, with an error or any other status, takes nothing away. Nor does a run of the handler that
    /// began before the purge store what it read: but the data has to be committed when the head of the answer is
    /// there, not while its body is sent. If the backend fails, the [`Observer`](crate::Observer) is told and the
    /// client gets its answer; a backend that does not answer holds it up.
    ///
    /// # Cancel safety
    ///
    /// Unlike another request that bypasses the cache, a write goes on in the background if its client goes away, as
    /// a fill does and with the same limits (see [`ResponseFuture`](crate::ResponseFuture)): nobody would know whether
    /// one that was dropped half-way has written. A purge that was begun has no such limits.
    ///
    /// ```
    /// # #[cfg(all(feature = "memory", feature = "axum"))]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, body::Body, http::Request, routing::get};
    /// use axum_caching::{Cache, CacheLayer, CacheStatus, MemoryBackend};
    /// use tower::ServiceExt;
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let app: Router = Router::new()
    ///     .route("/notes/{id}", get(async || "a note").put(async || "written"))
    ///     .layer(CacheLayer::new(&cache).purge_on_write(true));
    /// let send = async |method| {
    ///     let request = Request::builder().method(method).uri("/notes/1").body(Body::empty()).unwrap();
    ///     CacheStatus::of(&app.clone().oneshot(request).await.unwrap()).unwrap()
    /// };
    /// send("GET").await;
    /// assert_eq!(send("GET").await, CacheStatus::Hit);
    /// send("PUT").await;
    /// assert_ne!(send("GET").await, CacheStatus::Hit);
    /// # });
    /// ```
    #[doc(alias = "invalidate")]
    pub fn purge_on_write(self, purges: bool) -> Self {
        self.with(|rules| rules.purge_on_write = purges)
    }
}

impl Rules {
    pub(super) fn is_write(&self, method: &Method) -> bool {
        (self.purge_on_write || self.cache_groups) && !method.is_safe() && !self.methods.contains(method)
    }
}

/// A request that writes: what is to be purged when it has.
pub(super) struct Write {
    layer: Arc<CacheLayer>,
    /// A GET of the same target; what the target is, it says already.
    read: request::Parts,
    target: Uri,
    origin: Origin,
}

impl Write {
    pub(super) fn of(layer: &Arc<CacheLayer>, parts: &request::Parts) -> Self {
        let target = Target::of(parts).uri.clone();
        let origin = Origin::of(&target, &parts.headers);
        let mut read = parts.clone();
        read.method = Method::GET;
        Self { layer: Arc::clone(layer), read, target, origin }
    }

    /// Runs the inner service, and purges what it has written to before its answer goes out.
    pub(super) async fn send<S, ReqBody, ResBody>(
        self,
        inner: S,
        request: Request<ReqBody>,
        afterwards: Afterwards,
    ) -> Answer<ResBody, S::Error>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        ResBody: Body<Data = Bytes>,
    {
        let response = Oneshot::new(inner, request).await?;
        self.purge(response.status(), response.headers()).await;
        Ok(afterwards.apply(response).map(CacheBody::inner))
    }

    fn purge(&self, status: StatusCode, answer: &HeaderMap) -> impl Future<Output = ()> + Send + use<> {
        let CacheLayer { cache, rules } = &*self.layer;
        let cache = cache.clone();
        let mut purge = rules.with_groups(cache.purge(), &self.origin, answer);
        if rules.purge_on_write && (status.is_success() || status.is_redirection()) {
            purge = self.of_target(purge);
            purge = self.named_by(answer).iter().fold(purge, |purge, target| self.of_named(purge, target));
        }
        async move {
            for (_, error) in purge.run().await.failed() {
                cache.core.reporter.failed("purge", error);
            }
        }
    }

    /// The target of the request itself, with its query and without.
    fn of_target(&self, purge: Purge) -> Purge {
        // What has no key was not stored.
        let purge = purge.keys(self.layer.key_for_parts(&self.read));
        let path = self.target.path();
        let purge = if self.layer.rules.sets.by_path() { purge.path(path) } else { purge };
        if self.target.query().is_some() { self.of_named(purge, path) } else { purge }
    }

    /// Another target of the same origin.
    fn of_named(&self, purge: Purge, target: &str) -> Purge {
        let Ok(uri) = target.parse::<Uri>() else { return purge };
        let purge = if self.layer.rules.sets.by_path() { purge.path(uri.path()) } else { purge };
        let (mut read, ()) = Request::new(()).into_parts();
        // For functions that make keys of them.
        read.headers.clone_from(&self.read.headers);
        read.uri = uri;
        purge.keys(self.layer.key_for_parts(&read))
    }

    fn named_by(&self, answer: &HeaderMap) -> Vec<String> {
        let lines = NAMING.iter().flat_map(|name| answer.get_all(name));
        let references = lines.filter_map(|line| line.to_str().ok()).filter(|line| line.len() <= MAX_TEXT);
        references.filter_map(|reference| resolve(reference.trim(), self.target.path(), &self.origin)).collect()
    }
}
