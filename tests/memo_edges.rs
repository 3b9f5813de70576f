//! What is at the edges of a memoized call: names that are not unique, chains without end, more than can be carried.
#![cfg(all(feature = "memory", feature = "macros"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{Cache, ErrorKind, Live, Memoizer, MemoryBackend, NotStored, memoize, testing::ManualClock};
use bytewise::{Told, bytewise, settle};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{sync::oneshot, task::JoinSet};

on_both_backends! {
    a_computed_integer_depends_on_what_it_was_made_of,
    a_forced_call_within_a_call_is_depended_on,
    a_call_that_was_begun_outside_of_a_fill_is_not_kept_by_it,
    what_was_made_of_a_recursive_call_goes_with_it,
    a_computed_value_that_asks_for_itself_is_computed,
    a_batch_that_asks_for_what_is_being_computed_computes_it,
}

fn memory() -> Cache {
    Cache::new(MemoryBackend::default())
}

async fn a_computed_integer_depends_on_what_it_was_made_of(cache: Cache, _: ManualClock) {
    let price: Memoizer<u32> = cache.memoizer("price");
    let total = async |cents: u32| {
        let twice = async || price.call(&7, async || cents).await * 2;
        cache.get_or_compute("total", Duration::from_secs(60), twice).await
    };
    assert_eq!((total(30).await, total(40).await), (60, 60));
    price.delete_memoized().await.unwrap();
    assert_eq!(total(40).await, 80);
}

async fn a_forced_call_within_a_call_is_depended_on(cache: Cache, _: ManualClock) {
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("inner"), cache.memoizer("outer"));
    let read = async |row: u32| {
        let forced = async || inner.at(&1).forced_update(true).call(async || row).await;
        outer.call(&1, forced).await
    };
    assert_eq!((read(1).await, read(2).await), (1, 1));
    inner.delete_memoized_for(&1).await.unwrap();
    assert_eq!(read(3).await, 3);
}

async fn a_call_that_was_begun_outside_of_a_fill_is_not_kept_by_it(cache: Cache, _: ManualClock) {
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("inner"), cache.memoizer("outer"));
    inner.prime(&1, 1).await.unwrap();
    let begun = inner.at(&1).begin();
    assert_eq!(outer.call(&1, async || begun.call(async || 1).await).await, 1);
    inner.delete_memoized().await.unwrap();
    assert_eq!(outer.call(&1, async || inner.call(&1, async || 2).await).await, 2);
}

async fn what_was_made_of_a_recursive_call_goes_with_it(cache: Cache, _: ManualClock) {
    let (f, g): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("f"), cache.memoizer("g"));
    for is_all in [false, true] {
        // f(1) reads g(1), which reads f(1), which is computed.
        let made = f.call(&1, async || g.call(&1, async || Box::pin(f.call(&1, async || 7)).await).await).await;
        assert_eq!(made, 7);
        if is_all {
            f.delete_memoized().await.unwrap();
        } else {
            f.delete_memoized_for(&1).await.unwrap();
        }
        assert_eq!(g.call(&1, async || 8).await, 8, "g(1) was made of f(1)");
        g.delete_memoized().await.unwrap();
    }
}

async fn a_computed_value_that_asks_for_itself_is_computed(cache: Cache, _: ManualClock) {
    let ttl = Duration::from_secs(60);
    let inner = async || Box::pin(cache.get_or_compute("n", ttl, async || 1)).await + 1;
    assert_eq!(cache.get_or_compute("n", ttl, inner).await, 2);
    assert_eq!(cache.stats().bypasses, 1);
}

async fn a_batch_that_asks_for_what_is_being_computed_computes_it(cache: Cache, _: ManualClock) {
    let (f, g): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("f"), cache.memoizer("g"));
    let compute = async |missing: &[&u32]| missing.iter().map(|n| **n).collect();
    let sum = async || Box::pin(g.call(&1, async || f.call_many(&[1, 2], compute).await.iter().sum())).await;
    assert_eq!(f.call(&1, sum).await, 3);
    assert_eq!(cache.stats().bypasses, 1);
    f.delete_memoized_for(&1).await.unwrap();
    assert_eq!(g.call(&1, async || 4).await, 4, "g(1) was made of f(1)");
}

