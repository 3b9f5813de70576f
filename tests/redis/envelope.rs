//! Entries in envelopes, on a real server.

use std::{sync::Arc, time::Duration};

use axum_caching::{
    Backend, Cache, Envelope, KeyRing, Profile, RedisBackend, TieredBackend, Ttl, testing::conformance,
};
use tokio::sync::oneshot;

use crate::support::redis::{Server, eventually};

fn around(redis: RedisBackend) -> Envelope {
    Envelope::builder(redis).compress_above(200).keys(KeyRing::new([7; 32])).build()
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let server = Server::start();
    let backend: Arc<dyn Backend> = Arc::new(around(RedisBackend::new(server.url()).unwrap()));
    assert!(backend.compares());
    conformance::all(&backend, tokio::time::sleep).await;
}

#[tokio::test]
async fn a_purge_of_one_process_wins_against_the_fill_of_another_also_where_a_copy_is_in_memory() {
    let server = Server::start();
    let redis = || RedisBackend::new(server.url()).unwrap();
    let tier = || {
        let redis = redis();
        let backplane = redis.backplane("test");
        TieredBackend::builder(around(redis)).lag(Duration::from_millis(50)).backplane(backplane).build()
    };
    for in_tiers in [false, true] {
        let node = || {
            let backend: Arc<dyn Backend> = if in_tiers { Arc::new(tier()) } else { Arc::new(around(redis())) };
            Cache::builder(backend).profile(Profile::ttl(Duration::from_secs(60))).build()
        };
        let (here, there, raw) = (node(), node(), redis());
        for how in ["delete", "set", "clear"] {
            let (go, may_go) = oneshot::channel::<()>();
            let cache = here.clone();
            let run = tokio::spawn(async move {
                let value = cache.get_or_compute_owned("key", Profile::new(), async move || {
                    may_go.await.unwrap();
                    "old".repeat(200)
                });
                value.await
            });
            eventually("the fill has a place", async || raw.has("key").await.unwrap()).await;
            match how {
                "delete" => drop(there.delete("key").await.unwrap()),
                "set" => there.set("key", &"new".repeat(200), Ttl::Default).await.unwrap(),
                _ => there.clear().await.unwrap(),
            }
            go.send(()).unwrap();
            run.await.unwrap();
            assert!(here.close().await);
            for node in [&here, &there] {
                let found = node.get_or_compute("key", Profile::new(), async || "new".repeat(200)).await;
                assert_eq!(found, "new".repeat(200), "{how}, in tiers: {in_tiers}");
                assert!(node.close().await);
            }
            let stored = raw.get("key").await.unwrap().unwrap().to_bytes().unwrap();
            assert!(!stored.windows(3).any(|part| part == b"new") && stored.len() < 200, "{} bytes", stored.len());
            here.clear().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_marked_stale_is_set_over_what_was_read() {
    let server = Server::start();
    let minute = Duration::from_secs(60);
    let profile = Profile::ttl(minute).stale_while_revalidate(minute);
    let cache = Cache::builder(around(RedisBackend::new(server.url()).unwrap())).profile(profile).build();
    let ask = async |text: &'static str| {
        let text = cache.get_or_compute_owned("key", Profile::new(), async move || text.to_owned()).await;
        assert!(cache.close().await);
        text
    };
    assert_eq!(ask("old").await, "old");
    assert!(cache.mark_stale("key").await.unwrap());
    assert_eq!(ask("new").await, "old", "once more: it was not deleted");
    assert_eq!(ask("newer").await, "new");
}
