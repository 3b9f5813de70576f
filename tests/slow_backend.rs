//! A backend that takes its time: purges and explicit calls win all the same, and nobody waits for it for ever.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use axum_caching::{
    Cache, CacheLayer, ErrorKind, Memoizer, MemoryBackend, Ttl,
    testing::{Chaos, ManualClock, Operation, Trouble},
};
use http::StatusCode;
use http_body_util::BodyExt;
use support::{
    app, fetch, get,
    held::{chunk, origin, poll_once, settle, spawn, streamed, write},
    layer,
    wire::Wire,
};
use tokio::{sync::oneshot, time};
use tower::{Layer, ServiceExt};

fn behind_a_wire() -> (Cache, Wire) {
    let wire = Wire::default();
    (Cache::new(wire.clone()), wire)
}

#[tokio::test(start_paused = true)]
async fn a_purge_is_not_acknowledged_before_a_store_has_arrived_however_long_that_takes() {
    let (cache, wire) = behind_a_wire();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    wire.hold(true);
    fetch(&app, "/x").await;
    settle().await;

    for _ in 0..50 {
        let refused = cache.delete_cached("/x").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "it says so within its time-out");
    }
    wire.hold(false);
    cache.delete_cached("/x").await.unwrap();

    assert_eq!(fetch(&app, "/x").await.1, "run 2");
}

#[tokio::test(start_paused = true)]
async fn a_set_that_was_given_up_does_not_come_after_a_later_delete() {
    let (cache, wire) = behind_a_wire();
    wire.hold(true);
    let set = cache.set("key", "old", Ttl::Forever);
    assert!(time::timeout(Duration::from_millis(1), set).await.is_err());

    let delete = tokio::spawn({
        let cache = cache.clone();
        async move { cache.delete("key").await }
    });
    settle().await;
    wire.hold(false);
    assert!(delete.await.unwrap().unwrap());

    settle().await;
    assert_eq!(cache.get::<String>("key").await.unwrap(), None);
}

#[tokio::test]
async fn a_fill_that_begins_while_a_value_is_set_does_not_overwrite_it() {
    for counts in [false, true] {
        let (cache, wire) = behind_a_wire();
        wire.hold(true);
        let setting = tokio::spawn({
            let cache = cache.clone();
            async move {
                if counts {
                    cache.increment("key", 7).await.unwrap();
                } else {
                    cache.set("key", &7, Ttl::Forever).await.unwrap();
                }
            }
        });
        settle().await;
        let (go, wait) = oneshot::channel();
        let filling = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_or_compute("key", Ttl::Forever, async || wait.await.unwrap()).await }
        });
        settle().await;

        wire.hold(false);
        setting.await.unwrap();
        go.send(0_i64).unwrap();

        assert_eq!(filling.await.unwrap(), 0, "its own caller asked before");
        assert_eq!(cache.get::<i64>("key").await.unwrap(), Some(7));
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_hangs_holds_no_computed_call_for_ever() {
    let (cache, wire) = behind_a_wire();
    wire.hold(true);
    let mut calls = Vec::new();
    for number in 0..3 {
        let cache = cache.clone();
        let call = async move { cache.get_or_compute("key", Ttl::Forever, async || number).await };
        calls.push(tokio::spawn(call));
        settle().await;
    }

    // One after the other gives up waiting and goes on, to wait for something else.
    for _ in 0..60 {
        time::advance(Duration::from_secs(1)).await;
        settle().await;
    }

    assert!(calls.iter().all(tokio::task::JoinHandle::is_finished));
}

#[tokio::test]
async fn the_end_of_a_stream_does_not_wait_for_the_backend() {
    let (cache, wire) = behind_a_wire();
    let (origin, mut runs) = origin();
    let service = layer(&cache).layer(origin);
    wire.hold(true);
    let client = spawn(&service, get("/x"));
    let (response, frames) = streamed(&[]);
    runs.next().await.answer(response);
    let mut response = client.await.unwrap().unwrap();

    write(&frames, "all");
    drop(frames);
    assert_eq!(chunk(&mut response).await.unwrap().unwrap(), "all");
    settle().await;

    assert!(poll_once(chunk(&mut response)).await.is_some());
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_no_more_than_the_body_that_is_kept() {
    let (cache, _) = behind_a_wire();
    let (origin, mut runs) = origin();
    let service = layer(&cache).layer(origin);
    let client = spawn(&service, get("/x"));
    let (response, frames) = streamed(&[]);
    runs.next().await.answer(response);
    let mut response = client.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);

    for _ in 0..1_000 {
        write(&frames, "x");
        write(&frames, "");
    }
    drop(frames);
    settle().await;

    assert_eq!(chunk(&mut response).await.unwrap().unwrap().len(), 1_000, "in one piece");
    assert!(chunk(&mut response).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_made_is_as_old_as_it_is_however_long_the_backend_takes_for_its_tags() {
    let minute = Duration::from_secs(60);
    for how in ["computed", "memoized", "batch", "response"] {
        let clock = ManualClock::new();
        let server = Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build());
        let cache = Cache::builder(server.clone()).clock(clock.clock()).backend_timeout(Duration::MAX).build();
        let names: Memoizer<String> = cache.memoizer("names").ttl(minute);
        // The run ends, and the stamps of its tag are to be read.
        let held = Arc::new(Mutex::new(None));
        let (server, holds) = (server.clone(), Arc::clone(&held));
        let tagged = move |text: &'static str| {
            Memoizer::context().tag("late");
            let mut held = holds.lock().unwrap();
            held.get_or_insert_with(|| server.on(Operation::Get).next(1).hold());
            text.to_owned()
        };
        let page = tagged.clone();
        let app = Router::new()
            .route("/", axum::routing::get(async move || page("old")))
            .layer(CacheLayer::new(&cache).ttl(minute));
        let ask = async || {
            match how {
                "computed" => drop(cache.get_or_compute("key", minute, async || tagged("old")).await),
                "memoized" => drop(names.call(&1, async || tagged("old")).await),
                "batch" => drop(names.call_many(&[1], async |_: &[&i32]| vec![tagged("old")]).await),
                _ => drop(app.clone().oneshot(get("/")).await.unwrap().into_body().collect().await.unwrap()),
            }
            settle().await;
        };
        let later = async || {
            while held.lock().unwrap().is_none() {
                settle().await;
            }
            let held: Trouble = held.lock().unwrap().take().unwrap();
            held.reached(1).await;
            clock.advance(minute / 2);
            held.end();
        };
        // The first one finds out that there are late tags, the second one that nobody has purged any, and the third one
        // is stored.
        for _ in 0..3 {
            tokio::join!(ask(), later());
        }
        ask().await;
        assert_eq!(cache.stats().hits, 1, "{how}");
        clock.advance(minute / 2);
        let mut last = pin!(ask());
        tokio::select! {
            () = &mut last => {}
            () = later() => last.await,
        }
        assert_eq!(cache.stats().hits, 1, "{how}: a minute from when it was made");
    }
}
