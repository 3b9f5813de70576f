//! What is made of something that was kept.

use crate::{
    nodes::{EARLY, LATE, MINUTE, Nodes, What},
    support::held::settle,
};

#[tokio::test]
async fn d13_an_outer_entry_has_the_stamps_that_its_inner_one_carries() {
    for (inner, is_by_tag) in [(EARLY, true), (LATE, true), (EARLY, false)] {
        let nodes = Nodes::new();
        nodes.know_late_tags().await;
        assert_eq!(nodes.here.read(*inner, "old").await, "old");
        // The inner call is a hit, and the outer run has not ended.
        let memo = nodes.here.cache.memoizer::<String>("around");
        let (go, went) = tokio::sync::oneshot::channel::<()>();
        let node = nodes.here.clone();
        let around = tokio::spawn(async move {
            let made = memo.call(&7, async || {
                let text = node.read(*inner, "not asked").await;
                went.await.unwrap();
                text
            });
            made.await
        });
        settle().await;
        if is_by_tag {
            nodes.there.purge(*inner).await;
        } else {
            nodes.there.delete(*inner).await;
        }
        // There is a new stamp, which is not that of what was read.
        assert_eq!(nodes.there.read(*inner, "new").await, "new");
        go.send(()).unwrap();
        assert_eq!(around.await.unwrap(), "old", "it asked before");
        settle().await;
        assert_eq!(nodes.there.read(What::Around(inner), "newer").await, "new", "made of what is kept now");
    }
}

#[tokio::test]
async fn d13_an_outer_entry_made_of_one_that_was_marked_is_stale_too() {
    let nodes = Nodes::new();
    assert_eq!(nodes.here.read(What::Around(EARLY), "old").await, "old");
    nodes.clock.advance(MINUTE / 2);
    nodes.there.cache.mark_stale_tag("tag").await.unwrap();
    let before = nodes.here.cache.stats();
    nodes.here.read(What::Around(EARLY), "new").await;
    let after = nodes.here.cache.stats();
    assert_eq!(after.hits, before.hits, "no fresh one is served");
}
