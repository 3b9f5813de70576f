//! Purges of a tag that was known before the data was read.

use crate::{
    nodes::{Nodes, What},
    support::held::settle,
};

/// The records of tags and lanes.
fn is_of_a_tag(key: &str) -> bool {
    key.starts_with("@t/")
}

#[tokio::test]
async fn d4_a_record_that_was_lost_tells_no_entry_that_it_may_be_served() {
    for loses_first in [true, false] {
        let nodes = Nodes::new();
        let run = nodes.here.begin(What::Early, "old").await;
        if loses_first {
            nodes.server.lose(is_of_a_tag);
        }
        nodes.there.purge(What::Early).await;
        nodes.server.lose(is_of_a_tag);
        run.end().await;
        assert_eq!(nodes.there.read(What::Early, "new").await, "new");
    }
}

#[tokio::test]
async fn d6_the_stamps_of_an_early_tag_are_those_from_before_the_origin_ran() {
    let nodes = Nodes::new();
    let run = nodes.here.begin(What::Early, "old").await;
    nodes.there.purge(What::Early).await;
    nodes.server.lose(|key| key.contains("tag"));
    // Somebody else makes the record anew, whose data was read after the purge.
    let other = nodes.there.cache.memoizer::<String>("other");
    let read = async |text: &str| other.at(&1).tags(["tag"]).call(async || text.to_owned()).await;
    assert_eq!(read("other").await, "other");
    assert_eq!(read("another").await, "other");
    run.end().await;
    assert_eq!(nodes.there.read(What::Early, "new").await, "new");
}

#[tokio::test]
async fn d7_of_two_purges_of_one_tag_the_first_may_end_last() {
    let nodes = Nodes::new();
    // So that a purge has left what it leaves.
    nodes.there.purge(What::Early).await;
    let mut stops = nodes.there.line.stop();
    let first = nodes.there.begin_purge(What::Early);
    stops.next().await.unwrap().pass().await;
    let last = stops.next().await.unwrap();
    nodes.there.line.go_on();
    let run = nodes.here.begin(What::Early, "old").await;
    nodes.there.purge(What::Early).await;
    last.pass().await;
    first.await.unwrap();
    run.end().await;
    assert_eq!(nodes.there.read(What::Early, "new").await, "new");
}

#[tokio::test]
async fn d7_no_stamp_comes_back() {
    let nodes = Nodes::new();
    for text in ["1", "2", "3"] {
        let before = nodes.here.begin(What::Early, "old").await;
        nodes.there.purge(What::Early).await;
        before.end().await;
        settle().await;
        assert_eq!(nodes.here.read(What::Early, text).await, text);
        assert_eq!(nodes.there.read(What::Early, "kept").await, text, "it is kept");
    }
}