#[memoize(cache = cache, skip(cache, f))]
async fn apply(cache: &Cache, f: impl Fn(u32) -> u32, x: u32) -> u32 {
    f(x)
}

#[tokio::test]
async fn functions_that_have_one_name_do_not_share_results() {
    let told = Told::default();
    let cache = Cache::builder(MemoryBackend::default()).observer(told.observer()).build();
    assert_eq!((apply(&cache, |x| x + 1, 5).await, apply(&cache, |x| x * 2, 5).await), (6, 10), "closures");

    let one = {
        #[memoize(cache = cache, skip(cache))]
        async fn f(cache: &Cache, x: u32) -> u32 {
            x + 1
        }
        f(&cache, 5).await
    };
    let two = {
        #[memoize(cache = cache, skip(cache))]
        async fn f(cache: &Cache, x: u32) -> u32 {
            x * 2
        }
        f(&cache, 5).await
    };
    assert_eq!((one, two), (6, 10), "blocks");
    assert_eq!(cache.stats().failures, 3, "{:?}: and the observer is told", told.all());
}

#[tokio::test]
async fn a_function_of_a_scope_is_none_of_the_cache_around_it() {
    #[memoize(cache = cache, skip(cache), name = "@1:a/f")]
    async fn outside(cache: &Cache, x: u32) -> u32 {
        x + 1
    }
    #[memoize(cache = cache, skip(cache), name = "f")]
    async fn inside(cache: &Cache, x: u32) -> u32 {
        x * 2
    }
    let (cache, ..) = bytewise();
    assert_eq!((outside(&cache, 5).await, inside(&cache.scoped("a"), 5).await), (6, 10));
    assert_eq!((outside(&cache, 5).await, inside(&cache.scoped("a"), 5).await), (6, 10));
    assert_eq!((cache.stats().hits, cache.stats().failures), (2, 0));
}

#[tokio::test]
async fn a_batch_whose_tags_cannot_be_read_is_not_depended_on() {
    let (cache, backend, _) = bytewise();
    let elsewhere = memory();
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("inner"), elsewhere.memoizer("outer"));
    let first = async || {
        backend.die(true);
        let made = inner.call_many(&[1], async |_: &[&u32]| vec![1]).await[0];
        backend.die(false);
        made
    };
    assert_eq!(outer.call(&1, first).await, 1);
    assert_eq!(outer.call(&1, async || 2).await, 2, "what it was made of cannot be told");
}

trait Row: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    fn row() -> Self;
}

#[memoize(cache = cache, skip(cache))]
async fn load<T: Row>(cache: &Cache, id: u32) -> T {
    let _ = id;
    T::row()
}

#[tokio::test]
async fn types_that_have_one_name_are_not_read_as_each_other() {
    let (cache, ..) = bytewise();
    let first = {
        #[derive(Clone, Serialize, Deserialize)]
        struct User(u32, bool);
        impl Row for User {
            fn row() -> Self {
                Self(7, true)
            }
        }
        load::<User>(&cache, 1).await.0
    };
    let second = {
        #[derive(Clone, Serialize, Deserialize)]
        struct User(u32, bool);
        impl Row for User {
            fn row() -> Self {
                Self(1, false)
            }
        }
        load::<User>(&cache, 1).await.0
    };
    assert_eq!((first, second), (7, 1));
}

/// A trait whose methods are memoized for every type.
trait Size {
    fn size(&self, cache: &Cache) -> impl Future<Output = usize> + Send;
}

impl<T: Sync> Size for T {
    #[memoize(cache = cache, skip(cache), name = "size", no_companions)]
    async fn size(&self, cache: &Cache) -> usize {
        size_of::<T>()
    }
}

#[tokio::test]
async fn a_method_of_a_trait_has_results_for_each_type() {
    let cache = memory();
    assert_eq!((7_u8.size(&cache).await, 7_u64.size(&cache).await), (1, 8));
    assert_eq!((8_u8.size(&cache).await, cache.stats().hits), (1, 1));
}

