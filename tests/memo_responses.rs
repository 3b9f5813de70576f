//! A response that was made of memoized values goes when they go.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use std::convert::Infallible;

use axum::{body::Body, response::Response};
use axum_caching::{Cache, CacheStatus, Memoizer, MemoryBackend, MissReason, testing::Chaos};
use bytes::Bytes;
use http_body_util::StreamBody;
use support::{cache, fetch, get, held::settle, layer, send, text};
use tokio_stream::{StreamExt, once};

const HIT: CacheStatus = CacheStatus::Hit;
const PURGED: CacheStatus = CacheStatus::Miss { reason: MissReason::Purged, not_stored: None };

/// A page with a price in it, which is memoized in the same cache.
fn page(cache: &Cache) -> (axum::Router, Memoizer<usize>) {
    let price: Memoizer<usize> = cache.memoizer("price");
    let (prices, runs) = (price.clone(), support::Runs::default());
    let handler = move || {
        let (prices, runs) = (prices.clone(), runs.clone());
        async move { format!("{} EUR", prices.at(&7).tags(["shop"]).call(async || runs.next()).await) }
    };
    (axum::Router::new().route("/", axum::routing::get(handler)).layer(layer(cache)), price)
}

#[tokio::test]
async fn a_purge_of_a_memoized_value_reaches_the_response_that_was_made_of_it() {
    let (cache, _) = cache();
    let (app, price) = page(&cache);
    assert_eq!(fetch(&app, "/").await.1, "1 EUR");
    assert_eq!(fetch(&app, "/").await, (HIT, "1 EUR".into()));

    price.delete_memoized().await.unwrap();
    assert_eq!(fetch(&app, "/").await, (PURGED, "2 EUR".into()));
    price.delete_memoized_for(&7).await.unwrap();
    assert_eq!(fetch(&app, "/").await, (PURGED, "3 EUR".into()));
    cache.purge_tag("shop").await.unwrap();
    assert_eq!(fetch(&app, "/").await, (PURGED, "4 EUR".into()));
    assert_eq!(fetch(&app, "/").await, (HIT, "4 EUR".into()));
}

#[tokio::test]
async fn it_does_so_on_a_backend_that_keeps_bytes_and_never_answers_at_once() {
    let cache = Cache::new(Chaos::remote(MemoryBackend::default()));
    let (app, price) = page(&cache);
    assert_eq!(fetch(&app, "/").await.1, "1 EUR");
    settle().await;
    assert_eq!(fetch(&app, "/").await, (HIT, "1 EUR".into()));
    price.delete_memoized().await.unwrap();
    assert_eq!(fetch(&app, "/").await, (PURGED, "2 EUR".into()));
    settle().await;
    cache.purge_tag("shop").await.unwrap();
    assert_eq!(fetch(&app, "/").await, (PURGED, "3 EUR".into()));
}

/// The same as a stream, whose second part reads the price.
fn streamed(cache: &Cache) -> (axum::Router, Memoizer<usize>) {
    let price: Memoizer<usize> = cache.memoizer("price");
    let (prices, runs) = (price.clone(), support::Runs::default());
    let handler = move || {
        let (prices, runs) = (prices.clone(), runs.clone());
        let first = once(Ok::<_, Infallible>(http_body::Frame::data(Bytes::from("price: "))));
        let second = once(()).then(move |()| {
            let (prices, runs) = (prices.clone(), runs.clone());
            async move {
                tokio::task::yield_now().await;
                let price = prices.call(&7, async || runs.next()).await;
                Ok(http_body::Frame::data(Bytes::from(price.to_string())))
            }
        });
        async move { Response::new(Body::new(StreamBody::new(first.chain(second)))) }
    };
    (axum::Router::new().route("/", axum::routing::get(handler)).layer(layer(cache)), price)
}

#[tokio::test]
async fn a_body_that_reads_memoized_values_while_it_is_streamed_depends_on_them() {
    let (cache, _) = cache();
    let (app, price) = streamed(&cache);
    assert_eq!(text(send(&app, get("/")).await).await, "price: 1");
    assert!(cache.close().await);
    assert_eq!(fetch(&app, "/").await, (HIT, "price: 1".into()));
    price.delete_memoized().await.unwrap();
    assert_eq!(fetch(&app, "/").await, (PURGED, "price: 2".into()));
}

#[tokio::test]
async fn a_response_that_read_what_a_purge_overtook_is_not_stored() {
    let (cache, _) = cache();
    let price: Memoizer<usize> = cache.memoizer("price");
    let (prices, runs) = (price.clone(), support::Runs::default());
    let handler = move || {
        let (prices, runs) = (prices.clone(), runs.clone());
        async move {
            let price = prices.call(&7, async || runs.next()).await;
            // As if somebody changed it while the page is written.
            prices.delete_memoized().await.unwrap();
            format!("{price} EUR")
        }
    };
    let app = axum::Router::new().route("/", axum::routing::get(handler)).layer(layer(&cache));
    assert_eq!(fetch(&app, "/").await.1, "1 EUR");
    assert_eq!(fetch(&app, "/").await.1, "2 EUR", "the page of before is not kept");
}

#[tokio::test]
async fn what_is_made_of_a_response_depends_on_what_that_was_made_of() {
    let (cache, _) = cache();
    let (app, price) = page(&cache);
    let summary: Memoizer<String> = cache.memoizer("summary");
    let read = async || summary.call(&1, async || fetch(&app, "/").await.1).await;
    assert_eq!((read().await, read().await), ("1 EUR".into(), "1 EUR".into()));
    price.delete_memoized().await.unwrap();
    assert_eq!(read().await, "2 EUR", "the response was made on the way");
    summary.delete_memoized().await.unwrap();
    assert_eq!(read().await, "2 EUR");
    price.delete_memoized().await.unwrap();
    assert_eq!(read().await, "3 EUR", "or it was there");
}

#[tokio::test]
async fn a_layer_around_that_of_another_cache_depends_on_what_the_inner_response_was_made_of() {
    let (outer, inner) = (cache().0, cache().0);
    let (app, price) = page(&inner);
    let app = app.layer(layer(&outer));
    assert_eq!(fetch(&app, "/").await.1, "1 EUR");
    assert_eq!(fetch(&app, "/").await, (HIT, "1 EUR".into()));
    price.delete_memoized().await.unwrap();
    assert_eq!(fetch(&app, "/").await, (PURGED, "2 EUR".into()));
}

#[tokio::test]
async fn it_does_so_when_the_inner_response_is_a_stream() {
    let (outer, inner) = (cache().0, cache().0);
    let (app, price) = streamed(&inner);
    let app = app.layer(layer(&outer));
    assert_eq!(fetch(&app, "/").await.1, "price: 1");
    assert!(inner.close().await && outer.close().await);
    assert_eq!(fetch(&app, "/").await, (HIT, "price: 1".into()));
    price.delete_memoized().await.unwrap();
    assert_eq!(fetch(&app, "/").await, (PURGED, "price: 2".into()));
}
