//! Bodies on their way through the cache: streamed, endless, broken, too large, announced wrongly.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{convert::Infallible, future::Future, io, task, time::Duration};

use axum::{body::Body, response::Response};
use axum_caching::{BodyError, CacheStatus, NotStored};
use http::{HeaderMap, Request, header};
use http_body::Frame;
use http_body_util::BodyExt;
use support::{
    cache, get,
    held::{Origin, body, chunk, origin, settle, spawn, streamed, write},
    layer, not_stored,
};
use tower::{Layer, ServiceExt};

fn status<B>(response: &http::Response<B>) -> CacheStatus {
    CacheStatus::of(response).unwrap()
}

#[tokio::test]
async fn a_client_sees_each_chunk_when_the_handler_writes_it_and_the_whole_is_stored() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let client = spawn(&app, get("/"));
    let (response, frames) = streamed(&[]);
    runs.next().await.answer(response);
    let mut response = client.await.unwrap().unwrap();

    write(&frames, "one ");
    assert_eq!(chunk(&mut response).await.unwrap().unwrap(), "one ");
    write(&frames, "two");
    assert_eq!(chunk(&mut response).await.unwrap().unwrap(), "two");
    drop(frames);
    assert!(chunk(&mut response).await.is_none());

    let again = spawn(&app, get("/")).await.unwrap().unwrap();
    assert_eq!(status(&again), CacheStatus::Hit);
    assert_eq!(again.headers()[header::CONTENT_LENGTH], "7");
    assert_eq!(body(again).await, "one two");
}

#[tokio::test]
async fn the_end_of_a_streamed_body_comes_after_it_is_stored() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    for page in ["/1", "/2", "/3"] {
        let client = spawn(&app, get(page));
        let (response, frames) = streamed(&[]);
        runs.next().await.answer(response);
        write(&frames, "page");
        drop(frames);
        body(client.await.unwrap().unwrap()).await;

        assert_eq!(status(&app.clone().oneshot(get(page)).await.unwrap()), CacheStatus::Hit);
    }
}

#[tokio::test]
async fn server_sent_events_reach_a_second_client_at_once() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let first = spawn(&app, get("/events"));
    let run = runs.next().await;
    let second = spawn(&app, get("/events"));
    assert!(runs.is_quiet().await);
    let events = [("content-type", "text/event-stream; charset=utf-8")];

    let (response, first_events) = streamed(&events);
    run.answer(response);
    let mut first = first.await.unwrap().unwrap();
    let (response, second_events) = streamed(&events);
    runs.next().await.answer(response);
    let mut second = second.await.unwrap().unwrap();

    write(&first_events, "data: 1\n\n");
    write(&second_events, "data: 2\n\n");
    assert_eq!(chunk(&mut first).await.unwrap().unwrap(), "data: 1\n\n");
    assert_eq!(chunk(&mut second).await.unwrap().unwrap(), "data: 2\n\n");
    assert_eq!(not_stored(status(&first)), Some(NotStored::Streaming));
}

#[tokio::test]
async fn a_body_that_fails_half_way_is_not_stored_and_its_client_sees_the_error() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let client = spawn(&app, get("/"));
    let (response, frames) = streamed(&[]);
    runs.next().await.answer(response);
    let mut response = client.await.unwrap().unwrap();
    write(&frames, "half");
    assert_eq!(chunk(&mut response).await.unwrap().unwrap(), "half");

    frames.send(Err(io::Error::other("broken"))).unwrap();

    let error = chunk(&mut response).await.unwrap().unwrap_err();
    assert!(matches!(error, BodyError::Origin(_)), "{error:?}");
    let _again = spawn(&app, get("/"));
    runs.next().await;
}

#[tokio::test]
async fn a_body_that_is_broken_from_the_start_is_not_stored_either() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let client = spawn(&app, get("/"));
    let (response, frames) = streamed(&[]);
    write(&frames, "half");
    frames.send(Err(io::Error::other("broken"))).unwrap();

    runs.next().await.answer(response);
    let mut response = client.await.unwrap().unwrap();

    assert_eq!(not_stored(status(&response)), Some(NotStored::Incomplete));
    assert_eq!(chunk(&mut response).await.unwrap().unwrap(), "half");
    assert!(chunk(&mut response).await.unwrap().is_err());
}

