//! Stale responses: served while they are made anew, and in place of an origin that fails.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::OriginalUri, routing::get as route_get};
use axum_caching::{CacheLayer, CachePolicy, CacheStatus, MissReason, NotStored, Profile};
use http::{Request, StatusCode};
use support::{
    cache, fetch, get, get_with,
    held::{Run, settle, spawn},
    is_miss, not_stored,
    stale::{MINUTE, SECOND, World, hardy, hit, rescued, stale},
};

#[tokio::test]
async fn a_stale_page_is_served_at_once_and_one_run_in_the_background_makes_it_anew() {
    let mut world = World::filled(hardy(), "old").await;
    world.clock.advance(MINUTE);

    for _ in 0..5 {
        assert_eq!(world.fetch().await, stale("old"));
    }
    let run = world.runs.next().await;
    assert!(world.runs.is_quiet().await, "one for all");
    run.answer("new");
    settle().await;

    assert_eq!(world.fetch().await, hit("new"));
    let stats = world.cache.stats();
    assert_eq!((stats.stale, stats.refreshes, stats.misses, stats.stored), (5, 1, 1, 2));
    assert!(world.runs.is_quiet().await);
}

#[tokio::test]
async fn after_both_windows_the_page_is_gone() {
    let mut world = World::filled(hardy(), "old").await;
    world.clock.advance(11 * MINUTE);
    let (status, text) = world.fetch_with(|run| run.answer(StatusCode::BAD_GATEWAY)).await;
    assert!(matches!(status, CacheStatus::Miss { reason: MissReason::Expired, .. }), "{status:?}");
    assert_eq!(text, "");
}

#[tokio::test]
async fn an_error_or_a_status_of_5xx_is_answered_with_what_is_kept() {
    let ends: [fn(Run); 4] = [
        Run::fail,
        |run| run.answer(StatusCode::INTERNAL_SERVER_ERROR),
        |run| run.answer(StatusCode::SERVICE_UNAVAILABLE),
        |run| run.answer((StatusCode::BAD_GATEWAY, CachePolicy::ttl(MINUTE), "kept, if it were asked")),
    ];
    for end in ends {
        let mut world = World::filled(hardy(), "old").await;
        world.clock.advance(5 * MINUTE);
        assert_eq!(world.fetch_with(end).await, rescued("old"));
    }
}

#[tokio::test]
async fn without_a_window_a_failure_is_told_as_it_is() {
    let mut world = World::filled(Profile::ttl(MINUTE), "old").await;
    world.clock.advance(MINUTE);
    assert!(is_miss(world.fetch_with(|run| run.answer(StatusCode::BAD_GATEWAY)).await.0));

    let asked = spawn(&world.app, get("/"));
    world.runs.next().await.fail();
    assert!(asked.await.unwrap().is_err());
}

#[tokio::test]
async fn an_origin_that_failed_is_left_alone_for_the_backoff_and_then_asked_by_one() {
    let mut world = World::filled(hardy().failure_backoff(5 * SECOND), "old").await;
    world.clock.advance(5 * MINUTE);
    assert_eq!(world.fetch_with(Run::fail).await, rescued("old"));

    for _ in 0..3 {
        assert_eq!(world.fetch().await, rescued("old"));
    }
    world.clock.advance(Duration::from_millis(4_999));
    assert_eq!(world.fetch().await, rescued("old"));
    assert!(world.runs.is_quiet().await);

    world.clock.advance(Duration::from_millis(1));
    assert!(is_miss(world.fetch_with(|run| run.answer("new")).await.0));
    assert_eq!(world.fetch().await, hit("new"));
    assert_eq!(world.cache.stats().origin_failures, 1);
}

#[tokio::test]
async fn a_refresh_that_fails_or_panics_is_not_tried_again_before_the_backoff_is_over() {
    let ends: [fn(Run); 4] = [
        Run::fail,
        Run::panic,
        |run| run.answer(StatusCode::BAD_GATEWAY),
        |run| run.answer(StatusCode::TOO_MANY_REQUESTS),
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let mut world = World::filled(hardy().failure_backoff(5 * SECOND), "old").await;
        world.clock.advance(MINUTE);
        assert_eq!(world.fetch().await, stale("old"));
        world.refresh_with(end).await;

        assert_eq!(world.fetch().await, rescued("old"), "end {index}");
        assert!(world.runs.is_quiet().await, "end {index}");
        world.clock.advance(5 * SECOND);
        assert_eq!(world.fetch().await, stale("old"), "end {index}");
        world.refresh_with(|run| run.answer("new")).await;
        assert_eq!(world.fetch().await, hit("new"), "end {index}");
    }
}

