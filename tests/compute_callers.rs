//! Computed values: what a caller may be, and how long it waits.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    cell::Cell,
    future::pending,
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum_caching::{Cache, MemoryBackend, Ttl, testing::ManualClock};
use bytewise::{Bytewise, Told, settle};
use tokio::{runtime, sync::oneshot, task::JoinHandle, time::Instant};

on_both_backends! {
    an_integer_that_was_set_is_the_value_of_its_key,
    a_computed_integer_can_be_counted,
    a_run_may_borrow_and_need_not_be_send,
    a_call_can_be_spawned,
}

async fn an_integer_that_was_set_is_the_value_of_its_key(cache: Cache, _: ManualClock) {
    cache.set("set", &5, Ttl::Forever).await.unwrap();
    cache.increment("counted", 7).await.unwrap();
    assert_eq!(cache.get_or_compute("set", Ttl::Default, async || 0).await, 5);
    assert_eq!(cache.get_or_compute("counted", Ttl::Default, async || 0).await, 7);
    assert_eq!(cache.increment("counted", 1).await.unwrap(), 8, "and is not replaced");
}

async fn a_computed_integer_can_be_counted(cache: Cache, _: ManualClock) {
    assert_eq!(cache.get_or_compute("n", Ttl::Default, async || 5).await, 5);
    assert_eq!(cache.increment("n", 1).await.unwrap(), 6, "as after `set`");
    assert_eq!(cache.get_or_compute("n", Ttl::Default, async || 0).await, 6);
}

async fn a_run_may_borrow_and_need_not_be_send(cache: Cache, _: ManualClock) {
    let words = ["borrowed".to_owned()];
    let runs = Cell::new(0);
    for _ in 0..2 {
        let first = cache.get_or_compute("key", Ttl::Default, || async {
            runs.set(runs.get() + 1);
            words[0].clone()
        });
        assert_eq!(first.await, words[0]);
    }
    assert_eq!(runs.get(), 1);
}

async fn a_call_can_be_spawned(cache: Cache, _: ManualClock) {
    let value =
        tokio::spawn(async move { cache.get_or_compute("key", Ttl::Default, async || "value".to_owned()).await });
    assert_eq!(value.await.unwrap(), "value");
}

