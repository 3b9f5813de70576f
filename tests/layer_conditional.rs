//! Clients that have the response already: `ETag`, `If-None-Match`, `If-Modified-Since`, `304 Not Modified`.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use axum::{Router, body::Body, response::Response};
use axum_caching::{Cache, CacheLayer, CacheStatus, MemoryBackend, MissReason};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use proptest::{collection::vec, prelude::*, sample::select};
use support::{
    Runs, answer, answering, app, cache, get, get_with,
    held::{self, settle, spawn, streamed, write},
    is_miss, layer, lines, request, send,
    stale::{MINUTE, World, hardy},
    text,
};

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

fn conditional(cache: &Cache) -> CacheLayer {
    layer(cache).not_modified(true)
}

/// An application whose answers have these fields, and that has answered once.
async fn warm(layer: CacheLayer, fields: &[(&'static str, &'static str)]) -> (Router, Runs) {
    let (app, runs) = answering(layer, fields);
    assert!(is_miss(CacheStatus::of(&send(&app, get("/")).await).unwrap()));
    (app, runs)
}

async fn status(app: &Router, fields: &[(&str, &str)]) -> u16 {
    send(app, get_with("/", fields)).await.status().as_u16()
}

#[tokio::test]
async fn a_client_that_names_the_stored_tag_gets_304_without_a_body() {
    let (cache, _) = cache();
    let (app, runs) = warm(conditional(&cache), &[("etag", "\"v1\"")]).await;

    for field in ["\"v1\"", "W/\"v1\"", "\"a\", \"v1\"", " * "] {
        let response = send(&app, get_with("/", &[("if-none-match", field)])).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{field}");
        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Hit));
        assert_eq!(text(response).await, "");
    }
    for field in ["\"v2\"", "v1", "", "\"V1\"", "*, \"v1\"", "\"v1"] {
        assert_eq!(status(&app, &[("if-none-match", field)]).await, 200, "{field}");
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_weak_tag_is_as_good_for_that_and_stays_weak() {
    let (cache, _) = cache();
    let (app, _) = warm(conditional(&cache).etag(true), &[("etag", "W/\"v1\"")]).await;
    let response = send(&app, get_with("/", &[("if-none-match", "\"v1\"")])).await;
    assert_eq!((response.status(), lines(&response, "etag")), (StatusCode::NOT_MODIFIED, vec!["W/\"v1\"".into()]));
}

#[tokio::test]
async fn the_date_counts_only_where_no_tag_is_named() {
    let (cache, _) = cache();
    let (app, _) = warm(conditional(&cache), &[("etag", "\"v1\""), ("last-modified", MODIFIED)]).await;

    for (since, expected) in [(MODIFIED, 304), (LATER, 304), (EARLIER, 200), ("yesterday", 200), ("", 200)] {
        assert_eq!(status(&app, &[("if-modified-since", since)]).await, expected, "{since}");
    }
    assert_eq!(status(&app, &[("if-modified-since", LATER), ("if-none-match", "\"v2\"")]).await, 200);
    assert_eq!(status(&app, &[("if-modified-since", EARLIER), ("if-none-match", "\"v1\"")]).await, 304);
    assert_eq!(status(&app, &[("if-modified-since", LATER), ("if-modified-since", LATER)]).await, 200, "two dates");
}

#[tokio::test]
async fn without_a_validator_only_a_star_matches() {
    let (cache, _) = cache();
    let (app, _) = warm(conditional(&cache), &[]).await;
    assert_eq!(status(&app, &[("if-modified-since", LATER)]).await, 200);
    assert_eq!(status(&app, &[("if-none-match", "\"v1\"")]).await, 200);
    assert_eq!(status(&app, &[("if-none-match", "*")]).await, 304);
}

#[tokio::test]
async fn a_304_has_the_fields_that_update_a_copy_and_no_others() {
    let (cache, clock) = cache();
    let layer = conditional(&cache).age_header(true).response_hit_indication(true).cache_status("c");
    let fields = [
        ("cache-control", "max-age=60"),
        ("content-location", "/here"),
        ("content-type", "text/plain"),
        ("content-language", "en"),
        ("date", LATER),
        ("etag", "\"v1\""),
        ("expires", LATER),
        ("last-modified", MODIFIED),
        ("vary", "accept"),
        ("x-other", "1"),
        ("access-control-allow-origin", "*"),
    ];
    let (app, _) = warm(layer, &fields).await;
    clock.advance(support::stale::SECOND);
    let response = send(&app, get_with("/", &[("if-none-match", "\"v1\"")])).await;

    let mut names: Vec<_> = response.headers().keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "access-control-allow-origin",
        "age",
        "cache-control",
        "cache-status",
        "content-location",
        "date",
        "etag",
        "expires",
        "hit_cache",
        "vary",
    ];
    assert_eq!(names, expected);
    assert_eq!((lines(&response, "age"), lines(&response, "date")), (vec!["1".into()], vec![LATER.into()]));
    assert_eq!(lines(&response, "cache-status"), ["c; hit; ttl=59"]);
}