#[tokio::test]
async fn all_who_wait_for_a_run_that_fails_get_what_is_kept() {
    let mut world = World::filled(hardy(), "old").await;
    world.clock.advance(5 * MINUTE);
    let callers: Vec<_> = (0..10).map(|_| spawn(&world.app, get("/"))).collect();
    let run = world.runs.next().await;
    settle().await;
    run.fail();

    for caller in callers {
        let response = caller.await.unwrap().expect("an answer");
        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::StaleOnError));
    }
    assert!(world.runs.is_quiet().await, "nobody takes over");
}

#[tokio::test]
async fn a_stored_error_is_never_served_stale() {
    let mut world =
        World::of(|layer| layer.profile(hardy()).response_filter(|response| response.status.is_server_error()));
    world.fetch_with(|run| run.answer((StatusCode::BAD_GATEWAY, "broken"))).await;
    assert_eq!(world.fetch().await, hit("broken"));
    world.clock.advance(MINUTE);
    assert!(is_miss(world.fetch_with(Run::fail_softly).await.0));
}

#[tokio::test]
async fn a_page_that_turned_uncacheable_or_is_gone_takes_the_old_one_with_it() {
    let ends: [fn(Run); 4] = [
        |run| run.answer((CachePolicy::no_store(), "private")),
        |run| run.answer(([("cache-control", "private")], "private")),
        |run| run.answer(StatusCode::NOT_FOUND),
        |run| run.answer(StatusCode::GONE),
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let mut world = World::filled(hardy(), "old").await;
        world.clock.advance(MINUTE);
        assert_eq!(world.fetch().await, stale("old"));
        world.refresh_with(end).await;
        assert!(is_miss(world.fetch_with(Run::fail_softly).await.0), "end {index}");
    }
}

#[tokio::test]
async fn what_says_something_of_the_client_only_does_not_remove_the_page() {
    let mut world = World::filled(hardy(), "old").await;
    world.clock.advance(5 * MINUTE);
    assert!(is_miss(world.fetch_with(|run| run.answer(StatusCode::UNAUTHORIZED)).await.0));
    assert_eq!(world.fetch_with(Run::fail).await, rescued("old"));
}

#[tokio::test(start_paused = true)]
async fn is_stale_sees_the_same_request_when_the_origin_fails_or_is_late_as_on_a_hit() {
    #[derive(Clone)]
    struct Build(u8);
    let timed = [hardy(), hardy().soft_timeout(SECOND), hardy().hard_timeout(SECOND)];
    for (index, profile) in timed.into_iter().enumerate() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let mut world = World::of(|layer| {
            layer.profile(profile).is_stale(move |request, _| {
                let build = request.extensions.get::<Build>().expect("the one of the request").0;
                told.lock().unwrap().push((request.uri.to_string(), request.version, request.headers.len()));
                build != 1
            })
        });
        let ask = |build| {
            let request = Request::get("/stripped").version(http::Version::HTTP_10).header("if-none-match", "\"v\"");
            let written = OriginalUri("/api/stripped".parse().unwrap());
            request.extension(written).extension(Build(build)).body(Body::empty()).unwrap()
        };
        let first = spawn(&world.app, ask(1));
        world.runs.next().await.answer("old");
        first.await.unwrap().unwrap();
        assert_eq!(world.send(ask(1)).await, hit("old"));
        world.clock.advance(5 * MINUTE);

        let asked = spawn(&world.app, ask(1));
        let run = world.runs.next().await;
        let mut run = Some(run);
        if index == 0 {
            run.take().unwrap().fail();
        }
        let response = asked.await.unwrap().unwrap();

        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::StaleOnError), "{index}");
        drop(run);
        let seen = seen.lock().unwrap();
        assert!(seen.len() > 2 && seen.iter().all(|request| *request == seen[0]), "{seen:?}");
    }
}

#[tokio::test]
async fn a_filter_that_refuses_an_error_leaves_the_page_and_one_that_refuses_a_page_does_not() {
    let ends: [(fn(Run), bool); 5] = [
        (|run| run.answer(StatusCode::TOO_MANY_REQUESTS), true),
        (|run| run.answer(StatusCode::UNAUTHORIZED), true),
        (|run| run.answer(StatusCode::FOUND), true),
        (|run| run.answer(StatusCode::NOT_FOUND), false),
        (|run| run.answer(([("x-no", "1")], "not to be kept")), false),
    ];
    for (index, (end, stays)) in ends.into_iter().enumerate() {
        let mut world = World::of(|layer| {
            let filter = |response: &http::response::Parts| {
                response.status.is_success() && !response.headers.contains_key("x-no")
            };
            layer.profile(hardy()).response_filter(filter)
        });
        world.fetch_with(|run| run.answer("old")).await;
        world.clock.advance(5 * MINUTE);

        let (status, _) = world.fetch_with(end).await;

        let reason = if index < 4 { NotStored::Status } else { NotStored::Filtered };
        assert_eq!(not_stored(status), Some(reason), "end {index}");
        let failed = world.fetch_with(Run::fail_softly).await;
        assert_eq!(failed == rescued("old"), stays, "end {index}: {failed:?}");
    }
}

