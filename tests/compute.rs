//! Computed values: who runs, who waits, and what becomes of those who wait.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{Cache, Ttl, testing::ManualClock};
use bytewise::settle;
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinHandle,
};

on_both_backends! {
    a_thousand_callers_of_a_missing_key_run_once,
    callers_of_two_keys_do_not_wait_for_each_other,
    callers_of_one_key_in_two_scopes_do_not_wait_for_each_other,
    an_error_goes_to_its_caller_and_one_of_the_others_takes_over,
    after_two_failures_the_others_go_alone,
    when_a_leader_is_cancelled_exactly_one_follower_takes_over,
    when_a_leader_panics_exactly_one_follower_takes_over,
    a_follower_that_goes_away_harms_nobody,
    who_was_chosen_to_lead_and_goes_away_is_followed_by_another,
    what_failed_for_callers_that_are_gone_does_not_count_for_new_ones,
    callers_of_what_is_not_stored_go_alone_and_at_once,
    a_call_that_stores_nothing_does_not_make_later_callers_go_alone,
    an_entry_of_another_type_is_replaced,
    an_entry_of_another_type_is_a_miss_and_no_hit,
    a_run_may_compute_another_key,
    a_run_may_use_the_explicit_calls_on_its_own_key,
}

/// What the callers of a test share.
#[derive(Clone, Default)]
struct Origin(Arc<Shared>);

struct Shared {
    started: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
    /// A run ends when it gets a permit.
    permits: Semaphore,
}

impl Default for Shared {
    fn default() -> Self {
        let [started, running, most] = Default::default();
        Self { started, running, most, permits: Semaphore::new(0) }
    }
}

/// Counts a run until it ends, however that is.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Origin {
    /// Runs until the test lets it end; its result is which run it was, from 0.
    async fn run(&self) -> usize {
        let shared = &*self.0;
        let number = shared.started.fetch_add(1, Ordering::SeqCst);
        let running = shared.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(shared);
        shared.most.fetch_max(running, Ordering::SeqCst);
        shared.permits.acquire().await.unwrap().forget();
        number
    }

    fn end_one(&self) {
        self.0.permits.add_permits(1);
    }

    fn started(&self) -> usize {
        self.0.started.load(Ordering::SeqCst)
    }

    fn running(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    /// How many ran at the same time, at most.
    fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }

    fn call(&self, cache: &Cache, key: &'static str) -> JoinHandle<usize> {
        let (cache, origin) = (cache.clone(), self.clone());
        tokio::spawn(async move { cache.get_or_compute(key, Ttl::Default, async || origin.run().await).await })
    }

    /// A call whose run fails if `fails` says so of its number.
    fn try_call(&self, cache: &Cache, fails: fn(usize) -> bool) -> JoinHandle<Result<usize, String>> {
        let (cache, origin) = (cache.clone(), self.clone());
        let compute = async move || {
            let number = origin.run().await;
            if fails(number) { Err(format!("run {number}")) } else { Ok(number) }
        };
        tokio::spawn(async move { cache.try_get_or_compute("key", Ttl::Default, compute).await })
    }
}

async fn all<T>(callers: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for caller in callers {
        results.push(caller.await.unwrap());
    }
    results
}

async fn a_thousand_callers_of_a_missing_key_run_once(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let callers: Vec<_> = (0..1_000).map(|_| origin.call(&cache, "key")).collect();
    settle().await;
    assert_eq!((origin.started(), callers.iter().filter(|caller| caller.is_finished()).count()), (1, 0));

    origin.end_one();

    assert!(all(callers).await.iter().all(|value| *value == 0));
    assert_eq!(origin.started(), 1);
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.stored), (1, 1));
    assert_eq!(stats.shared + stats.hits, 999);
}

async fn callers_of_two_keys_do_not_wait_for_each_other(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let callers = vec![origin.call(&cache, "one"), origin.call(&cache, "two")];
    settle().await;
    assert_eq!(origin.running(), 2);
    origin.0.permits.add_permits(2);
    all(callers).await;
}

