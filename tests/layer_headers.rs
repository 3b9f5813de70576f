//! What is on the wire: the fields of a hit and of a miss, as they are written.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use std::time::Duration;

use axum::{body::Body, response::Response};
use axum_caching::{CacheStatus, NotStored};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use support::*;
use tower::ServiceExt;

const HIT: CacheStatus = CacheStatus::Hit;

/// The head of a response, a line for each field, sorted.
fn head(response: &Response) -> String {
    let mut head: Vec<_> = response.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    head.sort();
    head.insert(0, response.status().to_string());
    head.join("\n")
}

#[tokio::test]
async fn a_hit_with_all_indications_reads_so() {
    let (cache, clock) = cache();
    let all = layer(&cache).response_hit_indication(true).age_header(true).cache_status("shop");
    let fields = [("content-type", "text/plain"), ("etag", "\"1\""), ("link", "</a>"), ("link", "</b>")];
    let (app, _) = answering(all, &fields);
    fetch(&app, "/").await;
    clock.advance(Duration::from_millis(12_900));

    let hit = send(&app, get("/")).await;

    assert_eq!(
        head(&hit),
        "200 OK\n\
         age: \"12\"\n\
         cache-status: \"shop; hit; ttl=47\"\n\
         content-length: \"5\"\n\
         content-type: \"text/plain\"\n\
         date: \"Thu, 01 Jan 2026 00:00:00 GMT\"\n\
         etag: \"\\\"1\\\"\"\n\
         hit_cache: \"True\"\n\
         link: \"</a>\"\n\
         link: \"</b>\""
    );
    assert_eq!(text(hit).await, "run 1");
}

#[tokio::test]
async fn a_hit_without_indications_has_what_the_handler_gave_and_a_date_and_a_length() {
    let (cache, clock) = cache();
    let (app, _) = answering(layer(&cache), &[("x-powered-by", "axum")]);
    fetch(&app, "/").await;
    clock.advance(Duration::from_secs(5));

    let hit = send(&app, get("/")).await;

    assert_eq!(
        head(&hit),
        "200 OK\ncontent-length: \"5\"\ndate: \"Thu, 01 Jan 2026 00:00:00 GMT\"\nx-powered-by: \"axum\""
    );
}

#[tokio::test]
async fn a_miss_has_no_hit_header_and_no_age() {
    // Flask-Caching Q-46, and inverted flags elsewhere (otel-cf-workers #78).
    let (cache, _) = cache();
    let all = layer(&cache).response_hit_indication(true).age_header(true);
    let (app, _) = answering(all, &[]);

    let miss = send(&app, get("/")).await;
    let bypass = send(&app, get_with("/", &[("cookie", "a=1")])).await;

    assert_eq!(head(&miss), "200 OK\ncontent-length: \"5\"", "as the origin made it");
    assert_eq!(head(&bypass), "200 OK\ncontent-length: \"5\"");
}

#[tokio::test]
async fn the_hit_header_may_have_another_name() {
    let (cache, _) = cache();
    let named = layer(&cache).response_hit_indication(HeaderName::from_static("x-cache-hit"));
    let (app, _) = answering(named, &[]);
    fetch(&app, "/").await;

    let hit = send(&app, get("/")).await;

    assert_eq!(lines(&hit, "x-cache-hit"), ["True"]);
    assert_eq!(lines(&hit, "hit_cache"), [""; 0]);
}

#[tokio::test]
async fn a_hit_header_that_is_switched_off_again_is_not_there() {
    let (cache, _) = cache();
    let off = layer(&cache).response_hit_indication(true).response_hit_indication(false).age_header(true);
    let (app, _) = answering(off.age_header(false), &[]);
    fetch(&app, "/").await;

    let hit = send(&app, get("/")).await;

    assert_eq!(CacheStatus::of(&hit), Some(HIT));
    assert_eq!((lines(&hit, "hit_cache").len(), lines(&hit, "age").len()), (0, 0));
}

