//! POST and its like: the body of the request is read, and is a part of the key.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header, request};
use http_body::{Body, Frame, SizeHint};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    CacheLayer, CacheService,
    body::{Begun, CacheBody, Rest},
    collect::{Collecting, Gathered, Limits, Unfit},
    future::Answer,
    key_by::BodyKey,
    rules::Rules,
};
use crate::{error::Result, reason::BypassReason};

/// A [`CacheLayer`] that reads the bodies of requests and makes them a part of the key.
///
/// Made by [`CacheLayer::key_by_body`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct BodyKeyedLayer(CacheLayer);

impl CacheLayer {
    /// Caches requests with a body, which becomes a part of the key, together with its `Content-Type` and
    /// `Content-Encoding`. Which methods those are is said by [`methods`](CacheLayer::methods); GET and HEAD go as
    /// always.
    ///
    /// Up to `limit` bytes are read before the handler runs. A request with more goes to the handler as it is, and
    /// its status is [`BodyTooLarge`](BypassReason::BodyTooLarge).
    ///
    /// This is the last setting: what it returns is a layer of its own, since the inner service gets another body.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::{Router, http::Method, routing::post};
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let cache = Cache::new(NullBackend::default());
    /// let app: Router = Router::new()
    ///     .route("/search", post(async |query: String| format!("found {query}")))
    ///     .layer(CacheLayer::new(&cache).methods([Method::POST]).key_by_body(64 * 1024));
    /// # }
    /// ```
    pub fn key_by_body(self, limit: usize) -> BodyKeyedLayer {
        BodyKeyedLayer(self.with(|rules| rules.key_by_body = Some(limit)))
    }
}

impl BodyKeyedLayer {
    /// The key of a request with this body, as [`Cache::delete`](crate::Cache::delete) takes it.
    ///
    /// ```
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    /// use http::{Method, Request};
    ///
    /// let cache = Cache::new(NullBackend::default());
    /// let layer = CacheLayer::new(&cache).methods([Method::POST]).key_by_body(1_024);
    /// let (parts, body) = Request::post("/search").body("tea").unwrap().into_parts();
    /// assert!(layer.key_for(&parts, body.as_bytes())?.starts_with("view//search#method=4:POST#body=32:"));
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`CacheLayer::key_for`].
    pub fn key_for(&self, parts: &request::Parts, body: &[u8]) -> Result<String> {
        let mut parts = parts.clone();
        if is_read(&parts.method, &self.0.rules) {
            parts.extensions.insert(body_key(&self.0.rules, &parts.headers, body));
        }
        self.0.key_for_parts(&parts)
    }
}

impl<S> Layer<S> for BodyKeyedLayer {
    type Service = BodyKeyedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BodyKeyedService { cache: self.0.layer(inner), rules: Arc::clone(&self.0.rules) }
    }
}

/// The service of a [`BodyKeyedLayer`].
pub struct BodyKeyedService<S> {
    cache: CacheService<S>,
    rules: Arc<Rules>,
}

impl<S> Clone for BodyKeyedService<S> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), rules: Arc::clone(&self.rules) }
    }
}

impl<S> fmt::Debug for BodyKeyedService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BodyKeyedService").field(&self.cache).finish()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for BodyKeyedService<S>
where
    S: Service<Request<BufferedBody<ReqBody>>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    ReqBody: Body<Data = Bytes> + Send + 'static,
    ReqBody::Error: Send,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Send,
{
    type Response = Response<CacheBody<ResBody>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Answer<ResBody, S::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let mut this = self.clone();
        Box::pin(async move {
            let limit = this.rules.key_by_body.filter(|_| is_read(request.method(), &this.rules));
            let request = match limit {
                Some(limit) => read(request, limit, &this.rules).await,
                None => request.map(|body| BufferedBody(Begun::new(None, Rest::Body(Box::pin(body))))),
            };
            this.cache.call(request).await
        })
    }
}

fn is_read(method: &Method, rules: &Rules) -> bool {
    rules.methods.contains(method) && !matches!(*method, Method::GET | Method::HEAD)
}

async fn read<B: Body<Data = Bytes>>(request: Request<B>, limit: usize, rules: &Rules) -> Request<BufferedBody<B>> {
    let (mut parts, body) = request.into_parts();
    let collecting = Collecting::new(body, Limits { size: limit, announced: None });
    let (key, body) = match collecting.gather_all().await {
        Gathered::Complete(bytes) => (body_key(rules, &parts.headers, &bytes), Begun::new(Some(bytes), Rest::End)),
        Gathered::Unfit(read, rest, why) => {
            let reason = match why {
                Unfit::TooLarge => BypassReason::BodyTooLarge,
                Unfit::Incomplete => BypassReason::BodyNotInKey,
            };
            (BodyKey::Unread(reason), Begun::new(Some(read), rest))
        }
        // Only a reading that stops for want of data ends so.
        Gathered::Pending(rest) => {
            let read = rest.so_far();
            (BodyKey::Unread(BypassReason::BodyNotInKey), Begun::new(Some(read), Rest::Body(rest.into_body())))
        }
    };
    parts.extensions.insert(key);
    Request::from_parts(parts, BufferedBody(body))
}

/// What a body means depends on its type and its coding too.
fn body_key(rules: &Rules, headers: &HeaderMap, body: &[u8]) -> BodyKey {
    let mut data = Vec::with_capacity(body.len() + 64);
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
        // All lines: which of them a handler reads is its own affair.
        let lines = headers.get_all(name);
        data.extend_from_slice(&(lines.iter().count() as u64).to_le_bytes());
        for line in lines.iter().map(HeaderValue::as_bytes) {
            data.extend_from_slice(&(line.len() as u64).to_le_bytes());
            data.extend_from_slice(line);
        }
    }
    data.extend_from_slice(body);
    // One character for each byte, so that different bytes are different texts.
    let text = data.iter().map(|byte| char::from(*byte)).collect();
    BodyKey::Read { digest: rules.hash.hex(&data).as_str().to_owned(), text }
}

/// The body of a request that may have been read: the same bytes again.
pub struct BufferedBody<B: Body>(Begun<B>);

impl<B: Body<Data = Bytes>> Body for BufferedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, B::Error>>> {
        self.get_mut().0.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

// Bodies are boxed, errors are moved out: nothing is pinned in place.
impl<B: Body> Unpin for BufferedBody<B> {}

impl<B: Body> fmt::Debug for BufferedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedBody").finish_non_exhaustive()
    }
}
