//! memcached servers that are down, hang, talk nonsense or are full: requests go on, and all is well again by itself.
#![cfg(all(feature = "memcached", feature = "memory", feature = "axum", unix))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use axum::Router;
use axum_caching::{
    Backend, Breaker, BreakerState, Cache, CacheStatus, ErrorKind, MemcachedBackend, MemcachedBackendBuilder, Ttl,
    Value,
};
use support::{app, fetch, layer, memcached::Memcached};
use tokio::time::{Instant, sleep, timeout};

const TENTH: Duration = Duration::from_millis(100);

/// As a program has it that wants to know early; the breaker tries again soon.
fn cached(builder: MemcachedBackendBuilder) -> Cache {
    let backend = builder.timeout(2 * TENTH).connect_timeout(2 * TENTH).build().unwrap();
    Cache::builder(backend).backend_timeout(5 * TENTH).breaker(Breaker::default().open_for(2 * TENTH)).build()
}

/// Waits for something that comes in the end.
async fn comes(what: &str, mut is_there: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_there().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} does not come");
        sleep(TENTH / 5).await;
    }
}

async fn requests_go_on(app: &Router) {
    for _ in 0..20 {
        let answered = timeout(Duration::from_secs(20), fetch(app, "/x")).await.expect("an answer in time");
        assert!(support::is_miss(answered.0), "{answered:?}");
        assert!(answered.1.starts_with("run "));
    }
}

async fn explicit_calls_are_errors(cache: &Cache, kinds: &[ErrorKind]) {
    let errors = [
        cache.get::<u8>("key").await.unwrap_err(),
        cache.set("key", &1, Ttl::Default).await.unwrap_err(),
        cache.delete("key").await.unwrap_err(),
        cache.clear().await.unwrap_err(),
        cache.increment("n", 1).await.unwrap_err(),
    ];
    for error in errors {
        assert!(kinds.contains(&error.kind()) || error.kind() == ErrorKind::Unavailable, "{error}");
    }
}

