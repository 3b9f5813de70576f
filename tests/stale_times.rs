//! Time-outs of the origin, refreshes ahead of the end, and lifetimes that chance shortens.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum_caching::{Cache, CacheLayer, CacheStatus, MemoryBackend, NotStored, Profile, testing::ManualClock};
use http::StatusCode;
use support::{
    cache, get,
    held::{Run, body, origin, settle, spawn},
    is_miss,
    stale::{MINUTE, SECOND, World, hardy, hit, rescued},
};
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn a_slow_run_is_not_waited_for_where_there_is_something_stale_and_its_late_answer_is_kept() {
    let mut world = World::filled(hardy().soft_timeout(SECOND), "old").await;
    world.clock.advance(5 * MINUTE);
    let (leader, follower) = (spawn(&world.app, get("/")), spawn(&world.app, get("/")));
    let run = world.runs.next().await;

    for caller in [leader, follower] {
        let response = caller.await.unwrap().expect("an answer");
        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::StaleOnError));
    }
    assert_eq!(world.fetch().await, rescued("old"), "at once: it was slow a moment ago");
    run.answer("late");
    settle().await;
    assert_eq!(world.fetch().await, hit("late"));
    assert!(world.runs.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_soft_time_out_does_not_hold_where_there_is_nothing_stale() {
    let mut world = World::with(hardy().soft_timeout(SECOND));
    let began = tokio::time::Instant::now();
    let asked = spawn(&world.app, get("/"));
    let run = world.runs.next().await;
    tokio::time::advance(3 * SECOND).await;
    run.answer("first");
    assert_eq!(body(asked.await.unwrap().expect("an answer")).await, "first");
    assert_eq!(began.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_hard_time_out_answers_504_and_the_late_answer_is_kept() {
    let mut world = World::with(Profile::ttl(MINUTE).hard_timeout(SECOND));
    let (leader, follower) = (spawn(&world.app, get("/")), spawn(&world.app, get("/")));
    let run = world.runs.next().await;
    for caller in [leader, follower] {
        let response = caller.await.unwrap().expect("an answer");
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        let status = CacheStatus::of(&response);
        assert!(matches!(status, Some(CacheStatus::Miss { not_stored: Some(NotStored::TimedOut), .. })), "{status:?}");
    }
    run.answer("late");
    settle().await;
    assert_eq!(world.fetch().await, hit("late"));
}

#[tokio::test(start_paused = true)]
async fn a_hard_time_out_answers_with_what_is_stale_if_there_is_something() {
    let mut world = World::filled(hardy().hard_timeout(SECOND), "old").await;
    world.clock.advance(5 * MINUTE);
    let asked = spawn(&world.app, get("/"));
    let _run = world.runs.next().await;
    assert_eq!(CacheStatus::of(&asked.await.unwrap().expect("an answer")), Some(CacheStatus::StaleOnError));
}

#[tokio::test]
async fn a_page_is_made_anew_ahead_of_its_end_by_the_first_who_asks_after_its_part_of_the_ttl() {
    let mut world = World::filled(Profile::ttl(MINUTE).refresh_ahead(0.8), "old").await;
    world.clock.advance(47 * SECOND);
    assert_eq!(world.fetch().await, hit("old"));
    assert!(world.runs.is_quiet().await);

    world.clock.advance(SECOND);
    assert_eq!(world.fetch().await, hit("old"));
    assert_eq!(world.fetch().await, hit("old"));
    world.refresh_with(|run| run.answer("new")).await;
    assert!(world.runs.is_quiet().await, "one for all");
    assert_eq!(world.fetch().await, hit("new"));
    assert_eq!(world.cache.stats().refreshes, 1);
}

#[tokio::test]
async fn early_expiration_waits_for_no_one_and_comes_the_surer_the_nearer_the_end() {
    let mut world = World::with(Profile::ttl(MINUTE).early_expiration(1e12));
    let asked = spawn(&world.app, get("/"));
    let run = world.runs.next().await;
    world.clock.advance(SECOND);
    run.answer("took a second");
    asked.await.unwrap().expect("an answer");
    // With such a beta every draw but 1 is enough.
    assert_eq!(world.fetch().await.0, CacheStatus::Hit);
    world.refresh_with(|run| run.answer("new")).await;
    assert_eq!(world.cache.stats().refreshes, 1);
}

#[tokio::test]
async fn jitter_ends_entries_apart_and_never_late() {
    let (cache, clock) = cache();
    let layer = CacheLayer::new(&cache).profile(Profile::ttl(1_000 * SECOND).jitter(0.5));
    let (app, runs) = support::answering(layer, &[]);
    for page in 0..100 {
        support::fetch(&app, &format!("/{page}")).await;
    }
    assert_eq!(runs.count(), 100);
    let fresh = async || {
        let mut fresh = 0;
        for page in 0..100 {
            fresh += usize::from(cache.has(&format!("view//{page}")).await.unwrap());
        }
        fresh
    };
    clock.advance(499 * SECOND);
    assert_eq!(fresh().await, 100, "none before half of its time");
    clock.advance(251 * SECOND);
    let left = fresh().await;
    assert!((10..90).contains(&left), "about half at three quarters, and not {left}");
    clock.advance(250 * SECOND);
    assert_eq!(fresh().await, 0, "none after its time");
}

#[tokio::test]
async fn places_for_refreshes_are_bounded_and_who_finds_none_serves_what_there_is() {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    let cache = Cache::builder(backend).clock(clock.clock()).profile(hardy()).max_refreshes(2).build();
    let (origin, mut runs) = origin();
    let app = CacheLayer::new(&cache).layer(origin);
    for page in ["/1", "/2", "/3"] {
        let asked = spawn(&app, get(page));
        runs.next().await.answer("old");
        asked.await.unwrap().expect("an answer");
    }
    clock.advance(MINUTE);
    for page in ["/1", "/2", "/3"] {
        let response = spawn(&app, get(page)).await.unwrap().expect("an answer");
        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Stale));
    }
    assert_eq!(runs.waiting().await, 2);
}

#[tokio::test]
async fn the_age_of_a_stale_answer_is_honest_and_cache_status_says_how_stale_it_is() {
    let mut world = World::of(|layer| layer.profile(hardy()).age_header(true).cache_status("shop"));
    world.fetch_with(|run| run.answer("old")).await;
    world.clock.advance(90 * SECOND);
    let response = spawn(&world.app, get("/")).await.unwrap().expect("an answer");
    assert_eq!(response.headers()["age"], "90");
    assert_eq!(response.headers()["cache-status"], "shop; hit; ttl=-30");
    world.refresh_with(Run::fail).await;
    let response = spawn(&world.app, get("/")).await.unwrap().expect("an answer");
    assert_eq!(response.headers()["cache-status"], "shop; hit; detail=stale-if-error");
}

#[tokio::test]
async fn a_page_that_is_not_there_is_kept_for_its_own_time_and_never_served_stale() {
    let mut world = World::of(|layer| layer.profile(hardy()).negative_ttl(5 * SECOND));
    world.fetch_with(|run| run.answer(StatusCode::NOT_FOUND)).await;
    assert_eq!(world.fetch().await, hit(""));
    world.clock.advance(5 * SECOND);
    assert!(is_miss(world.fetch_with(|run| run.answer("there")).await.0));
    world.clock.advance(59 * SECOND);
    assert_eq!(world.fetch().await, hit("there"));
}

#[tokio::test]
async fn a_filter_is_not_asked_of_a_page_that_is_not_there_if_that_is_kept() {
    let filtered = |layer: CacheLayer| layer.negative_ttl(5 * SECOND).response_filter(|_| unreachable!("of a 404"));
    let mut world = World::of(filtered);
    world.fetch_with(|run| run.answer(StatusCode::NOT_FOUND)).await;
    assert_eq!(world.fetch().await, hit(""));
}

#[test]
fn without_a_runtime_a_stale_page_is_made_anew_in_place() {
    let (cache, clock) = cache();
    let layer = CacheLayer::new(&cache).profile(hardy());
    let (app, runs) = support::answering(layer, &[]);
    let fetch = || at_once(support::fetch(&app, "/")).1;
    assert_eq!(fetch(), "run 1");
    clock.advance(MINUTE);
    assert_eq!(fetch(), "run 2");
    assert_eq!(runs.count(), 2);
}

/// What a future gives that has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("everything answers at once"),
    }
}
