//! Stale results of memoized functions; and what a function says of its own result.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::time::Duration;

use axum_caching::{
    Cache, FillContext, Memoizer, MemoryBackend, Profile,
    testing::{Chaos, ManualClock},
};
use bytewise::settle;
use tokio::sync::oneshot;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn hardy() -> Profile {
    Profile::ttl(MINUTE).stale_while_revalidate(2 * MINUTE).stale_if_error(10 * MINUTE).failure_backoff(5 * SECOND)
}

fn names(cache: &Cache) -> Memoizer<String> {
    cache.memoizer("names").profile(hardy())
}

async fn fill(names: &Memoizer<String>, text: &'static str) {
    assert_eq!(names.call(&7, async || text.to_owned()).await, text);
}

/// What a caller gets that need not compute.
async fn kept(names: &Memoizer<String>) -> String {
    names.call_owned(&7, async || unreachable!("it is kept")).await
}

async fn fail(names: &Memoizer<String>) -> Result<String, &'static str> {
    names.try_call(&7, async || Err("down")).await
}

on_both_backends! {
    a_stale_result_is_made_anew_behind_owned_callers,
    of_callers_that_borrow_one_computes_and_the_others_are_served,
    an_error_is_answered_with_what_is_kept_and_the_function_left_alone,
    every_kind_of_purge_takes_the_stale_result_too,
    a_purge_while_a_result_is_made_anew_wins,
    a_negative_result_is_never_served_stale,
    a_predicate_that_finds_it_stale_forbids_the_fallback_too,
    a_function_says_how_long_its_result_is_kept_and_what_it_is_called,
    a_batch_computes_what_is_stale_anew,
    a_batch_that_fails_is_answered_with_what_is_kept_if_that_is_all_of_it,
    tags_of_an_inner_function_reach_the_outer_one,
    a_filter_of_an_owned_call_holds_in_the_background,
}

async fn a_stale_result_is_made_anew_behind_owned_callers(cache: Cache, clock: ManualClock) {
    let names = names(&cache);
    fill(&names, "old").await;
    clock.advance(MINUTE);
    let (go, may_go) = oneshot::channel::<()>();
    let first = names.call_owned(&7, async move || {
        may_go.await.unwrap();
        "new".to_owned()
    });
    assert_eq!(first.await, "old");
    settle().await;
    assert_eq!(kept(&names).await, "old");
    go.send(()).unwrap();
    settle().await;
    assert_eq!(kept(&names).await, "new");
    let stats = cache.stats();
    assert_eq!((stats.stale, stats.refreshes, stats.misses), (2, 1, 1));
}

async fn of_callers_that_borrow_one_computes_and_the_others_are_served(cache: Cache, clock: ManualClock) {
    let names = names(&cache);
    fill(&names, "old").await;
    clock.advance(MINUTE);
    let value = names.call(&7, async || {
        // As somebody else, who is no part of this run.
        assert_eq!(FillContext::default().scope(kept(&names)).await, "old");
        "new".to_owned()
    });
    assert_eq!(value.await, "new");
    assert_eq!(kept(&names).await, "new");
}

async fn an_error_is_answered_with_what_is_kept_and_the_function_left_alone(cache: Cache, clock: ManualClock) {
    let names = names(&cache);
    fill(&names, "old").await;
    clock.advance(5 * MINUTE);
    assert_eq!(fail(&names).await.as_deref(), Ok("old"));
    assert_eq!(kept(&names).await, "old");
    clock.advance(5 * SECOND);
    let failing = names.try_call_owned(&7, async || Err::<String, _>("down"));
    assert_eq!(failing.await.as_deref(), Ok("old"));
    clock.advance(10 * MINUTE);
    assert_eq!(fail(&names).await, Err("down"));
}

async fn every_kind_of_purge_takes_the_stale_result_too(cache: Cache, clock: ManualClock) {
    let names = names(&cache);
    for purge in 0..4 {
        let call = names.at(&7).tags(["name"]).forced_update(true);
        call.call(async || "old".to_owned()).await;
        clock.advance(5 * MINUTE);
        match purge {
            0 => names.delete_memoized().await.unwrap(),
            1 => drop(names.delete_memoized_for(&7).await.unwrap()),
            2 => cache.purge_tag("name").await.unwrap(),
            _ => cache.clear().await.unwrap(),
        }
        assert_eq!(fail(&names).await, Err("down"), "purge {purge}");
    }
}

