//! A purge as a value: what is collected goes together, after a commit, and nothing of it is lost on the way.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod bytewise;
mod support;

use axum_caching::{Cache, CacheStatus, ErrorKind, Purge, Reach, Ttl};
use bytewise::{bytewise, settle};
use support::{answering, cache, fetch, held::poll_once, layer};
use tokio::sync::oneshot;

const HIT: CacheStatus = CacheStatus::Hit;

async fn has(cache: &Cache, key: &str) -> bool {
    cache.has(key).await.unwrap()
}

async fn filled(cache: &Cache) {
    cache.set("a", &1, Ttl::Forever).await.unwrap();
    cache.set("b", &2, Ttl::Forever).await.unwrap();
}

/// A commit that the test lets through, or has fail.
fn commit() -> (oneshot::Sender<Result<u32, &'static str>>, impl Future<Output = Result<u32, &'static str>> + Send) {
    let (end, ended) = oneshot::channel();
    (end, async { ended.await.unwrap() })
}

#[tokio::test]
async fn keys_tags_and_pages_go_together_and_nothing_else() {
    let (cache, _) = cache();
    let (app, _) = answering(layer(&cache).tags(["news"]), &[]);
    let (other, _) = answering(layer(&cache).key_prefix("other/%s"), &[]);
    filled(&cache).await;
    for page in ["/tagged", "/x?a=1&b=2"] {
        fetch(&app, page).await;
    }
    for page in ["/x", "/y"] {
        fetch(&other, page).await;
    }
    let purge = cache.purge().key("a").cached("/x?b=2&a=1").cached_by(&layer(&cache).key_prefix("other/%s"), "/x");

    assert!(purge.run().await.is_complete());
    assert!(!has(&cache, "a").await && has(&cache, "b").await);
    assert_eq!(fetch(&app, "/tagged").await.0, HIT);
    assert_ne!(fetch(&app, "/x?a=1&b=2").await.0, HIT);
    assert_ne!(fetch(&other, "/x").await.0, HIT);
    assert_eq!(fetch(&other, "/y").await.0, HIT);

    let receipt = cache.purge().tags(["none", "news"]).keys(["b"]).run().await;
    assert_eq!((receipt.is_complete(), receipt.reach()), (true, Reach::Process));
    assert!(!has(&cache, "b").await);
    assert_ne!(fetch(&app, "/tagged").await.0, HIT);
}

#[tokio::test]
async fn a_commit_that_gave_ok_is_followed_by_the_purge_and_one_that_failed_is_not() {
    let (cache, _) = cache();
    filled(&cache).await;
    let failed = cache.purge().key("a").after(async { Err::<(), _>("no") }).await;
    assert_eq!(failed.unwrap_err(), "no");
    assert!(has(&cache, "a").await);

    let (row, receipt) = cache.purge().key("a").after(async { Ok::<_, ()>("row") }).await.unwrap();
    assert_eq!((row, receipt.is_complete()), ("row", true));
    assert!(!has(&cache, "a").await && has(&cache, "b").await);
}

#[tokio::test]
async fn nothing_is_purged_before_the_commit_is_through() {
    let (cache, _) = cache();
    filled(&cache).await;
    let (end, commit) = commit();
    let after = tokio::spawn(cache.purge().key("a").after(commit));
    settle().await;
    assert!(has(&cache, "a").await);
    end.send(Ok(7)).unwrap();
    assert_eq!(after.await.unwrap().unwrap().0, 7);
    assert!(!has(&cache, "a").await);
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_commits_takes_neither_commit_nor_purge_with_it() {
    let (cache, _) = cache();
    filled(&cache).await;
    let (end, commit) = commit();
    assert!(poll_once(cache.purge().key("a").after(commit)).await.is_none());

    let closing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.close().await }
    });
    settle().await;
    assert!(!closing.is_finished(), "it waits for the commit");
    end.send(Ok(7)).unwrap();
    assert!(closing.await.unwrap());
    assert!(!has(&cache, "a").await, "and for the purge");
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_purges_does_not_stop_it() {
    let (cache, backend, _) = bytewise();
    for is_after_commit in [false, true] {
        filled(&cache).await;
        let mut held = backend.hold("delete");
        let purge = cache.purge().keys(["a", "b"]);
        let task = if is_after_commit {
            tokio::spawn(async move { drop(purge.after(async { Ok::<_, ()>(()) }).await) })
        } else {
            tokio::spawn(async move { drop(purge.run().await) })
        };
        held.reached().await;
        task.abort();
        settle().await;
        held.release();
        assert!(cache.close().await);
        assert!(!has(&cache, "a").await && !has(&cache, "b").await, "after a commit: {is_after_commit}");
    }
}

