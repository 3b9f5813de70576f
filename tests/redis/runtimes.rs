//! A connection belongs to the runtime that made it, and a cache may outlive that.

use std::{sync::OnceLock, thread};

use axum_caching::{Backend, Cache, ErrorKind, RedisBackend, Ttl, Value};
use tokio::runtime::{Builder, Runtime};

use crate::support::redis::{Server, until};

/// Its server is no static, since those are never dropped.
static CACHE: OnceLock<Cache> = OnceLock::new();

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_cache_in_a_static_is_used_from_one_runtime_after_another() {
    let server = Server::start();
    let cache = CACHE.get_or_init(|| Cache::new(RedisBackend::new(server.url()).unwrap()));
    for round in 0..5_i32 {
        // Each is dropped with its connection, and the next one writes at once.
        runtime().block_on(async {
            cache.set("round", &round, Ttl::Default).await.unwrap();
            assert_eq!(cache.get::<i32>("round").await.unwrap(), Some(round));
        });
    }
    assert_eq!(cache.stats().failures, 0);
}

#[test]
fn a_runtime_that_stands_still_holds_up_nobody() {
    let server = Server::start();
    let backend = RedisBackend::new(server.url()).unwrap();
    let (first, second) = (runtime(), runtime());
    first.block_on(backend.set("key", Value::from_bytes("1"), None)).unwrap();
    // Nothing drives the first connection now.
    let found = second.block_on(backend.get("key")).unwrap();
    assert_eq!(found.unwrap().as_integer(), Some(1));
    drop(first);
    second.block_on(backend.get("key")).unwrap();
}

#[test]
fn runtimes_on_many_threads_share_a_cache_and_leave_no_connection_behind() {
    let server = Server::start();
    let backend = RedisBackend::new(server.url()).unwrap();
    thread::scope(|scope| {
        for thread in 0..8_u32 {
            let backend = backend.clone();
            scope.spawn(move || {
                runtime().block_on(async {
                    for _ in 0..50 {
                        backend.increment("sum", 1).await.unwrap();
                    }
                    assert!(!backend.has(&thread.to_string()).await.unwrap());
                });
            });
        }
    });
    assert_eq!(server.run::<i64>("GET sum"), 400);
    until("their connections are closed", || server.run::<String>("INFO clients").contains("connected_clients:1\r"));
}

#[tokio::test]
async fn many_callers_share_one_connection() {
    let server = Server::start();
    let backend = RedisBackend::new(server.url()).unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..200 {
        let backend = backend.clone();
        callers.spawn(async move { backend.set(&caller.to_string(), Value::integer(caller), None).await.unwrap() });
    }
    callers.join_all().await;
    let info = server.run::<String>("INFO clients");
    assert!(info.contains("connected_clients:2\r"), "one, and the test's own: {info}");
}

#[test]
fn where_there_is_no_runtime_the_caller_is_told() {
    let backend = RedisBackend::new("redis://127.0.0.1:1").unwrap();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(answer) = std::pin::pin!(backend.get("key")).poll(&mut context) else {
        panic!("there is nothing to wait for");
    };
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_runtime_without_io_is_no_panic_of_the_caller() {
    let backend = RedisBackend::new("redis://127.0.0.1:1").unwrap();
    let runtime = Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(backend.get("key")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("I/O and time"), "{error}");
}
