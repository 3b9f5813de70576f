//! The contract of a backend, in every deployment.

use std::{sync::Arc, time::Duration};

use axum_caching::{Backend, ErrorKind, RedisBackend, RedisBackendBuilder, Value, testing::conformance};
use tokio::task::LocalSet;

use crate::support::redis::{
    Server,
    cluster::Cluster,
    sentinel::{PASSWORD, SENTINEL_PASSWORD, Watched},
};

/// The time that the rules let pass is the server's, so all deployments pass it together.
#[tokio::test]
async fn every_deployment_keeps_the_contract() {
    let server = Server::start();
    server.run::<()>("ACL SETUSER shop on >secret:/@ ~* &* +@all");
    let (watched, cluster) = (Watched::start(), Cluster::start());
    let client = redis::Client::open(format!("{}/4", server.url())).unwrap();
    let mut backends = vec![
        ("tcp", RedisBackend::builder(server.url())),
        ("unix socket", RedisBackend::builder(server.socket_url()).database(1)),
        ("user", RedisBackend::builder(server.url()).username("shop").password("secret:/@").database(2)),
        ("url", RedisBackend::builder(format!("redis://shop:secret%3A%2F%40@{}/3", server.address()))),
        ("client", RedisBackend::from_client(&client)),
        ("sentinel", sentinel(&watched)),
        ("cluster", RedisBackend::cluster(cluster.seeds())),
        ("other database of sentinel", sentinel(&watched).database(1)),
    ];
    #[cfg(feature = "redis-tls")]
    let secured = crate::support::redis::tls::Secured::start(false);
    #[cfg(feature = "redis-tls")]
    backends.push(("tls", RedisBackend::builder(secured.url()).tls_root(secured.certificates.root.clone())));
    #[cfg(feature = "redis-tls")]
    let over_tls = (Watched::over_tls(&secured.certificates), Cluster::over_tls(&secured.certificates));
    #[cfg(feature = "redis-tls")]
    backends.extend(
        [
            ("sentinel over tls", sentinel_over_tls(&over_tls.0)),
            ("cluster over tls", RedisBackend::cluster(over_tls.1.seeds()).tls(true)),
        ]
        .map(|(name, builder)| (name, builder.tls_root(secured.certificates.root.clone()))),
    );
    let without = (Server::with(&RENAMED), Server::start());
    without.1.run::<()>("ACL SETUSER least on >x ~* +get +set +del");
    backends.push(("renamed commands", RedisBackend::builder(without.0.url())));
    backends.push(("least rights", RedisBackend::builder(without.1.url()).username("least").password("x")));

    let all = LocalSet::new();
    let mut running = Vec::new();
    for (name, builder) in backends {
        let backend = builder.build().unwrap();
        running.push((name, all.spawn_local(conforms(backend))));
    }
    all.run_until(async {
        for (name, run) in running {
            let lacking = run.await.unwrap_or_else(|error| panic!("{name}: {error}"));
            let expected = ["renamed commands", "least rights"].contains(&name);
            assert_eq!(lacking.is_empty(), !expected, "{name}: {lacking:?}");
        }
    })
    .await;

    assert!(server.run::<String>("INFO keyspace").contains("db4:"), "the database of the client");
    let spread = cluster.nodes.iter().filter(|node| node.run::<i64>("DBSIZE") > 0).count();
    assert_eq!(spread, 3, "entries are on all nodes");
}

const RENAMED: [&str; 21] = [
    "--rename-command",
    "EVAL",
    "",
    "--rename-command",
    "EVALSHA",
    "",
    "--rename-command",
    "UNLINK",
    "",
    "--rename-command",
    "SCAN",
    "",
    "--rename-command",
    "MGET",
    "",
    "--rename-command",
    "EXISTS",
    "",
    "--rename-command",
    "INCRBY",
    "",
];

/// The rules, and what the server was seen to lack.
async fn conforms(backend: RedisBackend) -> Vec<&'static str> {
    let shared: Arc<dyn Backend> = Arc::new(backend.clone());
    // Waits for the first connection, which finds out what is lacking.
    let _ = backend.has("key").await;
    assert_eq!(backend.compares(), backend.lacking().is_empty());
    conformance::all(&shared, tokio::time::sleep).await;
    backend.lacking()
}

fn sentinel(watched: &Watched) -> RedisBackendBuilder {
    RedisBackend::sentinel("shop", watched.addresses()).password(PASSWORD).sentinel_password(SENTINEL_PASSWORD)
}

#[cfg(feature = "redis-tls")]
fn sentinel_over_tls(watched: &Watched) -> RedisBackendBuilder {
    let sentinels = watched.addresses().into_iter().map(|address| format!("rediss://{address}"));
    RedisBackend::sentinel("shop", sentinels).password(PASSWORD).sentinel_password(SENTINEL_PASSWORD).tls(true)
}

/// What a server of its own has to say to what was stored through a backend.
async fn store(backend: &RedisBackend) {
    backend.set("key", Value::from_bytes("value"), None).await.unwrap();
}

#[cfg(feature = "redis-tls")]
#[tokio::test]
async fn a_certificate_is_shown_where_the_server_asks_for_one() {
    let secured = crate::support::redis::tls::Secured::start(true);
    let without = RedisBackend::builder(secured.url()).tls_root(secured.certificates.root.clone()).build().unwrap();
    without.get("key").await.unwrap_err();
    let with = RedisBackend::builder(secured.url())
        .tls_root(secured.certificates.root.clone())
        .tls_identity(secured.certificates.certificate.clone(), secured.certificates.key.clone())
        .build()
        .unwrap();
    store(&with).await;
}

