//! What cannot be opened is a miss, and what is filled takes its place by compare-and-set.

use std::{sync::Arc, time::Duration};

use axum_caching::{
    Backend, Cache, Envelope, KeyRing, MemoryBackend, Profile, TieredBackend, Ttl, Value, testing::Chaos,
};
use tokio::sync::oneshot;

use crate::{bytewise::settle, common::keys};

/// Two processes over a server that compares.
struct Nodes {
    here: Cache,
    there: Cache,
    server: MemoryBackend,
}

fn nodes(in_tiers: bool) -> Nodes {
    let server = MemoryBackend::default();
    let node = || {
        let envelope = Envelope::builder(Chaos::remote(server.clone())).compress_above(500).keys(keys()).build();
        let backend: Arc<dyn Backend> =
            if in_tiers { Arc::new(TieredBackend::new(envelope)) } else { Arc::new(envelope) };
        assert!(backend.compares());
        Cache::builder(backend).ttl(Duration::from_secs(60)).build()
    };
    Nodes { here: node(), there: node(), server }
}

/// All that can be found under a key and is no entry.
async fn planted(nodes: &Nodes) -> Vec<(&'static str, Value)> {
    let of = async |keys: Option<KeyRing>, key: &str| {
        let server = MemoryBackend::default();
        let builder = Envelope::builder(server.clone()).compress_above(500);
        let builder = match keys {
            Some(keys) => builder.keys(keys),
            None => builder,
        };
        Cache::new(builder.build()).set(key, &"forged".repeat(500), Ttl::Default).await.unwrap();
        Value::from_bytes(server.get(key).await.unwrap().unwrap().to_bytes().unwrap())
    };
    nodes.there.set("other", "moved", Ttl::Default).await.unwrap();
    let moved = nodes.server.get("other").await.unwrap().unwrap();
    let plain = MemoryBackend::default();
    Cache::new(Chaos::remote(plain.clone())).set("key", "forged", Ttl::Default).await.unwrap();
    vec![
        ("digits", Value::from_bytes("1234")),
        ("an integer", Value::integer(1234)),
        ("noise", Value::from_bytes("of another program")),
        ("nothing", Value::from_bytes("")),
        ("plain", Value::from_bytes(plain.get("key").await.unwrap().unwrap().to_bytes().unwrap())),
        ("compressed", of(None, "key").await),
        ("another key", of(Some(KeyRing::new([9; 32])), "key").await),
        ("moved", moved),
        ("later version", Value::from_bytes("axc\u{2}v12345678 and more")),
    ]
}

#[tokio::test]
async fn whatever_is_there_a_fill_takes_its_place() {
    for in_tiers in [false, true] {
        let nodes = nodes(in_tiers);
        for (what, value) in planted(&nodes).await {
            nodes.server.set("key", value, None).await.unwrap();
            let text = nodes.here.get_or_compute("key", Ttl::Default, async || "own".to_owned()).await;
            assert_eq!(text, "own", "{what}");
            assert!(nodes.here.close().await);
            let text = nodes.there.get_or_compute("key", Ttl::Default, async || "neither".to_owned()).await;
            assert_eq!(text, "own", "it was stored over {what}");
            nodes.here.clear().await.unwrap();
            nodes.there.clear().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_purge_wins_against_the_fill_that_would_take_its_place() {
    let nodes = nodes(false);
    for (what, value) in planted(&nodes).await {
        nodes.server.set("key", value, None).await.unwrap();
        let (go, may_go) = oneshot::channel::<()>();
        let here = nodes.here.clone();
        let run = tokio::spawn(async move {
            let value = here.get_or_compute_owned("key", Profile::new(), async move || {
                may_go.await.unwrap();
                "old".to_owned()
            });
            value.await
        });
        settle().await;
        nodes.there.delete("key").await.unwrap();
        go.send(()).unwrap();
        assert_eq!(run.await.unwrap(), "old", "its own caller");
        assert!(nodes.here.close().await);
        let text = nodes.there.get_or_compute("key", Ttl::Default, async || "new".to_owned()).await;
        assert_eq!(text, "new", "{what}");
        nodes.here.clear().await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_deleted_when_it_is_marked_stale() {
    let nodes = nodes(false);
    for (what, value) in planted(&nodes).await {
        nodes.server.set("key", value, None).await.unwrap();
        nodes.here.mark_stale("key").await.unwrap();
        assert!(nodes.server.get("key").await.unwrap().is_none(), "{what}");
    }
}

#[tokio::test]
async fn marking_stale_and_sliding_set_over_what_was_read() {
    let nodes = nodes(false);
    let minute = Duration::from_secs(60);
    let profile = Profile::ttl(minute).stale_while_revalidate(minute);
    let ask = async |text: &'static str| {
        let text = nodes.here.get_or_compute_owned("key", profile, async move || text.repeat(300)).await;
        nodes.here.close().await;
        text
    };
    assert_eq!(ask("old").await, "old".repeat(300));
    let before = nodes.server.get("key").await.unwrap().unwrap().to_bytes().unwrap();
    assert!(nodes.here.mark_stale("key").await.unwrap());
    let after = nodes.server.get("key").await.unwrap().unwrap().to_bytes().unwrap();
    assert_ne!(before[..13], after[..13], "it has a new nonce");
    assert_eq!(ask("new").await, "old".repeat(300), "once more");
    assert_eq!(ask("newer").await, "new".repeat(300));
}

#[tokio::test]
async fn the_lease_of_a_fill_stays_as_it_is() {
    let nodes = nodes(false);
    let (go, may_go) = oneshot::channel::<()>();
    let here = nodes.here.clone();
    let run = tokio::spawn(async move {
        let compute = async move || {
            may_go.await.unwrap();
            "own".to_owned()
        };
        here.get_or_compute_owned("key", Profile::new(), compute).await
    });
    settle().await;
    let lease = nodes.server.get("key").await.unwrap().unwrap().to_bytes().unwrap();
    assert_eq!((lease.len(), &lease[..5]), (13, &b"axc\x01l"[..]));
    assert_eq!(nodes.there.get::<String>("key").await.unwrap(), None);
    go.send(()).unwrap();
    run.await.unwrap();
    assert!(nodes.here.close().await);
    assert_eq!(nodes.there.get::<String>("key").await.unwrap().as_deref(), Some("own"));
}
