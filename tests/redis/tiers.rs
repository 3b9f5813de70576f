//! Nodes with copies of their own over one server, which tell each other what they change by pub/sub.

use std::time::Duration;

use axum_caching::{Backend, Cache, Profile, RedisBackend, TieredBackend, Ttl, Value};

use crate::support::redis::{Server, cluster::Cluster, eventually};

/// Longer than any test: what is seen before is seen by a message.
const LAG: Duration = Duration::from_secs(3600);

fn node(redis: &RedisBackend) -> Cache {
    let tier = TieredBackend::builder(redis.clone()).lag(LAG).backplane(redis.backplane("test")).build();
    Cache::builder(tier).profile(Profile::ttl(Duration::from_secs(600))).build()
}

/// Waits until each of two nodes hears the other.
async fn meet(here: &Cache, there: &Cache) {
    for (key, one, other) in [("here", here, there), ("there", there, here)] {
        let mut tries = 0;
        eventually("they hear each other", async || {
            tries += 1;
            one.set(key, &format!("old {tries}"), Ttl::Default).await.unwrap();
            other.get::<String>(key).await.unwrap();
            let new = format!("new {tries}");
            one.set(key, &new, Ttl::Default).await.unwrap();
            // Either a message comes, or the copy stays for an hour, and the next try tells of it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            other.get::<String>(key).await.unwrap() == Some(new)
        })
        .await;
    }
}

async fn changes_reach_the_other_node(redis: [RedisBackend; 2]) {
    let (here, there) = (node(&redis[0]), node(&redis[1]));
    meet(&here, &there).await;
    for how in ["delete", "set", "clear", "tag"] {
        let page = async |cache: &Cache, text: &'static str| {
            let text = cache.memoizer("page").at(&7).tags(["shop"]).call(async move || text.to_owned()).await;
            cache.close().await;
            text
        };
        let key = here.memoizer::<String>("page").make_cache_key(&7).unwrap();
        here.delete(&key).await.unwrap();
        eventually("both have a copy", async || {
            page(&here, "old").await == "old" && page(&there, "none").await == "old"
        })
        .await;
        match how {
            "delete" => drop(here.delete(&key).await.unwrap()),
            "set" => here.set(&key, "of another kind", Ttl::Default).await.unwrap(),
            "clear" => here.clear().await.unwrap(),
            _ => here.purge_tag("shop").await.unwrap(),
        }
        eventually(how, async || page(&there, "new").await == "new").await;
        assert_eq!(page(&here, "newer").await, "new", "{how}");
        here.delete(&key).await.unwrap();
        eventually("it is gone for the next", async || there.get::<String>(&key).await.unwrap().is_none()).await;
    }
}

#[tokio::test]
async fn a_change_on_one_node_reaches_the_copies_of_the_other() {
    let server = Server::start();
    let redis = || RedisBackend::new(server.url()).unwrap();
    changes_reach_the_other_node([redis(), redis()]).await;
}

#[tokio::test]
async fn a_change_reaches_the_other_node_through_a_cluster() {
    let cluster = Cluster::start();
    let redis = || RedisBackend::cluster(cluster.seeds()).build().unwrap();
    changes_reach_the_other_node([redis(), redis()]).await;
}

#[tokio::test]
async fn a_connection_that_is_lost_takes_the_copies_with_it_and_is_made_anew() {
    let server = Server::start();
    let redis = || RedisBackend::new(server.url()).unwrap();
    let (here, there) = (node(&redis()), node(&redis()));
    meet(&here, &there).await;
    here.set("key", "old", Ttl::Default).await.unwrap();
    eventually("a copy", async || there.get::<String>("key").await.unwrap().as_deref() == Some("old")).await;

    let killed: i64 =
        redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query(&mut server.connection()).unwrap();
    assert_eq!(killed, 2, "both nodes listen");
    // A purge that nobody hears, past both nodes.
    let _: i64 = redis::cmd("DEL").arg("key").query(&mut server.connection()).unwrap();
    eventually("the copies are gone", async || there.get::<String>("key").await.unwrap().is_none()).await;
    meet(&here, &there).await;
}

#[tokio::test]
async fn nodes_without_the_right_to_subscribe_only_lag() {
    let server = Server::start();
    let mut admin = server.connection();
    let rules = ["on", ">pass", "~*", "resetchannels", "+@all", "-subscribe", "-publish"];
    let _: () = redis::cmd("ACL").arg("SETUSER").arg("deaf").arg(&rules).query(&mut admin).unwrap();
    let redis = RedisBackend::builder(server.url()).username("deaf").password("pass").build().unwrap();
    let lag = Duration::from_millis(200);
    let node = || {
        let tier = TieredBackend::builder(redis.clone()).lag(lag).backplane(redis.backplane("test")).build();
        Cache::new(tier)
    };
    let (here, there) = (node(), node());
    here.set("key", "old", Ttl::Default).await.unwrap();
    there.get::<String>("key").await.unwrap();
    here.set("key", "new", Ttl::Default).await.unwrap();
    eventually("the lag", async || there.get::<String>("key").await.unwrap().as_deref() == Some("new")).await;
}

#[tokio::test]
async fn it_keeps_the_rules_of_backends_with_copies_too() {
    let server = Server::start();
    let redis = RedisBackend::new(server.url()).unwrap();
    let tier = TieredBackend::builder(redis.clone()).backplane(redis.backplane("test")).build();
    let tier: std::sync::Arc<dyn Backend> = std::sync::Arc::new(tier);
    tier.set("key", Value::from_bytes("x"), None).await.unwrap();
    axum_caching::testing::conformance::all(&tier, tokio::time::sleep).await;
}
