//! A dead origin and a dead backend under load, over real sockets.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use axum_caching::{
    Backend, Cache, CacheLayer, ErrorKind, MemoryBackend, Profile,
    testing::{Chaos, ManualClock, Operation},
};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const MINUTE: Duration = Duration::from_secs(60);
const PAGES: usize = 20;
const CLIENTS: usize = 32;
const REQUESTS: usize = 40;

/// Longer than any bound here, and shorter than a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A handler that can be dead: every second page fails, the others never answer.
#[derive(Clone, Default)]
struct Origin {
    is_dead: Arc<AtomicBool>,
    runs: Arc<AtomicUsize>,
}

async fn page(State(origin): State<Origin>, Path(page): Path<usize>) -> Response {
    origin.runs.fetch_add(1, Ordering::SeqCst);
    match origin.is_dead.load(Ordering::SeqCst) {
        false => format!("page {page}").into_response(),
        true if page % 2 == 0 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        true => std::future::pending().await,
    }
}

/// Good for an hour if the origin fails, and bounded: nobody waits longer than half a second for it.
fn bounded() -> Profile {
    Profile::ttl(MINUTE)
        .stale_if_error(60 * MINUTE)
        .failure_backoff(10 * MINUTE)
        .soft_timeout(Duration::from_millis(100))
        .hard_timeout(Duration::from_millis(500))
}

async fn serve(backend: impl Backend, clock: &ManualClock, origin: &Origin) -> SocketAddr {
    let cache = Cache::builder(backend).clock(clock.clock()).backend_timeout(Duration::from_millis(200)).build();
    let app = Router::new()
        .route("/{page}", get(page))
        .layer(CacheLayer::new(&cache).profile(bounded()).cache_status("c"))
        .with_state(origin.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Sends requests for these pages over one connection, and counts the answers by status.
async fn client(address: SocketAddr, pages: Vec<usize>) -> HashMap<StatusCode, usize> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut answers = HashMap::new();
    for page in pages {
        let request = Request::get(format!("/{page}")).header("host", "x").body(Body::empty()).unwrap();
        sender.ready().await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("an answer in time");
        let (parts, body) = answer.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert!(parts.status != StatusCode::OK || body == format!("page {page}"), "{page}: {body:?}");
        *answers.entry(parts.status).or_default() += 1;
    }
    answers
}

/// All clients at once.
async fn load(address: SocketAddr) -> HashMap<StatusCode, usize> {
    let mut clients = JoinSet::new();
    for one in 0..CLIENTS {
        clients.spawn(client(address, (0..REQUESTS).map(|request| (one + request) % PAGES).collect()));
    }
    let mut all = HashMap::new();
    for answers in clients.join_all().await {
        for (status, count) in answers {
            *all.entry(status).or_default() += count;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_dead_origin_no_request_fails_that_has_a_stale_answer_and_each_page_is_asked_for_once() {
    let (clock, origin) = (ManualClock::new(), Origin::default());
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    let address = serve(backend, &clock, &origin).await;
    client(address, (0..PAGES).collect()).await;
    assert_eq!(origin.runs.load(Ordering::SeqCst), PAGES);

    clock.advance(2 * MINUTE);
    origin.is_dead.store(true, Ordering::SeqCst);
    let answers = load(address).await;

    assert_eq!(answers, HashMap::from([(StatusCode::OK, CLIENTS * REQUESTS)]));
    assert_eq!(origin.runs.load(Ordering::SeqCst), 2 * PAGES, "once, and then not before the back-off is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_dead_backend_too_every_request_is_answered_and_all_is_well_again_by_itself() {
    let (clock, origin) = (ManualClock::new(), Origin::default());
    let chaos = Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build());
    let address = serve(chaos.clone(), &clock, &origin).await;
    client(address, (0..PAGES).collect()).await;
    clock.advance(2 * MINUTE);

    // The backend alone: the origin answers.
    let outage = chaos.on(Operation::ALL).fail(ErrorKind::Connect);
    let answers = load(address).await;
    assert_eq!(answers, HashMap::from([(StatusCode::OK, CLIENTS * REQUESTS)]));

    // Both: nothing is there to be served, and nobody waits without end.
    origin.is_dead.store(true, Ordering::SeqCst);
    let answers = client(address, (0..6).collect()).await;
    assert_eq!(answers[&StatusCode::INTERNAL_SERVER_ERROR], 3);
    assert_eq!(answers[&StatusCode::GATEWAY_TIMEOUT], 3);

    // The backend is back, and its breaker finds out; the origin is still dead.
    outage.end();
    let mut answers = HashMap::new();
    while answers != HashMap::from([(StatusCode::OK, PAGES)]) {
        answers = client(address, (0..PAGES).collect()).await;
    }
    let before = origin.runs.load(Ordering::SeqCst);
    let answers = load(address).await;
    assert_eq!(answers, HashMap::from([(StatusCode::OK, CLIENTS * REQUESTS)]));
    assert_eq!(origin.runs.load(Ordering::SeqCst), before, "within the back-off nobody asks");
}
