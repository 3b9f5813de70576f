use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    answer::Stored,
    body::CacheBody,
    future::{Answer, ResponseFuture},
    key_by::Target,
    nested::{Advice, Inside, Outer},
    origin,
    question::Ask,
    rules::{Rules, Use},
    status::CacheStatus,
};
use crate::{
    cache::{Cache, OwnedKey, Question, State, Turn},
    flight::Follower,
    key::Key,
    observe::Event,
    reason::{BypassReason, MissReason},
    response::StoredResponse,
};

/// The service of a [`CacheLayer`](super::CacheLayer).
///
/// It is always ready: the inner service is waited for when it has to run, so that hits are answered while it is
/// busy. That hides its back-pressure; limits and load shedding belong inside the cache.
///
/// # Examples
///
/// See [`CacheLayer`](super::CacheLayer).
pub struct CacheService<S> {
    /// Locked on misses and bypasses only, to be cloned; a lock makes any service `Sync`.
    inner: Arc<Mutex<S>>,
    pub(super) cache: Cache,
    pub(super) rules: Arc<Rules>,
}

impl<S> CacheService<S> {
    pub(super) fn new(inner: S, cache: Cache, rules: Arc<Rules>) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), cache, rules }
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
        Self { inner: Arc::clone(&self.inner), cache: self.cache.clone(), rules: Arc::clone(&self.rules) }
    }
}

impl<S> fmt::Debug for CacheService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheService").field("cache", &self.cache).field("rules", &self.rules).finish_non_exhaustive()
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
        match Inside::of(&parts.extensions, &self.cache) {
            Outer::Nothing => {}
            Outer::Fills => return self.nested(Request::from_parts(parts, body)),
            Outer::Passes => return self.bypass(Request::from_parts(parts, body), BypassReason::Nested),
        }
        let (plan, host) = match self.rules.of_request(&parts, has_body(&body)) {
            Ok(planned) => planned,
            Err(reason) => return self.bypass(Request::from_parts(parts, body), reason),
        };
        let mut key = Key::default();
        let target = Target::of(&parts);
        if let Err(reason) = self.rules.key(&self.cache.space.scope, &parts, target, &mut key) {
            return self.bypass(Request::from_parts(parts, body), reason);
        }
        let ask = Ask { cache: &self.cache, rules: &self.rules, parts: &parts, target: target.uri, host };
        if plan.is_forced {
            let fill = self.cache.alone(OwnedKey::from(&key), MissReason::Forced, ask.id(None));
            return self.in_time(&fill.key.clone(), plan, Request::from_parts(parts, body), |request| {
                self.take(Turn::Run(fill, None), plan, request)
            });
        }
        match self.cache.look_now(&key, &ask) {
            Some(Ok(found)) if found.state == State::Fresh => {
                self.cache.core.reporter.tell(&Event::Hit { key: key.backend.as_str() });
                self.cache.note(&found.record);
                ResponseFuture::stored(Stored::hit(found, &self.rules, plan.is_head, parts.extensions))
            }
            Some(Ok(found)) => self.serve(found, &OwnedKey::from(&key), plan, Request::from_parts(parts, body)),
            Some(Err(missed)) => match plan.on_miss {
                Some(reason) => self.bypass(Request::from_parts(parts, body), reason),
                None => {
                    let key = OwnedKey::from(&key);
                    let turn = self.cache.begin(key.clone(), &ask, &missed);
                    self.in_time(&key, plan, Request::from_parts(parts, body), |request| self.take(turn, plan, request))
                }
            },
            None => {
                let key = OwnedKey::from(&key);
                self.in_time(&key.clone(), plan, Request::from_parts(parts, body), |request| {
                    self.wait(key, None, plan, request)
                })
            }
        }
    }
}

fn has_body(body: &impl Body) -> bool {
    !body.is_end_stream() && body.size_hint().exact() != Some(0)
}

impl<S> CacheService<S> {
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
                let run = origin::run(Arc::clone(&self.rules), fill, self.inner(), parts, body);
                ResponseFuture::fill(self.cache.handover(run))
            }
            Turn::Wait(follower, key) => self.wait(key, Some(follower), plan, request),
            Turn::Hit(found, key) => self.serve(found, &key, plan, request),
            Turn::Shared(record, _) => {
                self.cache.note(&record);
                let (parts, _) = request.into_parts();
                ResponseFuture::stored(Stored::shared(record, &self.rules, parts.extensions))
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
        let ask = Ask::of(&self.cache, &self.rules, &parts);
        if let Some(reason) = plan.on_miss {
            return match self.cache.look(&key, &ask).await {
                Ok(found) => self.serve(found, &key, plan, Request::from_parts(parts, body)).await,
                Err(_) => self.bypass(Request::from_parts(parts, body), reason).await,
            };
        }
        let turn = self.cache.turn(key, &ask, follower).await;
        self.take(turn, plan, Request::from_parts(parts, body)).await
    }

    fn bypass<ReqBody, ResBody>(
        &self,
        mut request: Request<ReqBody>,
        reason: BypassReason,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
        ResBody: Body,
    {
        self.cache.core.reporter.tell(&Event::Bypass { reason });
        self.rules.hint(reason);
        Inside::pass(request.extensions_mut(), &self.cache, reason);
        let afterwards = Afterwards::Tell { reason, rules: Arc::clone(&self.rules) };
        ResponseFuture::pass(self.inner(), request, afterwards)
    }

    /// Inside a fill of the same cache, this layer only says what it would have done.
    fn nested<ReqBody, ResBody>(&self, request: Request<ReqBody>) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
        ReqBody: Body,
        ResBody: Body,
    {
        let (parts, body) = request.into_parts();
        let allows = self.rules.of_request(&parts, has_body(&body)).is_ok();
        let afterwards = Afterwards::Advise { allows, rules: Arc::clone(&self.rules) };
        ResponseFuture::pass(self.inner(), Request::from_parts(parts, body), afterwards)
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
