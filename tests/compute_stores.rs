//! A purge wins over a store that is under way, on a backend whose answers have to be waited for.
#![cfg(feature = "memory")]

mod bytewise;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum_caching::Cache;
use bytewise::{
    Bytewise, bytewise,
    data::{Data, PURGES, found, purge},
    settle,
};
use tokio::task::JoinHandle;

/// A fill that computed `old` on a backend that holds its `set` back.
async fn storing() -> (Cache, Bytewise, Data, JoinHandle<String>, bytewise::Held) {
    let (cache, backend, _) = bytewise();
    let data = Data::new("old");
    let mut set = backend.hold("set");
    let leader = data.call(&cache).await;
    data.end_oldest();
    set.reached().await;
    data.commit("new");
    (cache, backend, data, leader, set)
}

#[tokio::test]
async fn a_purge_waits_for_a_store_that_is_under_way_and_wins() {
    for how in PURGES {
        let (cache, _, _, leader, set) = storing().await;
        let mut purging = pin!(purge(&cache, how));
        for _ in 0..10 {
            assert!(purging.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "{how}");
            settle().await;
        }
        set.release();
        purging.await;
        assert_ne!(found(&cache).await.as_deref(), Some("old"), "{how}");
        assert_eq!(leader.await.unwrap(), "old");
        assert_ne!(found(&cache).await.as_deref(), Some("old"), "{how}");
    }
}

#[tokio::test]
async fn who_comes_while_a_store_is_under_way_waits_for_it_and_looks_up() {
    let (cache, _, data, leader, set) = storing().await;
    let late = data.call(&cache).await;
    settle().await;
    assert!(!late.is_finished());
    assert_eq!(data.running(), 0, "the origin runs once");
    set.release();
    assert_eq!((leader.await.unwrap(), late.await.unwrap()), ("old".to_owned(), "old".to_owned()));
    assert_eq!(cache.stats().shared, 0, "it found the entry, and was not handed the answer");
    assert_eq!(cache.stats().hits, 1);
}

#[tokio::test]
async fn who_comes_late_and_finds_that_nothing_was_stored_runs_anew() {
    let (cache, backend, data, leader, set) = storing().await;
    let late = data.call(&cache).await;
    backend.die(true);
    set.release();
    assert_eq!(leader.await.unwrap(), "old");
    settle().await;
    assert_eq!(data.running(), 1, "the late one was never handed the answer");
    data.end_oldest();
    assert_eq!(late.await.unwrap(), "new");
}

#[tokio::test]
async fn a_store_whose_caller_goes_away_does_not_overtake_a_later_purge() {
    for how in PURGES {
        let (cache, backend, _) = bytewise();
        // As on a server: what was sent is done, whether or not somebody waits for the answer.
        backend.go_on_with_what_was_begun();
        let data = Data::new("old");
        let mut set = backend.hold("set");
        let leader = data.call(&cache).await;
        data.end_oldest();
        set.reached().await;
        leader.abort();
        settle().await;
        data.commit("new");

        let purging = tokio::spawn({
            let cache = cache.clone();
            async move { purge(&cache, how).await }
        });
        settle().await;
        set.release();
        purging.await.unwrap();
        settle().await;
        assert_ne!(found(&cache).await.as_deref(), Some("old"), "{how} was acknowledged before the old value came");
    }
}

#[tokio::test]
async fn a_fill_that_begins_while_a_delete_is_under_way_is_stored_after_it() {
    let (cache, backend, _) = bytewise();
    let data = Data::new("new");
    let mut delete = backend.hold("delete");
    let purging = tokio::spawn({
        let cache = cache.clone();
        async move { purge(&cache, "delete").await }
    });
    delete.reached().await;
    let filling = data.call(&cache).await;
    data.end_oldest();
    settle().await;
    assert!(!filling.is_finished(), "its store waits for the purge");
    delete.release();
    purging.await.unwrap();
    assert_eq!(filling.await.unwrap(), "new");
    assert_eq!(found(&cache).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_purge_that_is_given_up_leaves_nothing_locked() {
    let (cache, _, _, leader, set) = storing().await;
    {
        let mut purging = pin!(purge(&cache, "set_many"));
        assert!(purging.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Pending);
    }
    set.release();
    leader.await.unwrap();
    purge(&cache, "delete").await;
    purge(&cache, "set").await;
    assert_eq!(found(&cache).await.as_deref(), Some("set"));
}

#[tokio::test]
async fn who_looked_before_a_value_was_stored_and_comes_after_it_does_not_run_again() {
    let (cache, backend, _) = bytewise();
    let data = Data::new("row");
    // The answer to its look, `None`, is on its way for a long time.
    let mut get = backend.delay("get");
    let slow = data.call(&cache).await;
    get.reached().await;
    let quick = data.call(&cache).await;
    data.end_oldest();
    assert_eq!(quick.await.unwrap(), "row");

    get.release();
    settle().await;
    assert_eq!(data.running(), 0, "one run is enough for both");
    assert_eq!(slow.await.unwrap(), "row");
}
