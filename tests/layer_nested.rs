//! Layers of several caches, and of several scopes of one, within each other.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails where a helper of it panics")]

mod support;

use std::time::Duration;

use axum::{
    Router,
    response::{IntoResponse, Response},
};
use axum_caching::{
    Cache, CacheLayer, CachePolicy, CacheStatus, MemoryBackend, NotStored, Profile, testing::ManualClock,
};
use support::{stale::SECOND, *};

const HIT: CacheStatus = CacheStatus::Hit;

/// A page that counts, in a layer of a scope, in a layer of the cache around that.
fn in_a_scope(cache: &Cache, inner: impl FnOnce(CacheLayer) -> CacheLayer) -> (Router, CacheLayer, Runs) {
    let inner = inner(layer(&cache.scoped("shop")));
    let (app, runs) = app(inner.clone(), |request, run| format!("{} {run}", seen(&request, "x-tenant")));
    (app.layer(layer(cache)), inner, runs)
}

#[tokio::test]
async fn a_purge_in_the_scope_of_an_inner_layer_reaches_what_the_outer_one_keeps() {
    let (cache, _) = cache();
    let shop = cache.scoped("shop");
    let (app, inner, runs) = in_a_scope(&cache, |inner| inner.tags(["news"]).tag_by_path(true));

    for run in 1..=4 {
        assert_eq!(fetch(&app, "/").await.1, format!("- {run}"));
        assert_eq!(fetch(&app, "/").await, (HIT, format!("- {run}")));
        match run {
            1 => shop.purge_tag("news").await.unwrap(),
            // The outer one is filled with what the inner one has still, and depends on the same.
            2 => {
                cache.delete_cached("/").await.unwrap();
                assert_eq!(fetch(&app, "/").await.1, "- 2");
                shop.purge_tag("news").await.unwrap();
            }
            _ => inner.purge_path("/").await.unwrap(),
        }
    }
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn a_scope_of_its_own_keeps_what_the_layer_around_it_lets_pass() {
    let (cache, _) = cache();
    let (app, _, runs) = in_a_scope(&cache, CacheLayer::ignore_cookies);

    let statuses = twice(&app, || get_with("/", &[("cookie", "a=1")])).await;

    // The outermost layer has the last word.
    assert!(statuses.iter().all(|status| matches!(status, CacheStatus::Bypass(_))), "{statuses:?}");
    assert_eq!((runs.count(), cache.stats().hits), (1, 1));
}

#[tokio::test]
async fn two_handles_on_a_scope_are_one_scope_and_keep_one_entry() {
    let (cache, _) = cache();
    let (inner, runs) = app(layer(&cache.scoped("a")), |_, run| format!("run {run}"));
    let app = inner.layer(layer(&cache.scoped("a")));

    assert_eq!(twice(&app, || get("/")).await[1], HIT);
    assert_eq!((cache.stats().stored, runs.count()), (1, 1));
}

#[tokio::test]
async fn what_selects_in_an_inner_layer_selects_in_the_outer_one_from_the_first_answer_on() {
    let (cache, _) = cache();
    let (app, _, runs) = in_a_scope(&cache, |inner| inner.vary_by([http::HeaderName::from_static("x-tenant")]));
    let of = |tenant: &'static str| get_with("/", &[("x-tenant", tenant)]);

    assert_eq!(fetch_request(&app, of("a")).await.1, "a 1");
    assert_eq!(fetch_request(&app, of("b")).await.1, "b 2");
    assert_eq!(fetch_request(&app, of("a")).await, (HIT, "a 1".into()));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn what_has_a_key_of_an_inner_layer_is_not_kept_by_an_outer_one_that_has_none() {
    let (cache, _) = cache();
    let (app, _, runs) = in_a_scope(&cache, |inner| {
        inner.make_cache_key(|request| {
            request.headers.get("x-tenant").and_then(|tenant| tenant.to_str().ok()).map(str::to_owned)
        })
    });
    for tenant in ["a", "b", "a"] {
        let (status, body) = fetch_request(&app, get_with("/", &[("x-tenant", tenant)])).await;
        assert_eq!(not_stored(status), Some(NotStored::Filtered));
        assert!(body.starts_with(tenant), "{body}");
    }
    assert_eq!((runs.count(), cache.stats().hits), (2, 1));
}

/// A page in a layer of one cache, in a layer of another one, which is filled anew four seconds after the first.
async fn refilled(page: fn() -> Response, outer: Profile) -> (Router, ManualClock) {
    let (near, clock) = cache();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    let far = Cache::builder(backend).clock(clock.clock()).build();
    let (app, _) = app(CacheLayer::new(&far), move |_, _| page());
    let app = app.layer(CacheLayer::new(&near).profile(outer).age_header(true));
    fetch(&app, "/").await;
    near.clear().await.unwrap();
    clock.advance(4 * SECOND);
    fetch(&app, "/").await;
    assert_eq!((near.stats().stored, far.stats().hits), (2, 1));
    (app, clock)
}

#[tokio::test]
async fn what_is_made_of_a_hit_further_in_is_as_old_and_lives_no_longer() {
    let pages: [fn() -> Response; 3] = [
        || (CachePolicy::ttl(5 * SECOND), "page").into_response(),
        || ([("cache-control", "max-age=5")], "page").into_response(),
        || ([("cache-control", "s-maxage=8"), ("age", "3")], "page").into_response(),
    ];
    for (index, page) in pages.into_iter().enumerate() {
        let (app, clock) = refilled(page, Profile::default()).await;

        let age = if index == 2 { "7" } else { "4" };
        assert_eq!(send(&app, get("/")).await.headers()["age"], age, "page {index}");
        clock.advance(Duration::from_millis(999));
        assert_eq!(fetch(&app, "/").await.0, HIT, "page {index}");
        clock.advance(Duration::from_millis(1));
        assert!(is_miss(fetch(&app, "/").await.0), "page {index}");
    }
}

#[tokio::test]
async fn a_shorter_lifetime_of_the_outer_layer_holds_for_what_is_made_of_a_hit_too() {
    let (app, clock) = refilled(|| "page".into_response(), Profile::ttl(SECOND)).await;
    clock.advance(SECOND);
    assert!(is_miss(fetch(&app, "/").await.0));
}

#[tokio::test]
async fn what_is_made_of_a_hit_further_in_is_served_stale_no_longer_than_that() {
    let outer = Profile::default().stale_while_revalidate(Duration::from_secs(60));
    let none = || (CachePolicy::ttl(5 * SECOND), "page").into_response();
    let some = || (CachePolicy::ttl(5 * SECOND).stale_while_revalidate(2 * SECOND), "page").into_response();
    for (page, window) in [(none as fn() -> Response, 0), (some, 2)] {
        let (app, clock) = refilled(page, outer).await;
        clock.advance(Duration::from_millis(window * 1_000 + 999));
        let expected = if window == 0 { HIT } else { CacheStatus::Stale };
        assert_eq!(fetch(&app, "/").await.0, expected);

        let (app, clock) = refilled(page, outer).await;
        clock.advance(Duration::from_secs(window + 1));
        assert!(is_miss(fetch(&app, "/").await.0), "{window}");
    }
}
