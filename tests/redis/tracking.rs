//! Nodes with copies of their own over one server, which the server tells what was changed.

use std::time::Duration;

use axum_caching::{Cache, Profile, RedisBackend, RedisBackendBuilder, TieredBackend, Ttl};
use tokio::time::Instant;

use crate::support::redis::{
    Server, eventually,
    sentinel::{PASSWORD, SENTINEL_PASSWORD, Watched},
};

/// Longer than any test: what is seen before is seen because the server said so.
const LAG: Duration = Duration::from_secs(3600);

const PREFIX: &str = "shop:";

/// A node over a connection of its own.
fn node_of(builder: RedisBackendBuilder, lag: Duration) -> (Cache, RedisBackend) {
    let redis = builder.build().unwrap();
    let tier = TieredBackend::builder(redis.clone()).lag(lag).backplane(redis.tracking(PREFIX).unwrap()).build();
    (Cache::builder(tier).key_prefix(PREFIX).profile(Profile::ttl(Duration::from_secs(600))).build(), redis)
}

fn node(server: &Server) -> Cache {
    node_of(RedisBackend::builder(server.url()), LAG).0
}

fn delete(server: &Server, key: &str) {
    server.run::<i64>(&format!("DEL {PREFIX}{key}"));
}

/// Puts something there, past the node, until that has a copy which the server's word takes away.
async fn hears(server: &Server, cache: &Cache) {
    eventually("it hears", async || {
        cache.set("hears", &true, Ttl::Default).await.unwrap();
        cache.get::<bool>("hears").await.unwrap();
        delete(server, "hears");
        tokio::time::sleep(Duration::from_millis(20)).await;
        cache.get::<bool>("hears").await.unwrap().is_none()
    })
    .await;
}

/// Has a copy of what was stored, which stays.
async fn copied(server: &Server, cache: &Cache, key: &str, value: &str) {
    eventually("a copy", async || {
        assert_eq!(cache.get::<String>(key).await.unwrap().as_deref(), Some(value));
        let reads = reads(server);
        cache.get::<String>(key).await.unwrap();
        reads == self::reads(server)
    })
    .await;
}

fn reads(server: &Server) -> u64 {
    server.calls("get") + server.calls("mget")
}

async fn is_gone(cache: &Cache, key: &str) {
    eventually("it is gone", async || cache.get::<String>(key).await.unwrap().is_none()).await;
}

#[tokio::test]
async fn a_change_on_one_node_reaches_the_copies_of_the_other() {
    let server = Server::start();
    let (here, there) = (node(&server), node(&server));
    hears(&server, &here).await;
    hears(&server, &there).await;
    let page = async |cache: &Cache, text: &'static str| {
        let text = cache.memoizer("page").at(&7).tags(["shop"]).call(async move || text.to_owned()).await;
        cache.close().await;
        text
    };
    let key = here.memoizer::<String>("page").make_cache_key(&7).unwrap();
    for how in ["delete", "delete_many", "set", "clear", "tag", "stale"] {
        here.delete(&key).await.unwrap();
        eventually("both have it", async || page(&here, "old").await == "old" && page(&there, "none").await == "old")
            .await;
        match how {
            "delete" => drop(here.delete(&key).await.unwrap()),
            "delete_many" => drop(here.delete_many([key.as_str(), "other"]).await.unwrap()),
            "set" => here.set(&key, "of another kind", Ttl::Default).await.unwrap(),
            "clear" => here.clear().await.unwrap(),
            "stale" => drop(here.mark_stale(&key).await.unwrap()),
            _ => here.purge_tag("shop").await.unwrap(),
        }
        eventually(how, async || page(&there, "new").await == "new").await;
        eventually(how, async || page(&here, "newer").await == "new").await;
    }
}

