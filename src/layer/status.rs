use std::sync::LazyLock;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Response};

use crate::{
    freshness::Times,
    reason::{BypassReason, MissReason, NotStored},
};

pub(super) const NAME: HeaderName = HeaderName::from_static("cache-status");

/// What the cache did with a request: every response that went through a [`CacheLayer`] has it in its extensions,
/// where [`CacheStatus::of`] reads it.
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
    /// Answered with a stale entry, which is made anew in the background.
    Stale,
    /// Answered with a stale entry, since the origin failed, or has failed so lately that it was not asked.
    StaleOnError,
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
        let extensions = response.extensions();
        match extensions.get::<Told>() {
            Some(told) => Some(told.0),
            None => extensions.get::<Hit>().map(|_| Self::Hit),
        }
    }

    /// Notes it in the extensions of a response, in place of what a cache further in has noted.
    pub(super) fn note(self, extensions: &mut Extensions) {
        extensions.remove::<Hit>();
        extensions.insert(Told(self));
    }

    /// Makes what is left of a request the extensions of its response: a new map is two allocations.
    #[expect(
        clippy::inline_always,
        reason = "it is on the way of each hit, twice in the code, and twenty instructions if called"
    )]
    #[inline(always)]
    pub(super) fn begin(self, mut extensions: Extensions) -> Extensions {
        match self {
            Self::Hit if extensions.is_empty() => return HIT.clone(),
            Self::Hit => {
                extensions.clear();
                extensions.insert(Hit);
            }
            told => {
                extensions.clear();
                extensions.insert(Told(told));
            }
        }
        extensions
    }

    /// Adds a member to `Cache-Status`: each cache on the way adds its own, ours comes after those nearer the origin.
    pub(super) fn append_to(self, headers: &mut HeaderMap, cache: &str) {
        // A map that is full cannot tell; that is no reason to fail.
        let _ = headers.try_append(&NAME, self.field(cache, None));
    }

    /// The member of `Cache-Status` that says this (RFC 9211).
    pub(super) fn field(self, cache: &str, times: Option<Times>) -> HeaderValue {
        let mut seconds = itoa::Buffer::new();
        let [first, second] = match (self, times) {
            (Self::Hit, Some(Times { left: Some(left), .. })) => ["; hit; ttl=", seconds.format(left / 1_000)],
            (Self::Hit | Self::Stale, None | Some(Times { left: None, .. })) => ["; hit", ""],
            (Self::Stale, Some(Times { over, .. })) => ["; hit; ttl=-", seconds.format(over.div_ceil(1_000))],
            (Self::StaleOnError, _) => ["; hit; detail=", "stale-if-error"],
            (Self::Shared, _) => ["; fwd=miss", "; collapsed"],
            (Self::Miss { reason, not_stored: None }, _) => [forwarded(reason), "; stored"],
            (Self::Miss { reason, not_stored: Some(why) }, _) => [forwarded(reason), why.as_str()],
            (Self::Bypass(reason), _) => ["; fwd=bypass", reason.as_str()],
        };
        let is_detail = matches!(self, Self::Miss { not_stored: Some(_), .. } | Self::Bypass(_));
        let detail = if is_detail { "; detail=" } else { "" };
        // Of exactly its size: so it becomes a value as it is.
        let mut text = String::with_capacity(cache.len() + first.len() + detail.len() + second.len());
        for piece in [cache, first, detail, second] {
            text.push_str(piece);
        }
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("cache"))
    }
}

/// Why a request went on (RFC 9211 §2.2).
fn forwarded(reason: MissReason) -> &'static str {
    match reason {
        MissReason::Variant => "; fwd=vary-miss",
        MissReason::Expired | MissReason::IsStale | MissReason::Refresh => "; fwd=stale",
        MissReason::Forced => "; fwd=request",
        MissReason::Absent | MissReason::Cleared => "; fwd=uri-miss",
        _ => "; fwd=miss",
    }
}

/// A hit in the extensions of a response. It has no size, so it takes no allocation.
#[derive(Clone, Copy)]
struct Hit;

/// What the extensions of a hit are if nothing can be reused: a clone of a map costs half of a new one.
static HIT: LazyLock<Extensions> = LazyLock::new(|| {
    let mut extensions = Extensions::new();
    extensions.insert(Hit);
    extensions
});

/// Anything else.
#[derive(Clone, Copy)]
struct Told(CacheStatus);
