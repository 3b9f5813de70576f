//! One backend on many runtimes, and what it asks of its servers.
#![cfg(all(feature = "memcached", feature = "memory", feature = "axum", unix))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use axum_caching::{Backend, Cache, ErrorKind, MemcachedBackend, Ttl, Value};
use support::memcached::Memcached;
use tokio::runtime::Builder;

const PATIENT: Duration = Duration::from_secs(10);

static CACHE: OnceLock<Cache> = OnceLock::new();

#[test]
fn a_cache_in_a_static_works_on_each_runtime_that_comes_to_use_it() {
    let server = Memcached::on_socket(&[]);
    let cache: &'static Cache = CACHE.get_or_init(|| Cache::builder(server.backend()).backend_timeout(PATIENT).build());
    for round in 0..30 {
        let builder = || if round % 2 == 0 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
        let runtime = builder().enable_all().build().unwrap();
        runtime.block_on(async {
            cache.set(&format!("{round}"), &round, Ttl::Forever).await.unwrap();
            for earlier in 0..=round {
                assert_eq!(cache.get::<i32>(&format!("{earlier}")).await.unwrap(), Some(earlier));
            }
        });
        // Dropped at once, or with others alive beside it that nobody drives.
        if round % 3 == 0 {
            std::mem::forget(runtime);
        }
    }
    assert!(server.stat("total_connections") >= 30, "each has its own");
}

