//! Purges by one process against fills of another, over a shared backend: one that compares and sets, one that does not,
//! one that does not and answers at once, and the first two with an envelope around them.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{sync::Arc, time::Duration};

use axum_caching::{
    Backend, BackendFuture, Cache, Memoizer, MemoryBackend, Profile, Ttl, Value,
    testing::{Chaos, ManualClock},
};
use bytewise::{Bytewise, settle};
use tokio::{sync::oneshot, task::JoinHandle};

const MINUTE: Duration = Duration::from_secs(60);

/// Two processes that share a backend.
struct Nodes {
    here: Cache,
    there: Cache,
    clock: ManualClock,
    backend: Arc<dyn Backend>,
}

/// The classes of backends that processes share.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    Compares,
    Guarded,
    GuardedAtOnce,
    #[cfg(all(feature = "zstd", feature = "encryption"))]
    ComparesSealed,
    #[cfg(all(feature = "zstd", feature = "encryption"))]
    GuardedSealed,
}

/// As a database would be that is embedded in each process: no answer has to be waited for.
#[derive(Debug)]
struct Embedded(MemoryBackend);

impl Backend for Embedded {
    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.0.get(key)
    }
    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        match value.to_bytes() {
            Ok(bytes) => BackendFuture::ready(self.0.set(key, Value::from_bytes(bytes), ttl).into_ready().unwrap()),
            Err(error) => BackendFuture::ready(Err(error)),
        }
    }
    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        match value.to_bytes() {
            Ok(bytes) => BackendFuture::ready(self.0.add(key, Value::from_bytes(bytes), ttl).into_ready().unwrap()),
            Err(error) => BackendFuture::ready(Err(error)),
        }
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

#[cfg(all(feature = "zstd", feature = "encryption"))]
fn sealed(backend: impl Backend) -> Arc<dyn Backend> {
    let keys = axum_caching::KeyRing::new([7; 32]);
    Arc::new(axum_caching::Envelope::builder(backend).compress_above(0).keys(keys).build())
}

fn nodes(class: Class) -> Nodes {
    let clock = ManualClock::new();
    let memory = MemoryBackend::builder().clock(clock.clock()).build();
    let backend: Arc<dyn Backend> = match class {
        Class::Compares => Arc::new(Chaos::remote(memory)),
        Class::Guarded => Arc::new(Bytewise::shared(clock.clock())),
        Class::GuardedAtOnce => Arc::new(Embedded(memory)),
        #[cfg(all(feature = "zstd", feature = "encryption"))]
        Class::ComparesSealed => sealed(Chaos::remote(memory)),
        #[cfg(all(feature = "zstd", feature = "encryption"))]
        Class::GuardedSealed => sealed(Bytewise::shared(clock.clock())),
    };
    assert_eq!(backend.compares(), format!("{class:?}").starts_with("Compares"));
    let node = || {
        let profile = Profile::ttl(MINUTE).stale_while_revalidate(MINUTE).stale_if_error(10 * MINUTE);
        Cache::builder(Arc::clone(&backend)).clock(clock.clock()).profile(profile).build()
    };
    Nodes { here: node(), there: node(), clock, backend }
}

/// A run that has read its data, and gives it when it is told to.
fn begin(cache: &Cache, text: &'static str) -> (JoinHandle<String>, oneshot::Sender<()>) {
    let (go, may_go) = oneshot::channel::<()>();
    let cache = cache.clone();
    let run = tokio::spawn(async move {
        let value = cache.get_or_compute_owned("key", Profile::new(), async move || {
            may_go.await.unwrap();
            text.to_owned()
        });
        value.await
    });
    (run, go)
}

async fn read(cache: &Cache, text: &'static str) -> String {
    cache.get_or_compute("key", Profile::new(), async || text.to_owned()).await
}

const PURGES: [&str; 5] = ["delete", "delete_many", "clear", "set", "add"];

async fn purge(cache: &Cache, how: &str) {
    match how {
        "delete" => drop(cache.delete("key").await.unwrap()),
        "delete_many" => drop(cache.delete_many(["key", "other"]).await.unwrap()),
        "clear" => cache.clear().await.unwrap(),
        "set" => cache.set("key", "new", Ttl::Default).await.unwrap(),
        "add" => drop(cache.add("key", "new", Ttl::Default).await.unwrap()),
        other => panic!("{other} is no purge"),
    }
}

