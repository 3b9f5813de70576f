//! Keys with one digest, and texts that could be taken for each other: never somebody else's page.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use axum::{Router, body::Body};
use axum_caching::CacheStatus;
use digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update, consts::U4};
use http::{Method, Request};
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;

/// A digest that is the same for everything.
#[derive(Clone, Default)]
struct Constant;

impl HashMarker for Constant {}
impl OutputSizeUser for Constant {
    type OutputSize = U4;
}
impl Update for Constant {
    fn update(&mut self, _: &[u8]) {}
}
impl FixedOutput for Constant {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.fill(7);
    }
}

#[tokio::test]
async fn two_queries_with_one_digest_are_two_pages() {
    // Ristretto #30: the hash was the key. Flask-Caching Q-18.
    let (cache, backend, _) = cache_and_backend();
    let weak = layer(&cache).hash_method::<Constant>();
    let (app, runs) = app(weak, |request, _| request.uri().query().unwrap_or("-").to_owned());

    for query in ["a=1", "a=2", "a=1", "b", "a=2"] {
        let (status, body) = fetch(&app, &format!("/p?{query}")).await;
        assert!(is_miss(status), "{query}");
        assert_eq!(body, query);
        assert_eq!(fetch(&app, &format!("/p?{query}")).await, (HIT, query.to_owned()));
    }
    assert_eq!((runs.count(), backend.entries()), (5, 1));
}

#[tokio::test]
async fn two_variants_with_one_digest_are_two_pages() {
    let (cache, _) = cache();
    let weak = layer(&cache).hash_method::<Constant>();
    let (app, _) = app(weak, |request, _| answer(&[("vary", "x-a")], seen(&request, "x-a")));

    for a in ["1", "2", "3", "2", "1", "3"] {
        for _ in 0..2 {
            assert_eq!(fetch_request(&app, get_with("/", &[("x-a", a)])).await.1, a);
        }
    }
}

#[tokio::test]
async fn two_bodies_with_one_digest_are_two_pages() {
    let (cache, _) = cache();
    let weak = layer(&cache).hash_method::<Constant>().methods([Method::POST]).key_by_body(100);
    let app = Router::new().route("/", axum::routing::post(async |body: String| body)).layer(weak);

    for body in ["tea", "coffee", "tea"] {
        for _ in 0..2 {
            let request = Request::post("/").header("content-type", "text/plain").body(Body::from(body)).unwrap();
            assert_eq!(fetch_request(&app, request).await.1, body);
        }
    }
}

#[tokio::test]
async fn two_queries_with_one_digest_do_not_share_a_run() {
    // Two texts with one MD5 are made in minutes: whoever waits has to be asking for the same text.
    let (cache, _) = cache();
    let handler = async |request: Request<Body>| {
        // Others come while this one is at it.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        request.uri().query().unwrap_or("-").to_owned()
    };
    let app = Router::new().fallback(handler).layer(layer(&cache).hash_method::<Constant>());

    let (one, two) = tokio::join!(fetch(&app, "/p?a=1"), fetch(&app, "/p?a=2"));

    assert_eq!((one.1.as_str(), two.1.as_str()), ("a=1", "a=2"));
}
