//! Events as counters of the `metrics` crate.

use std::{array, sync::OnceLock};

use metrics::{Counter, Label, counter, describe_counter, describe_gauge, gauge};

use super::Event;
use crate::backend::Usage;

const HITS: &str = "axum_caching_hits_total";
const STALE: &str = "axum_caching_stale_total";
const REFRESHES: &str = "axum_caching_refreshes_total";
const ORIGIN_FAILURES: &str = "axum_caching_origin_failures_total";
const SHARED: &str = "axum_caching_shared_total";
const MISSES: &str = "axum_caching_misses_total";
const BYPASSES: &str = "axum_caching_bypasses_total";
const STORED: &str = "axum_caching_stored_total";
const NOT_STORED: &str = "axum_caching_not_stored_total";
const FAILURES: &str = "axum_caching_failures_total";
const BREAKER_CHANGES: &str = "axum_caching_breaker_changes_total";
const ENTRIES: &str = "axum_caching_entries";
const WEIGHT: &str = "axum_caching_weight_bytes";
const EVICTIONS: &str = "axum_caching_evictions_total";

/// So many reasons of a sort have a handle that is kept; others are looked up each time.
const KEPT: usize = 32;

/// What the recorder that is installed gave us. It is asked at the first event: a cache may be a `static`, and older than
/// its recorder.
#[derive(Default)]
pub(super) struct Metrics(OnceLock<Handles>);

struct Handles {
    labels: Vec<Label>,
    hits: Counter,
    stale: Counter,
    refreshes: Counter,
    origin_failures: Counter,
    shared: Counter,
    misses: ByReason,
    bypasses: ByReason,
    stored: Counter,
    not_stored: ByReason,
}

impl Metrics {
    #[inline]
    pub(super) fn count(&self, cache: Option<&str>, event: &Event<'_>) {
        let handles = self.handles(cache);
        match event {
            Event::Hit { .. } => handles.hits.increment(1),
            Event::Stale { .. } => handles.stale.increment(1),
            Event::Refresh { .. } => handles.refreshes.increment(1),
            Event::OriginFailed { .. } => handles.origin_failures.increment(1),
            Event::Shared { .. } => handles.shared.increment(1),
            Event::Miss { reason, .. } => handles.count(&handles.misses, *reason as usize, reason.as_str()),
            Event::Bypass { reason } => handles.count(&handles.bypasses, *reason as usize, reason.as_str()),
            Event::Stored { .. } => handles.stored.increment(1),
            Event::NotStored { reason, .. } => {
                handles.count(&handles.not_stored, *reason as usize, reason.as_str());
            }
            Event::Breaker { state } => {
                counter!(BREAKER_CHANGES, handles.labelled([("state", state.as_str())])).increment(1);
            }
            Event::Failed { operation, error } => {
                // A call of the backend came before, which costs more than the look.
                let labels = [("operation", *operation), ("kind", error.kind().as_str())];
                counter!(FAILURES, handles.labelled(labels)).increment(1);
            }
        }
    }

    pub(super) fn record(&self, cache: Option<&str>, usage: &Usage) {
        // Looked up each time: a backend that does not know what it holds has none of these.
        let labels = self.handles(cache).labelled([]);
        gauge!(ENTRIES, labels.clone()).set(lossy(usage.entries));
        gauge!(WEIGHT, labels.clone()).set(lossy(usage.weight));
        counter!(EVICTIONS, labels).absolute(usage.evictions);
    }

    #[inline]
    fn handles(&self, cache: Option<&str>) -> &Handles {
        self.0.get_or_init(|| Handles::new(cache))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is an f64")]
fn lossy(number: u64) -> f64 {
    number as f64
}

impl Handles {
    #[cold]
    fn new(cache: Option<&str>) -> Self {
        describe();
        let labels: Vec<_> = cache.map(|cache| Label::new("cache", cache.to_owned())).into_iter().collect();
        Self {
            hits: counter!(HITS, labels.clone()),
            stale: counter!(STALE, labels.clone()),
            refreshes: counter!(REFRESHES, labels.clone()),
            origin_failures: counter!(ORIGIN_FAILURES, labels.clone()),
            shared: counter!(SHARED, labels.clone()),
            misses: ByReason::new(MISSES),
            bypasses: ByReason::new(BYPASSES),
            stored: counter!(STORED, labels.clone()),
            not_stored: ByReason::new(NOT_STORED),
            labels,
        }
    }

    fn count(&self, counters: &ByReason, index: usize, reason: &'static str) {
        let look_up = || counter!(counters.name, self.labelled([("reason", reason)]));
        match counters.kept.get(index) {
            Some(kept) => kept.get_or_init(look_up).increment(1),
            None => look_up().increment(1),
        }
    }

    fn labelled<const N: usize>(&self, more: [(&'static str, &'static str); N]) -> Vec<Label> {
        let more = more.into_iter().map(|(name, value)| Label::from_static_parts(name, value));
        self.labels.iter().cloned().chain(more).collect()
    }
}

/// One counter for each reason, looked up when that comes up first.
struct ByReason {
    name: &'static str,
    kept: [OnceLock<Counter>; KEPT],
}

impl ByReason {
    fn new(name: &'static str) -> Self {
        Self { name, kept: array::from_fn(|_| OnceLock::new()) }
    }
}

fn describe() {
    describe_counter!(HITS, "Entries served.");
    describe_counter!(STALE, "Stale entries served.");
    describe_counter!(REFRESHES, "Runs of the origin in the background, to make an entry anew.");
    describe_counter!(
        ORIGIN_FAILURES,
        "Runs of the origin that failed or took too long while a stale entry was there."
    );
    describe_counter!(SHARED, "Callers that got the answer of another caller's run.");
    describe_counter!(MISSES, "Runs of the origin for want of an entry.");
    describe_counter!(BYPASSES, "Requests that did not touch the cache.");
    describe_counter!(STORED, "Entries stored.");
    describe_counter!(NOT_STORED, "Answers of the origin that were not stored.");
    describe_counter!(FAILURES, "Failures that nobody else was told of.");
    describe_counter!(BREAKER_CHANGES, "Changes of the breaker of the backend.");
    describe_gauge!(ENTRIES, "Entries in the backend.");
    describe_gauge!(WEIGHT, metrics::Unit::Bytes, "What the entries in the backend count as.");
    describe_counter!(EVICTIONS, "Entries that had to make room for others.");
}