#[tokio::test]
async fn a_key_that_is_deleted_past_all_nodes_is_gone_within_milliseconds() {
    let server = Server::start();
    let cache = node(&server);
    hears(&server, &cache).await;
    let mut admin = server.connection();
    let mut waits = Vec::new();
    for number in 0..100 {
        let key = format!("key {number}");
        cache.set(&key, "old", Ttl::Default).await.unwrap();
        copied(&server, &cache, &key, "old").await;
        let began = Instant::now();
        let _: i64 = redis::cmd("DEL").arg(format!("{PREFIX}{key}")).query(&mut admin).unwrap();
        while cache.get::<String>(&key).await.unwrap().is_some() {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody told of {key}");
            tokio::task::yield_now().await;
        }
        waits.push(began.elapsed());
    }
    waits.sort_unstable();
    println!("from DEL to the copy being gone: median {:?}, worst of 100 {:?}", waits[50], waits[99]);
    assert!(waits[50] < Duration::from_millis(100), "{waits:?}");
}

#[tokio::test]
async fn an_emptied_server_takes_all_copies() {
    let server = Server::start();
    let cache = node(&server);
    for empty in ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"] {
        hears(&server, &cache).await;
        cache.set("one", "old", Ttl::Default).await.unwrap();
        cache.set("two", "old", Ttl::Default).await.unwrap();
        copied(&server, &cache, "one", "old").await;
        copied(&server, &cache, "two", "old").await;
        let _: String = server.run(empty);
        is_gone(&cache, "one").await;
        is_gone(&cache, "two").await;
    }
}

#[tokio::test]
async fn what_a_node_stores_itself_costs_it_a_read_and_no_more() {
    const PAGES: u64 = 40;
    let server = Server::start();
    let keys: Vec<_> = (0..PAGES).map(|page| format!("page {page}")).collect();
    // Each page that is filled is followed by hits on all that are there.
    let work = async |cache: &Cache| {
        server.forget_calls();
        for last in 0..keys.len() {
            for key in &keys[..=last] {
                // (Integers are not copied.)
                cache.get_or_compute(key, Ttl::Default, async || "page".to_owned()).await;
            }
        }
        reads(&server)
    };
    let alone = {
        let redis = RedisBackend::new(server.url()).unwrap();
        let tier = TieredBackend::builder(redis).lag(LAG).build();
        work(&Cache::builder(tier).key_prefix(PREFIX).build()).await
    };
    server.run::<()>("FLUSHALL");
    let cache = node(&server);
    hears(&server, &cache).await;
    let tracked = work(&cache).await;
    println!("{PAGES} fills and their hits: {tracked} reads with tracking, {alone} where nobody listens");
    // A read that is under way when the server speaks is made again.
    assert!(tracked <= alone + 3 * PAGES, "{tracked} reads, {alone} without tracking");

    eventually("all is copied", async || {
        let before = reads(&server);
        for key in keys.iter().cycle().take(1_000) {
            cache.get_or_compute(key, Ttl::Default, async || "none".to_owned()).await;
        }
        reads(&server) == before
    })
    .await;
}

#[tokio::test]
async fn a_thousand_changes_are_heard_and_nothing_is_read() {
    let server = Server::start();
    let (here, there) = (node(&server), node(&server));
    hears(&server, &there).await;
    let keys: Vec<_> = (0..1_000).map(|number| format!("key {number}")).collect();
    for key in &keys {
        here.set(key, "old", Ttl::Default).await.unwrap();
    }
    eventually("all are copied", async || {
        for key in &keys {
            there.get::<String>(key).await.unwrap();
        }
        there.usage().unwrap().entries >= 1_000
    })
    .await;
    server.forget_calls();
    here.delete_many(&keys).await.unwrap();
    eventually("the copies are gone", async || there.usage().unwrap().entries == 0).await;
    assert_eq!(reads(&server), 0);
}