/// The `Cache-Status` of one request to an application of its own.
async fn status(answer: &[(&'static str, &'static str)], before: usize, request: Request<Body>) -> String {
    let (cache, _) = cache();
    let forced = layer(&cache).cache_status("c").forced_update(|request| request.headers.contains_key("x-force"));
    let (app, _) = answering(forced.is_stale(|request, _| request.headers.contains_key("x-stale")), answer);
    for _ in 0..before {
        fetch(&app, "/").await;
    }
    lines(&send(&app, request).await, "cache-status").join(", ")
}

#[tokio::test]
async fn cache_status_says_what_the_cache_did() {
    // RFC 9211
    assert_eq!(status(&[], 0, get("/")).await, "c; fwd=uri-miss; stored");
    assert_eq!(status(&[], 1, get("/")).await, "c; hit; ttl=60");
    assert_eq!(status(&[("vary", "x-a")], 1, get_with("/", &[("x-a", "1")])).await, "c; fwd=vary-miss; stored");
    assert_eq!(status(&[], 1, get_with("/", &[("x-force", "1")])).await, "c; fwd=request; stored");
    assert_eq!(status(&[], 1, get_with("/", &[("x-stale", "1")])).await, "c; fwd=stale; stored");
    assert_eq!(status(&[("set-cookie", "a=1")], 0, get("/")).await, "c; fwd=uri-miss; detail=set-cookie");
    assert_eq!(status(&[("cache-control", "private")], 0, get("/")).await, "c; fwd=uri-miss; detail=private");
    assert_eq!(status(&[], 1, get_with("/", &[("cookie", "a=1")])).await, "c; fwd=bypass; detail=cookie");
    assert_eq!(status(&[], 1, request(http::Method::POST, "/")).await, "c; fwd=bypass; detail=method");
    assert_eq!(status(&[], 0, request(http::Method::HEAD, "/")).await, "c; fwd=bypass; detail=head");
    assert_eq!(status(&[], 1, request(http::Method::HEAD, "/")).await, "c; hit; ttl=60");
}

#[tokio::test]
async fn cache_status_counts_an_expired_entry_as_stale_and_one_for_ever_has_no_ttl() {
    let (cache, clock) = cache();
    let (app, _) = answering(layer(&cache).cache_status("c"), &[]);
    fetch(&app, "/").await;
    // One of a variant is kept longer than it is fresh; one of none may be gone, which is a plain miss.
    clock.advance(Duration::from_secs(60));
    let expired = lines(&send(&app, get("/")).await, "cache-status").join(", ");

    let (app, _) = answering(layer(&cache).cache_status("c").ttl(axum_caching::Ttl::Forever), &[]);
    fetch(&app, "/ever").await;
    let ever = lines(&send(&app, get("/ever")).await, "cache-status").join(", ");

    assert!(["c; fwd=stale; stored", "c; fwd=uri-miss; stored"].contains(&expired.as_str()), "{expired}");
    assert_eq!(ever, "c; hit");
}

#[tokio::test]
async fn who_shared_the_run_of_another_is_told_so_and_had_no_hit() {
    let (cache, _) = cache();
    let all = layer(&cache).cache_status("c").response_hit_indication(true).age_header(true);
    let handler = async || {
        tokio::task::yield_now().await;
        ([("etag", "\"1\"")], "body")
    };
    let app = axum::Router::new().fallback(handler).layer(all);

    let (leader, follower) = tokio::join!(send(&app, get("/")), send(&app, get("/")));

    assert_eq!(lines(&leader, "cache-status"), ["c; fwd=uri-miss; stored"]);
    assert_eq!(lines(&follower, "cache-status"), ["c; fwd=miss; collapsed"]);
    assert_eq!((lines(&follower, "hit_cache").len(), lines(&follower, "age").len()), (0, 0));
    assert_eq!((lines(&follower, "etag"), text(follower).await), (lines(&leader, "etag"), text(leader).await));
}

#[tokio::test]
async fn the_name_in_cache_status_is_always_a_token() {
    for (name, written) in
        [("my shop", "myshop"), ("9lives", "cache9lives"), ("", "cache"), ("a;hit,\"b\"\r\n", "ahitb")]
    {
        let (cache, _) = cache();
        let (app, _) = answering(layer(&cache).cache_status(name), &[]);

        let response = send(&app, get("/")).await;

        assert_eq!(lines(&response, "cache-status"), [format!("{written}; fwd=uri-miss; stored")]);
    }
}

