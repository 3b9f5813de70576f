//! Purges that could not be made, where a cache is used from several runtimes.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;
mod tiers;

use std::time::Duration;

use axum_caching::{ErrorKind, Ttl, testing::Operation};
use tiers::nodes;
use tokio::{
    runtime::{Builder, Runtime},
    time::{advance, sleep},
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

#[test]
fn a_clear_is_made_up_for_where_the_runtime_of_its_task_is_not_driven_any_more() {
    let (first, second) = (runtime(), runtime());
    let nodes = nodes(true);
    let outage = nodes.server.on(Operation::ALL).fail(ErrorKind::Connect);
    first.block_on(nodes.here.clear()).unwrap_err();
    outage.end();
    let clears = nodes.server.calls(Operation::Clear);
    second.block_on(async {
        nodes.here.set("key", "new", Ttl::Default).await.unwrap();
        advance(Duration::from_secs(3)).await;
        assert_eq!(nodes.here.get::<String>("key").await.unwrap(), None, "it is to be cleared still");
        sleep(Duration::from_secs(2)).await;
        nodes.here.set("key", "newer", Ttl::Default).await.unwrap();
        // Its copy is over by then.
        sleep(Duration::from_secs(2)).await;
        assert_eq!(nodes.here.get::<String>("key").await.unwrap().as_deref(), Some("newer"));
    });
    // The first task finds that it was replaced.
    first.block_on(async { sleep(Duration::from_secs(5)).await });
    let found = second.block_on(nodes.here.get::<String>("key"));
    assert_eq!(found.unwrap().as_deref(), Some("newer"));
    assert_eq!(nodes.server.calls(Operation::Clear), clears + 1);
}

#[test]
fn a_task_whose_runtime_has_ended_is_followed_by_another() {
    let nodes = nodes(true);
    let outage = nodes.server.on(Operation::ALL).fail(ErrorKind::Connect);
    runtime().block_on(nodes.here.clear()).unwrap_err();
    outage.end();
    let clears = nodes.server.calls(Operation::Clear);
    runtime().block_on(async {
        assert_eq!(nodes.here.get::<String>("key").await.unwrap(), None);
        sleep(Duration::from_secs(2)).await;
    });
    assert_eq!(nodes.server.calls(Operation::Clear), clears + 1);
}
