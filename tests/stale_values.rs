//! Stale computed values: served while they are made anew, and in place of a computation that fails.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{Cache, FillContext, MemoryBackend, Profile, testing::ManualClock};
use bytewise::settle;
use tokio::sync::oneshot;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn hardy() -> Profile {
    Profile::ttl(MINUTE).stale_while_revalidate(2 * MINUTE).stale_if_error(10 * MINUTE)
}

on_both_backends! {
    a_stale_value_is_served_to_all_but_the_one_who_computes,
    a_stale_value_is_made_anew_behind_its_callers_if_the_computation_is_owned,
    an_error_is_answered_with_what_is_kept_and_the_origin_left_alone,
    each_of_a_thousand_keys_has_a_backoff_of_its_own,
    a_failed_refresh_is_not_tried_again_before_the_backoff_is_over,
    a_purge_takes_the_stale_value_too,
    what_is_stale_is_not_there_for_explicit_calls,
    an_entry_is_made_anew_ahead_of_its_end,
}

/// What a caller gets that need not compute.
async fn kept(cache: &Cache, profile: Profile) -> String {
    cache.get_or_compute_owned("key", profile, async || unreachable!("it is kept")).await
}

async fn fill(cache: &Cache, profile: Profile, text: &'static str) {
    assert_eq!(cache.get_or_compute("key", profile, async || text.to_owned()).await, text);
}

async fn fail(cache: &Cache, profile: Profile) -> Result<String, &'static str> {
    cache.try_get_or_compute("key", profile, async || Err("down")).await
}

async fn a_stale_value_is_served_to_all_but_the_one_who_computes(cache: Cache, clock: ManualClock) {
    fill(&cache, hardy(), "old").await;
    clock.advance(MINUTE);
    let value = cache
        .get_or_compute("key", hardy(), async || {
            // As somebody else, who is no part of this run.
            assert_eq!(FillContext::default().scope(kept(&cache, hardy())).await, "old");
            "new".to_owned()
        })
        .await;
    assert_eq!(value, "new");
    assert_eq!(kept(&cache, hardy()).await, "new");
    assert_eq!(cache.stats().refreshes, 1);
}

async fn a_stale_value_is_made_anew_behind_its_callers_if_the_computation_is_owned(cache: Cache, clock: ManualClock) {
    fill(&cache, hardy(), "old").await;
    clock.advance(MINUTE);
    let (go, may_go) = oneshot::channel::<()>();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let first = cache.get_or_compute_owned("key", hardy(), async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        may_go.await.unwrap();
        "new".to_owned()
    });
    assert_eq!(first.await, "old");
    settle().await;
    for _ in 0..3 {
        assert_eq!(kept(&cache, hardy()).await, "old");
    }
    go.send(()).unwrap();
    settle().await;
    assert_eq!(kept(&cache, hardy()).await, "new");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let stats = cache.stats();
    assert_eq!((stats.stale, stats.refreshes, stats.misses, stats.hits), (4, 1, 1, 1));
}

async fn an_error_is_answered_with_what_is_kept_and_the_origin_left_alone(cache: Cache, clock: ManualClock) {
    let profile = hardy().failure_backoff(5 * SECOND);
    fill(&cache, profile, "old").await;
    clock.advance(5 * MINUTE);
    assert_eq!(fail(&cache, profile).await.as_deref(), Ok("old"));
    assert_eq!(kept(&cache, profile).await, "old");
    clock.advance(5 * SECOND);
    assert_eq!(fail(&cache, profile).await.as_deref(), Ok("old"));
    clock.advance(10 * MINUTE);
    assert_eq!(fail(&cache, profile).await, Err("down"), "after its end");
    assert_eq!(cache.stats().origin_failures, 2);
}

async fn each_of_a_thousand_keys_has_a_backoff_of_its_own(cache: Cache, clock: ManualClock) {
    let (profile, runs) = (hardy().failure_backoff(5 * SECOND), AtomicUsize::new(0));
    let keys: Vec<_> = (0..1_000).map(|n| format!("key {n}")).collect();
    for key in &keys {
        cache.get_or_compute(key, profile, async || "old".to_owned()).await;
    }
    clock.advance(5 * MINUTE);
    for _ in 0..3 {
        for key in &keys {
            let failing = async || {
                runs.fetch_add(1, Ordering::SeqCst);
                Err::<String, _>("down")
            };
            assert_eq!(cache.try_get_or_compute(key, profile, failing).await.as_deref(), Ok("old"));
        }
    }
    assert_eq!(runs.load(Ordering::SeqCst), keys.len());
}

async fn a_failed_refresh_is_not_tried_again_before_the_backoff_is_over(cache: Cache, clock: ManualClock) {
    let profile = hardy().failure_backoff(5 * SECOND);
    fill(&cache, profile, "old").await;
    clock.advance(MINUTE);
    let failing = cache.try_get_or_compute_owned("key", profile, async || Err::<String, _>("down"));
    assert_eq!(failing.await.as_deref(), Ok("old"));
    settle().await;
    assert_eq!(kept(&cache, profile).await, "old", "and nobody computes");
    clock.advance(5 * SECOND);
    cache.get_or_compute_owned("key", profile, async || "new".to_owned()).await;
    settle().await;
    assert_eq!(kept(&cache, profile).await, "new");
}