#[tokio::test]
async fn of_other_keys_the_server_says_nothing() {
    let server = Server::start();
    let redis = RedisBackend::new(server.url()).unwrap();
    let tier = TieredBackend::builder(redis.clone()).lag(LAG).backplane(redis.tracking(PREFIX).unwrap()).build();
    let (shop, blog) = (Cache::builder(tier.clone()).key_prefix(PREFIX).build(), Cache::builder(tier).build());
    hears(&server, &shop).await;
    blog.set("blog:post", "old", Ttl::Default).await.unwrap();
    copied(&server, &blog, "blog:post", "old").await;
    server.run::<i64>("DEL blog:post");
    // What is said of this key is said after it.
    hears(&server, &shop).await;
    assert_eq!(blog.get::<String>("blog:post").await.unwrap().as_deref(), Some("old"), "it lags");

    let tier = TieredBackend::builder(redis.clone()).lag(LAG).backplane(redis.tracking("").unwrap()).build();
    let all = Cache::new(tier);
    eventually("with no prefix it hears of all", async || {
        all.set("blog:post", "old", Ttl::Default).await.unwrap();
        all.get::<String>("blog:post").await.unwrap();
        server.run::<i64>("DEL blog:post");
        tokio::time::sleep(Duration::from_millis(20)).await;
        all.get::<String>("blog:post").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_lost_takes_the_copies_with_it_and_is_made_anew() {
    let server = Server::start();
    let (here, there) = (node(&server), node(&server));
    hears(&server, &here).await;
    hears(&server, &there).await;
    // With no prefix of the cache: the server would not tell of it.
    let (redis, key) = (RedisBackend::new(server.url()).unwrap(), "elsewhere");
    let tier = TieredBackend::builder(redis.clone()).lag(LAG).backplane(redis.tracking(PREFIX).unwrap()).build();
    let lags = Cache::new(tier);
    lags.set(key, "old", Ttl::Default).await.unwrap();
    eventually("it listens", async || pubsub_clients(&server) == 3).await;
    copied(&server, &lags, key, "old").await;
    server.run::<i64>(&format!("DEL {key}"));

    let killed: i64 = server.run("CLIENT KILL TYPE pubsub");
    assert_eq!(killed, 3, "all nodes listen, with the bound of subscribers");
    is_gone(&lags, key).await;
    eventually("all listen again", async || pubsub_clients(&server) == 3).await;
    hears(&server, &here).await;
    hears(&server, &there).await;
}

fn pubsub_clients(server: &Server) -> usize {
    server.run::<String>("CLIENT LIST TYPE pubsub").lines().count()
}

#[tokio::test]
async fn a_server_that_restarts_has_the_nodes_listen_again() {
    let mut server = Server::start();
    let cache = node(&server);
    hears(&server, &cache).await;
    cache.set("key", "old", Ttl::Default).await.unwrap();
    copied(&server, &cache, "key", "old").await;
    server.kill();
    eventually("the copies are gone", async || cache.usage().unwrap().entries == 0).await;
    server.launch();
    eventually("it is there again", async || cache.set("key", "new", Ttl::Default).await.is_ok()).await;
    hears(&server, &cache).await;
}

#[tokio::test]
async fn a_connection_that_hangs_takes_the_copies_with_it() {
    let server = Server::start();
    let wait = Duration::from_millis(200);
    let cache = node_of(RedisBackend::builder(server.url()).connect_timeout(wait).response_timeout(wait), LAG).0;
    hears(&server, &cache).await;
    cache.set("key", "old", Ttl::Default).await.unwrap();
    copied(&server, &cache, "key", "old").await;
    server.hang();
    eventually("it is found out", async || cache.usage().unwrap().entries == 0).await;
    server.resume();
    eventually("it is there again", async || cache.set("key", "new", Ttl::Default).await.is_ok()).await;
    hears(&server, &cache).await;
}

#[tokio::test]
async fn a_failover_is_followed() {
    let watched = Watched::start();
    let wait = Duration::from_millis(500);
    let builder = RedisBackend::sentinel("shop", watched.addresses()).password(PASSWORD);
    let builder = builder.sentinel_password(SENTINEL_PASSWORD).connect_timeout(wait).response_timeout(wait);
    let (cache, _) = node_of(builder, LAG);
    let delete = async |server: &Server, key: &str| {
        cache.set(key, "old", Ttl::Default).await.ok()?;
        cache.get::<String>(key).await.ok()?;
        let mut connection = server.connection();
        let _: () = redis::cmd("AUTH").arg(PASSWORD).query(&mut connection).unwrap();
        let _: i64 = redis::cmd("DEL").arg(format!("{PREFIX}{key}")).query(&mut connection).ok()?;
        tokio::time::sleep(Duration::from_millis(20)).await;
        cache.get::<String>(key).await.ok()?.is_none().then_some(())
    };
    eventually("the master tells", async || delete(&watched.master, "key").await.is_some()).await;
    let mut watched = watched;
    watched.master.kill();
    watched.await_failover();
    eventually("the next master tells", async || delete(&watched.replica, "key").await.is_some()).await;
}

/// Stored by another, it is seen once the copy is not trusted any more.
async fn only_lags(server: &Server, cache: &Cache) {
    cache.set("key", "old", Ttl::Default).await.unwrap();
    cache.get::<String>("key").await.unwrap();
    delete(server, "key");
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("old"), "a copy");
    is_gone(cache, "key").await;
}

#[tokio::test]
async fn without_the_right_to_be_told_nodes_only_lag_until_they_have_it() {
    let server = Server::start();
    server.run::<()>("ACL SETUSER user reset on >x ~* +@all -client|tracking");
    let builder = || RedisBackend::builder(server.url()).username("user").password("x");
    let (cache, redis) = node_of(builder(), Duration::from_secs(3));
    cache.get::<String>("key").await.unwrap();
    eventually("it is said", async || redis.lacking() == ["CLIENT TRACKING"]).await;
    only_lags(&server, &cache).await;

    let (cache, redis) = node_of(builder(), LAG);
    cache.set("key", "old", Ttl::Default).await.unwrap();
    copied(&server, &cache, "key", "old").await;
    delete(&server, "key");
    eventually("it is said", async || redis.lacking() == ["CLIENT TRACKING"]).await;
    server.run::<()>("ACL SETUSER user +@all");
    // What was not heard of goes when it begins to hear.
    is_gone(&cache, "key").await;
    assert!(redis.lacking().is_empty(), "{redis:?}");
    hears(&server, &cache).await;
}

#[tokio::test]
async fn without_the_right_to_subscribe_it_hears_all_the_same() {
    let server = Server::start();
    server.run::<()>("ACL SETUSER user reset on >x ~* +@all resetchannels -subscribe");
    let (cache, redis) = node_of(RedisBackend::builder(server.url()).username("user").password("x"), LAG);
    hears(&server, &cache).await;
    assert!(redis.lacking().is_empty(), "{redis:?}");
    assert_eq!(pubsub_clients(&server), 0);
}

#[tokio::test]
async fn a_server_that_does_not_know_how_to_tell_is_said_to_lack_it() {
    for command in ["CLIENT", "HELLO"] {
        let server = Server::with(&["--rename-command", command, ""]);
        let (cache, redis) = node_of(RedisBackend::builder(server.url()), Duration::from_secs(3));
        cache.get::<String>("key").await.unwrap();
        eventually(command, async || redis.lacking() == ["CLIENT TRACKING"]).await;
        only_lags(&server, &cache).await;
    }
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_is_not_said_to_lack_it() {
    let server = Server::start();
    server.run::<()>("ACL SETUSER user reset on >right ~* +@all");
    let (cache, redis) = node_of(RedisBackend::builder(server.url()).username("user").password("wrong"), LAG);
    cache.get::<String>("key").await.unwrap_err();
    let refused = || {
        let info: String = server.run("INFO commandstats");
        let line = info.lines().find(|line| line.starts_with("cmdstat_hello:")).expect("somebody said it");
        line.rsplit('=').next().and_then(|failed| failed.parse::<u32>().ok()).expect("a count")
    };
    let by_the_call = refused();
    eventually("it tries again", async || refused() >= by_the_call + 2).await;
    assert!(redis.lacking().is_empty(), "{redis:?}");
}
