//! Copies in memory before a shared backend: how far they lag, what is copied, and what comes from no copy.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;
mod tiers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{
    Backend, Cache, ErrorKind, Memoizer, Profile, TieredBackend, Ttl, Value,
    testing::{Operation, conformance},
};
use bytewise::settle;
use serde::{Deserialize, Deserializer, Serialize};
use tiers::{LAG, MINUTE, Nodes, PURGES, node, nodes, purge, read, tier};
use tokio::{sync::oneshot, time::advance};

with_and_without_compare_and_set! {
    it_keeps_the_rules_of_backends,
    a_purge_on_one_node_is_seen_on_the_other_after_the_lag_and_at_once_on_its_own,
    what_one_node_stores_over_is_seen_on_the_other_after_the_lag,
    a_copy_is_trusted_from_when_its_read_was_sent,
    a_read_under_way_while_its_own_node_purges_leaves_no_copy,
    what_a_fill_reads_is_no_copy,
    what_an_explicit_read_inside_a_fill_finds_is_no_copy,
    a_tag_that_is_found_late_is_compared_with_lanes_that_are_no_copies,
    a_fill_over_what_another_node_stored_is_kept,
    what_would_be_a_miss_is_asked_for_where_it_is_kept,
    copies_are_served_without_the_server_while_they_are_trusted,
    marking_stale_on_one_node_is_seen_on_the_other_after_the_lag,
}

async fn it_keeps_the_rules_of_backends(compares: bool) {
    let (backend, _, clock) = tier(compares);
    let pass = async |time| {
        clock.advance(time);
        advance(time).await;
    };
    conformance::all(&backend, pass).await;
}

async fn a_purge_on_one_node_is_seen_on_the_other_after_the_lag_and_at_once_on_its_own(compares: bool) {
    for how in PURGES {
        let nodes = nodes(compares);
        assert_eq!(read(&nodes.here, "old").await, "old");
        assert_eq!(read(&nodes.there, "another").await, "old");
        purge(&nodes.here, how).await;
        nodes.pass(LAG / 4).await;
        assert_eq!(read(&nodes.there, "new").await, "old", "{how}: a copy");
        assert_eq!(read(&nodes.here, "new").await, "new", "{how}: its own node");
        nodes.pass(LAG).await;
        assert_eq!(read(&nodes.there, "newer").await, "new", "{how}");
    }
}

async fn what_one_node_stores_over_is_seen_on_the_other_after_the_lag(compares: bool) {
    let Nodes { here, there, .. } = &nodes(compares);
    here.set("key", "old", Ttl::Default).await.unwrap();
    assert_eq!(there.get::<String>("key").await.unwrap().as_deref(), Some("old"));
    here.set("key", "new", Ttl::Default).await.unwrap();
    assert_eq!(here.get::<String>("key").await.unwrap().as_deref(), Some("new"));
    assert_eq!(there.get::<String>("key").await.unwrap().as_deref(), Some("old"));
    advance(LAG).await;
    assert_eq!(there.get::<String>("key").await.unwrap().as_deref(), Some("new"));
}

async fn a_copy_is_trusted_from_when_its_read_was_sent(compares: bool) {
    let nodes = nodes(compares);
    nodes.here.set("key", "old", Ttl::Default).await.unwrap();
    let answer = nodes.server.on(Operation::Get).next(1).afterwards().hold();
    let late = tokio::spawn({
        let there = nodes.there.clone();
        async move { there.get::<String>("key").await }
    });
    answer.reached(1).await;
    nodes.here.delete("key").await.unwrap();
    nodes.pass(LAG * 3 / 4).await;
    answer.end();
    assert_eq!(late.await.unwrap().unwrap().as_deref(), Some("old"), "it began before the purge");
    nodes.pass(LAG / 4).await;
    assert_eq!(nodes.there.get::<String>("key").await.unwrap(), None);
}

