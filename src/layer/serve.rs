//! Answers from the cache that are more than that: entries to be made anew, and answers that do not come in time.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use tokio::runtime::Handle;
use tower_service::Service;

use super::{
    future::ResponseFuture,
    late::{Bounds, Kept},
    origin,
    question::Ask,
    rules::Use,
    service::CacheService,
    status::CacheStatus,
};
use crate::{
    cache::{Found, OwnedKey, Question, State, Turn},
    reason::NotStored,
    response::StoredResponse,
};

impl<S> CacheService<S> {
    /// Answers with an entry, and has it made anew in the background if that is due.
    #[cold]
    pub(super) fn serve<ReqBody, ResBody>(
        &self,
        found: Found<StoredResponse>,
        key: &OwnedKey,
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
        let (parts, body) = request.into_parts();
        // A request that stores nothing makes nothing anew.
        let is_due = matches!(found.state, State::Due | State::Stale) && plan.on_miss.is_none();
        if !is_due {
            return self.stored(found, key, plan, parts.extensions);
        }
        let id = Ask::of(&self.layer.cache, &self.layer.rules, &parts).id(Some(&found.record.payload));
        let request = Request::from_parts(parts, body);
        match Handle::try_current() {
            Ok(runtime) => self.refresh(&runtime, &found, key, id, (plan, request)),
            // Nobody else would do it.
            Err(_) if found.state == State::Stale => {
                if let Some(fill) = self.layer.cache.refill(key.clone(), id, &found) {
                    return self.take(Turn::Run(fill, None), plan, request);
                }
            }
            Err(_) => {}
        }
        self.stored(found, key, plan, Extensions::new())
    }

    fn stored<ReqBody, ResBody>(
        &self,
        found: Found<StoredResponse>,
        key: &OwnedKey,
        plan: Use,
        extensions: Extensions,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        ResBody: Body,
    {
        self.layer.cache.tell_found(&key.primary, found.state);
        self.layer.cache.note(&found.record);
        ResponseFuture::stored(self.hit(found, plan, extensions))
    }

    /// Sends the request on in the background, for the entry alone.
    fn refresh<ReqBody, ResBody>(
        &self,
        runtime: &Handle,
        found: &Found<StoredResponse>,
        key: &OwnedKey,
        id: u64,
        (plan, request): (Use, Request<ReqBody>),
    ) where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        ReqBody: Body + Send + 'static,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Send,
    {
        let (rules, inner) = (Arc::clone(&self.layer.rules), self.inner());
        let run = move |fill| async move {
            let (parts, body) = request.into_parts();
            let answer = origin::run(rules, fill, inner, plan, parts, body).await;
            let status = answer.ok().and_then(|response| CacheStatus::of(&response));
            // One that a purge or a mark has overtaken did not fail.
            matches!(status, Some(CacheStatus::Miss { not_stored: None | Some(NotStored::Refused), .. }))
        };
        self.layer.cache.refresh(runtime, key.clone(), id, found, self.layer.rules.profile.backoff(), run);
    }

    /// Does not wait without end for what has to be waited for, if the layer says so.
    pub(super) fn in_time<ReqBody, ResBody>(
        &self,
        key: &OwnedKey,
        plan: Use,
        request: Request<ReqBody>,
        answer: impl FnOnce(Request<ReqBody>) -> ResponseFuture<S, ReqBody, ResBody>,
    ) -> ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        ReqBody: Body + Send + 'static,
        ResBody: Body<Data = Bytes> + Send + 'static,
        ResBody::Error: Send,
    {
        // What cannot be filled is not the cache's to bound.
        if !self.layer.rules.profile.is_timed() || plan.on_miss.is_some() {
            return answer(request);
        }
        let (parts, body) = request.into_parts();
        let kept = Kept::of(&self.layer.rules, &parts, plan);
        let bounds = Bounds { layer: Arc::clone(&self.layer), key: key.clone(), kept };
        let answer = answer(Request::from_parts(parts, body));
        ResponseFuture::boxed(Box::pin(bounds.wait(answer)))
    }
}
