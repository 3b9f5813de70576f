//! A purge that was acknowledged is never undone by an older fill: the rules of the protocol that hold in one process.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use std::time::Duration;

use axum_caching::{Cache, CacheStatus, MemoryBackend, NotStored};
use http::header;
use support::{
    cache, get, get_with,
    held::{body, origin, settle, spawn},
    layer,
    wire::Wire,
};
use tower::Layer;

async fn text<B>(sent: tokio::task::JoinHandle<Result<http::Response<B>, support::held::Broken>>) -> String
where
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    body(sent.await.unwrap().unwrap()).await
}

/// Each way to purge what `GET /` is stored under.
#[derive(Clone, Copy, Debug)]
enum Purge {
    Path,
    Key,
    Many,
    Clear,
    Set,
}

const PURGES: [Purge; 5] = [Purge::Path, Purge::Key, Purge::Many, Purge::Clear, Purge::Set];

async fn purge(how: Purge, cache: &Cache) {
    match how {
        Purge::Path => drop(cache.delete_cached("/").await.unwrap()),
        Purge::Key => drop(cache.delete("view//").await.unwrap()),
        Purge::Many => drop(cache.delete_many(["a", "view//", "view//"]).await.unwrap()),
        Purge::Clear => cache.clear().await.unwrap(),
        Purge::Set => cache.set("view//", "a value", Duration::from_secs(9)).await.unwrap(),
    }
}

#[tokio::test]
async fn a_fill_that_began_before_a_purge_stores_nothing() {
    // Flask-Caching Q-23, FusionCache #628, HybridCache #7771; D1 to D7 of the protocol's holes.
    for how in PURGES {
        let (cache, _) = cache();
        let (origin, mut runs) = origin();
        let app = layer(&cache).layer(origin);
        let leader = spawn(&app, get("/"));
        let old = runs.next().await;

        purge(how, &cache).await;
        old.answer("old");

        let response = leader.await.unwrap().unwrap();
        assert_eq!(support::not_stored(CacheStatus::of(&response).unwrap()), Some(NotStored::Refused), "{how:?}");
        assert_eq!(body(response).await, "old", "{how:?}: its own caller asked before the purge");
        let later = spawn(&app, get("/"));
        runs.next().await.answer("new");
        assert_eq!(text(later).await, "new", "{how:?}");
    }
}

#[tokio::test]
async fn a_request_that_comes_after_a_purge_does_not_wait_for_the_older_fill() {
    // D10, D17: joined the flight, got the old response.
    for how in PURGES {
        let (cache, _) = cache();
        let (origin, mut runs) = origin();
        let app = layer(&cache).layer(origin);
        let leader = spawn(&app, get("/"));
        let old = runs.next().await;

        purge(how, &cache).await;
        let later = spawn(&app, get("/"));
        let new = runs.next().await;
        old.answer("old");
        settle().await;
        new.answer("new");

        assert_eq!(text(leader).await, "old", "{how:?}");
        assert_eq!(text(later).await, "new", "{how:?}");
        assert_eq!(text(spawn(&app, get("/"))).await, "new", "{how:?}: and the newer one is stored");
    }
}

#[tokio::test]
async fn those_who_waited_when_a_purge_came_look_up_again() {
    for how in PURGES {
        let (cache, _) = cache();
        let (origin, mut runs) = origin();
        let app = layer(&cache).layer(origin);
        let leader = spawn(&app, get("/"));
        let old = runs.next().await;
        let followers = [spawn(&app, get("/")), spawn(&app, get("/"))];
        assert!(runs.is_quiet().await);

        purge(how, &cache).await;
        let new = runs.next().await;
        assert!(runs.is_quiet().await, "{how:?}: one of them leads");
        old.answer("old");
        new.answer("new");

        assert_eq!(text(leader).await, "old", "{how:?}");
        for follower in followers {
            assert_eq!(text(follower).await, "new", "{how:?}");
        }
    }
}

#[tokio::test]
async fn a_forced_update_that_began_before_a_purge_stores_nothing_either() {
    for how in PURGES {
        let (cache, _) = cache();
        let (origin, mut runs) = origin();
        let app = layer(&cache).forced_update(|_| true).layer(origin.clone());
        let leader = spawn(&app, get("/"));
        let old = runs.next().await;

        purge(how, &cache).await;
        old.answer("old");
        text(leader).await;

        let plain = layer(&cache).layer(origin);
        let later = spawn(&plain, get("/"));
        runs.next().await.answer("new");
        assert_eq!(text(later).await, "new", "{how:?}");
    }
}

#[tokio::test]
async fn a_purge_leaves_fills_of_other_keys_alone() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let caller = spawn(&app, get("/other"));
    let run = runs.next().await;

    cache.delete_cached("/").await.unwrap();
    cache.scoped("admin").clear().await.unwrap();
    run.answer("kept");
    text(caller).await;

    let again = spawn(&app, get("/other")).await.unwrap().unwrap();
    assert_eq!(CacheStatus::of(&again), Some(CacheStatus::Hit));
}