/// A caller whose run never ends.
async fn stuck(cache: &Cache, key: &'static str) -> JoinHandle<String> {
    let (started, has_started) = oneshot::channel();
    let cache = cache.clone();
    let caller = tokio::spawn(async move {
        let compute = async move || {
            started.send(()).unwrap();
            pending::<String>().await
        };
        cache.get_or_compute(key, Ttl::Default, compute).await
    });
    has_started.await.unwrap();
    caller
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_ten_seconds_goes_alone() {
    let told = Told::default();
    for builder in [Cache::builder(MemoryBackend::default()), Cache::builder(Bytewise::new(ManualClock::new().clock()))]
    {
        let cache = builder.observer(told.observer()).build();
        let leader = stuck(&cache, "key").await;
        let began = Instant::now();

        let value = cache.get_or_compute("key", Ttl::Forever, async || "own".to_owned()).await;

        assert_eq!((value.as_str(), began.elapsed().as_secs()), ("own", 10));
        let found = cache.get_or_compute("key", Ttl::Default, async || "other".to_owned()).await;
        assert_eq!(found, "own", "what was made alone is stored, and nobody waits any more");
        leader.abort();
    }
    assert_eq!(told.count("miss key: WaitedTooLong"), 2);
}

#[tokio::test(start_paused = true)]
async fn how_long_to_wait_can_be_said() {
    for (wait, expected) in [(Duration::from_millis(50), 50), (Duration::ZERO, 0)] {
        let cache = Cache::builder(MemoryBackend::default()).max_wait(wait).build();
        let leader = stuck(&cache, "key").await;
        let began = Instant::now();
        cache.get_or_compute("key", Ttl::Default, async || "own".to_owned()).await;
        // The timer counts in milliseconds, and rounds up.
        let waited = began.elapsed().as_millis();
        assert!((expected..=expected + 1).contains(&waited), "{waited} ms");
        leader.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_to_wait_is_for_all_rounds_together() {
    let cache = Cache::new(MemoryBackend::default());
    let first = stuck(&cache, "key").await;
    let began = Instant::now();
    let waiting = {
        let cache = cache.clone();
        tokio::spawn(async move { cache.get_or_compute("key", Ttl::Default, async || "own".to_owned()).await })
    };
    settle().await;
    tokio::time::advance(Duration::from_secs(6)).await;

    // The purge sends the follower back to look up, and before it can, somebody else begins a run.
    assert!(!cache.delete("key").await.unwrap());
    let mut second = pin!(cache.get_or_compute("key", Ttl::Default, pending::<String>));
    assert!(second.as_mut().poll_once().is_pending());

    assert_eq!(waiting.await.unwrap(), "own");
    assert_eq!(began.elapsed().as_secs(), 10);
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_asks_for_its_own_key_does_not_wait_for_itself() {
    let cache = Cache::new(MemoryBackend::default());
    let began = Instant::now();
    let value = cache.get_or_compute("key", Ttl::Default, async || {
        Box::pin(cache.get_or_compute("key", Ttl::Default, async || "inner".to_owned())).await
    });
    assert_eq!((value.await.as_str(), began.elapsed().as_secs()), ("inner", 0));
}

#[test]
fn many_runtimes_share_one_cache_one_after_another() {
    static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::new(MemoryBackend::default()));

    for round in 0..5 {
        // A runtime that goes away with a leader and followers on it.
        let builder = || runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let runtime = builder();
        runtime.block_on(async {
            drop(stuck(&CACHE, "left behind").await);
            for _ in 0..3 {
                drop(tokio::spawn(CACHE.get_or_compute("left behind", Ttl::Default, pending::<String>)));
            }
        });
        drop(runtime);

        builder().block_on(async {
            let value = CACHE.get_or_compute("left behind", Ttl::Default, async || format!("round {round}"));
            let value = tokio::time::timeout(Duration::from_secs(5), value).await;
            assert_eq!(value.expect("waits for nobody"), format!("round {round}"));
            assert!(CACHE.delete("left behind").await.unwrap());
            assert_eq!(CACHE.get_or_compute("kept", Ttl::Forever, async || round).await, 0, "entries stay");
        });
    }
}

#[test]
fn in_memory_no_runtime_is_needed() {
    let cache = Cache::new(MemoryBackend::default());
    let value = pin!(cache.get_or_compute("key", Ttl::Default, async || 1.5));
    assert_eq!(value.poll_once(), Poll::Ready(1.5));
    assert!(matches!(pin!(cache.get::<f64>("key")).poll_once(), Poll::Ready(Ok(Some(1.5)))));
    assert!(matches!(pin!(cache.clear()).poll_once(), Poll::Ready(Ok(()))));
}

#[test]
fn without_a_runtime_a_follower_waits_until_its_leader_ends() {
    let cache = Cache::new(MemoryBackend::default());
    let (end, may_end) = oneshot::channel();
    let mut leader = pin!(cache.get_or_compute("key", Ttl::Default, async || may_end.await.unwrap()));
    let mut follower = pin!(cache.get_or_compute("key", Ttl::Default, async || 0));
    assert!(leader.as_mut().poll_once().is_pending());
    assert!(follower.as_mut().poll_once().is_pending());
    end.send(7).unwrap();
    assert_eq!(leader.poll_once(), Poll::Ready(7));
    assert_eq!(follower.poll_once(), Poll::Ready(7));
}

/// Polls once with a waker that does nothing.
trait PollOnce: Future {
    fn poll_once(self) -> Poll<Self::Output>;
}

impl<F: Future> PollOnce for std::pin::Pin<&mut F> {
    fn poll_once(mut self) -> Poll<F::Output> {
        self.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }
}
