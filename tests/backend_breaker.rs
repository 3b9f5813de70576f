//! A backend that fails is left alone, costs nothing meanwhile, and is used again when it is well.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum_caching::{
    Backend, BackendFuture, Breaker, BreakerState, Cache, CacheStatus, Error, ErrorKind, Event, Memoizer, Ttl, Value,
};
use support::{
    app, fetch,
    held::settle,
    layer,
    scripted::{Mode, Scripted},
};
use tokio::{
    task::JoinSet,
    time::{Instant, advance, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);
const SICK: [Mode; 4] = [Mode::Down, Mode::Slow(Duration::from_secs(10)), Mode::Hangs, Mode::Lost];

type Changes = Arc<Mutex<Vec<BreakerState>>>;

fn cached() -> (Cache, Scripted, Changes) {
    let (backend, changes) = (Scripted::default(), Changes::default());
    let seen = Arc::clone(&changes);
    let observer = move |event: &Event<'_>| {
        if let Event::Breaker { state } = event {
            seen.lock().unwrap().push(*state);
        }
    };
    (Cache::builder(backend.clone()).observer(observer).build(), backend, changes)
}

/// Opens the breaker with explicit reads, which leave nothing behind.
async fn open(cache: &Cache, backend: &Scripted, mode: Mode) {
    backend.is(mode);
    for _ in 0..5 {
        assert_eq!(cache.breaker_state(), BreakerState::Closed);
        cache.get::<i32>("key").await.unwrap_err();
    }
    assert_eq!(cache.breaker_state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn once_it_is_open_a_sick_backend_costs_nothing() {
    for mode in SICK {
        let (cache, backend, _) = cached();
        open(&cache, &backend, mode).await;
        let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
        let doubled: Memoizer<u32> = cache.memoizer("doubled");
        let (asked, began) = (backend.calls(), Instant::now());

        for run in 1..=100 {
            let (status, body) = fetch(&app, "/x").await;
            assert!(support::is_miss(status));
            assert_eq!(body, format!("run {run}"));
            assert_eq!(cache.get_or_compute("key", Ttl::Forever, async || run).await, run);
            assert_eq!(doubled.at(&3).tags(["numbers"]).call(async || 6).await, 6);
            assert_eq!(doubled.call_many(&[1, 2], async |_: &[&u32]| vec![2, 4]).await, [2, 4]);
        }

        assert_eq!((backend.calls(), began.elapsed()), (asked, Duration::ZERO), "{mode:?}");
        assert!(cache.stats().rejected > 300);
    }
}

#[tokio::test(start_paused = true)]
async fn once_it_is_open_nobody_waits_at_a_key_whose_write_hangs() {
    let (cache, backend, _) = cached();
    backend.has("set", Mode::Hangs);
    cache.set("key", "text", Ttl::Forever).await.unwrap_err();
    backend.is(Mode::Down);
    while cache.breaker_state() == BreakerState::Closed {
        cache.get::<i32>("key").await.unwrap_err();
    }

    let began = Instant::now();
    assert_eq!(cache.get_or_compute("key", Ttl::Forever, async || 1).await, 1);
    assert_eq!(cache.delete("key").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_not_made_is_never_a_silent_success() {
    let (cache, backend, _) = cached();
    cache.set("key", "old", Ttl::Forever).await.unwrap();
    open(&cache, &backend, Mode::Down).await;
    let refused = ErrorKind::Unavailable;

    assert_eq!(cache.get::<i32>("key").await.unwrap_err().kind(), refused);
    assert_eq!(cache.has("key").await.unwrap_err().kind(), refused);
    assert_eq!(cache.get_many::<i32>(["key"]).await.unwrap_err().kind(), refused);
    assert_eq!(cache.set("key", "new", Ttl::Forever).await.unwrap_err().kind(), refused);
    assert_eq!(cache.set("key", "new", Ttl::DontStore).await.unwrap_err().kind(), refused);
    assert_eq!(cache.add("other", "new", Ttl::Forever).await.unwrap_err().kind(), refused);
    assert_eq!(cache.set_many([("key", 1)], Ttl::Forever).await.unwrap_err().kind(), refused);
    assert_eq!(cache.delete("key").await.unwrap_err().kind(), refused);
    assert_eq!(cache.delete_many(["key"]).await.unwrap_err().kind(), refused);
    assert_eq!(cache.increment("n", 1).await.unwrap_err().kind(), refused);
    assert_eq!(cache.purge_tag("tag").await.unwrap_err().kind(), refused);
    assert_eq!(cache.scoped("scope").clear().await.unwrap_err().kind(), refused);
    assert_eq!(cache.delete_cached("/x").await.unwrap_err().kind(), refused);
    let f: Memoizer<u32> = cache.memoizer("f");
    assert_eq!(f.delete_memoized().await.unwrap_err().kind(), refused);
    assert_eq!(f.delete_memoized_for(&1).await.unwrap_err().kind(), refused);

    backend.is(Mode::Well);
    advance(SECOND * 5).await;
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("old"));
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_in_time_however_sick_it_is_and_entries_come_back_by_themselves() {
    for mode in SICK {
        let (cache, backend, _) = cached();
        let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
        let doubled: Memoizer<u32> = cache.memoizer("doubled");
        backend.is(mode);

        for _ in 0..20 {
            let began = Instant::now();
            assert!(support::is_miss(fetch(&app, "/x").await.0));
            assert!(began.elapsed() <= SECOND, "{mode:?}: a lookup took {:?}", began.elapsed());
            let began = Instant::now();
            assert_eq!(cache.get_or_compute("key", Ttl::Forever, async || 7).await, 7);
            assert!(began.elapsed() <= 2 * SECOND, "{mode:?}: a lookup and a store took {:?}", began.elapsed());
            let began = Instant::now();
            assert_eq!(doubled.call(&3, async || 6).await, 6);
            assert!(began.elapsed() <= 3 * SECOND, "{mode:?}: with the stamp of its function {:?}", began.elapsed());
            settle().await;
            advance(Duration::from_millis(100)).await;
        }

        backend.is(Mode::Well);
        // A store that is never answered is given up after a minute.
        sleep(SECOND * 70).await;
        settle().await;
        for _ in 0..2 {
            fetch(&app, "/x").await;
            doubled.call(&3, async || 6).await;
            cache.get_or_compute("text", Ttl::Forever, async || "text".to_owned()).await;
            settle().await;
        }
        assert_eq!(cache.breaker_state(), BreakerState::Closed, "{mode:?}");
        assert_eq!(fetch(&app, "/x").await.0, CacheStatus::Hit, "{mode:?}");
        assert_eq!(doubled.call(&3, async || unreachable!("stored")).await, 6);
        assert_eq!(cache.get::<String>("text").await.unwrap().as_deref(), Some("text"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_comes_and_goes_is_used_while_it_is_there() {
    let (cache, backend, _) = cached();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    let mut hits = 0;
    for turn in 0..200 {
        backend.is(if turn % 20 < 10 { Mode::Well } else { SICK[turn / 20 % 3] });
        let began = Instant::now();
        hits += usize::from(fetch(&app, "/x").await.0 == CacheStatus::Hit);
        assert!(began.elapsed() <= SECOND);
        settle().await;
        advance(SECOND).await;
    }
    assert!((40..=100).contains(&hits), "{hits} of the 100 while it was well");
}

#[tokio::test(start_paused = true)]
async fn each_change_of_its_state_is_told() {
    use BreakerState::{Closed, HalfOpen, Open};
    let (cache, backend, changes) = cached();
    open(&cache, &backend, Mode::Down).await;
    assert_eq!(*changes.lock().unwrap(), [Open]);

    advance(SECOND * 5).await;
    cache.get::<i32>("key").await.unwrap_err();
    assert_eq!(*changes.lock().unwrap(), [Open, HalfOpen, Open]);

    backend.is(Mode::Well);
    cache.get::<i32>("key").await.unwrap_err();
    assert_eq!(cache.stats().rejected, 1);
    advance(SECOND * 5).await;
    cache.get::<i32>("key").await.unwrap();
    assert_eq!(*changes.lock().unwrap(), [Open, HalfOpen, Open, HalfOpen, Closed]);
    assert_eq!((cache.stats().breaker_changes, cache.breaker_state()), (5, Closed));
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_callers_at_half_open_one_asks_the_backend() {
    let (cache, backend, _) = cached();
    open(&cache, &backend, Mode::Hangs).await;
    advance(SECOND * 5).await;
    let asked = backend.calls();

    let mut callers = JoinSet::new();
    for number in 0..1_000 {
        let cache = cache.clone();
        callers.spawn(async move { cache.get::<i32>(&format!("key {number}")).await.unwrap_err().kind() });
    }
    settle().await;
    assert_eq!((backend.calls() - asked, cache.breaker_state()), (1, BreakerState::HalfOpen));
    let kinds = callers.join_all().await;
    assert_eq!(kinds.iter().filter(|kind| **kind == ErrorKind::Unavailable).count(), 999);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_goes_away_is_followed_by_another() {
    let (cache, backend, _) = cached();
    open(&cache, &backend, Mode::Hangs).await;
    advance(SECOND * 5).await;

    for _ in 0..3 {
        let asked = backend.calls();
        timeout(Duration::from_millis(1), cache.get::<i32>("key")).await.unwrap_err();
        assert_eq!((backend.calls() - asked, cache.breaker_state()), (1, BreakerState::HalfOpen));
    }
    backend.is(Mode::Well);
    cache.get::<i32>("key").await.unwrap();
    assert_eq!(cache.breaker_state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_is_to_blame_for_but_the_caller_opens_nothing() {
    let (cache, backend, changes) = cached();
    cache.set("text", "text", Ttl::Forever).await.unwrap();
    // One kind after the other, so that none is made good by the next.
    for _ in 0..20 {
        let large = cache.set("large", &vec![7_u8; 2_000], Ttl::Forever).await;
        assert_eq!(large.unwrap_err().kind(), ErrorKind::TooLarge);
    }
    for _ in 0..20 {
        assert_eq!(cache.increment("text", 1).await.unwrap_err().kind(), ErrorKind::NotAnInteger);
    }
    for _ in 0..20 {
        assert_eq!(cache.get::<i32>("nowhere").await.unwrap(), None);
        assert!(!cache.delete("nowhere").await.unwrap());
    }
    assert_eq!((changes.lock().unwrap().len(), cache.stats().rejected), (0, 0));

    // Nor does a deletion of everything, which may take its time.
    backend.has("clear", Mode::Slow(SECOND * 2));
    for _ in 0..20 {
        assert_eq!(cache.clear().await.unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert!(cache.close().await);
    assert!(changes.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_late_counts_once_and_says_nothing_when_it_comes() {
    let (cache, backend, _) = cached();
    backend.has("set", Mode::Slow(SECOND * 3));
    // The record beside the key, which goes after it: an answer of its own.
    backend.has("delete", Mode::Down);
    for number in 0..5 {
        cache.set(&format!("key {number}"), &1, Ttl::Forever).await.unwrap_err();
    }
    assert_eq!(cache.breaker_state(), BreakerState::Open);
    assert!(cache.close().await);
    assert_eq!(cache.breaker_state(), BreakerState::Open, "its answers are from before");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_thousand_writes_hang() {
    let backend = Scripted::default();
    let cache = Cache::builder(backend.clone()).breaker(Breaker::off()).build();
    backend.has("set", Mode::Hangs);
    let mut writes = JoinSet::new();
    for number in 0..1_000 {
        let cache = cache.clone();
        writes.spawn(async move { cache.set(&format!("{number}"), &1, Ttl::Forever).await.unwrap_err().kind() });
    }
    assert!(writes.join_all().await.into_iter().all(|kind| kind == ErrorKind::Timeout));
    settle().await;
    assert_eq!(cache.set("more", &1, Ttl::Forever).await.unwrap_err().kind(), ErrorKind::Unavailable);
    cache.get::<i32>("reads").await.unwrap();

    backend.is(Mode::Well);
    assert!(cache.close().await);
    cache.set("more", &1, Ttl::Forever).await.unwrap();
}

/// Values stay live in it, so that there is nothing to guard.
#[derive(Debug)]
struct Live;

impl Backend for Live {
    fn keeps_live(&self) -> bool {
        true
    }
    fn get<'a>(&'a self, _: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::ready(Err(Error::new(ErrorKind::Other, "broken")))
    }
    fn set<'a>(&'a self, _: &'a str, _: Value, _: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::ready(Ok(()))
    }
    fn add<'a>(&'a self, _: &'a str, _: Value, _: Option<Duration>) -> BackendFuture<'a, bool> {
        BackendFuture::ready(Ok(true))
    }
    fn delete<'a>(&'a self, _: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::ready(Ok(true))
    }
    fn increment<'a>(&'a self, _: &'a str, by: i64) -> BackendFuture<'a, i64> {
        BackendFuture::ready(Ok(by))
    }
    fn clear<'a>(&'a self, _: &'a str) -> BackendFuture<'a, ()> {
        BackendFuture::ready(Ok(()))
    }
}

#[tokio::test]
async fn what_keeps_values_live_is_asked_as_it_is() {
    let cache = Cache::builder(Live).backend_timeout(Duration::ZERO).breaker(Breaker::default().failures(1)).build();
    for _ in 0..3 {
        assert_eq!(cache.get::<i32>("key").await.unwrap_err().kind(), ErrorKind::Other);
    }
    assert_eq!((cache.stats().rejected, cache.breaker_state()), (0, BreakerState::Closed));
}
