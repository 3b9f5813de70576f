//! Purges between processes that share memcached servers.
#![cfg(all(feature = "memcached", feature = "memory", feature = "axum", unix))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum_caching::{Backend, Breaker, Cache, MemcachedBackend, Memoizer, Profile, Ttl, Value};
use support::memcached::{Memcached, pause};
use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

const MINUTE: Duration = Duration::from_secs(60);

/// Two processes, each with its own connections.
struct Nodes {
    here: Cache,
    there: Cache,
    servers: Vec<Memcached>,
}

fn nodes_with(options: &[&str], servers: usize) -> Nodes {
    let servers: Vec<_> = (0..servers).map(|_| Memcached::on_socket(options)).collect();
    let node = || {
        let others = &servers[1..];
        let builder = others.iter().fold(servers[0].builder(), |builder, server| builder.server(server.address()));
        let profile = Profile::ttl(MINUTE).stale_while_revalidate(MINUTE);
        let patient = Duration::from_secs(10);
        Cache::builder(builder.build().unwrap()).profile(profile).backend_timeout(patient).build()
    };
    Nodes { here: node(), there: node(), servers }
}

/// A run that has read its data, and gives it when it is told to. It has begun.
async fn begin(cache: &Cache, text: &'static str) -> (JoinHandle<String>, oneshot::Sender<()>) {
    let ((go, may_go), (begun, has_begun)) = (oneshot::channel::<()>(), oneshot::channel());
    let cache = cache.clone();
    let run = tokio::spawn(async move {
        let value = cache.get_or_compute_owned("key", Profile::new(), async move || {
            begun.send(()).unwrap();
            may_go.await.unwrap();
            text.to_owned()
        });
        value.await
    });
    has_begun.await.unwrap();
    (run, go)
}

async fn read(cache: &Cache, text: &'static str) -> String {
    cache.get_or_compute("key", Profile::new(), async || text.to_owned()).await
}

async fn purge(cache: &Cache, how: &str) {
    match how {
        "delete" => drop(cache.delete("key").await.unwrap()),
        "delete_many" => drop(cache.delete_many(["key", "other"]).await.unwrap()),
        "clear" => cache.clear().await.unwrap(),
        "set" => cache.set("key", "new", Ttl::Default).await.unwrap(),
        "add" => drop(cache.add("key", "new", Ttl::Default).await.unwrap()),
        other => panic!("{other} is no purge"),
    }
}

#[tokio::test]
async fn a_purge_of_one_process_wins_against_the_fill_of_another() {
    for servers in [1, 3] {
        for how in ["delete", "delete_many", "clear", "set", "add"] {
            let nodes = nodes_with(&[], servers);
            let (run, go) = begin(&nodes.here, "old").await;
            purge(&nodes.there, how).await;
            go.send(()).unwrap();
            assert_eq!(run.await.unwrap(), "old", "its own caller");
            assert!(nodes.here.close().await);
            for node in [&nodes.here, &nodes.there] {
                assert_eq!(read(node, "new").await, "new", "{how}");
            }
        }
    }
}

#[tokio::test]
async fn a_clear_of_one_process_is_seen_by_the_next_look_of_another() {
    let nodes = nodes_with(&[], 3);
    let (here, there) = (nodes.here.scoped("shop"), nodes.there.scoped("shop"));
    for round in 0..20 {
        for number in 0..30 {
            here.set(&format!("{number}"), &round, Ttl::Forever).await.unwrap();
        }
        nodes.here.set("stays", &round, Ttl::Forever).await.unwrap();
        assert_eq!(there.get::<i32>("7").await.unwrap(), Some(round));
        here.clear().await.unwrap();
        for number in 0..30 {
            assert_eq!(there.get::<i32>(&format!("{number}")).await.unwrap(), None, "{number}");
            assert!(!there.has(&format!("{number}")).await.unwrap());
            assert!(!there.delete(&format!("{number}")).await.unwrap());
        }
        assert_eq!(nodes.there.get::<i32>("stays").await.unwrap(), Some(round), "another scope's");
    }
    nodes.there.clear().await.unwrap();
    assert_eq!(nodes.here.get::<i32>("stays").await.unwrap(), None);
    let flushes: u64 = nodes.servers.iter().map(|server| server.stat("cmd_flush")).sum();
    assert_eq!(flushes, 0);
}