async fn all_is_well_again(cache: &Cache, app: &Router) {
    comes("a hit", async || fetch(app, "/x").await.0 == CacheStatus::Hit).await;
    comes("an answer", async || cache.set("key", &2, Ttl::Default).await.is_ok()).await;
    comes("what was stored", async || matches!(cache.get::<u8>("key").await, Ok(Some(2)))).await;
    assert_eq!(cache.breaker_state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_costs_no_request() {
    for options in [Memcached::on_tcp, Memcached::on_socket] {
        let mut server = options(&[]);
        let cache = cached(server.builder());
        let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
        all_is_well_again(&cache, &app).await;

        server.kill();
        requests_go_on(&app).await;
        comes("an open breaker", async || {
            let _ = cache.get::<u8>("key").await;
            cache.breaker_state() == BreakerState::Open
        })
        .await;
        explicit_calls_are_errors(&cache, &[ErrorKind::Connect]).await;

        server.restart();
        all_is_well_again(&cache, &app).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_used_when_it_is() {
    let mut server = Memcached::on_tcp(&[]);
    server.kill();
    let cache = cached(server.builder());
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    explicit_calls_are_errors(&cache, &[ErrorKind::Connect]).await;
    requests_go_on(&app).await;
    server.restart();
    all_is_well_again(&cache, &app).await;
}

#[tokio::test]
async fn a_server_that_hangs_costs_no_request_and_what_it_was_told_is_not_done_after_a_purge() {
    let server = Memcached::on_socket(&[]);
    let cache = cached(server.builder());
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    all_is_well_again(&cache, &app).await;
    for _ in 0..5 {
        comes("a store", async || cache.set("key", "before", Ttl::Default).await.is_ok()).await;
        server.signal("STOP");
        let stored = cache.set("key", "old", Ttl::Default).await.unwrap_err();
        assert_eq!(stored.kind(), ErrorKind::Timeout, "nobody knows whether it is done");
        let purged = cache.delete("key").await.unwrap_err();
        assert_eq!(purged.kind(), ErrorKind::Unavailable, "the store may still be done: {purged}");
        requests_go_on(&app).await;
        explicit_calls_are_errors(&cache, &[ErrorKind::Timeout, ErrorKind::Connect]).await;

        server.signal("CONT");
        comes("a purge", async || cache.delete("key").await.is_ok()).await;
        assert!(cache.close().await, "nothing is under way");
        let mut found = Some(String::new());
        comes("an answer", async || match cache.get("key").await {
            Ok(value) => {
                found = value;
                true
            }
            Err(_) => false,
        })
        .await;
        assert_eq!(found, None, "nothing came after the purge");
        all_is_well_again(&cache, &app).await;
    }
}

/// Without a cache in front: what a backend says of a server that hangs, and how many connections it costs.
#[tokio::test]
async fn a_server_that_hangs_is_left_with_few_connections() {
    let server = Memcached::on_socket(&[]);
    let backend = server.builder().timeout(TENTH).connections(12).build().unwrap();
    for _ in 0..24 {
        backend.set("key", Value::from_bytes("1"), None).await.unwrap();
    }
    let usual = server.stat("total_connections");
    server.signal("STOP");
    let write = |_| {
        let own = backend.clone();
        tokio::spawn(async move { own.set("key", Value::from_bytes("2"), None).await })
    };
    // One on each connection: these are waited for.
    let writes: Vec<_> = (0..12).map(write).collect();
    let mut refused = 0;
    for _ in 0..30 {
        let error = backend.get("key").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error}");
        refused += usize::from(error.kind() == ErrorKind::Unavailable);
    }
    assert!(refused > 10, "{refused} of 30 open no connection");
    server.signal("CONT");
    for write in writes {
        write.await.unwrap().unwrap();
    }
    comes("an answer", async || backend.get("key").await.is_ok()).await;
    // Eight may wait for changes, and no more are opened beside them.
    let opened = server.stat("total_connections") - usual;
    assert!(opened < 15, "{opened} connections for 30 calls");
    comes("the end of those that were late", async || server.stat("curr_connections") < 18).await;
}

/// Answers everything with these bytes, and keeps the connection or closes it.
fn nonsense(answer: &'static [u8], closes: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                while stream.read(&mut [0; 4_096]).is_ok_and(|length| length > 0) && stream.write_all(answer).is_ok() {
                    if closes {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_talks_nonsense_costs_no_request() {
    let answers: [&'static [u8]; 13] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"HD\r\nHD\r\nHD\r\nHD\r\nHD\r\n",
        b"VA 999999999999\r\n",
        b"VA 3 c1 f1 t-1\r\nabcEN\r\n",
        b"EN\r\nVA 1 c1\r\nx\r\n",
        b"ERROR\r\n",
        b"HD c1 f1\r\n",
        b"NS\r\n",
        b"EX\r\n",
        b"SERVER_ERROR object too large for cache\r\n",
        b"SERVER_ERROR out of order\r\nSERVER_ERROR out of order\r\n",
        b"\0\xff\r\n\0",
        b"",
    ];
    for answer in answers {
        for closes in [false, true] {
            let address = nonsense(answer, closes);
            let cache = cached(MemcachedBackend::builder().server(&address));
            let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
            requests_go_on(&app).await;
            let sasl = cached(MemcachedBackend::builder().server(&address).sasl("ada", "secret"));
            for cache in [&cache, &sasl] {
                let error = cache.set("key", &1, Ttl::Default).await.unwrap_err();
                assert_ne!(error.kind(), ErrorKind::Encode, "{error}");
            }
            // That there is nothing is what it says with `EN`, and with nothing else.
            if !answer.starts_with(b"EN\r\n") {
                for builder in [MemcachedBackend::builder(), MemcachedBackend::builder().sasl("ada", "secret")] {
                    let backend = builder.server(&address).timeout(2 * TENTH).build().unwrap();
                    let purges = [
                        backend.delete("key").await.map(drop),
                        backend.delete_many(&["key", "other"]).await.map(drop),
                        backend.clear("").await,
                    ];
                    assert!(purges.iter().all(Result::is_err), "{purges:?} after {answer:?}");
                    assert!(backend.has("key").await.is_err(), "after {answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_is_full_refuses_aloud_and_goes_on_with_what_it_has() {
    let server = Memcached::on_socket(&["-M", "-m", "1", "-I", "512k"]);
    let cache = Cache::builder(server.backend()).backend_timeout(Duration::from_secs(20)).build();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    cache.set("early", &1, Ttl::Forever).await.unwrap();
    let mut refused = 0;
    for number in 0..3_000 {
        if let Err(error) = cache.set(&format!("{number}"), &vec![7_u8; 20_000], Ttl::Forever).await {
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            refused += 1;
        }
    }
    assert!(refused > 100, "it is full");
    assert_eq!(server.stat("evictions"), 0);
    assert_eq!(cache.get::<u8>("early").await.unwrap(), Some(1));
    assert_eq!(cache.breaker_state(), BreakerState::Closed);
    let (status, body) = fetch(&app, "/x").await;
    assert!(support::is_miss(status) && body == "run 1");
    cache.clear().await.unwrap();
    assert_eq!(cache.get::<u8>("early").await.unwrap(), None, "it can be cleared");
}

#[tokio::test]
async fn of_several_servers_one_that_is_down_costs_its_own_keys() {
    let mut servers: Vec<_> = (0..3).map(|_| Memcached::on_socket(&[])).collect();
    let builder = servers[0].builder().server(servers[1].address()).server(servers[2].address());
    let backend = builder.build().unwrap();
    let keys: Vec<_> = (0..60).map(|number| format!("key {number}")).collect();
    let stored: Vec<_> = keys.iter().map(|key| (key.as_str(), Value::from_bytes(key.clone()))).collect();
    backend.set_many(&stored, None).await.unwrap();

    servers[1].kill();
    let (mut hits, mut errors) = (Vec::new(), Vec::new());
    for key in &keys {
        match backend.get(key).await {
            Ok(found) => {
                assert_eq!(found.unwrap().to_bytes().unwrap(), *key);
                hits.push(key.as_str());
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Connect);
                assert!(error.to_string().contains(servers[1].address()), "it says which one: {error}");
                errors.push(key.as_str());
            }
        }
    }
    assert!(hits.len() > 10 && errors.len() > 5, "{} and {}", hits.len(), errors.len());
    assert_eq!(backend.get_many(&hits).await.unwrap().iter().flatten().count(), hits.len());
    let all: Vec<_> = keys.iter().map(String::as_str).collect();
    assert_eq!(backend.get_many(&all).await.unwrap_err().kind(), ErrorKind::Connect);
    // What can be done is done; the error says that it was not all.
    assert_eq!(backend.delete_many(&all).await.unwrap_err().kind(), ErrorKind::Connect);
    assert_eq!(backend.clear("").await.unwrap_err().kind(), ErrorKind::Connect);
    assert!(backend.get_many(&hits).await.unwrap().iter().all(Option::is_none));

    servers[1].restart();
    for key in errors {
        assert!(backend.get(key).await.unwrap().is_none());
        backend.set(key, Value::from_bytes("1"), None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_go_away_leave_the_answers_of_others_alone() {
    let server = Memcached::on_socket(&[]);
    let backend = server.builder().connections(1).build().unwrap();
    for number in 0..50 {
        backend.set(&format!("{number}"), Value::from_bytes(vec![number; 2_000]), None).await.unwrap();
    }
    let mut tasks = Vec::new();
    for round in 0..40_u64 {
        for number in 0..50_u8 {
            let backend = backend.clone();
            tasks.push(tokio::spawn(async move {
                let key = number.to_string();
                let get = backend.get(&key);
                match (round + u64::from(number)) % 3 {
                    0 => drop(timeout(Duration::from_micros(round * 20), get).await),
                    _ => assert_eq!(get.await.unwrap().unwrap().to_bytes().unwrap(), vec![number; 2_000]),
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(server.stat("curr_connections") < 12);
}