async fn callers_of_one_key_in_two_scopes_do_not_wait_for_each_other(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let callers = vec![origin.call(&cache, "key"), origin.call(&cache.scoped("a"), "key")];
    settle().await;
    assert_eq!(origin.running(), 2);
    origin.0.permits.add_permits(2);
    all(callers).await;
}

async fn an_error_goes_to_its_caller_and_one_of_the_others_takes_over(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let callers: Vec<_> = (0..10).map(|_| origin.try_call(&cache, |number| number == 0)).collect();
    settle().await;
    origin.end_one();
    settle().await;
    assert_eq!((origin.started(), origin.running()), (2, 1), "one takes over, the others go on waiting");
    origin.end_one();

    let results = all(callers).await;
    assert_eq!(results.iter().filter(|result| **result == Err("run 0".to_owned())).count(), 1);
    assert_eq!(results.iter().filter(|result| **result == Ok(1)).count(), 9);
    assert_eq!((origin.started(), origin.most()), (2, 1));
}

async fn after_two_failures_the_others_go_alone(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let callers: Vec<_> = (0..10).map(|_| origin.try_call(&cache, |number| number < 2)).collect();
    settle().await;
    origin.end_one();
    settle().await;
    assert_eq!(origin.most(), 1);
    origin.end_one();
    settle().await;
    assert_eq!((origin.started(), origin.running()), (10, 8), "all that are left run at once");
    origin.0.permits.add_permits(8);

    let results = all(callers).await;
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 2);
    assert!(cache.has("key").await.unwrap(), "who goes alone stores too");
}

async fn when_a_leader_is_cancelled_exactly_one_follower_takes_over(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let leader = origin.call(&cache, "key");
    settle().await;
    let followers: Vec<_> = (0..10).map(|_| origin.call(&cache, "key")).collect();
    settle().await;

    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    settle().await;
    assert_eq!((origin.started(), origin.running()), (2, 1));
    origin.end_one();

    assert!(all(followers).await.iter().all(|value| *value == 1));
    assert_eq!((origin.started(), origin.most()), (2, 1));
}

async fn when_a_leader_panics_exactly_one_follower_takes_over(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let go = Arc::new(Notify::new());
    let leader = {
        let (cache, go) = (cache.clone(), Arc::clone(&go));
        let compute = async move || -> usize {
            go.notified().await;
            panic!("the origin fails");
        };
        tokio::spawn(async move { cache.get_or_compute("key", Ttl::Default, compute).await })
    };
    settle().await;
    let followers: Vec<_> = (0..10).map(|_| origin.call(&cache, "key")).collect();
    settle().await;
    assert_eq!(origin.started(), 0);

    go.notify_one();
    assert!(leader.await.unwrap_err().is_panic());
    settle().await;
    assert_eq!((origin.started(), origin.running()), (1, 1));
    origin.end_one();

    assert!(all(followers).await.iter().all(|value| *value == 0));
}

async fn a_follower_that_goes_away_harms_nobody(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let mut callers: Vec<_> = (0..10).map(|_| origin.call(&cache, "key")).collect();
    settle().await;
    for follower in callers.drain(1..6) {
        follower.abort();
    }
    settle().await;
    origin.end_one();
    assert!(all(callers).await.iter().all(|value| *value == 0));
    assert_eq!(origin.started(), 1);
}

async fn who_was_chosen_to_lead_and_goes_away_is_followed_by_another(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let leader = origin.call(&cache, "key");
    settle().await;
    let followers: Vec<_> = (0..3).map(|_| origin.call(&cache, "key")).collect();
    settle().await;
    // All of them together, so that those who are woken are gone before they run.
    leader.abort();
    followers[0].abort();
    followers[1].abort();
    settle().await;
    assert_eq!((origin.started(), origin.running()), (2, 1), "the one that is left leads");
    origin.end_one();
    settle().await;
    assert!(followers[2].is_finished());

    cache.delete("key").await.unwrap();
    let next = origin.call(&cache, "key");
    settle().await;
    assert_eq!(origin.started(), 3, "nothing is left that a new caller would wait for");
    origin.end_one();
    next.await.unwrap();
}

