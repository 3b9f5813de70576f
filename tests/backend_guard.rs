//! A backend that is slow, hangs or is down: nobody waits for it longer than its time-out, and no purge is lost by that.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod bytewise;
mod support;

use std::{fmt::Debug, future::Future, time::Duration};

use axum_caching::{
    Backend, Breaker, Cache, CacheBuilder, ErrorKind, Memoizer, MemoryBackend, Result, Ttl,
    testing::{Chaos, Operation},
};
use bytewise::Told;
use support::{
    app, fetch,
    held::settle,
    layer,
    scripted::{Mode, Scripted},
};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, advance, sleep},
};

const SECOND: Duration = Duration::from_secs(1);
const SLOW: Mode = Mode::Slow(Duration::from_secs(10));

fn builder() -> (CacheBuilder, Scripted) {
    let backend = Scripted::default();
    (Cache::builder(backend.clone()), backend)
}

/// A cache that never leaves its backend alone, so that each call waits for it.
fn without_breaker() -> (Cache, Scripted) {
    let (builder, backend) = builder();
    (builder.breaker(Breaker::off()).build(), backend)
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let output = work.await;
    (output, began.elapsed())
}

/// What an explicit call failed with, which has to be within the time-out.
async fn fails<T: Debug>(call: impl Future<Output = Result<T>>) -> ErrorKind {
    let (result, took) = timed(call).await;
    assert!(took <= SECOND, "{took:?}");
    result.unwrap_err().kind()
}

