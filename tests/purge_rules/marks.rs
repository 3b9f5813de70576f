//! Marks: they come after purges, and do not undo them.

use crate::nodes::{MINUTE, Nodes, What, at_each_place};

/// A mark by one process, with a purge by another one at each place of it.
async fn purged_while_marked(what: What) {
    at_each_place(async |place| {
        let nodes = Nodes::new();
        assert_eq!(nodes.here.read(what, "old").await, "old");
        let mut stops = nodes.here.line.stop();
        let cache = nodes.here.cache.clone();
        let mark = tokio::spawn(async move {
            match what {
                What::Key => cache.mark_stale("key").await.map(drop),
                _ => cache.mark_stale_tag("tag").await,
            }
        });
        let mut seen = 0;
        while let Some(stopped) = stops.next().await {
            if seen == place {
                nodes.there.purge(what).await;
            }
            stopped.pass().await;
            seen += 1;
        }
        mark.await.unwrap().unwrap();
        nodes.here.line.go_on();
        // What is stale is of use where the origin is broken; what was purged never is.
        let kept = (place >= seen).then(|| "old".to_owned());
        assert_eq!(nodes.there.kept(what).await, kept, "purged at {place}");
        seen
    })
    .await;
}

#[tokio::test]
async fn d15_a_tag_that_is_purged_while_it_is_marked_stays_purged() {
    purged_while_marked(What::Early).await;
}

#[tokio::test]
async fn d16_a_key_that_is_purged_while_it_is_marked_stays_purged() {
    purged_while_marked(What::Key).await;
}

#[tokio::test]
async fn d16_a_fill_that_began_before_a_mark_does_not_make_the_entry_fresh() {
    let nodes = Nodes::new();
    nodes.here.read(What::Key, "older").await;
    nodes.clock.advance(3 * MINUTE);
    let run = nodes.here.begin(What::Key, "old").await;
    assert!(nodes.there.cache.mark_stale("key").await.unwrap());
    run.end().await;
    assert_eq!(nodes.there.read(What::Key, "new").await, "new");
}