#[tokio::test]
async fn caches_nearer_to_the_origin_stay_before_this_one_in_cache_status() {
    // RFC 9211 §2: members of other caches are preserved, ours comes last. Flask-Caching Q-46.
    let (cache, _) = cache();
    let (app, _) = answering(layer(&cache).cache_status("c"), &[("cache-status", "Upstream; hit; ttl=9")]);

    let miss = send(&app, get("/")).await;
    let hit = send(&app, get("/")).await;

    assert_eq!(lines(&miss, "cache-status").join(", "), "Upstream; hit; ttl=9, c; fwd=uri-miss; stored");
    assert_eq!(lines(&hit, "cache-status").join(", "), "Upstream; hit; ttl=9, c; hit; ttl=60");
}

#[tokio::test]
async fn the_date_of_the_handler_is_kept() {
    let (cache, clock) = cache();
    let date = "Wed, 31 Dec 2025 23:59:00 GMT";
    let (app, _) = answering(layer(&cache), &[("date", date)]);
    fetch(&app, "/").await;
    clock.advance(Duration::from_secs(30));

    assert_eq!(lines(&send(&app, get("/")).await, "date"), [date]);
}

#[tokio::test]
async fn the_age_at_the_origin_is_counted_in() {
    // RFC 9111 §4.2.3; cashews wrote the time that is left.
    let (cache, clock) = cache();
    let (app, runs) = answering(layer(&cache).age_header(true), &[("age", "50"), ("cache-control", "max-age=55")]);

    let miss = send(&app, get("/")).await;
    clock.advance(Duration::from_millis(4_999));
    let hit = send(&app, get("/")).await;
    clock.advance(Duration::from_millis(1));

    assert_eq!(lines(&miss, "age"), ["50"], "its own");
    assert_eq!((CacheStatus::of(&hit), lines(&hit, "age")), (Some(HIT), vec!["54".to_owned()]));
    assert!(is_miss(fetch(&app, "/").await.0));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn the_age_at_the_origin_is_told_where_cache_control_is_overridden_too() {
    let (cache, clock) = cache();
    let (app, _) = answering(layer(&cache).override_cache_control().age_header(true), &[("age", "50")]);
    fetch(&app, "/").await;
    clock.advance(Duration::from_secs(3));

    assert_eq!(lines(&send(&app, get("/")).await, "age"), ["53"]);
}

#[tokio::test]
async fn an_age_that_is_no_number_is_ignored() {
    for age in ["-1", "old", "", "1.5"] {
        let (cache, _) = cache();
        let (app, _) = answering(layer(&cache).age_header(true), &[("age", age), ("cache-control", "max-age=5")]);

        assert_eq!(twice(&app, || get("/")).await[1], HIT, "{age:?}");
        assert_eq!(lines(&send(&app, get("/")).await, "age"), ["0"], "{age:?}");
    }
}

#[tokio::test]
async fn a_value_that_is_no_utf8_is_kept_byte_for_byte() {
    // Two of five peers dropped it.
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache), |_, _| {
        let mut response = answer(&[], "body");
        response.headers_mut().insert("x-name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        response
    });
    fetch(&app, "/").await;

    let hit = send(&app, get("/")).await;

    assert_eq!(CacheStatus::of(&hit), Some(HIT));
    assert_eq!(hit.headers()["x-name"].as_bytes(), b"caf\xe9");
}

#[tokio::test]
async fn fields_on_several_lines_keep_their_lines_and_their_order() {
    let (cache, _) = cache();
    let fields = [("link", "</z>"), ("x-other", "1"), ("link", "</a>"), ("link", "</z>"), ("vary", "b"), ("vary", "a")];
    let (app, _) = answering(layer(&cache), &fields);
    let miss = send(&app, get("/")).await;

    let hit = send(&app, get("/")).await;

    assert_eq!(lines(&hit, "link"), ["</z>", "</a>", "</z>"]);
    assert_eq!(lines(&hit, "vary"), ["b", "a"]);
    assert_eq!(lines(&hit, "link"), lines(&miss, "link"));
}

