//! Purges of a tag that is found in the data.

use crate::nodes::{Nodes, What, at_each_place};

/// What each process has seen late tags do before.
async fn nodes() -> Nodes {
    let nodes = Nodes::new();
    nodes.know_late_tags().await;
    nodes
}

#[tokio::test]
async fn f1_a_purge_writes_the_lane_before_it_takes_the_tag_away() {
    at_each_place(async |place| {
        let nodes = nodes().await;
        let run = nodes.here.begin(What::Late, "old").await;
        let mut run = Some(run);
        let mut stops = nodes.there.line.stop();
        let purge = nodes.there.begin_purge(What::Late);
        let mut seen = 0;
        while let Some(stopped) = stops.next().await {
            if seen == place {
                run.take().unwrap().end().await;
            }
            stopped.pass().await;
            seen += 1;
        }
        purge.await.unwrap();
        if let Some(run) = run {
            run.end().await;
        }
        nodes.there.line.go_on();
        assert_eq!(nodes.there.read(What::Late, "new").await, "new", "the fill ended at {place}");
        seen
    })
    .await;
}

#[tokio::test]
async fn f2_a_fill_reads_the_tag_before_it_compares_the_lane() {
    at_each_place(async |place| {
        let nodes = nodes().await;
        let run = nodes.here.begin(What::Late, "old").await;
        let mut stops = nodes.here.line.stop();
        let call = run.go().await;
        let mut seen = 0;
        while let Some(stopped) = stops.next().await {
            if seen == place {
                nodes.there.purge(What::Late).await;
            }
            stopped.pass().await;
            seen += 1;
        }
        call.await.unwrap();
        if place < seen {
            assert_eq!(nodes.there.read(What::Late, "new").await, "new", "purged at {place}");
        }
        seen
    })
    .await;
}

#[tokio::test]
async fn f7_a_late_tag_that_was_purged_while_the_origin_ran_refuses_its_fill() {
    // By another process, and by the same one.
    for is_here in [true, false] {
        let nodes = nodes().await;
        let run = nodes.here.begin(What::Late, "old").await;
        if is_here { &nodes.here } else { &nodes.there }.purge(What::Late).await;
        run.end().await;
        assert_eq!(nodes.there.read(What::Late, "new").await, "new", "here: {is_here}");
    }
}

#[tokio::test]
async fn f7_a_purge_that_finds_no_room_for_its_lane_takes_it_away() {
    at_each_place(async |place| {
        let nodes = nodes().await;
        let mut run = Some(nodes.here.begin(What::Late, "old").await);
        nodes.server.fill();
        let mut stops = nodes.there.line.stop();
        let purge = nodes.there.begin_purge(What::Late);
        let mut seen = 0;
        while let Some(stopped) = stops.next().await {
            if seen == place {
                nodes.server.empty();
                run.take().unwrap().end().await;
                nodes.server.fill();
            }
            stopped.pass().await;
            seen += 1;
        }
        purge.await.unwrap();
        nodes.server.empty();
        if let Some(run) = run {
            run.end().await;
        }
        nodes.there.line.go_on();
        assert_eq!(nodes.there.read(What::Late, "new").await, "new", "the fill ended at {place}");
        seen
    })
    .await;
}

#[tokio::test]
async fn f7_a_lane_that_was_lost_says_nothing() {
    let nodes = nodes().await;
    let run = nodes.here.begin(What::Late, "old").await;
    nodes.there.purge(What::Late).await;
    nodes.server.lose(|key| key.contains("lane"));
    run.end().await;
    assert_eq!(nodes.there.read(What::Late, "new").await, "new");
}