#[tokio::test]
async fn without_a_tag_a_304_has_the_date_that_it_rests_on() {
    let (cache, _) = cache();
    let (app, _) = warm(conditional(&cache), &[("last-modified", MODIFIED)]).await;
    let response = send(&app, get_with("/", &[("if-modified-since", MODIFIED)])).await;
    assert_eq!(lines(&response, "last-modified"), [MODIFIED]);
}

#[tokio::test]
async fn head_is_answered_so_too_and_other_methods_are_not() {
    let (cache, _) = cache();
    let layer = conditional(&cache).methods([Method::POST]).make_cache_key(|_| Some("one".into()));
    let (app, _) = answering(layer, &[("etag", "\"v1\"")]);
    for method in [Method::GET, Method::POST] {
        send(&app, request(method, "/")).await;
    }
    for (method, expected) in [(Method::HEAD, 304), (Method::GET, 304), (Method::POST, 200)] {
        let mut asked = request(method.clone(), "/");
        asked.headers_mut().insert("if-none-match", "\"v1\"".parse().unwrap());
        let response = send(&app, asked).await;
        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Hit));
        assert_eq!(response.status(), expected, "{method}");
    }
}

#[tokio::test]
async fn it_is_off_by_default() {
    let (cache, _) = cache();
    let (app, _) = warm(layer(&cache), &[("etag", "\"v1\"")]).await;
    let response = send(&app, get_with("/", &[("if-none-match", "\"v1\"")])).await;
    assert_eq!((response.status(), text(response).await), (StatusCode::OK, "run 1".into()));
    let (app, _) = warm(layer(&cache).key_prefix("other"), &[]).await;
    assert!(!send(&app, get("/")).await.headers().contains_key("etag"));
}

#[tokio::test]
async fn only_a_stored_200_is_less_than_whole() {
    let (cache, _) = cache();
    let with_404 = conditional(&cache).response_filter(|_| true);
    let (gone, _) = app(with_404, |_, _| (StatusCode::NOT_FOUND, [("etag", "\"v1\"")], "none"));
    for _ in 0..2 {
        assert_eq!(status(&gone, &[("if-none-match", "\"v1\"")]).await, 404);
    }
    let private = [("etag", "\"v1\""), ("cache-control", "private")];
    let (private, _) = answering(conditional(&cache).key_prefix("private"), &private);
    assert_eq!(status(&private, &[("if-none-match", "\"v1\"")]).await, 200, "what is not stored is left alone");
}

#[tokio::test]
async fn what_the_handler_alone_can_judge_is_answered_whole() {
    let (cache, _) = cache();
    let (app, _) = warm(conditional(&cache), &[("etag", "\"v1\"")]).await;
    assert_eq!(status(&app, &[("if-none-match", "\"v1\""), ("if-match", "\"v1\"")]).await, 200);
    assert_eq!(status(&app, &[("if-none-match", "\"v1\""), ("if-unmodified-since", LATER)]).await, 200);
}

