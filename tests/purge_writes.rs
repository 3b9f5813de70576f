//! Requests that write take away what is stored of their target, and of what their answer names (RFC 9111 §4.4).
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod bytewise;
mod support;

use std::sync::Arc;

use axum::{Router, body::Body, response::IntoResponse, routing::get as on_get};
use axum_caching::{BypassReason, Cache, CacheLayer, CacheStatus};
use bytewise::{Bytewise, Told};
use http::{Method, Request, StatusCode};
use support::{
    answer, app, cache, fetch, fetch_request, get, get_with,
    held::{Broken, Run, body, origin, poll_once, settle, spawn},
    is_miss, layer, request, send,
};
use tower::{Layer, ServiceExt};

const HIT: CacheStatus = CacheStatus::Hit;
const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "DELETE", "PROPPATCH", "unheard-of"];

fn writing(cache: &Cache) -> CacheLayer {
    layer(cache).purge_on_write(true)
}

/// Pages, and writes that are answered with this status and these fields.
fn site(layer: CacheLayer, status: u16, fields: &[(&'static str, &'static str)]) -> Router {
    let fields = fields.to_vec();
    let handler = move |request: Request<Body>, run: usize| {
        if request.method().is_safe() {
            return answer(&[("vary", "accept-language")], format!("run {run}"));
        }
        let mut response = answer(&fields, "written");
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    };
    app(layer, handler).0
}

async fn write(app: &Router, uri: &str) -> StatusCode {
    write_to(app, uri, "shop.example").await
}

async fn write_to(app: &Router, uri: &str, host: &str) -> StatusCode {
    let request = Request::put(uri).header("host", host).body(Body::empty()).unwrap();
    send(app, request).await.status()
}

async fn fill(app: &Router, pages: &[&str]) {
    for page in pages {
        fetch(app, page).await;
        assert_eq!(fetch(app, page).await.0, HIT, "{page}");
    }
}

/// Which of these pages are not stored.
async fn gone<'a>(app: &Router, pages: &[&'a str]) -> Vec<&'a str> {
    let mut gone = Vec::new();
    for page in pages {
        if is_miss(fetch(app, page).await.0) {
            gone.push(*page);
        }
    }
    gone
}

fn method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap()
}

#[tokio::test]
async fn every_method_that_is_not_known_to_be_safe_takes_its_target_away_and_no_other_page() {
    let (cache, _) = cache();
    let app = site(writing(&cache), 204, &[]);
    for name in WRITES {
        fill(&app, &["/a", "/b", "/a/b"]).await;
        let status = fetch_request(&app, request(method(name), "/a")).await.0;
        assert_eq!(status, CacheStatus::Bypass(BypassReason::Method), "{name}");
        assert_eq!(gone(&app, &["/a", "/b", "/a/b"]).await, ["/a"], "{name}");
    }
    for name in ["OPTIONS", "TRACE", "HEAD", "GET"] {
        send(&app, request(method(name), "/a")).await;
        assert_eq!(gone(&app, &["/a"]).await, [""; 0], "{name}");
    }
}

#[tokio::test]
async fn without_the_option_a_write_takes_nothing_away() {
    let (cache, _) = cache();
    let app = site(layer(&cache), 200, &[("location", "/b")]);
    fill(&app, &["/a", "/b"]).await;
    write(&app, "/a").await;
    assert_eq!(gone(&app, &["/a", "/b"]).await, [""; 0]);
}

#[tokio::test]
async fn only_a_write_that_was_done_takes_something_away() {
    for (status, purges) in
        [(200, true), (201, true), (204, true), (303, true), (400, false), (401, false), (500, false)]
    {
        let (cache, _) = cache();
        let app = site(writing(&cache), status, &[("location", "/b")]);
        fill(&app, &["/a", "/b"]).await;
        assert_eq!(write(&app, "/a").await, status);
        assert_eq!(gone(&app, &["/a", "/b"]).await.len(), if purges { 2 } else { 0 }, "{status}");
    }
}

