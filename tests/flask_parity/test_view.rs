//! `test_view.py`: cached views, in a real router.

mod delete;
mod exceptions;
mod keys;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get as on_get,
};
use axum_caching::{Cache, CacheLayer, CachePolicy, Memoizer, testing::ManualClock};
use tower::service_fn;

use crate::{
    fixture::*,
    support::{Runs, app, cache, fetch, get, lines, send},
};

async fn body(app: &Router, uri: &str) -> String {
    fetch(app, uri).await.1
}

/// An application whose views answer with the number of the run, under one layer.
fn counting(layer: CacheLayer) -> Router {
    app(layer, |_, run| run.to_string()).0
}

#[tokio::test]
async fn test_cached_view() {
    let (cache, clock) = cache();
    lives_two_seconds(&counting(CacheLayer::new(&cache).ttl(seconds(2))), &clock).await;
}

async fn lives_two_seconds(app: &Router, clock: &ManualClock) {
    let first = body(app, "/").await;
    clock.advance(seconds(1));
    assert_eq!(body(app, "/").await, first);
    clock.advance(seconds(1));
    assert_ne!(body(app, "/").await, first);
}

/// The view is a Tower service, which is what a class of views comes to.
#[tokio::test]
async fn test_cached_view_class() {
    let ((cache, clock), runs) = (cache(), Runs::default());
    let view = service_fn(move |_| {
        let run = runs.next().to_string();
        async move { Ok::<_, std::convert::Infallible>(run.into_response()) }
    });
    let app = Router::new().route_service("/", view).layer(CacheLayer::new(&cache).ttl(seconds(2)));
    lives_two_seconds(&app, &clock).await;
}

#[tokio::test]
async fn test_async_cached_view() {
    async fn view(State(runs): State<Runs>) -> String {
        tokio::task::yield_now().await;
        runs.next().to_string()
    }

    let (cache, _) = cache();
    let app = Router::new().route("/test-async", on_get(view)).with_state(Runs::default());
    let app = app.layer(CacheLayer::new(&cache).ttl(seconds(2)));
    assert_eq!(body(&app, "/test-async").await, "1");
    assert_eq!(body(&app, "/test-async").await, "1");
}

#[tokio::test]
async fn test_cached_view_unless() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let view = |layer: CacheLayer| on_get(async |State(runs): State<Runs>| runs.next().to_string()).layer(layer);
    let layer = CacheLayer::new(&cache).ttl(seconds(5));
    let app = Router::new()
        .route("/a", view(layer.clone().unless(|_| true)))
        .route("/b", view(layer.unless(|_| false)))
        .with_state(runs);

    let first = body(&app, "/a").await;
    assert_ne!(body(&app, "/a").await, first);
    let first = body(&app, "/b").await;
    assert_eq!(body(&app, "/b").await, first);
}

#[tokio::test]
async fn test_cached_view_response_filter() {
    let ((cache, _), fails) = (cache(), Switch::default());
    let layer = CacheLayer::new(&cache).ttl(seconds(5)).response_filter(|response| response.status.as_u16() < 400);
    let is_failing = fails.clone();
    let (app, _) = app(layer, move |_, run| {
        let status = if is_failing.is_on() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        (status, run.to_string())
    });

    fails.set(true);
    let first = body(&app, "/a").await;
    assert_ne!(body(&app, "/a").await, first);

    fails.set(false);
    let first = body(&app, "/a").await;
    assert_eq!(body(&app, "/a").await, first);
}

#[tokio::test]
async fn test_cached_view_forced_update() {
    let ((cache, _), forced) = (cache(), Switch::default());
    let is_forced = forced.clone();
    let app = counting(CacheLayer::new(&cache).ttl(seconds(5)).forced_update(move |_| is_forced.is_on()));
    refreshes_while_on(&app, &forced).await;
}

#[tokio::test]
async fn test_cached_view_is_stale() {
    let ((cache, _), stale) = (cache(), Switch::default());
    let is_stale = stale.clone();
    let app = counting(CacheLayer::new(&cache).ttl(seconds(5)).is_stale(move |_, _| is_stale.is_on()));
    refreshes_while_on(&app, &stale).await;
}

async fn refreshes_while_on(app: &Router, switch: &Switch) {
    let first = body(app, "/a").await;
    assert_eq!(body(app, "/a").await, first);

    switch.set(true);
    let second = body(app, "/a").await;
    assert_ne!(second, first);

    switch.set(false);
    assert_eq!(body(app, "/a").await, second);
}

