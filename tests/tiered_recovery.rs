//! Purges that could not be made, and what becomes of them.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;
mod tiers;

use std::time::Duration;

use axum_caching::{
    Backend, Breaker, BreakerState, Cache, ErrorKind, Profile, TieredBackend, Ttl, Value,
    testing::{LocalBackplane, ManualClock, Operation},
};
use bytewise::settle;
use tiers::{LAG, PURGES, connected, nodes, read, server, tier};
use tokio::time::{Instant, advance, sleep, timeout};

with_and_without_compare_and_set! {
    a_purge_that_failed_is_made_once_the_server_is_back,
    a_node_serves_nothing_that_it_could_not_purge,
    a_purge_that_the_breaker_refused_is_made_up_for,
}

/// As [`purge`], of a server that cannot be reached.
async fn purge_in_vain(cache: &Cache, how: &str) {
    let name = cache.memoizer::<String>("text");
    let key = name.make_cache_key(&7).unwrap();
    let failed = match how {
        "delete" => name.delete_memoized_for(&7).await.is_err(),
        "delete_many" => cache.delete_many([key.as_str(), "other"]).await.is_err(),
        "clear" => cache.clear().await.is_err(),
        "purge_tag" => cache.purge_tag("tag").await.is_err(),
        "set" => cache.set(&key, "of another kind", Ttl::Default).await.is_err(),
        other => panic!("{other} is no purge"),
    };
    assert!(failed, "{how}");
}

async fn a_purge_that_failed_is_made_once_the_server_is_back(compares: bool) {
    for how in PURGES {
        let nodes = nodes(compares);
        assert_eq!(read(&nodes.here, "old").await, "old");
        let outage = nodes.server.on(Operation::ALL).fail(ErrorKind::Connect);
        purge_in_vain(&nodes.here, how).await;
        outage.end();
        // Nobody asks this node for anything; the task that makes it up tries once a second.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(read(&nodes.there, "new").await, "new", "{how}");
        assert_eq!(read(&nodes.here, "none").await, "new", "{how}");
    }
}

async fn a_node_serves_nothing_that_it_could_not_purge(compares: bool) {
    for how in PURGES {
        let nodes = nodes(compares);
        assert_eq!(read(&nodes.here, "old").await, "old");
        let outage = nodes.server.on(Operation::WRITES).fail(ErrorKind::Connect);
        purge_in_vain(&nodes.here, how).await;
        assert_eq!(read(&nodes.here, "new").await, "new", "{how}: reads work, and find what is there still");
        nodes.pass(LAG).await;
        assert_eq!(read(&nodes.here, "newer").await, "newer", "{how}");
        outage.end();
        assert_eq!(read(&nodes.here, "newest").await, "newest", "{how}: it is made before the read");
    }
}

