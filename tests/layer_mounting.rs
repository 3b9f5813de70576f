//! Every place a layer can be put, and the layers of tower-http on either side of it.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Router, ServiceExt as _,
    body::Body,
    error_handling::HandleErrorLayer,
    extract::{ConnectInfo, Path},
    handler::Handler,
    response::Response,
    routing::{get as route_get, get_service},
};
use axum_caching::{Cache, CacheLayer, CachePolicy, CacheStatus};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::TokioIo;
use support::{Runs, cache, fetch, get, get_with, is_miss, layer, send, text};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, cors::CorsLayer, limit::RequestBodyLimitLayer,
    timeout::TimeoutLayer, trace::TraceLayer,
};

fn counter(runs: &Runs) -> impl Fn() -> std::future::Ready<String> + Clone + Send + Sync + 'static {
    let runs = runs.clone();
    move || std::future::ready(format!("run {}", runs.next()))
}

async fn is_cached(app: &Router, uri: &str) {
    assert!(is_miss(fetch(app, uri).await.0));
    assert_eq!(fetch(app, uri).await, (CacheStatus::Hit, "run 1".into()));
}

#[tokio::test]
async fn on_a_router() {
    let (cache, _) = cache();
    is_cached(&Router::new().route("/", route_get(counter(&Runs::default()))).layer(layer(&cache)), "/").await;
}

#[tokio::test]
async fn on_the_routes_of_a_router() {
    let (cache, _) = cache();
    let app = Router::new().route("/", route_get(counter(&Runs::default()))).route_layer(layer(&cache));
    is_cached(&app, "/").await;
}

#[tokio::test]
async fn on_one_route() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let app = Router::new()
        .route("/", route_get(counter(&runs)).layer(layer(&cache)))
        .route("/other", route_get(counter(&runs)));
    is_cached(&app, "/").await;
    assert_eq!(CacheStatus::of(&send(&app, get("/other")).await), None);
}

#[tokio::test]
async fn on_a_handler() {
    let (cache, _) = cache();
    let app = Router::new().route("/", route_get(counter(&Runs::default()).layer(layer(&cache))));
    is_cached(&app, "/").await;
}

#[tokio::test]
async fn on_a_nested_router_the_key_is_the_whole_path() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let inner = |runs: &Runs| Router::new().route("/x", route_get(counter(runs))).layer(layer(&cache));
    let app = Router::new().nest("/a", inner(&runs)).nest("/b", inner(&runs));

    assert_eq!(fetch(&app, "/a/x").await.1, "run 1");
    assert_eq!(fetch(&app, "/b/x").await.1, "run 2");
    assert_eq!(fetch(&app, "/a/x").await, (CacheStatus::Hit, "run 1".into()));
    assert!(cache.delete_cached("/b/x").await.unwrap());
    assert!(!cache.delete_cached("/x").await.unwrap());
    assert_eq!(fetch(&app, "/a/x").await.0, CacheStatus::Hit);
}

#[tokio::test]
async fn in_a_service_builder_with_a_service_of_the_routers() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let page = service_fn(move |_: Request<Body>| {
        let run = runs.next();
        async move { Ok::<_, Infallible>(Response::new(Body::from(format!("run {run}")))) }
    });
    let service = ServiceBuilder::new().layer(layer(&cache)).service(page);
    is_cached(&Router::new().route("/", get_service(service)), "/").await;
}

#[tokio::test]
async fn on_a_bare_service_the_error_type_is_its_own() {
    #[derive(Debug, PartialEq)]
    struct Mine;
    let (cache, _) = cache();
    let mut app = layer(&cache).layer(service_fn(async |request: Request<Full<Bytes>>| match request.uri().path() {
        "/bad" => Err(Mine),
        _ => Ok(http::Response::new(Full::from("text"))),
    }));

    let request = |uri| Request::get(uri).body(Full::default()).unwrap();
    assert_eq!(app.call(request("/bad")).await.unwrap_err(), Mine);
    let response = app.call(request("/")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "text");
}

