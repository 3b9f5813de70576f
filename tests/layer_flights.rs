//! One run of the origin for many callers: every way a flight can end.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::time::Duration;

use axum::response::IntoResponse;
use axum_caching::{Cache, CacheBody, CacheService, CacheStatus, MissReason, NotStored};
use http::{StatusCode, header};
use support::{
    cache, get, get_with,
    held::{Origin, Runs, body, origin, settle, spawn},
    is_miss, layer,
};
use tower::Layer;

type App = CacheService<Origin>;

fn held() -> (App, Runs, Cache) {
    let (cache, _) = cache();
    let (origin, runs) = origin();
    (layer(&cache).layer(origin), runs, cache)
}

fn status<B>(response: &http::Response<B>) -> CacheStatus {
    CacheStatus::of(response).expect("a status is always there")
}

type Sent = tokio::task::JoinHandle<Result<http::Response<CacheBody<axum::body::Body>>, support::held::Broken>>;

async fn answer(sent: Sent) -> (CacheStatus, String) {
    let response = sent.await.unwrap().unwrap();
    (status(&response), body(response).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_of_a_cold_page_run_the_handler_once() {
    let (app, mut runs, _) = held();

    let callers: Vec<_> = (0..1_000).map(|_| spawn(&app, get("/"))).collect();
    let run = runs.next().await;
    settle().await;
    run.answer("once");

    for caller in callers {
        assert_eq!(answer(caller).await.1, "once");
    }
    assert!(runs.is_quiet().await);
}

#[tokio::test]
async fn those_who_wait_are_told_that_they_shared_and_those_who_come_later_that_they_hit() {
    let (app, mut runs, cache) = held();
    let leader = spawn(&app, get("/"));
    let run = runs.next().await;
    let follower = spawn(&app, get("/"));
    assert!(runs.is_quiet().await);

    run.answer("page");

    assert!(is_miss(answer(leader).await.0));
    assert_eq!(answer(follower).await, (CacheStatus::Shared, "page".into()));
    assert_eq!(answer(spawn(&app, get("/"))).await, (CacheStatus::Hit, "page".into()));
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.shared, stats.hits, stats.stored), (1, 1, 1, 1));
}

