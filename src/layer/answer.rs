//! Answers from the cache.

use std::{mem, sync::Arc};

use bytes::Bytes;
use http::{Extensions, HeaderValue, Response};
use http_body::Body;

use super::{
    age,
    body::CacheBody,
    nested::Advice,
    rules::{Made, Rules, Use},
    status::CacheStatus,
};
use crate::{
    cache::{Found, State},
    freshness::times,
    record::Record,
    response::{Filled, StoredResponse},
};

/// What the field that tells a hit says.
static TRUE: HeaderValue = HeaderValue::from_static("True");

/// An answer that is made when it is polled: until then it is small, and moving it costs little.
pub(super) struct Stored {
    record: Arc<Record<StoredResponse>>,
    rules: Arc<Rules>,
    plan: Use,
    /// Those of the request.
    extensions: Extensions,
    by: By,
}

enum By {
    /// By an entry, at the time that it was found to be one that may be used.
    Hit {
        now: u64,
        state: State,
    },
    Sharing {
        now: u64,
    },
}

impl Stored {
    pub(super) fn hit(found: Found<StoredResponse>, rules: &Arc<Rules>, plan: Use, extensions: Extensions) -> Self {
        let Found { record, now, state, .. } = found;
        Self { record, rules: Arc::clone(rules), plan, extensions, by: By::Hit { now, state } }
    }

    pub(super) fn shared(
        record: Arc<Record<StoredResponse>>,
        rules: &Arc<Rules>,
        plan: Use,
        extensions: Extensions,
        now: u64,
    ) -> Self {
        Self { record, rules: Arc::clone(rules), plan, extensions, by: By::Sharing { now } }
    }

    /// The answer, once.
    pub(super) fn respond<B: Body>(&mut self) -> Response<CacheBody<B>> {
        self.respond_with(CacheBody::whole)
    }

    /// As [`respond`](Self::respond), with a body that is made of the bytes.
    #[inline]
    pub(super) fn respond_with<B>(&mut self, made_of: impl FnOnce(Bytes) -> B) -> Response<B> {
        let stored = &self.record.payload;
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = stored.status();
        let headers = stored.headers_with(&Filled { slots: &self.rules.slots, value: |slot| self.made(slot) });
        // The map of a new response owns nothing, and to drop it costs fifty instructions.
        mem::forget(mem::replace(&mut parts.headers, headers));
        parts.extensions = self.status().begin(mem::take(&mut self.extensions));
        if self.plan.is_nested {
            let (now, is_stale) = match self.by {
                By::Hit { now, state } => (now, matches!(state, State::Stale | State::Spared)),
                By::Sharing { now } => (now, false),
            };
            parts.extensions.insert(Advice::repeat(&self.rules, &self.record, now, is_stale));
        }
        let body = if self.plan.is_head { Bytes::new() } else { stored.body().clone() };
        Response::from_parts(parts, made_of(body))
    }

    fn status(&self) -> CacheStatus {
        match self.by {
            By::Hit { state: State::Fresh | State::Due, .. } => CacheStatus::Hit,
            By::Hit { state: State::Stale, .. } => CacheStatus::Stale,
            By::Hit { state: State::Spared, .. } => CacheStatus::StaleOnError,
            By::Sharing { .. } => CacheStatus::Shared,
        }
    }

    /// What is in the slot at a position.
    #[inline]
    fn made(&self, slot: usize) -> Option<HeaderValue> {
        match (self.rules.made.get(slot)?, &self.by) {
            (Made::Age, By::Hit { now, .. }) => Some(age::value(times(*now, &self.record.meta).age / 1_000)),
            (Made::HitHeader, By::Hit { .. }) => Some(TRUE.clone()),
            (Made::Status, By::Hit { now, .. }) => {
                let times = times(*now, &self.record.meta);
                self.rules.cache_status.as_ref().map(|cache| self.status().field(cache, Some(times)))
            }
            (Made::Status, By::Sharing { .. }) => {
                self.rules.cache_status.as_ref().map(|cache| CacheStatus::Shared.field(cache, None))
            }
            (Made::Age | Made::HitHeader, By::Sharing { .. }) => None,
        }
    }
}
