use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{answer::Stored, body::CacheBody, service::Afterwards};
use crate::cache::Handover;

pin_project! {
    /// The future of a [`CacheService`](super::CacheService).
    ///
    /// A hit is there when it is first polled; everything else is boxed, so that it is small.
    ///
    /// Cancel safe: a run of the origin that is dropped goes on in the background, on the tokio runtime that it began
    /// on, and still fills the cache. That is so for up to 1 000 of them at once, and for as long as
    /// [`fill_timeout`](crate::CacheBuilder::fill_timeout) says; beyond that a dropped run is a cancelled one. Limits
    /// that are outside the cache do not count what goes on so; put them inside.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
        ResBody: Body,
    {
        #[pin]
        state: State<S, ReqBody, ResBody>,
    }
}

pub(super) type Answer<B, E> = Result<Response<CacheBody<B>>, E>;

pin_project! {
    #[project = StateProjection]
    enum State<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
        ResBody: Body,
    {
        Stored { answer: Stored },
        // Boxed: the future of a router is large, and every hit would carry the room for it.
        Pass { inner: Pin<Box<Oneshot<S, Request<ReqBody>>>>, afterwards: Afterwards },
        Boxed { future: Pin<Box<dyn Future<Output = Answer<ResBody, S::Error>> + Send>> },
        Fill { fill: Handover<Filled<S, ReqBody, ResBody>> },
    }
}

pub(super) type Filled<S, ReqBody, ResBody> = Answer<ResBody, <S as Service<Request<ReqBody>>>::Error>;

impl<S: Service<Request<ReqBody>>, ReqBody, ResBody: Body> ResponseFuture<S, ReqBody, ResBody> {
    pub(super) fn stored(answer: Stored) -> Self {
        Self { state: State::Stored { answer } }
    }

    /// The answer, if it is a stored one, which is there without polling.
    #[cfg(feature = "axum")]
    #[inline]
    pub(super) fn as_stored(self: Pin<&mut Self>) -> Option<&mut Stored> {
        match self.project().state.project() {
            StateProjection::Stored { answer } => Some(answer),
            _ => None,
        }
    }

    pub(super) fn pass(service: S, request: Request<ReqBody>, afterwards: Afterwards) -> Self {
        Self { state: State::Pass { inner: Box::pin(Oneshot::new(service, request)), afterwards } }
    }

    pub(super) fn boxed(future: Pin<Box<dyn Future<Output = Answer<ResBody, S::Error>> + Send>>) -> Self {
        Self { state: State::Boxed { future } }
    }

    pub(super) fn fill(fill: Handover<Filled<S, ReqBody, ResBody>>) -> Self {
        Self { state: State::Fill { fill } }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Send,
{
    type Output = Answer<ResBody, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Stored { answer } => Poll::Ready(Ok(answer.respond())),
            StateProjection::Pass { inner, afterwards } => {
                let response = ready!(inner.as_mut().poll(context))?;
                Poll::Ready(Ok(afterwards.apply(response).map(CacheBody::inner)))
            }
            StateProjection::Boxed { future } => future.as_mut().poll(context),
            StateProjection::Fill { fill } => Pin::new(fill).poll(context),
        }
    }
}

impl<S: Service<Request<ReqBody>>, ReqBody, ResBody: Body> fmt::Debug for ResponseFuture<S, ReqBody, ResBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// Waits until a service is ready, and calls it once.
    #[project = OneshotProjection]
    pub(super) enum Oneshot<S, R>
    where
        S: Service<R>,
    {
        Ready { service: S, request: Option<R> },
        Called { #[pin] future: S::Future },
    }
}

impl<S: Service<R>, R> Oneshot<S, R> {
    pub(super) fn new(service: S, request: R) -> Self {
        Self::Ready { service, request: Some(request) }
    }
}

impl<S: Service<R>, R> Future for Oneshot<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                OneshotProjection::Ready { service, request } => {
                    ready!(service.poll_ready(context))?;
                    let future = service.call(request.take().expect("polled after it was ready"));
                    self.set(Self::Called { future });
                }
                OneshotProjection::Called { future } => return future.poll(context),
            }
        }
    }
}
