//! Events as lines of `tracing`.

use super::Event;
use crate::error::ErrorKind;

const TARGET: &str = "axum_caching";

/// Keys hold what users send, so they are for DEBUG and below.
#[inline]
pub(super) fn write(cache: Option<&str>, event: &Event<'_>) {
    match event {
        Event::Hit { key } => tracing::trace!(target: TARGET, cache, key, "hit"),
        Event::Stale { key } => tracing::debug!(target: TARGET, cache, key, "stale"),
        Event::Refresh { key } => tracing::debug!(target: TARGET, cache, key, "refresh"),
        Event::OriginFailed { key } => tracing::debug!(target: TARGET, cache, key, "origin failed"),
        Event::Shared { key } => tracing::debug!(target: TARGET, cache, key, "shared"),
        Event::Miss { key, reason } => {
            tracing::debug!(target: TARGET, cache, key, reason = reason.as_str(), "miss");
        }
        Event::Bypass { reason } => tracing::debug!(target: TARGET, cache, reason = reason.as_str(), "bypass"),
        Event::Stored { key } => tracing::debug!(target: TARGET, cache, key, "stored"),
        Event::NotStored { key, reason } => {
            tracing::debug!(target: TARGET, cache, key, reason = reason.as_str(), "not stored");
        }
        // Once when the breaker opens is enough.
        Event::Failed { error, .. } if error.kind() == ErrorKind::Unavailable => {}
        Event::Breaker { state } => {
            tracing::warn!(target: TARGET, cache, state = state.as_str(), "the breaker of the backend");
        }
        Event::Failed { operation, error } => {
            let kind = error.kind().as_str();
            tracing::warn!(target: TARGET, cache, operation, kind, %error, "the cache went on without its backend");
        }
    }
}
