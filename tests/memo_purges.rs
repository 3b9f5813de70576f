//! Deleting what is memoized wins, and reaches what was made of it.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::sync::Arc;

use axum_caching::{
    Cache, Memoizer, MemoryBackend,
    testing::{Chaos, ManualClock, Operation},
};
use bytewise::{bytewise, data::Data, settle};
use tokio::task::JoinHandle;

on_both_backends! {
    deleting_all_results_refuses_a_run_under_way,
    who_waited_for_a_run_that_a_delete_overtook_computes_anew,
    deleting_one_result_leaves_the_others,
    deleting_one_instance_leaves_the_others,
    a_tag_takes_away_the_results_that_have_it,
    deleting_again_and_again_always_wins,
    what_is_primed_is_not_overwritten_by_an_older_run,
}

/// Every way to say that the result for `(1,)` of an instance is old.
const PURGES: [&str; 7] = ["all", "verhash", "one", "instance", "tag", "clear", "prime"];

async fn purge(cache: &Cache, how: &str) {
    let all: Memoizer<String> = cache.memoizer("f");
    let f = all.instance(&7).unwrap();
    match how {
        "all" => all.delete_memoized().await.unwrap(),
        "verhash" => all.delete_memoized_verhash().await.unwrap(),
        "one" => drop(f.delete_memoized_for(&(1,)).await.unwrap()),
        "instance" => f.delete_memoized().await.unwrap(),
        "tag" => cache.purge_tag("tag").await.unwrap(),
        "clear" => cache.clear().await.unwrap(),
        "prime" => f.prime(&(1,), "primed".into()).await.unwrap(),
        other => panic!("{other} is no purge"),
    }
}

/// A caller, and everything it can do before the test has to do something.
async fn call(cache: &Cache, data: &Data) -> JoinHandle<String> {
    let (f, data) = (cache.memoizer("f").instance(&7).unwrap(), data.clone());
    let caller = tokio::spawn(async move { f.at(&(1,)).tags(["tag"]).call(async || data.read().await).await });
    settle().await;
    caller
}

/// What is kept, if anything is.
async fn kept(cache: &Cache) -> Option<String> {
    let f = cache.memoizer("f").instance(&7).unwrap();
    f.try_call(&(1,), async || Err(())).await.ok()
}

async fn deleting_all_results_refuses_a_run_under_way(cache: Cache, _: ManualClock) {
    // Flask-Caching Q-23, FusionCache #628: what was read before is stored after.
    for how in PURGES {
        let data = Data::new("old");
        let leader = call(&cache, &data).await;
        data.commit("new");
        purge(&cache, how).await;
        data.end_oldest();
        assert_eq!(leader.await.unwrap(), "old", "the one who asked before has its answer");
        let expected = (how == "prime").then(|| "primed".to_owned());
        assert_eq!(kept(&cache).await, expected, "{how}");
        cache.clear().await.unwrap();
    }
}

async fn who_waited_for_a_run_that_a_delete_overtook_computes_anew(cache: Cache, _: ManualClock) {
    for how in &PURGES[..6] {
        let data = Data::new("old");
        let leader = call(&cache, &data).await;
        data.commit("new");
        purge(&cache, how).await;
        let after = call(&cache, &data).await;
        data.end_oldest();
        assert_eq!(leader.await.unwrap(), "old");
        settle().await;
        data.end_oldest();
        assert_eq!(after.await.unwrap(), "new", "{how}: who came after it is not handed what was read before");
        assert_eq!(kept(&cache).await.as_deref(), Some("new"), "{how}");
        cache.clear().await.unwrap();
    }
}

async fn deleting_one_result_leaves_the_others(cache: Cache, _: ManualClock) {
    let f = cache.memoizer("f");
    for n in 0..3 {
        f.call(&n, async || n).await;
    }
    assert!(f.delete_memoized_for(&1).await.unwrap());
    let mut found = Vec::new();
    for n in 0..3 {
        found.push(f.call(&n, async || 10).await);
    }
    assert_eq!(found, [0, 10, 2]);
}

async fn deleting_one_instance_leaves_the_others(cache: Cache, _: ManualClock) {
    let all = cache.memoizer("Adder::add");
    let adders = [1, 2].map(|id| all.instance(&id).unwrap());
    let sums = async |made: u32| [adders[0].call(&5, async || made).await, adders[1].call(&5, async || made).await];
    assert_eq!(sums(1).await, [1, 1]);
    adders[0].delete_memoized().await.unwrap();
    assert_eq!(sums(2).await, [2, 1]);
    adders[1].delete_memoized_for(&5).await.unwrap();
    assert_eq!(sums(3).await, [2, 3]);
    all.delete_memoized().await.unwrap();
    assert_eq!(sums(4).await, [4, 4], "all of them");
    assert_eq!(all.call(&5, async || 5).await, 5, "and who is no instance has a result of its own");
}