#[tokio::test]
async fn a_target_goes_with_its_variants_and_its_query_and_with_the_option_all_queries() {
    for by_path in [false, true] {
        let (cache, _) = cache();
        let app = site(writing(&cache).tag_by_path(by_path), 200, &[("location", "/c?z=1")]);
        let pages = ["/a", "/a?x=1&y=2", "/a?x=2", "/c", "/c?z=1", "/a/b"];
        fill(&app, &pages).await;
        let german = || get_with("/a", &[("accept-language", "de")]);
        fetch_request(&app, german()).await;

        write(&app, "/a?y=2&x=1").await;
        assert!(is_miss(fetch_request(&app, german()).await.0));
        let expected: &[_] =
            if by_path { &["/a", "/a?x=1&y=2", "/a?x=2", "/c", "/c?z=1"] } else { &["/a", "/a?x=1&y=2", "/c?z=1"] };
        // The page that was asked for in German is there again, in German.
        assert_eq!(gone(&app, &pages).await, expected, "by path: {by_path}");
    }
}

#[tokio::test]
async fn what_an_answer_names_goes_if_it_is_of_the_same_origin() {
    for (field, value, goes) in [
        ("location", "/items/8", true),
        ("content-location", "/items/8", true),
        ("location", "8", true),
        ("location", "../items/./8#top", true),
        ("location", "http://shop.example/items/8", true),
        ("location", "https://SHOP.example/items/8", true),
        ("content-location", "//shop.example/items/8", true),
        ("location", "http://other.example/items/8", false),
        ("content-location", "//other.example/items/8", false),
        ("location", "http://shop.example:8080/items/8", false),
        ("location", "http://shop.example@evil/items/8", false),
        ("location", "ftp://shop.example/items/8", false),
        ("location", "\\\\shop.example\\items\\8", false),
    ] {
        let (cache, _) = cache();
        let app = site(writing(&cache), 201, &[(field, value)]);
        fill(&app, &["/items/8", "/items"]).await;
        write(&app, "/items/7").await;
        let expected: &[_] = if goes { &["/items/8"] } else { &[] };
        assert_eq!(gone(&app, &["/items/8", "/items"]).await, expected, "{field}: {value}");
    }
}

#[tokio::test]
async fn a_host_that_is_said_twice_by_a_proxy_or_not_at_all_is_no_origin() {
    for fields in [
        &[("host", "shop.example"), ("host", "other.example")][..],
        &[("host", "other.example"), ("x-forwarded-host", "shop.example")],
        &[("forwarded", "host=shop.example")],
        &[],
    ] {
        let (cache, _) = cache();
        let app = site(writing(&cache), 201, &[("location", "http://shop.example/b")]);
        fill(&app, &["/a", "/b"]).await;
        let mut write = get_with("/a", fields);
        *write.method_mut() = Method::POST;
        send(&app, write).await;
        assert_eq!(gone(&app, &["/a", "/b"]).await, ["/a"], "{fields:?}");
    }
    let (cache, _) = cache();
    let app = site(writing(&cache), 201, &[("location", "http://shop.example/b")]);
    fill(&app, &["/b"]).await;
    send(&app, request(Method::POST, "https://shop.example/a")).await;
    assert_eq!(gone(&app, &["/b"]).await, [""; 0], "another scheme");
    send(&app, request(Method::POST, "http://shop.example:80/a")).await;
    assert_eq!(gone(&app, &["/b"]).await, ["/b"]);
}

#[tokio::test]
async fn a_method_that_is_cached_is_no_write() {
    let (cache, _) = cache();
    let keyed = writing(&cache).methods([Method::POST]).key_by_body(1_000);
    let app = Router::new().fallback(async || "page").layer(keyed);
    let post = |text: &'static str| Request::post("/search").body(Body::from(text)).unwrap();
    fill(&app, &["/search"]).await;
    send(&app, post("tea")).await;
    assert_eq!(fetch_request(&app, post("tea")).await.0, HIT);
    send(&app, post("x".repeat(2_000).leak())).await;
    assert_eq!(gone(&app, &["/search"]).await, [""; 0]);
    write(&app, "/search").await;
    assert_eq!(gone(&app, &["/search"]).await, ["/search"], "PUT is");
    assert_eq!(fetch_request(&app, post("tea")).await.0, HIT, "of another method: that takes `tag_by_path`");
}

