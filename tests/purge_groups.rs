//! Groups that responses name themselves, and that answers to writes take away (RFC 9875).
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod bytewise;
mod support;

use axum::{Router, body::Body};
use axum_caching::{Cache, CacheLayer, CachePolicy, CacheStatus, MemoryBackend, NotStored, Ttl};
use bytewise::Told;
use http::{Method, Request, StatusCode};
use support::{
    answer, app, cache, fetch_request,
    held::{body, origin, spawn},
    layer, not_stored, request, send,
};
use tower::Layer;

const HIT: CacheStatus = CacheStatus::Hit;

fn grouping(cache: &Cache) -> CacheLayer {
    layer(cache).cache_groups(true)
}

/// Pages and writes that answer with what the request has in `x-groups`, each field after its own kind.
fn site(layer: CacheLayer) -> Router {
    app(layer, |request, run| {
        let is_safe = request.method().is_safe();
        let name = if is_safe { "cache-groups" } else { "cache-group-invalidation" };
        let lines = request.headers().get_all("x-groups").iter().map(|line| (name, line.to_str().unwrap()));
        let fields: Vec<_> = lines.collect();
        let mut response = answer(&fields, format!("run {run}"));
        if !is_safe {
            *response.status_mut() = StatusCode::CONFLICT;
        }
        response
    })
    .0
}

fn with(method: &str, uri: &str, groups: &[&str]) -> Request<Body> {
    let mut request = request(Method::from_bytes(method.as_bytes()).unwrap(), uri);
    for line in groups {
        request.headers_mut().append("x-groups", line.parse().unwrap());
    }
    request.headers_mut().insert("host", "shop.example".parse().unwrap());
    request
}

async fn fill(app: &Router, uri: &str, groups: &[&str]) {
    fetch_request(app, with("GET", uri, groups)).await;
    assert!(is_there(app, uri).await, "{uri} {groups:?}");
}

async fn is_there(app: &Router, uri: &str) -> bool {
    fetch_request(app, with("GET", uri, &[])).await.0 == HIT
}

async fn invalidate(app: &Router, groups: &[&str]) {
    send(app, with("POST", "/", groups)).await;
}

#[tokio::test]
async fn a_group_that_a_write_names_goes_and_no_other() {
    for (groups, goes) in [
        (&["\"b\""][..], true),
        (&["\"x\", \"a\";p=1"], true),
        (&["\"x\"", "\"a\""], true),
        (&["\"B\"", "\"ab\"", "\"\""], false),
        (&["b"], false),
        (&["\"b\","], false),
        (&["\"b\", 7"], false),
        (&[], false),
    ] {
        let (cache, _) = cache();
        let app = site(grouping(&cache));
        fill(&app, "/a", &["\"a\";q", "\"b\""]).await;
        fill(&app, "/other", &["\"c\""]).await;
        fill(&app, "/none", &[]).await;
        invalidate(&app, groups).await;
        assert_eq!(is_there(&app, "/a").await, !goes, "{groups:?}");
        assert!(is_there(&app, "/other").await && is_there(&app, "/none").await, "{groups:?}");
    }
}

#[tokio::test]
async fn without_the_option_or_in_answers_to_reading_the_fields_mean_nothing() {
    for has_option in [true, false] {
        let (cache, _) = cache();
        let app = site(if has_option { grouping(&cache) } else { layer(&cache).purge_on_write(true) });
        fill(&app, "/a", &["\"a\""]).await;
        if has_option {
            let handler = |_, _| answer(&[("cache-group-invalidation", "\"a\"")], "read");
            let (reading, _) = support::app(grouping(&cache).key_prefix("other/%s"), handler);
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                send(&reading, request(method, "/read")).await;
            }
        } else {
            invalidate(&app, &["\"a\""]).await;
        }
        assert!(is_there(&app, "/a").await, "{has_option}");
    }
}

