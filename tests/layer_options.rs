//! The predicates of a layer, and what its clones share.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use std::time::Duration;

use axum_caching::{Backend, BypassReason, CacheStatus, MissReason, NotStored, Ttl};
use http::StatusCode;
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;

#[tokio::test]
async fn unless_neither_looks_up_nor_stores() {
    let (cache, backend, _) = cache_and_backend();
    let preview = layer(&cache).unless(|request| request.headers.contains_key("x-preview"));
    let (app, runs) = app(preview, |_, run| format!("run {run}"));

    let before = twice(&app, || get_with("/", &[("x-preview", "1")])).await;
    assert_eq!(backend.entries(), 0);
    fetch(&app, "/").await;
    let after = fetch_request(&app, get_with("/", &[("x-preview", "1")])).await.1;

    assert_eq!(before, [CacheStatus::Bypass(BypassReason::Unless); 2]);
    assert_eq!(after, "run 4");
    assert_eq!(fetch(&app, "/").await, (HIT, "run 3".into()));
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn a_forced_update_runs_the_handler_and_everybody_gets_its_answer() {
    let (cache, clock) = cache();
    let forced = layer(&cache).forced_update(|request| request.headers.contains_key("x-refresh"));
    let (app, runs) = app(forced, |_, run| format!("run {run}"));
    fetch(&app, "/").await;
    clock.advance(Duration::from_secs(30));

    let (status, body) = fetch_request(&app, get_with("/", &[("x-refresh", "1")])).await;

    assert_eq!(status, CacheStatus::Miss { reason: MissReason::Forced, not_stored: None });
    assert_eq!(body, "run 2");
    assert_eq!(fetch(&app, "/").await, (HIT, "run 2".into()));
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(fetch(&app, "/").await.0, HIT, "it lives from the update on");
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_forced_update_that_fails_leaves_what_is_there() {
    let (cache, _) = cache();
    let forced = layer(&cache).forced_update(|request| request.headers.contains_key("x-refresh"));
    let (app, runs) = app(forced, |_, run| match run {
        1 => (StatusCode::OK, "good"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "bad"),
    });
    fetch(&app, "/").await;

    let (status, body) = fetch_request(&app, get_with("/", &[("x-refresh", "1")])).await;

    assert_eq!((not_stored(status), body.as_str()), (Some(NotStored::Status), "bad"));
    assert_eq!((fetch(&app, "/").await, runs.count()), ((HIT, "good".into()), 2));
}

#[tokio::test]
async fn a_forced_update_of_one_variant_leaves_the_others() {
    let (cache, _) = cache();
    let forced = layer(&cache).forced_update(|request| request.headers.contains_key("x-refresh"));
    let (app, runs) =
        app(forced, |request, run| answer(&[("vary", "x-a")], format!("{} {run}", seen(&request, "x-a"))));
    let with = |a: &'static str, name: &'static str| get_with("/", &[("x-a", a), (name, "1")]);
    for a in ["1", "2"] {
        fetch_request(&app, with(a, "x-no")).await;
    }

    fetch_request(&app, with("2", "x-refresh")).await;

    assert_eq!(fetch_request(&app, with("1", "x-no")).await, (HIT, "1 1".into()));
    assert_eq!(fetch_request(&app, with("2", "x-no")).await, (HIT, "2 3".into()));
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn what_is_stale_to_a_request_is_made_anew() {
    let (cache, _) = cache();
    let stale = layer(&cache).is_stale(|request, stored| {
        let wanted = request.headers.get("x-build");
        wanted.is_some() && stored.headers().get("x-build") != wanted
    });
    let (app, runs) = app(stale, |request, run| {
        answer(&[("x-build", &seen(&request, "x-build")), ("x-status", "1")], format!("run {run}"))
    });
    let build = |build| get_with("/", &[("x-build", build)]);
    fetch_request(&app, build("1")).await;

    assert_eq!(fetch_request(&app, build("1")).await, (HIT, "run 1".into()));
    assert_eq!(fetch(&app, "/").await, (HIT, "run 1".into()));
    let (status, body) = fetch_request(&app, build("2")).await;

    assert_eq!(status, CacheStatus::Miss { reason: MissReason::IsStale, not_stored: None });
    assert_eq!(body, "run 2");
    assert_eq!(fetch(&app, "/").await, (HIT, "run 2".into()), "it replaces the other");
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn is_stale_sees_status_fields_and_body_and_is_asked_on_hits_only() {
    let (cache, _) = cache();
    let asked = Runs::default();
    let seen = asked.clone();
    let stale = layer(&cache).is_stale(move |request, stored| {
        seen.next();
        assert_eq!((stored.status(), &stored.body()[..], request.uri.path()), (StatusCode::OK, &b"body"[..], "/"));
        assert_eq!(stored.headers()["x-a"], "1");
        false
    });
    let (app, runs) = app(stale, |_, _| answer(&[("x-a", "1")], "body"));

    assert!(is_miss(fetch(&app, "/").await.0));
    assert_eq!(asked.count(), 0);
    assert_eq!(fetch(&app, "/").await.0, HIT);
    assert_eq!((asked.count(), runs.count()), (1, 1));
}

#[tokio::test]
async fn a_filter_decides_before_the_body_and_after_what_is_never_stored() {
    let (cache, _) = cache();
    let asked = Runs::default();
    let seen = asked.clone();
    let filter = layer(&cache).response_filter(move |response| {
        seen.next();
        response.headers.contains_key("x-keep")
    });
    let (app, runs) = app(filter, |request, _| match request.uri().path() {
        "/keep" => answer(&[("x-keep", "1")], "body"),
        "/never" => answer(&[("x-keep", "1"), ("cache-control", "no-store")], "body"),
        _ => answer(&[], "body"),
    });

    assert_eq!(twice(&app, || get("/keep")).await[1], HIT);
    assert_eq!(asked.count(), 1);
    assert_eq!(twice(&app, || get("/never")).await.map(not_stored), [Some(NotStored::NoStore); 2]);
    assert_eq!(asked.count(), 1, "not asked");
    assert_eq!(twice(&app, || get("/other")).await.map(not_stored), [Some(NotStored::Filtered); 2]);
    assert_eq!(runs.count(), 5);
}

#[tokio::test]
async fn a_clone_of_a_layer_is_changed_alone() {
    // Rails #54229, ocache: options that were shared and changed.
    let (cache, _) = cache();
    let base = layer(&cache);
    let changed = base.clone().key_prefix("other/%s").unless(|_| true).ttl(Ttl::DontStore);
    let (app, runs) = app(base.clone(), |_, run| format!("run {run}"));

    assert_eq!(twice(&app, || get("/")).await[1], HIT);
    assert_eq!((base.key_for("/").unwrap(), changed.key_for("/").unwrap()), ("view//".into(), "other//".into()));
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn layers_with_other_indications_share_entries_and_show_their_own() {
    let (cache, _) = cache();
    let loud = || layer(&cache).response_hit_indication(true).age_header(true).cache_status("c");
    for (storing, showing, shown) in [(loud(), layer(&cache), 0), (layer(&cache), loud(), 1)] {
        cache.clear().await.unwrap();
        let (first, _) = answering(storing, &[("x-a", "1")]);
        let (second, runs) = answering(showing, &[("x-a", "1")]);
        fetch(&first, "/").await;

        let hit = send(&second, get("/")).await;

        assert_eq!(["hit_cache", "age", "cache-status"].map(|name| lines(&hit, name).len()), [shown; 3]);
        assert_eq!((lines(&hit, "x-a"), runs.count()), (vec!["1".to_owned()], 0));
    }
}

#[tokio::test]
async fn the_hash_of_a_query_can_be_another() {
    let (cache, backend, _) = cache_and_backend();
    let sha = layer(&cache).hash_method::<sha2::Sha256>();
    let (app, runs) = app(sha.clone(), |_, run| format!("run {run}"));

    assert_eq!(twice(&app, || get("/p?b=2&a=1")).await[1], HIT);

    let key = sha.key_for("/p?a=1&b=2").unwrap();
    assert_eq!(key, "view//p?8e85be58c1c372ac29fe7bfa80d8ddcbd04a4032c7b51c1c026d67c55b1ab23f");
    assert!(backend.has(&key).await.unwrap());
    assert_eq!(runs.count(), 1);
}
