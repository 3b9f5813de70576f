use std::{
    convert::Infallible,
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{self, Context, Poll},
};

use axum::body::Body;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{CacheLayer, CacheService, ResponseFuture};

/// A cache around a whole router, as `axum::serve` takes it: a hit skips routing.
///
/// # Examples
///
/// See [`CacheLayer::around`].
#[derive(Clone, Debug)]
pub struct Around<S>(CacheService<S>);

impl CacheLayer {
    /// Puts the cache around a router, where a hit costs less than half of the routing it skips.
    ///
    /// For the address of the client, [`axum::ServiceExt`] has `into_make_service_with_connect_info` for this too.
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// use axum::{Router, routing::get};
    /// use axum_caching::{Cache, CacheLayer, MemoryBackend};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let router = Router::new().route("/", get(async || "hello"));
    /// let app = CacheLayer::new(&cache).around(router);
    ///
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    /// axum::serve(listener, app.into_make_service()).await
    /// # }
    /// ```
    pub fn around<S>(&self, service: S) -> Around<S> {
        Around(self.layer(service))
    }
}

impl<S> Around<S> {
    /// A service that makes one of these for each connection.
    ///
    /// ```
    /// use axum::Router;
    /// use axum_caching::{Cache, CacheLayer, NullBackend};
    ///
    /// let layer = CacheLayer::new(&Cache::new(NullBackend::default()));
    /// let make_service = layer.around(Router::<()>::new()).into_make_service();
    /// # let _ = make_service;
    /// ```
    pub fn into_make_service(self) -> IntoMakeService<S> {
        IntoMakeService(self)
    }
}

impl<S> Service<Request<Body>> for Around<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = AroundFuture<S>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        AroundFuture { inner: self.0.call(request) }
    }
}

pin_project! {
    /// The future of [`Around`].
    #[must_use = "futures do nothing unless polled"]
    pub struct AroundFuture<S>
    where
        S: Service<Request<Body>>,
    {
        #[pin]
        inner: ResponseFuture<S, Body, Body>,
    }
}

impl<S> Future for AroundFuture<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: Send + 'static,
{
    type Output = Result<Response<Body>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.project().inner;
        // In no box more than it has to be in.
        if let Some(stored) = inner.as_mut().as_stored() {
            return Poll::Ready(Ok(stored.respond_with(Body::from)));
        }
        let response = task::ready!(inner.poll(context))?;
        Poll::Ready(Ok(response.map(|body| body.into_inner(Body::from).unwrap_or_else(Body::new))))
    }
}

impl<S: Service<Request<Body>>> fmt::Debug for AroundFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AroundFuture").finish_non_exhaustive()
    }
}

/// Makes a service for each connection; see [`Around::into_make_service`].
#[derive(Clone, Debug)]
pub struct IntoMakeService<S>(Around<S>);

impl<S, T> Service<T> for IntoMakeService<S> {
    type Response = Around<S>;
    type Error = Infallible;
    type Future = Ready<Result<Around<S>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: T) -> Self::Future {
        // A connection is served by a clone, which shares everything.
        ready(Ok(Around(self.0.0.clone())))
    }
}
