//! Purges of a path with all its queries, and of all pages of a route.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod bytewise;
mod support;

use axum::{Router, extract::Path, routing::get as on_get};
use axum_caching::{Cache, CacheLayer, CacheStatus, ErrorKind, Query};
use bytewise::bytewise;
use http::Method;
use support::{
    answering, cache, fetch, fetch_request, get, get_with,
    held::{body, origin, settle, spawn},
    is_miss, layer, request,
    stale::{World, hardy, hit, stale},
};
use tower::{Layer, ServiceExt};

const HIT: CacheStatus = CacheStatus::Hit;

async fn is_hit(app: &Router, uri: &str) -> bool {
    fetch(app, uri).await.0 == HIT
}

fn by_path(cache: &Cache) -> CacheLayer {
    layer(cache).tag_by_path(true)
}

#[tokio::test]
async fn a_path_goes_with_all_its_queries_variants_and_methods_and_no_other_path() {
    for purges_by_cache in [false, true] {
        let (cache, _) = cache();
        let keyed = by_path(&cache).methods([Method::POST]).make_cache_key(|request| Some(request.uri.to_string()));
        let (posts, _) = answering(keyed, &[]);
        let (app, _) = answering(by_path(&cache), &[("vary", "accept-language")]);
        let pages = ["/items", "/items?page=1", "/items?page=2", "/items?"];
        let others = ["/items/", "/items/7", "/", "/item"];
        for page in pages.iter().chain(&others) {
            fetch(&app, page).await;
        }
        let german = || get_with("/items?page=1", &[("accept-language", "de")]);
        fetch_request(&app, german()).await;
        fetch_request(&posts, request(Method::POST, "/items")).await;
        assert_eq!(fetch_request(&posts, request(Method::POST, "/items")).await.0, HIT);

        if purges_by_cache {
            cache.purge_path("/items").await.unwrap();
        } else {
            by_path(&cache).purge_path("/items").await.unwrap();
        }
        for page in others {
            assert!(is_hit(&app, page).await, "{page}");
        }
        assert!(is_miss(fetch_request(&app, german()).await.0));
        for page in pages {
            assert!(!is_hit(&app, page).await, "{page}");
        }
        assert!(is_miss(fetch_request(&posts, request(Method::POST, "/items")).await.0));
        assert!(is_hit(&app, "/items?page=2").await, "and is kept again");
    }
}

#[tokio::test]
async fn a_path_is_purged_as_it_was_on_the_wire_however_it_is_written_and_however_long() {
    let (cache, _) = cache();
    let (app, _) = answering(by_path(&cache), &[]);
    let long = format!("/{}", "x".repeat(600));
    for (wire, written) in [("/caf%C3%A9", "/café"), ("/a%20b", "/a b"), ("/a%20b", "/a%20b"), (&long, &long)] {
        let page = format!("{wire}?q=1");
        fetch(&app, &page).await;
        cache.purge_path(written).await.unwrap();
        assert!(!is_hit(&app, &page).await, "{written}");
    }
    fetch(&app, "/%69tems").await;
    cache.purge_path("/items").await.unwrap();
    assert!(is_hit(&app, "/%69tems").await, "another path to a router");
}

