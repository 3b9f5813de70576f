//! Tags on responses: from the layer, the request and the handler; purged and marked stale, also while a fill runs.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod bytewise;
mod support;

use axum_caching::{Cache, CacheLayer, CachePolicy, CacheStatus, Memoizer, MissReason, Profile, Ttl};
use bytewise::Bytewise;
use http::Request;
use support::{
    answering, app, cache, fetch, get,
    held::{body, origin, settle, spawn},
    is_miss,
    stale::{MINUTE, World, hardy, hit, stale},
};
use tower::Layer;

const HIT: CacheStatus = CacheStatus::Hit;

async fn is_purged(app: &axum::Router, uri: &str) -> bool {
    matches!(fetch(app, uri).await.0, CacheStatus::Miss { reason: MissReason::Purged, .. })
}

#[tokio::test]
async fn a_tag_of_the_layer_of_the_request_or_of_the_handler_takes_the_page_away_and_no_other() {
    let (cache, _) = cache();
    let layer = CacheLayer::new(&cache).tags(["all"]).tags_by(|request| vec![format!("path:{}", request.uri.path())]);
    let (app, _) = app(layer, |request: Request<_>, run| {
        (CachePolicy::ttl(Ttl::Default).tags([format!("own:{}", request.uri().path())]), format!("run {run}"))
    });
    for purge in [["path:/a"], ["own:/a"]] {
        fetch(&app, "/a").await;
        fetch(&app, "/b").await;
        cache.purge_tags(purge).await.unwrap();
        assert!(is_purged(&app, "/a").await, "{purge:?}");
        assert_eq!(fetch(&app, "/b").await.0, HIT, "{purge:?}");
    }
    cache.purge_tags(["all", "of no page"]).await.unwrap();
    assert!(is_purged(&app, "/a").await && is_purged(&app, "/b").await);
}

#[tokio::test]
async fn a_tag_that_is_purged_while_the_handler_runs_wins_early_or_late() {
    for is_early in [true, false] {
        let (cache, _) = cache();
        let (origin, mut runs) = origin();
        let layer = CacheLayer::new(&cache);
        let app = if is_early { layer.tags(["user:7"]) } else { layer }.layer(origin);
        let asked = spawn(&app, get("/"));
        let run = runs.next().await;
        let follower = spawn(&app, get("/"));
        settle().await;
        cache.purge_tag("user:7").await.unwrap();
        if is_early {
            run.answer("read before the purge");
        } else {
            run.answer((CachePolicy::ttl(MINUTE).tags(["user:7"]), "read before the purge"));
        }

        assert_eq!(body(asked.await.unwrap().unwrap()).await, "read before the purge", "its own caller");
        runs.next().await.answer("new");
        assert_eq!(body(follower.await.unwrap().unwrap()).await, "new", "who waited looks again; early: {is_early}");
    }
}

#[tokio::test]
async fn a_late_tag_is_not_refused_for_a_purge_before_its_fill_began() {
    let (cache, _) = cache();
    let (app, _) =
        app(CacheLayer::new(&cache), |_, run| (CachePolicy::ttl(MINUTE).tags(["user:7"]), format!("run {run}")));
    for _ in 0..3 {
        cache.purge_tag("user:7").await.unwrap();
        assert!(is_miss(fetch(&app, "/").await.0));
        assert_eq!(fetch(&app, "/").await.0, HIT);
    }
}

#[tokio::test]
async fn a_page_that_is_marked_stale_is_served_once_more_while_it_is_made_anew() {
    let mut world = World::of(|layer| layer.profile(hardy()).tags(["news"]));
    world.fetch_with(|run| run.answer("old")).await;
    world.cache.mark_stale_tag("news").await.unwrap();

    assert_eq!(world.fetch().await, stale("old"));
    world.refresh_with(|run| run.answer("new")).await;
    assert_eq!(world.fetch().await, hit("new"));

    world.cache.mark_stale_tag("news").await.unwrap();
    world.cache.purge_tag("news").await.unwrap();
    assert!(is_miss(world.fetch_with(|run| run.answer("newer")).await.0), "a purge is more");
}

