//! Servers that are down, slow, full or not what they should be: requests go on without the cache.

use std::{
    io::Write,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use axum::Router;
use axum_caching::{
    Backend, Breaker, BreakerState, Cache, CacheStatus, ErrorKind, RedisBackend, RedisBackendBuilder, Ttl, Value,
};
use tokio::time::Instant;

use crate::support::{
    self, fetch, layer,
    redis::{Server, cluster::Cluster, eventually, free_port},
};

const FAST: Duration = Duration::from_millis(200);

fn cached(builder: RedisBackendBuilder) -> (Cache, Router) {
    let backend = builder.connect_timeout(FAST).response_timeout(FAST).build().unwrap();
    let breaker = Breaker::default().failures(3).open_for(FAST);
    let cache = Cache::builder(backend).backend_timeout(FAST).breaker(breaker).build();
    let (app, _) = support::app(layer(&cache), |_, run| format!("run {run}"));
    (cache, app)
}

/// Requests are answered, in bounded time, and explicit calls say what is wrong. `kinds` are those that may be, beside
/// that of an open breaker.
async fn goes_on_without(cache: &Cache, app: &Router, kinds: &[ErrorKind]) {
    let began = Instant::now();
    for path in 0..20 {
        let (status, body) = fetch(app, &format!("/without/{path}")).await;
        assert!(support::is_miss(status), "{status:?}");
        assert!(body.starts_with("run "));
        let error = cache.get::<i32>("explicit").await.unwrap_err();
        assert!(error.kind() == ErrorKind::Unavailable || kinds.contains(&error.kind()), "{error}");
        cache.set("explicit", &1, Ttl::Default).await.unwrap_err();
        cache.delete("explicit").await.unwrap_err();
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

async fn breaker_is_open(cache: &Cache) {
    eventually("the breaker opens", async || {
        let _ = cache.get::<i32>("explicit").await;
        cache.breaker_state() != BreakerState::Closed
    })
    .await;
}

async fn recovers(cache: &Cache, app: &Router) {
    eventually("pages are kept again", async || matches!(fetch(app, "/again").await.0, CacheStatus::Hit)).await;
    eventually("explicit calls work again", async || cache.set("explicit", &1, Ttl::Default).await.is_ok()).await;
    assert_eq!(cache.breaker_state(), BreakerState::Closed);
    assert_eq!(cache.get::<i32>("explicit").await.unwrap(), Some(1));
}

#[tokio::test]
async fn an_application_starts_without_its_server_and_uses_it_when_it_is_there() {
    let mut server = Server::prepared(free_port(), &[]);
    let (cache, app) = cached(RedisBackend::builder(server.url()));
    goes_on_without(&cache, &app, &[ErrorKind::Connect]).await;
    breaker_is_open(&cache).await;
    server.launch();
    recovers(&cache, &app).await;
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_is_used_again() {
    // With the newer protocol the client tells of a connection that is closed, with the older one a call does.
    for settings in [&[][..], &["--rename-command", "HELLO", ""]] {
        let mut server = Server::with(settings);
        let (cache, app) = cached(RedisBackend::builder(server.url()));
        recovers(&cache, &app).await;
        server.kill();
        goes_on_without(&cache, &app, &[ErrorKind::Connect]).await;
        breaker_is_open(&cache).await;
        server.launch();
        recovers(&cache, &app).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_nobody_for_long() {
    let server = Server::start();
    let (cache, app) = cached(RedisBackend::builder(server.url()));
    recovers(&cache, &app).await;
    server.hang();
    goes_on_without(&cache, &app, &[ErrorKind::Timeout, ErrorKind::Connect]).await;
    breaker_is_open(&cache).await;
    server.resume();
    recovers(&cache, &app).await;
}

#[tokio::test]
async fn a_write_is_waited_for_on_the_connection_it_was_sent_over() {
    let server = Server::start();
    let backend = RedisBackend::builder(server.url()).connect_timeout(FAST).response_timeout(FAST).build().unwrap();
    backend.get("key").await.unwrap();
    server.hang();
    let mut write = tokio::spawn({
        let backend = backend.clone();
        async move { backend.set("key", Value::from_bytes("late"), None).await }
    });
    eventually("another connection is tried", async || {
        backend.get("key").await.unwrap_err().kind() == ErrorKind::Connect
    })
    .await;
    assert!(tokio::time::timeout(FAST, &mut write).await.is_err(), "it may still arrive");
    server.resume();
    write.await.unwrap().unwrap();
    eventually("it has arrived", async || backend.get("key").await.is_ok_and(|value| value.is_some())).await;
}

/// A server that does this to whoever connects; and how many did.
fn stranger(answer: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            counted.fetch_add(1, Ordering::Relaxed);
            answer(&mut stream);
            open.push(stream);
        }
    });
    (address, count)
}

#[tokio::test]
async fn whoever_is_no_redis_server_is_found_out() {
    let garbage: [&'static [u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff\x00\xff",
        b"*99999999\r\n$-7\r\n",
        b"+OK\r\n+OK\r\n+OK\r\n!!!",
        b"",
    ];
    for bytes in garbage {
        let (address, _) = stranger(move |stream| {
            let _ = stream.write_all(bytes);
        });
        let (cache, app) = cached(RedisBackend::builder(address));
        goes_on_without(&cache, &app, &[ErrorKind::Connect, ErrorKind::Protocol, ErrorKind::Timeout]).await;
    }
}

#[tokio::test]
async fn a_server_that_closes_every_connection_is_not_stormed() {
    let (address, count) = stranger(|stream| {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let backend = RedisBackend::new(address).unwrap();
    let began = Instant::now();
    let mut calls = 0;
    while began.elapsed() < Duration::from_secs(1) {
        assert_eq!(backend.get("key").await.unwrap_err().kind(), ErrorKind::Connect);
        calls += 1;
        tokio::task::yield_now().await;
    }
    let connections = count.load(Ordering::Relaxed);
    assert!(calls > 1_000 && connections < 15, "{connections} connections, {calls} calls");
}

#[tokio::test]
async fn a_full_server_takes_no_more_and_gives_what_it_has() {
    let server = Server::with(&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"]);
    let (cache, app) = cached(RedisBackend::builder(server.url()));
    recovers(&cache, &app).await;
    let large = "x".repeat(100_000);
    let error = 'full: {
        for key in 0..100 {
            if let Err(error) = cache.set(&format!("large {key}"), &large, Ttl::Default).await {
                break 'full error;
            }
        }
        panic!("3 MB have room for 10");
    };
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("maxmemory"), "{error}");
    for path in 0..20 {
        let (status, _) = fetch(&app, &format!("/full/{path}")).await;
        assert!(support::is_miss(status));
        assert!(matches!(fetch(&app, "/again").await.0, CacheStatus::Hit), "what is there is served");
    }
    assert_eq!(cache.breaker_state(), BreakerState::Closed);
    server.run::<()>("FLUSHALL");
    recovers(&cache, &app).await;
}

#[tokio::test]
async fn a_full_server_is_purged() {
    let server = Server::with(&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"]);
    let (cache, app) = cached(RedisBackend::builder(server.url()));
    recovers(&cache, &app).await;
    let names = cache.memoizer::<String>("names");
    let read = async |text: &'static str| names.at(&7).tags(["shop"]).call(async move || text.to_owned()).await;
    for how in ["purge_tag", "delete_memoized", "clear"] {
        server.run::<()>("CONFIG SET maxmemory 3mb");
        read("old").await;
        eventually("it is stored", async || read("new").await == "old").await;
        server.run::<()>("CONFIG SET maxmemory 1");
        assert_eq!(cache.set("other", &1, Ttl::Default).await.unwrap_err().kind(), ErrorKind::TooLarge);
        match how {
            "purge_tag" => cache.purge_tag("shop").await.unwrap(),
            "delete_memoized" => names.delete_memoized().await.unwrap(),
            _ => cache.clear().await.unwrap(),
        }
        assert_eq!(read("new").await, "new", "{how}");
    }
}

#[tokio::test]
async fn a_replica_that_cannot_be_written_to_is_read() {
    let master = Server::start();
    let replica = Server::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    let (writer, wrote) = cached(RedisBackend::builder(master.url()));
    recovers(&writer, &wrote).await;
    let (cache, app) = cached(RedisBackend::builder(replica.url()));
    eventually("what the master has is there", async || matches!(cache.get::<i32>("explicit").await, Ok(Some(1))))
        .await;
    let error = cache.set("explicit", &2, Ttl::Default).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("replica"), "{error}");
    for path in 0..20 {
        assert_eq!(fetch(&app, &format!("/{path}")).await.1, format!("run {}", path + 1));
    }
    replica.run::<()>("REPLICAOF NO ONE");
    recovers(&cache, &app).await;
}

/// The one that is not the test's, which has its own over the socket.
fn connection(server: &Server) -> Option<String> {
    let clients: String = server.run("CLIENT LIST TYPE normal");
    let client = clients.lines().find(|client| client.contains("addr=127.0.0.1:"))?;
    client.split(' ').next().map(str::to_owned)
}

#[tokio::test]
async fn calls_whose_callers_have_left_cost_no_connection() {
    let server = Server::start();
    let backend = RedisBackend::builder(server.url()).response_timeout(Duration::from_secs(1)).build().unwrap();
    backend.get("key").await.unwrap();
    let before = connection(&server);
    server.hang();
    // Longer than two looks at the connection, and not so long that it has to answer.
    for _ in 0..12 {
        tokio::time::timeout(FAST / 4, backend.get("key")).await.unwrap_err();
    }
    server.resume();
    eventually("the connection is asked", async || server.calls("ping") > 0).await;
    backend.get("key").await.unwrap();
    assert_eq!(connection(&server), before);
}

#[tokio::test]
async fn a_master_that_became_a_replica_is_left_by_who_only_writes_many() {
    let server = Server::start();
    let backend = RedisBackend::new(server.url()).unwrap();
    let write = async || backend.set_many(&[("a", Value::integer(1)), ("b", Value::integer(2))], None).await;
    write().await.unwrap();
    let before = connection(&server);
    server.run::<()>("REPLICAOF 127.0.0.1 1");
    eventually("the address is connected to anew", async || {
        assert_eq!(write().await.unwrap_err().kind(), ErrorKind::Connect);
        connection(&server).is_some_and(|connection| Some(connection) != before)
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let server = Server::start();
    server.run::<()>("ACL SETUSER shop on >right ~* +@all");
    let (cache, app) = cached(RedisBackend::builder(server.url()).username("shop").password("hunter2"));
    let error = cache.get::<i32>("explicit").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("password"), "{error}");
    assert!(!format!("{error} {error:?} {cache:?}").contains("hunter2"));
    goes_on_without(&cache, &app, &[ErrorKind::Connect]).await;
    server.run::<()>("ACL SETUSER shop >hunter2");
    recovers(&cache, &app).await;
}

#[tokio::test]
async fn a_password_that_a_server_repeats_is_not_shown() {
    // One that knows neither `HELLO` nor users says so with all that it was told.
    let server = Server::with(&["--rename-command", "HELLO", "", "--rename-command", "AUTH", ""]);
    let backend = RedisBackend::builder(server.url()).username("shop").password("hunter2").build().unwrap();
    let error = backend.get("key").await.unwrap_err();
    assert!(!format!("{error} {error:?} {backend:?}").contains("hunter2"), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_no_call() {
    let server = Server::start();
    let backend = RedisBackend::new(server.url()).unwrap();
    for round in 0..2 {
        backend.set("key", Value::integer(round), None).await.unwrap();
        let killed: i64 = server.run("CLIENT KILL TYPE normal SKIPME yes");
        assert_eq!(killed, 1);
        // The runtime hears of it when it next looks at its sockets; a connection that is young is not made anew at once.
        tokio::time::sleep(Duration::from_millis(600)).await;
        backend.set("key", Value::integer(round), None).await.unwrap();
        backend.get("key").await.unwrap();
    }
}

#[tokio::test]
async fn a_value_that_a_server_would_not_take_is_refused_before_it_is_sent() {
    let server = Server::start();
    let backend = RedisBackend::builder(server.url()).max_value_bytes(10).build().unwrap();
    let long = || Value::from_bytes("x".repeat(11));
    let kind = ErrorKind::TooLarge;
    assert_eq!(backend.set("key", long(), None).await.unwrap_err().kind(), kind);
    assert_eq!(backend.add("key", long(), None).await.unwrap_err().kind(), kind);
    assert_eq!(backend.set_many(&[("key", long())], None).await.unwrap_err().kind(), kind);
    assert_eq!(backend.compare_and_set("key", b"x", long(), None).await.unwrap_err().kind(), kind);
    assert_eq!(server.run::<i64>("DBSIZE"), 0);
}

#[tokio::test]
async fn what_is_under_a_key_and_no_text_is_no_value() {
    let server = Server::start();
    server.run::<()>("RPUSH list a b");
    let backend = RedisBackend::new(server.url()).unwrap();
    assert_eq!(backend.get("list").await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(backend.increment("list", 1).await.unwrap_err().kind(), ErrorKind::NotAnInteger);
    assert!(backend.delete("list").await.unwrap());
}

#[tokio::test]
async fn a_node_of_a_cluster_that_hangs_costs_its_own_keys() {
    let cluster = Cluster::start();
    let backend = RedisBackend::cluster(cluster.seeds()).connect_timeout(FAST).response_timeout(FAST).build().unwrap();
    let keys: Vec<String> = (0..30).map(|key| format!("key {key}")).collect();
    let owner = |key: &String| cluster.owner_of(cluster.slot_of(key));
    let (hanging, well): (Vec<_>, Vec<_>) = keys.iter().partition(|key| owner(key) == 0);
    for key in &keys {
        backend.set(key, Value::from_bytes("1"), None).await.unwrap();
    }
    cluster.nodes[0].hang();
    for key in &well {
        assert!(backend.get(key).await.unwrap().is_some());
        let kind = backend.get(hanging[0]).await.unwrap_err().kind();
        assert!([ErrorKind::Timeout, ErrorKind::Connect].contains(&kind), "{kind:?}");
    }
    cluster.nodes[0].resume();
    eventually("it is there again", async || backend.get(hanging[0]).await.is_ok_and(|value| value.is_some())).await;
}
