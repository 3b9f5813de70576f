//! How long responses live: which of the words about it wins, to the millisecond.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use axum_caching::{Cache, CacheLayer, CachePolicy, CacheStatus, MissReason, NotStored, Ttl};
use http::StatusCode;
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;
const MILLI: Duration = Duration::from_millis(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Says that a response is fresh for exactly so long.
async fn assert_lives(
    set: impl Fn(CacheLayer) -> CacheLayer,
    lifetime: Duration,
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) {
    let (cache, clock) = cache();
    let (app, runs) = app(set(CacheLayer::new(&cache)), move |_, _| answer());
    fetch(&app, "/").await;

    clock.advance(lifetime.saturating_sub(MILLI));
    assert_eq!(fetch(&app, "/").await.0, HIT, "{lifetime:?}");
    clock.advance(MILLI);

    assert!(is_miss(fetch(&app, "/").await.0), "{lifetime:?}");
    assert_eq!(runs.count(), 2);
}

async fn assert_dies(
    set: impl Fn(CacheLayer) -> CacheLayer,
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) {
    let (cache, _) = cache();
    let (app, runs) = app(set(CacheLayer::new(&cache)), move |_, _| answer());

    let statuses = twice(&app, || get("/")).await;

    assert_eq!(statuses.map(not_stored), [Some(NotStored::NoLifetime); 2]);
    assert_eq!(runs.count(), 2);
}

fn plain() -> Response {
    answer(&[], "body")
}

fn with(cache_control: &'static str) -> impl Fn() -> Response + Clone + Send + Sync + 'static {
    move || answer(&[("cache-control", cache_control)], "body")
}

#[tokio::test]
async fn without_any_word_a_response_lives_for_300_seconds() {
    assert_lives(|layer| layer, seconds(300), plain).await;
    assert_lives(|layer| layer.ttl(Ttl::Default), seconds(300), plain).await;
}

#[tokio::test]
async fn the_lifetime_of_the_cache_is_what_layers_fall_back_to() {
    let clock = axum_caching::testing::ManualClock::new();
    let cache = Cache::builder(axum_caching::MemoryBackend::builder().clock(clock.clock()).build());
    let cache = cache.clock(clock.clock()).ttl(seconds(7)).build();
    let (app, _) = app(CacheLayer::new(&cache), |_, _| "body");
    fetch(&app, "/").await;

    clock.advance(Duration::from_millis(6_999));
    assert_eq!(fetch(&app, "/").await.0, HIT);
    clock.advance(MILLI);
    assert!(is_miss(fetch(&app, "/").await.0));
}

#[tokio::test]
async fn the_lifetime_of_the_layer_is_exact() {
    // Flask-Caching Q-33: one second lived a tenth of one.
    for lifetime in [MILLI, Duration::from_millis(100), seconds(1), seconds(86_400 * 365)] {
        assert_lives(|layer| layer.ttl(lifetime), lifetime, plain).await;
    }
}

#[tokio::test]
async fn zero_is_not_stored_and_not_for_ever() {
    // Flask-Caching Q-31
    assert_dies(|layer| layer.ttl(Duration::ZERO), plain).await;
    assert_dies(|layer| layer.ttl(Ttl::DontStore), plain).await;
    assert_dies(|layer| layer.ttl(Ttl::DontStore), with("max-age=60")).await;
}

#[tokio::test]
async fn for_ever_is_for_ever() {
    let (cache, clock) = cache();
    let (app, runs) = app(layer(&cache).ttl(Ttl::Forever), |_, _| "body");
    fetch(&app, "/").await;

    clock.advance(seconds(86_400 * 365 * 1_000));

    assert_eq!((fetch(&app, "/").await.0, runs.count()), (HIT, 1));
}

#[tokio::test]
async fn max_age_counts_and_the_layer_bounds_it() {
    assert_lives(|layer| layer, seconds(1_000), with("max-age=1000")).await;
    assert_lives(|layer| layer.ttl(seconds(60)), seconds(10), with("max-age=10")).await;
    assert_lives(|layer| layer.ttl(seconds(60)), seconds(60), with("max-age=1000")).await;
    assert_lives(|layer| layer.ttl(Ttl::Forever), seconds(10), with("Max-Age=\"10\"")).await;
    assert_lives(|layer| layer, seconds(10), with("max-age=99, max-age=10")).await;
    assert_lives(|layer| layer, seconds(10), with("max-age=10, max-age=99")).await;
}

#[tokio::test]
async fn s_maxage_goes_before_max_age_and_before_the_layer() {
    assert_lives(|layer| layer.ttl(seconds(60)), seconds(100), with("max-age=10, s-maxage=100")).await;
    assert_lives(|layer| layer.ttl(seconds(60)), seconds(5), with("S-MaxAge=5, max-age=1000")).await;
}

#[tokio::test]
async fn expires_counts_from_date_where_there_is_no_max_age() {
    let date = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
    let expires = ("expires", "Thu, 01 Jan 2026 00:00:20 GMT");
    assert_lives(|layer| layer, seconds(20), move || answer(&[date, expires], "body")).await;
    assert_lives(|layer| layer, seconds(20), move || answer(&[expires], "body")).await;
    assert_lives(|layer| layer.ttl(seconds(5)), seconds(5), move || answer(&[expires], "body")).await;
    assert_lives(|layer| layer, seconds(90), move || answer(&[expires, ("cache-control", "max-age=90")], "body")).await;
    let other_clock = [("date", "Thu, 01 Jan 2015 00:00:00 GMT"), ("expires", "Thu, 01 Jan 2015 00:00:30 GMT")];
    assert_lives(|layer| layer, seconds(30), move || answer(&other_clock, "body")).await;
}

#[tokio::test]
async fn numbers_that_are_too_large_are_large() {
    // RFC 9111 §1.2.2; `headers` fails, http-cache-semantics makes 0 of it.
    assert_lives(|layer| layer, seconds(1 << 31), with("max-age=99999999999999999999999999999")).await;
}

#[tokio::test]
async fn the_policy_of_the_handler_goes_before_everything() {
    let own = |header: &'static str| {
        move || (CachePolicy::ttl(seconds(7)), answer(&[("cache-control", header)], "body")).into_response()
    };
    for header in ["", "max-age=1", "s-maxage=100", "max-age=0", "no-cache"] {
        assert_lives(|layer| layer.ttl(seconds(60)), seconds(7), own(header)).await;
    }
    assert_lives(|layer| layer.ttl(Ttl::DontStore), seconds(7), own("")).await;
    assert_lives(|layer| layer.ttl(seconds(5)).override_cache_control(), seconds(7), own("max-age=1")).await;
}

#[tokio::test]
async fn a_policy_is_a_part_of_any_response() {
    assert_lives(
        |layer| layer,
        seconds(5),
        || (CachePolicy::ttl(seconds(5)), Json(serde_json::json!({"n": 1}))).into_response(),
    )
    .await;
    assert_lives(
        |layer| layer,
        seconds(5),
        || (StatusCode::CREATED, CachePolicy::ttl(seconds(5)), [("x-a", "1")], "made").into_response(),
    )
    .await;
}

#[tokio::test]
async fn a_policy_of_no_lifetime_wins_over_the_layer() {
    // Flask-Caching Q-30: `CachedResponse(timeout=0)` fell back to the decorator's.
    assert_dies(|layer| layer.ttl(seconds(60)), || (CachePolicy::no_store(), "body").into_response()).await;
    assert_dies(|layer| layer.ttl(seconds(60)), || (CachePolicy::ttl(Duration::ZERO), "body").into_response()).await;
    let overridden = |layer: CacheLayer| layer.ttl(seconds(60)).override_cache_control();
    assert_dies(overridden, || {
        (CachePolicy::no_store(), answer(&[("cache-control", "s-maxage=9")], "")).into_response()
    })
    .await;
}

#[tokio::test]
async fn a_policy_does_not_lift_no_store_and_private() {
    // Hono CVE-2026-24472
    for (header, reason) in [("no-store", NotStored::NoStore), ("private", NotStored::Private)] {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache), move |_, _| {
            (CachePolicy::ttl(seconds(60)), answer(&[("cache-control", header)], "body")).into_response()
        });

        assert_eq!(twice(&app, || get("/")).await.map(not_stored), [Some(reason); 2]);
        assert_eq!(runs.count(), 2);
    }
}

