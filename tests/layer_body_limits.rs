//! Bodies that are larger than what is kept, or that never end.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{convert::Infallible, pin::Pin, task};

use axum::body::Body;
use axum_caching::{CacheLayer, CacheStatus, NotStored};
use bytes::Bytes;
use http::Request;
use http_body::Frame;
use support::{
    cache, get,
    held::{chunk, origin, settle, spawn, streamed, write},
    layer, not_stored,
};
use tower::{Layer, ServiceExt};

#[tokio::test]
async fn a_body_that_outgrows_the_limit_reaches_its_client_whole_and_is_not_stored() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).max_body_size(10).layer(origin);
    let client = spawn(&app, get("/"));
    let (response, frames) = streamed(&[]);
    runs.next().await.answer(response);
    let mut response = client.await.unwrap().unwrap();
    for text in ["0123456", "789", "abc", "def"] {
        write(&frames, text);
        assert_eq!(chunk(&mut response).await.unwrap().unwrap(), text);
    }
    drop(frames);
    assert!(chunk(&mut response).await.is_none());

    let _again = spawn(&app, get("/"));
    runs.next().await;
}

#[tokio::test]
async fn a_body_over_the_limit_that_is_there_at_once_is_passed_on() {
    let (cache, _) = cache();
    let (app, runs) = support::app(layer(&cache).max_body_size(10), |_, _| "0123456789abc");

    for run in 1..=2 {
        let (status, text) = support::fetch(&app, "/").await;
        assert_eq!(
            (not_stored(status), text.as_str(), runs.count()),
            (Some(NotStored::TooLarge), "0123456789abc", run)
        );
    }
    let (exact, runs) = support::app(layer(&cache).key_prefix("x%s").max_body_size(13), |_, _| "0123456789abc");
    support::fetch(&exact, "/").await;
    support::fetch(&exact, "/").await;
    assert_eq!(runs.count(), 1, "the limit itself is within");
}

#[tokio::test]
async fn a_body_that_outgrew_the_limit_is_read_at_the_pace_of_its_client() {
    // Back-pressure: the origin is asked for a frame only when the client wants one.
    struct Counting(std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl http_body::Body for Counting {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut task::Context<'_>,
        ) -> task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"0123456789")))))
        }
    }
    let (cache, _) = cache();
    let polled = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
    let count = std::sync::Arc::clone(&polled);
    let endless = tower::service_fn(move |_: Request<Body>| {
        let body = Counting(std::sync::Arc::clone(&count));
        async move { Ok::<_, Infallible>(http::Response::new(body)) }
    });
    let app = layer(&cache).max_body_size(25).layer(endless);

    let mut response = app.oneshot(get("/")).await.unwrap();
    settle().await;

    assert_eq!(polled.load(std::sync::atomic::Ordering::SeqCst), 3);
    assert_eq!(chunk(&mut response).await.unwrap().unwrap().len(), 30);
    chunk(&mut response).await.unwrap().unwrap();
    assert_eq!(polled.load(std::sync::atomic::Ordering::SeqCst), 4);
}

#[tokio::test]
async fn endless_empty_frames_do_not_hold_the_thread() {
    struct Empty;
    impl http_body::Body for Empty {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut task::Context<'_>,
        ) -> task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            task::Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
        }
    }
    let (cache, _) = cache();
    let app = layer(&cache)
        .layer(tower::service_fn(async |_: Request<Body>| Ok::<_, Infallible>(http::Response::new(Empty))));

    let response = app.oneshot(get("/")).await.unwrap();
    settle().await;

    drop(response);
}

#[tokio::test]
async fn a_large_body_is_stored_and_served_whole() {
    let (cache, _) = cache();
    let text = "0123456789abcdef".repeat(1 << 14);
    let sent = text.clone();
    let (app, runs) =
        support::app(CacheLayer::new(&cache).max_body_size(1 << 20), move |_, _| Body::from(sent.clone()));

    support::fetch(&app, "/").await;
    let (status, again) = support::fetch(&app, "/").await;

    assert_eq!((status, runs.count()), (CacheStatus::Hit, 1));
    assert!(again == text);
}
