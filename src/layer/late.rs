//! What is served in place of an answer that does not come, or not in time.

use std::{borrow::Cow, future::Future, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri, request};
use http_body::Body;
use tokio::time::Instant;

use super::{
    CacheLayer,
    answer::Stored,
    body::CacheBody,
    future::Answer,
    key_by::Target,
    question::Ask,
    reference::Origin,
    rules::{Rules, Use},
    service::finish,
    status::CacheStatus,
};
use crate::{
    cache::{Cache, OwnedKey},
    reason::{MissReason, NotStored},
    response::Asked,
    timer::before,
};

/// What of a request is still needed when it is gone.
pub(super) struct Kept {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
    pub(super) plan: Use,
    /// All of it, where the user is asked whether an entry is stale to it.
    whole: Option<Box<request::Parts>>,
}

impl Kept {
    pub(super) fn of(rules: &Rules, parts: &request::Parts, plan: Use) -> Self {
        Self {
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            uri: Target::of(parts).uri.clone(),
            plan,
            whole: rules.is_stale.as_ref().map(|_| Box::new(parts.clone())),
        }
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked::of(&self.headers, &self.uri)
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::of(&self.uri, &self.headers)
    }

    fn to_parts(&self) -> Cow<'_, request::Parts> {
        if let Some(parts) = &self.whole {
            return Cow::Borrowed(parts);
        }
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.headers = self.headers.clone();
        parts.uri = self.uri.clone();
        Cow::Owned(parts)
    }

    /// A stale answer, if there is one that may be served since the origin failed. The origin is then left alone for a
    /// while.
    pub(super) async fn rescue(&self, cache: &Cache, rules: &Arc<Rules>, key: &OwnedKey) -> Option<Stored> {
        let parts = self.to_parts();
        let found = cache.rescue(key, &Ask::of(cache, rules, &parts), rules.profile.backoff()).await?;
        cache.tell_found(&key.primary, found.state);
        cache.note(&found.record);
        Some(Stored::hit(found, rules, self.plan, Extensions::new()))
    }
}

/// A request whose answer is not waited for without end.
pub(super) struct Bounds {
    pub(super) layer: Arc<CacheLayer>,
    pub(super) key: OwnedKey,
    pub(super) kept: Kept,
}

impl Bounds {
    /// The answer if it comes in time, otherwise what is stale, or `504 Gateway Timeout`. A run that is not waited for
    /// is dropped, and so goes on in the background.
    pub(super) async fn wait<B: Body, E>(self, answer: impl Future<Output = Answer<B, E>>) -> Answer<B, E> {
        let mut answer = pin!(answer);
        let after = |wait: Duration| Instant::now().checked_add(wait);
        let hard = self.layer.rules.profile.hard_timeout.and_then(after);
        if let Some(soft) = self.soft() {
            if let Some(answer) = before(after(soft), answer.as_mut()).await {
                return answer;
            }
            if let Some(mut stale) = self.rescue().await {
                return Ok(stale.respond());
            }
        }
        if let Some(answer) = before(hard, answer).await {
            return answer;
        }
        Ok(match self.rescue().await {
            Some(mut stale) => stale.respond(),
            None => self.timed_out(),
        })
    }

    /// A hard one that comes first makes the soft one pointless.
    fn soft(&self) -> Option<Duration> {
        let profile = &self.layer.rules.profile;
        profile
            .soft_timeout
            .filter(|soft| !self.kept.plan.is_forced && profile.hard_timeout.is_none_or(|hard| *soft < hard))
    }

    async fn rescue(&self) -> Option<Stored> {
        // A forced update is not served with what it was to replace.
        if self.kept.plan.is_forced {
            return None;
        }
        self.kept.rescue(&self.layer.cache, &self.layer.rules, &self.key).await
    }

    fn timed_out<B: Body>(&self) -> Response<CacheBody<B>> {
        let mut response = Response::new(CacheBody::whole(Bytes::new()));
        *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        let reason = if self.kept.plan.is_forced { MissReason::Forced } else { MissReason::Absent };
        finish(response, CacheStatus::Miss { reason, not_stored: Some(NotStored::TimedOut) }, &self.layer.rules)
    }
}