#[tokio::test]
async fn the_client_that_fills_the_cache_gets_its_304_and_the_next_one_the_whole() {
    let (cache, _) = cache();
    let (app, runs) = answering(conditional(&cache), &[("etag", "\"v1\"")]);
    let response = send(&app, get_with("/", &[("if-none-match", "\"v1\"")])).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    let status = CacheStatus::of(&response).unwrap();
    assert_eq!(status, CacheStatus::Miss { reason: MissReason::Absent, not_stored: None });
    assert_eq!(text(send(&app, get("/")).await).await, "run 1");
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_client_that_has_a_stream_already_does_not_keep_the_others_from_it() {
    let mut world = World::of(|layer| layer.profile(hardy()).not_modified(true));
    let asked = spawn(&world.app, get_with("/", &[("if-none-match", "\"v1\"")]));
    let (response, frames) = streamed(&[("etag", "\"v1\"")]);
    write(&frames, "one ");
    world.runs.next().await.answer(response);
    assert_eq!(asked.await.unwrap().unwrap().status(), StatusCode::NOT_MODIFIED);
    write(&frames, "two");
    drop(frames);
    settle().await;
    assert_eq!(world.fetch().await, support::stale::hit("one two"));
}

#[tokio::test]
async fn a_stale_page_and_a_shared_one_are_304_too() {
    let mut world = World::of(|layer| layer.profile(hardy()).not_modified(true));
    let ask = || get_with("/", &[("if-none-match", "\"v1\"")]);
    let (whole, shared) = (spawn(&world.app, get("/")), spawn(&world.app, ask()));
    let run = world.runs.next().await;
    settle().await;
    run.answer(([("etag", "\"v1\"")], "text"));
    assert_eq!(held::body(whole.await.unwrap().unwrap()).await, "text");
    let shared = shared.await.unwrap().unwrap();
    assert_eq!((shared.status(), CacheStatus::of(&shared)), (StatusCode::NOT_MODIFIED, Some(CacheStatus::Shared)));

    world.clock.advance(MINUTE);
    let stale = spawn(&world.app, ask()).await.unwrap().unwrap();
    assert_eq!((stale.status(), CacheStatus::of(&stale)), (StatusCode::NOT_MODIFIED, Some(CacheStatus::Stale)));
    assert!(!world.runs.next().await.request.headers().contains_key("if-none-match"), "the refresh is for the whole");
}

#[tokio::test]
async fn a_response_without_a_tag_is_given_a_strong_one_that_its_own_client_sees() {
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache).etag(true), &[("content-type", "text/plain")]);
    let first = lines(&send(&app, get("/")).await, "etag");
    let second = send(&app, get("/")).await;

    assert_eq!(lines(&second, "etag"), first);
    assert!(first.len() == 1 && first[0].starts_with('"') && first[0].len() == 34, "{first:?}");
    assert_eq!(status(&app, &[("if-none-match", &first[0])]).await, 304, "and it is of use");
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_stream_has_its_tag_from_the_next_answer_on() {
    let mut world = World::of(|layer| layer.profile(hardy()).etag(true));
    let asked = spawn(&world.app, get("/"));
    let (response, frames) = streamed(&[]);
    world.runs.next().await.answer(response);
    let first = asked.await.unwrap().unwrap();
    assert!(!first.headers().contains_key("etag"));
    write(&frames, "text");
    drop(frames);
    settle().await;
    let second = spawn(&world.app, get("/")).await.unwrap().unwrap();
    assert!(second.headers().contains_key("etag"));
}

#[tokio::test]
async fn what_reads_differently_has_another_tag() {
    let tag = async |fields: &'static [(&'static str, &'static str)], body: &'static str| {
        let (cache, _) = cache();
        let (app, _) = app(layer(&cache).etag(true), move |_, _| answer(fields, body));
        lines(&send(&app, get("/")).await, "etag").remove(0)
    };
    let plain = tag(&[("content-type", "text/plain")], "a").await;
    assert_eq!(tag(&[("content-type", "text/plain"), ("x-other", "1")], "a").await, plain);
    assert_ne!(tag(&[("content-type", "text/plain")], "b").await, plain);
    assert_ne!(tag(&[("content-type", "text/html")], "a").await, plain);
    assert_ne!(tag(&[("content-type", "text/plain"), ("content-encoding", "br")], "a").await, plain);
    assert_eq!(tag(&[("etag", "\"own\"")], "a").await, "\"own\"");
}

