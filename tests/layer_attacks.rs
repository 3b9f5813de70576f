//! What a client might try, and what a configuration might make possible.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::IntoResponse,
    routing::get as route_get,
};
use axum_caching::{BypassReason, CacheStatus};
use bytes::Bytes;
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use support::{
    app, cache, fetch, fetch_request, get, get_with,
    held::{chunk, origin, settle, spawn, streamed},
    layer, seen, send, text,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::Layer;
use tower_http::compression::CompressionLayer;

/// A gate that lets in whoever brings this field.
fn gated(inner: Router, field: &'static str) -> Router {
    inner.layer(from_fn(move |request: Request, next: Next| async move {
        if request.headers().contains_key(field) {
            next.run(request).await
        } else {
            StatusCode::UNAUTHORIZED.into_response()
        }
    }))
}

#[tokio::test]
async fn what_an_inner_layer_would_keep_behind_a_gate_is_not_served_by_an_outer_one() {
    for field in ["authorization", "cookie"] {
        let (cache, _) = cache();
        let open = layer(&cache).ignore_authorization().ignore_cookies();
        let inner = Router::new().route("/secret", route_get(async || "for those who are let in")).layer(open);
        let app = gated(inner, field).layer(layer(&cache));

        let let_in = send(&app, get_with("/secret", &[(field, "Bearer x")])).await;
        assert_eq!(let_in.status(), StatusCode::OK);
        // The inner layer let it pass because the outer one did.
        assert!(matches!(
            CacheStatus::of(&let_in),
            Some(CacheStatus::Bypass(BypassReason::Authorization | BypassReason::Cookie))
        ));
        assert_eq!(send(&app, get("/secret")).await.status(), StatusCode::UNAUTHORIZED, "{field}");
    }
}

#[tokio::test]
async fn what_an_outer_layer_lets_pass_is_not_kept_by_an_inner_one_for_the_others() {
    let (cache, _) = cache();
    let (inner, _) = app(layer(&cache), |request, _| seen(&request, "x-admin"));
    let app = inner.layer(layer(&cache).unless(|request| request.headers.contains_key("x-admin")));

    fetch_request(&app, get_with("/x", &[("x-admin", "root")])).await;

    assert_eq!(fetch(&app, "/x").await.1, "-");
}

#[tokio::test]
async fn what_an_outer_layer_has_no_key_for_is_not_kept_by_an_inner_one_for_others_like_it() {
    let (cache, _) = cache();
    let (inner, _) = app(layer(&cache), |request, _| seen(&request, "x-admin"));
    let by_path = |request: &http::request::Parts| {
        (!request.headers.contains_key("x-admin")).then(|| request.uri.path().to_owned())
    };
    let app = inner.layer(layer(&cache).make_cache_key(by_path));

    fetch_request(&app, get_with("/x", &[("x-admin", "root")])).await;

    assert_eq!(fetch_request(&app, get_with("/x", &[("x-admin", "ada")])).await.1, "ada");
    assert_eq!(fetch(&app, "/x").await.1, "-");
}

#[tokio::test]
async fn a_forwarded_host_counts_however_loosely_it_is_written() {
    for forwarded in ["host =evil", "for=\"a,b;host=evil\"", "HOST=evil", "proto=gopher"] {
        let (cache, _) = cache();
        let (app, _) = app(layer(&cache), |request, _| seen(&request, "forwarded"));
        fetch_request(&app, get_with("/x", &[("host", "shop"), ("forwarded", forwarded)])).await;

        assert_eq!(fetch_request(&app, get_with("/x", &[("host", "shop")])).await.1, "-", "{forwarded}");
    }
}

#[tokio::test]
async fn a_page_made_for_another_scheme_is_not_served() {
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache), |request, _| format!("{:?}", request.uri().scheme_str()));

    fetch_request(&app, get_with("http://shop/x", &[("host", "shop")])).await;
    let odd = fetch_request(&app, get_with("javascript://shop/x", &[("host", "shop")])).await;

    assert_eq!(odd.0, CacheStatus::Bypass(BypassReason::Target));
    assert_eq!(fetch_request(&app, get_with("https://shop/x", &[("host", "shop")])).await.1, "Some(\"https\")");
}

#[tokio::test]
async fn an_answer_to_one_clients_own_fault_is_not_shared_with_those_who_wait() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let service = layer(&cache).layer(origin);
    let limited = spawn(&service, get("/x"));
    let run = runs.next().await;
    let _waits = spawn(&service, get("/x"));
    settle().await;

    run.answer(StatusCode::TOO_MANY_REQUESTS);

    assert_eq!(limited.await.unwrap().unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(runs.waiting().await, 1);
}

