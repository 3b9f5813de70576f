//! Purges of one key, and of all.

use std::pin::pin;

use axum_caching::{Cache, MemoryBackend, Profile, Ttl};
use tokio::sync::oneshot;

use crate::{
    nodes::{MINUTE, Nodes, What, at_each_place},
    server::{Class, Line, Server},
    support::held::{poll_once, settle},
};

#[tokio::test]
async fn d1_a_purge_takes_the_ticket_of_a_fill_before_it_says_that_it_is_through() {
    let cache = Cache::new(MemoryBackend::default());
    let (go, went) = oneshot::channel::<()>();
    let run = tokio::spawn({
        let cache = cache.clone();
        async move {
            let old = async || {
                went.await.unwrap();
                "old".to_owned()
            };
            cache.get_or_compute("key", Profile::new(), old).await
        }
    });
    settle().await;
    cache.delete("key").await.unwrap();
    go.send(()).unwrap();
    assert_eq!(run.await.unwrap(), "old", "its own caller");
    assert_eq!(cache.get_or_compute("key", Profile::new(), async || "new".to_owned()).await, "new");
}

#[tokio::test]
async fn d1_no_fill_stores_between_what_a_purge_does_and_its_answer() {
    // In one process, and between two.
    for is_here in [true, false] {
        let nodes = Nodes::new();
        let run = nodes.here.begin(What::Key, "old").await;
        let purger = if is_here { &nodes.here } else { &nodes.there };
        let mut stops = purger.line.stop();
        let purge = purger.begin_purge(What::Key);
        let answer = stops.up_to("delete").await.arrive().await;
        purger.line.go_on();
        let call = run.go().await;
        drop((answer, stops));
        purge.await.unwrap();
        assert_eq!(call.await.unwrap(), "old");
        assert_eq!(nodes.there.read(What::Key, "new").await, "new", "here: {is_here}");
    }
}

#[tokio::test]
async fn d1_a_purge_waits_for_a_store_that_has_looked_at_its_ticket() {
    let line = Line::new(&Server::default(), Class::Live);
    let cache = Cache::new(line.clone());
    let mut stops = line.stop();
    let run = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_compute("key", Profile::new(), async || "old".to_owned()).await }
    });
    let set = stops.up_to("set").await;
    line.go_on();
    let mut purge = pin!(cache.delete("key"));
    for _ in 0..10 {
        assert!(poll_once(&mut purge).await.is_none(), "it could be overtaken");
        settle().await;
    }
    set.pass().await;
    assert!(purge.await.unwrap());
    assert_eq!(run.await.unwrap(), "old");
    assert_eq!(cache.get_or_compute("key", Profile::new(), async || "new".to_owned()).await, "new");
}

#[tokio::test]
async fn d2_a_purge_is_not_forgotten_however_long_a_fill_takes() {
    let nodes = Nodes::new();
    let run = nodes.here.begin(What::Key, "old").await;
    nodes.there.purge(What::Key).await;
    nodes.clock.advance(365 * 24 * 60 * MINUTE);
    run.end().await;
    assert_eq!(nodes.there.read(What::Key, "new").await, "new");
}

#[tokio::test]
async fn d3_f6_an_entry_carries_the_stamp_that_its_namespace_had_when_its_fill_began() {
    // Only there entries carry one: on a server a clear takes away what they depend on.
    let line = Line::new(&Server::default(), Class::Live);
    let cache = Cache::new(line.clone());
    let (go, went) = oneshot::channel::<()>();
    let run = tokio::spawn({
        let cache = cache.clone();
        let old = async || {
            went.await.unwrap();
            "old".to_owned()
        };
        async move { cache.get_or_compute("key", Profile::new(), old).await }
    });
    settle().await;

    // Somebody has the gate of the key, so that a clear comes no further than to its stamp before its caller leaves.
    let mut stops = line.stop();
    let add = tokio::spawn({
        let cache = cache.clone();
        async move { cache.add("key", "nothing", Ttl::DontStore).await.unwrap() }
    });
    let get = stops.next().await.unwrap();
    assert!(poll_once(cache.clear()).await.is_none());
    line.go_on();
    get.pass().await;
    assert!(!add.await.unwrap());
    go.send(()).unwrap();
    assert_eq!(run.await.unwrap(), "old");
    let read = cache.get_or_compute("key", Profile::new(), async || "new".to_owned()).await;
    assert_eq!(read, "new", "what is stored late is dead on arrival");
}