async fn a_read_under_way_while_its_own_node_purges_leaves_no_copy(compares: bool) {
    for how in ["delete", "set", "delete_many", "set_many", "clear", "increment", "compare_and_set"] {
        let (tier, server, _) = tier(compares);
        let cache = Cache::new(Arc::clone(&tier));
        cache.set("key", "old", Ttl::Default).await.unwrap();
        advance(LAG).await;
        let answer = server.on(Operation::Get).next(1).afterwards().hold();
        let late = tokio::spawn({
            let tier = Arc::clone(&tier);
            async move { tier.get("key").await.map(drop) }
        });
        answer.reached(1).await;
        let token = [*b"axc", [1, b'v', 0]].concat();
        match how {
            "delete" => drop(tier.delete("key").await.unwrap()),
            "set" => tier.set("key", Value::from_bytes("new"), None).await.unwrap(),
            "delete_many" => drop(tier.delete_many(&["key"]).await.unwrap()),
            "set_many" => tier.set_many(&[("key", Value::from_bytes("new"))], None).await.unwrap(),
            "clear" => tier.clear("k").await.unwrap(),
            "increment" => drop(tier.increment("key", 1).await),
            _ => drop(tier.compare_and_set("key", &token[..5], Value::from_bytes("new"), None).await),
        }
        answer.end();
        late.await.unwrap().unwrap();
        assert!(tier.get_now("key").is_none(), "{how} left a copy of what was before it");
    }
}

async fn what_a_fill_reads_is_no_copy(compares: bool) {
    let nodes = nodes(compares);
    let page = async |cache: &Cache, text: &'static str| {
        let inner = cache.clone();
        let page = cache.get_or_compute("page", Profile::new(), async || {
            inner.get_or_compute("part", Profile::new(), async || text.to_owned()).await
        });
        let page = page.await;
        settle().await;
        page
    };
    assert_eq!(page(&nodes.here, "old").await, "old");
    assert_eq!(nodes.there.get_or_compute("part", Profile::new(), async || String::new()).await, "old", "a copy");
    nodes.here.delete("part").await.unwrap();
    nodes.here.delete("page").await.unwrap();
    assert_eq!(page(&nodes.there, "new").await, "new");
}

async fn what_an_explicit_read_inside_a_fill_finds_is_no_copy(compares: bool) {
    let nodes = nodes(compares);
    nodes.here.set_many([("part", 1), ("other", 1)], Ttl::Default).await.unwrap();
    nodes.here.set("part", "old", Ttl::Default).await.unwrap();
    assert!(nodes.there.get::<String>("part").await.unwrap().is_some());
    nodes.here.set("part", "new", Ttl::Default).await.unwrap();
    for (key, many) in [("one", false), ("many", true)] {
        let inner = nodes.there.clone();
        let page = nodes.there.get_or_compute(key, Profile::new(), async || {
            if many {
                inner.get_many::<String>(["part"]).await.unwrap().remove(0)
            } else {
                inner.get::<String>("part").await.unwrap()
            }
        });
        assert_eq!(page.await.as_deref(), Some("new"), "{key}");
    }
}

async fn a_tag_that_is_found_late_is_compared_with_lanes_that_are_no_copies(compares: bool) {
    let nodes = nodes(compares);
    let late = |cache: &Cache, text: &'static str, wait: Option<oneshot::Receiver<()>>| {
        let cache = cache.clone();
        tokio::spawn(async move {
            let value = cache.get_or_compute_owned("key", Profile::new(), async move || {
                if let Some(wait) = wait {
                    wait.await.unwrap();
                }
                Memoizer::context().tag("late");
                text.to_owned()
            });
            value.await
        })
    };
    // The first fills only find out that there are late tags, and make the lanes.
    for _ in 0..3 {
        late(&nodes.there, "first", None).await.unwrap();
        settle().await;
    }
    assert_eq!(late(&nodes.there, "none", None).await.unwrap(), "first", "it is kept by now");
    nodes.here.delete("key").await.unwrap();
    nodes.pass(LAG).await;
    let (go, wait) = oneshot::channel();
    let run = late(&nodes.there, "old", Some(wait));
    settle().await;
    nodes.here.purge_tag("late").await.unwrap();
    go.send(()).unwrap();
    assert_eq!(run.await.unwrap(), "old", "its own caller");
    settle().await;
    assert_eq!(late(&nodes.there, "new", None).await.unwrap(), "new");
}