fn spawn<F: Future<Output: Send> + Send + 'static>(
    cache: &Cache,
    work: impl FnOnce(Cache) -> F,
) -> JoinHandle<F::Output> {
    tokio::spawn(work(cache.clone()))
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_takes_too_long_is_a_miss_that_the_observer_is_told_of() {
    let told = Told::default();
    let (builder, backend) = builder();
    let cache = builder.observer(told.observer()).build();
    cache.set("key", "old", Ttl::Forever).await.unwrap();
    backend.has("get", SLOW);

    let (value, took) = timed(cache.get_or_compute("key", Ttl::Forever, async || "new".to_owned())).await;

    assert_eq!((value.as_str(), took), ("new", SECOND));
    assert_eq!(told.count("miss key: Backend"), 1);
    assert_eq!(told.count("failed get: Timeout"), 1);
}

#[tokio::test(start_paused = true)]
async fn all_calls_of_one_lookup_have_the_time_of_one() {
    let (cache, backend) = without_breaker();
    let (app, _) = app(layer(&cache), |request, run| {
        let language = support::seen(&request, "accept-language");
        support::answer(&[("vary", "accept-language")], format!("{language} {run}"))
    });
    let page = |language: &'static str| support::get_with("/", &[("accept-language", language)]);
    support::fetch_request(&app, page("de")).await;
    support::fetch_request(&app, page("en")).await;
    settle().await;
    backend.is(Mode::Slow(SECOND * 3 / 4));

    let ((status, body), took) = timed(support::fetch_request(&app, page("de"))).await;

    assert!(support::is_miss(status), "{status:?}");
    assert_eq!((body.as_str(), took), ("de 3", SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_too_long_goes_on_without_its_caller() {
    let (cache, backend) = without_breaker();
    backend.has("set", SLOW);

    let (value, took) = timed(cache.get_or_compute("key", Ttl::Forever, async || 1)).await;
    assert_eq!((value, took), (1, SECOND));
    assert_eq!(cache.get::<i32>("key").await.unwrap(), None);

    assert!(cache.close().await);
    assert_eq!(cache.get::<i32>("key").await.unwrap(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_run_do_not_wait_for_its_store() {
    let (cache, backend) = without_breaker();
    let (go, wait) = oneshot::channel();
    let first =
        spawn(
            &cache,
            |cache| async move { cache.get_or_compute("key", Ttl::Forever, async || wait.await.unwrap()).await },
        );
    settle().await;
    let second =
        spawn(&cache, |cache| async move { timed(cache.get_or_compute("key", Ttl::Forever, async || 2)).await });
    settle().await;
    backend.has("set", Mode::Hangs);
    go.send(1).unwrap();
    settle().await;
    // It comes too late to be handed the answer, and the look at the backend finds nothing.
    let third =
        spawn(&cache, |cache| async move { timed(cache.get_or_compute("key", Ttl::Forever, async || 3)).await });

    assert_eq!(first.await.unwrap(), 1);
    assert_eq!(second.await.unwrap(), (1, SECOND));
    let (value, took) = third.await.unwrap();
    assert_eq!(value, 3);
    assert!(took <= 2 * SECOND, "one for the other's store and one for its own: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn every_explicit_call_says_within_the_time_out_that_it_does_not_know() {
    for mode in [SLOW, Mode::Hangs, Mode::Lost] {
        let (cache, backend) = without_breaker();
        backend.is(mode);
        let late = ErrorKind::Timeout;

        assert_eq!(fails(cache.get::<i32>("a")).await, late);
        assert_eq!(fails(cache.has("a")).await, late);
        assert_eq!(fails(cache.get_many::<i32>(["a", "b"])).await, late);
        assert_eq!(fails(cache.set("c", "text", Ttl::Forever)).await, late);
        assert_eq!(fails(cache.set("d", "text", Ttl::DontStore)).await, late);
        assert_eq!(fails(cache.add("e", "text", Ttl::Forever)).await, late);
        assert_eq!(fails(cache.set_many([("f", 1), ("g", 2)], Ttl::Forever)).await, late);
        assert_eq!(fails(cache.delete("h")).await, late);
        assert_eq!(fails(cache.delete_many(["i", "j"])).await, late);
        assert_eq!(fails(cache.increment("k", 1)).await, late);
        assert_eq!(fails(cache.purge_tag("l")).await, late);
        assert_eq!(fails(cache.delete_cached("/")).await, late);
        let scope = cache.scoped("m");
        assert_eq!(fails(scope.clear()).await, late);
        let f: Memoizer<u32> = cache.memoizer("f");
        assert_eq!(fails(f.delete_memoized()).await, late);
        assert_eq!(fails(f.delete_memoized_for(&1)).await, late);
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_to_a_key_while_a_write_to_it_hangs_is_told_that_nothing_was_done() {
    let (cache, backend) = without_breaker();
    backend.has("set", Mode::Hangs);
    assert_eq!(fails(cache.set("key", "first", Ttl::Forever)).await, ErrorKind::Timeout);
    let asked = backend.calls();

    let refused = ErrorKind::Unavailable;
    assert_eq!(fails(cache.set("key", "second", Ttl::Forever)).await, refused);
    assert_eq!(fails(cache.delete("key")).await, refused);
    assert_eq!(fails(cache.add("key", "third", Ttl::Forever)).await, refused);
    assert_eq!(fails(cache.increment("key", 1)).await, refused);
    assert_eq!(fails(cache.delete_many(["key", "other"])).await, refused);
    assert_eq!(fails(cache.set_many([("other", 1), ("key", 2)], Ttl::Forever)).await, refused);
    assert_eq!(backend.calls(), asked);
    assert_eq!(fails(cache.clear()).await, ErrorKind::Timeout, "it is not known whether that was all");

    backend.is(Mode::Well);
    settle().await;
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("first"), "as it was said");
    cache.clear().await.unwrap();
    assert!(!cache.delete("key").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_is_acknowledged_is_not_undone_by_a_store_that_was_late() {
    let (cache, backend) = without_breaker();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    backend.has("set", Mode::Hangs);
    fetch(&app, "/x").await;
    advance(SECOND * 2).await;
    settle().await;

    assert_eq!(fails(cache.delete_cached("/x")).await, ErrorKind::Unavailable);
    backend.is(Mode::Well);
    settle().await;
    assert_eq!(fetch(&app, "/x").await.1, "run 1", "its purge has failed, and it was said");
    assert!(cache.delete_cached("/x").await.unwrap());
    settle().await;
    assert_eq!(fetch(&app, "/x").await.1, "run 2");
}

#[tokio::test(start_paused = true)]
async fn what_a_fill_cannot_store_for_a_hanging_write_is_answered_and_not_kept() {
    let (cache, backend) = without_breaker();
    backend.has("set", Mode::Hangs);
    assert_eq!(fails(cache.set("key", "first", Ttl::Forever)).await, ErrorKind::Timeout);

    for run in 0..3 {
        let (value, took) = timed(cache.get_or_compute("key", Ttl::Forever, async || run)).await;
        assert_eq!((value, took), (run, SECOND));
    }
    assert_eq!(cache.stats().not_stored, 3);

    backend.is(Mode::Well);
    settle().await;
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("first"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_never_answered_does_not_keep_its_key_for_ever() {
    let (cache, backend) = without_breaker();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    backend.has("set", Mode::Lost);
    fetch(&app, "/x").await;
    settle().await;
    backend.is(Mode::Well);
    assert_eq!(fails(cache.delete_cached("/x")).await, ErrorKind::Unavailable);

    sleep(SECOND * 62).await;
    settle().await;
    cache.delete_cached("/x").await.unwrap();
    // The server had it all the same, and gets to it only now.
    backend.land();
    assert_eq!(backend.keys(), ["view//x"]);

    let (status, body) = fetch(&app, "/x").await;
    assert!(support::is_miss(status));
    assert_eq!(body, "run 2", "older than the purge");
    settle().await;
    assert_eq!(fetch(&app, "/x").await.1, "run 2", "stored, and hit");
}

#[tokio::test(start_paused = true)]
async fn what_a_store_that_was_given_up_left_behind_is_not_there_to_any_call() {
    let (cache, backend) = without_breaker();
    backend.has("set", Mode::Lost);
    assert_eq!(fails(cache.set("key", "late", Ttl::Forever)).await, ErrorKind::Timeout);
    backend.is(Mode::Well);
    sleep(SECOND * 62).await;
    settle().await;
    backend.land();

    assert_eq!(cache.get::<String>("key").await.unwrap(), None);
    assert!(!cache.has("key").await.unwrap());
    assert_eq!(cache.get_many::<String>(["other", "key"]).await.unwrap(), [None, None]);
    cache.set("key", "late", Ttl::Forever).await.unwrap();
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("late"), "this one was acknowledged");
}

#[tokio::test(start_paused = true)]
async fn what_a_store_that_was_given_up_left_behind_is_in_nobodys_way() {
    let server = Chaos::remote(MemoryBackend::default());
    let cache = Cache::builder(server.clone()).breaker(Breaker::off()).build();
    let lost = server.on(Operation::Set).next(1).afterwards().hold();
    assert_eq!(fails(cache.set("key", "late", Ttl::Forever)).await, ErrorKind::Timeout);
    sleep(SECOND * 62).await;
    settle().await;
    lost.end();
    assert!(server.get("key").await.unwrap().is_some(), "the server has it");
    assert_eq!(cache.get::<String>("key").await.unwrap(), None);

    for _ in 0..2 {
        assert_eq!(cache.get_or_compute("key", Ttl::Default, async || "new".to_owned()).await, "new");
        settle().await;
    }
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("new"), "stored");
    assert!(!cache.add("key", "other", Ttl::Default).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_was_given_up_by_its_caller_is_made_all_the_same() {
    let (cache, backend) = without_breaker();
    cache.set("key", "text", Ttl::Forever).await.unwrap();
    backend.has("delete", SLOW);
    assert_eq!(fails(cache.delete("key")).await, ErrorKind::Timeout);

    assert!(cache.close().await);
    assert_eq!(cache.get::<String>("key").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn time_outs_are_as_long_as_one_says() {
    let (builder, backend) = builder();
    let cache = builder.backend_timeout(SECOND * 30).build();
    backend.is(SLOW);
    assert_eq!(timed(cache.get::<i32>("key")).await.1, SECOND * 10);

    let cache = Cache::builder(backend.clone()).backend_timeout(Duration::MAX).build();
    backend.is(Mode::Slow(SECOND * 100_000));
    assert_eq!(cache.get::<i32>("key").await.unwrap(), None);
}

#[test]
fn without_timers_there_is_no_time_out_and_no_panic() {
    // A thread of its own, which has no runtime with timers afterwards.
    let work = || {
        let (cache, backend) = without_breaker();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            backend.is(Mode::Hangs);
            let calls = [
                spawn(&cache, |cache| async move { assert_eq!(cache.get::<i32>("a").await.unwrap(), None) }),
                spawn(&cache, |cache| async move { cache.set("b", &1, Ttl::Forever).await.unwrap() }),
                spawn(&cache, |cache| async move {
                    assert_eq!(cache.get_or_compute("c", Ttl::Forever, async || 1).await, 1);
                }),
                spawn(&cache, |cache| async move {
                    assert_eq!(cache.get_or_compute("c", Ttl::Forever, async || 1).await, 1);
                }),
            ];
            settle().await;
            assert!(calls.iter().all(|call| !call.is_finished()));
            backend.is(Mode::Well);
            for call in calls {
                call.await.unwrap();
            }
            assert_eq!(cache.get::<i32>("b").await.unwrap(), Some(1));
        });
    };
    std::thread::spawn(work).join().unwrap();
}

#[test]
fn without_a_runtime_there_is_no_time_out_and_no_panic() {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    let (cache, backend) = without_breaker();
    backend.is(Mode::Hangs);
    let mut set = pin!(cache.set("key", &1, Ttl::Forever));
    let mut context = Context::from_waker(Waker::noop());
    assert!(set.as_mut().poll(&mut context).is_pending());
    backend.is(Mode::Well);
    assert!(matches!(set.as_mut().poll(&mut context), Poll::Ready(Ok(()))));
}