async fn a_purge_that_the_breaker_refused_is_made_up_for(compares: bool) {
    for how in PURGES {
        let clock = ManualClock::new();
        let server = server(compares, &clock);
        let breaker = Breaker::default().failures(1).open_for(Duration::from_secs(600));
        let here = Cache::builder(TieredBackend::new(server.clone())).clock(clock.clock()).breaker(breaker).build();
        assert_eq!(read(&here, "old").await, "old");
        let outage = server.on(Operation::ALL).fail(ErrorKind::Connect);
        assert!(here.get::<String>("other").await.is_err());
        let calls = server.calls(Operation::WRITES);
        purge_in_vain(&here, how).await;
        assert_eq!(server.calls(Operation::WRITES), calls, "{how}: it was not even asked");
        assert_eq!(read(&here, "new").await, "new", "{how}: the copy is gone");
        outage.end();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let there = Cache::builder(TieredBackend::new(server)).clock(clock.clock()).build();
        assert_eq!(read(&there, "new").await, "new", "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_after_a_purge_that_failed_stays() {
    let nodes = nodes(true);
    nodes.here.set("key", "old", Ttl::Default).await.unwrap();
    let outage = nodes.server.on(Operation::WRITES).fail(ErrorKind::Connect);
    nodes.here.delete("key").await.unwrap_err();
    outage.end();
    nodes.here.set("key", "new", Ttl::Default).await.unwrap();
    let deletions = nodes.server.calls(Operation::Delete);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(nodes.server.calls(Operation::Delete), deletions, "there is nothing to make up for");
    assert_eq!(nodes.there.get::<String>("key").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn a_set_that_failed_is_made_up_for_as_a_deletion() {
    let nodes = nodes(true);
    nodes.here.set("key", "old", Ttl::Default).await.unwrap();
    let outage = nodes.server.on(Operation::ALL).fail(ErrorKind::Connect);
    nodes.here.set("key", "never", Ttl::Default).await.unwrap_err();
    outage.end();
    tokio::time::sleep(Duration::from_secs(3)).await;
    for node in [&nodes.here, &nodes.there] {
        assert_eq!(node.get::<String>("key").await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_that_finds_no_room_leaves_nothing_of_what_was_there() {
    for asks_at_once in [true, false] {
        let nodes = nodes(true);
        nodes.here.set("key", "old", Ttl::Default).await.unwrap();
        nodes.server.on(Operation::Set).fail(ErrorKind::TooLarge);
        let error = nodes.here.set("key", "new", Ttl::Default).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        if asks_at_once {
            assert_eq!(nodes.here.get::<String>("key").await.unwrap(), None);
        }
        sleep(Duration::from_secs(3)).await;
        for node in [&nodes.here, &nodes.there] {
            assert_eq!(node.get::<String>("key").await.unwrap(), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_was_asked_for_where_it_could_not_be_made_is_made_up_for() {
    let nodes = nodes(true);
    nodes.here.set("key", "old", Ttl::Default).await.unwrap();
    let outage = nodes.server.on(Operation::Delete).next(1).fail(ErrorKind::Config);
    nodes.here.delete("key").await.unwrap_err();
    outage.end();
    assert_eq!(nodes.here.get::<String>("key").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn of_many_that_failed_for_a_key_one_deletion_is_made() {
    let nodes = nodes(true);
    let outage = nodes.server.on(Operation::ALL).fail(ErrorKind::Connect);
    for _ in 0..10 {
        nodes.here.set("key", "never", Ttl::Default).await.unwrap_err();
    }
    outage.end();
    let deletions = nodes.server.calls(Operation::Delete);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(nodes.server.calls(Operation::Delete), deletions + 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_made_up_for_is_told_to_the_other_nodes() {
    let backplane = LocalBackplane::default();
    let nodes = connected(true, &backplane);
    read(&nodes.here, "old").await;
    let outage = nodes.server.on(Operation::WRITES).fail(ErrorKind::Connect);
    nodes.here.purge_tag("tag").await.unwrap_err();
    assert_eq!(read(&nodes.there, "none").await, "old", "nothing was purged");
    let before = backplane.messages().len();
    outage.end();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(backplane.messages().len() > before);
    assert_eq!(read(&nodes.there, "new").await, "new");
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_nobody_waits_for_any_more_is_made_up_for() {
    let (tier, server, _) = tier(true);
    let cache = Cache::new(std::sync::Arc::clone(&tier));
    cache.set("key", "old", Ttl::Default).await.unwrap();
    let hang = server.on(Operation::Delete).next(1).hold();
    let dropped = tokio::time::timeout(LAG / 4, tier.delete("key")).await;
    assert!(dropped.is_err(), "it hangs");
    hang.end();
    assert!(tier.get_now("key").is_none());
    assert!(tier.get("key").await.unwrap().is_none(), "made before the read");
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_the_server_refused_for_good_is_not_tried_again() {
    let (tier, server, _) = tier(true);
    server.on(Operation::Clear).fail(ErrorKind::Unsupported);
    server.on(Operation::Set).fail(ErrorKind::Key);
    tier.clear("p").await.unwrap_err();
    tier.set("key", Value::from_bytes("x"), None).await.unwrap_err();
    let calls = server.calls(Operation::WRITES);
    advance(Duration::from_secs(5)).await;
    settle().await;
    assert_eq!(server.calls(Operation::WRITES), calls);
}

#[tokio::test(start_paused = true)]
async fn a_purge_is_remembered_until_it_is_made_however_the_attempts_fail() {
    use ErrorKind::{Config, Connect, Decode, Encode, NotAnInteger, Other, Protocol, TooLarge};
    for how in ["delete", "clear"] {
        // `Config` is what a backend with connections answers to a call outside a runtime.
        for kind in [Config, Connect, Decode, Encode, NotAnInteger, Other, Protocol, TooLarge] {
            let nodes = nodes(true);
            nodes.here.set("key", "old", Ttl::Default).await.unwrap();
            let outage = nodes.server.on(Operation::WRITES).fail(ErrorKind::Connect);
            match how {
                "delete" => drop(nodes.here.delete("key").await.unwrap_err()),
                _ => drop(nodes.here.clear().await.unwrap_err()),
            }
            outage.end();
            let outage = nodes.server.on(Operation::WRITES).fail(kind);
            sleep(Duration::from_secs(3)).await;
            drop(nodes.here.get::<String>("key").await);
            outage.end();
            sleep(Duration::from_secs(3)).await;
            assert_eq!(nodes.here.get::<String>("key").await.unwrap(), None, "{how}, {kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_go_on_while_the_server_hangs() {
    let nodes = nodes(true);
    read(&nodes.here, "old").await;
    let hang = nodes.server.on(Operation::ALL).hold();
    assert_eq!(read(&nodes.here, "none").await, "old", "a copy");
    tokio::time::sleep(LAG).await;
    assert_eq!(read(&nodes.here, "by the origin").await, "by the origin");
    let value = nodes.here.get_or_compute("other", Profile::new(), async || 7).await;
    assert_eq!(value, 7);
    hang.end();
}

#[tokio::test(start_paused = true)]
async fn a_clear_that_takes_long_is_made_up_for_once_and_nobody_waits_for_it() {
    let nodes = nodes(true);
    assert_eq!(read(&nodes.here, "old").await, "old");
    nodes.here.set("counter", &7, Ttl::Default).await.unwrap();
    let outage = nodes.server.on(Operation::ALL).fail(ErrorKind::Connect);
    nodes.here.clear().await.unwrap_err();
    outage.end();
    let clears = nodes.server.calls(Operation::Clear);
    nodes.server.on(Operation::Clear).delay(Duration::from_secs(30));

    sleep(Duration::from_secs(2)).await;
    let began = Instant::now();
    assert_eq!(nodes.here.get::<i64>("counter").await.unwrap(), None);
    assert_eq!(nodes.here.get_many::<i64>(["counter"]).await.unwrap(), [None]);
    assert!(!nodes.here.has("counter").await.unwrap());
    assert!(nodes.here.add("lock", "mine", Ttl::Default).await.unwrap());
    assert_eq!(nodes.here.increment("counter", 1).await.unwrap(), 1);
    assert_eq!(read(&nodes.here, "new").await, "new");
    assert_eq!(began.elapsed(), Duration::ZERO);

    sleep(Duration::from_secs(40)).await;
    assert_eq!(nodes.server.calls(Operation::Clear), clears + 1);
    assert_eq!(nodes.here.increment("counter", 1).await.unwrap(), 1);
    assert_eq!(read(&nodes.there, "newer").await, "newer", "cleared at the server");
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_keeps_failing_holds_up_no_later_one() {
    let nodes = nodes(true);
    nodes.here.set("key", "old", Ttl::Default).await.unwrap();
    let clears = nodes.server.on(Operation::Clear).fail(ErrorKind::Connect);
    nodes.here.scoped("other").clear().await.unwrap_err();
    let deletions = nodes.server.on(Operation::Delete).fail(ErrorKind::Connect);
    nodes.here.delete("key").await.unwrap_err();
    deletions.end();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(nodes.there.get::<String>("key").await.unwrap(), None);
    clears.end();
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_is_not_answered_in_time_is_made_up_for() {
    let nodes = nodes(true);
    nodes.here.set("key", "old", Ttl::Default).await.unwrap();
    for how in ["delete", "delete_many"] {
        nodes.here.set("key", "old", Ttl::Default).await.unwrap();
        let hang = nodes.server.on([Operation::Delete, Operation::DeleteMany]).next(1).hold();
        let purged = match how {
            "delete" => nodes.here.delete("key").await.map(drop),
            _ => nodes.here.delete_many(["key"]).await.map(drop),
        };
        assert_eq!(purged.unwrap_err().kind(), ErrorKind::Timeout, "{how}");
        assert_eq!(nodes.here.get::<String>("key").await.unwrap(), None, "{how}");
        hang.end();
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_nobody_waits_for_any_more_are_made_up_for() {
    let (tier, server, _) = tier(true);
    let old = |key| (key, Value::from_bytes("old"));
    tier.set_many(&[old("a"), old("b")], None).await.unwrap();
    let failure = server.on(Operation::Delete).next(1).fail(ErrorKind::Connect);
    tier.delete("a").await.unwrap_err();
    failure.end();
    // It waits for the purge of `a`, and is given up there.
    let hang = server.on(Operation::Delete).next(1).hold();
    let new = [("a", Value::from_bytes("new")), ("b", Value::from_bytes("new"))];
    assert!(timeout(LAG / 4, tier.set_many(&new, None)).await.is_err());
    hang.end();
    assert!(tier.get("b").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn copies_are_served_while_the_breaker_is_open_and_do_not_keep_it_closed() {
    let clock = ManualClock::new();
    let server = server(true, &clock);
    let breaker = Breaker::default().failures(2).open_for(Duration::from_secs(600));
    let here = Cache::builder(TieredBackend::new(server.clone())).clock(clock.clock()).breaker(breaker).build();
    here.set("key", "text", Ttl::Default).await.unwrap();
    let copy = async || here.get::<String>("key").await.map(Option::unwrap_or_default);
    let copies = async || here.get_many::<String>(["key"]).await.map(|found| found[0].clone().unwrap_or_default());

    server.on(Operation::ALL).fail(ErrorKind::Connect);
    for _ in 0..2 {
        here.get::<String>("other").await.unwrap_err();
        assert_eq!(copy().await.unwrap(), "text");
    }
    assert_eq!(here.breaker_state(), BreakerState::Open, "a copy is no answer of the server");
    for part in [0, 3, 3] {
        advance(LAG * part / 8).await;
        assert_eq!((copy().await.unwrap().as_str(), copies().await.unwrap().as_str()), ("text", "text"));
    }
    assert_eq!(here.breaker_state(), BreakerState::Open);
    advance(LAG / 4).await;
    assert_eq!(copy().await.unwrap_err().kind(), ErrorKind::Unavailable, "it is not trusted any more");
    copies().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_is_marked_while_a_clear_is_to_be_made_is_gone_for_all() {
    for how in ["tag", "key"] {
        let nodes = nodes(true);
        let names = nodes.here.memoizer::<String>("text");
        assert_eq!(read(&nodes.here, "old").await, "old");
        let outage = nodes.server.on(Operation::Clear).fail(ErrorKind::Connect);
        nodes.here.clear().await.unwrap_err();
        match how {
            "tag" => nodes.here.mark_stale_tag("tag").await.unwrap(),
            _ => drop(nodes.here.mark_stale(&names.make_cache_key(&7).unwrap()).await.unwrap()),
        }
        assert_eq!(read(&nodes.there, "new").await, "new", "{how}");
        outage.end();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_once_a_purge_was_made_up_for_is_not_taken_away_by_the_task_that_waited() {
    let nodes = nodes(true);
    let failure = nodes.server.on(Operation::Delete).next(1).fail(ErrorKind::Connect);
    nodes.here.delete("key").await.unwrap_err();
    failure.end();
    // It makes up for the purge first, and the task comes meanwhile. What that may send would arrive late.
    let [first, second] = [(), ()].map(|()| nodes.server.on(Operation::Delete).next(1).hold());
    let set = tokio::spawn({
        let here = nodes.here.clone();
        async move { here.set("key", "older", Ttl::Default).await }
    });
    first.reached(1).await;
    sleep(Duration::from_millis(1_100)).await;
    first.end();
    set.await.unwrap().unwrap_err();
    settle().await;
    nodes.here.set("key", "new", Ttl::Default).await.unwrap();
    second.end();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(nodes.there.get::<String>("key").await.unwrap().as_deref(), Some("new"));
}