#[tokio::test]
async fn what_is_no_path_and_a_layer_without_the_option_are_errors() {
    let (cache, _) = cache();
    for path in ["", "items", "/items?page=1", "*", "http://a/b"] {
        let error = cache.purge_path(path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key, "{path:?}");
    }
    let plain = layer(&cache);
    for error in [plain.purge_path("/").await, plain.mark_stale_path("/").await, plain.purge_route("/").await] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Config);
    }
    assert_eq!(plain.mark_stale_route("/").await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_path_that_is_purged_while_the_handler_runs_wins_here_and_from_another_process() {
    for is_elsewhere in [false, true] {
        let (here, backend, clock) = bytewise();
        let there = Cache::builder(backend).clock(clock.clock()).build();
        let (origin, mut runs) = origin();
        let app = by_path(&here).layer(origin);
        let asked = spawn(&app, get("/items?page=1"));
        let run = runs.next().await;
        let purging = if is_elsewhere { &there } else { &here };
        purging.purge_path("/items").await.unwrap();
        run.answer("read before");
        assert_eq!(body(asked.await.unwrap().unwrap()).await, "read before");
        settle().await;

        let asked = spawn(&app, get("/items?page=1"));
        runs.next().await.answer("read after");
        assert_eq!(body(asked.await.unwrap().unwrap()).await, "read after", "elsewhere: {is_elsewhere}");
    }
}

#[tokio::test]
async fn a_path_that_is_marked_stale_is_served_once_more_while_it_is_made_anew() {
    let mut world = World::of(|layer| layer.profile(hardy()).tag_by_path(true));
    world.fetch_with(|run| run.answer("old")).await;
    world.cache.mark_stale_path("/").await.unwrap();
    assert_eq!(world.fetch().await, stale("old"));
    world.refresh_with(|run| run.answer("new")).await;
    assert_eq!(world.fetch().await, hit("new"));
}

#[tokio::test]
async fn a_path_inside_a_nested_router_is_the_one_that_the_client_asked_for() {
    let (cache, _) = cache();
    let inner = Router::new().route("/items", on_get(async || "items")).layer(by_path(&cache));
    let app = Router::new().nest("/api", inner);
    fetch(&app, "/api/items?page=1").await;
    cache.purge_path("/items").await.unwrap();
    assert!(is_hit(&app, "/api/items?page=1").await);
    cache.purge_path("/api/items").await.unwrap();
    assert!(!is_hit(&app, "/api/items?page=1").await);
}

/// Pages of two routes, in a nested router, and a fallback.
fn routed(layer: CacheLayer) -> Router {
    let items = Router::new()
        .route("/items/{id}", on_get(async |Path(id): Path<u32>| format!("item {id}")))
        .route("/items/first", on_get(async || "the first"));
    Router::new().nest("/api", items).fallback(async || "nothing here").layer(layer)
}

#[tokio::test]
async fn all_pages_of_a_route_go_and_those_of_others_stay() {
    let (cache, _) = cache();
    let layer = layer(&cache).tag_by_route(true);
    let app = routed(layer.clone());
    let pages = ["/api/items/1", "/api/items/2?x=1"];
    let others = ["/api/items/first", "/elsewhere"];
    for page in pages.iter().chain(&others) {
        fetch(&app, page).await;
        assert!(is_hit(&app, page).await, "{page}");
    }
    cache.purge_route("/items/{id}").await.unwrap();
    assert!(is_hit(&app, pages[0]).await, "a pattern is the whole of it");
    layer.purge_route("/api/items/{id}").await.unwrap();
    for page in others {
        assert!(is_hit(&app, page).await, "{page}");
    }
    for page in pages {
        assert!(!is_hit(&app, page).await, "{page}");
    }
    layer.mark_stale_route("/api/items/{id}").await.unwrap();
    assert!(!is_hit(&app, pages[0]).await, "without a window it is gone");
}

#[tokio::test]
async fn around_a_router_the_route_is_known_if_a_layer_inside_says_it() {
    for says_it in [false, true] {
        let (cache, _) = cache();
        let inner = Router::new().route("/items/{id}", on_get(async || "an item"));
        let inner = if says_it { inner.layer(layer(&cache).tag_by_route(true)) } else { inner };
        let app = layer(&cache).tag_by_route(true).around(inner);
        let ask = async || CacheStatus::of(&app.clone().oneshot(get("/items/7")).await.unwrap()).unwrap();
        ask().await;
        assert_eq!(ask().await, HIT);
        cache.purge_route("/items/{id}").await.unwrap();
        assert_eq!(ask().await == HIT, !says_it, "said inside: {says_it}");
    }
}

#[tokio::test]
async fn a_path_a_route_and_a_name_of_one_text_are_three_tags() {
    let (cache, _) = cache();
    let tags: [fn(CacheLayer) -> CacheLayer; 3] =
        [|layer| layer.tag_by_path(true), |layer| layer.tag_by_route(true), |layer| layer.tags(["/items"])];
    for (kind, tagged) in tags.into_iter().enumerate() {
        let scope = cache.scoped(kind.to_string());
        let layer = tagged(layer(&scope).query_string(Query::none()));
        let app: Router = Router::new().route("/items", on_get(async || "items")).layer(layer);
        for (purged, purge) in ["path", "route", "tag"].into_iter().enumerate() {
            fetch(&app, "/items").await;
            match purge {
                "path" => scope.purge_path("/items").await.unwrap(),
                "route" => scope.purge_route("/items").await.unwrap(),
                _ => scope.purge_tag("/items").await.unwrap(),
            }
            assert_eq!(is_hit(&app, "/items").await, purged != kind, "{purge}, {kind}");
        }
    }
}

#[tokio::test]
async fn the_tag_of_a_path_lasts_for_a_day_and_a_page_that_lives_longer_is_made_anew_once() {
    let (cache, clock) = cache();
    let (app, _) = answering(by_path(&cache).ttl(axum_caching::Ttl::Forever), &[]);
    for _ in 0..2 {
        fetch(&app, "/").await;
        clock.advance(std::time::Duration::from_secs(24 * 3600 - 1));
        assert!(is_hit(&app, "/").await);
        clock.advance(std::time::Duration::from_secs(1));
        assert!(!is_hit(&app, "/").await);
        assert!(is_hit(&app, "/").await);
        cache.purge_path("/").await.unwrap();
    }
}
