//! `test_view.py`: views that abort, and the key of a memoized view.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get as on_get,
};
use axum_caching::{CacheLayer, CachePolicy, Memoizer};

use crate::{
    fixture::*,
    support::{Runs, app, cache, fetch, get, send, text},
};

/// `abort(404)`: errors are not kept unless the view says so.
fn abort(lifetime: u64) -> Response {
    (StatusCode::NOT_FOUND, CachePolicy::ttl(seconds(lifetime)), "no such thing").into_response()
}

/// An error is kept if the view names a lifetime for it.
#[tokio::test]
async fn test_cached_view_http_exception() {
    let (cache, _) = cache();
    let (app, runs) = app(CacheLayer::new(&cache), |request, _| {
        if request.uri().path() == "/missing" { abort(2) } else { StatusCode::NOT_FOUND.into_response() }
    });
    for _ in 0..2 {
        assert_eq!(send(&app, get("/missing")).await.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(runs.count(), 1);
    for _ in 0..2 {
        assert_eq!(send(&app, get("/other")).await.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(runs.count(), 3, "nothing is kept unless somebody says so");
}

/// What is kept is the response, so what handles errors on hits too is a layer outside.
#[tokio::test]
async fn test_cached_view_http_exception_runs_error_handler() {
    let (cache, _) = cache();
    let handled = Runs::default();
    let (app, runs) = app(CacheLayer::new(&cache), |_, _| abort(2));
    let counted = handled.clone();
    let app = app.layer(map_response(move |response: Response| {
        counted.next();
        async move {
            let status = response.status();
            (status, format!("handled {}", text(response).await))
        }
    }));

    send(&app, get("/missing")).await;
    let cached = send(&app, get("/missing")).await;

    assert_eq!(cached.status(), StatusCode::NOT_FOUND);
    assert_eq!(text(cached).await, "handled no such thing");
    assert_eq!((handled.count(), runs.count()), (2, 1));
}

/// With the lifetime that the view named.
#[tokio::test]
async fn test_cached_view_http_exception_expires() {
    let (cache, clock) = cache();
    let (app, runs) = app(CacheLayer::new(&cache), |_, _| abort(2));
    fetch(&app, "/missing").await;
    clock.advance(seconds(1));
    fetch(&app, "/missing").await;
    assert_eq!(runs.count(), 1);

    clock.advance(seconds(2));
    assert_eq!(send(&app, get("/missing")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(runs.count(), 2);
}

/// The filter sees status and header fields.
#[tokio::test]
async fn test_cached_view_http_exception_response_filter_gets_response() {
    let ((cache, _), seen) = (cache(), Log::new());
    let log = seen.clone();
    let only_success = CacheLayer::new(&cache).ttl(seconds(2)).response_filter(move |response| {
        log.push(response.status);
        response.status == StatusCode::OK
    });
    let (app, runs) = app(only_success, |_, _| StatusCode::SERVICE_UNAVAILABLE);

    assert_eq!(send(&app, get("/down")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(send(&app, get("/down")).await.status(), StatusCode::SERVICE_UNAVAILABLE);

    assert_eq!(seen.all(), [StatusCode::SERVICE_UNAVAILABLE; 2]);
    assert_eq!(runs.count(), 2);
}

/// What a memoized function keeps is not read by `get`: its key finds it for `has` and `delete`.
#[tokio::test]
async fn test_make_cache_key_function_property() {
    type Args = (String, String);
    async fn view(Path(args): Path<Args>, State((memo, runs)): State<(Memoizer<usize>, Runs)>) -> String {
        memo.call(&args, async || runs.next()).await.to_string()
    }

    for (cache, _) in caches() {
        let memo = cache.memoizer("cached_view").ttl(seconds(5));
        let app = Router::new().route("/{foo}/{bar}", on_get(view)).with_state((memo.clone(), Runs::default()));
        let call = async || text(send(&app, get("/a/b")).await).await;
        assert_eq!((call().await, call().await), ("1".into(), "1".into()));

        let different_key = memo.make_cache_key(&("b", "a")).unwrap();
        assert!(!cache.has(&different_key).await.unwrap());
        assert_eq!(call().await, "1");

        let cache_key = memo.make_cache_key(&("a", "b")).unwrap();
        assert!(cache.has(&cache_key).await.unwrap());
        assert!(cache.delete(&cache_key).await.unwrap());
        assert_eq!(call().await, "2");
    }
}