#[tokio::test]
async fn cache_control_and_expires_reach_the_client_as_they_are() {
    // RFC 9111 §5.2: also what is not understood. Family 13: what we keep and what we tell are two things.
    let (cache, _) = cache();
    let fields =
        [("cache-control", "Max-Age=9, community=\"UCI\""), ("cdn-cache-control", "max-age=1"), ("expires", "soon")];
    let (app, _) = answering(layer(&cache), &fields);

    for response in [send(&app, get("/")).await, send(&app, get("/")).await] {
        for (name, value) in fields {
            assert_eq!(lines(&response, name), [value]);
        }
    }
}

#[tokio::test]
async fn a_stored_answer_without_content_has_no_length() {
    // RFC 9110 §8.6. A bare service, since axum adds a length to everything.
    let (cache, _) = cache();
    let service = tower::ServiceBuilder::new().layer(layer(&cache)).service_fn(async |_: Request<Body>| {
        let mut response = answer(&[], Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok::<_, std::convert::Infallible>(response)
    });
    service.clone().oneshot(get("/")).await.unwrap();

    let hit = service.oneshot(get("/")).await.unwrap();

    assert_eq!((CacheStatus::of(&hit), hit.status()), (Some(HIT), StatusCode::NO_CONTENT));
    assert!(!hit.headers().contains_key(header::CONTENT_LENGTH));
}

#[tokio::test]
async fn a_redirect_is_stored_with_its_location() {
    for status in [StatusCode::MOVED_PERMANENTLY, StatusCode::PERMANENT_REDIRECT] {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache), move |_, _| (status, [("location", "/new")]));
        fetch(&app, "/old").await;

        let hit = send(&app, get("/old")).await;

        assert_eq!((hit.status(), lines(&hit, "location"), runs.count()), (status, vec!["/new".to_owned()], 1));
    }
}

#[tokio::test]
async fn an_empty_body_is_a_body_of_no_bytes() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, _| "");
    fetch(&app, "/").await;

    let hit = send(&app, get("/")).await;

    assert_eq!(lines(&hit, "content-length"), ["0"]);
    assert_eq!((text(hit).await.as_str(), runs.count()), ("", 1));
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back() {
    let (cache, _) = cache();
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let (app, _) = app(layer(&cache), {
        let bytes = bytes.clone();
        move |_, _| bytes.clone()
    });
    send(&app, get("/")).await;

    let hit = send(&app, get("/")).await;

    assert_eq!(CacheStatus::of(&hit), Some(HIT));
    let body = http_body_util::BodyExt::collect(hit.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, bytes);
}

#[tokio::test]
async fn conditional_fields_are_taken_off_the_request_of_a_fill_and_a_hit_is_whole() {
    // Flask-Caching Q-11: a 304 for one client must not become everybody's answer.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request: Request<Body>, _| {
        let is_conditional = request.headers().contains_key(header::IF_NONE_MATCH)
            || request.headers().contains_key(header::IF_MODIFIED_SINCE);
        if is_conditional { (StatusCode::NOT_MODIFIED, "") } else { (StatusCode::OK, "whole") }
    });
    let conditional =
        || get_with("/", &[("if-none-match", "\"1\""), ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT")]);

    for _ in 0..2 {
        let response = send(&app, conditional()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, "whole");
    }
    assert_eq!(runs.count(), 1);

    let mut bypassing = conditional();
    bypassing.headers_mut().insert(header::COOKIE, HeaderValue::from_static("a=1"));
    assert_eq!(send(&app, bypassing).await.status(), StatusCode::NOT_MODIFIED, "as without a cache");
}

#[tokio::test]
async fn a_304_that_the_handler_makes_by_itself_is_not_stored() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| if run == 1 { StatusCode::NOT_MODIFIED } else { StatusCode::OK });

    let first = fetch(&app, "/").await.0;
    let second = send(&app, get("/")).await;

    assert_eq!(not_stored(first), Some(NotStored::Partial));
    assert_eq!((second.status(), runs.count()), (StatusCode::OK, 2));
}
