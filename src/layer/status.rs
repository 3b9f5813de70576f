use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, Response};

use crate::{
    reason::{BypassReason, MissReason, NotStored},
    response::EMPTY_SLOT,
};

const NAME: HeaderName = HeaderName::from_static("cache-status");

/// What the cache did with a request: an extension of every response that went through a [`CacheLayer`].
///
/// For outer layers, logs and tests.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::convert::Infallible;
/// use axum_caching::{BypassReason, Cache, CacheLayer, CacheStatus, NullBackend};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// let cache = Cache::new(NullBackend::default());
/// let service = ServiceBuilder::new()
///     .layer(CacheLayer::new(&cache))
///     .service(service_fn(async |_: Request<Full<Bytes>>| {
///         Ok::<_, Infallible>(Response::new(Full::from("hello")))
///     }));
///
/// let request = Request::post("/").body(Full::default()).unwrap();
/// let response = service.oneshot(request).await.unwrap();
/// assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Bypass(BypassReason::Method)));
/// # });
/// ```
///
/// [`CacheLayer`]: crate::CacheLayer
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheStatus {
    /// Answered from the cache.
    Hit,
    /// Answered by a run of the origin that another request had begun.
    Shared,
    /// The origin ran.
    Miss {
        /// Why.
        reason: MissReason,
        /// Why its answer is not kept; `None` if it is, or will be once its body is complete.
        not_stored: Option<NotStored>,
    },
    /// The request did not touch the cache.
    Bypass(BypassReason),
}

impl CacheStatus {
    /// The status of a response, if it went through a cache.
    pub fn of<B>(response: &Response<B>) -> Option<Self> {
        response.extensions().get().copied()
    }

    /// Adds a member to `Cache-Status`: each cache on the way adds its own, ours comes after those nearer the origin.
    pub(super) fn append_to(self, headers: &mut HeaderMap, cache: &str, left: Option<u64>) {
        let ours = self.field(cache, left);
        match headers.get_mut(NAME) {
            Some(slot) if slot.as_bytes() == EMPTY_SLOT => *slot = ours,
            // A map that is full cannot tell; that is no reason to fail.
            _ => drop(headers.try_append(NAME, ours)),
        }
    }

    /// The member of `Cache-Status` that says this (RFC 9211). `left` is in milliseconds.
    pub(super) fn field(self, cache: &str, left: Option<u64>) -> HeaderValue {
        let mut text = String::with_capacity(64);
        text.push_str(cache);
        match self {
            Self::Hit => text.push_str("; hit"),
            Self::Shared => text.push_str("; fwd=miss; collapsed"),
            Self::Miss { reason, not_stored } => {
                text.push_str(match reason {
                    MissReason::Variant => "; fwd=vary-miss",
                    MissReason::Expired | MissReason::IsStale => "; fwd=stale",
                    MissReason::Forced => "; fwd=request",
                    MissReason::Absent | MissReason::Cleared => "; fwd=uri-miss",
                    _ => "; fwd=miss",
                });
                match not_stored {
                    None => text.push_str("; stored"),
                    Some(reason) => {
                        text.push_str("; detail=");
                        text.push_str(reason.as_str());
                    }
                }
            }
            Self::Bypass(reason) => {
                text.push_str("; fwd=bypass; detail=");
                text.push_str(reason.as_str());
            }
        }
        if let (Self::Hit, Some(left)) = (self, left) {
            let _ = write!(text, "; ttl={}", left / 1_000);
        }
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("cache"))
    }
}
