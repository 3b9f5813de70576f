//! The contract of backends, on memcached servers of all kinds.
#![cfg(all(feature = "memcached", feature = "memory", feature = "axum", unix))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{sync::Arc, time::Duration};

use axum_caching::{
    Backend, ErrorKind, MemcachedBackend, MemcachedBackendBuilder, Value,
    testing::{ManualClock, conformance},
};
use support::memcached::Memcached;

/// The rules, with the exact end of an entry told by a clock that stands still: the seconds of the server are longer.
async fn keeps_every_rule(builder: MemcachedBackendBuilder) {
    let clock = ManualClock::new();
    let backend: Arc<dyn Backend> = Arc::new(builder.clock(clock.clock()).build().unwrap());
    conformance::all(&backend, async |time| clock.advance(time)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_server_on_tcp_keeps_every_rule() {
    keeps_every_rule(Memcached::on_tcp(&[]).builder().connections(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_server_on_a_socket_keeps_every_rule() {
    keeps_every_rule(Memcached::on_socket(&[]).builder()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_servers_keep_every_rule() {
    let servers = [Memcached::on_tcp(&[]), Memcached::on_socket(&[]), Memcached::on_socket(&[])];
    let builder = servers[0].builder().weighted_server(servers[1].address(), 2).server(servers[2].address());
    keeps_every_rule(builder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_asks_for_a_password_keeps_every_rule() {
    let server = Memcached::with_passwords("ada:secret-word\n");
    keeps_every_rule(server.builder().ascii_auth("ada", "secret-word")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_asks_for_sasl_keeps_every_rule() {
    let server = Memcached::with_sasl("ada", "secret");
    keeps_every_rule(server.builder().sasl("ada", "secret")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn values_that_are_split_keep_every_rule() {
    let servers = [Memcached::on_socket(&["-I", "512k"]), Memcached::on_socket(&["-I", "512k"])];
    let builder = servers[0].builder().server(servers[1].address()).item_limit(512 << 10).split_up_to(2 << 20);
    keeps_every_rule(builder).await;
}

/// Beside the rules above: the seconds of the server, by its own clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn entries_end_by_the_clock_of_the_machine() {
    let server = Memcached::on_socket(&[]);
    let backend = server.backend();
    conformance::expiry::an_entry_ends_when_its_time_is_over(&backend, tokio::time::sleep).await;
    conformance::expiry::parts_of_a_second_count(&backend, tokio::time::sleep).await;
}

#[tokio::test]
async fn an_entry_that_ends_is_given_back_by_the_server_too() {
    let server = Memcached::on_socket(&[]);
    let backend = server.backend();
    backend.set("stays", Value::from_bytes("1"), None).await.unwrap();
    let kept = server.stat("curr_items");
    backend.set("ends", Value::from_bytes("1"), Some(Duration::from_millis(1))).await.unwrap();
    assert_eq!(server.stat("curr_items"), kept + 1);
    let ended = async || {
        while server.stat("curr_items") > kept {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), ended()).await.expect("its crawler comes by");
}

#[tokio::test]
async fn wrong_passwords_are_typed_errors_that_do_not_tell_them() {
    let ascii = Memcached::with_passwords("ada:secret\n");
    let sasl = Memcached::with_sasl("ada", "secret");
    for backend in [
        ascii.builder().ascii_auth("ada", "wrong-word").build().unwrap(),
        ascii.backend(),
        sasl.builder().sasl("ada", "wrong-word").build().unwrap(),
        sasl.backend(),
        sasl.builder().ascii_auth("ada", "wrong-word").build().unwrap(),
    ] {
        let error = backend.get("key").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(
            error.to_string().contains("memcached at /") && !format!("{error:?}").contains("wrong-word"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_asks_for_no_password_keeps_none() {
    let server = Memcached::on_socket(&[]);
    assert_eq!(server.say("set auth 0 0 6\r\nothers\r\n", "\r\n"), "STORED\r\n");
    let backend = server.builder().ascii_auth("ada", "secret-word").build().unwrap();
    backend.set("key", Value::from_bytes("1"), None).await.unwrap();
    assert!(backend.has("key").await.unwrap(), "it is used all the same");
    assert_eq!(server.say("get auth\r\n", "END\r\n"), "VALUE auth 0 6\r\nothers\r\nEND\r\n", "another program's");
    for key in ["~axum-caching/auth", "ada"] {
        assert_eq!(server.say(&format!("get {key}\r\n"), "END\r\n"), "END\r\n");
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_refused_aloud() {
    let server = Memcached::on_socket(&["-I", "512k"]);
    // It believes that the server takes 1 MiB, which finds out.
    for backend in [server.backend(), server.builder().item_limit(512 << 10).build().unwrap()] {
        let large = Value::from_bytes(vec![7; 700_000]);
        let entries = [("one", Value::from_bytes("1")), ("large", large.clone()), ("two", Value::from_bytes("2"))];
        let refusals = [
            backend.set("large", large.clone(), None).await.unwrap_err(),
            backend.add("large", large.clone(), None).await.unwrap_err(),
            backend.set_many(&entries, None).await.unwrap_err(),
        ];
        for error in refusals {
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        }
        assert!(!backend.has("large").await.unwrap());
        assert!(backend.has("one").await.unwrap() && backend.has("two").await.unwrap(), "the others are stored");
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused_before_anything_connects() {
    let of = MemcachedBackend::builder;
    for (builder, word) in [
        (of(), "no memcached server"),
        (of().server("a b"), "`a b`"),
        (of().server("a").server("a:11211"), "twice"),
        (of().weighted_server("a", 0), "weight 0"),
        (of().server("a").item_limit(100), "100 bytes"),
        (of().server("a").ascii_auth("a b", "secret"), "blank"),
        (of().server("a").ascii_auth("ada", "sec\nret"), "several lines"),
        (of().server("a").sasl("", "secret"), "without a letter"),
        (of().server("a").sasl("ada", "sec\0ret"), "zero byte"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(word) && !error.to_string().contains("sec"), "{error}");
    }
}
