//! What the macros of the kit stand on. Not for anybody else.

use crate::{
    layer::CacheStatus,
    reason::{BypassReason, MissReason, NotStored},
};

/// Asserts that a response came from the cache.
///
/// # Panics
///
/// If it did not, with what it was instead, and what to look at.
///
/// # Examples
///
/// See the [module](crate::testing).
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_hit {
    ($response:expr $(,)?) => {
        $crate::testing::status::is_hit($crate::CacheStatus::of(&$response))
    };
}

/// Asserts that the origin ran for a response, for any [reason](crate::MissReason) or for this one.
///
/// # Panics
///
/// If it did not, with what it was instead, and what to look at.
///
/// # Examples
///
/// See the [module](crate::testing).
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_miss {
    ($response:expr $(,)?) => {
        $crate::testing::status::is_miss($crate::CacheStatus::of(&$response), ::std::option::Option::None)
    };
    ($response:expr, $reason:expr $(,)?) => {
        $crate::testing::status::is_miss($crate::CacheStatus::of(&$response), ::std::option::Option::Some($reason))
    };
}

/// Asserts that the origin ran and its answer is not kept, for any [reason](crate::NotStored) or for this one.
///
/// A body that is still on its way may be given up later; that is an [`Event`](crate::Event), and not in the status.
///
/// # Panics
///
/// If it is otherwise, with what it was instead, and what to look at.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::convert::Infallible;
/// use axum_caching::{Cache, CacheLayer, NotStored, NullBackend, testing::assert_not_stored};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// let cache = Cache::new(NullBackend::default());
/// let service = ServiceBuilder::new().layer(CacheLayer::new(&cache)).service(service_fn(
///     async |_: Request<Full<Bytes>>| {
///         Ok::<_, Infallible>(Response::builder().header("set-cookie", "id=7").body(Full::<Bytes>::default()).unwrap())
///     },
/// ));
/// let response = service.oneshot(Request::new(Full::default())).await.unwrap();
/// assert_not_stored!(response, NotStored::SetCookie);
/// # });
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_not_stored {
    ($response:expr $(,)?) => {
        $crate::testing::status::is_not_stored($crate::CacheStatus::of(&$response), ::std::option::Option::None)
    };
    ($response:expr, $reason:expr $(,)?) => {
        $crate::testing::status::is_not_stored(
            $crate::CacheStatus::of(&$response),
            ::std::option::Option::Some($reason),
        )
    };
}

/// Asserts that a response came from the cache and is stale: while it is made anew, or since its origin failed.
///
/// # Panics
///
/// If it is not, with what it was instead, and what to look at.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::{convert::Infallible, time::Duration};
/// use axum_caching::{Cache, CacheLayer, MemoryBackend, Profile, testing::{ManualClock, assert_stale}};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// let (clock, minute) = (ManualClock::new(), Duration::from_secs(60));
/// let backend = MemoryBackend::builder().clock(clock.clock()).build();
/// let cache = Cache::builder(backend).clock(clock.clock()).build();
/// let profile = Profile::ttl(minute).stale_while_revalidate(minute);
/// let service = ServiceBuilder::new().layer(CacheLayer::new(&cache).profile(profile)).service(service_fn(
///     async |_: Request<Full<Bytes>>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())),
/// ));
/// service.clone().oneshot(Request::new(Full::default())).await.unwrap();
/// clock.advance(minute);
/// assert_stale!(service.oneshot(Request::new(Full::default())).await.unwrap());
/// # });
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_stale {
    ($response:expr $(,)?) => {
        $crate::testing::status::is_stale($crate::CacheStatus::of(&$response))
    };
}

/// Asserts that a response is the answer of a run that another request had begun.
///
/// # Panics
///
/// If it is not, with what it was instead, and what to look at.
///
/// # Examples
///
/// As [`assert_hit!`](crate::testing::assert_hit); [`Calls`](crate::testing::Calls) holds a run back until another
/// request waits for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_shared {
    ($response:expr $(,)?) => {
        $crate::testing::status::is_shared($crate::CacheStatus::of(&$response))
    };
}

/// Asserts that a request did not touch the cache, for any [reason](crate::BypassReason) or for this one.
///
/// # Panics
///
/// If it did, with what was done, and what to look at.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::convert::Infallible;
/// use axum_caching::{BypassReason, Cache, CacheLayer, NullBackend, testing::assert_bypass};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// let cache = Cache::new(NullBackend::default());
/// let service = ServiceBuilder::new().layer(CacheLayer::new(&cache)).service(service_fn(
///     async |_: Request<Full<Bytes>>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())),
/// ));
/// let request = Request::get("/").header("cookie", "id=7").body(Full::default()).unwrap();
/// let response = service.oneshot(request).await.unwrap();
/// assert_bypass!(response, BypassReason::Cookie);
/// # });
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __assert_bypass {
    ($response:expr $(,)?) => {
        $crate::testing::status::is_bypass($crate::CacheStatus::of(&$response), ::std::option::Option::None)
    };
    ($response:expr, $reason:expr $(,)?) => {
        $crate::testing::status::is_bypass($crate::CacheStatus::of(&$response), ::std::option::Option::Some($reason))
    };
}

