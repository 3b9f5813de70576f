//! Which requests touch the cache: the rows about requests in the table of safe defaults, and what changes each.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use axum::body::Body;
use axum_caching::{BypassReason, CacheStatus};
use http::{Method, Request, StatusCode};
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;

#[tokio::test]
async fn a_method_other_than_get_and_head_reaches_the_handler_every_time() {
    // Flask-Caching Q-04, Nitro GHSA-39r7-wfcx-99xg; axum-response-cache swallowed the second PUT, POST and DELETE.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, run| format!("{} {run}", request.method()));
    fetch(&app, "/foo").await;

    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY", "get"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let before = runs.count();

        let statuses = twice(&app, || request(method.clone(), "/foo")).await;

        assert_eq!(statuses, [CacheStatus::Bypass(BypassReason::Method); 2], "{method}");
        assert_eq!(runs.count(), before + 2, "{method}");
    }
}

#[tokio::test]
async fn a_head_is_answered_from_the_entry_of_get() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| answer(&[("etag", "\"1\"")], format!("run {run}")));
    fetch(&app, "/foo").await;

    let response = send(&app, request(Method::HEAD, "/foo")).await;

    assert_eq!(CacheStatus::of(&response), Some(HIT));
    assert_eq!(lines(&response, "content-length"), ["5"]);
    assert_eq!(lines(&response, "etag"), ["\"1\""]);
    assert_eq!((text(response).await.as_str(), runs.count()), ("", 1));
}

#[tokio::test]
async fn a_head_that_hits_has_no_body_in_a_bare_service_either() {
    let (cache, _) = cache();
    let page = async |_: Request<Body>| Ok::<_, std::convert::Infallible>(answer(&[], "page"));
    let service = tower::ServiceBuilder::new().layer(layer(&cache)).service_fn(page);
    tower::ServiceExt::oneshot(service.clone(), get("/")).await.unwrap();

    let head = tower::ServiceExt::oneshot(service, request(Method::HEAD, "/")).await.unwrap();

    assert_eq!((CacheStatus::of(&head), head.headers()["content-length"].as_bytes()), (Some(HIT), &b"4"[..]));
    assert!(http_body_util::BodyExt::collect(head.into_body()).await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn a_head_that_nothing_answers_passes_and_is_never_stored_as_get() {
    // tower-http-cache answered GET with the empty body of a HEAD.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, run| match *request.method() {
        Method::HEAD => String::new(),
        _ => format!("run {run}"),
    });

    let heads = twice(&app, || request(Method::HEAD, "/foo")).await;
    let get = fetch(&app, "/foo").await;

    assert_eq!(heads, [CacheStatus::Bypass(BypassReason::Head); 2]);
    assert!(is_miss(get.0));
    assert_eq!((get.1.as_str(), runs.count()), ("run 3", 3));
}

#[tokio::test]
async fn an_upgrade_does_not_touch_the_cache() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/socket").await;

    let upgrade = || get_with("/socket", &[("connection", "upgrade"), ("upgrade", "websocket")]);
    let statuses = twice(&app, upgrade).await;

    assert_eq!(statuses, [CacheStatus::Bypass(BypassReason::Upgrade); 2]);
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_get_with_a_body_does_not_touch_the_cache() {
    // Varnish and Spring answer such requests without looking at the body.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/foo").await;

    let with_body = || Request::get("/foo").body(Body::from("{\"q\":1}")).unwrap();
    let announced = || get_with("/foo", &[("content-length", "7")]);
    let chunked = || get_with("/foo", &[("transfer-encoding", "chunked")]);

    for statuses in [twice(&app, with_body).await, twice(&app, announced).await, twice(&app, chunked).await] {
        assert_eq!(statuses, [CacheStatus::Bypass(BypassReason::UnexpectedBody); 2]);
    }
    assert_eq!(runs.count(), 7);
}

