//! Purges by one process against fills of another, over one server: `purge_nodes` in earnest.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{Backend, Cache, Memoizer, Profile, RedisBackend, Ttl};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use crate::support::{
    self, fetch, layer,
    redis::{Server, cluster::Cluster, eventually},
};

const MINUTE: Duration = Duration::from_secs(60);

struct Nodes {
    here: Cache,
    there: Cache,
    backend: RedisBackend,
}

/// Two processes, as far as a server can tell: neither knows what the other does.
fn nodes(backend: impl Fn() -> RedisBackend) -> Nodes {
    let node = || Cache::builder(backend()).profile(Profile::ttl(MINUTE)).build();
    Nodes { here: node(), there: node(), backend: backend() }
}

fn begin(cache: &Cache, key: &'static str, text: &'static str) -> (JoinHandle<String>, oneshot::Sender<()>) {
    let (go, may_go) = oneshot::channel::<()>();
    let cache = cache.clone();
    let run = tokio::spawn(async move {
        let value = cache.get_or_compute_owned(key, Profile::new(), async move || {
            may_go.await.unwrap();
            text.to_owned()
        });
        value.await
    });
    (run, go)
}

async fn read(cache: &Cache, key: &str, text: &'static str) -> String {
    cache.get_or_compute(key, Profile::new(), async || text.to_owned()).await
}

async fn purge(cache: &Cache, key: &str, how: &str) {
    match how {
        "delete" => drop(cache.delete(key).await.unwrap()),
        "delete_many" => drop(cache.delete_many([key, "other"]).await.unwrap()),
        "clear" => cache.clear().await.unwrap(),
        "set" => cache.set(key, "new", Ttl::Default).await.unwrap(),
        "add" => drop(cache.add(key, "new", Ttl::Default).await.unwrap()),
        other => panic!("{other} is no purge"),
    }
}

async fn a_purge_wins(nodes: &Nodes) {
    let keys = ["delete", "delete_many", "clear", "set", "add"];
    for key in keys {
        let (run, go) = begin(&nodes.here, key, "old");
        eventually("the fill has a place", async || nodes.backend.has(key).await.unwrap()).await;
        purge(&nodes.there, key, key).await;
        go.send(()).unwrap();
        assert_eq!(run.await.unwrap(), "old", "its own caller");
        assert!(nodes.here.close().await);
        for node in [&nodes.here, &nodes.there] {
            assert_eq!(read(node, key, "new").await, "new", "{key}");
        }
        nodes.here.clear().await.unwrap();
    }
}

#[tokio::test]
async fn a_purge_of_one_process_wins_against_the_fill_of_another() {
    let server = Server::start();
    a_purge_wins(&nodes(|| RedisBackend::new(server.url()).unwrap())).await;
}

#[tokio::test]
async fn a_purge_wins_on_a_cluster_too() {
    let cluster = Cluster::start();
    a_purge_wins(&nodes(|| RedisBackend::cluster(cluster.seeds()).build().unwrap())).await;
}

#[tokio::test]
async fn a_thousand_callers_in_ten_processes_run_the_origin_once_if_they_are_to() {
    let server = Server::start();
    let node = || {
        let wait = Duration::from_secs(10);
        Cache::builder(RedisBackend::new(server.url()).unwrap()).distributed_single_flight(wait).build()
    };
    let (caches, runs) = ((0..10).map(|_| node()).collect::<Vec<_>>(), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for number in 0..1_000 {
        let (cache, runs) = (caches[number % 10].clone(), Arc::clone(&runs));
        callers.spawn(async move {
            let compute = async || {
                runs.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(50)).await;
                "value".to_owned()
            };
            cache.get_or_compute("key", Ttl::Default, compute).await
        });
    }
    assert!(callers.join_all().await.iter().all(|value| value == "value"));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn without_a_purge_the_fill_of_one_is_a_hit_of_the_other() {
    let server = Server::start();
    let nodes = nodes(|| RedisBackend::new(server.url()).unwrap());
    assert_eq!(read(&nodes.here, "key", "one").await, "one");
    assert!(nodes.here.close().await);
    assert_eq!(read(&nodes.there, "key", "two").await, "one");
}

#[tokio::test]
async fn a_tag_that_is_purged_elsewhere_takes_what_was_made_of_it() {
    let server = Server::start();
    let nodes = nodes(|| RedisBackend::new(server.url()).unwrap());
    let pages: [Memoizer<String>; 2] = [nodes.here.memoizer("pages"), nodes.there.memoizer("pages")];
    let page = async |node: usize, text: &'static str| {
        pages[node].at(&7).tags(["shop"]).call(async move || text.to_owned()).await
    };
    assert_eq!(page(0, "old").await, "old");
    assert_eq!(page(1, "new").await, "old");
    nodes.there.purge_tag("shop").await.unwrap();
    assert_eq!(page(0, "new").await, "new");
    assert_eq!(page(1, "newer").await, "new");
}

#[tokio::test]
async fn a_page_that_is_purged_by_one_process_is_made_anew_by_all() {
    let server = Server::start();
    let nodes = nodes(|| RedisBackend::new(server.url()).unwrap());
    let (here, _) = support::app(layer(&nodes.here), |_, run| format!("here {run}"));
    let (there, _) = support::app(layer(&nodes.there), |_, run| format!("there {run}"));
    assert_eq!(fetch(&here, "/page").await.1, "here 1");
    assert!(nodes.here.close().await);
    assert_eq!(fetch(&there, "/page").await.1, "here 1");
    nodes.there.delete_cached("/page").await.unwrap();
    assert_eq!(fetch(&there, "/page").await.1, "there 1");
    assert!(nodes.there.close().await);
    assert_eq!(fetch(&here, "/page").await.1, "there 1");
}