async fn a_purge_takes_the_stale_value_too(cache: Cache, clock: ManualClock) {
    fill(&cache, hardy(), "old").await;
    clock.advance(MINUTE);
    let (go, may_go) = oneshot::channel::<()>();
    let refresh = cache.get_or_compute_owned("key", hardy(), async move || {
        may_go.await.unwrap();
        "made of what was before".to_owned()
    });
    assert_eq!(refresh.await, "old");
    settle().await;
    assert!(cache.delete("key").await.unwrap());
    go.send(()).unwrap();
    settle().await;
    assert_eq!(fail(&cache, hardy()).await, Err("down"));
}

async fn what_is_stale_is_not_there_for_explicit_calls(cache: Cache, clock: ManualClock) {
    fill(&cache, hardy(), "old").await;
    clock.advance(MINUTE);
    assert_eq!(cache.get::<String>("key").await.unwrap(), None);
    assert!(!cache.has("key").await.unwrap());
    assert!(cache.add("key", "new", MINUTE).await.unwrap());
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("new"));
}

async fn an_entry_is_made_anew_ahead_of_its_end(cache: Cache, clock: ManualClock) {
    let profile = Profile::ttl(100 * SECOND).refresh_ahead(0.75);
    fill(&cache, profile, "old").await;
    clock.advance(74 * SECOND);
    assert_eq!(kept(&cache, profile).await, "old");
    clock.advance(SECOND);
    assert_eq!(cache.get_or_compute_owned("key", profile, async || "new".to_owned()).await, "old");
    settle().await;
    assert_eq!(kept(&cache, profile).await, "new");
}

#[tokio::test(start_paused = true)]
async fn a_slow_run_is_not_waited_for_where_there_is_a_stale_value_and_its_late_result_is_kept() {
    let (cache, clock) = memory();
    let profile = hardy().soft_timeout(SECOND);
    fill(&cache, profile, "old").await;
    clock.advance(5 * MINUTE);
    let (go, may_go) = oneshot::channel::<()>();
    let slow = cache.get_or_compute_owned("key", profile, async move || {
        may_go.await.unwrap();
        "late".to_owned()
    });
    assert_eq!(slow.await, "old");
    assert_eq!(kept(&cache, profile).await, "old", "at once");
    go.send(()).unwrap();
    settle().await;
    assert_eq!(kept(&cache, profile).await, "late");
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_for_a_slow_run_of_another_is_served_what_is_stale() {
    let (cache, clock) = memory();
    let profile = hardy().soft_timeout(SECOND);
    fill(&cache, profile, "old").await;
    clock.advance(5 * MINUTE);
    let (go, may_go) = oneshot::channel::<()>();
    let slow = tokio::spawn({
        let cache = cache.clone();
        async move {
            let value = cache.get_or_compute("key", profile, || async {
                may_go.await.unwrap();
                "late".to_owned()
            });
            value.await
        }
    });
    settle().await;
    assert_eq!(kept(&cache, profile).await, "old");
    go.send(()).unwrap();
    assert_eq!(slow.await.unwrap(), "late", "what borrows is waited for by its own caller");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_its_owned_run_behind() {
    let (cache, _) = memory();
    let (go, may_go) = oneshot::channel::<()>();
    let caller = tokio::spawn({
        let cache = cache.clone();
        async move {
            let value = cache.get_or_compute_owned("key", MINUTE, async move || {
                may_go.await.unwrap();
                "value".to_owned()
            });
            value.await
        }
    });
    settle().await;
    caller.abort();
    settle().await;
    go.send(()).unwrap();
    settle().await;
    assert_eq!(kept(&cache, MINUTE.into()).await, "value");
}

#[tokio::test]
async fn what_the_cache_says_holds_where_the_call_says_nothing() {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    let cache = Cache::builder(backend).clock(clock.clock()).profile(hardy()).build();
    fill(&cache, Profile::default(), "old").await;
    clock.advance(5 * MINUTE);
    assert_eq!(fail(&cache, Profile::default()).await.as_deref(), Ok("old"));
}

fn memory() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    (Cache::builder(backend).clock(clock.clock()).build(), clock)
}

#[tokio::test]
async fn a_run_in_the_background_that_fails_serves_nobody() {
    let (cache, clock) = memory();
    fill(&cache, hardy(), "old").await;
    clock.advance(MINUTE);
    let refresh = cache.try_get_or_compute_owned("key", hardy(), async || Err::<String, _>("down"));
    assert_eq!(refresh.await, Ok("old".to_owned()));
    settle().await;
    assert_eq!((cache.stats().refreshes, cache.stats().stale), (1, 1));
}
