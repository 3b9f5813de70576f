use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Extensions, Request, Response, request};
use http_body::Body;
use tower_service::Service;

use super::{
    CacheLayer,
    answer::Stored,
    body::CacheBody,
    future::{Answer, ResponseFuture},
    look::Look,
    narrow::Narrowing,
    nested::{Advice, Inside},
    origin,
    question::Ask,
    rules::{Rules, Use},
    status::CacheStatus,
    writes::Write,
};
use crate::{
    cache::{Found, OwnedKey, Turn},
    flight::Follower,
    observe::Event,
    reason::BypassReason,
    response::StoredResponse,
};

/// The service of a [`CacheLayer`].
///
/// It is always ready: the inner service is waited for when it has to run, so that hits are answered while it is
/// busy. That hides its back-pressure; limits and load shedding belong inside the cache.
///
/// # Examples
///
/// See [`CacheLayer`].
pub struct CacheService<S> {
    /// Locked on misses and bypasses only, to be cloned; a lock makes any service `Sync`.
    inner: Arc<Mutex<S>>,
    pub(super) layer: Arc<CacheLayer>,
}

impl<S> CacheService<S> {
    pub(super) fn new(inner: S, layer: &CacheLayer) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), layer: Arc::new(layer.clone()) }
    }

    pub(super) fn inner(&self) -> S
    where
        S: Clone,
    {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S> Clone for CacheService<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), layer: Arc::clone(&self.layer) }
    }
}

impl<S> fmt::Debug for CacheService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CacheLayer { cache, rules } = &*self.layer;
        f.debug_struct("CacheService").field("cache", cache).field("rules", rules).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for CacheService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    ReqBody: Body + Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Send,
{
    type Response = Response<CacheBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match self.layer.look(&parts, has_body(&body)) {
            // Here and not below, since it costs a hundred instructions to hand all of it on.
            Look::Hit(found, plan) if !plan.narrows => ResponseFuture::stored(self.hit(found, plan, parts.extensions)),
            look if look.narrows() => {
                let narrowing = Narrowing::of(&self.layer.rules, &parts);
                let answer = self.answer(look, parts, body);
                ResponseFuture::boxed(Box::pin(async move { Ok(narrowing.apply(answer.await?)) }))
            }
            look => self.answer(look, parts, body),
        }
    }
}

fn has_body(body: &impl Body) -> bool {
    !body.is_end_stream() && body.size_hint().exact() != Some(0)
}

