//! URLs, and the servers that they lead to.

use axum_caching::{Cache, CacheConfig, Ttl};

use crate::support::{
    memcached::Memcached,
    redis::{
        Server,
        cluster::Cluster,
        eventually,
        sentinel::{PASSWORD, SENTINEL_PASSWORD, Watched},
        tls::{Certificates, Secured},
    },
};

/// What is stored comes back.
async fn works(cache: Cache) {
    cache.set("answer", &42, Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<i32>("answer").await.unwrap(), Some(42));
}

/// As in a URL.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

const AWKWARD: &str = "p@ss:w/o?r#d %,&=+";

#[tokio::test]
async fn redis_with_a_password_and_a_database() {
    let server = Server::with(&["--requirepass", AWKWARD]);
    let (port, password) = (server.port, encoded(AWKWARD));
    works(Cache::connect(format!("redis://:{password}@127.0.0.1:{port}/2?key_prefix=a:")).unwrap()).await;
    works(Cache::connect(format!("redis://default@127.0.0.1:{port}/3?password={password}")).unwrap()).await;
    works(Cache::connect(format!("{}?password={password}", server.socket_url())).unwrap()).await;
    let (port, kind) = (port.to_string(), ("CACHE_TYPE", "RedisCache"));
    let login = [("CACHE_REDIS_PASSWORD", AWKWARD), ("CACHE_REDIS_DB", "4"), ("CACHE_KEY_PREFIX", "b:")];
    let vars = [kind, ("CACHE_REDIS_HOST", "127.0.0.1"), ("CACHE_REDIS_PORT", &port), login[0], login[1], login[2]];
    works(CacheConfig::from_vars(vars).unwrap().build().unwrap()).await;
    let url = format!("redis://127.0.0.1:{port}");
    works(CacheConfig::from_vars([("CACHE_URL", &*url), login[0], ("CACHE_DB", "5")]).unwrap().build().unwrap()).await;
    for (database, key) in [(2, "a:answer"), (3, "answer"), (0, "answer"), (4, "b:answer"), (5, "answer")] {
        let keys: Vec<String> = {
            let client = redis::Client::open(format!("redis://127.0.0.1:{port}/{database}")).unwrap();
            let info = client.get_connection_info().redis_settings().clone().set_password(AWKWARD);
            let info = client.get_connection_info().clone().set_redis_settings(info);
            let mut connection = redis::Client::open(info).unwrap().get_connection().unwrap();
            redis::cmd("KEYS").arg("*").query(&mut connection).unwrap()
        };
        assert!(keys.iter().any(|found| found == key), "{database}: {keys:?}");
    }
}

#[tokio::test]
async fn redis_over_tls() {
    let server = Secured::start(true);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let (root, certificate) =
        (file("root", &server.certificates.root), file("certificate", &server.certificates.certificate));
    let key = file("key", &server.certificates.key);
    let url = format!("{}?tls_root={root}&tls_certificate={certificate}&tls_key={key}", server.url());
    works(Cache::connect(url).unwrap()).await;
}

#[tokio::test]
async fn a_master_that_sentinels_watch() {
    let watched = Watched::start();
    let (password, theirs) = (encoded(PASSWORD), encoded(SENTINEL_PASSWORD));
    let addresses = watched.addresses().join(",");
    let url = format!("redis+sentinel://:{password}@{addresses}/shop?sentinel_password={theirs}");
    works(Cache::connect(&url).unwrap()).await;
    works(Cache::connect(format!("{url}&{FOR_EVER}")).unwrap()).await;
    let vars = [
        ("CACHE_TYPE", "RedisSentinelCache"),
        ("CACHE_REDIS_SENTINELS", &*addresses),
        ("CACHE_REDIS_SENTINEL_MASTER", "shop"),
        ("CACHE_REDIS_SENTINEL_PASSWORD", SENTINEL_PASSWORD),
        ("CACHE_REDIS_PASSWORD", PASSWORD),
    ];
    works(CacheConfig::from_vars(vars).unwrap().build().unwrap()).await;
}

#[tokio::test]
async fn a_cluster() {
    let cluster = Cluster::start();
    let url = format!("redis+cluster://{}", cluster.seeds().join(","));
    works(Cache::connect(&url).unwrap()).await;
    works(Cache::connect(format!("{url}?{FOR_EVER}")).unwrap()).await;
}

#[tokio::test]
async fn a_cluster_and_a_master_that_sentinels_watch_over_tls() {
    let certificates = Certificates::new();
    let (watched, cluster) = (Watched::over_tls(&certificates), Cluster::over_tls(&certificates));
    let root = certificates.root_file();
    works(Cache::connect(format!("rediss+cluster://{}?tls_root={root}", cluster.seeds().join(","))).unwrap()).await;
    let (addresses, password) = (watched.addresses().join(","), encoded(PASSWORD));
    let sentinels = format!("sentinel_password={}&sentinel_tls=true", encoded(SENTINEL_PASSWORD));
    let url = format!("rediss+sentinel://:{password}@{addresses}/shop?{sentinels}&tls_root={root}");
    works(Cache::connect(url).unwrap()).await;
}

/// As long as a number of seconds can say.
const FOR_EVER: &str = "connect_timeout=18446744073709551615&response_timeout=18446744073709551615&\
                        backend_timeout=18446744073709551615";

#[tokio::test]
async fn waits_without_an_end_are_waits() {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}?{FOR_EVER}", server.port);
    works(Cache::connect(&url).unwrap()).await;
    works(Cache::connect(format!("memory://?lag=18446744073709551615 + {url}")).unwrap()).await;
    let server = Memcached::on_tcp(&[]);
    let waits = FOR_EVER.replace("response_timeout", "timeout");
    works(Cache::connect(format!("memcached://{}?{waits}", server.address())).unwrap()).await;
}

#[tokio::test]
async fn memcached_with_and_without_a_password() {
    let server = Memcached::on_tcp(&[]);
    works(Cache::connect(format!("memcached://{}", server.address())).unwrap()).await;
    let vars = [("CACHE_TYPE", "MemcachedCache"), ("CACHE_MEMCACHED_SERVERS", server.address())];
    works(CacheConfig::from_vars(vars).unwrap().build().unwrap()).await;

    let server = Memcached::with_passwords("ada:secret\n");
    works(
        Cache::connect(format!("memcached://{}?login=ascii&username=ada&password=secret", server.address())).unwrap(),
    )
    .await;
}

#[tokio::test]
async fn two_tiers_over_redis_hear_of_each_others_purges() {
    for backplane in ["", "&backplane=tracking", "&backplane=tracking:a:"] {
        hear_of_purges(backplane).await;
    }
}

async fn hear_of_purges(backplane: &str) {
    let server = Server::start();
    // A lag that no test waits for.
    let near = format!("memory://?max_entries=100&lag=1h{backplane}");
    let node = || Cache::connect(format!("{near} + redis://127.0.0.1:{}?key_prefix=a:", server.port)).unwrap();
    let (here, there) = (node(), node());
    here.set("page", "old", Ttl::Default).await.unwrap();
    // The first read subscribes.
    assert_eq!(there.get::<String>("page").await.unwrap().as_deref(), Some("old"));
    eventually("the other node drops its copy", async || {
        here.set("page", "old", Ttl::Default).await.unwrap();
        there.get::<String>("page").await.unwrap();
        here.delete("page").await.unwrap();
        there.get::<String>("page").await.unwrap().is_none()
    })
    .await;
}