/// Lifetimes can be set on memoized functions; a layer does not change once requests come.
#[tokio::test]
async fn test_cache_timeout_property() {
    type Views = (Memoizer<usize>, Memoizer<usize>, Runs);
    async fn view1(State((view1, _, runs)): State<Views>) -> String {
        view1.call(&(), async || runs.next()).await.to_string()
    }
    async fn view2(Path((foo, bar)): Path<(String, String)>, State((_, view2, runs)): State<Views>) -> String {
        view2.call(&(foo, bar), async || runs.next()).await.to_string()
    }

    for (cache, clock) in caches() {
        let state = (
            cache.memoizer("cached_view1").ttl(seconds(2)),
            cache.memoizer("cached_view2").ttl(seconds(4)),
            Runs::default(),
        );
        let app = Router::new().route("/", on_get(view1)).route("/{foo}/{bar}", on_get(view2));
        let app = app.with_state(state.clone());
        let (view1, view2, _) = state;
        assert_eq!((view1.cache_ttl(), view2.cache_ttl()), (seconds(2).into(), seconds(4).into()));

        view1.set_cache_ttl(seconds(5));
        view2.set_cache_ttl(seconds(7));

        assert_eq!((view1.cache_ttl(), view2.cache_ttl()), (seconds(5).into(), seconds(7).into()));
        let text = async |uri| crate::support::text(send(&app, get(uri)).await).await;
        let body1 = text("/").await;
        clock.advance(seconds(1));
        let body2 = text("/a/b").await;

        assert_eq!(text("/").await, body1);
        clock.advance(seconds(5));
        assert_ne!(text("/").await, body1);

        assert_eq!(text("/a/b").await, body2);
        clock.advance(seconds(3));
        assert_ne!(text("/a/b").await, body2);
    }
}

#[tokio::test]
async fn test_cache_timeout_dynamic_via_cached_reponse() {
    let (cache, clock) = cache();
    let (app, _) = app(CacheLayer::new(&cache).ttl(seconds(1)), |_, run| -> Response {
        (CachePolicy::ttl(seconds(2)), run.to_string()).into_response()
    });
    lives_two_seconds(&app, &clock).await;
}

#[tokio::test]
async fn test_hit_cache() {
    let (cache, clock) = cache();
    let view = |cache: &Cache, indicate: bool| {
        let layer = CacheLayer::new(cache).ttl(seconds(2)).response_hit_indication(indicate);
        on_get(async || Json([("data", "data")])).layer(layer)
    };
    let app = Router::new().route("/", view(&cache, true)).route("/indication-false", view(&cache, false));
    let indication = async |uri| lines(&send(&app, get(uri)).await, "hit_cache");

    assert!(indication("/").await.is_empty());
    assert_eq!(indication("/").await, ["True"]);
    assert_eq!(indication("/").await, ["True"]);
    clock.advance(seconds(2));
    assert!(indication("/").await.is_empty());

    for _ in 0..3 {
        assert!(indication("/indication-false").await.is_empty());
    }
    assert_eq!(cache.stats().hits, 4, "two of them without a word");
    clock.advance(seconds(2));
    assert!(indication("/indication-false").await.is_empty());
}

#[tokio::test]
async fn test_view_argument_named_path_does_not_change_the_key() {
    let ((cache, _), runs) = (cache(), Runs::default());
    let layer = CacheLayer::new(&cache);
    let app = Router::new()
        .route(
            "/database/{path}/summary",
            on_get(async |Path(_path): Path<String>, State(runs): State<Runs>| format!("summary{}", runs.next())),
        )
        .route(
            "/database/{path}/detail",
            on_get(async |Path(_path): Path<String>, State(runs): State<Runs>| format!("detail{}", runs.next())),
        )
        .with_state(runs)
        .layer(layer);

    let summary = body(&app, "/database/db/summary").await;
    let detail = body(&app, "/database/db/detail").await;
    assert_eq!((&*summary, &*detail), ("summary1", "detail2"));
    assert_eq!(body(&app, "/database/db/summary").await, summary);
    assert_eq!(body(&app, "/database/db/detail").await, detail);
}

#[tokio::test]
async fn test_view_argument_named_query_args_does_not_change_the_key() {
    let ((cache, _), runs) = (cache(), Runs::default());
    let view = async |Path(query_args): Path<String>, State(runs): State<Runs>| format!("{query_args}{}", runs.next());
    let app = Router::new().route("/works/{query_args}", on_get(view)).with_state(runs).layer(CacheLayer::new(&cache));

    let first = body(&app, "/works/a?limit=15").await;
    let second = body(&app, "/works/a?limit=20").await;
    assert_ne!(first, second);
    assert_eq!(body(&app, "/works/a?limit=15").await, first);
    assert_eq!(body(&app, "/works/a?limit=20").await, second);
}
