//! Callers share a run while the backend is away, and nothing is kept of it.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod bytewise;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Body, http::Request, routing::get};
use axum_caching::{
    Backend, Breaker, BreakerState, Cache, CacheLayer, Clock, ErrorKind, Memoizer, MemoryBackend, Ttl,
    testing::{Chaos, Operation, Trouble},
};
use bytewise::{Bytewise, settle};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};
use tower::ServiceExt;

const CALLERS: usize = 1_000;

/// A shared backend that fails until the other half is told.
fn dead(compares: bool) -> (Arc<dyn Backend>, Box<dyn FnOnce()>) {
    if compares {
        let chaos = Chaos::remote(MemoryBackend::default());
        let trouble: Trouble = chaos.on(Operation::ALL).fail(ErrorKind::Connect);
        return (Arc::new(chaos), Box::new(move || trouble.end()));
    }
    let backend = Bytewise::shared(Clock::system());
    backend.die(true);
    (Arc::new(backend.clone()), Box::new(move || backend.die(false)))
}

/// An origin that is held back, and counts.
#[derive(Clone)]
struct Origin {
    runs: Arc<AtomicUsize>,
    go: watch::Receiver<bool>,
}

impl Origin {
    async fn run(mut self) -> String {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.go.wait_for(|go| *go).await.unwrap();
        "answer".to_owned()
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

fn origin() -> (Origin, watch::Sender<bool>) {
    let (sender, go) = watch::channel(false);
    (Origin { runs: Arc::default(), go }, sender)
}

async fn page(app: Router) -> String {
    let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
    String::from_utf8(axum::body::to_bytes(response.into_body(), 1_000).await.unwrap().to_vec()).unwrap()
}

/// Each way to cache, of a call that many make at once.
async fn call(how: &str, cache: Cache, app: Router, origin: Origin) -> String {
    match how {
        "computed" => cache.get_or_compute("key", Ttl::Default, || origin.run()).await,
        "memoized" => cache.memoizer::<String>("memo").call(&7, || origin.run()).await,
        "response" => page(app).await,
        other => panic!("{other} is no way to cache"),
    }
}

#[tokio::test]
async fn a_thousand_callers_of_a_cold_key_run_the_origin_once_while_the_backend_is_away() {
    for (compares, how) in [true, false].into_iter().flat_map(|c| ["computed", "memoized", "response"].map(|h| (c, h)))
    {
        let (backend, _come_back) = dead(compares);
        let cache = Cache::new(backend);
        let (origin, go) = origin();
        let handler = origin.clone();
        let app = Router::new().route("/", get(move || handler.clone().run())).layer(CacheLayer::new(&cache));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(call(how, cache.clone(), app.clone(), origin.clone()));
        }
        settle().await;
        go.send(true).unwrap();
        assert!(callers.join_all().await.iter().all(|answer| answer == "answer"));
        assert_eq!(origin.runs(), 1, "{how}, compares: {compares}");
    }
}

#[tokio::test]
async fn what_is_made_of_an_answer_that_was_shared_in_an_outage_is_not_kept() {
    for compares in [true, false] {
        let (backend, come_back) = dead(compares);
        let cache = Cache::new(backend);
        // In memory, and alive.
        let pages: Memoizer<String> = Cache::new(MemoryBackend::default()).memoizer("page");
        let (origin, go) = origin();
        while cache.breaker_state() == BreakerState::Closed {
            cache.get::<u8>("any").await.unwrap_err();
        }
        let mut callers = JoinSet::new();
        for page in 0..2 {
            let (pages, cache, origin) = (pages.clone(), cache.clone(), origin.clone());
            let made = async move || cache.get_or_compute("key", Ttl::Default, || origin.run()).await;
            callers.spawn(async move { pages.call(&page, made).await });
        }
        settle().await;
        go.send(true).unwrap();
        callers.join_all().await;
        assert_eq!(origin.runs(), 1);
        come_back();
        for page in 0..2 {
            assert_eq!(pages.call(&page, async || "anew".to_owned()).await, "anew", "{page}, compares: {compares}");
        }
    }
}

#[tokio::test]
async fn what_was_read_before_a_purge_is_not_shared_after_it_though_the_backend_goes_away() {
    let chaos = Chaos::remote(MemoryBackend::default());
    let cache = Cache::builder(chaos.clone()).breaker(Breaker::default().failures(1)).build();
    let memo: Memoizer<String> = cache.memoizer("memo");
    let (go, may_go) = oneshot::channel::<()>();
    // The first caller cannot even look, and runs: with what there is now.
    let outage = chaos.on(Operation::ALL).fail(ErrorKind::Decode);
    let first = tokio::spawn({
        let memo = memo.clone();
        async move {
            let run = async move || {
                may_go.await.unwrap();
                "old".to_owned()
            };
            memo.at(&7).tags(["tag"]).call(run).await
        }
    });
    settle().await;
    outage.end();
    cache.purge_tag("tag").await.unwrap();
    let second = tokio::spawn(async move { memo.at(&7).tags(["tag"]).call(async || "new".to_owned()).await });
    settle().await;
    chaos.on(Operation::ALL).fail(ErrorKind::Connect);
    cache.get::<u8>("any").await.unwrap_err();
    assert_eq!(cache.breaker_state(), BreakerState::Open);
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap(), "old", "its own caller");
    assert_eq!(second.await.unwrap(), "new");
}