#[tokio::test]
async fn an_announced_body_of_nothing_is_no_body() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));

    let statuses = twice(&app, || get_with("/foo", &[("content-length", "0")])).await;

    assert_eq!(statuses[1], HIT);
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_target_that_is_no_path_does_not_touch_the_cache() {
    // Hono GHSA-crvj-82cr-hjcx: odd targets are not for a key.
    let (cache, _) = cache();
    let everything = layer(&cache).methods([Method::OPTIONS]).make_cache_key(|_| Some("one".into()));
    let (app, runs) = app(everything, |_, run| format!("run {run}"));

    let statuses = twice(&app, || request(Method::OPTIONS, "*")).await;

    assert_eq!(statuses, [CacheStatus::Bypass(BypassReason::Target); 2]);
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_connect_does_not_touch_the_cache_even_where_its_method_is_allowed() {
    let (cache, _) = cache();
    let service = tower::ServiceBuilder::new()
        .layer(layer(&cache).methods([Method::CONNECT]).make_cache_key(|_| Some("one".into())))
        .service_fn(async |_: Request<Body>| Ok::<_, std::convert::Infallible>(answer(&[], "a tunnel")));

    for target in ["example.com:443", "http://example.com/chat"] {
        let response = tower::ServiceExt::oneshot(service.clone(), request(Method::CONNECT, target)).await.unwrap();

        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Bypass(BypassReason::Target)), "{target}");
    }
}

#[tokio::test]
async fn a_request_whose_target_and_host_field_disagree_does_not_touch_the_cache() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));

    let disagree = twice(&app, || get_with("http://evil.example/foo", &[("host", "good.example")])).await;
    let two = twice(&app, || get_with("/foo", &[("host", "good.example"), ("host", "evil.example")])).await;
    let agree = twice(&app, || get_with("http://good.example/foo", &[("host", "Good.Example")])).await;

    assert_eq!(disagree, [CacheStatus::Bypass(BypassReason::Target); 2]);
    assert_eq!(two, [CacheStatus::Bypass(BypassReason::Target); 2]);
    assert_eq!(agree[1], HIT);
    assert_eq!(runs.count(), 5);
}

#[tokio::test]
async fn no_host_is_given_the_page_of_another() {
    // Flask-Caching Q-08; four of five peers leaked.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, _| seen(&request, "host"));
    let to = |host| get_with("/", &[("host", host)]);

    for host in ["a.example", "b.example", "a.example:8080", ""] {
        assert!(is_miss(fetch_request(&app, to(host)).await.0), "{host}");
    }

    for host in ["a.example", "b.example", "a.example:8080", ""] {
        assert_eq!(fetch_request(&app, to(host)).await, (HIT, host.to_owned()));
    }
    assert_eq!(fetch_request(&app, to("A.Example")).await, (HIT, "a.example".into()));
    assert_eq!(fetch(&app, "/").await.1, "-");
    assert_eq!(runs.count(), 5);
}

#[tokio::test]
async fn the_host_of_the_target_counts_as_the_host() {
    // HTTP/2 and a proxy put it there.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, _| request.uri().host().unwrap_or("-").to_owned());

    fetch(&app, "http://a.example/").await;

    assert_eq!(fetch(&app, "http://b.example/").await.1, "b.example");
    assert_eq!(fetch(&app, "http://a.example/").await, (HIT, "a.example".into()));
    // The scheme is a part of what the target says, so that a page of one is not shown under the other.
    assert_eq!(fetch(&app, "https://a.example/").await.1, "a.example");
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_host_that_is_ignored_shares_the_entry() {
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache).ignore_host(), &[("vary", "host")]);
    fetch_request(&app, get_with("/", &[("host", "a.example")])).await;

    let (status, body) = fetch_request(&app, get_with("/", &[("host", "b.example")])).await;

    assert_eq!((status, body.as_str(), runs.count()), (HIT, "run 1", 1));
}

