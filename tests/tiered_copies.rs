//! What is copied into memory, what is not, how often it is decoded, and how much of it there is.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;
mod tiers;

use std::{
    future::Future as _,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Waker},
    time::Duration,
};

use axum_caching::{
    Backend, Cache, Memoizer, Profile, TieredBackend, Ttl, Value,
    testing::{ManualClock, Operation},
};
use bytewise::settle;
use serde::{Deserialize, Deserializer, Serialize};
use tiers::{LAG, MINUTE, node, nodes, read, tier};
use tokio::sync::oneshot;

#[tokio::test(start_paused = true)]
async fn integers_are_never_copied() {
    let nodes = nodes(true);
    for key in ["visits", "@t/visits"] {
        nodes.here.set(key, &1_234_567_890_123_456_u64, Ttl::Default).await.unwrap();
        assert_eq!(nodes.there.get::<u64>(key).await.unwrap(), Some(1_234_567_890_123_456));
        nodes.here.increment(key, 1).await.unwrap();
        assert_eq!(nodes.there.get::<u64>(key).await.unwrap(), Some(1_234_567_890_123_457), "at once");
    }
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_of_its_end_is_never_copied() {
    let (tier, server, _) = tier(true);
    tier.set("key", Value::from_bytes("of somebody else"), None).await.unwrap();
    for _ in 0..3 {
        tier.get("key").await.unwrap().expect("there");
    }
    assert_eq!(server.calls(Operation::Get), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_never_copied() {
    let nodes = nodes(true);
    let (go, wait) = oneshot::channel::<()>();
    let here = nodes.here.clone();
    let run = tokio::spawn(async move {
        let value = here.get_or_compute_owned("key", Profile::new(), async move || {
            wait.await.unwrap();
            "new".to_owned()
        });
        value.await
    });
    settle().await;
    assert_eq!(nodes.there.get::<String>("key").await.unwrap(), None, "a lease");
    go.send(()).unwrap();
    run.await.unwrap();
    settle().await;
    assert_eq!(nodes.there.get::<String>("key").await.unwrap().as_deref(), Some("new"), "at once");
}

static DECODED: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Counted(u32);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Ordering::Relaxed);
        u32::deserialize(deserializer).map(Self)
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_decoded_once_also_where_it_is_confirmed() {
    let nodes = nodes(true);
    let ask = async |cache: &Cache| {
        let counted: Memoizer<Counted> = cache.memoizer("counted");
        let value = counted.call(&7, async || Counted(7)).await;
        settle().await;
        assert_eq!(value, Counted(7));
    };
    ask(&nodes.here).await;
    let before = DECODED.load(Ordering::Relaxed);
    for _ in 0..20 {
        ask(&nodes.here).await;
    }
    assert_eq!(DECODED.load(Ordering::Relaxed), before, "what a node stores itself is not decoded");
    for _ in 0..20 {
        ask(&nodes.there).await;
    }
    assert_eq!(DECODED.load(Ordering::Relaxed), before + 1);
    for _ in 0..5 {
        nodes.pass(LAG * 2).await;
        ask(&nodes.there).await;
    }
    assert_eq!(DECODED.load(Ordering::Relaxed), before + 1, "the same bytes");
}

#[tokio::test(start_paused = true)]
async fn a_hit_asks_nobody_and_where_half_the_trust_is_over_one_caller_asks() {
    let nodes = nodes(true);
    read(&nodes.here, "old").await;
    read(&nodes.there, "none").await;
    let reads = || nodes.server.calls(Operation::READS);
    let before = reads();
    for _ in 0..100 {
        read(&nodes.there, "none").await;
    }
    assert_eq!(reads(), before);
    nodes.pass(LAG / 2).await;
    for _ in 0..100 {
        assert_eq!(read(&nodes.there, "none").await, "old");
    }
    assert_eq!(reads(), before + 3, "the entry, and the stamps of its function and its tag");
    nodes.pass(LAG * 3 / 4).await;
    assert_eq!(read(&nodes.there, "none").await, "old", "trusted from the second read on");
}

#[tokio::test(start_paused = true)]
async fn without_a_lag_there_are_no_copies() {
    let clock = ManualClock::new();
    let server = tiers::server(true, &clock);
    let tier = TieredBackend::builder(server.clone()).lag(Duration::ZERO).build();
    assert!(!tier.lags());
    let cache = node(tier, &clock);
    cache.set("key", "old", Ttl::Default).await.unwrap();
    for reads in 1..4 {
        assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("old"));
        assert_eq!(server.calls(Operation::Get), reads);
    }
    assert_eq!(cache.usage().unwrap().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn copies_keep_to_their_bounds_and_what_has_to_go_is_read_again() {
    let clock = ManualClock::new();
    let server = tiers::server(true, &clock);
    let tier = TieredBackend::builder(server.clone()).max_bytes(100_000).max_entries(10).build();
    let cache = node(tier, &clock);
    for number in 0..100 {
        cache.set(&format!("key {number}"), "x", Ttl::Default).await.unwrap();
    }
    let usage = cache.usage().unwrap();
    assert!(usage.entries <= 10 && usage.weight <= 100_000 && usage.evictions >= 90, "{usage:?}");
    assert_eq!(cache.get::<String>("key 3").await.unwrap().as_deref(), Some("x"));
    cache.set("large", &"x".repeat(90_000), Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<String>("large").await.unwrap().map(|text| text.len()), Some(90_000), "no copy is taken");
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_what_another_node_has_made_anew_though_its_own_copy_is_over() {
    let nodes = nodes(true);
    let batch = async |node: &Cache, text: &'static str| {
        let names: Memoizer<String> = node.memoizer("names");
        let made = names.call_many(&[1, 2], async |missing: &[&i32]| vec![text.to_owned(); missing.len()]).await;
        settle().await;
        made
    };
    assert_eq!(batch(&nodes.here, "old").await, ["old", "old"]);
    assert_eq!(batch(&nodes.there, "none").await, ["old", "old"]);
    // By the clock of the entries it is over, and by the other one the copies are new.
    nodes.clock.advance(20 * MINUTE);
    assert_eq!(batch(&nodes.here, "new").await, ["new", "new"]);
    assert_eq!(batch(&nodes.there, "newer").await, ["new", "new"]);
}

/// A value that asks the node that has a copy of it when it is dropped.
#[derive(Clone, Serialize, Deserialize)]
struct Asks(u32);

static ASKED: OnceLock<Arc<dyn Backend>> = OnceLock::new();
static DROPS: AtomicUsize = AtomicUsize::new(0);

impl Drop for Asks {
    fn drop(&mut self) {
        let Some(tier) = ASKED.get() else { return };
        // So many that each lock of the copies is taken.
        for number in 0..2_048 {
            let key = format!("page {number}");
            assert!(tier.get_now(&key).is_none());
            let mut read = pin!(tier.get(&key));
            let _ = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        DROPS.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_is_decoded_of_a_copy_may_ask_the_node_when_it_is_dropped() {
    const HOW: [&str; 6] = ["clear", "clear a part", "delete", "set over", "evict", "read anew"];
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = ManualClock::new();
            let server = tiers::server(true, &clock);
            let tier = Arc::new(TieredBackend::builder(server.clone()).max_bytes(1 << 20).max_entries(256).build());
            let (here, there) = (node((*tier).clone(), &clock), node(TieredBackend::new(server), &clock));
            let _ = ASKED.set(Arc::<TieredBackend>::clone(&tier));
            for how in HOW {
                for node in [&there, &here, &here] {
                    for number in 0..8 {
                        node.memoizer::<Asks>("asks").call(&number, async || Asks(number)).await;
                        settle().await;
                    }
                }
                let key = here.memoizer::<Asks>("asks").make_cache_key(&7).unwrap();
                let before = DROPS.load(Ordering::Relaxed);
                match how {
                    "clear" => tier.clear("").await.unwrap(),
                    "clear a part" => here.clear().await.unwrap(),
                    "delete" => drop(here.delete(&key).await.unwrap()),
                    "set over" => here.set(&key, "text", Ttl::Default).await.unwrap(),
                    "evict" => {
                        // They are asked for, so that they do not go first themselves.
                        for key in (0..50).map(|number| format!("fill {number}")) {
                            here.set(&key, &"x".repeat(50_000), Ttl::Default).await.unwrap();
                            for _ in 0..3 {
                                assert!(here.get::<String>(&key).await.unwrap().is_some());
                            }
                        }
                    }
                    _ => {
                        there.set(&key, "text", Ttl::Default).await.unwrap();
                        tokio::time::advance(LAG).await;
                        drop(here.get::<String>(&key).await);
                    }
                }
                assert!(DROPS.load(Ordering::Relaxed) > before, "{how}");
                done.send(how).unwrap();
                there.clear().await.unwrap();
                tier.clear("").await.unwrap();
            }
        });
    });
    for how in HOW {
        assert_eq!(is_done.recv_timeout(Duration::from_secs(20)), Ok(how), "{how}");
    }
}
