//! Nodes that tell each other what they change: what is gained by it, and that nothing depends on it.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;
mod tiers;

use std::sync::{Arc, Mutex};

use axum_caching::{
    Backend, Backplane, Listener, TieredBackend, Ttl, Value,
    testing::{LocalBackplane, ManualClock, Operation},
};
use bytes::Bytes;
use tiers::{LAG, Nodes, PURGES, connected, purge, read, server};

with_and_without_compare_and_set! {
    a_purge_on_one_node_is_seen_on_the_other_at_once,
    messages_that_get_lost_cost_the_lag_and_no_more,
    messages_that_come_twice_or_out_of_order_cost_a_read_and_no_more,
}

async fn a_purge_on_one_node_is_seen_on_the_other_at_once(compares: bool) {
    for how in PURGES {
        let nodes = connected(compares, &LocalBackplane::default());
        assert_eq!(read(&nodes.here, "old").await, "old");
        assert_eq!(read(&nodes.there, "none").await, "old");
        purge(&nodes.here, how).await;
        assert_eq!(read(&nodes.there, "new").await, "new", "{how}");
        assert_eq!(read(&nodes.here, "none").await, "new", "{how}");
    }
}

async fn messages_that_get_lost_cost_the_lag_and_no_more(compares: bool) {
    for how in PURGES {
        let backplane = LocalBackplane::default();
        let nodes = connected(compares, &backplane);
        read(&nodes.here, "old").await;
        read(&nodes.there, "none").await;
        backplane.cut(true);
        purge(&nodes.here, how).await;
        assert_eq!(read(&nodes.there, "none").await, "old", "{how}: a copy");
        nodes.pass(LAG).await;
        assert_eq!(read(&nodes.there, "new").await, "new", "{how}");
    }
}

