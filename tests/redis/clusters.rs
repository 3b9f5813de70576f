//! What is different in a cluster: nodes fail one by one, and its client sends again what was not answered.

use std::time::Duration;

use axum_caching::{Backend, ErrorKind, RedisBackend, Value};

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