#[tokio::test]
async fn what_depends_on_too_much_is_not_kept_and_nobody_waits_for_it() {
    let cache = memory();
    let (inner, outer): (Memoizer<u32>, Memoizer<u32>) = (cache.memoizer("inner"), cache.memoizer("outer"));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let (inner, outer, now, most) = (inner.clone(), outer.clone(), Arc::clone(&now), Arc::clone(&most));
        callers.spawn(async move {
            let sum = async || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                settle().await;
                let mut sum = 0;
                for n in 0..300 {
                    sum += inner.call(&n, async || 1).await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                sum
            };
            outer.call(&1, sum).await
        });
    }
    assert!(callers.join_all().await.iter().all(|sum| *sum == 300));
    assert_eq!(most.load(Ordering::SeqCst), 19, "after the first one all at once, and not one after the other");
    assert_eq!(NotStored::TooManyDependencies.as_str(), "too-many-dependencies");
}

fn tick(ticks: Memoizer<u32>, left: u32, done: oneshot::Sender<()>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let again = ticks.clone();
        let next = async || {
            if left > 0 {
                tokio::spawn(Memoizer::context().scope(tick(again, left - 1, done)));
            } else {
                let _ = done.send(());
            }
            left
        };
        ticks.call(&left, next).await;
    })
}

#[tokio::test]
async fn a_chain_of_contexts_may_be_of_any_length() {
    let (done, is_done) = oneshot::channel();
    tick(memory().memoizer("tick"), 2_000, done).await;
    is_done.await.unwrap();
    // Deeper than a stack has room for, if each was dropped within the next.
    let (done, is_done) = oneshot::channel();
    tick(memory().memoizer("tick"), 15_000, done).await;
    is_done.await.unwrap();
}

#[derive(Clone, Serialize, Deserialize)]
struct Page {
    id: u32,
    #[serde(flatten)]
    more: BTreeMap<String, String>,
}

#[tokio::test]
async fn a_value_that_nobody_can_weigh_is_not_kept_and_the_observer_is_told() {
    let cache = memory();
    let (pages, runs): (Memoizer<Page>, _) = (cache.memoizer("pages"), AtomicUsize::new(0));
    let page = async || {
        runs.fetch_add(1, Ordering::SeqCst);
        // postcard writes no map whose length is not known before.
        Page { id: 1, more: [("text".to_owned(), "x".repeat(1 << 20))].into() }
    };
    pages.call_shared(&1, page).await;
    pages.call_shared(&1, page).await;
    pages.call_many(&[1], async |_: &[&i32]| vec![page().await]).await;
    pages.prime(&1, page().await).await.unwrap_err();
    assert_eq!((runs.load(Ordering::SeqCst), cache.stats().failures), (4, 4));

    let weighed = cache.memoizer("weighed").weight(|page: &Page| page.more.values().map(String::len).sum());
    assert_eq!(weighed.call_shared(&1, page).await.id, 1);
    weighed.call_shared(&1, async || unreachable!()).await;
}

#[tokio::test]
async fn caches_that_read_each_other_are_freed() {
    struct Value(Arc<AtomicUsize>);
    impl Drop for Value {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let value = async || Value(Arc::clone(&drops));
    {
        let (one, other) = (memory(), memory());
        let f: Memoizer<Value, Live> = one.memoizer("f").live().unwrap();
        let g: Memoizer<Value, Live> = other.memoizer("g").live().unwrap();
        f.call_shared(&1, async || {
            g.call_shared(&1, value).await;
            value().await
        })
        .await;
        g.call_shared(&2, async || {
            f.call_shared(&2, value).await;
            value().await
        })
        .await;
        assert_eq!(drops.load(Ordering::SeqCst), 0);
    }
    assert_eq!(drops.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn priming_says_so_if_the_backend_does_not_answer() {
    let (cache, backend, _) = bytewise();
    let f: Memoizer<u32> = cache.memoizer("f");
    f.call(&0, async || 0).await;
    let _held = backend.hold("set");
    assert_eq!(f.prime(&1, 7).await.unwrap_err().kind(), ErrorKind::Timeout);
}
