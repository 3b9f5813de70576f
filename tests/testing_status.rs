//! What the assertions of the kit say.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::{panic::catch_unwind, time::Duration};

use axum::response::Response;
use axum_caching::{
    BypassReason, MissReason, NotStored,
    testing::{assert_bypass, assert_hit, assert_miss, assert_not_stored, assert_shared},
};
use support::{answering, app, cache, fetch, get, get_with, held, layer, send};
use tower::Layer;

/// The message of what has to panic.
fn complaint(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(std::panic::AssertUnwindSafe(assertion)).expect_err("it holds");
    *panic.downcast::<String>().unwrap()
}

#[tokio::test]
async fn what_holds_is_not_complained_of() {
    let (cache, clock) = cache();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    assert_miss!(send(&app, get("/")).await);
    assert_hit!(send(&app, get("/")).await);
    clock.advance(Duration::from_secs(60));
    assert_miss!(send(&app, get("/")).await, MissReason::Expired);
    let with_cookie = send(&app, get_with("/", &[("cookie", "id=7")])).await;
    assert_bypass!(with_cookie);
    assert_bypass!(with_cookie, BypassReason::Cookie);

    let (app, _) = answering(layer(&cache), &[("cache-control", "private")]);
    let private = send(&app, get("/private")).await;
    assert_not_stored!(private);
    assert_not_stored!(&private, NotStored::Private);
}

#[tokio::test]
async fn a_shared_answer_is_one() {
    let (cache, _) = cache();
    let (origin, mut runs) = held::origin();
    let service = layer(&cache).layer(origin);
    let clients = [held::spawn(&service, get("/")), held::spawn(&service, get("/"))];
    held::settle().await;
    runs.next().await.answer("answer");
    let [leader, follower] = clients;
    assert_miss!(leader.await.unwrap().unwrap());
    let follower = follower.await.unwrap().unwrap();
    assert_shared!(follower);
    assert_eq!(complaint(|| assert_hit!(follower)).lines().next(), Some("expected a hit, found a shared answer"));
}

#[tokio::test]
async fn a_miss_in_place_of_a_hit_says_why_and_what_to_look_at() {
    let (cache, clock) = cache();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    let absent = send(&app, get("/")).await;
    let message = complaint(|| assert_hit!(absent));
    assert!(message.starts_with("expected a hit, found a miss (absent) whose answer is kept\n"), "{message}");
    assert!(message.contains("another path or query"), "{message}");

    clock.advance(Duration::from_secs(60));
    let message = complaint(|| assert_shared!(absent));
    assert!(message.starts_with("expected a shared answer, found a miss (absent)"), "{message}");
    let expired = send(&app, get("/")).await;
    let message = complaint(|| assert_miss!(expired, MissReason::Cleared));
    assert!(message.starts_with("expected a miss (cleared), found a miss (expired)"), "{message}");
    assert!(message.contains("how far did the clock go"), "{message}");
}

#[tokio::test]
async fn an_answer_that_is_not_kept_is_named() {
    let (cache, _) = cache();
    let (app, _) = answering(layer(&cache), &[("set-cookie", "id=7")]);
    let response = send(&app, get("/")).await;
    let message = complaint(|| assert_hit!(response));
    assert!(message.contains("a miss (absent) whose answer is not kept (set-cookie)"), "{message}");
    assert!(message.contains("`NotStored::SetCookie`"), "{message}");
    assert!(message.contains(NotStored::SetCookie.hint().unwrap()), "{message}");
    let message = complaint(|| assert_not_stored!(response, NotStored::Private));
    assert!(message.starts_with("expected a miss whose answer is not kept (private), found"), "{message}");
}

#[tokio::test]
async fn a_hit_in_place_of_a_miss_asks_for_the_clock() {
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/").await;
    let hit = send(&app, get("/")).await;
    let message = complaint(|| assert_miss!(hit));
    assert!(message.starts_with("expected a miss, found a hit\n") && message.contains("clock"), "{message}");
    assert!(complaint(|| assert_not_stored!(hit)).contains("found a hit"));
}

#[tokio::test]
async fn a_bypass_says_how_to_cache_such_requests() {
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    let response = send(&app, get_with("/", &[("cookie", "id=7")])).await;
    let message = complaint(|| assert_hit!(response));
    assert!(message.starts_with("expected a hit, found a bypass (cookie)\n"), "{message}");
    assert!(message.contains(BypassReason::Cookie.hint().unwrap()), "{message}");
    let message = complaint(|| assert_bypass!(response, BypassReason::Method));
    assert!(message.starts_with("expected a bypass (method), found a bypass (cookie)"), "{message}");

    let post = send(&app, support::request(http::Method::POST, "/")).await;
    let message = complaint(|| assert_miss!(post));
    assert!(message.contains("found a bypass (method)") && message.contains("BypassReason::Method"), "{message}");
}

#[test]
fn a_response_that_went_through_no_layer_is_told_of() {
    let response = Response::new("body");
    let message = complaint(|| assert_hit!(response));
    assert!(message.starts_with("expected a hit, found no status: this response did not go through a CacheLayer\n"));
    for message in [complaint(|| assert_miss!(response)), complaint(|| assert_bypass!(response))] {
        assert!(message.contains("after `Router::layer`"), "{message}");
    }
}

#[test]
fn the_place_of_a_complaint_is_that_of_the_assertion() {
    let place = std::sync::Arc::new(std::sync::Mutex::new(None));
    let seen = std::sync::Arc::clone(&place);
    let before = std::panic::take_hook();
    let this = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        // Other tests panic at the same time.
        if std::thread::current().id() == this {
            *seen.lock().unwrap() = panic.location().map(|place| (place.file().to_owned(), place.line()));
        }
    }));
    let line = line!() + 1;
    complaint(|| assert_hit!(Response::new("body")));
    std::panic::set_hook(before);
    assert_eq!(*place.lock().unwrap(), Some((file!().to_owned(), line)));
}
