//! Many callers of one memoized call: one runs, and whatever happens to it, each gets its answer.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    cell::Cell,
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use axum_caching::{
    Cache, Memoizer, MemoryBackend,
    testing::{Chaos, ManualClock, Operation},
};
use bytewise::settle;
use tokio::{sync::Barrier, task::JoinSet};

on_both_backends! {
    a_thousand_callers_of_a_cold_key_run_it_once,
    after_a_panic_one_of_the_others_takes_over_and_nobody_hangs,
    an_error_is_its_callers_own_and_runs_are_one_at_a_time_until_two_have_failed,
    a_caller_that_goes_away_is_followed_by_another,
    a_run_may_borrow_and_need_not_be_send,
    many_are_looked_up_at_once_and_computed_at_once,
    many_with_an_error_keep_nothing,
}

/// Counts the runs, and how many of them there are at the same time.
#[derive(Clone, Default)]
struct Runs {
    all: Arc<AtomicUsize>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Runs {
    async fn run(&self) -> usize {
        let number = self.all.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        settle().await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        number
    }

    fn all(&self) -> usize {
        self.all.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

async fn a_thousand_callers_of_a_cold_key_run_it_once(cache: Cache, _: ManualClock) {
    let (f, runs, mut callers) = (cache.memoizer("f"), Runs::default(), JoinSet::new());
    for _ in 0..1_000 {
        let (f, runs) = (f.clone(), runs.clone());
        callers.spawn(async move { f.call(&(1, "one"), async || runs.run().await).await });
    }
    assert!(callers.join_all().await.iter().all(|number| *number == 1));
    assert_eq!(runs.all(), 1);
}

async fn after_a_panic_one_of_the_others_takes_over_and_nobody_hangs(cache: Cache, _: ManualClock) {
    let (f, runs, mut callers): (Memoizer<usize>, _, _) = (cache.memoizer("f"), Runs::default(), JoinSet::new());
    for _ in 0..100 {
        let (f, runs) = (f.clone(), runs.clone());
        callers.spawn(async move {
            let compute = async || {
                let number = runs.run().await;
                assert!(number > 1, "the first run panics");
                number
            };
            f.call(&(), compute).await
        });
    }
    let (mut panicked, mut answers) = (0, Vec::new());
    while let Some(caller) = callers.join_next().await {
        match caller {
            Ok(answer) => answers.push(answer),
            Err(error) => panicked += usize::from(error.is_panic()),
        }
    }
    assert_eq!((panicked, runs.all(), runs.most()), (1, 2, 1));
    assert!(answers.iter().all(|answer| *answer == 2));
}

async fn an_error_is_its_callers_own_and_runs_are_one_at_a_time_until_two_have_failed(cache: Cache, _: ManualClock) {
    for failures in 0..3 {
        let (f, runs, mut callers): (Memoizer<usize>, _, _) = (cache.memoizer("f"), Runs::default(), JoinSet::new());
        for _ in 0..50 {
            let (f, runs) = (f.clone(), runs.clone());
            callers.spawn(async move {
                let compute = async || match runs.run().await {
                    number if number <= failures => Err(number),
                    number => Ok(number),
                };
                f.try_call(&failures, compute).await
            });
        }
        let answers = callers.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), failures);
        if failures < 2 {
            assert_eq!((runs.all(), runs.most()), (failures + 1, 1));
        } else {
            assert_eq!(runs.all(), 50, "after the second failure each goes alone");
        }
    }
}

async fn a_caller_that_goes_away_is_followed_by_another(cache: Cache, _: ManualClock) {
    let f: Memoizer<u32> = cache.memoizer("f");
    let leader = tokio::spawn({
        let f = f.clone();
        async move { f.call(&1, async || pending().await).await }
    });
    settle().await;
    let follower = tokio::spawn({
        let f = f.clone();
        async move { f.call(&1, async || 2).await }
    });
    settle().await;
    assert!(!follower.is_finished(), "it waits");
    leader.abort();
    assert_eq!(follower.await.unwrap(), 2);
    assert_eq!(f.call(&1, async || 3).await, 2);
}

async fn a_run_may_borrow_and_need_not_be_send(cache: Cache, _: ManualClock) {
    let (words, runs) = (["borrowed".to_owned()], Cell::new(0));
    let f: Memoizer<String> = cache.memoizer("f");
    for _ in 0..2 {
        let first = f.call(&words[0], || async {
            runs.set(runs.get() + 1);
            words[0].clone()
        });
        assert_eq!(first.await, words[0]);
    }
    assert_eq!(runs.get(), 1);
}

async fn many_are_looked_up_at_once_and_computed_at_once(cache: Cache, _: ManualClock) {
    let names = cache.memoizer("names");
    names.prime(&2, "two".to_owned()).await.unwrap();
    let asked = Cell::new(Vec::new());
    let compute = async |missing: &[&i32]| {
        asked.set(missing.iter().map(|id| **id).collect());
        missing.iter().map(|id| format!("no. {id}")).collect()
    };
    assert_eq!(names.call_many(&[3, 2, 1, 3], compute).await, ["no. 3", "two", "no. 1", "no. 3"]);
    assert_eq!(asked.take(), [3, 1]);
    assert_eq!(names.call_many(&[1, 2, 3, 4], compute).await, ["no. 1", "two", "no. 3", "no. 4"]);
    assert_eq!(asked.take(), [4]);
    assert_eq!(names.call(&4, async || unreachable!()).await, "no. 4");
    let none: [i32; 0] = [];
    assert!(names.call_many(&none, compute).await.is_empty());
    names.delete_memoized().await.unwrap();
    names.call_many(&[1, 2], compute).await;
    assert_eq!(asked.take(), [1, 2]);
}

async fn many_with_an_error_keep_nothing(cache: Cache, _: ManualClock) {
    let names: Memoizer<i32> = cache.memoizer("names");
    assert_eq!(names.try_call_many(&[1, 2], async |_: &[&i32]| Err("broken")).await, Err("broken"));
    let found = names.try_call_many(&[1, 2], async |ids: &[&i32]| Ok::<_, ()>(ids.iter().map(|id| **id).collect()));
    assert_eq!(found.await, Ok(vec![1, 2]));
    assert_eq!((cache.stats().misses, cache.stats().stored), (4, 2));
}

#[test]
fn a_hit_needs_no_runtime_and_is_ready_at_once() {
    let f: Memoizer<u32> = Cache::new(MemoryBackend::default()).memoizer("f");
    let now = |made: u32| match pin!(f.call(&1, async || made)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing is waited for"),
    };
    assert_eq!((now(1), now(2)), (1, 1));
}

#[test]
fn a_call_that_is_dropped_after_any_number_of_polls_leaves_nobody_waiting() {
    for polls in 0..12 {
        let (cache, _) = bytewise::in_bytes();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let f: Memoizer<u32> = cache.memoizer("f").instance(&1).unwrap();
            {
                let mut call = pin!(f.call(&1, async || {
                    tokio::task::yield_now().await;
                    1
                }));
                for _ in 0..polls {
                    if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                        break;
                    }
                }
            }
            let value = f.call(&1, async || 2).await;
            assert!(value == 1 || value == 2, "after {polls} polls");
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_that_call_and_delete_always_see_what_was_written_before_the_delete() {
    let cache = Cache::new(MemoryBackend::default());
    let (f, row): (Memoizer<usize>, _) = (cache.memoizer("row"), Arc::new(AtomicUsize::new(0)));
    let start = Arc::new(Barrier::new(5));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (f, row, start) = (f.clone(), Arc::clone(&row), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            for _ in 0..5_000 {
                let before = row.load(Ordering::SeqCst);
                // The row was deleted from the cache after it was written, so what is read is never older than that.
                let read = f.call(&(), async || row.load(Ordering::SeqCst)).await;
                assert!(read + 1 >= before, "{read} after {before}");
                tokio::task::yield_now().await;
            }
        });
    }
    start.wait().await;
    for number in 1..5_000 {
        row.store(number, Ordering::SeqCst);
        f.delete_memoized().await.unwrap();
        tokio::task::yield_now().await;
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn a_large_batch_sends_some_at_a_time() {
    const WRITES: [Operation; 3] = [Operation::Add, Operation::Set, Operation::CompareAndSet];
    let backend = Chaos::remote(MemoryBackend::default());
    let cache = Cache::new(backend.clone());
    let (mut held, mut most) = (backend.on(WRITES).hold(), 0);
    let batch = tokio::spawn({
        let numbers: Memoizer<u32> = cache.memoizer("numbers");
        async move {
            let all: Vec<u32> = (0..200).collect();
            numbers.call_many(&all, async |missing: &[&u32]| missing.iter().map(|n| **n).collect()).await.len()
        }
    });
    loop {
        settle().await;
        most = most.max(held.held());
        if batch.is_finished() {
            break;
        }
        let next = backend.on(WRITES).hold();
        held.end();
        held = next;
    }
    assert_eq!((batch.await.unwrap(), cache.stats().stored), (200, 200));
    assert_eq!(most, 32);
}
