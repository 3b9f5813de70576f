//! Answers from the cache.

use std::sync::Arc;

use arrayvec::ArrayVec;
use bytes::Bytes;
use http::{Extensions, HeaderName, HeaderValue, Response};
use http_body::Body;

use super::{
    age,
    body::CacheBody,
    nested::repeat_selectors,
    rules::Rules,
    status::{self, CacheStatus},
};
use crate::{
    cache::{Found, State},
    freshness::Times,
    record::Record,
    response::{Filled, StoredResponse},
};

/// An answer that is made when it is polled: until then it is small, and moving it costs little.
pub(super) struct Stored {
    record: Arc<Record<StoredResponse>>,
    rules: Arc<Rules>,
    /// Those of the request.
    extensions: Extensions,
    by: By,
}

enum By {
    Hit { times: Times, state: State, is_head: bool },
    Sharing,
}

impl Stored {
    pub(super) fn hit(found: Found<StoredResponse>, rules: &Arc<Rules>, is_head: bool, extensions: Extensions) -> Self {
        let Found { record, times, state, .. } = found;
        Self { record, rules: Arc::clone(rules), extensions, by: By::Hit { times, state, is_head } }
    }

    pub(super) fn shared(record: Arc<Record<StoredResponse>>, rules: &Arc<Rules>, extensions: Extensions) -> Self {
        Self { record, rules: Arc::clone(rules), extensions, by: By::Sharing }
    }

    #[inline]
    pub(super) fn respond<B: Body>(self) -> Response<CacheBody<B>> {
        let stored = &self.record.payload;
        let advice = repeat_selectors(&self.extensions, stored);
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = stored.status();
        parts.headers = stored.headers_with(self.filled());
        parts.extensions = self.status().begin(self.extensions);
        if let Some(mut advice) = advice {
            advice.is_stale = matches!(self.by, By::Hit { state: State::Stale | State::Spared, .. });
            parts.extensions.insert(advice);
        }
        let body = if matches!(self.by, By::Hit { is_head: true, .. }) { Bytes::new() } else { stored.body().clone() };
        Response::from_parts(parts, CacheBody::whole(body))
    }

    fn status(&self) -> CacheStatus {
        match self.by {
            By::Hit { state: State::Fresh | State::Due, .. } => CacheStatus::Hit,
            By::Hit { state: State::Stale, .. } => CacheStatus::Stale,
            By::Hit { state: State::Spared, .. } => CacheStatus::StaleOnError,
            By::Sharing => CacheStatus::Shared,
        }
    }

    /// The fields that are made for this answer.
    #[inline]
    fn filled(&self) -> Filled<'_> {
        let rules = &*self.rules;
        let mut values = ArrayVec::new();
        if rules.slots.is_empty() {
            return Filled { slots: &rules.slots, values };
        }
        match self.by {
            By::Hit { times, .. } => {
                if rules.age_header {
                    values.push(Some(age::value(times.age / 1_000)));
                }
                if rules.hit_header.is_some() {
                    values.push(Some(HeaderValue::from_static("True")));
                }
                if let Some(cache) = &rules.cache_status {
                    values.push(Some(self.status().field(cache, Some(times))));
                }
            }
            By::Sharing => {
                let cache = rules.cache_status.as_ref();
                let value = |slot: &HeaderName| {
                    let cache = cache.filter(|_| *slot == status::NAME)?;
                    Some(CacheStatus::Shared.field(cache, None))
                };
                values.extend(rules.slots.iter().map(value));
            }
        }
        Filled { slots: &rules.slots, values }
    }
}