#[tokio::test]
async fn a_group_of_one_host_is_not_that_of_another_unless_the_host_is_ignored() {
    for ignores in [false, true] {
        let (cache, _) = cache();
        let app = site(if ignores { grouping(&cache).ignore_host() } else { grouping(&cache) });
        for (page, host) in [("/1", "other.example"), ("/2", "shop.example:8080"), ("/3", "")] {
            fill(&app, page, &["\"a\""]).await;
            let mut write = with("POST", "/", &["\"a\""]);
            write.headers_mut().insert("host", host.parse().unwrap());
            send(&app, write).await;
            assert_eq!(is_there(&app, page).await, !ignores, "{host}, {ignores}");
        }
        let mut write = with("POST", "/", &["\"a\""]);
        write.headers_mut().insert("host", "SHOP.example".parse().unwrap());
        fill(&app, "/a", &["\"a\""]).await;
        send(&app, write).await;
        assert!(!is_there(&app, "/a").await);
    }
}

#[tokio::test]
async fn a_group_and_a_tag_of_one_name_are_two() {
    let (cache, _) = cache();
    let tagged = app(grouping(&cache), |_, _| (CachePolicy::ttl(Ttl::Default).tags(["a", "\na"]), "tagged")).0;
    fetch_request(&tagged, with("GET", "/tagged", &[])).await;
    let app = site(grouping(&cache));
    fill(&app, "/a", &["\"a\""]).await;
    cache.purge_tags(["a", "\na", "shop.example\na"]).await.unwrap();
    assert!(is_there(&app, "/a").await);

    fetch_request(&tagged, with("GET", "/tagged", &[])).await;
    invalidate(&app, &["\"a\""]).await;
    assert!(is_there(&tagged, "/tagged").await);
    assert!(!is_there(&app, "/a").await);
}

#[tokio::test]
async fn a_group_that_goes_while_the_handler_runs_wins() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = grouping(&cache).layer(origin);
    let page = || answer(&[("cache-groups", "\"a\"")], "page");
    let reading = spawn(&app, with("GET", "/", &[]));
    let read = runs.next().await;
    let writing = spawn(&app, with("PUT", "/other", &[]));
    runs.next().await.answer(answer(&[("cache-group-invalidation", "\"a\"")], "written"));
    writing.await.unwrap().unwrap();
    read.answer(page());
    let response = reading.await.unwrap().unwrap();
    assert_eq!(not_stored(CacheStatus::of(&response).unwrap()), Some(NotStored::Refused));
    assert_eq!(body(response).await, "page");

    let reading = spawn(&app, with("GET", "/", &[]));
    runs.next().await.answer(answer(&[], "read after"));
    assert_eq!(body(reading.await.unwrap().unwrap()).await, "read after");
}

#[tokio::test]
async fn too_many_groups_are_not_kept_and_a_longer_list_is_purged_in_part_and_told_of() {
    let told = Told::default();
    let cache = Cache::builder(MemoryBackend::default()).observer(told.observer()).build();
    let app = site(grouping(&cache));
    let list = |count: usize| (0..count).map(|group| format!("\"{group}\"")).collect::<Vec<_>>().join(", ");
    let many = format!("{}, \"0\", \"1\"", list(256));
    fill(&app, "/some", &[&many]).await;
    let (status, _) = fetch_request(&app, with("GET", "/more", &[&list(300)])).await;
    assert_eq!(not_stored(status), Some(NotStored::TooManyDependencies));
    assert!(!is_there(&app, "/more").await);

    fill(&app, "/often", &[&format!("{}\"b\"", "\"a\",".repeat(300))]).await;
    invalidate(&app, &["\"b\""]).await;
    assert!(!is_there(&app, "/often").await, "one group is one, however often it is said");

    fill(&app, "/last", &["\"299\""]).await;
    invalidate(&app, &[&list(300)]).await;
    assert!(!is_there(&app, "/some").await && is_there(&app, "/last").await);
    assert_eq!(told.count("failed purge"), 1);
    invalidate(&app, &["no list"]).await;
    assert_eq!(told.count("failed decode"), 1);
}

#[tokio::test]
async fn the_fields_stay_in_the_answers() {
    let (cache, _) = cache();
    let app = site(grouping(&cache));
    for _ in 0..2 {
        let page = send(&app, with("GET", "/a", &["\"a\""])).await;
        assert_eq!(support::lines(&page, "cache-groups"), ["\"a\""]);
    }
    let written = send(&app, with("POST", "/a", &["\"a\""])).await;
    assert_eq!(support::lines(&written, "cache-group-invalidation"), ["\"a\""]);
}
