//! Those who wait for the run of another.

use axum_caching::Cache;

use crate::{
    nodes::{EARLY, LATE, Nodes, What, at_each_place},
    support::held::settle,
};

/// A run here, a purge of another process, and then somebody who joins the run.
async fn joined_after_a_purge(what: What) {
    let nodes = Nodes::new();
    nodes.know_late_tags().await;
    let run = nodes.here.begin(what, "old").await;
    nodes.there.purge(what).await;
    let follower = nodes.here.begin(what, "new").await;
    assert_eq!(run.end().await, "old", "it asked before");
    assert_eq!(follower.end().await, "new", "{what:?}");
}

#[tokio::test]
async fn d10_who_joins_after_a_purge_of_another_process_is_not_handed_the_answer() {
    joined_after_a_purge(What::Key).await;
    joined_after_a_purge(What::Late).await;
}

#[tokio::test]
async fn d17_an_early_tag_is_compared_before_followers_have_the_answer() {
    joined_after_a_purge(What::Early).await;
}

#[tokio::test]
async fn d11_who_joins_after_the_check_is_not_handed_the_answer() {
    for what in [What::Key, What::Early, What::Late] {
        at_each_place(async |place| {
            let nodes = Nodes::new();
            nodes.know_late_tags().await;
            let run = nodes.here.begin(what, "old").await;
            let mut stops = nodes.here.line.stop();
            let call = run.go().await;
            let (mut seen, mut follower) = (0, None);
            while let Some(stopped) = stops.next().await {
                let answer = stopped.arrive().await;
                if seen == place {
                    nodes.there.purge(what).await;
                    nodes.here.line.go_on();
                    follower = Some(nodes.here.begin(what, "new").await);
                }
                drop(answer);
                seen += 1;
            }
            nodes.here.line.go_on();
            settle().await;
            assert_eq!(call.await.unwrap(), "old");
            if let Some(follower) = follower {
                assert_eq!(follower.end().await, "new", "{what:?} joined at {place}");
            }
            seen
        })
        .await;
    }
}

#[tokio::test]
async fn d18_a_fill_around_a_run_that_it_joined_has_none_of_what_was_purged() {
    for inner in [LATE, EARLY] {
        let nodes = Nodes::new();
        nodes.know_late_tags().await;
        let run = nodes.here.begin(*inner, "old").await;
        nodes.there.purge(*inner).await;
        let around = nodes.here.begin(What::Around(inner), "new").await;
        run.end().await;
        assert_eq!(around.end().await, "new");
        assert_eq!(nodes.there.read(What::Around(inner), "newer").await, "new", "and is kept");
    }
}

#[tokio::test]
async fn d18_a_fill_around_one_that_was_refused_is_refused() {
    for inner in [LATE, EARLY] {
        let nodes = Nodes::new();
        nodes.know_late_tags().await;
        let run = nodes.here.begin(What::Around(inner), "old").await;
        let late = |cache: &Cache| cache.memoizer::<String>(if inner == LATE { "late" } else { "early" });
        // Nothing that it noted tells of this one, but that the inner fill was refused.
        let key = late(&nodes.here.cache).make_cache_key(&7).unwrap();
        nodes.there.cache.set(&key, "set", std::time::Duration::from_secs(1)).await.unwrap();
        assert_eq!(run.end().await, "old", "it asked before");
        assert_eq!(nodes.there.read(What::Around(inner), "new").await, "new");
    }
}