#[tokio::test]
async fn a_page_without_a_window_that_is_marked_stale_is_gone() {
    let mut world = World::of(|layer| layer.profile(Profile::ttl(MINUTE)).tags(["news"]));
    world.fetch_with(|run| run.answer("old")).await;
    world.cache.mark_stale_tags(["news", "other"]).await.unwrap();
    assert!(is_miss(world.fetch_with(|run| run.answer("new")).await.0));
}

#[tokio::test]
async fn a_page_marked_stale_with_a_window_for_errors_only_is_served_if_the_origin_fails() {
    let mut world = World::of(|layer| layer.profile(Profile::ttl(MINUTE).stale_if_error(MINUTE)).tags(["news"]));
    world.fetch_with(|run| run.answer("old")).await;
    world.cache.mark_stale_tag("news").await.unwrap();
    assert_eq!(world.fetch_with(support::held::Run::fail).await, (CacheStatus::StaleOnError, "old".into()));
}

#[tokio::test]
async fn a_mark_that_comes_while_a_page_is_made_reaches_that_page() {
    let mut world = World::of(|layer| layer.profile(hardy()).tags(["news"]));
    let asked = spawn(&world.app, get("/"));
    let run = world.runs.next().await;
    world.cache.mark_stale_tag("news").await.unwrap();
    run.answer("read before the mark");
    asked.await.unwrap().unwrap();
    assert_eq!(world.fetch().await, stale("read before the mark"));
}

#[tokio::test]
async fn tags_of_a_layer_inside_the_fill_of_another_reach_the_entry() {
    let (cache, _) = cache();
    let (inner, _) = answering(CacheLayer::new(&cache).tags(["inner"]), &[]);
    let outer = inner.layer(CacheLayer::new(&cache));
    fetch(&outer, "/").await;
    assert_eq!(fetch(&outer, "/").await.0, HIT);
    cache.purge_tag("inner").await.unwrap();
    assert!(is_purged(&outer, "/").await);
}

#[tokio::test]
async fn a_handler_tags_what_it_fills_by_its_context_too() {
    let (cache, _) = cache();
    let handler = |_: Request<_>, run: usize| {
        // In the task of the fill, as a service that is called by the handler would do it.
        Memoizer::context().tag("deep");
        format!("run {run}")
    };
    let (app, _) = app(CacheLayer::new(&cache), handler);
    fetch(&app, "/").await;
    cache.purge_tag("deep").await.unwrap();
    assert!(is_purged(&app, "/").await);
}

#[tokio::test]
async fn between_processes_a_late_tag_that_is_purged_while_the_handler_runs_wins_too() {
    let clock = axum_caching::testing::ManualClock::new();
    let backend = Bytewise::new(clock.clock());
    let node = || Cache::builder(backend.clone()).clock(clock.clock()).build();
    let (here, there) = (node(), node());
    let (origin, mut runs) = origin();
    let app = CacheLayer::new(&here).layer(origin);
    let answer = || (CachePolicy::ttl(MINUTE).tags(["user:7"]), "page");
    // The first two find out that there are late tags, and which lane is theirs.
    for _ in 0..3 {
        let asked = spawn(&app, get("/"));
        runs.next().await.answer(answer());
        asked.await.unwrap().unwrap();
        settle().await;
    }
    assert_eq!(CacheStatus::of(&spawn(&app, get("/")).await.unwrap().unwrap()), Some(HIT));

    here.purge_tag("user:7").await.unwrap();
    let asked = spawn(&app, get("/"));
    let run = runs.next().await;
    there.purge_tag("user:7").await.unwrap();
    run.answer(answer());
    asked.await.unwrap().unwrap();
    settle().await;
    let asked = spawn(&app, get("/"));
    runs.next().await.answer("made after the purge");
    assert_eq!(body(asked.await.unwrap().unwrap()).await, "made after the purge");
}

#[tokio::test]
async fn without_compare_and_set_marking_is_a_purge() {
    let clock = axum_caching::testing::ManualClock::new();
    let cache = Cache::builder(Bytewise::new(clock.clock())).clock(clock.clock()).profile(hardy()).build();
    let (app, _) = answering(CacheLayer::new(&cache).tags(["news"]), &[]);
    fetch(&app, "/").await;
    settle().await;
    cache.mark_stale_tag("news").await.unwrap();
    assert!(is_miss(fetch(&app, "/").await.0));
}
