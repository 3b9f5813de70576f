//! POST and its like, with the body of the request in the key.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails where a helper of it panics")]

mod support;

use axum::{Router, body::Body, extract::Request, routing::any};
use axum_caching::{BypassReason, CacheLayer, CacheStatus};
use http::{Method, header};
use http_body_util::BodyExt;
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;

/// An application that answers with the body it was sent.
fn echo(layer: CacheLayer, limit: usize) -> (Router, Runs) {
    let runs = Runs::default();
    let counted = runs.clone();
    let handler = move |request: Request| {
        let run = counted.next();
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            format!("{run}: {}", String::from_utf8_lossy(&body))
        }
    };
    (Router::new().route("/search", any(handler)).layer(layer.key_by_body(limit)), runs)
}

fn post(body: &'static str) -> Request {
    Request::post("/search").body(Body::from(body)).unwrap()
}

fn posted(kind: &str, body: &'static str) -> Request {
    Request::post("/search").header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn a_body_in_the_key_gives_each_body_an_entry() {
    // axum-response-cache #7; FusionCache and Flask-Caching answered one POST with another's page.
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST]), 1_024);

    assert_eq!(fetch_request(&app, post("tea")).await.1, "1: tea");
    assert_eq!(fetch_request(&app, post("coffee")).await.1, "2: coffee");

    assert_eq!(fetch_request(&app, post("tea")).await, (HIT, "1: tea".into()));
    assert_eq!(fetch_request(&app, post("")).await.1, "3: ");
    assert_eq!(fetch_request(&app, post("")).await, (HIT, "3: ".into()));
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn the_type_and_the_coding_of_a_body_are_in_the_key_with_it() {
    // What is no JSON may be a form.
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST]), 1_024);
    let coded = || {
        let mut request = posted("text/plain", "a=1");
        request.headers_mut().insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        request
    };

    for (index, kind) in ["text/plain", "application/json", "text/plain; charset=latin-1"].into_iter().enumerate() {
        assert!(is_miss(fetch_request(&app, posted(kind, "a=1")).await.0), "{kind}");
        assert_eq!(fetch_request(&app, posted(kind, "a=1")).await.1, format!("{}: a=1", index + 1));
    }
    assert_eq!(twice(&app, coded).await[1], HIT);
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn all_lines_of_the_type_and_the_coding_are_in_the_key() {
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST]), 1_024);
    let with = |lines: &[(header::HeaderName, &'static str)]| {
        let mut request = post("a=1");
        for (name, value) in lines {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    };
    let (kind, coding) = (header::CONTENT_TYPE, header::CONTENT_ENCODING);
    let all: [&[_]; 7] = [
        &[],
        &[(kind.clone(), "a")],
        &[(kind.clone(), "a"), (kind.clone(), "b")],
        &[(kind.clone(), "a"), (kind.clone(), "c")],
        &[(kind.clone(), "a"), (coding.clone(), "b")],
        &[(kind.clone(), "a"), (coding.clone(), "b"), (coding.clone(), "b")],
        &[(coding.clone(), "a"), (coding, "b")],
    ];
    for lines in all {
        assert!(is_miss(fetch_request(&app, with(lines)).await.0), "{lines:?}");
        assert_eq!(fetch_request(&app, with(lines)).await.0, HIT, "{lines:?}");
    }
    assert_eq!(runs.count(), 7);
}

#[tokio::test]
async fn bytes_cannot_be_moved_between_the_type_and_the_body() {
    // Fiber PR #4459: short bodies imitated other keys.
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST]), 1_024);

    for (kind, body) in [("ab", "c"), ("a", "bc"), ("abc", ""), ("a", "b\0c"), ("a", "#method=3:PUT")] {
        assert!(is_miss(fetch_request(&app, posted(kind, body)).await.0), "{kind} {body}");
    }
    assert_eq!(runs.count(), 5);
}

