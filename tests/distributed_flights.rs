//! Callers that wait for the runs of other processes, where it is asked for.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, header},
    response::IntoResponse,
    routing::get,
};
use axum_caching::{
    Backend, Cache, CacheBuilder, CacheLayer, ErrorKind, MemoryBackend, Ttl, Value,
    testing::{Chaos, ManualClock, Operation},
};
use bytewise::{Bytewise, settle};
use http_body_util::BodyExt;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tower::ServiceExt;

const WAIT: Duration = Duration::from_secs(5);

/// Processes that share a backend, and how often their origin ran.
struct Nodes {
    backend: Arc<dyn Backend>,
    clock: ManualClock,
    runs: Arc<AtomicUsize>,
}

type Answer = Result<String, ()>;

impl Nodes {
    fn new() -> Self {
        let clock = ManualClock::new();
        let backend = Arc::new(Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build()));
        Self { backend, clock, runs: Arc::default() }
    }

    fn builder(&self) -> CacheBuilder {
        Cache::builder(Arc::clone(&self.backend)).clock(self.clock.clock()).ttl(Duration::from_secs(60))
    }

    fn node(&self) -> Cache {
        self.builder().distributed_single_flight(WAIT).build()
    }

    /// A caller whose run ends when it is told to: in this, or in an error.
    fn begin(&self, cache: &Cache) -> (JoinHandle<Answer>, oneshot::Sender<Option<&'static str>>) {
        let (end, ended) = oneshot::channel::<Option<&'static str>>();
        let (cache, runs) = (cache.clone(), Arc::clone(&self.runs));
        let run = async move {
            let compute = async || {
                runs.fetch_add(1, Ordering::Relaxed);
                ended.await.unwrap().map(str::to_owned).ok_or(())
            };
            cache.try_get_or_compute("key", Ttl::Default, compute).await
        };
        (tokio::spawn(run), end)
    }

    /// A caller whose run ends at once, in this.
    fn call(&self, cache: &Cache, value: &'static str) -> JoinHandle<String> {
        let (cache, runs) = (cache.clone(), Arc::clone(&self.runs));
        let compute = async move || {
            runs.fetch_add(1, Ordering::Relaxed);
            value.to_owned()
        };
        tokio::spawn(async move { cache.get_or_compute("key", Ttl::Default, compute).await })
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_for_the_run_of_another_process() {
    let nodes = Nodes::new();
    let (here, there) = (nodes.node(), nodes.node());
    let (run, end) = nodes.begin(&here);
    settle().await;
    let waits = nodes.call(&there, "there");
    tokio::time::sleep(WAIT / 2).await;
    assert_eq!(nodes.runs(), 1);

    end.send(Some("here")).unwrap();
    assert_eq!(run.await.unwrap().as_deref(), Ok("here"));
    assert_eq!(waits.await.unwrap(), "here");
    assert_eq!(nodes.runs(), 1);
    assert_eq!((there.stats().hits, there.stats().misses), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_in_ten_processes_run_the_origin_once() {
    let nodes = Nodes::new();
    let caches: Vec<_> = (0..10).map(|_| nodes.node()).collect();
    let mut callers = JoinSet::new();
    for number in 0..1_000 {
        let (cache, runs) = (caches[number % 10].clone(), Arc::clone(&nodes.runs));
        callers.spawn(async move {
            let compute = async || {
                runs.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                number
            };
            cache.get_or_compute("key", Ttl::Default, compute).await
        });
    }
    let answers = callers.join_all().await;
    assert_eq!(nodes.runs(), 1);
    // An integer is stored plain, and is found all the same.
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test(start_paused = true)]
async fn without_the_option_each_process_runs_the_origin() {
    let nodes = Nodes::new();
    let (here, there) = (nodes.builder().build(), nodes.builder().build());
    let (run, end) = nodes.begin(&here);
    settle().await;
    assert_eq!(nodes.call(&there, "there").await.unwrap(), "there");
    end.send(Some("here")).unwrap();
    run.await.unwrap().unwrap();
    assert_eq!(nodes.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_elsewhere_that_fails_is_not_waited_for_any_longer() {
    let nodes = Nodes::new();
    let (here, there) = (nodes.node(), nodes.node());
    let (run, end) = nodes.begin(&here);
    settle().await;
    let (began, waits) = (Instant::now(), nodes.call(&there, "there"));
    settle().await;
    end.send(None).unwrap();
    assert_eq!(run.await.unwrap(), Err(()));
    assert_eq!(waits.await.unwrap(), "there");
    assert!(began.elapsed() < WAIT / 2);
    assert_eq!(here.get::<String>("key").await.unwrap().as_deref(), Some("there"), "what it made is stored");
}

#[cfg(feature = "encryption")]
#[tokio::test(start_paused = true)]
async fn it_is_the_same_where_entries_are_encrypted() {
    let plain = Nodes::new();
    let sealed = axum_caching::Envelope::builder(Arc::clone(&plain.backend)).keys(axum_caching::KeyRing::new([7; 32]));
    let nodes = Nodes { backend: Arc::new(sealed.build()), ..plain };
    let (here, there) = (nodes.node(), nodes.node());
    let (run, end) = nodes.begin(&here);
    settle().await;
    let (began, waits) = (Instant::now(), nodes.call(&there, "there"));
    settle().await;
    end.send(None).unwrap();
    run.await.unwrap().unwrap_err();
    assert_eq!(waits.await.unwrap(), "there");
    assert!(began.elapsed() < WAIT / 2);
    assert_eq!(here.get::<String>("key").await.unwrap().as_deref(), Some("there"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_ends_its_run_for_other_processes_too() {
    let nodes = Nodes::new();
    let (here, there) = (nodes.node(), nodes.node());
    let (run, _end) = nodes.begin(&here);
    settle().await;
    let (began, waits) = (Instant::now(), nodes.call(&there, "there"));
    settle().await;
    run.abort();
    assert_eq!(waits.await.unwrap(), "there");
    assert!(began.elapsed() < WAIT / 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_over_in_the_same_process_stores_what_it_makes() {
    let nodes = Nodes::new();
    let here = nodes.node();
    let (run, _end) = nodes.begin(&here);
    settle().await;
    let follows = nodes.call(&here, "second");
    settle().await;
    run.abort();
    assert_eq!(follows.await.unwrap(), "second");
    settle().await;
    assert_eq!(nodes.node().get::<String>("key").await.unwrap().as_deref(), Some("second"));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_died_in_its_run_costs_the_wait_and_no_more() {
    let nodes = Nodes::new();
    let lease = Value::from_bytes(&b"axc\x01l\x07\x07\x07\x07\x07\x07\x07\x07"[..]);
    assert!(nodes.backend.add("key", lease, None).await.unwrap());
    let (node, began) = (nodes.node(), Instant::now());
    assert_eq!(nodes.call(&node, "here").await.unwrap(), "here");
    assert_eq!(began.elapsed(), WAIT);
    settle().await;
    assert_eq!(node.get::<String>("key").await.unwrap().as_deref(), Some("here"), "and it is stored");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_waited_for_in_vain_is_not_waited_for_again() {
    let nodes = Nodes::new();
    let lease = Value::from_bytes(&b"axc\x01l\x07\x07\x07\x07\x07\x07\x07\x07"[..]);
    assert!(nodes.backend.add("key", lease, None).await.unwrap());
    let (here, there) = (nodes.node(), nodes.node());
    let began = Instant::now();
    let failed = here.try_get_or_compute("key", Ttl::Default, async || Err::<String, _>("down")).await;
    assert_eq!((failed, began.elapsed()), (Err("down"), WAIT));
    settle().await;
    assert_eq!(nodes.call(&there, "there").await.unwrap(), "there");
    assert!(began.elapsed() < WAIT + WAIT / 10);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_before_it_knows_of_its_lease_holds_nobody_up() {
    let nodes = Nodes::new();
    let chaos = Chaos::remote(MemoryBackend::builder().clock(nodes.clock.clock()).build());
    let node = || Cache::builder(chaos.clone()).distributed_single_flight(WAIT).build();
    let held = chaos.on(Operation::Add).next(1).afterwards().hold();
    let caller = nodes.call(&node(), "never");
    held.reached(1).await;
    caller.abort();
    held.end();
    settle().await;
    let began = Instant::now();
    assert_eq!(nodes.call(&node(), "there").await.unwrap(), "there");
    assert!(began.elapsed() < WAIT / 10);
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_over_from_one_that_waited_waits_on() {
    let nodes = Nodes::new();
    let (here, there) = (nodes.node(), nodes.node());
    let (run, end) = nodes.begin(&here);
    settle().await;
    let (waits, follows) = (nodes.call(&there, "there"), nodes.call(&there, "there"));
    settle().await;
    waits.abort();
    tokio::time::sleep(WAIT / 10).await;
    end.send(Some("here")).unwrap();
    run.await.unwrap().unwrap();
    assert_eq!(follows.await.unwrap(), "here");
    assert_eq!(nodes.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_purged_while_a_caller_waited_is_not_what_it_gets() {
    let nodes = Nodes::new();
    let (here, there) = (nodes.node(), nodes.node());
    let (run, end) = nodes.begin(&here);
    settle().await;
    let waits = nodes.call(&there, "new");
    settle().await;
    nodes.node().delete("key").await.unwrap();
    end.send(Some("old")).unwrap();
    run.await.unwrap().unwrap();
    assert_eq!(waits.await.unwrap(), "new");
    settle().await;
    assert_eq!(here.get::<String>("key").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_begins_to_fail_ends_the_wait() {
    let nodes = Nodes::new();
    let chaos = Chaos::remote(MemoryBackend::builder().clock(nodes.clock.clock()).build());
    let cache = |backend: Chaos| Cache::builder(backend).distributed_single_flight(WAIT).build();
    let (here, there) = (cache(chaos.clone()), cache(chaos.clone()));
    let (run, end) = nodes.begin(&here);
    settle().await;
    let (began, waits) = (Instant::now(), nodes.call(&there, "there"));
    settle().await;
    chaos.on([Operation::Get]).fail(ErrorKind::Connect);
    assert_eq!(waits.await.unwrap(), "there");
    assert!(began.elapsed() < WAIT / 2);
    chaos.calm();
    end.send(Some("here")).unwrap();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_does_not_compare_is_not_waited_for() {
    for backend in [Bytewise::shared, Bytewise::new] {
        let nodes = Nodes::new();
        let backend = backend(nodes.clock.clock());
        let node = || Cache::builder(backend.clone()).distributed_single_flight(WAIT).build();
        let (here, there) = (node(), node());
        let (run, end) = nodes.begin(&here);
        settle().await;
        let began = Instant::now();
        assert_eq!(nodes.call(&there, "there").await.unwrap(), "there");
        assert_eq!(began.elapsed(), Duration::ZERO);
        settle().await;
        assert_eq!(there.get::<String>("key").await.unwrap().as_deref(), Some("there"), "and it is stored");
        end.send(Some("here")).unwrap();
        run.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stored_costs_no_call_more() {
    let nodes = Nodes::new();
    let calls = async |is_on: bool| {
        let chaos = Chaos::remote(MemoryBackend::builder().clock(nodes.clock.clock()).build());
        let wait = if is_on { WAIT } else { Duration::ZERO };
        let cache = Cache::builder(chaos.clone()).distributed_single_flight(wait).build();
        assert_eq!(nodes.call(&cache, "here").await.unwrap(), "here");
        settle().await;
        chaos.calls(Operation::ALL)
    };
    assert_eq!(calls(true).await, calls(false).await);
}

#[tokio::test(start_paused = true)]
async fn a_batch_elsewhere_that_fails_is_not_waited_for_any_longer() {
    let nodes = Nodes::new();
    let (here, there) = (nodes.node().memoizer::<u32>("square"), nodes.node().memoizer::<u32>("square"));
    let (end, ended) = oneshot::channel::<()>();
    let batch = tokio::spawn(async move {
        here.try_call_many(&[2, 3], async |_: &[&u32]| {
            ended.await.unwrap();
            Err::<Vec<u32>, ()>(())
        })
        .await
    });
    settle().await;
    let (began, waits) = (Instant::now(), tokio::spawn(async move { there.at(&3).call(async || 9_u32).await }));
    settle().await;
    assert!(!waits.is_finished());
    end.send(()).unwrap();
    assert!(batch.await.unwrap().is_err());
    assert_eq!(waits.await.unwrap(), 9);
    assert!(began.elapsed() < WAIT / 2);
}

/// A page that takes a while, under these terms.
fn app(nodes: &Nodes, terms: &'static str) -> Router {
    let runs = Arc::clone(&nodes.runs);
    let page = async move || {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
        ([(header::CACHE_CONTROL, terms)], format!("run {run}")).into_response()
    };
    Router::new().route("/", get(page)).layer(CacheLayer::new(&nodes.node()))
}

async fn text(app: Router) -> String {
    let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_page_is_made_once_for_all_processes() {
    let nodes = Nodes::new();
    let apps: Vec<_> = (0..10).map(|_| app(&nodes, "max-age=60")).collect();
    let pages: JoinSet<String> = apps.into_iter().flat_map(|app| (0..10).map(move |_| text(app.clone()))).collect();
    assert!(pages.join_all().await.iter().all(|page| page == "run 0"));
    assert_eq!(nodes.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_may_not_be_stored_holds_nobody_up_elsewhere() {
    let nodes = Nodes::new();
    let (here, there) = (app(&nodes, "no-store"), app(&nodes, "no-store"));
    let began = Instant::now();
    let (first, second) = tokio::join!(text(here), text(there));
    assert_ne!(first, second);
    assert!(began.elapsed() < Duration::from_secs(1));
}