/// Two backends, without a cache in front that would know of its own clears.
#[tokio::test]
async fn nothing_is_stored_under_stamps_that_were_cleared_by_another() {
    let server = Memcached::on_socket(&[]);
    let (here, there) = (server.backend(), server.backend());
    let value = || Value::from_bytes("1");
    for _ in 0..10 {
        // Both know the record of clears now.
        here.set("a", value(), None).await.unwrap();
        assert!(there.has("a").await.unwrap());
        there.clear("").await.unwrap();
        assert!(!here.compare_and_set("a", b"1", value(), None).await.unwrap(), "what it would replace is gone");
        there.clear("").await.unwrap();
        assert_eq!(here.increment("n", 5).await.unwrap(), 5);
        there.clear("").await.unwrap();
        assert!(here.add("b", value(), None).await.unwrap());
        there.clear("").await.unwrap();
        here.set_many(&[("c", value()), ("d", value())], None).await.unwrap();
        for key in ["a", "n", "b"] {
            assert!(!there.has(key).await.unwrap(), "{key}");
        }
        for key in ["c", "d"] {
            assert!(there.delete(key).await.unwrap(), "what was stored after the clear is there: {key}");
        }
    }
}

#[tokio::test]
async fn a_server_whose_record_of_clears_is_lost_has_misses_and_nothing_old() {
    let server = Memcached::on_socket(&[]);
    let (here, there) = (server.backend(), server.backend());
    for round in 0..5 {
        let value = || Value::from_bytes(format!("{round}"));
        here.set("key", value(), None).await.unwrap();
        here.set("other", value(), None).await.unwrap();
        assert!(there.has("key").await.unwrap());
        // As an eviction would do it.
        assert_eq!(server.say("delete ~axum-caching/cleared\r\n", "\r\n"), "DELETED\r\n");
        assert!(there.get("key").await.unwrap().is_none());
        assert!(!here.compare_and_set("key", b"", value(), None).await.unwrap());
        assert!(there.add("key", value(), None).await.unwrap(), "it is used again");
        assert!(here.has("key").await.unwrap());
        assert!(!here.has("other").await.unwrap(), "what was stored before is not found again");
    }
}

#[tokio::test]
async fn a_record_of_clears_that_is_something_else_is_written_anew() {
    let server = Memcached::on_socket(&[]);
    let backend = server.backend();
    for garbage in ["set ~axum-caching/cleared 0 0 3\r\nabc\r\n", "set ~axum-caching/cleared 0 0 0\r\n\r\n"] {
        assert_eq!(server.say(garbage, "\r\n"), "STORED\r\n");
        assert!(backend.get("key").await.unwrap().is_none());
        backend.set("key", Value::from_bytes("1"), None).await.unwrap();
        assert!(backend.has("key").await.unwrap());
    }
}

#[tokio::test]
async fn a_tag_that_one_process_purges_is_gone_for_all() {
    let nodes = nodes_with(&[], 3);
    let of = |cache: &Cache| -> Memoizer<String> { cache.memoizer("pages") };
    let (here, there) = (of(&nodes.here), of(&nodes.there));
    for page in 0..20 {
        assert_eq!(here.at(&page).tags(["news"]).call(async || "old".to_owned()).await, "old");
    }
    assert!(nodes.here.close().await);
    nodes.there.purge_tag("news").await.unwrap();
    for page in 0..20 {
        assert_eq!(there.at(&page).tags(["news"]).call(async || "new".to_owned()).await, "new");
        assert_eq!(here.at(&page).tags(["news"]).call(async || "newer".to_owned()).await, "new");
    }
}