async fn a_fill_over_what_another_node_stored_is_kept(compares: bool) {
    let nodes = nodes(compares);
    let ask = async |cache: &Cache, text: &'static str| read(cache, text).await;
    assert_eq!(ask(&nodes.here, "old").await, "old");
    assert_eq!(ask(&nodes.there, "none").await, "old", "a copy");
    nodes.here.memoizer::<String>("text").delete_memoized_for(&7).await.unwrap();
    assert_eq!(ask(&nodes.here, "new").await, "new");
    // It has a copy of what was there before, and begins a run all the same.
    let names: Memoizer<String> = nodes.there.memoizer("text");
    let forced = names.at(&7).tags(["tag"]).forced_update(true).call(async || "forced".to_owned()).await;
    assert_eq!(forced, "forced");
    settle().await;
    nodes.pass(LAG).await;
    assert_eq!(ask(&nodes.here, "lost").await, "forced");
}

async fn what_would_be_a_miss_is_asked_for_where_it_is_kept(compares: bool) {
    let nodes = nodes(compares);
    let ask = async |cache: &Cache, text: &'static str| {
        let value = cache.get_or_compute_owned("key", Profile::new(), async move || text.to_owned()).await;
        settle().await;
        value
    };
    ask(&nodes.here, "old").await;
    nodes.pass(MINUTE - LAG / 4).await;
    assert_eq!(ask(&nodes.there, "none").await, "old");
    nodes.pass(LAG / 4).await;
    assert_eq!(ask(&nodes.here, "new").await, "old", "stale, and made anew");
    assert_eq!(ask(&nodes.there, "none").await, "new", "its copy is stale, what is kept is not");
    assert_eq!(nodes.there.stats().refreshes, 0);
}

async fn copies_are_served_without_the_server_while_they_are_trusted(compares: bool) {
    let nodes = nodes(compares);
    read(&nodes.here, "old").await;
    assert_eq!(read(&nodes.there, "none").await, "old");
    let outage = nodes.server.on(Operation::ALL).fail(ErrorKind::Connect);
    for _ in 0..3 {
        nodes.pass(LAG / 4).await;
        assert_eq!(read(&nodes.there, "none").await, "old");
    }
    assert!(nodes.there.get::<String>("other").await.is_err(), "an explicit call says so");
    nodes.pass(LAG / 4).await;
    assert_eq!(read(&nodes.there, "by the origin").await, "by the origin");
    outage.end();
    assert_eq!(read(&nodes.there, "none").await, "old", "it was away, and has what it had");
}

async fn marking_stale_on_one_node_is_seen_on_the_other_after_the_lag(compares: bool) {
    let nodes = nodes(compares);
    let ask = async |cache: &Cache, text: &'static str| {
        let value = cache.get_or_compute_owned("key", Profile::new(), async move || text.to_owned()).await;
        settle().await;
        value
    };
    ask(&nodes.here, "old").await;
    assert_eq!(ask(&nodes.there, "none").await, "old");
    assert!(nodes.here.mark_stale("key").await.unwrap());
    assert_eq!(ask(&nodes.there, "none").await, "old", "a copy, which is fresh");
    let first = ask(&nodes.here, "new").await;
    assert_eq!(first, if compares { "old" } else { "new" }, "once more, while it is made anew");
    nodes.pass(LAG).await;
    assert_eq!(ask(&nodes.there, "none").await, "new");
}

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
    let clock = axum_caching::testing::ManualClock::new();
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
    let clock = axum_caching::testing::ManualClock::new();
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
