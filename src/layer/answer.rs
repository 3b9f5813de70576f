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
    cache::Found,
    record::Record,
    response::{Filled, StoredResponse},
};

/// What the field that tells a hit says.
static TRUE: HeaderValue = HeaderValue::from_static("True");

/// An answer that is made when it is polled: until then it is small, and moving it costs little.
pub(super) struct Stored {
    record: Arc<Record<StoredResponse>>,
    rules: Arc<Rules>,
    /// Those of the request.
    extensions: Extensions,
    by: By,
}

enum By {
    /// In milliseconds, as in [`Found`].
    Hit {
        age: u64,
        left: Option<u64>,
        is_head: bool,
    },
    Sharing,
}

impl Stored {
    pub(super) fn hit(found: Found<StoredResponse>, rules: &Arc<Rules>, is_head: bool, extensions: Extensions) -> Self {
        let Found { record, age, left } = found;
        Self { record, rules: Arc::clone(rules), extensions, by: By::Hit { age, left, is_head } }
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
        if let Some(advice) = advice {
            parts.extensions.insert(advice);
        }
        let body = if matches!(self.by, By::Hit { is_head: true, .. }) { Bytes::new() } else { stored.body().clone() };
        Response::from_parts(parts, CacheBody::whole(body))
    }

    fn status(&self) -> CacheStatus {
        match self.by {
            By::Hit { .. } => CacheStatus::Hit,
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
            By::Hit { age, left, .. } => {
                if rules.age_header {
                    values.push(Some(age::value(age / 1_000)));
                }
                if rules.hit_header.is_some() {
                    values.push(Some(TRUE.clone()));
                }
                if let Some(cache) = &rules.cache_status {
                    values.push(Some(CacheStatus::Hit.field(cache, left)));
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