/// What is in the database, and how it is purged. A page that was read before a purge is never served after it.
async fn an_old_page_is_never_served(nodes: &Nodes, changes: u64, body: usize) {
    let database = Arc::new((0..8).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for (number, cache) in [&nodes.here, &nodes.there, &nodes.here, &nodes.there].into_iter().cloned().enumerate() {
        let (database, done) = (Arc::clone(&database), Arc::clone(&done));
        readers.push(tokio::spawn(async move {
            let mut reads = 0_u64;
            while !done.load(Ordering::SeqCst) {
                let page = (usize::try_from(reads).unwrap() * 3 + number) % database.len();
                // Changes are purged before this is raised, so that nothing older may be served from here on.
                let purged = database[page].load(Ordering::SeqCst) / 2;
                let run = async || (database[page].load(Ordering::SeqCst).div_ceil(2), vec![7_u8; body]);
                let (seen, _) = cache.get_or_compute(&format!("page {page}"), MINUTE, run).await;
                assert!(seen >= purged, "page {page}: {seen} after {purged} was purged");
                // Many others, that press on the memory.
                let _ = cache.set(&format!("filler {number} {}", reads % 600), &vec![1_u8; body], MINUTE).await;
                reads += 1;
            }
            reads
        }));
    }
    for change in 0..changes {
        let page = usize::try_from(change).unwrap() % database.len();
        // Odd: it was written and is not purged yet.
        database[page].fetch_add(1, Ordering::SeqCst);
        let by = if change % 2 == 0 { &nodes.here } else { &nodes.there };
        let key = format!("page {page}");
        // One that was not acknowledged is made again.
        while match change % 5 {
            4 => by.clear().await.is_err(),
            _ => by.delete(&key).await.is_err(),
        } {
            sleep(Duration::from_millis(5)).await;
        }
        database[page].fetch_add(1, Ordering::SeqCst);
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_old_page_is_never_served_while_the_server_forgets() {
    // 1 MiB of memory, of which 2 400 fillers are 10.
    let nodes = nodes_with(&["-m", "1", "-I", "512k"], 1);
    let server = nodes.servers[0].address().to_owned();
    let backend = MemcachedBackend::new([&server]).unwrap();
    for number in 0..1_200 {
        backend.set(&format!("filler {number}"), Value::from_bytes(vec![1; 4_000]), None).await.unwrap();
    }
    assert!(nodes.servers[0].stat("evictions") > 0, "it forgets");
    an_old_page_is_never_served(&nodes, changes(400), 4_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_old_page_is_never_served_by_several_servers() {
    an_old_page_is_never_served(&nodes_with(&[], 3), changes(600), 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_old_page_is_never_served_while_servers_hang_and_are_killed() {
    let mut nodes = nodes_with(&[], 2);
    let (first, second) = (nodes.servers[0].address().to_owned(), nodes.servers[1].address().to_owned());
    let node = || {
        let (short, shorter) = (Duration::from_millis(200), Duration::from_millis(60));
        let builder = MemcachedBackend::builder().server(&first).server(&second);
        let backend = builder.timeout(shorter).connect_timeout(shorter).build().unwrap();
        Cache::builder(backend).backend_timeout(short).breaker(Breaker::default().open_for(shorter)).build()
    };
    (nodes.here, nodes.there) = (node(), node());
    let mut servers = std::mem::take(&mut nodes.servers);
    let done = Arc::new(AtomicBool::new(false));
    let chaos = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut blows = 0;
            while !done.load(Ordering::SeqCst) {
                let server = &mut servers[blows / 2 % 2];
                if blows % 2 == 0 {
                    server.signal("STOP");
                    (0..10).for_each(|_| pause());
                    server.signal("CONT");
                } else {
                    server.restart();
                }
                (0..20).for_each(|_| pause());
                blows += 1;
            }
            blows
        }
    });
    an_old_page_is_never_served(&nodes, changes(2_000), 1_000).await;
    done.store(true, Ordering::SeqCst);
    assert!(chaos.join().unwrap() >= 4, "enough happened");
}

/// `MEMCACHED_CHANGES` for longer runs.
fn changes(usual: u64) -> u64 {
    std::env::var("MEMCACHED_CHANGES").map_or(usual, |changes| changes.parse().unwrap())
}