#[tokio::test]
async fn clearing_a_cache_reaches_the_fills_of_its_scopes() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache.scoped("admin")).layer(origin);
    let caller = spawn(&app, get("/"));
    let old = runs.next().await;

    cache.clear().await.unwrap();
    old.answer("old");
    text(caller).await;

    let later = spawn(&app, get("/"));
    runs.next().await.answer("new");
    assert_eq!(text(later).await, "new");
}

#[tokio::test]
async fn a_purge_of_a_page_reaches_all_its_variants_also_unknown_ones() {
    // D14: a new fill recreates the index, and a variant that the purge did not know is reachable again.
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let vary = || [(header::VARY, "accept-language")];
    for language in ["de", "fr"] {
        let caller = spawn(&app, get_with("/", &[("accept-language", language)]));
        runs.next().await.answer((vary(), format!("old {language}")));
        text(caller).await;
    }

    cache.delete_cached("/").await.unwrap();
    let german = spawn(&app, get_with("/", &[("accept-language", "de")]));
    runs.next().await.answer((vary(), "new de"));
    assert_eq!(text(german).await, "new de");

    let french = spawn(&app, get_with("/", &[("accept-language", "fr")]));
    runs.next().await.answer((vary(), "new fr"));
    assert_eq!(text(french).await, "new fr");
}

#[tokio::test]
async fn a_variant_whose_fill_began_before_a_purge_is_not_stored() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let vary = || [(header::VARY, "accept-language")];
    let german = spawn(&app, get_with("/", &[("accept-language", "de")]));
    runs.next().await.answer((vary(), "de"));
    text(german).await;
    let french = spawn(&app, get_with("/", &[("accept-language", "fr")]));
    let old = runs.next().await;

    cache.delete_cached("/").await.unwrap();
    old.answer((vary(), "old fr"));
    text(french).await;

    let later = spawn(&app, get_with("/", &[("accept-language", "fr")]));
    runs.next().await.answer((vary(), "new fr"));
    assert_eq!(text(later).await, "new fr");
}

#[tokio::test]
async fn a_purge_that_comes_while_a_slow_backend_stores_waits_for_it_and_wins() {
    // D8, D9: put, check, delete is not bounded.
    for how in [Purge::Path, Purge::Many, Purge::Clear] {
        let wire = Wire::default();
        wire.hold(true);
        let cache = Cache::new(wire.clone());
        let (origin, mut runs) = origin();
        let app = layer(&cache).layer(origin);
        let leader = spawn(&app, get("/"));
        runs.next().await.answer("old");
        assert_eq!(text(leader).await, "old", "the client does not wait for the store");

        let purging = tokio::spawn({
            let cache = cache.clone();
            async move { purge(how, &cache).await }
        });
        settle().await;
        assert!(!purging.is_finished(), "{how:?}: not acknowledged while an older store is under way");
        wire.hold(false);
        purging.await.unwrap();

        assert!(!cache.has("view//").await.unwrap(), "{how:?}");
        let later = spawn(&app, get("/"));
        runs.next().await.answer("new");
        assert_eq!(text(later).await, "new", "{how:?}");
    }
}

#[tokio::test]
async fn who_comes_while_the_answer_is_being_stored_waits_and_looks_up() {
    // D11: joins allowed after the check.
    let wire = Wire::default();
    wire.hold(true);
    let cache = Cache::new(wire.clone());
    let (origin, mut runs) = origin();
    let app = layer(&cache).layer(origin);
    let leader = spawn(&app, get("/"));
    runs.next().await.answer("page");
    text(leader).await;

    let late = spawn(&app, get("/"));
    assert!(runs.is_quiet().await, "it waits for the store");
    wire.hold(false);

    let response = late.await.unwrap().unwrap();
    assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Hit), "looked up, not handed over");
}

#[tokio::test]
async fn pages_of_a_slow_backend_are_served_from_its_bytes() {
    let cache = Cache::new(Wire::default());
    let (origin, mut runs) = origin();
    let app = layer(&cache).age_header(true).response_hit_indication(true).layer(origin);
    let leader = spawn(&app, get("/"));
    runs.next().await.answer(([(header::CONTENT_TYPE, "text/x-test")], "page"));
    text(leader).await;

    let response = spawn(&app, get("/")).await.unwrap().unwrap();

    assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Hit));
    assert_eq!(response.headers()["content-type"], "text/x-test");
    assert_eq!(response.headers()["age"], "0");
    assert_eq!(response.headers()["hit_cache"], "True");
    assert_eq!(body(response).await, "page");
}

#[tokio::test]
async fn two_caches_over_one_backend_never_serve_what_the_other_cleared() {
    let backend = MemoryBackend::default();
    let (one, two) = (Cache::new(backend.clone()), Cache::new(backend));
    one.set("key", "value", Duration::from_secs(9)).await.unwrap();

    two.clear().await.unwrap();

    assert_eq!(one.get::<String>("key").await.unwrap(), None);
}
