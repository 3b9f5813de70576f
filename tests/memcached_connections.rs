//! When connections to memcached servers are opened, replaced and closed, and what one that hangs keeps from others.
#![cfg(all(feature = "memcached", feature = "memory", feature = "axum", unix))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{thread, time::Duration};

use axum_caching::{Backend, Value};
use support::memcached::{Memcached, relay};
use tokio::time::{Instant, sleep, timeout};

const PATIENT: Duration = Duration::from_secs(30);

/// Waits for something that comes in the end.
async fn comes(what: &str, mut is_there: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_there().await {
        assert!(began.elapsed() < PATIENT, "{what} does not come");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_backend_that_is_dropped_closes_its_connections() {
    let server = Memcached::on_socket(&[]);
    let (usual, before) = (server.stat("curr_connections"), server.stat("total_connections"));
    let backend = server.builder().connections(5).build().unwrap();
    for number in 0..20 {
        backend.set("key", Value::integer(number), None).await.unwrap();
    }
    assert_eq!(server.stat("total_connections"), before + 5 + 1, "and that of who asks");
    drop(backend.clone());
    assert_eq!(backend.get("key").await.unwrap().unwrap().as_integer(), Some(19), "another handle is as good");
    drop(backend);
    comes("the end of the connections", async || server.stat("curr_connections") == usual).await;
}

#[tokio::test]
async fn a_change_that_was_sent_is_done_though_its_backend_is_dropped() {
    let server = Memcached::on_socket(&[]);
    let usual = server.stat("curr_connections");
    let backend = server.builder().connections(1).build().unwrap();
    backend.set("key", Value::integer(1), None).await.unwrap();
    server.signal("STOP");
    let sent = timeout(Duration::from_millis(100), backend.set("key", Value::integer(2), None)).await;
    assert!(sent.is_err(), "it is not answered");
    drop(backend);
    server.signal("CONT");
    comes("the end of the connection", async || server.stat("curr_connections") == usual).await;
    assert_eq!(server.backend().get("key").await.unwrap().unwrap().as_integer(), Some(2));
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_logs_in_leaves_no_connection() {
    let server = Memcached::with_passwords("ada:secret\n");
    let backend = server.builder().timeout(PATIENT).ascii_auth("ada", "secret").build().unwrap();
    server.signal("STOP");
    for _ in 0..20 {
        let left = timeout(Duration::from_millis(20), backend.get("key")).await;
        assert!(left.is_err(), "{left:?}");
    }
    server.signal("CONT");
    assert!(backend.get("key").await.unwrap().is_none());
    // Of those who are not logged in it says nothing, so that they are counted here: both ends of each are listed.
    let mut connections = 99;
    comes("the end of the connections", async || {
        let all = std::fs::read_to_string("/proc/self/net/unix").unwrap();
        let named = all.lines().filter(|line| line.ends_with(server.address()));
        // The server listens on one.
        connections = named.count() - 1;
        connections <= 1
    })
    .await;
    assert_eq!(connections, 1, "the one that is used");
}

#[tokio::test]
async fn a_connection_that_died_is_replaced_though_no_caller_waits_as_long_as_its_time_out() {
    let server = Memcached::on_socket(&[]);
    // Nothing that comes over its first connection is heard of again.
    let address = relay(&server, |connection, _| (connection == 0).then_some(b""));
    let backend = server.of(&address).timeout(Duration::from_millis(300)).connections(1).build().unwrap();
    let short = Duration::from_millis(50);
    comes("an answer", async || matches!(timeout(short, backend.get("key")).await, Ok(Ok(None)))).await;
}

#[tokio::test]
async fn a_connection_with_answers_of_the_wrong_kind_is_not_used_again() {
    let server = Memcached::on_socket(&[]);
    let wrong: [&'static [u8]; 5] =
        [b"HD\r\n", b"NS\r\n", b"EX\r\n", b"VA 1 c1 f1 t-1\r\nx\r\nVA 1 c1 f1 t-1\r\nx\r\n", b"EN\r\nEN\r\n"];
    for answer in wrong {
        server.backend().set("key", Value::integer(1), None).await.unwrap();
        // The record of clears is read rightly where the answer is two.
        let address = relay(&server, move |connection, sent| {
            let is_meant = answer.len() < 5 || sent.windows(5).filter(|five| five == b"mg ~a").count() == 0;
            (connection == 0 && is_meant).then_some(answer)
        });
        let backend = server.of(&address).connections(1).build().unwrap();
        let _ = backend.get("key").await;
        let _ = backend.get("key").await;
        assert_eq!(backend.get("key").await.unwrap().unwrap().as_integer(), Some(1), "after {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_does_not_keep_others_from_counting() {
    let servers = [Memcached::on_socket(&[]), Memcached::on_socket(&[])];
    let builder = servers[0].builder().server(servers[1].address()).timeout(PATIENT);
    let (backend, second) = (builder.build().unwrap(), servers[1].backend());
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    for number in 0..1_000 {
        let key = format!("{number}");
        backend.increment(&key, 1).await.unwrap();
        if second.has(&key).await.unwrap() { seconds.push(key) } else { firsts.push(key) }
    }
    assert!(firsts.len() > 200 && seconds.len() > 50, "{} and {}", firsts.len(), seconds.len());
    servers[0].signal("STOP");
    let hanging: Vec<_> = firsts
        .into_iter()
        .map(|key| {
            let backend = backend.clone();
            tokio::spawn(async move { backend.increment(&key, 1).await })
        })
        .collect();
    // They have begun.
    (0..200).for_each(|_| thread::yield_now());
    sleep(Duration::from_millis(50)).await;
    for key in &seconds {
        let counted = timeout(PATIENT / 3, backend.increment(key, 1)).await;
        assert_eq!(counted.expect("the other server is well").unwrap(), 2);
    }
    assert!(hanging.iter().all(|one| !one.is_finished()));
    servers[0].signal("CONT");
    for one in hanging {
        assert_eq!(one.await.unwrap().unwrap(), 2);
    }
}