#[tokio::test]
async fn a_body_without_a_type_is_not_one_of_an_empty_type() {
    // Django CVE-2026-113593: absent and empty gave the same key.
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST]), 1_024);

    fetch_request(&app, post("a")).await;
    let (status, _) = fetch_request(&app, posted("", "a")).await;

    assert!(is_miss(status));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn get_and_post_of_one_path_do_not_share_an_entry() {
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST, Method::PUT]), 1_024);
    let put = || Request::put("/search").body(Body::empty()).unwrap();

    assert_eq!(fetch(&app, "/search").await.1, "1: ");
    assert_eq!(fetch_request(&app, post("")).await.1, "2: ");
    assert_eq!(fetch_request(&app, put()).await.1, "3: ");

    assert_eq!(fetch(&app, "/search").await, (HIT, "1: ".into()));
    assert_eq!(fetch_request(&app, post("")).await, (HIT, "2: ".into()));
    assert_eq!(fetch_request(&app, put()).await, (HIT, "3: ".into()));
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_method_that_is_not_named_passes_with_its_body() {
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST]), 1_024);
    let put = || Request::put("/search").body(Body::from("x")).unwrap();

    for run in 1..=2 {
        let (status, body) = fetch_request(&app, put()).await;
        assert_eq!((status, body), (CacheStatus::Bypass(BypassReason::Method), format!("{run}: x")));
    }
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_body_over_the_limit_reaches_the_handler_whole_and_is_not_cached() {
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST]), 4);

    assert_eq!(twice(&app, || post("1234")).await[1], HIT);
    for run in 2..=3 {
        let (status, body) = fetch_request(&app, post("12345")).await;
        assert_eq!((status, body), (CacheStatus::Bypass(BypassReason::BodyTooLarge), format!("{run}: 12345")));
    }
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_body_in_several_pieces_is_the_same_body() {
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST]), 16);
    let pieces = |pieces: &'static [&'static str]| {
        let chunks = pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece));
        Request::post("/search").body(Body::from_stream(tokio_stream::iter(chunks))).unwrap()
    };

    assert_eq!(fetch_request(&app, pieces(&["a", "bc", "", "d"])).await.1, "1: abcd");
    assert_eq!(fetch_request(&app, pieces(&["abcd"])).await, (HIT, "1: abcd".into()));
    assert_eq!(fetch_request(&app, post("abcd")).await, (HIT, "1: abcd".into()));
    let large = fetch_request(&app, pieces(&["0123456789", "0123456789", "end"])).await;

    assert_eq!(large, (CacheStatus::Bypass(BypassReason::BodyTooLarge), "2: 01234567890123456789end".into()));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_method_with_a_body_that_nothing_put_into_the_key_bypasses() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).methods([Method::POST, Method::OPTIONS]), |_, run| format!("run {run}"));

    let statuses = twice(&app, || post("x")).await;
    let options = twice(&app, || request(Method::OPTIONS, "/search")).await;

    assert_eq!([statuses, options], [[CacheStatus::Bypass(BypassReason::BodyNotInKey); 2]; 2]);
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn the_rules_hold_for_a_post_as_they_do_for_a_get() {
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST]), 1_024);
    let with = |name: &'static str, value: &str| {
        let mut request = post("x");
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };

    for (name, value, reason) in [
        ("cookie", "a=1", BypassReason::Cookie),
        ("authorization", "x", BypassReason::Authorization),
        ("upgrade", "x", BypassReason::Upgrade),
        ("cache-control", "no-store", BypassReason::NoStore),
    ] {
        assert_eq!(twice(&app, || with(name, value)).await, [CacheStatus::Bypass(reason); 2]);
    }
    assert_eq!(fetch_request(&app, with("host", "a.example")).await.1, "9: x");
    assert_eq!(fetch_request(&app, with("host", "b.example")).await.1, "10: x");
    assert_eq!(runs.count(), 10);
}

#[tokio::test]
async fn the_key_of_a_body_can_be_named_and_deleted() {
    let (cache, _) = cache();
    let keyed = layer(&cache).methods([Method::POST]).key_by_body(1_024);
    let handler = async |body: String| format!("found {body}");
    let app = Router::new().route("/search", axum::routing::post(handler)).layer(keyed.clone());
    assert_eq!(twice(&app, || post("tea")).await[1], HIT);

    let (parts, _) = post("tea").into_parts();
    let key = keyed.key_for(&parts, b"tea").unwrap();

    assert!(!cache.delete(&keyed.key_for(&parts, b"coffee").unwrap()).await.unwrap());
    assert!(cache.delete(&key).await.unwrap());
    assert!(is_miss(fetch_request(&app, post("tea")).await.0));
}

#[tokio::test]
async fn a_get_with_a_body_bypasses_here_too_and_keeps_its_body() {
    let (cache, _) = cache();
    let (app, runs) = echo(layer(&cache).methods([Method::POST, Method::GET]), 1_024);
    let with_body = || Request::get("/search").body(Body::from("x")).unwrap();

    for run in 1..=2 {
        let (status, body) = fetch_request(&app, with_body()).await;
        assert_eq!((status, body), (CacheStatus::Bypass(BypassReason::UnexpectedBody), format!("{run}: x")));
    }
    assert_eq!(runs.count(), 2);
}
