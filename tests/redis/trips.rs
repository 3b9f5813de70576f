//! What the server is asked, counted by the server, and what is left behind.

use std::time::Duration;

use axum_caching::{Cache, RedisBackend, Ttl};

use crate::support::{
    self, fetch, layer,
    redis::{Server, cluster::Cluster},
};

/// How many purges: more where there is time.
fn purges() -> u32 {
    std::env::var("REDIS_PURGES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

type Calls = Vec<(String, u64)>;

fn calls(server: &Server) -> Calls {
    let mut calls = server.all_calls();
    calls.sort();
    calls
}

fn expected(calls: &[(&str, u64)]) -> Calls {
    calls.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect()
}

/// After the first connection, which looks at what the server can do.
async fn counted() -> (Server, Cache) {
    let server = Server::start();
    let cache = Cache::new(RedisBackend::new(server.url()).unwrap());
    cache.get::<i32>("first").await.unwrap();
    server.forget_calls();
    (server, cache)
}

#[tokio::test]
async fn a_page_costs_one_round_trip_if_it_is_there_and_two_more_if_it_is_not() {
    let (server, cache) = counted().await;
    let (app, _) = support::app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/page").await;
    assert!(cache.close().await);
    // Looked up; a lease; and the script, which looks and stores.
    assert_eq!(calls(&server), expected(&[("evalsha", 1), ("get", 1), ("getrange", 1), ("set", 2)]));
    server.forget_calls();
    assert_eq!(fetch(&app, "/page").await.1, "run 1");
    assert_eq!(calls(&server), expected(&[("get", 1)]));
}

#[tokio::test]
async fn a_page_with_a_tag_costs_two_round_trips() {
    let (server, cache) = counted().await;
    let (app, _) = support::app(layer(&cache).tags(["shop"]), |_, run| format!("run {run}"));
    fetch(&app, "/page").await;
    assert!(cache.close().await);
    server.forget_calls();
    assert_eq!(fetch(&app, "/page").await.1, "run 1");
    assert_eq!(calls(&server), expected(&[("get", 2)]));
}

#[tokio::test]
async fn values_cost_one_round_trip_each_and_many_of_them_one() {
    let (server, cache) = counted().await;
    cache.set("n", &1, Ttl::Default).await.unwrap();
    cache.get::<i32>("n").await.unwrap();
    cache.increment("count", 1).await.unwrap();
    cache.get_many::<i32>(["a", "b", "c"]).await.unwrap();
    assert_eq!(calls(&server), expected(&[("get", 1), ("incrby", 1), ("mget", 1), ("set", 1)]));
    server.forget_calls();
    cache.delete_many(["a", "b", "c"]).await.unwrap();
    assert_eq!(calls(&server), expected(&[("unlink", 1)]));
}

#[tokio::test]
async fn a_purge_of_a_key_is_one_round_trip() {
    let (server, cache) = counted().await;
    cache.delete("key").await.unwrap();
    assert_eq!(calls(&server), expected(&[("unlink", 1)]));
}

#[tokio::test]
async fn purging_leaves_nothing_behind_that_does_not_end() {
    let (server, cache) = counted().await;
    let short = Duration::from_millis(200);
    let (app, _) = support::app(layer(&cache).ttl(short).tags(["shop"]), |_, run| format!("run {run}"));
    let round = async |purge: u32| {
        let path = format!("/page/{}", purge % 10);
        fetch(&app, &path).await;
        match purge % 3 {
            0 => drop(cache.delete_cached(&path).await.unwrap()),
            1 => cache.purge_tag("shop").await.unwrap(),
            _ => cache.purge_tag(format!("tag {}", purge % 5)).await.unwrap(),
        }
    };
    for purge in 0..100 {
        round(purge).await;
    }
    let held = server.run::<u64>("DBSIZE");
    for purge in 0..purges() {
        round(purge).await;
    }
    assert!(cache.close().await);
    let keys: Vec<String> = server.run("KEYS *");
    assert!(keys.len() as u64 <= held + 20, "{held} keys became {}: {keys:?}", keys.len());
    for key in keys {
        let mut command = redis::cmd("PTTL");
        let end: i64 = command.arg(&key).query(&mut server.connection()).unwrap();
        assert_ne!(end, -1, "{key} has no end");
    }
    support::redis::eventually("entries expire", async || {
        let keys: Vec<String> = server.run("KEYS *");
        keys.iter().all(|key| key.contains("@t/"))
    })
    .await;
}

#[tokio::test]
async fn no_command_of_a_cluster_has_keys_of_two_slots() {
    let cluster = Cluster::start();
    let cache = Cache::new(RedisBackend::cluster(cluster.seeds()).build().unwrap());
    let keys: Vec<String> = (0..300).map(|key| format!("key {key}")).collect();
    let entries = keys.iter().map(|key| (key.as_str(), key.as_str()));
    cache.set_many(entries, Ttl::Default).await.unwrap();
    let found = cache.get_many::<String>(keys.iter().map(String::as_str)).await.unwrap();
    assert!(found.iter().zip(&keys).all(|(found, key)| found.as_ref() == Some(key)), "in their order");
    assert_eq!(cache.delete_many(keys.iter().map(String::as_str)).await.unwrap(), 300);
    for node in &cluster.nodes {
        let errors: String = node.run("INFO errorstats");
        assert!(!errors.contains("CROSSSLOT"), "{errors}");
    }
}