async fn what_failed_for_callers_that_are_gone_does_not_count_for_new_ones(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let gone = [origin.try_call(&cache, |_| false), origin.try_call(&cache, |_| false)];
    settle().await;
    gone.iter().for_each(JoinHandle::abort);
    settle().await;

    let callers: Vec<_> = (0..5).map(|_| origin.try_call(&cache, |number| number == 1)).collect();
    settle().await;
    origin.end_one();
    settle().await;
    assert_eq!((origin.started(), origin.running()), (3, 1), "one failure: one takes over, nobody goes alone");
    origin.end_one();
    assert_eq!(all(callers).await.iter().filter(|result| **result == Ok(2)).count(), 4);
}

async fn callers_of_what_is_not_stored_go_alone_and_at_once(cache: Cache, _: ManualClock) {
    let origin = Origin::default();
    let call = || {
        let (cache, origin) = (cache.clone(), origin.clone());
        tokio::spawn(async move { cache.get_or_compute("key", Ttl::DontStore, async || origin.run().await).await })
    };
    let callers: Vec<_> = (0..5).map(|_| call()).collect();
    settle().await;
    origin.end_one();
    settle().await;
    assert_eq!((origin.started(), origin.running()), (5, 4), "each has its own");
    origin.0.permits.add_permits(4);
    let mut values = all(callers).await;
    values.sort_unstable();
    assert_eq!(values, [0, 1, 2, 3, 4]);
}

async fn a_call_that_stores_nothing_does_not_make_later_callers_go_alone(cache: Cache, _: ManualClock) {
    cache.get_or_compute("key", Ttl::DontStore, async || 0).await;
    let origin = Origin::default();
    let callers: Vec<_> = (0..10).map(|_| origin.call(&cache, "key")).collect();
    settle().await;
    assert_eq!(origin.running(), 1, "they store, so one runs");
    origin.end_one();
    all(callers).await;
}

async fn an_entry_of_another_type_is_replaced(cache: Cache, _: ManualClock) {
    cache.set("key", "text", Ttl::Forever).await.unwrap();
    assert_eq!(cache.get_or_compute("key", Ttl::Default, async || vec![1.5, 2.5]).await, [1.5, 2.5]);
    assert_eq!(cache.get::<Vec<f64>>("key").await.unwrap(), Some(vec![1.5, 2.5]));
    assert_eq!(cache.get_or_compute("key", Ttl::Default, async || vec![0.0]).await, [1.5, 2.5]);
}

async fn an_entry_of_another_type_is_a_miss_and_no_hit(cache: Cache, _: ManualClock) {
    cache.set("key", "text", Ttl::Forever).await.unwrap();
    cache.get_or_compute("key", Ttl::Default, async || vec![0.5, 1.5]).await;
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.stored, stats.failures), (0, 1, 1, 1));
}

async fn a_run_may_compute_another_key(cache: Cache, _: ManualClock) {
    let outer = cache.get_or_compute("outer", Ttl::Default, async || {
        cache.get_or_compute("inner", Ttl::Default, async || "inner".to_owned()).await + " and outer"
    });
    assert_eq!(outer.await, "inner and outer");
    assert!(cache.has("inner").await.unwrap() && cache.has("outer").await.unwrap());
}

async fn a_run_may_use_the_explicit_calls_on_its_own_key(cache: Cache, _: ManualClock) {
    let value = cache.get_or_compute("key", Ttl::Default, async || {
        cache.set("key", "explicit", Ttl::Default).await.unwrap();
        "computed".to_owned()
    });
    assert_eq!(value.await, "computed");
    let found = cache.get::<String>("key").await.unwrap();
    assert_eq!(found.as_deref(), Some("explicit"), "the run began before the set");
}

#[tokio::test]
async fn an_error_is_the_only_error_and_needs_no_trait() {
    struct Opaque;
    let (cache, _) = bytewise::in_memory();
    assert!(cache.try_get_or_compute("key", Ttl::Default, async || Err::<u8, _>(Opaque)).await.is_err());
    assert!(!cache.has("key").await.unwrap());
    let never: Result<u8, Infallible> = cache.try_get_or_compute("key", Duration::from_secs(1), async || Ok(1)).await;
    assert_eq!(never, Ok(1));
}
