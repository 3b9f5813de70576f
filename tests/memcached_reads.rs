//! What a read of a memcached server takes away, and what it leaves alone.
#![cfg(all(feature = "memcached", feature = "memory", feature = "axum", unix))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use axum_caching::{Backend, MemcachedBackend, Value, testing::ManualClock};
use support::memcached::{Memcached, relay};
use tokio::time::timeout;

const MINUTE: Duration = Duration::from_secs(60);

/// Writes something under a key that is no entry, as another program would.
async fn spoil(server: &Memcached, backend: &MemcachedBackend, key: &str) {
    backend.set(key, Value::integer(1), None).await.unwrap();
    let ending = format!("/{key}");
    let find = || server.keys().into_iter().find(|wire| wire.ends_with(&ending));
    // It may be about to move one from list to list.
    let wire = (0..100).find_map(|_| find()).unwrap();
    assert_eq!(server.say(&format!("set {wire} 0 0 3\r\nabc\r\n"), "\r\n"), "STORED\r\n");
}

fn deletes(sent: &[u8]) -> bool {
    sent.starts_with(b"md ")
}

async fn get(backend: &MemcachedBackend, how: &str) -> Option<i64> {
    let found = match how {
        "get" => backend.get("key").await.unwrap(),
        _ => backend.get_many(&["key", "other"]).await.unwrap().remove(0),
    };
    found.and_then(|value| value.as_integer())
}

#[tokio::test]
async fn what_cannot_be_read_is_taken_away_so_that_it_can_be_added() {
    let server = Memcached::on_socket(&[]);
    for how in ["get", "get_many"] {
        let backend = server.backend();
        spoil(&server, &backend, "key").await;
        assert_eq!(get(&backend, how).await, None);
        assert!(backend.add("key", Value::integer(2), None).await.unwrap(), "after {how}");
        assert_eq!(get(&backend, how).await, Some(2));
    }
}

/// In the binary protocol.
#[tokio::test]
async fn what_lacks_a_piece_is_taken_away_so_that_it_can_be_added() {
    let mut servers = [Memcached::with_sasl("ada", "secret"), Memcached::with_sasl("ada", "secret")];
    let builder = servers[0].builder().server(servers[1].address()).split_up_to(16 << 20);
    let backend = builder.sasl("ada", "secret").build().unwrap();
    let keys: Vec<_> = (0..8).map(|number| format!("{number}")).collect();
    for key in &keys {
        backend.set(key, Value::from_bytes(vec![7; 3 << 20]), None).await.unwrap();
    }
    servers[1].restart();
    // Calls that find an old connection gone end in an error; once each of them is replaced none does.
    let mut answers = 0;
    for _ in 0..1_000 {
        for key in &keys {
            answers = if backend.has(key).await.is_ok() { answers + 1 } else { 0 };
        }
        if answers >= 10 * keys.len() {
            break;
        }
    }
    let mut torn = 0;
    for key in &keys {
        let is_named = backend.has(key).await.unwrap();
        if is_named && backend.get(key).await.unwrap().is_none() {
            assert!(backend.add(key, Value::integer(2), None).await.unwrap());
            torn += 1;
        }
    }
    assert!(torn > 0, "a piece was on the server that lost all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_takes_away_nothing_that_was_stored_since_it_looked() {
    let server = Memcached::on_socket(&[]);
    for how in ["get", "get_many"] {
        for change in ["set", "increment"] {
            let direct = server.backend();
            spoil(&server, &direct, "key").await;
            let stored = Arc::new(Barrier::new(2));
            let waits = Arc::clone(&stored);
            let address = relay(&server, move |_, sent| {
                if deletes(sent) {
                    // The deletion is on its way, and the change of the other comes before it.
                    waits.wait();
                    waits.wait();
                }
                None
            });
            let reader = server.of(&address).build().unwrap();
            let read = tokio::spawn(async move { get(&reader, how).await });
            let met = Arc::clone(&stored);
            tokio::task::spawn_blocking(move || met.wait()).await.unwrap();
            match change {
                "set" => direct.set("key", Value::integer(7), None).await.unwrap(),
                _ => assert_eq!(direct.increment("key", 7).await.unwrap(), 7),
            }
            tokio::task::spawn_blocking(move || stored.wait()).await.unwrap();
            assert_eq!(read.await.unwrap(), None, "it looked before");
            assert_eq!(get(&direct, "get").await, Some(7), "{how} after {change}");
        }
    }
}

#[tokio::test]
async fn a_read_of_what_is_over_asks_once_and_takes_nothing_away() {
    let server = Memcached::on_socket(&[]);
    let (asked, clock) = (Arc::new(AtomicUsize::new(0)), ManualClock::new());
    let counts = Arc::clone(&asked);
    let address = relay(&server, move |_, _| {
        counts.fetch_add(1, Ordering::SeqCst);
        None
    });
    let backend = server.of(&address).connections(1).clock(clock.clock()).build().unwrap();
    for how in ["get", "get_many"] {
        backend.set("key", Value::integer(1), Some(MINUTE)).await.unwrap();
        clock.advance(MINUTE);
        asked.store(0, Ordering::SeqCst);
        assert_eq!(get(&backend, how).await, None);
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{how}");
        assert!(backend.add("key", Value::integer(2), Some(MINUTE)).await.unwrap(), "it can be stored anew");
        assert_eq!(get(&backend, how).await, Some(2));
    }
    assert_eq!(server.stat("delete_hits"), 0);
}

#[tokio::test]
async fn a_read_does_not_wait_for_ever_for_what_it_takes_away() {
    let server = Memcached::on_socket(&[]);
    let address = relay(&server, |_, sent| {
        if deletes(sent) {
            loop {
                thread::park();
            }
        }
        None
    });
    let backend = server.of(&address).timeout(Duration::from_millis(200)).build().unwrap();
    spoil(&server, &server.backend(), "key").await;
    let read = timeout(MINUTE / 3, get(&backend, "get")).await;
    assert_eq!(read.expect("an answer"), None);
}
#[tokio::test]
async fn a_reader_that_splits_less_leaves_what_others_split() {
    let server = Memcached::on_socket(&["-m", "256"]);
    let writer = server.builder().split_up_to(80 << 20).build().unwrap();
    let reader = server.backend();
    let size = async |backend: &MemcachedBackend| {
        backend.get("key").await.unwrap().map(|value| value.to_bytes().unwrap().len())
    };
    // As much as is read in any case, and more.
    for (bytes, is_read) in [(5 << 20, true), (65 << 20, false)] {
        writer.set("key", Value::from_bytes(vec![7; bytes]), None).await.unwrap();
        assert_eq!(size(&reader).await, is_read.then_some(bytes));
        assert_eq!(reader.get_many(&["key"]).await.unwrap()[0].is_some(), is_read);
        assert!(reader.has("key").await.unwrap());
        assert_eq!(size(&writer).await, Some(bytes), "it is there for who takes it");
    }
}

#[tokio::test]
async fn a_large_value_is_not_sent_to_be_added_where_something_is() {
    let server = Memcached::on_socket(&[]);
    let backend = server.builder().split_up_to(16 << 20).build().unwrap();
    let value = || Value::from_bytes(vec![7; 5 << 20]);
    backend.set("key", Value::integer(1), None).await.unwrap();
    let stored = server.stat("cmd_set");
    assert!(!backend.add("key", value(), None).await.unwrap());
    assert_eq!(server.stat("cmd_set"), stored);
    assert!(backend.add("other", value(), None).await.unwrap());
    assert!(backend.has("other").await.unwrap());
}