impl<S> CacheService<S> {
    fn answer<ReqBody, ResBody>(
        &self,
        look: Look,
        parts: request::Parts,
        body: ReqBody,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        ReqBody: Body + Send + 'static,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Send,
    {
        match look {
            Look::Hit(found, plan) => ResponseFuture::stored(self.hit(found, plan, parts.extensions)),
            Look::Serve(found, key, plan) => self.serve(found, &key, plan, Request::from_parts(parts, body)),
            Look::Turn(turn, key, plan) => {
                self.in_time(&key, plan, Request::from_parts(parts, body), |request| self.take(turn, plan, request))
            }
            Look::Wait(key, plan) => self.in_time(&key.clone(), plan, Request::from_parts(parts, body), |request| {
                self.wait(key, None, plan, request)
            }),
            Look::Bypass(reason) => self.bypass(Request::from_parts(parts, body), reason),
            Look::Nested { allows } => {
                self.layer.rules.tag_outer(&parts);
                self.nested(Request::from_parts(parts, body), allows)
            }
        }
    }

    pub(super) fn hit(&self, found: Found<StoredResponse>, plan: Use, extensions: Extensions) -> Stored {
        Stored::hit(found, &self.layer.rules, plan, extensions)
    }

    /// Does what the cache says, in the way that costs least.
    pub(super) fn take<ReqBody, ResBody>(
        &self,
        turn: Turn<StoredResponse>,
        plan: Use,
        request: Request<ReqBody>,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        ReqBody: Body + Send + 'static,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Send,
    {
        match turn {
            Turn::Run(fill, _) => {
                let (parts, body) = request.into_parts();
                let run = origin::run(Arc::clone(&self.layer.rules), fill, self.inner(), plan, parts, body);
                ResponseFuture::fill(self.layer.cache.handover(run))
            }
            Turn::Wait(follower, key) => self.wait(key, Some(follower), plan, request),
            Turn::Hit(found, key) => self.serve(found, &key, plan, request),
            Turn::Shared(record, _) => {
                self.layer.cache.note(&record);
                let now = self.layer.cache.core.clock.now();
                let (parts, _) = request.into_parts();
                ResponseFuture::stored(Stored::shared(record, &self.layer.rules, plan, parts.extensions, now))
            }
        }
    }

    /// Asks a backend that does not answer at once, or waits for a flight.
    fn wait<ReqBody, ResBody>(
        &self,
        key: OwnedKey,
        follower: Option<Follower>,
        plan: Use,
        request: Request<ReqBody>,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        ReqBody: Body + Send + 'static,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Send,
    {
        let this = self.clone();
        ResponseFuture::boxed(Box::pin(async move { this.waited(key, follower, plan, request).await }))
    }

    async fn waited<ReqBody, ResBody>(
        self,
        key: OwnedKey,
        follower: Option<Follower>,
        plan: Use,
        request: Request<ReqBody>,
    ) -> Answer<ResBody, S::Error>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        ReqBody: Body + Send + 'static,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Send,
    {
        let (parts, body) = request.into_parts();
        let CacheLayer { cache, rules } = &*self.layer;
        let ask = Ask::of(cache, rules, &parts);
        if let Some(reason) = plan.on_miss {
            return match cache.look(&key, &ask).await {
                Ok(found) => self.serve(found, &key, plan, Request::from_parts(parts, body)).await,
                Err(_) => self.bypass(Request::from_parts(parts, body), reason).await,
            };
        }
        let turn = cache.turn(key, &ask, follower).await;
        self.take(turn, plan, Request::from_parts(parts, body)).await
    }

    fn bypass<ReqBody, ResBody>(
        &self,
        mut request: Request<ReqBody>,
        reason: BypassReason,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        ReqBody: Body + Send + 'static,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Send,
    {
        self.layer.cache.core.reporter.tell(&Event::Bypass { reason });
        self.layer.rules.hint(reason);
        Inside::pass(request.extensions_mut(), &self.layer.cache, reason);
        let afterwards = Afterwards::Tell { reason, rules: Arc::clone(&self.layer.rules) };
        if !self.layer.rules.is_write(request.method()) {
            return ResponseFuture::pass(self.inner(), request, afterwards);
        }
        let (parts, body) = request.into_parts();
        let write = Write::of(&self.layer, &parts);
        let answer = write.send(self.inner(), Request::from_parts(parts, body), afterwards);
        ResponseFuture::fill(self.layer.cache.handover(answer))
    }

    /// Inside a fill of the same scope, this layer only says what it would have done.
    fn nested<ReqBody, ResBody>(&self, request: Request<ReqBody>, allows: bool) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
        ReqBody: Body,
        ResBody: Body,
    {
        let afterwards = Afterwards::Advise { allows, rules: Arc::clone(&self.layer.rules) };
        ResponseFuture::pass(self.inner(), request, afterwards)
    }
}

/// What is done with the response of an inner service that was called as it is.
#[derive(Debug)]
pub(super) enum Afterwards {
    Tell { reason: BypassReason, rules: Arc<Rules> },
    Advise { allows: bool, rules: Arc<Rules> },
}

impl Afterwards {
    pub(super) fn apply<B>(&self, response: Response<B>) -> Response<B> {
        match self {
            Self::Tell { reason, rules } => finish(response, CacheStatus::Bypass(*reason), rules),
            Self::Advise { allows, rules } => {
                let (mut parts, body) = response.into_parts();
                Advice::add(rules, *allows, &mut parts);
                Response::from_parts(parts, body)
            }
        }
    }
}

/// Notes what the cache did, where it is to be seen.
pub(super) fn finish<B>(mut response: Response<B>, status: CacheStatus, rules: &Rules) -> Response<B> {
    if let Some(cache) = &rules.cache_status {
        status.append_to(response.headers_mut(), cache);
    }
    status.note(response.extensions_mut());
    response
}
