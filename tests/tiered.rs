//! Copies in memory before a shared backend: how far they lag, and what comes from no copy.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;
mod tiers;

use std::sync::Arc;

use axum_caching::{
    Backend, Cache, ErrorKind, Memoizer, Profile, Ttl, Value,
    testing::{Operation, conformance},
};
use bytewise::settle;
use tiers::{LAG, MINUTE, Nodes, PURGES, nodes, purge, read, tier};
use tokio::{sync::oneshot, time::advance};

with_and_without_compare_and_set! {
    it_keeps_the_rules_of_backends,
    a_purge_on_one_node_is_seen_on_the_other_after_the_lag_and_at_once_on_its_own,
    what_one_node_stores_over_is_seen_on_the_other_after_the_lag,
    a_copy_is_trusted_from_when_its_read_was_sent,
    a_read_under_way_while_its_own_node_purges_leaves_no_copy,
    a_read_that_was_sent_before_a_change_was_made_leaves_no_copy,
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
    let before = nodes.server.calls(Operation::Get);
    let ask = async || nodes.there.get::<String>("key").await.unwrap();
    let both = tokio::join!(ask(), ask());
    assert_eq!(both, (None, None));
    assert_eq!(nodes.server.calls(Operation::Get), before + 2, "it is not only confirmed, it is not trusted");
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

async fn a_read_that_was_sent_before_a_change_was_made_leaves_no_copy(compares: bool) {
    for (how, operation) in [("delete", Operation::Delete), ("set", Operation::Set), ("clear", Operation::Clear)] {
        let (tier, server, _) = tier(compares);
        Cache::new(Arc::clone(&tier)).set("key", "old", Ttl::Default).await.unwrap();
        advance(LAG).await;
        // The change is sent and not made yet, a read finds what was before it, and its answer comes last.
        let (change, answer) =
            (server.on(operation).next(1).hold(), server.on(Operation::Get).next(1).afterwards().hold());
        let changed = tokio::spawn({
            let tier = Arc::clone(&tier);
            async move {
                match how {
                    "delete" => tier.delete("key").await.map(drop),
                    "set" => tier.set("key", Value::from_bytes("new"), None).await,
                    _ => tier.clear("k").await,
                }
            }
        });
        change.reached(1).await;
        let late = tokio::spawn({
            let tier = Arc::clone(&tier);
            async move { tier.get("key").await.map(drop) }
        });
        answer.reached(1).await;
        change.end();
        changed.await.unwrap().unwrap();
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
    nodes.pass(MINUTE.saturating_sub(LAG / 4)).await;
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