async fn a_purge_while_a_result_is_made_anew_wins(cache: Cache, clock: ManualClock) {
    let names = names(&cache);
    fill(&names, "old").await;
    clock.advance(MINUTE);
    let (go, may_go) = oneshot::channel::<()>();
    let refresh = names.call_owned(&7, async move || {
        may_go.await.unwrap();
        "made of what was before".to_owned()
    });
    assert_eq!(refresh.await, "old");
    settle().await;
    names.delete_memoized().await.unwrap();
    go.send(()).unwrap();
    settle().await;
    assert_eq!(names.call(&7, async || "new".to_owned()).await, "new");
}

async fn a_negative_result_is_never_served_stale(cache: Cache, clock: ManualClock) {
    let found: Memoizer<Option<u32>> = cache.memoizer("found").profile(hardy()).negative(Option::is_none, SECOND);
    assert_eq!(found.call(&7, async || None).await, None);
    clock.advance(SECOND);
    assert_eq!(found.try_call(&7, async || Err("down")).await, Err("down"));
}

async fn a_predicate_that_finds_it_stale_forbids_the_fallback_too(cache: Cache, clock: ManualClock) {
    let names = names(&cache).is_stale(|name| name == "old");
    fill(&names, "old").await;
    clock.advance(5 * MINUTE);
    assert_eq!(fail(&names).await, Err("down"));
}

async fn a_function_says_how_long_its_result_is_kept_and_what_it_is_called(cache: Cache, clock: ManualClock) {
    let names = names(&cache);
    let say = |text: &'static str| {
        names.call(&7, async move || {
            let context = Memoizer::context();
            context.profile(Profile::ttl(SECOND).stale_if_error(SECOND));
            context.profile(Profile::default().stale_while_revalidate(Duration::ZERO));
            context.tag("said");
            text.to_owned()
        })
    };
    // Over bytes the first two find out that there are late tags.
    for _ in 0..3 {
        say("short").await;
    }
    clock.advance(SECOND);
    assert_eq!(fail(&names).await.as_deref(), Ok("short"));
    clock.advance(SECOND);
    assert_eq!(fail(&names).await, Err("down"), "and no longer");

    assert_eq!(say("again").await, "again");
    cache.purge_tag("said").await.unwrap();
    assert_eq!(say("new").await, "new");
}

async fn a_batch_computes_what_is_stale_anew(cache: Cache, clock: ManualClock) {
    let names = names(&cache);
    fill(&names, "old").await;
    clock.advance(MINUTE);
    let made = names.call_many(&[7], async |missing: &[&i32]| missing.iter().map(|_| "new".to_owned()).collect());
    assert_eq!(made.await, ["new"]);
    assert_eq!(kept(&names).await, "new");
}

async fn tags_of_an_inner_function_reach_the_outer_one(cache: Cache, _: ManualClock) {
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("inner"), cache.memoizer("outer"));
    let call = |value: u32| {
        let inner = inner.clone();
        outer.call(&1, async move || {
            let read = inner.call(&1, async move || {
                Memoizer::context().tag("deep");
                value
            });
            read.await
        })
    };
    for _ in 0..3 {
        call(1).await;
    }
    assert_eq!(call(2).await, 1);
    cache.purge_tag("deep").await.unwrap();
    assert_eq!(call(3).await, 3);
}

async fn a_filter_of_an_owned_call_holds_in_the_background(cache: Cache, clock: ManualClock) {
    let names = names(&cache);
    fill(&names, "old").await;
    clock.advance(MINUTE);
    let call = names.at(&7).response_filter(|name: &String| name != "bad").ttl(MINUTE);
    assert_eq!(call.call_owned(async || "bad".to_owned()).await, "old");
    settle().await;
    clock.advance(5 * SECOND);
    assert_eq!(names.call(&7, async || "good".to_owned()).await, "good");
}

async fn a_batch_that_fails_is_answered_with_what_is_kept_if_that_is_all_of_it(cache: Cache, clock: ManualClock) {
    let names = names(&cache);
    let (mut runs, all) = (0, [7, 8]);
    assert_eq!(names.call_many(&all, async |_: &[&i32]| vec!["7".to_owned(), "8".to_owned()]).await, ["7", "8"]);
    // Stale, and kept for its failure only.
    for age in [MINUTE, 3 * MINUTE] {
        clock.advance(age);
        let made = names.try_call_many(&all, async |missing: &[&i32]| {
            runs += missing.len();
            Err("down")
        });
        assert_eq!(made.await.unwrap(), ["7", "8"]);
    }
    assert_eq!(runs, 4);
    let made =
        names.try_call_many(&all, async |_: &[&i32]| -> Result<_, ()> { unreachable!("left alone for a while") });
    assert_eq!(made.await.unwrap(), ["7", "8"]);

    clock.advance(10 * SECOND);
    let made = names.try_call_many(&[7, 9], async |_: &[&i32]| Err("down"));
    assert_eq!(made.await.unwrap_err(), "down", "there is nothing of the 9");
    names.delete_memoized().await.unwrap();
    let made = names.try_call_many(&all, async |_: &[&i32]| Err("down"));
    assert_eq!(made.await.unwrap_err(), "down", "purged");
}