#[tokio::test]
async fn a_filter_further_in_that_refuses_an_error_leaves_the_page_too() {
    let (cache, clock) = cache();
    let status = Arc::new(AtomicU16::new(200));
    let answered = Arc::clone(&status);
    let page = move || {
        let status = StatusCode::from_u16(answered.load(Relaxed)).unwrap();
        async move { status }
    };
    let app = Router::new()
        .route("/", route_get(page))
        .layer(CacheLayer::new(&cache).response_filter(|response| response.status.is_success()))
        .layer(CacheLayer::new(&cache).profile(hardy()).response_filter(|_| true));
    assert!(is_miss(fetch(&app, "/").await.0));
    clock.advance(5 * MINUTE);

    status.store(429, Relaxed);
    assert_eq!(not_stored(fetch(&app, "/").await.0), Some(NotStored::Status));
    status.store(503, Relaxed);
    assert_eq!(fetch(&app, "/").await.0, CacheStatus::StaleOnError);
}

#[tokio::test]
async fn a_purge_takes_the_stale_page_too() {
    let mut world = World::filled(hardy(), "old").await;
    world.clock.advance(MINUTE);
    assert_eq!(world.fetch().await, stale("old"));
    let refresh = world.runs.next().await;

    assert!(world.cache.delete_cached("/").await.unwrap());
    refresh.answer("made of what was before the purge");
    settle().await;

    assert!(is_miss(world.fetch_with(Run::fail_softly).await.0));
    assert!(is_miss(world.fetch_with(|run| run.answer("new")).await.0));
    world.clock.advance(MINUTE);
    world.cache.clear().await.unwrap();
    assert!(is_miss(world.fetch_with(Run::fail_softly).await.0), "cleared");
}

#[tokio::test]
async fn a_purge_while_the_origin_runs_takes_the_fallback_of_that_run_too() {
    let mut world = World::filled(hardy(), "old").await;
    world.clock.advance(5 * MINUTE);
    let asked = spawn(&world.app, get("/"));
    let run = world.runs.next().await;
    world.cache.delete_cached("/").await.unwrap();
    run.fail();
    assert!(asked.await.unwrap().is_err());
}

#[tokio::test]
async fn a_head_or_a_range_is_answered_from_a_stale_page_and_makes_nothing_anew() {
    let mut world = World::filled(hardy(), "old").await;
    world.clock.advance(MINUTE);
    let head = Request::head("/").body(axum::body::Body::empty()).unwrap();
    assert_eq!(world.send(head).await, stale(""));
    assert_eq!(world.send(get_with("/", &[("range", "bytes=0-0")])).await.0, CacheStatus::Stale);
    assert!(world.runs.is_quiet().await);
}

#[tokio::test]
async fn each_variant_is_made_anew_with_its_own_request() {
    let mut world = World::of(|layer| layer.profile(hardy()));
    let ask = |language: &'static str| get_with("/", &[("accept-language", language)]);
    for language in ["en", "de"] {
        let asked = spawn(&world.app, ask(language));
        world.runs.next().await.answer(([("vary", "accept-language")], language));
        asked.await.unwrap().expect("an answer");
    }
    world.clock.advance(MINUTE);
    for language in ["en", "de"] {
        assert_eq!(world.send(ask(language)).await, stale(language));
        let run = world.runs.next().await;
        assert_eq!(run.request.headers()["accept-language"], language);
        run.answer(([("vary", "accept-language")], format!("{language}, new")));
        settle().await;
    }
    for language in ["en", "de"] {
        assert_eq!(world.send(ask(language)).await, hit(&format!("{language}, new")));
    }
}

#[tokio::test]
async fn the_windows_of_the_handler_and_of_the_response_go_before_those_of_the_layer() {
    for answer in [
        |run: Run| run.answer((CachePolicy::ttl(MINUTE).stale_while_revalidate(MINUTE), "short")),
        |run: Run| {
            run.answer(([("cache-control", "max-age=60, stale-while-revalidate=60, stale-if-error=0")], "short"));
        },
    ] {
        let mut world = World::with(Profile::ttl(MINUTE).stale_while_revalidate(10 * MINUTE));
        world.fetch_with(answer).await;
        world.clock.advance(119 * SECOND);
        assert_eq!(world.fetch().await, stale("short"));
        world.refresh_with(Run::fail).await;
        world.clock.advance(SECOND);
        assert!(is_miss(world.fetch_with(Run::fail_softly).await.0));
    }
}
