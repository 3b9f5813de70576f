//! Results that stay while they are used.
#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod bytewise;

use std::{sync::Arc, time::Duration};

use axum_caching::{
    Backend, BackendFuture, Cache, Memoizer, MemoryBackend, Value,
    testing::{Chaos, ManualClock, Operation},
};
use bytewise::{Bytewise, settle};

const MINUTE: Duration = Duration::from_secs(60);

fn sliding(cache: &Cache) -> Memoizer<u32> {
    cache.memoizer("session").ttl(60 * MINUTE).sliding(10 * MINUTE)
}

/// A memoizer over each class of backend: live, shared with compare-and-set, and shared without.
fn everywhere() -> Vec<(Memoizer<u32>, Cache, ManualClock)> {
    let make = |backend: fn(&ManualClock) -> Arc<dyn Backend>| {
        let clock = ManualClock::new();
        let cache = Cache::builder(backend(&clock)).clock(clock.clock()).build();
        (sliding(&cache), cache, clock)
    };
    vec![
        make(|clock| Arc::new(MemoryBackend::builder().clock(clock.clock()).build())),
        make(|clock| Arc::new(Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build()))),
        make(|clock| Arc::new(Bytewise::shared(clock.clock()))),
    ]
}

async fn ask(sessions: &Memoizer<u32>, answer: u32) -> u32 {
    let answer = sessions.call(&7, async || answer).await;
    settle().await;
    answer
}

#[tokio::test]
async fn a_result_that_is_used_stays_until_its_ttl_ends() {
    for (sessions, _, clock) in everywhere() {
        assert_eq!(ask(&sessions, 1).await, 1);
        for _ in 0..6 {
            clock.advance(9 * MINUTE);
            assert_eq!(ask(&sessions, 2).await, 1);
        }
        clock.advance(Duration::from_millis(359_999));
        assert_eq!(ask(&sessions, 2).await, 1, "the last millisecond of the hour");
        clock.advance(Duration::from_millis(1));
        assert_eq!(ask(&sessions, 2).await, 2, "an hour, however much it was used");
    }
}

#[tokio::test]
async fn a_result_that_nobody_uses_is_made_anew() {
    for (sessions, _, clock) in everywhere() {
        assert_eq!(ask(&sessions, 1).await, 1);
        clock.advance(10 * MINUTE);
        assert_eq!(ask(&sessions, 2).await, 2);
    }
}

#[tokio::test]
async fn a_batch_uses_it_too() {
    for (sessions, _, clock) in everywhere() {
        let many = async |answer: u32| {
            let made = sessions.call_many(&[7, 8], async |missing: &[&i32]| vec![answer; missing.len()]).await;
            settle().await;
            made
        };
        assert_eq!(many(1).await, [1, 1]);
        for _ in 0..3 {
            clock.advance(9 * MINUTE);
            assert_eq!(many(2).await, [1, 1]);
        }
    }
}

#[tokio::test]
async fn one_that_ended_unused_is_good_if_the_function_fails() {
    for (sessions, _, clock) in everywhere() {
        assert_eq!(ask(&sessions, 1).await, 1);
        clock.advance(59 * MINUTE);
        assert_eq!(sessions.try_call(&7, async || Err("down")).await, Ok(1));
        clock.advance(MINUTE);
        assert_eq!(sessions.try_call(&7, async || Err("down")).await, Err("down"));
    }
}

#[tokio::test]
async fn negative_results_do_not_slide() {
    for (sessions, _, clock) in everywhere() {
        let sessions = sessions.negative(|answer| *answer == 0, 20 * MINUTE);
        assert_eq!(ask(&sessions, 0).await, 0);
        clock.advance(19 * MINUTE);
        assert_eq!(ask(&sessions, 1).await, 0);
        clock.advance(MINUTE);
        assert_eq!(ask(&sessions, 1).await, 1);
    }
}

#[tokio::test]
async fn many_hits_are_one_write() {
    let clock = ManualClock::new();
    let chaos = Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build());
    let cache = Cache::builder(chaos.clone()).clock(clock.clock()).build();
    let sessions = sliding(&cache);
    assert_eq!(ask(&sessions, 1).await, 1);
    let writes = || chaos.calls([Operation::Set, Operation::CompareAndSet]);
    let before = writes();
    for _ in 0..100 {
        assert_eq!(ask(&sessions, 2).await, 1);
    }
    assert_eq!(writes(), before, "it would not move");

    clock.advance(5 * MINUTE);
    let hits = (0..100).map(|_| {
        tokio::spawn({
            let sessions = sessions.clone();
            async move { sessions.call(&7, async || 2).await }
        })
    });
    for hit in hits.collect::<Vec<_>>() {
        assert_eq!(hit.await.unwrap(), 1);
    }
    settle().await;
    assert_eq!(writes(), before + 1);
}