#[tokio::test]
async fn those_who_wait_for_a_body_that_fails_take_over() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let leader = spawn(&app, get("/"));
    let (response, frames) = streamed(&[("content-length", "4")]);
    runs.next().await.answer(response);
    let follower = spawn(&app, get("/"));
    assert!(runs.is_quiet().await);

    frames.send(Err(io::Error::other("broken"))).unwrap();

    runs.next().await.answer("good");
    assert_eq!(body(follower.await.unwrap().unwrap()).await, "good");
    assert!(leader.await.unwrap().unwrap().into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_announced_is_not_stored() {
    for (announced, text) in [("9", "short"), ("2", "long")] {
        let (cache, _) = cache();
        let (origin, mut runs) = origin();
        let app = layer(&cache).layer(origin);
        let client = spawn(&app, get("/"));
        let (response, frames) = streamed(&[("content-length", announced)]);
        runs.next().await.answer(response);
        write(&frames, text);
        drop(frames);
        assert_eq!(body(client.await.unwrap().unwrap()).await, text);

        let _again = spawn(&app, get("/"));
        runs.next().await;
    }
}

#[tokio::test]
async fn a_body_with_trailers_is_passed_on_with_them_and_not_stored() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let client = spawn(&app, get("/"));
    let (response, frames) = streamed(&[]);
    runs.next().await.answer(response);
    settle().await;
    write(&frames, "text");
    let trailers = HeaderMap::from_iter([(header::ETAG, "\"1\"".parse().unwrap())]);
    frames.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(frames);

    let collected = client.await.unwrap().unwrap().into_body().collect().await.unwrap();

    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), "text");
    let _again = spawn(&app, get("/"));
    runs.next().await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_a_body_does_not_keep_it_from_the_cache() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let client = spawn(&app, get("/"));
    let (response, frames) = streamed(&[]);
    runs.next().await.answer(response);
    let mut response = client.await.unwrap().unwrap();
    write(&frames, "one ");
    chunk(&mut response).await;

    drop(response);
    settle().await;
    write(&frames, "two");
    drop(frames);

    assert!(cache.close().await);
    assert_eq!(body(spawn(&app, get("/")).await.unwrap().unwrap()).await, "one two");
}

#[tokio::test(start_paused = true)]
async fn a_body_without_a_client_and_without_an_end_is_given_up() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let client = spawn(&app, get("/"));
    let (response, frames) = streamed(&[]);
    runs.next().await.answer(response);
    write(&frames, "one ");
    drop(client.await.unwrap().unwrap());
    settle().await;

    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(cache.close().await);

    assert!(frames.is_closed(), "the body was dropped");
}

#[tokio::test(start_paused = true)]
async fn others_wait_only_a_second_for_the_rest_of_a_body_of_unknown_length() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let leader = spawn(&app, get("/"));
    let (response, _frames) = streamed(&[]);
    runs.next().await.answer(response);
    let _response = leader.await.unwrap().unwrap();
    let follower = spawn(&app, get("/"));
    assert!(runs.is_quiet().await);

    tokio::time::advance(Duration::from_millis(900)).await;
    assert!(runs.is_quiet().await);
    tokio::time::advance(Duration::from_millis(200)).await;

    runs.next().await.answer("alone");
    assert_eq!(body(follower.await.unwrap().unwrap()).await, "alone");
}

#[test]
fn a_dead_collector_is_never_a_clean_end() {
    let (cache, _) = cache();
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (response, frames) = streamed(&[]);
    let (origin, mut runs): (Origin, _) = origin();
    let app = layer(&cache).layer(origin);
    let response = other.block_on(async {
        let client = spawn(&app, get("/"));
        runs.next().await.answer(response);
        write(&frames, "half");
        settle().await;
        client.await.unwrap().unwrap()
    });

    drop(other);

    let reader = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = reader.block_on(response.into_body().collect()).unwrap_err();
    assert!(matches!(error, BodyError::Aborted), "{error:?}");
}

#[test]
fn without_a_tokio_runtime_pages_are_served_and_stored_and_streams_are_passed_on() {
    let (cache, _) = cache();
    let (response, frames) = streamed(&[]);
    let page = layer(&cache)
        .layer(tower::service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::from("page")))));
    let response = std::sync::Arc::new(std::sync::Mutex::new(Some(response)));
    let stream = layer(&cache).key_prefix("s").layer(tower::service_fn(move |_: Request<Body>| {
        let response = response.lock().unwrap().take().unwrap();
        async move { Ok::<_, Infallible>(response) }
    }));

    let page = |expected: fn(CacheStatus) -> bool| {
        let response = block_on(page.clone().oneshot(get("/"))).unwrap();
        assert!(expected(status(&response)));
        assert_eq!(block_on(body(response)), "page");
    };
    page(support::is_miss);
    page(|status| status == CacheStatus::Hit);
    let response = block_on(tower::Service::call(&mut { stream }, get("/"))).unwrap();
    assert_eq!(not_stored(status(&response)), Some(NotStored::NoRuntime));
    write(&frames, "text");
    drop(frames);
    assert_eq!(block_on(body(response)), "text");
}

/// The smallest executor there is.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = task::Context::from_waker(task::Waker::noop());
    loop {
        if let task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