/// One request on a connection of its own.
async fn over_a_socket(address: SocketAddr, uri: &str) -> http::Response<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(uri).header("host", "example.org").body(Empty::<Bytes>::new()).unwrap();
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    http::Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn around_a_router_over_a_real_socket() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let router = Router::new().route("/{id}", route_get(counter(&runs)));
    let app = layer(&cache).response_hit_indication(true).age_header(true).around(router);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app.into_make_service()).await });

    let miss = over_a_socket(address, "/7").await;
    let hit = over_a_socket(address, "/7").await;

    assert!(!miss.headers().contains_key("hit_cache"));
    for (name, value) in [("hit_cache", "True"), ("age", "0"), ("content-length", "5")] {
        assert_eq!(hit.headers()[name], value);
    }
    assert_eq!(hit.body().as_ref(), b"run 1");
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn around_a_router_with_the_address_of_the_client() {
    let (cache, _) = cache();
    let router =
        Router::new().route("/", route_get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()));
    let app = layer(&cache).around(router);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });

    assert_eq!(over_a_socket(address, "/").await.body().as_ref(), b"127.0.0.1");
}

#[tokio::test]
async fn on_a_hyper_service_without_axum() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let counted = runs.clone();
    let page = service_fn(move |_: Request<hyper::body::Incoming>| {
        let run = counted.next();
        async move { Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::from(format!("run {run}")))) }
    });
    let service = hyper_util::service::TowerToHyperService::new(layer(&cache).layer(page));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });

    for _ in 0..2 {
        assert_eq!(over_a_socket(address, "/").await.body().as_ref(), b"run 1");
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_layer_within_a_layer_answers_at_once_and_the_most_specific_ttl_wins() {
    let (cache, clock) = cache();
    let runs = Runs::default();
    let app = Router::new()
        .route("/short", route_get(counter(&runs)).layer(CacheLayer::new(&cache).ttl(Duration::from_secs(5))))
        .route("/long", route_get(counter(&runs)))
        .layer(CacheLayer::new(&cache).ttl(Duration::from_secs(60)));

    fetch(&app, "/short").await;
    fetch(&app, "/long").await;
    assert_eq!(cache.stats().stored, 2, "one entry each");
    clock.advance(Duration::from_secs(5));

    assert!(is_miss(fetch(&app, "/short").await.0));
    assert_eq!(fetch(&app, "/long").await.0, CacheStatus::Hit);
}

#[tokio::test]
async fn the_handler_goes_before_all_layers_around_it() {
    let (cache, clock) = cache();
    let app = Router::new()
        .route("/", route_get(async || (CachePolicy::ttl(Duration::from_secs(2)), "page")))
        .layer(CacheLayer::new(&cache).ttl(Duration::from_secs(9)))
        .layer(CacheLayer::new(&cache).ttl(Duration::from_secs(60)));
    fetch(&app, "/").await;

    clock.advance(Duration::from_secs(2));

    assert!(is_miss(fetch(&app, "/").await.0));
}

#[tokio::test]
async fn what_an_inner_layer_does_not_keep_the_outer_one_does_not_keep_either() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let app = Router::new()
        .route("/", route_get(counter(&runs)).layer(CacheLayer::new(&cache).unless(|_| true)))
        .layer(CacheLayer::new(&cache));

    fetch(&app, "/").await;
    fetch(&app, "/").await;

    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn layers_of_two_caches_each_keep_an_entry() {
    let (near, _) = cache();
    let (far, _) = cache();
    let runs = Runs::default();
    let app = Router::new().route("/", route_get(counter(&runs))).layer(layer(&far)).layer(layer(&near));

    fetch(&app, "/").await;
    near.clear().await.unwrap();

    assert_eq!(fetch(&app, "/").await.1, "run 1");
    assert_eq!((near.stats().stored, far.stats().hits, runs.count()), (2, 1, 1));
}

fn large(runs: &Runs) -> Router {
    let runs = runs.clone();
    let page = move || {
        runs.next();
        std::future::ready("0123456789".repeat(1_000))
    };
    Router::new().route("/", route_get(page))
}

#[tokio::test]
async fn outside_compression_there_is_one_variant_for_each_set_of_codings() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let app = large(&runs).layer(CompressionLayer::new()).layer(layer(&cache));
    let sent = |coding: &'static str| send(&app, get_with("/", &[("accept-encoding", coding)]));

    for coding in ["gzip", "GZIP;q=0.5", "gzip, identity"] {
        let response = sent(coding).await;
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip", "{coding}");
        response.into_body().collect().await.unwrap();
    }
    let plain = sent("identity").await;
    assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    assert_eq!(text(plain).await.len(), 10_000);
    let hit = sent("gzip").await;

    assert_eq!(CacheStatus::of(&hit), Some(CacheStatus::Hit));
    let length: usize = hit.headers()[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
    assert_eq!(hit.into_body().collect().await.unwrap().to_bytes().len(), length);
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn inside_compression_there_is_one_entry_that_is_compressed_at_each_hit() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let app = large(&runs).layer(layer(&cache)).layer(CompressionLayer::new());

    for (coding, compressed) in [("gzip", true), ("identity", false), ("gzip", true)] {
        let response = send(&app, get_with("/", &[("accept-encoding", coding)])).await;
        assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), compressed);
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn the_other_layers_of_tower_http_go_on_either_side() {
    let (cache, _) = cache();
    let others = || {
        ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(CatchPanicLayer::new())
            .layer(CorsLayer::permissive())
            .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(5)))
            .layer(RequestBodyLimitLayer::new(1_000))
    };
    let runs = Runs::default();
    let inside = Router::new().route("/", route_get(counter(&runs))).layer(layer(&cache)).layer(others());
    is_cached(&inside, "/").await;

    let scope = cache.scoped("outside");
    let runs = Runs::default();
    let outside = Router::new().route("/", route_get(counter(&runs))).layer(others()).layer(layer(&scope));
    is_cached(&outside, "/").await;
}