#[test]
fn runtimes_on_many_threads_use_one_backend_at_once() {
    let server = Memcached::on_socket(&[]);
    let backend = server.backend();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let backend = backend.clone();
            thread::spawn(move || {
                Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                    for _ in 0..100 {
                        backend.increment("n", 1).await.unwrap();
                        backend.set(&format!("{number}"), Value::integer(number), None).await.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(backend.increment("n", 0)).unwrap(), 800);
}

#[test]
fn a_runtime_without_input_and_output_is_an_error_and_no_panic() {
    let backend = MemcachedBackend::new(["127.0.0.1:1"]).unwrap();
    let socket = MemcachedBackend::new(["/nowhere/m.sock"]).unwrap();
    let server = Memcached::on_socket(&[]);
    for backend in [&backend, &socket, &server.backend()] {
        let runtime = Builder::new_current_thread().build().unwrap();
        let error = runtime.block_on(backend.get("key")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    }
    // A runtime that does not count the time has no time-outs, and works.
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    assert!(runtime.block_on(server.backend().get("key")).unwrap().is_none());
}

#[test]
fn without_a_runtime_there_is_an_error() {
    let backend = MemcachedBackend::new(["127.0.0.1:1"]).unwrap();
    let get = backend.get("key");
    let mut get = std::pin::pin!(get);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = get.as_mut().poll(&mut context) else { panic!("it waits for nothing") };
    assert!(error.to_string().contains("no tokio runtime"), "{error}");
}

/// Between a backend and a server: counts how often the one waits for the other.
struct Relay {
    turns: Arc<AtomicUsize>,
    address: String,
}

impl Relay {
    fn to(server: &Memcached) -> Self {
        let address = format!("{}.relay", server.address());
        let listener = UnixListener::bind(&address).unwrap();
        let (turns, server) = (Arc::new(AtomicUsize::new(0)), server.address().to_owned());
        let counted = Arc::clone(&turns);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = UnixStream::connect(Path::new(&server)).unwrap();
                let is_clients = Arc::new(AtomicBool::new(false));
                let begins = {
                    let (is_clients, counted) = (Arc::clone(&is_clients), Arc::clone(&counted));
                    move || {
                        if !is_clients.swap(true, Ordering::SeqCst) {
                            counted.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                };
                let ends = move || is_clients.store(false, Ordering::SeqCst);
                copy(client.try_clone().unwrap(), server.try_clone().unwrap(), begins);
                copy(server, client, ends);
            }
        });
        Self { turns, address }
    }

    fn take(&self) -> usize {
        self.turns.swap(0, Ordering::SeqCst)
    }
}

fn copy(mut from: UnixStream, mut to: UnixStream, tell: impl Fn() + Send + 'static) {
    thread::spawn(move || {
        let mut some = vec![0; 1 << 20];
        while let Ok(length @ 1..) = from.read(&mut some) {
            tell();
            if to.write_all(&some[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

#[tokio::test]
async fn each_call_costs_as_many_round_trips_as_are_promised() {
    let server = Memcached::on_socket(&[]);
    let relay = Relay::to(&server);
    let backend = MemcachedBackend::builder().server(&relay.address).connections(1).build().unwrap();
    let value = || Value::from_bytes(vec![7; 4_096]);
    backend.set("warm", value(), None).await.unwrap();
    let keys: Vec<_> = (0..100).map(|number| format!("{number}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let entries: Vec<_> = keys.iter().map(|key| (*key, Value::integer(1))).collect();

    let asked = server.stat("cmd_get");
    relay.take();
    assert!(backend.get("warm").await.unwrap().is_some());
    assert_eq!((relay.take(), server.stat("cmd_get") - asked), (1, 2), "a hit: the entry, and the record of clears");
    assert!(backend.get("cold").await.unwrap().is_none());
    assert_eq!(relay.take(), 1, "a miss");
    backend.set("one", value(), None).await.unwrap();
    assert_eq!(relay.take(), 1, "set");
    assert!(backend.add("two", value(), None).await.unwrap());
    assert_eq!(relay.take(), 1, "add");
    assert!(!backend.add("two", value(), None).await.unwrap());
    assert_eq!(relay.take(), 2, "add over something");
    assert!(backend.delete("two").await.unwrap());
    assert_eq!(relay.take(), 1, "delete");
    assert!(backend.has("one").await.unwrap());
    assert_eq!(relay.take(), 1, "has");
    assert!(backend.compare_and_set("one", b"\x07", value(), None).await.unwrap());
    assert_eq!(relay.take(), 2, "compare_and_set");
    backend.increment("n", 1).await.unwrap();
    assert_eq!(relay.take(), 2, "increment");
    backend.set_many(&entries, None).await.unwrap();
    assert_eq!(relay.take(), 1, "set_many");
    assert_eq!(backend.get_many(&keys).await.unwrap().iter().flatten().count(), 100);
    assert_eq!(relay.take(), 1, "get_many");
    assert_eq!(backend.delete_many(&keys).await.unwrap(), 100);
    assert_eq!(relay.take(), 1, "delete_many");
    let sent = server.stat("cmd_set") + server.stat("delete_hits");
    backend.clear("").await.unwrap();
    assert_eq!((relay.take(), server.stat("cmd_set") + server.stat("delete_hits") - sent), (2, 1), "clear: one record");
    assert!(backend.get("one").await.unwrap().is_none());
    assert_eq!(relay.take(), 3, "the first look after it reads the record");
    assert!(backend.get("one").await.unwrap().is_none());
    assert_eq!(relay.take(), 1);
}

#[tokio::test]
async fn purges_leave_nothing_behind() {
    let server = Memcached::on_socket(&[]);
    let cache = Cache::builder(server.backend()).backend_timeout(PATIENT).build();
    cache.set("key", &1, Ttl::Default).await.unwrap();
    assert!(cache.delete("key").await.unwrap());
    let usual = server.stat("curr_items");
    let keys: Vec<_> = (0..1_000).map(|number| format!("{number}")).collect();
    for _ in 0..10 {
        cache.set_many(keys.iter().map(|key| (key, 7)), Ttl::Default).await.unwrap();
        assert_eq!(cache.delete_many(&keys).await.unwrap(), 1_000);
    }
    assert_eq!(server.stat("curr_items"), usual);
}

#[tokio::test]
async fn keys_can_be_read_on_the_server() {
    let server = Memcached::on_socket(&[]);
    let backend = server.backend();
    for key in ["view//items/7", "with a blank", "ключ"] {
        backend.set(key, Value::from_bytes("1"), None).await.unwrap();
    }
    let is_shown = |shown: &str| server.keys().iter().any(|key| key.contains(shown));
    for shown in ["view//items/7", "~with_a_blank~", "~axum-caching/cleared"] {
        // It may be about to move one from list to list.
        assert!((0..100).any(|_| is_shown(shown)), "{shown} in {:?}", server.keys());
    }
}

#[tokio::test]
async fn a_split_value_is_whole_or_not_there() {
    let servers = [Memcached::on_socket(&[]), Memcached::on_socket(&[])];
    let builder = servers[0].builder().server(servers[1].address()).split_up_to(16 << 20);
    let backend = builder.build().unwrap();
    let value = |byte| Value::from_bytes(vec![byte; 5 << 20]);
    let read = async || backend.get("large").await.unwrap().map(|value| value.to_bytes().unwrap());

    backend.set("large", value(1), None).await.unwrap();
    assert_eq!(read().await.unwrap(), vec![1; 5 << 20]);
    assert!(backend.has("large").await.unwrap());
    assert!(backend.compare_and_set("large", &[1; 300], value(2), None).await.unwrap());
    assert!(!backend.compare_and_set("large", &[1; 3], value(3), None).await.unwrap());
    assert_eq!(read().await.unwrap(), vec![2; 5 << 20]);
    assert_eq!(backend.increment("large", 1).await.unwrap_err().kind(), ErrorKind::NotAnInteger);
    let many = backend.get_many(&["large", "absent"]).await.unwrap();
    assert!(many[0].is_some() && many[1].is_none());
    let error = backend.set("larger", Value::from_bytes(vec![1; 17 << 20]), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);

    // Each piece but that of the entry, one after the other.
    let pieces = pieces(&servers);
    assert!(pieces.len() >= 5, "{pieces:?}");
    let (server, piece) = &pieces[3];
    assert_eq!(server.say(&format!("delete {piece}\r\n"), "\r\n"), "DELETED\r\n");
    backend.set("other", value(4), None).await.unwrap();
    let torn = read().await;
    assert!(torn.is_none_or(|torn| torn == vec![2; 5 << 20]), "not the piece of another");
    for (server, piece) in &pieces {
        let _ = server.say(&format!("delete {piece}\r\n"), "\r\n");
    }
    assert!(read().await.is_none());
    assert!(!backend.has("large").await.unwrap(), "what is left of it is taken away");
    assert!(backend.add("large", value(5), None).await.unwrap(), "so that it can be stored anew");
    assert_eq!(read().await.unwrap(), vec![5; 5 << 20]);
    assert!(backend.delete("large").await.unwrap());
    assert!(backend.get("other").await.unwrap().is_some());
}

/// The keys of all pieces, and where they are.
fn pieces(servers: &[Memcached]) -> Vec<(&Memcached, String)> {
    let keys = |server| {
        let keys = Memcached::keys(server).into_iter();
        keys.filter(|key| key.starts_with('~') && !key.contains("axum")).map(move |key| (server, key))
    };
    servers.iter().flat_map(keys).collect()
}

#[tokio::test]
async fn after_a_clear_one_call_looks_at_the_record_once_however_many_connections_there_are() {
    let server = Memcached::on_socket(&[]);
    let (backend, other) = (server.builder().connections(100).build().unwrap(), server.backend());
    for number in 0..200 {
        backend.set("key", Value::integer(number), None).await.unwrap();
    }
    other.clear("").await.unwrap();
    for number in 0..200 {
        backend.set("key", Value::integer(number), None).await.unwrap();
        assert_eq!(other.get("key").await.unwrap().unwrap().as_integer(), Some(number));
    }
}

#[tokio::test]
async fn a_server_that_compares_nothing_is_refused() {
    let server = Memcached::on_socket(&["-C"]);
    let backend = server.backend();
    let error = backend.set("key", Value::integer(1), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("-C"), "{error}");
}