async fn messages_that_come_twice_or_out_of_order_cost_a_read_and_no_more(compares: bool) {
    let backplane = LocalBackplane::default();
    let nodes = connected(compares, &backplane);
    for (number, how) in PURGES.into_iter().enumerate() {
        let text = ["one", "two", "three", "four", "five"][number];
        assert_eq!(read(&nodes.here, text).await, text);
        for message in backplane.messages().iter().rev().chain(&backplane.messages()) {
            backplane.repeat(message);
        }
        assert_eq!(read(&nodes.there, "none").await, text);
        purge(&nodes.here, how).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_drops_the_copy_and_reads_nothing() {
    let nodes = connected(true, &LocalBackplane::default());
    for number in 0..20 {
        nodes.here.set(&format!("key {number}"), "old", Ttl::Default).await.unwrap();
        nodes.there.get::<String>(&format!("key {number}")).await.unwrap();
    }
    let reads = || nodes.server.calls(Operation::READS);
    let before = reads();
    let keys: Vec<_> = (0..20).map(|number| format!("key {number}")).collect();
    nodes.here.delete_many(&keys).await.unwrap();
    assert_eq!(reads(), before);
    assert_eq!(nodes.there.usage().unwrap().entries, 0);
    assert_eq!(nodes.there.get::<String>("key 3").await.unwrap(), None);
    assert_eq!(reads(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_voids_the_reads_that_are_under_way() {
    let nodes = connected(true, &LocalBackplane::default());
    nodes.here.set("key", "old", Ttl::Default).await.unwrap();
    nodes.there.get::<String>("other").await.unwrap();
    let answer = nodes.server.on(Operation::Get).next(1).afterwards().hold();
    let late = tokio::spawn({
        let there = nodes.there.clone();
        async move { there.get::<String>("key").await.unwrap() }
    });
    answer.reached(1).await;
    nodes.here.delete("key").await.unwrap();
    answer.end();
    assert_eq!(late.await.unwrap().as_deref(), Some("old"), "it began before the purge");
    assert_eq!(nodes.there.get::<String>("key").await.unwrap(), None);
}

/// The nodes say nothing: the test does, in place of a server that tells what was changed.
#[derive(Clone, Debug, Default)]
struct Telling(Arc<Mutex<Vec<Listener>>>);

impl Telling {
    fn changed(&self, keys: &[&str]) {
        self.0.lock().unwrap().iter().for_each(|listener| listener.changed(keys.iter().copied()));
    }
}

impl Backplane for Telling {
    fn publish(&self, _: Bytes) {}

    fn subscribe(&self, listener: Listener) {
        self.0.lock().unwrap().push(listener);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_tells_of_keys_takes_their_copies_and_voids_the_reads_under_way() {
    let (clock, server) = (ManualClock::new(), tiers::server(true, &ManualClock::new()));
    let telling = Telling::default();
    let tier = TieredBackend::builder(server.clone()).backplane(telling.clone()).build();
    let cache = tiers::node(tier, &clock);
    for key in ["one", "two", "three"] {
        cache.set(key, "old", Ttl::Default).await.unwrap();
    }
    // Past the node, and told.
    let change = async |keys: &[&str]| {
        server.delete_many(keys).await.unwrap();
        telling.changed(keys);
    };
    let before = server.calls(Operation::READS);
    change(&["one", "two", "none"]).await;
    assert_eq!(server.calls(Operation::READS), before, "nothing is read");
    assert_eq!(cache.usage().unwrap().entries, 1);
    for (key, expected) in [("one", None), ("two", None), ("three", Some("old"))] {
        assert_eq!(cache.get::<String>(key).await.unwrap().as_deref(), expected, "{key}");
    }

    telling.changed(&["three"]);
    let answer = server.on(Operation::Get).next(1).afterwards().hold();
    let late = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get::<String>("three").await.unwrap() }
    });
    answer.reached(1).await;
    change(&["three"]).await;
    answer.end();
    assert_eq!(late.await.unwrap().as_deref(), Some("old"), "it began before the change");
    assert_eq!(cache.get::<String>("three").await.unwrap(), None);

    drop(cache);
    telling.changed(&["one"]);
    assert!(!telling.0.lock().unwrap()[0].is_wanted(), "nobody listens any more");
}

#[tokio::test(start_paused = true)]
async fn a_node_ignores_its_own_messages() {
    let backplane = LocalBackplane::default();
    let Nodes { here, server, .. } = connected(true, &backplane);
    here.get::<String>("other").await.unwrap();
    here.set("key", "new", Ttl::Default).await.unwrap();
    for message in backplane.messages() {
        backplane.repeat(&message);
    }
    let before = server.calls(Operation::READS);
    assert_eq!(here.get::<String>("key").await.unwrap().as_deref(), Some("new"));
    assert_eq!(server.calls(Operation::READS), before, "what it stored itself is its copy");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_takes_all_copies_with_it_and_is_made_anew() {
    let backplane = LocalBackplane::default();
    let nodes = connected(true, &backplane);
    read(&nodes.here, "old").await;
    read(&nodes.there, "none").await;
    assert_eq!(backplane.listeners(), 2);
    backplane.disconnect();
    assert_eq!((backplane.listeners(), nodes.there.usage().unwrap().entries), (0, 0));
    read(&nodes.there, "none").await;
    assert_eq!(backplane.listeners(), 1);
    purge(&nodes.here, "delete").await;
    assert_eq!(read(&nodes.there, "new").await, "new", "it hears again");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_nobody_understands_takes_all_copies() {
    let backplane = LocalBackplane::default();
    let nodes = connected(true, &backplane);
    nodes.here.set("key", "old", Ttl::Default).await.unwrap();
    for message in [&b""[..], b"\x02of a later version", b"\x01\0\0\0\0\0\0\0\0k\xff\xff\xff\xff"] {
        nodes.there.get::<String>("key").await.unwrap();
        assert_eq!(nodes.there.usage().unwrap().entries, 1);
        backplane.repeat(message);
        assert_eq!(nodes.there.usage().unwrap().entries, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_is_no_longer_told() {
    let backplane = LocalBackplane::default();
    let nodes = connected(true, &backplane);
    read(&nodes.here, "old").await;
    read(&nodes.there, "none").await;
    let Nodes { here, there, .. } = nodes;
    drop(there);
    assert_eq!(backplane.listeners(), 1);
    assert_eq!(read(&here, "none").await, "old");
}

#[test]
fn without_a_runtime_nothing_is_subscribed_and_nothing_breaks() {
    let (backplane, clock) = (LocalBackplane::default(), ManualClock::new());
    let server = server(true, &clock);
    let tier = TieredBackend::builder(server).backplane(backplane.clone()).build();
    let done = futures_block_on(async {
        tier.set("key", Value::from_bytes("x"), None).await.unwrap();
        tier.get("key").await.unwrap().is_some()
    });
    assert!(done);
    assert_eq!(backplane.listeners(), 0);
}

/// An executor that is none of tokio's.
fn futures_block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