#[tokio::test]
async fn a_leader_that_goes_away_still_fills() {
    let (app, mut runs, cache) = held();
    let leader = spawn(&app, get("/"));
    let run = runs.next().await;
    let follower = spawn(&app, get("/"));
    settle().await;

    leader.abort();
    settle().await;
    run.answer("page");

    assert_eq!(answer(follower).await, (CacheStatus::Shared, "page".into()));
    assert_eq!(answer(spawn(&app, get("/"))).await.0, CacheStatus::Hit);
    assert!(runs.is_quiet().await);
    assert!(cache.close().await);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_waits_for_is_given_up_after_the_fill_timeout() {
    let (app, mut runs, cache) = held();
    let leader = spawn(&app, get("/"));
    let _run = runs.next().await;

    leader.abort();
    settle().await;
    tokio::time::advance(Duration::from_secs(61)).await;

    assert!(cache.close().await);
    let next = spawn(&app, get("/"));
    runs.next().await.answer("second run");
    assert_eq!(answer(next).await.1, "second run");
}

#[tokio::test]
async fn when_a_leader_fails_exactly_one_of_those_who_wait_takes_over() {
    let (app, mut runs, _) = held();
    let leader = spawn(&app, get("/"));
    let first = runs.next().await;
    let followers: Vec<_> = (0..5).map(|_| spawn(&app, get("/"))).collect();
    assert!(runs.is_quiet().await);

    first.fail();

    let second = runs.next().await;
    assert!(runs.is_quiet().await, "one run at a time");
    second.answer("second run");
    assert!(leader.await.unwrap().is_err(), "the error goes to its own caller");
    for follower in followers {
        assert_eq!(answer(follower).await.1, "second run");
    }
}

#[tokio::test]
async fn a_panic_is_the_leaders_own_and_one_of_those_who_wait_takes_over() {
    let (app, mut runs, _) = held();
    let leader = spawn(&app, get("/"));
    let first = runs.next().await;
    let followers: Vec<_> = (0..5).map(|_| spawn(&app, get("/"))).collect();
    assert!(runs.is_quiet().await);

    first.panic();

    let second = runs.next().await;
    assert!(runs.is_quiet().await, "one run at a time");
    second.answer("second run");
    assert!(leader.await.unwrap_err().is_panic());
    for follower in followers {
        assert_eq!(answer(follower).await.1, "second run");
    }
}

#[tokio::test]
async fn after_two_failures_the_rest_stop_waiting_for_each_other() {
    let (app, mut runs, _) = held();
    let mut callers = vec![spawn(&app, get("/"))];
    let first = runs.next().await;
    callers.extend((0..5).map(|_| spawn(&app, get("/"))));
    assert!(runs.is_quiet().await);

    first.fail();
    runs.next().await.fail();

    assert_eq!(runs.waiting().await, 4, "all at once");
    for _ in 0..4 {
        runs.next().await.answer("alone");
    }
    let mut answers = Vec::new();
    for caller in callers {
        answers.push(caller.await.unwrap().is_ok());
    }
    assert_eq!(answers.iter().filter(|answered| **answered).count(), 4);
}

#[tokio::test]
async fn an_error_page_is_shared_with_those_who_wait_and_with_nobody_later() {
    let (app, mut runs, _) = held();
    let leader = spawn(&app, get("/"));
    let run = runs.next().await;
    let follower = spawn(&app, get("/"));
    settle().await;

    run.answer((StatusCode::INTERNAL_SERVER_ERROR, "sorry"));

    assert_eq!(support::not_stored(answer(leader).await.0), Some(NotStored::Status));
    assert_eq!(answer(follower).await, (CacheStatus::Shared, "sorry".into()));
    let later = spawn(&app, get("/"));
    runs.next().await.answer("well again");
    assert_eq!(answer(later).await.1, "well again");
}

#[tokio::test]
async fn what_is_for_one_client_is_shared_with_nobody_and_the_others_run_at_once() {
    // ocache #61, #68: five clients, one session cookie.
    let (app, mut runs, _) = held();
    let leader = spawn(&app, get("/"));
    let run = runs.next().await;
    let followers: Vec<_> = (0..4).map(|_| spawn(&app, get("/"))).collect();
    assert!(runs.is_quiet().await);

    run.answer(([(header::SET_COOKIE, "session=0")], "zero"));

    assert_eq!(runs.waiting().await, 4, "all at once");
    for n in 1..5 {
        let cookie = format!("session={n}");
        runs.next().await.answer(([(header::SET_COOKIE, cookie.as_str())], n.to_string()).into_response());
    }
    let mut cookies = std::collections::HashSet::new();
    for caller in followers.into_iter().chain([leader]) {
        let response = caller.await.unwrap().unwrap();
        cookies.insert(response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned());
    }
    assert_eq!(cookies.len(), 5);
}

#[tokio::test]
async fn requests_for_a_page_that_could_not_be_shared_do_not_wait_until_it_can() {
    // Varnish #3461: each waiter in turn becomes the leader.
    let (app, mut runs, _) = held();
    let first = spawn(&app, get("/"));
    runs.next().await.answer(([(header::CACHE_CONTROL, "no-store")], "secret"));
    answer(first).await;

    let second = [spawn(&app, get("/")), spawn(&app, get("/"))];
    assert_eq!(runs.waiting().await, 2, "the marker: nobody waits");
    runs.next().await.answer("public now");
    runs.next().await.answer("public now");
    for caller in second {
        answer(caller).await;
    }

    assert_eq!(answer(spawn(&app, get("/"))).await.0, CacheStatus::Hit);
}

#[tokio::test]
async fn a_storable_response_takes_the_marker_away() {
    let (app, mut runs, cache) = held();
    for answered in [([(header::CACHE_CONTROL, "private")], "x"), ([(header::CACHE_CONTROL, "public")], "x")] {
        let caller = spawn(&app, get("/"));
        runs.next().await.answer(answered);
        answer(caller).await;
    }
    cache.delete_cached("/").await.unwrap();

    let callers = [spawn(&app, get("/")), spawn(&app, get("/"))];

    assert_eq!(runs.waiting().await, 1, "they wait for each other again");
    runs.next().await.answer("x");
    for caller in callers {
        answer(caller).await;
    }
}

#[tokio::test]
async fn an_error_leaves_no_marker() {
    let (app, mut runs, _) = held();
    let first = spawn(&app, get("/"));
    runs.next().await.answer(StatusCode::BAD_GATEWAY);
    answer(first).await;

    let _callers = [spawn(&app, get("/")), spawn(&app, get("/"))];

    assert_eq!(runs.waiting().await, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_waited_long_enough_runs_the_handler_itself() {
    let (app, mut runs, _) = held();
    let _leader = spawn(&app, get("/"));
    let _never_answered = runs.next().await;
    let follower = spawn(&app, get("/"));
    assert!(runs.is_quiet().await);

    tokio::time::advance(Duration::from_millis(9_900)).await;
    assert!(runs.is_quiet().await);
    tokio::time::advance(Duration::from_millis(200)).await;

    runs.next().await.answer("on my own");
    let (status, text) = answer(follower).await;
    assert_eq!(text, "on my own");
    assert!(matches!(status, CacheStatus::Miss { reason: MissReason::WaitedTooLong, .. }), "{status:?}");
    assert_eq!(answer(spawn(&app, get("/"))).await.0, CacheStatus::Hit, "what it made is stored");
}

#[tokio::test]
async fn a_forced_update_neither_joins_nor_leads() {
    // Next.js CVE-2026-94544: an editor's fill in flight was shared with an anonymous request.
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).forced_update(|request| request.headers.contains_key("x-force")).layer(origin);
    let plain = spawn(&app, get("/"));
    let first = runs.next().await;

    let forced = spawn(&app, get_with("/", &[("x-force", "1")]));
    let second = runs.next().await;
    let follower = spawn(&app, get("/"));
    assert!(runs.is_quiet().await);
    second.answer("forced");
    assert_eq!(answer(forced).await.1, "forced");
    first.answer("plain");

    assert_eq!(answer(plain).await.1, "plain");
    assert_eq!(answer(follower).await.1, "plain", "it waited for the plain one");
}

#[tokio::test]
async fn two_hosts_do_not_wait_for_each_other() {
    let (app, mut runs, _) = held();

    let one = spawn(&app, get_with("/", &[("host", "one.example")]));
    let two = spawn(&app, get_with("/", &[("host", "two.example")]));

    assert_eq!(runs.waiting().await, 2);
    for _ in 0..2 {
        let run = runs.next().await;
        let host = run.request.headers()["host"].to_str().unwrap().to_owned();
        run.answer(host);
    }
    assert_eq!(answer(one).await.1, "one.example");
    assert_eq!(answer(two).await.1, "two.example");
}

#[tokio::test]
async fn one_who_waited_for_another_variant_is_not_given_it() {
    let (app, mut runs, _) = held();
    let vary = [(header::VARY, "accept-language")];
    let german = spawn(&app, get_with("/", &[("accept-language", "de")]));
    let run = runs.next().await;
    let french: Vec<_> = (0..3).map(|_| spawn(&app, get_with("/", &[("accept-language", "fr")]))).collect();
    assert!(runs.is_quiet().await);

    run.answer((vary.clone(), "hallo"));

    let second = runs.next().await;
    assert!(runs.is_quiet().await, "those who want French wait for one of them");
    second.answer((vary, "salut"));
    assert_eq!(answer(german).await.1, "hallo");
    for caller in french {
        assert_eq!(answer(caller).await.1, "salut");
    }
}
