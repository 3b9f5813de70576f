//! A cache and what runs it: the task of the caller, a busy inner service, one runtime after another.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{future::Future, sync::LazyLock};

use axum::response::IntoResponse;
use axum_caching::{Cache, CacheLayer, CacheStatus, MemoryBackend, testing::Chaos};
use support::{
    cache, get,
    held::{body, origin, poll_once, settle, spawn},
    layer,
};
use tower::{Layer, Service, ServiceExt};

#[tokio::test]
async fn a_handler_sees_the_task_locals_of_its_caller_on_a_miss() {
    tokio::task_local!(static USER: &'static str);
    let (cache, _) = cache();
    let app = layer(&cache).layer(tower::service_fn(async |_: http::Request<axum::body::Body>| {
        Ok::<_, std::convert::Infallible>(USER.with(|user| (*user).to_owned()).into_response())
    }));

    let response = USER.scope("ada", app.oneshot(get("/"))).await.unwrap();

    assert_eq!(body(response).await, "ada");
}

#[tokio::test]
async fn hits_are_served_while_the_inner_service_is_busy() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let limited = tower::limit::ConcurrencyLimit::new(origin, 1);
    let app = layer(&cache).layer(limited);
    let first = spawn(&app, get("/stored"));
    runs.next().await.answer("stored");
    body(first.await.unwrap().unwrap()).await;

    let busy = spawn(&app, get("/busy"));
    let held = runs.next().await;
    let waiting = spawn(&app, get("/waits"));
    assert!(runs.is_quiet().await);

    let response = app.clone().oneshot(get("/stored")).await.unwrap();
    assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Hit));
    held.answer("done");
    runs.next().await.answer("done");
    busy.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_cached_service_is_always_ready_and_a_hit_is_ready_at_its_first_poll() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let mut app = layer(&cache).layer(origin);
    let first = spawn(&app, get("/"));
    runs.next().await.answer("page");
    body(first.await.unwrap().unwrap()).await;

    assert!(poll_once(std::future::poll_fn(|context| app.poll_ready(context))).await.is_some());
    assert!(poll_once(app.call(get("/"))).await.is_some());
}

static SHARED: LazyLock<Cache> = LazyLock::new(|| Cache::new(axum_caching::MemoryBackend::default()));

#[test]
fn one_static_cache_serves_one_runtime_after_another() {
    for (run, expected) in [(1, true), (2, true), (3, false), (4, false)] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (origin, mut runs) = origin();
            let app = CacheLayer::new(&SHARED).layer(origin);
            // The first two runtimes die with a fill under way.
            let caller = spawn(&app, get("/"));
            if expected {
                let _unanswered = runs.next().await;
                settle().await;
            } else {
                if run == 3 {
                    runs.next().await.answer("at last");
                }
                assert_eq!(body(caller.await.unwrap().unwrap()).await, "at last");
            }
        });
    }
}

/// Polls a future so many times, and drops it.
async fn poll_times<F: Future>(future: F, times: usize) -> bool {
    let mut future = std::pin::pin!(future);
    for _ in 0..times {
        if poll_once(future.as_mut()).await.is_some() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test]
async fn a_client_may_go_away_at_any_await_and_the_next_one_is_answered() {
    for behind_a_network in [false, true] {
        let mut times = 0;
        loop {
            let cache = if behind_a_network { Cache::new(Chaos::remote(MemoryBackend::default())) } else { cache().0 };
            let runs = support::Runs::default();
            let counted = runs.clone();
            let app = layer(&cache).layer(tower::service_fn(move |_: http::Request<axum::body::Body>| {
                let run = counted.next();
                async move {
                    settle_a_little().await;
                    Ok::<_, std::convert::Infallible>(format!("run {run}").into_response())
                }
            }));

            let leader = poll_times(app.clone().oneshot(get("/")), times).await;
            let follower = poll_times(app.clone().oneshot(get("/")), times).await;
            let last = app.oneshot(get("/")).await.unwrap();

            assert_eq!(body(last).await, "run 1", "after {times} polls");
            assert!(cache.close().await);
            assert_eq!(runs.count(), 1, "after {times} polls");
            if leader && follower {
                break;
            }
            times += 1;
        }
        assert!(times > 3, "there is something to wait for");
    }
}

async fn settle_a_little() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}
