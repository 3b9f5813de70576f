//! Servers that are killed, stopped, cut off, filled and replaced while several nodes read and purge.
//!
//! `REDIS_CHAOS_SECONDS` makes it longer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum_caching::{RedisBackend, RedisBackendBuilder};
use tokio::time::{Instant, sleep};

use crate::{
    shop::{Data, Load, node},
    support::redis::{
        Server,
        cluster::Cluster,
        sentinel::{PASSWORD, SENTINEL_PASSWORD, Watched},
    },
};

fn duration() -> Duration {
    let seconds = std::env::var("REDIS_CHAOS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

fn begin(builder: impl Fn() -> RedisBackendBuilder) -> Load {
    let wait = Duration::from_millis(300);
    let data = Arc::new(Data::default());
    let backend = || builder().connect_timeout(wait).response_timeout(wait).build().unwrap();
    let nodes = (0..3).map(|_| node(&data, backend())).collect();
    Load::begin(data, nodes)
}

fn tenth(round: u32) -> Duration {
    Duration::from_millis(u64::from(50 + round * 37 % 150))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_trouble_of_a_server_fails_a_request_or_serves_what_was_purged() {
    let mut server = Server::start();
    let load = begin(|| RedisBackend::builder(server.url()));
    load.await_hits(100).await;
    let (began, mut round) = (Instant::now(), 0);
    while began.elapsed() < duration() {
        match round % 5 {
            0 => {
                server.kill();
                sleep(tenth(round)).await;
                server.launch();
            }
            1 => {
                server.hang();
                sleep(tenth(round) * 3).await;
                server.resume();
            }
            2 => {
                for _ in 0..10 {
                    let _ = server.try_run::<i64>("CLIENT KILL TYPE normal SKIPME yes");
                    sleep(Duration::from_millis(5)).await;
                }
            }
            3 => server.run::<()>("FLUSHALL"),
            _ => {
                let _ = server.try_run::<()>("CLIENT PAUSE 300 WRITE");
                sleep(tenth(round)).await;
            }
        }
        load.await_hits(50).await;
        round += 1;
    }
    load.end("one server").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_evicted_costs_misses_and_no_old_page() {
    let settings = ["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru", "--maxmemory-samples", "1"];
    let server = Server::with(&settings);
    let load = begin(|| RedisBackend::builder(server.url()));
    let (began, mut filled) = (Instant::now(), 0_u64);
    let mut connection = server.connection();
    while began.elapsed() < duration() {
        for _ in 0..20 {
            let mut command = redis::cmd("SET");
            command.arg(format!("filler {filled}")).arg("x".repeat(4_000));
            command.query::<()>(&mut connection).unwrap();
            filled += 1;
        }
        sleep(Duration::from_millis(10)).await;
    }
    load.await_hits(100).await;
    let stats: String = server.run("INFO stats");
    let evicted = stats.lines().find_map(|line| line.strip_prefix("evicted_keys:")).unwrap();
    assert!(evicted.parse::<u64>().unwrap() > 500, "{evicted}");
    load.end("evictions").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_fail_no_request_and_serve_nothing_that_was_purged() {
    let cluster = Cluster::start();
    let load = begin(|| RedisBackend::cluster(cluster.seeds()));
    load.await_hits(100).await;
    let slots: Vec<u16> = (0..8).map(|page| cluster.slot_of(&format!("view//{page}"))).collect();
    let (began, mut moved) = (Instant::now(), 0);
    while began.elapsed() < duration() || moved < slots.len() {
        let slot = slots[moved % slots.len()];
        let to = (cluster.owner_of(slot) + 1) % 3;
        let from = cluster.begin_move(slot, to);
        sleep(Duration::from_millis(30)).await;
        cluster.move_keys(slot, from, to);
        sleep(Duration::from_millis(30)).await;
        // What was stored meanwhile.
        cluster.move_keys(slot, from, to);
        cluster.end_move(slot, from, to);
        moved += 1;
        load.await_hits(20).await;
    }
    load.end("moving slots").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_followed() {
    let mut watched = Watched::start();
    let addresses = watched.addresses();
    let load = begin(|| {
        let builder = RedisBackend::sentinel("shop", addresses.clone());
        builder.password(PASSWORD).sentinel_password(SENTINEL_PASSWORD)
    });
    load.await_hits(100).await;
    // Replication is behind: the replica may not have heard of the last purges. That is said in the documentation.
    load.data.lenient.store(true, Ordering::SeqCst);
    watched.master.kill();
    watched.await_failover();
    load.await_hits(100).await;
    load.purge_all().await;
    load.data.lenient.store(false, Ordering::SeqCst);
    load.await_hits(200).await;
    load.end("failover").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_hangs_is_left_for_the_one_that_took_over() {
    let watched = Watched::start();
    let addresses = watched.addresses();
    let load = begin(|| {
        let builder = RedisBackend::sentinel("shop", addresses.clone());
        builder.password(PASSWORD).sentinel_password(SENTINEL_PASSWORD)
    });
    load.await_hits(100).await;
    load.data.lenient.store(true, Ordering::SeqCst);
    watched.master.hang();
    watched.await_failover();
    load.await_hits(100).await;
    // The old one is a replica from now on, and takes no writes of those who are still connected.
    watched.master.resume();
    crate::support::redis::until("it follows", || Watched::info(&watched.master).contains("role:slave"));
    load.purge_all().await;
    load.data.lenient.store(false, Ordering::SeqCst);
    load.await_hits(200).await;
    load.end("a hanging master").await;
}