#[tokio::test]
async fn a_batch_that_fails_is_answered_with_what_was_marked_stale() {
    let (local, remote) = (Cache::new(MemoryBackend::default()), Cache::new(Chaos::remote(MemoryBackend::default())));
    for cache in [local, remote] {
        let names = cache.memoizer("names").profile(Profile::ttl(MINUTE).stale_if_error(10 * MINUTE));
        assert_eq!(names.at(&7).tags(["people"]).call(async || "old".to_owned()).await, "old");
        let fail = async || names.try_call_many(&[7], async |_: &[&i32]| Err("down")).await;

        cache.mark_stale_tag("people").await.unwrap();
        assert_eq!(fail().await.unwrap(), ["old"]);
        cache.purge_tag("people").await.unwrap();
        assert_eq!(fail().await.unwrap_err(), "down", "purged");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_call_does_not_take_is_not_served_to_it_after_the_soft_time_out_either() {
    for (cache, clock) in [bytewise::in_memory(), bytewise::in_bytes()] {
        let names = names(&cache).profile(Profile::default().soft_timeout(SECOND));
        fill(&names, "old").await;
        clock.advance(5 * MINUTE);
        let call = names.at(&7).is_stale(|name: &String| name == "old");
        let slow = call.call_owned(async || {
            tokio::time::sleep(2 * SECOND).await;
            "new".to_owned()
        });
        assert_eq!(slow.await, "new");
    }
}

#[tokio::test]
async fn a_run_in_the_background_that_fails_serves_nobody() {
    let (cache, clock) = bytewise::in_memory();
    let names = names(&cache);
    fill(&names, "old").await;
    clock.advance(MINUTE);
    assert_eq!(names.try_call_owned(&7, async || Err::<String, _>("down")).await, Ok("old".to_owned()));
    settle().await;
    assert_eq!((cache.stats().refreshes, cache.stats().stale), (1, 1));
    assert_eq!(kept(&names).await, "old", "left alone for the backoff");
    assert_eq!((cache.stats().refreshes, cache.stats().stale), (1, 2));

    clock.advance(MINUTE * 5);
    assert_eq!(fail(&names).await.unwrap(), "old");
    assert_eq!(cache.stats().stale, 3, "a caller that waited for the run is served");
}

#[tokio::test(start_paused = true)]
async fn a_slow_run_that_fails_late_is_told_once() {
    let (cache, clock) = bytewise::in_memory();
    let names = names(&cache).profile(Profile::default().soft_timeout(SECOND));
    fill(&names, "old").await;
    clock.advance(5 * MINUTE);
    let (fail, failed) = oneshot::channel::<()>();
    let slow = names.try_call_owned(&7, async move || {
        failed.await.unwrap();
        Err::<String, _>("down")
    });
    assert_eq!(slow.await, Ok("old".to_owned()));
    fail.send(()).unwrap();
    settle().await;
    assert_eq!(cache.stats().stale, 1);
}

#[tokio::test]
async fn what_is_stored_under_other_keys_meanwhile_does_not_keep_a_stale_result_from_being_made_anew() {
    let (cache, backend, clock) = bytewise::bytewise();
    let names = names(&cache);
    for owned in [true, false] {
        fill(&names, "old").await;
        clock.advance(MINUTE);
        let mut read = backend.delay("get");
        let asked = tokio::spawn({
            let names = names.clone();
            async move {
                if owned {
                    names.call_owned(&7, async || "new".to_owned()).await
                } else {
                    names.call(&7, async || "new".to_owned()).await
                }
            }
        });
        read.reached().await;
        cache.set("another key", &1, MINUTE).await.unwrap();
        read.release();
        assert_eq!(asked.await.unwrap(), if owned { "old" } else { "new" });
        settle().await;
        assert_eq!(kept(&names).await, "new");
        names.delete_memoized().await.unwrap();
    }
}