#[tokio::test]
async fn what_is_never_polled_does_nothing() {
    let (cache, _) = cache();
    filled(&cache).await;
    let (end, commit) = commit();
    drop(cache.purge().key("a").after(commit));
    assert!(end.send(Ok(7)).is_err(), "it is gone, and was not begun");
    drop(cache.purge().key("a").run());
    let _: Purge = cache.purge().key("a");
    settle().await;
    assert!(has(&cache, "a").await);
}

#[tokio::test]
async fn a_run_of_the_origin_that_began_before_the_commit_does_not_outlive_the_purge() {
    let (cache, _) = cache();
    let (end, read) = oneshot::channel();
    let filling = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_compute("a", Ttl::Forever, async || read.await.unwrap()).await }
    });
    settle().await;
    cache.purge().key("a").after(async { Ok::<_, ()>(()) }).await.unwrap().1.into_result().unwrap();
    end.send(1).unwrap();
    assert_eq!(filling.await.unwrap(), 1, "its own caller");
    assert!(!has(&cache, "a").await);
}

#[tokio::test]
async fn what_fails_is_named_does_not_keep_the_rest_and_can_be_tried_again() {
    let (cache, backend, _) = bytewise();
    filled(&cache).await;
    let mut held = backend.hold("delete");
    let purge = tokio::spawn(cache.purge().keys(["a", "b"]).cached("no path").run());
    held.reached().await;
    backend.die(true);
    held.release();
    let receipt = purge.await.unwrap();

    let failed: Vec<_> = receipt.failed().map(|(what, error)| (what, error.kind())).collect();
    let expected = [("key `a`", ErrorKind::Connect), ("key `b`", ErrorKind::Connect), ("`no path`", ErrorKind::Key)];
    assert_eq!(failed, expected.map(|(what, kind)| (what.to_owned(), kind)));
    assert!(!receipt.is_complete());

    backend.die(false);
    assert!(has(&cache, "a").await, "it says so rightly");
    let receipt = receipt.retry().await;
    assert!(!has(&cache, "a").await && !has(&cache, "b").await);
    assert_eq!(receipt.reach(), Reach::Backend);
    assert_eq!(receipt.failed().count(), 1, "what is no path never will be");
    assert_eq!(receipt.into_result().unwrap_err().kind(), ErrorKind::Key);
}

#[tokio::test]
async fn one_part_that_fails_does_not_keep_the_others_from_going() {
    let (cache, _) = cache();
    filled(&cache).await;
    let receipt = cache.purge().key("k".repeat(9_000)).key("a").tag("t").run().await;
    assert_eq!(receipt.failed().count(), 1);
    assert!(!has(&cache, "a").await);
}

#[tokio::test]
async fn a_tag_whose_fills_could_not_be_told_is_not_said_to_be_purged() {
    let (cache, backend, _) = bytewise();
    backend.die(true);
    let receipt = cache.purge().tags(["x", "y"]).run().await;
    backend.die(false);
    assert_eq!(receipt.failed().map(|(what, _)| what).collect::<Vec<_>>(), ["tag `x`", "tag `y`"]);
    assert!(receipt.retry().await.is_complete());
}

#[tokio::test]
async fn a_tag_is_not_purged_before_its_fills_were_told() {
    let (cache, backend, _) = bytewise();
    let mut held = backend.hold("set");
    let never = backend.hold("delete");
    let purge = tokio::spawn(cache.purge().tag("x").run());
    held.reached().await;
    backend.die(true);
    held.release();
    settle().await;
    backend.die(false);
    assert!(purge.is_finished(), "nothing is deleted");
    assert!(!purge.await.unwrap().is_complete());
    never.release();
}