async fn a_tag_takes_away_the_results_that_have_it(cache: Cache, _: ManualClock) {
    let (users, pages) = (cache.memoizer("users"), cache.memoizer("pages"));
    let made = async |n: u32| {
        let user = users.at(&7).tags(["user:7", "all"]).call(async || n).await;
        let page = pages.at(&7).tags([format!("user:{}", 7)]).call(async || n).await;
        (user, page, users.at(&8).tags(["user:8"]).call(async || n).await)
    };
    assert_eq!(made(1).await, (1, 1, 1));
    cache.purge_tag("user:7").await.unwrap();
    assert_eq!(made(2).await, (2, 2, 1));
    cache.purge_tag("all").await.unwrap();
    assert_eq!(made(3).await, (3, 2, 1));
    cache.purge_tag("unknown").await.unwrap();
    assert_eq!(made(4).await, (3, 2, 1));
}

async fn deleting_again_and_again_always_wins(cache: Cache, _: ManualClock) {
    for (round, how) in PURGES.iter().cycle().take(70).filter(|how| **how != "prime").enumerate() {
        let old: &'static str = if round % 2 == 0 { "even" } else { "odd" };
        let new: &'static str = if round % 2 == 0 { "odd" } else { "even" };
        let data = Data::new(old);
        let leader = call(&cache, &data).await;
        data.commit(new);
        purge(&cache, how).await;
        data.end_oldest();
        leader.await.unwrap();
        let next = call(&cache, &data).await;
        data.end_oldest();
        assert_eq!(next.await.unwrap(), new, "{how}");
        purge(&cache, how).await;
    }
}

async fn what_is_primed_is_not_overwritten_by_an_older_run(cache: Cache, _: ManualClock) {
    let data = Data::new("old");
    let leader = call(&cache, &data).await;
    purge(&cache, "prime").await;
    data.end_oldest();
    leader.await.unwrap();
    assert_eq!(kept(&cache).await.as_deref(), Some("primed"));
}

#[tokio::test]
async fn deleting_all_results_costs_one_call_of_the_backend_and_leaves_nothing_behind() {
    let (cache, backend, _) = bytewise();
    let f = cache.memoizer("f");
    for n in 0..50 {
        f.call(&n, async || n).await;
    }
    let before = backend.keys().len();
    f.delete_memoized().await.unwrap();
    assert_eq!(backend.keys().len(), before - 1, "the tag is gone, and nothing is there in its place");
    assert_eq!(f.call(&1, async || 100).await, 100);
}

#[tokio::test]
async fn a_dead_backend_fails_a_delete_and_no_call() {
    let (cache, backend, _) = bytewise();
    let f = cache.memoizer("f");
    f.call(&1, async || 1).await;
    backend.die(true);
    assert_eq!((f.call(&1, async || 2).await, f.call(&1, async || 3).await), (2, 3));
    f.delete_memoized().await.unwrap_err();
    f.delete_memoized_for(&1).await.unwrap_err();
    f.prime(&1, 4).await.unwrap_err();
    backend.die(false);
    assert_eq!(f.call(&1, async || 5).await, 1, "what could not be deleted is there");
}

#[tokio::test]
async fn another_process_that_deletes_is_heard() {
    // Two caches over one backend stand for two processes: nothing but the backend is shared.
    let (here, backend, clock) = bytewise();
    let there = Cache::builder(backend).clock(clock.clock()).build();
    let (f, g) = (here.memoizer("f"), there.memoizer("f"));
    assert_eq!((f.call(&1, async || 1).await, g.call(&1, async || 2).await), (1, 1));
    g.delete_memoized().await.unwrap();
    assert_eq!(f.call(&1, async || 3).await, 3);
    there.purge_tag("tag").await.unwrap();
    let tagged = async |n| Arc::new(f.at(&2).tags(["tag"]).call(async || n).await);
    assert_eq!(*tagged(4).await, 4);
    there.purge_tag("tag").await.unwrap();
    assert_eq!(*tagged(5).await, 5);
}

#[tokio::test]
async fn a_tag_that_is_said_again_and_again_costs_as_much_as_one_that_is_said_once() {
    let backend = Chaos::remote(MemoryBackend::default());
    let cache = Cache::new(backend.clone());
    let rows: Memoizer<usize> = cache.memoizer("rows");
    let calls_for = async |count: usize| {
        let before = backend.calls(Operation::ALL);
        rows.call(&count, async || {
            (0..count).for_each(|_| Memoizer::context().tag("posts"));
            count
        })
        .await;
        backend.calls(Operation::ALL) - before
    };
    // The first two find out that there are late tags.
    calls_for(2).await;
    calls_for(3).await;
    assert_eq!(calls_for(1).await, calls_for(1_000).await);
    cache.purge_tag("posts").await.unwrap();
    assert_eq!(rows.call(&1_000, async || 7).await, 7);
}