#[tokio::test]
async fn errors_and_what_is_not_stored_have_no_tag() {
    let (cache, _) = cache();
    let layer = layer(&cache).etag(true);
    let (private, _) = answering(layer.clone().key_prefix("p"), &[("cache-control", "no-store")]);
    assert!(!send(&private, get("/")).await.headers().contains_key("etag"));
    let (gone, _) = app(layer.response_filter(|_| true), |_, _| (StatusCode::NOT_FOUND, "none"));
    for _ in 0..2 {
        assert!(!send(&gone, get("/")).await.headers().contains_key("etag"));
    }
}

#[tokio::test]
async fn over_a_socket_a_304_has_no_body_and_no_length() {
    let cache = Cache::new(MemoryBackend::default());
    let (app, _) = answering(conditional(&cache).ranges(true), &[("etag", "\"v1\"")]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);

    let mut ask = async |fields: &[(&str, &str)]| {
        let mut request = Request::get("/").header("host", "a");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, body) = client.send_request(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    };
    assert_eq!(ask(&[]).await.1, "run 1");
    let (parts, body) = ask(&[("if-none-match", "\"v1\"")]).await;
    assert_eq!((parts.status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert!(!parts.headers.contains_key("content-length") && !parts.headers.contains_key("transfer-encoding"));
    let (parts, body) = ask(&[("range", "bytes=-1")]).await;
    assert_eq!((parts.status, &body[..]), (StatusCode::PARTIAL_CONTENT, &b"1"[..]));
    assert_eq!(parts.headers["content-length"], "1");
    let (parts, body) = ask(&[("range", "bytes=9-")]).await;
    assert_eq!((parts.status, body.len()), (StatusCode::RANGE_NOT_SATISFIABLE, 0));
    assert_eq!(ask(&[]).await.1, "run 1", "the connection is as it should be");
    connection.abort();
    server.abort();
}

/// What RFC 9110 §13.1.2 says, without a thought for speed: tag after tag is taken off the end, in every way there is.
fn tags(list: &str) -> Option<Vec<&str>> {
    let list = list.trim_matches([' ', '\t']);
    if list.is_empty() {
        return Some(Vec::new());
    }
    if let Some(rest) = list.strip_suffix(',') {
        return tags(rest);
    }
    let (rest, opaque) = list.strip_suffix('"')?.rsplit_once('"')?;
    let rest = rest.strip_suffix("W/").unwrap_or(rest).trim_matches([' ', '\t']);
    let is_first = rest.is_empty() || rest.ends_with(',');
    let mut all = tags(rest).filter(|_| is_first && !opaque.contains([' ', '\t']))?;
    all.push(opaque);
    Some(all)
}

fn names(list: &str, opaque: &str) -> bool {
    list.trim_matches([' ', '\t']) == "*" || tags(list).is_some_and(|tags| tags.contains(&opaque))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_of_tags_is_read_as_the_standard_says(
        pieces in vec(select(&["\"v1\"", "\"v2\"", "W/\"v1\"", "W/", "\"", ",", ", ", " ", "\t", "*", "v1", "\\", "é"][..]), 0..7)
    ) {
        let field = pieces.concat();
        let response: Response = run(async {
            let (cache, _) = cache();
            let (app, _) = warm(conditional(&cache), &[("etag", "\"v1\"")]).await;
            let mut request = get("/");
            request.headers_mut().insert("if-none-match", http::HeaderValue::from_bytes(field.as_bytes()).unwrap());
            send(&app, request).await
        });
        prop_assert_eq!(response.status() == 304, names(&field, "v1"), "{:?}", field);
    }

    #[test]
    fn no_bytes_in_a_condition_do_harm(
        fields in vec((select(&["if-none-match", "if-modified-since", "if-range", "range"][..]), vec(any::<u8>(), 0..40)), 1..4)
    ) {
        let status = run(async {
            let (cache, _) = cache();
            let (app, _) = warm(conditional(&cache).ranges(true), &[("etag", "\"v1\"")]).await;
            let mut request = get("/");
            for (name, bytes) in fields {
                let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte >= 32 && *byte != 127).collect();
                request.headers_mut().append(name, http::HeaderValue::from_bytes(&bytes).unwrap());
            }
            send(&app, request).await.status().as_u16()
        });
        prop_assert!([200, 206, 304, 416].contains(&status), "{}", status);
    }
}