macro_rules! over_each_class {
    ($($test:ident),* $(,)?) => {
        mod compared {$(
            #[tokio::test]
            async fn $test() {
                super::$test(super::Class::Compares).await;
            }
        )*}

        mod guarded {$(
            #[tokio::test]
            async fn $test() {
                super::$test(super::Class::Guarded).await;
            }
        )*}

        mod guarded_at_once {$(
            #[tokio::test]
            async fn $test() {
                super::$test(super::Class::GuardedAtOnce).await;
            }
        )*}

        #[cfg(all(feature = "zstd", feature = "encryption"))]
        mod compared_and_sealed {$(
            #[tokio::test]
            async fn $test() {
                super::$test(super::Class::ComparesSealed).await;
            }
        )*}

        #[cfg(all(feature = "zstd", feature = "encryption"))]
        mod guarded_and_sealed {$(
            #[tokio::test]
            async fn $test() {
                super::$test(super::Class::GuardedSealed).await;
            }
        )*}
    };
}

over_each_class! {
    a_purge_of_one_process_wins_against_the_first_fill_of_another,
    a_purge_of_one_process_wins_against_a_refresh_of_another,
    those_who_wait_for_a_fill_that_a_purge_elsewhere_overtook_look_again,
    one_memoized_result_that_is_deleted_elsewhere_does_not_come_back,
    a_result_of_a_batch_that_is_deleted_elsewhere_does_not_come_back,
    two_processes_that_fill_at_once_leave_an_entry,
    a_place_that_was_lost_costs_the_fill_its_entry_and_nothing_else,
}

async fn a_purge_of_one_process_wins_against_the_first_fill_of_another(class: Class) {
    for how in PURGES {
        let nodes = nodes(class);
        let (run, go) = begin(&nodes.here, "old");
        settle().await;
        purge(&nodes.there, how).await;
        go.send(()).unwrap();
        assert_eq!(run.await.unwrap(), "old", "its own caller");
        settle().await;
        for node in [&nodes.here, &nodes.there] {
            assert_eq!(read(node, "new").await, "new", "{how}");
        }
    }
}

async fn a_purge_of_one_process_wins_against_a_refresh_of_another(class: Class) {
    for how in PURGES {
        let nodes = nodes(class);
        assert_eq!(read(&nodes.here, "old").await, "old");
        settle().await;
        nodes.clock.advance(MINUTE);
        let (run, go) = begin(&nodes.here, "also old");
        assert_eq!(run.await.unwrap(), "old", "served while it is made anew");
        settle().await;
        purge(&nodes.there, how).await;
        go.send(()).unwrap();
        settle().await;
        for node in [&nodes.here, &nodes.there] {
            assert_eq!(read(node, "new").await, "new", "{how}");
        }
    }
}

async fn those_who_wait_for_a_fill_that_a_purge_elsewhere_overtook_look_again(class: Class) {
    let nodes = nodes(class);
    let (run, go) = begin(&nodes.here, "old");
    settle().await;
    let (follower, may) = begin(&nodes.here, "new");
    settle().await;
    nodes.there.delete("key").await.unwrap();
    go.send(()).unwrap();
    assert_eq!(run.await.unwrap(), "old");
    settle().await;
    may.send(()).unwrap();
    assert_eq!(follower.await.unwrap(), "new");
}

async fn one_memoized_result_that_is_deleted_elsewhere_does_not_come_back(class: Class) {
    let nodes = nodes(class);
    let (here, there): (Memoizer<String>, Memoizer<String>) =
        (nodes.here.memoizer("name"), nodes.there.memoizer("name"));
    let (go, may_go) = oneshot::channel::<()>();
    let run = tokio::spawn({
        let here = here.clone();
        async move {
            let value = here.call_owned(&7, async move || {
                may_go.await.unwrap();
                "old".to_owned()
            });
            value.await
        }
    });
    settle().await;
    there.delete_memoized_for(&7).await.unwrap();
    go.send(()).unwrap();
    run.await.unwrap();
    settle().await;
    assert_eq!(there.call(&7, async || "new".to_owned()).await, "new");
}