#[tokio::test]
async fn a_purge_wins_against_an_end_that_is_being_moved() {
    // Of this process, and of another one.
    for elsewhere in [false, true] {
        let clock = ManualClock::new();
        let chaos = Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build());
        let node = || Cache::builder(chaos.clone()).clock(clock.clock()).build();
        let (here, there) = (node(), node());
        let (sessions, theirs) = (sliding(&here), sliding(&there));
        assert_eq!(ask(&sessions, 1).await, 1);
        clock.advance(5 * MINUTE);
        let held = chaos.on(Operation::CompareAndSet).next(1).hold();
        assert_eq!(ask(&sessions, 2).await, 1);

        let purger = if elsewhere { theirs.clone() } else { sessions.clone() };
        let purge = tokio::spawn(async move { purger.delete_memoized_for(&7).await.unwrap() });
        settle().await;
        held.end();
        assert!(purge.await.unwrap(), "{elsewhere}");
        settle().await;
        assert_eq!(ask(&sessions, 3).await, 3, "{elsewhere}");
    }
}

/// A server that lost its compare-and-set on the way to this process.
#[derive(Debug)]
struct Lacking(Chaos);

impl Backend for Lacking {
    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.0.get(key)
    }
    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        self.0.set(key, value, ttl)
    }
    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        self.0.add(key, value, ttl)
    }
    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.0.delete(key)
    }
    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.0.increment(key, by)
    }
    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.0.clear(prefix)
    }
}

#[tokio::test]
async fn an_entry_without_a_guard_is_not_moved_where_nothing_can_be_compared() {
    let clock = ManualClock::new();
    let chaos = Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build());
    let comparing = Cache::builder(chaos.clone()).clock(clock.clock()).build();
    let lacking = Cache::builder(Lacking(chaos.clone())).clock(clock.clock()).build();
    let (theirs, sessions) = (sliding(&comparing), sliding(&lacking));
    assert_eq!(ask(&theirs, 1).await, 1, "stored where it is compared");
    clock.advance(5 * MINUTE);
    // Whatever it stores now comes after the purge.
    let held = chaos.on(Operation::Set).hold();
    assert_eq!(ask(&sessions, 2).await, 1);
    assert!(theirs.delete_memoized_for(&7).await.unwrap());
    held.end();
    settle().await;
    assert_eq!(ask(&theirs, 3).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_purge_waits_for_an_end_that_a_slow_backend_is_still_moving() {
    let clock = ManualClock::new();
    let backend = Bytewise::new(clock.clock());
    backend.go_on_with_what_was_begun();
    let patient = Cache::builder(backend.clone()).clock(clock.clock()).backend_timeout(60 * MINUTE);
    let cache = patient.fill_timeout(Duration::from_secs(1)).build();
    let sessions = sliding(&cache);
    assert_eq!(ask(&sessions, 1).await, 1);
    clock.advance(5 * MINUTE);
    let mut held = backend.hold("set");
    assert_eq!(ask(&sessions, 2).await, 1);
    held.reached().await;
    // Longer than a run may go on that nobody waits for: a write is no such run.
    tokio::time::advance(Duration::from_secs(2)).await;
    settle().await;

    let purge = tokio::spawn({
        let sessions = sessions.clone();
        async move { sessions.delete_memoized_for(&7).await.unwrap() }
    });
    settle().await;
    assert!(!purge.is_finished(), "the older write may still arrive");
    held.release();
    assert!(purge.await.unwrap());
    assert_eq!(ask(&sessions, 3).await, 3);
}

/// Two nodes that share a server, and the clock of the second, which is behind; nothing else tells them apart.
fn two_clocks(behind: Duration) -> (Cache, Cache, ManualClock, ManualClock) {
    let (ahead, late) = (ManualClock::new(), ManualClock::new());
    ahead.advance(behind);
    let server = Chaos::remote(MemoryBackend::builder().clock(late.clock()).build());
    let node = |clock: &ManualClock| Cache::builder(server.clone()).clock(clock.clock()).build();
    (node(&ahead), node(&late), ahead, late)
}

#[tokio::test]
async fn a_mark_is_not_undone_by_the_use_of_a_node_whose_clock_is_behind() {
    // Before the end of the result, and after it, which the other node has still before it.
    for age in [5 * MINUTE, 10 * MINUTE] {
        let (here, there, ahead, late) = two_clocks(Duration::from_secs(3));
        assert_eq!(ask(&sliding(&here), 1).await, 1);
        ahead.advance(age);
        late.advance(age);
        let key = sliding(&here).make_cache_key(&7).unwrap();
        assert!(here.mark_stale(&key).await.unwrap());
        assert_eq!(ask(&sliding(&there), 2).await, 1, "its clock says that there was no mark yet");
        ahead.advance(3 * MINUTE);
        late.advance(3 * MINUTE);
        assert_eq!(ask(&sliding(&there), 3).await, 3, "after {age:?}");
    }
}

#[tokio::test]
async fn a_result_that_was_primed_slides_too() {
    for (sessions, _, clock) in everywhere() {
        sessions.prime(&7, 1).await.unwrap();
        clock.advance(9 * MINUTE);
        assert_eq!(ask(&sessions, 2).await, 1);
        clock.advance(9 * MINUTE);
        assert_eq!(ask(&sessions, 2).await, 1, "used nine minutes ago");
        clock.advance(10 * MINUTE);
        assert_eq!(ask(&sessions, 2).await, 2, "unused for ten");
    }
}
