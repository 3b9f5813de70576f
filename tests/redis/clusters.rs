//! What is different in a cluster: nodes fail one by one, and its client sends again what was not answered.

use std::time::Duration;

use axum_caching::{Backend, ErrorKind, RedisBackend, Value};
use tokio::time::timeout;

use crate::support::redis::{cluster::Cluster, eventually};

const FAST: Duration = Duration::from_millis(200);

fn value(text: &'static str) -> Value {
    Value::from_bytes(text)
}

/// A key of this node.
fn key_of(cluster: &Cluster, node: usize) -> String {
    let mut keys = (0..).map(|key| format!("key {key}"));
    keys.find(|key| cluster.owner_of(cluster.slot_of(key)) == node).unwrap()
}

#[tokio::test]
async fn what_a_node_that_hangs_does_not_answer_is_not_sent_again() {
    let cluster = Cluster::start();
    let backend = RedisBackend::cluster(cluster.seeds()).response_timeout(FAST).build().unwrap();
    let (count, well) = (key_of(&cluster, 0), key_of(&cluster, 1));
    let lock = format!("{{{count}}} lock");
    assert_eq!(backend.increment(&count, 1).await.unwrap(), 1);
    cluster.nodes[0].forget_calls();
    cluster.nodes[0].hang();
    let writes = async { tokio::join!(backend.increment(&count, 1), backend.add(&lock, value("mine"), None)) };
    // The client of a cluster looks at what it has to send again when there is something else to send.
    let others = async {
        loop {
            backend.get(&well).await.unwrap();
            tokio::time::sleep(FAST / 10).await;
        }
    };
    let (counted, added) = tokio::select! { both = writes => both, () = others => unreachable!("it has no end") };
    assert_eq!(counted.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(added.unwrap_err().kind(), ErrorKind::Timeout);
    cluster.nodes[0].resume();
    eventually("it has arrived", async || backend.get(&lock).await.is_ok_and(|value| value.is_some())).await;
    assert_eq!((cluster.nodes[0].calls("incrby"), cluster.nodes[0].calls("set")), (1, 1));
}

#[tokio::test]
async fn writes_that_may_still_arrive_are_waited_for_also_if_another_has_failed() {
    let cluster = Cluster::start();
    let backend = RedisBackend::cluster(cluster.seeds()).build().unwrap();
    let (slow, refused) = (key_of(&cluster, 0), key_of(&cluster, 1));
    backend.set_many(&[(&slow, value("old")), (&refused, value("old"))], None).await.unwrap();
    cluster.nodes[1].run::<()>("CONFIG SET maxmemory 1");
    cluster.nodes[0].hang();
    let mut write = {
        let (backend, slow, refused) = (backend.clone(), slow.clone(), refused);
        tokio::spawn(async move { backend.set_many(&[(&refused, value("new")), (&slow, value("new"))], None).await })
    };
    eventually("one was refused", async || cluster.nodes[1].run::<String>("INFO errorstats").contains("OOM")).await;
    assert!(timeout(FAST, &mut write).await.is_err(), "the other may still arrive");
    cluster.nodes[0].resume();
    assert_eq!(write.await.unwrap().unwrap_err().kind(), ErrorKind::TooLarge, "what failed first");
    let mut command = redis::cmd("GET");
    let found: String = command.arg(&slow).query(&mut cluster.nodes[0].connection()).unwrap();
    assert_eq!(found, "new", "it has arrived by then");
}

#[tokio::test]
async fn scan_that_was_forbidden_for_a_while_is_used_again() {
    let cluster = Cluster::start();
    for node in &cluster.nodes {
        node.run::<()>("ACL SETUSER user on >x ~* +@all -scan");
    }
    let backend = RedisBackend::cluster(cluster.seeds()).username("user").password("x").build().unwrap();
    backend.set("key", value("1"), None).await.unwrap();
    assert_eq!(backend.clear("k").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(backend.lacking(), ["SCAN"]);
    for node in &cluster.nodes {
        node.run::<()>("ACL SETUSER user +scan");
    }
    backend.clear("k").await.unwrap();
    assert!(!backend.has("key").await.unwrap());
    assert!(backend.lacking().is_empty());
}