#[tokio::test]
async fn the_text_of_a_key_function_cannot_imitate_what_follows_it() {
    let (cache, _) = cache();
    let by_field = |request: &http::request::Parts| Some(format!("q:{}", request.headers.get("x-q")?.to_str().ok()?));
    let (app, _) =
        app(layer(&cache).methods([Method::POST]).make_cache_key(by_field), |request, _| request.method().to_string());
    for imitation in ["tea#method=4:POST", "tea#key=5#method=4:POST"] {
        fetch_request(&app, get_with("/", &[("x-q", imitation)])).await;
    }

    let post = Request::post("/").header("x-q", "tea").body(Body::empty()).unwrap();
    assert_eq!(fetch_request(&app, post).await.1, "POST");
}

#[tokio::test]
async fn a_target_that_was_rewritten_to_its_own_end_is_told_apart() {
    let (cache, _) = cache();
    let rewrite = from_fn(async |mut request: Request, next: Next| {
        if request.headers().contains_key("x-strip") {
            *request.uri_mut() = "/users".parse().unwrap();
        }
        next.run(request).await
    });
    let page = async |request: Request| request.uri().path().to_owned();
    let app = Router::new().fallback(page).layer(layer(&cache)).layer(rewrite);

    fetch_request(&app, get_with("/v2/users", &[("x-strip", "1")])).await;

    assert_eq!(fetch(&app, "/v2/users").await.1, "/v2/users");
}

/// What a server answers to one request, to the last byte.
async fn raw_answer(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_handler_that_frames_its_body_itself_is_answered_through_a_cache_too() {
    let frames = || tokio_stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"hello"))]);
    let page = async move || ([("transfer-encoding", "chunked")], Body::from_stream(frames()));
    let (cache, _) = cache();
    let app = Router::new().route("/x", route_get(page)).layer(layer(&cache));

    for _ in 0..2 {
        let answer = raw_answer(app.clone()).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("hello"), "{answer}");
    }
    assert_eq!(cache.stats().hits, 1);
}

#[tokio::test]
async fn a_wait_without_an_end_is_no_panic() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let service = layer(&cache).body_wait(Duration::MAX).layer(origin);
    let leader = spawn(&service, get("/x"));
    let run = runs.next().await;
    let follower = spawn(&service, get("/x"));
    settle().await;
    let (response, frames) = streamed(&[]);
    run.answer(response);
    let mut response = leader.await.unwrap().unwrap();
    settle().await;

    drop(frames);

    assert!(chunk(&mut response).await.is_none());
    assert!(follower.await.unwrap().is_ok());
}

#[tokio::test]
async fn what_selects_an_entry_is_not_forgotten_by_a_cache_of_another_kind_in_between() {
    let ((near, _), (far, _)) = (cache(), cache());
    let tenant = http::HeaderName::from_static("x-tenant");
    let (innermost, _) = app(layer(&near).vary_by([tenant]), |request, _| seen(&request, "x-tenant"));
    let app = innermost.layer(layer(&far)).layer(layer(&near));
    let of = |tenant| get_with("/x", &[("x-tenant", tenant)]);
    fetch_request(&app, of("1")).await;
    near.clear().await.unwrap();

    fetch_request(&app, of("1")).await;

    assert_eq!(fetch_request(&app, of("2")).await.1, "2");
}

/// A page of some length, compressed inside the cache for those who accept it.
fn compressed() -> Router {
    let (cache, _) = cache();
    let page = Router::new().route("/", route_get(async || "0123456789".repeat(1_000)));
    page.layer(CompressionLayer::new()).layer(layer(&cache))
}

#[tokio::test]
async fn an_accept_encoding_that_is_read_in_two_ways_leaves_no_compressed_page_for_others() {
    for field in ["\"x, gzip, y\";q=0", "x;\", gzip, y\";q=0", "\"a, gzip", "gzip, x;q=1;q=0"] {
        let app = compressed();
        let odd = send(&app, get_with("/", &[("accept-encoding", field)])).await;
        assert_eq!(odd.headers()[header::CONTENT_ENCODING], "gzip", "{field}");
        odd.into_body().collect().await.unwrap();

        for coding in ["identity", "", "br", "gzip;q=0", "\"x, gzipp, y\";q=0"] {
            let plain = send(&app, get_with("/", &[("accept-encoding", coding)])).await;
            assert!(!plain.headers().contains_key(header::CONTENT_ENCODING), "{field} and {coding}");
            assert_eq!(text(plain).await.len(), 10_000);
        }
        assert!(!send(&app, get("/")).await.headers().contains_key(header::CONTENT_ENCODING));
    }
}