#[tokio::test]
async fn a_page_for_one_origin_is_not_shown_to_another_outside_cors() {
    let (cache, _) = cache();
    let origins = ["http://a.example", "http://b.example"].map(HeaderValue::from_static);
    let cors = CorsLayer::new().allow_origin(origins);
    let app = Router::new().route("/", route_get(async || "page")).layer(cors).layer(layer(&cache));

    for origin in ["http://a.example", "http://b.example", "http://a.example"] {
        let response = send(&app, get_with("/", &[("origin", origin)])).await;
        assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], origin);
    }
}

#[tokio::test]
async fn a_panic_that_is_caught_inside_is_an_error_page_and_not_kept() {
    let (cache, _) = cache();
    let runs = Runs::default();
    let counted = runs.clone();
    let page = move |Path(id): Path<u32>| {
        assert!(counted.next() > 1, "the first run panics");
        std::future::ready(id.to_string())
    };
    let app = Router::new().route("/{id}", route_get(page)).layer(CatchPanicLayer::new()).layer(layer(&cache));

    assert_eq!(send(&app, get("/7")).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(text(send(&app, get("/7")).await).await, "7");
    assert_eq!(fetch(&app, "/7").await, (CacheStatus::Hit, "7".into()));
}

#[tokio::test]
async fn limits_go_inside_and_do_not_hold_hits_back() {
    let (cache, _) = cache();
    let limits = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(async |_: axum::BoxError| StatusCode::SERVICE_UNAVAILABLE))
        .load_shed()
        .layer(ConcurrencyLimitLayer::new(1));
    let app = Router::new().route("/", route_get(counter(&Runs::default()))).layer(limits).layer(layer(&cache));
    is_cached(&app, "/").await;
}

#[test]
fn the_types_are_fit_for_any_server() {
    fn is_fit<T: Clone + Send + Sync + 'static>() {}
    struct NotSync(#[allow(dead_code, reason = "only its type matters")] std::cell::Cell<u8>);
    impl Clone for NotSync {
        fn clone(&self) -> Self {
            Self(std::cell::Cell::new(0))
        }
    }
    is_fit::<Cache>();
    is_fit::<CacheLayer>();
    is_fit::<axum_caching::CacheService<NotSync>>();
    is_fit::<axum_caching::Around<Router>>();
    assert!(http_body::Body::is_end_stream(&axum_caching::CacheBody::<Full<Bytes>>::default()));
}

#[tokio::test]
async fn a_router_with_a_cache_is_a_service_like_any_other() {
    let (cache, _) = cache();
    let app = Router::new().route("/", route_get(async || "page")).layer(layer(&cache));
    let response = app.into_service::<Body>().oneshot(get("/")).await.unwrap();
    assert_eq!(text(response).await, "page");
}