#[tokio::test]
async fn d5_a_fill_has_its_token_from_before_its_origin_ran() {
    let nodes = Nodes::new();
    let run = nodes.here.begin(What::Key, "old").await;
    nodes.there.purge(What::Key).await;
    nodes.server.lose(|_| true);
    run.end().await;
    assert_eq!(nodes.there.read(What::Key, "new").await, "new");
}

#[tokio::test]
async fn d8_nothing_is_served_between_a_store_and_a_look_at_what_was_purged() {
    for what in [What::Key, What::Early, What::Late] {
        at_each_place(async |place| {
            let nodes = Nodes::new();
            nodes.know_late_tags().await;
            let run = nodes.here.begin(what, "old").await;
            let mut stops = nodes.here.line.stop();
            let call = run.go().await;
            let mut seen = 0;
            while let Some(stopped) = stops.next().await {
                if seen == place {
                    nodes.there.purge(what).await;
                }
                stopped.pass().await;
                if seen == place {
                    assert_eq!(nodes.there.read(what, "new").await, "new", "{what:?} purged at {place}");
                }
                seen += 1;
            }
            call.await.unwrap();
            seen
        })
        .await;
    }
}

#[tokio::test]
async fn d9_a_fill_that_dies_at_any_place_leaves_nothing_that_was_purged() {
    for what in [What::Key, What::Early, What::Late] {
        at_each_place(async |place| {
            let nodes = Nodes::new();
            nodes.know_late_tags().await;
            let run = nodes.here.begin(what, "old").await;
            nodes.there.purge(what).await;
            let mut stops = nodes.here.line.stop();
            run.go().await;
            let mut seen = 0;
            while let Some(stopped) = stops.next().await {
                if seen == place {
                    nodes.here.line.die();
                }
                stopped.go_or_die().await;
                seen += 1;
            }
            assert_eq!(nodes.there.read(what, "new").await, "new", "{what:?} died at {place}");
            seen
        })
        .await;
    }
}

#[tokio::test]
async fn f4_a_slot_that_is_absent_again_is_not_the_slot_that_was_absent_before() {
    let nodes = Nodes::new();
    let run = nodes.here.begin(What::Key, "old").await;
    assert!(nodes.server.has("key"), "there is a lease");
    nodes.there.purge(What::Key).await;
    assert!(!nodes.server.has("key"));
    run.end().await;
    assert!(!nodes.server.has("key"));
    assert_eq!(nodes.there.read(What::Key, "new").await, "new");
}

#[tokio::test]
async fn f5_no_purge_comes_between_the_comparison_of_a_slot_and_its_store() {
    // The first fill of a key, over its own lease; and one over an entry.
    for is_first in [true, false] {
        at_each_place(async |place| {
            let nodes = Nodes::new();
            if !is_first {
                nodes.here.read(What::Key, "older").await;
                nodes.clock.advance(3 * MINUTE);
            }
            let run = nodes.here.begin(What::Key, "old").await;
            let mut stops = nodes.here.line.stop();
            let call = run.go().await;
            let mut seen = 0;
            while let Some(stopped) = stops.next().await {
                if seen == place {
                    nodes.there.purge(What::Key).await;
                }
                stopped.pass().await;
                seen += 1;
            }
            nodes.here.line.go_on();
            call.await.unwrap();
            if place < seen {
                assert_eq!(nodes.there.read(What::Key, "new").await, "new", "purged at {place}");
            }
            seen
        })
        .await;
    }
}

#[tokio::test]
async fn f8_a_purge_after_a_commit_begins_when_the_commit_has_ended() {
    let nodes = Nodes::new();
    let (commit, committed) = oneshot::channel::<()>();
    let purge = tokio::spawn({
        let purge = nodes.there.cache.purge().key("key");
        async move { purge.after(committed).await.unwrap().1.is_complete() }
    });
    settle().await;
    // Who reads now reads what is not committed yet.
    assert_eq!(nodes.here.read(What::Key, "old").await, "old");
    commit.send(()).unwrap();
    assert!(purge.await.unwrap());
    assert_eq!(nodes.here.read(What::Key, "new").await, "new");
}