#[cfg(feature = "redis-tls")]
#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let secured = crate::support::redis::tls::Secured::start(false);
    let backend = RedisBackend::new(secured.url()).unwrap();
    assert_eq!(backend.get("key").await.unwrap_err().kind(), ErrorKind::Connect);
    let wrong = RedisBackend::builder(secured.server.url()).tls_root(secured.certificates.root.clone()).build();
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Config, "certificates, and no TLS");
}

#[tokio::test]
async fn the_database_is_the_one_that_was_named() {
    let server = Server::start();
    let in_url = RedisBackend::new(format!("{}/2", server.url())).unwrap();
    let beside = RedisBackend::builder(server.url()).database(3).build().unwrap();
    for (backend, database) in [(in_url, 2), (beside, 3)] {
        store(&backend).await;
        let mut connection = server.connection();
        redis::cmd("SELECT").arg(database).query::<()>(&mut connection).unwrap();
        assert_eq!(redis::cmd("GET").arg("key").query::<String>(&mut connection).unwrap(), "value");
    }
    assert_eq!(server.run::<i64>("DBSIZE"), 0, "of database 0");
}

#[tokio::test]
async fn a_user_without_a_password_is_that_user_and_no_other() {
    let server = Server::start();
    server.run::<()>("ACL SETUSER shop on nopass ~shop:* +@all");
    server.run::<()>("ACL SETUSER locked on >x ~* +@all");
    let url = |user: &str| server.url().replace("redis://", &format!("redis://{user}@"));
    let client = redis::Client::open(url("shop")).unwrap();
    for builder in [
        RedisBackend::builder(server.url()).username("shop"),
        RedisBackend::builder(url("shop")),
        RedisBackend::from_client(&client),
    ] {
        let backend = builder.build().unwrap();
        backend.set("shop:key", Value::from_bytes("value"), None).await.unwrap();
        let error = backend.set("key", Value::from_bytes("value"), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "what is the default user's: {error}");
    }
    let locked = RedisBackend::builder(server.url()).username("locked").build().unwrap();
    assert_eq!(locked.get("key").await.unwrap_err().kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn a_master_that_no_sentinel_knows_is_told_by_its_kind() {
    let watched = Watched::start();
    let builder = RedisBackend::sentinel("nobody", watched.addresses());
    let backend = builder.password(PASSWORD).sentinel_password(SENTINEL_PASSWORD).build().unwrap();
    let error = backend.get("key").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("sentinel"), "{error}");
}

#[test]
fn what_is_said_about_a_sentinel_and_would_not_be_heard_is_refused() {
    for url in ["redis://:hunter2@localhost:26379", "redis://shop@localhost", "redis://localhost/2"] {
        let error = RedisBackend::sentinel("shop", ["localhost", url]).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let plain = RedisBackend::sentinel("shop", ["redis://localhost:26379"]).sentinel_password("hunter2");
    assert!(plain.build().is_ok());
}

#[test]
fn what_is_said_of_sentinels_where_there_are_none_is_refused() {
    for builder in [
        || RedisBackend::builder("redis://localhost"),
        || RedisBackend::cluster(["localhost"]),
        || RedisBackend::from_client(&redis::Client::open("redis://localhost").unwrap()),
    ] {
        for named in [builder().sentinel_username("shop"), builder().sentinel_password("hunter2")] {
            let error = named.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("sentinel") && !format!("{error:?}").contains("hunter2"), "{error}");
        }
        builder().build().unwrap();
    }
}

#[cfg(feature = "redis-tls")]
#[test]
fn tls_that_is_asked_for_and_would_not_be_had_is_refused() {
    let plain = redis::Client::open("redis://localhost").unwrap();
    let (root, one) = (b"no pem".to_vec(), "host");
    for builder in [
        RedisBackend::builder("redis://localhost").password("hunter2").tls(true),
        RedisBackend::builder("unix:///run/redis").tls(true),
        RedisBackend::builder("rediss://localhost").replica("redis://localhost").tls(true),
        RedisBackend::cluster([one, "redis://localhost"]).tls(true),
        RedisBackend::from_client(&plain).tls(true),
        RedisBackend::sentinel("shop", [one]).tls_root(root.clone()),
        RedisBackend::sentinel("shop", [one]).tls_identity(root.clone(), root.clone()),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("rediss://"), "{error}");
    }
    for builder in [
        RedisBackend::builder(one).tls(true),
        RedisBackend::builder("rediss://localhost").replica(one).tls(true),
        RedisBackend::cluster([one, "rediss://localhost"]).tls(true),
        RedisBackend::from_client(&redis::Client::open("rediss://localhost").unwrap()).tls(true),
        RedisBackend::sentinel("shop", [one]).tls_root(root.clone()).tls(true),
        RedisBackend::sentinel("shop", ["rediss://localhost"]).tls_root(root),
    ] {
        builder.build().unwrap();
    }
}

#[tokio::test]
async fn clearing_a_cluster_reaches_every_node_and_nothing_else() {
    let cluster = Cluster::start();
    let backend = RedisBackend::cluster(cluster.seeds()).build().unwrap();
    let keys: Vec<String> = (0..3_000).map(|key| format!("shop*[{key}")).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), Value::from_bytes("page"))).collect();
    backend.set_many(&entries, Some(Duration::from_secs(600))).await.unwrap();
    backend.set("shopping", Value::from_bytes("other"), None).await.unwrap();
    let held = || cluster.nodes.iter().map(|node| node.run::<i64>("DBSIZE")).sum::<i64>();
    assert_eq!(held(), 3_001);
    backend.clear("shop*[").await.unwrap();
    assert_eq!(held(), 1);
    assert!(backend.has("shopping").await.unwrap());
}