#[tokio::test]
async fn keys_of_the_layers_own_are_found_and_those_of_others_are_left() {
    let (cache, _) = cache();
    let tenant = |request: &http::request::Parts| {
        let tenant = request.headers.get("x-tenant").and_then(|tenant| tenant.to_str().ok())?;
        Some(format!("{tenant}:{}", request.uri))
    };
    let app = site(writing(&cache).make_cache_key(tenant), 201, &[("location", "/b")]);
    let of = |method: &str, uri: &str, tenant: &str| {
        Request::builder().method(method).uri(uri).header("x-tenant", tenant).body(Body::empty()).unwrap()
    };
    for page in ["/a", "/b"] {
        for tenant in ["one", "two"] {
            fetch_request(&app, of("GET", page, tenant)).await;
        }
    }
    send(&app, of("POST", "/a", "one")).await;
    for page in ["/a", "/b"] {
        assert_eq!(fetch_request(&app, of("GET", page, "two")).await.0, HIT, "{page}");
        assert!(is_miss(fetch_request(&app, of("GET", page, "one")).await.0), "{page}");
    }
}

#[tokio::test]
async fn inside_nested_routers_and_around_them_a_target_is_what_the_client_asked_for() {
    for is_around in [false, true] {
        let (cache, _) = cache();
        let page = on_get(async || "page").put(async || ([("location", "/api/b")], "written"));
        let inner = Router::new().route("/a", page.clone()).route("/b", page);
        let inner = if is_around { inner } else { inner.layer(writing(&cache)) };
        let router = Router::new().nest("/api", inner);
        let app = writing(&cache).around(router.clone());
        let ask = async |request| {
            if is_around {
                return CacheStatus::of(&app.clone().oneshot(request).await.unwrap()).unwrap();
            }
            CacheStatus::of(&router.clone().oneshot(request).await.unwrap()).unwrap()
        };
        for page in ["/api/a", "/api/b"] {
            ask(get(page)).await;
            assert_eq!(ask(get(page)).await, HIT);
        }
        ask(request(Method::PUT, "/api/a")).await;
        for page in ["/api/a", "/api/b"] {
            assert!(is_miss(ask(get(page)).await), "{page}, around: {is_around}");
        }
    }
}

#[tokio::test]
async fn a_run_of_the_handler_that_began_before_a_write_is_not_stored() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = writing(&cache).layer(origin);
    let reading = spawn(&app, get("/"));
    let read = runs.next().await;
    let writing = spawn(&app, request(Method::PUT, "/"));
    runs.next().await.answer("written");
    writing.await.unwrap().unwrap();
    read.answer("read before");
    assert_eq!(body(reading.await.unwrap().unwrap()).await, "read before");

    let reading = spawn(&app, get("/"));
    runs.next().await.answer("read after");
    assert_eq!(body(reading.await.unwrap().unwrap()).await, "read after");
}

/// A page over the byte backend, and a write to it that is on its way.
async fn over_bytes(observer: Option<&Told>) -> (Cache, Bytewise, impl AsyncFn(&str) -> bool, support::held::Runs) {
    let clock = axum_caching::testing::ManualClock::new();
    let backend = Bytewise::new(clock.clock());
    let builder = Cache::builder(backend.clone()).clock(clock.clock());
    let cache = observer.into_iter().fold(builder, |builder, told| builder.observer(told.observer())).build();
    let (origin, mut runs) = origin();
    let app = writing(&cache).layer(origin);
    let asked = spawn(&app, get("/"));
    runs.next().await.answer("page");
    asked.await.unwrap().unwrap();
    settle().await;
    let is_there = {
        let backend = backend.clone();
        async move |key: &str| backend.raw(key).is_some()
    };
    assert!(is_there("view//").await);
    (cache, backend, is_there, runs)
}