#[track_caller]
pub fn is_hit(status: Option<CacheStatus>) {
    expect("a hit", status, matches!(status, Some(CacheStatus::Hit)));
}

#[track_caller]
pub fn is_stale(status: Option<CacheStatus>) {
    expect("a stale answer", status, matches!(status, Some(CacheStatus::Stale | CacheStatus::StaleOnError)));
}

#[track_caller]
pub fn is_shared(status: Option<CacheStatus>) {
    expect("a shared answer", status, matches!(status, Some(CacheStatus::Shared)));
}

#[track_caller]
pub fn is_miss(status: Option<CacheStatus>, expected: Option<MissReason>) {
    let is_so = |found| expected.is_none_or(|expected| expected == found);
    let is_miss = matches!(status, Some(CacheStatus::Miss { reason, .. }) if is_so(reason));
    expect(&named("a miss", expected.map(MissReason::as_str)), status, is_miss);
}

#[track_caller]
pub fn is_not_stored(status: Option<CacheStatus>, expected: Option<NotStored>) {
    let is_so = |found| expected.is_none_or(|expected| expected == found);
    let is_not_stored = matches!(status, Some(CacheStatus::Miss { not_stored: Some(why), .. }) if is_so(why));
    expect(&named("a miss whose answer is not kept", expected.map(NotStored::as_str)), status, is_not_stored);
}

#[track_caller]
pub fn is_bypass(status: Option<CacheStatus>, expected: Option<BypassReason>) {
    let is_so = |found| expected.is_none_or(|expected| expected == found);
    let is_bypass = matches!(status, Some(CacheStatus::Bypass(reason)) if is_so(reason));
    expect(&named("a bypass", expected.map(BypassReason::as_str)), status, is_bypass);
}

#[track_caller]
fn expect(what: &str, found: Option<CacheStatus>, is_so: bool) {
    assert!(is_so, "expected {what}, found {}\n{}", described(found), advice(found));
}

fn named(what: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| what.to_owned(), |reason| format!("{what} ({reason})"))
}

fn described(status: Option<CacheStatus>) -> String {
    match status {
        None => "no status: this response did not go through a CacheLayer".to_owned(),
        Some(CacheStatus::Hit) => "a hit".to_owned(),
        Some(CacheStatus::Stale) => "a stale answer that is made anew".to_owned(),
        Some(CacheStatus::StaleOnError) => "a stale answer for an origin that failed".to_owned(),
        Some(CacheStatus::Shared) => "a shared answer".to_owned(),
        Some(CacheStatus::Miss { reason, not_stored: None }) => {
            format!("a miss ({}) whose answer is kept", reason.as_str())
        }
        Some(CacheStatus::Miss { reason, not_stored: Some(why) }) => {
            format!("a miss ({}) whose answer is not kept ({})", reason.as_str(), why.as_str())
        }
        Some(CacheStatus::Bypass(reason)) => named("a bypass", Some(reason.as_str())),
    }
}

/// What to look at.
fn advice(found: Option<CacheStatus>) -> String {
    match found {
        None => "a route that is added after `Router::layer` is not inside the layer; a response that is built anew \
                 from the one that came loses its extensions"
            .to_owned(),
        Some(CacheStatus::Hit) => {
            "an entry was there and fresh: did an earlier request leave it, and do the cache and \
                                   the backend both have the clock of the test?"
                .to_owned()
        }
        Some(CacheStatus::Stale) => {
            "an entry was there past its ttl, within `stale_while_revalidate` (or marked stale): a run in the background \
             makes it anew, and `Cache::close` waits for that"
                .to_owned()
        }
        Some(CacheStatus::StaleOnError) => {
            "the origin failed or took too long, now or within `failure_backoff`: an `Observer` gets an \
             `Event::OriginFailed`"
                .to_owned()
        }
        Some(CacheStatus::Shared) => "a run was under way that another request had begun".to_owned(),
        Some(CacheStatus::Miss { not_stored: Some(why), .. }) => match why.hint() {
            Some(hint) => format!("see `NotStored::{why:?}`; if such responses are to be kept, {hint}"),
            None => format!("see `NotStored::{why:?}`"),
        },
        Some(CacheStatus::Miss { reason, .. }) => of_miss(reason),
        Some(CacheStatus::Bypass(reason)) => match reason.hint() {
            Some(hint) => format!("if such requests are to be cached, {hint}"),
            None => format!("see `BypassReason::{reason:?}`"),
        },
    }
}

fn of_miss(reason: MissReason) -> String {
    let advice = match reason {
        MissReason::Absent => {
            "nothing was there: was it another path or query, was the first answer kept (`assert_not_stored!`), was its \
             body read to the end?"
        }
        MissReason::Variant => "the request differs in its host, or in what `Vary`, `vary_by` or `cookies` name",
        MissReason::Expired => "an entry was there, and its time was over: how far did the clock go?",
        MissReason::Backend => "the backend failed: an `Observer` gets the error, in `Event::Failed`",
        _ => return format!("see `MissReason::{reason:?}`"),
    };
    advice.to_owned()
}
