//! Reading from replicas, where that was asked for.

use std::time::Duration;

use axum_caching::{Backend, Cache, ErrorKind, RedisBackend, Ttl, Value};

use crate::support::redis::{
    Server, eventually,
    sentinel::{PASSWORD, SENTINEL_PASSWORD, Watched},
    until,
};

fn replicated() -> (Server, Server) {
    let master = Server::start();
    let replica = Server::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    until("the replica follows", || replica.run::<String>("INFO replication").contains("master_link_status:up"));
    (master, replica)
}

/// Reads go to the master until the replica is connected.
async fn reads_from(replica: &Server, backend: &RedisBackend) {
    replica.forget_calls();
    eventually("it is read from the replica", async || {
        backend.get("nothing").await.unwrap();
        replica.calls("get") > 0
    })
    .await;
}

#[tokio::test]
async fn entries_are_read_from_a_replica_and_what_they_depend_on_is_not() {
    let (master, mut replica) = replicated();
    let backend = RedisBackend::builder(master.url()).replica(replica.url()).build().unwrap();
    let cache = Cache::new(backend.clone());
    cache.set("key", &1, Ttl::Default).await.unwrap();
    reads_from(&replica, &backend).await;
    eventually("it is replicated", async || cache.get::<i32>("key").await.unwrap() == Some(1)).await;
    master.forget_calls();
    replica.forget_calls();
    for _ in 0..5 {
        assert_eq!(cache.get::<i32>("key").await.unwrap(), Some(1));
        assert!(cache.has("key").await.unwrap());
        backend.get_many(&["key", "other"]).await.unwrap();
    }
    assert_eq!((master.calls("get"), master.calls("mget")), (0, 0));
    assert_eq!((replica.calls("get"), replica.calls("mget")), (10, 5));

    replica.forget_calls();
    for _ in 0..5 {
        backend.get("@t/tag:shop").await.unwrap();
        backend.get_many(&["key", "@t/lane:1"]).await.unwrap();
    }
    assert_eq!((replica.calls("get"), replica.calls("mget")), (0, 0));

    replica.kill();
    for _ in 0..5 {
        assert_eq!(cache.get::<i32>("key").await.unwrap(), Some(1), "a replica that is gone is passed over");
    }
}

#[tokio::test]
async fn a_replica_that_hangs_keeps_nobody_from_the_master() {
    let (master, replica) = replicated();
    // As a cache asks that gives up after that. Connecting to what hangs takes a second and more.
    let backend =
        RedisBackend::builder(master.url()).replica(replica.url()).response_timeout(Duration::from_millis(400));
    let backend = backend.build().unwrap();
    let cache = Cache::builder(backend.clone()).backend_timeout(Duration::from_millis(500)).build();
    cache.set("key", &1, Ttl::Default).await.unwrap();
    let reads = async |how: &str| {
        for read in 0..30 {
            assert_eq!(cache.get::<i32>("key").await.ok().flatten(), Some(1), "{how}, read {read}");
        }
    };
    replica.hang();
    reads("before there was a connection").await;
    replica.resume();
    reads_from(&replica, &backend).await;
    replica.hang();
    reads("over the connection").await;
    replica.resume();
    reads_from(&replica, &backend).await;
}

#[tokio::test]
async fn nothing_is_stored_over_what_was_purged_by_what_a_replica_says() {
    let (master, replica) = replicated();
    let backend = RedisBackend::builder(master.url()).replica(replica.url()).build().unwrap();
    backend.set("key", Value::from_bytes("token: old"), None).await.unwrap();
    reads_from(&replica, &backend).await;
    eventually("it is replicated", async || backend.get("key").await.unwrap().is_some()).await;
    // From here on the replica hears of nothing.
    replica.run::<()>("REPLICAOF 127.0.0.1 1");
    assert!(backend.delete("key").await.unwrap());
    assert!(backend.get("key").await.unwrap().is_some(), "it lags");
    assert!(!backend.compare_and_set("key", b"token: old", Value::from_bytes("late"), None).await.unwrap());
    assert!(backend.add("key", Value::from_bytes("new"), None).await.unwrap());
}

#[tokio::test]
async fn sentinels_name_the_replica() {
    let watched = Watched::start();
    let builder = RedisBackend::sentinel("shop", watched.addresses());
    let builder = builder.password(PASSWORD).sentinel_password(SENTINEL_PASSWORD).read_from_replicas(true);
    let backend = builder.build().unwrap();
    backend.set("key", Value::from_bytes("value"), None).await.unwrap();
    let calls = || {
        let mut connection = watched.replica.connection();
        redis::cmd("AUTH").arg(PASSWORD).query::<()>(&mut connection).unwrap();
        let info: String = redis::cmd("INFO").arg("commandstats").query(&mut connection).unwrap();
        info.contains("cmdstat_get:")
    };
    eventually("it is read from the replica", async || backend.get("key").await.unwrap().is_some() && calls()).await;
}

#[test]
fn replicas_are_named_where_the_deployment_does_not_name_them() {
    let one = RedisBackend::builder("redis://localhost").read_from_replicas(true).build();
    assert_eq!(one.unwrap_err().kind(), ErrorKind::Config);
    let cluster = RedisBackend::cluster(["localhost"]).replica("redis://localhost").build();
    assert_eq!(cluster.unwrap_err().kind(), ErrorKind::Config);
}