#[tokio::test]
async fn a_client_cannot_ask_for_a_new_answer() {
    // A free refresh is a denial of service. Flask-Caching Q-09 is the same from the other side.
    for wish in [("cache-control", "no-cache"), ("cache-control", "max-age=0"), ("pragma", "no-cache")] {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));
        fetch(&app, "/").await;

        let (status, body) = fetch_request(&app, get_with("/", &[wish])).await;

        assert_eq!((status, body.as_str(), runs.count()), (HIT, "run 1", 1), "{wish:?}");
    }
}

#[tokio::test]
async fn a_client_that_is_obeyed_gets_a_new_answer_and_so_does_everybody() {
    for wish in ["no-cache", "No-Cache", "max-age=0", "max-age=\"0\"", "max-stale, no-cache"] {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache).obey_request_cache_control(), |_, run| format!("run {run}"));
        fetch(&app, "/").await;

        let (status, body) = fetch_request(&app, get_with("/", &[("cache-control", wish)])).await;

        assert!(is_miss(status), "{wish}");
        assert_eq!((body.as_str(), runs.count()), ("run 2", 2), "{wish}");
        assert_eq!(fetch(&app, "/").await, (HIT, "run 2".into()), "{wish}");
    }
}

#[tokio::test]
async fn a_client_that_is_obeyed_in_no_cache_is_so_beside_no_store_too() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).obey_request_cache_control(), |_, run| format!("run {run}"));
    fetch(&app, "/").await;

    let (_, body) = fetch_request(&app, get_with("/", &[("cache-control", "no-cache, no-store")])).await;

    assert_eq!((body.as_str(), runs.count()), ("run 2", 2));
}

#[tokio::test]
async fn what_a_client_wants_not_to_be_stored_is_not() {
    // RFC 9111 §5.2.1.5
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));

    let statuses = twice(&app, || get_with("/", &[("cache-control", "max-age=9, No-Store")])).await;

    assert_eq!(statuses, [CacheStatus::Bypass(BypassReason::NoStore); 2]);
    assert_eq!(runs.count(), 2);
    assert!(is_miss(fetch(&app, "/").await.0));
}

#[tokio::test]
async fn a_request_for_a_part_gets_the_whole_stored_answer() {
    // RFC 9110 §14.2: `Range` may be ignored.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/file").await;

    for part in ["range", "if-range", "if-match", "if-unmodified-since"] {
        let response = send(&app, get_with("/file", &[(part, "bytes=0-1")])).await;

        assert_eq!((CacheStatus::of(&response), response.status()), (Some(HIT), StatusCode::OK), "{part}");
        assert_eq!(text(response).await, "run 1", "{part}");
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_request_for_a_part_that_nothing_answers_reaches_the_handler_as_it_is() {
    for part in ["range", "if-range", "if-match", "if-unmodified-since"] {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache), move |request, _| seen(&request, part));

        let statuses = twice(&app, || get_with("/file", &[(part, "x")])).await;

        assert_eq!(statuses, [CacheStatus::Bypass(BypassReason::Conditional); 2]);
        assert_eq!(fetch(&app, "/file").await.1, "-");
        assert_eq!(runs.count(), 3);
    }
}

#[tokio::test]
async fn a_refresh_that_is_forced_runs_the_handler_for_head_and_for_a_part_too() {
    let (cache, _) = cache();
    let forced = layer(&cache).forced_update(|request| request.headers.contains_key("x-refresh"));
    let (app, runs) = app(forced, |_, run| format!("run {run}"));
    fetch(&app, "/").await;

    let mut head = get_with("/", &[("x-refresh", "1")]);
    *head.method_mut() = Method::HEAD;
    send(&app, head).await;
    let part = send(&app, get_with("/", &[("x-refresh", "1"), ("range", "bytes=0-1")])).await;

    assert_ne!(CacheStatus::of(&part), Some(HIT));
    assert_eq!(runs.count(), 3);
}