#[tokio::test]
async fn a_client_does_not_see_the_answer_before_the_purge_is_through() {
    let (cache, backend, is_there, _) = over_bytes(None).await;
    let (origin, mut runs) = origin();
    let app = writing(&cache).layer(origin);
    let mut held = backend.hold("delete");
    let asked = spawn(&app, request(Method::PUT, "/"));
    assert!(is_there("view//").await, "data first");
    runs.next().await.answer("written");
    held.reached().await;
    settle().await;
    assert!(!asked.is_finished());
    held.release();
    assert_eq!(body(asked.await.unwrap().unwrap()).await, "written");
    assert!(!is_there("view//").await);
}

#[tokio::test]
async fn a_client_that_goes_away_while_the_handler_runs_or_while_it_is_purged_does_not_stop_either() {
    for while_it_is_purged in [false, true] {
        let (cache, backend, is_there, _) = over_bytes(None).await;
        let (origin, mut runs) = origin();
        let app = writing(&cache).layer(origin);
        let asked = spawn(&app, request(Method::PUT, "/"));
        let run = runs.next().await;
        if while_it_is_purged {
            let mut held = backend.hold("delete");
            run.answer("written");
            held.reached().await;
            asked.abort();
            settle().await;
            held.release();
        } else {
            asked.abort();
            settle().await;
            run.answer("written");
        }
        assert!(cache.close().await);
        assert!(!is_there("view//").await, "while it is purged: {while_it_is_purged}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_from_a_write_that_fails_purges_nothing() {
    type End = fn(Run);
    let ends: [End; 3] = [Run::fail, Run::fail_softly, |run| run.answer(StatusCode::UNAUTHORIZED)];
    for (index, end) in ends.into_iter().enumerate() {
        let (cache, _, is_there, _) = over_bytes(None).await;
        let (origin, mut runs) = origin();
        let app = writing(&cache).layer(origin);
        assert!(poll_once(app.oneshot(request(Method::PUT, "/"))).await.is_none());
        end(runs.next().await);
        assert!(cache.close().await);
        assert!(is_there("view//").await, "{index}");
    }
}

#[tokio::test]
async fn a_backend_that_fails_is_told_of_and_the_client_gets_its_answer() {
    let told = Told::default();
    let (cache, backend, ..) = over_bytes(Some(&told)).await;
    let (origin, mut runs) = origin();
    let app = writing(&cache).layer(origin);
    backend.die(true);
    let asked = spawn(&app, request(Method::PUT, "/"));
    runs.next().await.answer("written");
    assert_eq!(body(asked.await.unwrap().unwrap()).await, "written");
    assert_eq!(told.count("failed purge: Connect"), 1);
}

#[tokio::test]
async fn an_error_of_the_inner_service_stays_its_own() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = writing(&cache).layer(origin);
    let asked = spawn(&app, request(Method::PUT, "/"));
    runs.next().await.fail();
    assert_eq!(asked.await.unwrap().err(), Some(Broken));
}

#[tokio::test]
async fn a_write_keeps_its_body_its_extensions_and_what_it_is_answered_with() {
    let (cache, _) = cache();
    let echo = async |request: Request<Body>| {
        let seen = request.extensions().get::<Arc<str>>().cloned();
        let bytes = axum::body::to_bytes(request.into_body(), 100).await.unwrap();
        (StatusCode::CREATED, [("x-seen", seen.unwrap().to_string())], bytes).into_response()
    };
    let app = Router::new().fallback(echo).layer(writing(&cache).cache_status("shop"));
    let mut write = Request::post("/").body(Body::from("text")).unwrap();
    write.extensions_mut().insert(Arc::<str>::from("mine"));
    let response = send(&app, write).await;
    assert_eq!((response.status(), &response.headers()["x-seen"]), (StatusCode::CREATED, &"mine".parse().unwrap()));
    assert!(support::lines(&response, "cache-status")[0].starts_with("shop; fwd=bypass"));
    assert_eq!(support::text(response).await, "text");
}