#[tokio::test]
async fn each_response_has_its_own_lifetime() {
    // Rails #54229, fastapi-cache: the first caller's options stuck.
    let (cache, clock) = cache();
    let (app, runs) = app(layer(&cache), |request, run| {
        let lifetime = if request.uri().path() == "/short" { 1 } else { 10 };
        (CachePolicy::ttl(seconds(lifetime)), format!("run {run}"))
    });
    fetch(&app, "/short").await;
    fetch(&app, "/long").await;
    clock.advance(seconds(5));

    assert!(is_miss(fetch(&app, "/short").await.0));
    assert_eq!(fetch(&app, "/long").await, (HIT, "run 2".into()));
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_response_of_a_clock_that_was_set_back_is_not_trusted_for_long() {
    let (cache, clock) = cache();
    let (app, runs) = app(layer(&cache).age_header(true), |_, _| "body");
    fetch(&app, "/").await;

    clock.set(clock.now() - 60_000);
    let hit = send(&app, get("/")).await;
    clock.set(clock.now() - 1);
    let (status, _) = fetch(&app, "/").await;

    assert_eq!((CacheStatus::of(&hit), lines(&hit, "age")), (Some(HIT), vec!["0".to_owned()]));
    assert!(matches!(status, CacheStatus::Miss { reason: MissReason::Skewed, .. }));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn the_time_that_an_answer_takes_counts_where_another_server_gave_it_an_age() {
    // RFC 9111 §4.2.3: it may be as old as its `Age` and all the time since it was asked for.
    for (field, age, left) in
        [(("age", "5"), "25", 35), (("age", "0"), "20", 40), (("age", "x"), "0", 60), (("x", "5"), "0", 60)]
    {
        let (cache, clock) = cache();
        let slow = clock.clone();
        let (app, _) = app(CacheLayer::new(&cache).age_header(true), move |_, _| {
            slow.advance(seconds(20));
            answer(&[field, ("cache-control", "max-age=60")], "body")
        });
        fetch(&app, "/").await;

        assert_eq!(lines(&send(&app, get("/")).await, "age"), [age], "{field:?}");
        clock.advance(Duration::from_millis(left * 1_000 - 1));
        assert_eq!(fetch(&app, "/").await.0, HIT, "{field:?}");
        clock.advance(MILLI);
        assert!(is_miss(fetch(&app, "/").await.0), "{field:?}");
    }
    let (cache, clock) = cache();
    let (app, _) = app(CacheLayer::new(&cache), move |_, _| {
        clock.advance(seconds(20));
        answer(&[("age", "0"), ("cache-control", "max-age=10")], "body")
    });
    assert_eq!(not_stored(fetch(&app, "/").await.0), Some(NotStored::NoLifetime), "it was over when it came");
}