async fn a_result_of_a_batch_that_is_deleted_elsewhere_does_not_come_back(class: Class) {
    for deleted in [1, 2, 3] {
        let nodes = nodes(class);
        let (here, there): (Memoizer<String>, Memoizer<String>) =
            (nodes.here.memoizer("name"), nodes.there.memoizer("name"));
        let (go, may_go) = oneshot::channel::<()>();
        let run = tokio::spawn(async move {
            let made = here.call_many(&[1, 2, 3], async move |missing: &[&i32]| {
                may_go.await.unwrap();
                vec!["old".to_owned(); missing.len()]
            });
            made.await
        });
        settle().await;
        there.delete_memoized_for(&deleted).await.unwrap();
        go.send(()).unwrap();
        assert_eq!(run.await.unwrap(), ["old"; 3], "its own caller");
        settle().await;
        for each in [1, 2, 3] {
            let expected = if each == deleted { "new" } else { "old" };
            assert_eq!(there.call(&each, async || "new".to_owned()).await, expected, "{each} of the batch");
        }
    }
}

async fn two_processes_that_fill_at_once_leave_an_entry(class: Class) {
    let nodes = nodes(class);
    let (one, go_one) = begin(&nodes.here, "one");
    settle().await;
    let (two, go_two) = begin(&nodes.there, "two");
    settle().await;
    go_one.send(()).unwrap();
    go_two.send(()).unwrap();
    assert_eq!((one.await.unwrap().as_str(), two.await.unwrap().as_str()), ("one", "two"));
    settle().await;
    let kept = read(&nodes.here, "neither").await;
    assert!(kept == "one" || kept == "two", "{kept}");
    assert_eq!(read(&nodes.there, "neither").await, kept);
}

#[tokio::test]
async fn a_lease_is_absent_to_every_explicit_call() {
    let nodes = nodes(Class::Compares);
    let (run, go) = begin(&nodes.here, "old");
    settle().await;
    assert!(nodes.backend.get("key").await.unwrap().is_some(), "it is there");
    assert_eq!(nodes.there.get::<String>("key").await.unwrap(), None);
    assert!(!nodes.there.has("key").await.unwrap());
    assert_eq!(nodes.there.stats().failures, 0);
    assert_eq!(nodes.there.increment("key", 2).await.unwrap(), 2);
    go.send(()).unwrap();
    run.await.unwrap();
    settle().await;
    assert_eq!(nodes.there.increment("key", 1).await.unwrap(), 3, "the fill began before it");
}

async fn a_place_that_was_lost_costs_the_fill_its_entry_and_nothing_else(class: Class) {
    let nodes = nodes(class);
    let (run, go) = begin(&nodes.here, "old");
    settle().await;
    nodes.backend.clear("").await.unwrap();
    go.send(()).unwrap();
    assert_eq!(run.await.unwrap(), "old");
    settle().await;
    assert_eq!(read(&nodes.there, "new").await, "new");
    assert_eq!(read(&nodes.here, "newer").await, "new");
}

#[tokio::test]
async fn what_cannot_be_read_makes_room_for_a_fill() {
    let nodes = nodes(Class::Compares);
    for value in
        [Value::integer(7), Value::from_bytes("of somebody else"), Value::from_bytes("axc\x07 of another version")]
    {
        nodes.backend.set("key", value.clone(), None).await.unwrap();
        assert_eq!(read(&nodes.here, "new").await, "new", "{value:?}");
        settle().await;
        assert_eq!(read(&nodes.there, "newer").await, "new", "{value:?}");
    }
}

#[tokio::test]
async fn a_counter_is_not_what_makes_room_for_a_fill() {
    let nodes = nodes(Class::Compares);
    let (fail, may_fail) = oneshot::channel::<()>();
    let leader = tokio::spawn({
        let here = nodes.here.clone();
        let compute = async move || {
            may_fail.await.unwrap();
            Err::<i64, _>("down")
        };
        async move { here.try_get_or_compute("key", Profile::new(), compute).await }
    });
    settle().await;
    let follower = tokio::spawn({
        let here = nodes.here.clone();
        async move { here.get_or_compute("key", Profile::new(), async || 7_i64).await }
    });
    settle().await;
    assert_eq!(nodes.there.increment("key", 1).await.unwrap(), 1);
    fail.send(()).unwrap();
    leader.await.unwrap().unwrap_err();
    follower.await.unwrap();
    settle().await;
    assert_eq!(nodes.there.increment("key", 1).await.unwrap(), 2);
}
