//! What is done on a server that lacks commands, or forbids them.

use std::time::Duration;

use axum_caching::{Backend, Cache, ErrorKind, RedisBackend, Ttl, Value};

use crate::support::redis::{Server, eventually};

/// A backend whose user has these rights, after its first look at the server.
async fn as_user(server: &Server, rights: &str) -> RedisBackend {
    server.run::<()>(&format!("ACL SETUSER user reset on >x {rights}"));
    let backend = RedisBackend::builder(server.url()).username("user").password("x").build().unwrap();
    let _ = backend.get("shop:first").await;
    backend
}

fn value(text: &'static str) -> Value {
    Value::from_bytes(text)
}

#[tokio::test]
async fn without_scripts_nothing_is_compared() {
    let server = Server::start();
    let backend = as_user(&server, "~* +@all -eval -evalsha").await;
    assert!(!backend.compares());
    assert_eq!(backend.lacking(), ["EVAL", "EVALSHA"]);
    let error = backend.compare_and_set("key", b"x", value("y"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    // The cache goes on as it does on a backend without them.
    let cache = Cache::new(backend);
    assert_eq!(cache.get_or_compute("page", Ttl::Default, async || 1).await, 1);
    assert_eq!(cache.get_or_compute("page", Ttl::Default, async || 2).await, 1);
}

#[tokio::test]
async fn a_script_that_may_not_run_its_commands_is_none() {
    let server = Server::start();
    assert!(!as_user(&server, "~* +@all -getrange").await.compares());
}

#[tokio::test]
async fn scripts_can_be_switched_off() {
    let server = Server::start();
    let backend = RedisBackend::builder(server.url()).scripts(false).build().unwrap();
    assert!(!backend.compares());
    let error = backend.compare_and_set("key", b"x", value("y"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!((server.calls("evalsha"), server.calls("eval")), (0, 0));
}

#[tokio::test]
async fn the_script_is_sent_once() {
    let server = Server::start();
    let backend = RedisBackend::new(server.url()).unwrap();
    backend.set("key", value("lease"), None).await.unwrap();
    server.forget_calls();
    for _ in 0..10 {
        assert!(backend.compare_and_set("key", b"lease", value("lease of mine"), None).await.unwrap());
    }
    assert_eq!((server.calls("evalsha"), server.calls("eval")), (10, 0));

    server.run::<()>("SCRIPT FLUSH");
    server.forget_calls();
    for _ in 0..10 {
        assert!(backend.compare_and_set("key", b"lease", value("lease of mine"), None).await.unwrap());
    }
    assert_eq!((server.calls("evalsha"), server.calls("eval")), (10, 1));
}

#[tokio::test]
async fn without_evalsha_the_script_is_sent_each_time() {
    let server = Server::start();
    let backend = as_user(&server, "~* +@all -evalsha").await;
    assert!(backend.compares());
    backend.set("key", value("lease"), None).await.unwrap();
    server.forget_calls();
    assert!(backend.compare_and_set("key", b"lease", value("entry"), None).await.unwrap());
    assert!(!backend.compare_and_set("key", b"lease", value("late"), None).await.unwrap());
    assert_eq!((server.calls("evalsha"), server.calls("eval")), (0, 2));
}

#[tokio::test]
async fn without_unlink_mget_and_exists_there_are_del_and_get() {
    let server = Server::start();
    let backend = as_user(&server, "~* +@all -unlink -mget -exists").await;
    assert_eq!(backend.lacking(), ["UNLINK", "MGET", "EXISTS"]);
    backend.set_many(&[("a", value("1")), ("b", value("2"))], None).await.unwrap();
    let found = backend.get_many(&["b", "none", "a"]).await.unwrap();
    let found: Vec<_> = found.iter().map(|value| value.as_ref().and_then(Value::as_integer)).collect();
    assert_eq!(found, [Some(2), None, Some(1)]);
    assert!(backend.has("a").await.unwrap() && !backend.has("none").await.unwrap());
    assert_eq!(backend.delete_many(&["a", "none", "b"]).await.unwrap(), 2);
    assert!(!backend.has("a").await.unwrap());
}

#[tokio::test]
async fn without_scan_or_incrby_the_caller_is_told() {
    let server = Server::start();
    let backend = as_user(&server, "~* +@all -scan -incrby").await;
    assert_eq!(backend.clear("x").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(backend.increment("n", 1).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn what_is_dangerous_is_not_needed() {
    let server = Server::start();
    let rights = "~* +@all -@admin -@dangerous -client -config -keys -command -acl -info -hello -auth";
    let backend = as_user(&server, rights).await;
    backend.set("key", value("1"), Some(Duration::from_secs(9))).await.unwrap();
    backend.clear("k").await.unwrap();
    assert!(backend.lacking().is_empty() && backend.compares());
    assert_eq!(server.run::<i64>("DBSIZE"), 0);
}

#[tokio::test]
async fn a_user_of_some_keys_can_use_those() {
    let server = Server::start();
    let backend = as_user(&server, "~shop:* +@all").await;
    assert!(backend.lacking().is_empty());
    backend.set("shop:key", value("1"), None).await.unwrap();
    assert!(backend.compare_and_set("shop:key", b"1", value("2"), None).await.unwrap());
    assert_eq!(backend.set("key", value("1"), None).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(backend.lacking().is_empty(), "the key is forbidden, not the command");
}

#[tokio::test]
async fn rights_that_are_taken_away_or_given_later_are_noticed() {
    let server = Server::start();
    let backend = as_user(&server, "~* +@all").await;
    assert!(backend.compares());
    server.run::<()>("ACL SETUSER user -eval -evalsha");
    let error = backend.compare_and_set("key", b"x", value("y"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!backend.compares());

    server.run::<()>("ACL SETUSER user +eval +evalsha");
    server.run::<()>("CLIENT KILL USER user");
    eventually("the next connection looks again", async || {
        let _ = backend.get("key").await;
        backend.compares()
    })
    .await;
}

#[tokio::test]
async fn a_server_without_hello_is_spoken_to_in_the_older_protocol() {
    let server = Server::with(&["--rename-command", "HELLO", "", "--rename-command", "CLIENT", ""]);
    let backend = RedisBackend::new(server.url()).unwrap();
    backend.set("key", value("1"), None).await.unwrap();
    assert!(backend.compares());
    assert_eq!(backend.get("key").await.unwrap().and_then(|value| value.as_integer()), Some(1));
}
