//! Purges of entries that are being renewed by a 304: the purge wins.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use axum::body::Body;
use axum_caching::{CacheLayer, Memoizer};
use http::{Request, StatusCode};
use support::{
    cache, get,
    held::{Run, body, origin, settle, spawn},
    is_miss,
    revalidate::{TAGGED, conditions, fetch_unconditionally, kept, not_modified, stale_page},
    stale::{MINUTE, World, hardy, hit, stale},
};
use tower::Layer;

#[tokio::test]
async fn a_purge_before_the_run_leaves_nothing_to_tell_of() {
    for index in 0..3 {
        let mut world = World::of(|layer| layer.profile(hardy()).conditional_refresh(true).tags(["news"]));
        world.fetch_with(|run| run.answer((TAGGED, "old"))).await;
        world.clock.advance(MINUTE);
        match index {
            0 => assert!(world.cache.delete_cached("/").await.unwrap()),
            1 => world.cache.clear().await.unwrap(),
            _ => world.cache.purge_tag("news").await.unwrap(),
        }
        fetch_unconditionally(&mut world, |run| run.answer("new")).await;
    }
}

#[tokio::test]
async fn a_purge_while_the_origin_runs_wins() {
    for index in 0..3 {
        let mut world = World::of(|layer| layer.profile(kept()).conditional_refresh(true).tags(["news"]));
        world.fetch_with(|run| run.answer((TAGGED, "old"))).await;
        world.clock.advance(MINUTE);
        let asked = spawn(&world.app, get("/"));
        let run = world.runs.next().await;
        assert_eq!(conditions(&run)[0], Some("\"v1\""));
        match index {
            0 => assert!(world.cache.delete_cached("/").await.unwrap()),
            1 => world.cache.clear().await.unwrap(),
            _ => world.cache.purge_tag("news").await.unwrap(),
        }
        not_modified(run);

        let response = asked.await.unwrap().unwrap();
        assert_eq!((response.status(), body(response).await), (StatusCode::OK, "old".into()), "who came before it");
        let (status, text) = fetch_unconditionally(&mut world, |run| run.answer("new")).await;
        assert_eq!((is_miss(status), text), (true, "new".into()), "purge {index}");
    }
}

#[tokio::test]
async fn those_who_come_after_a_purge_do_not_wait_for_a_renewal_from_before() {
    let mut world = stale_page(kept(), &TAGGED).await;
    let before = spawn(&world.app, get("/"));
    let old = world.runs.next().await;
    world.cache.delete_cached("/").await.unwrap();
    let after = spawn(&world.app, get("/"));
    let new = world.runs.next().await;
    assert_eq!(conditions(&new), [None, None]);
    not_modified(old);
    assert_eq!(body(before.await.unwrap().unwrap()).await, "old");
    new.answer("new");
    assert_eq!(body(after.await.unwrap().unwrap()).await, "new");
    assert_eq!(world.fetch().await, hit("new"));
}

#[tokio::test]
async fn a_page_that_was_marked_stale_is_fresh_again_and_is_so_no_more_if_the_mark_comes_later() {
    let mut world = World::of(|layer| layer.profile(hardy()).conditional_refresh(true).tags(["news"]));
    world.fetch_with(|run| run.answer((TAGGED, "old"))).await;
    world.cache.mark_stale_tag("news").await.unwrap();
    assert_eq!(world.fetch().await, stale("old"));
    world.refresh_with(not_modified).await;
    assert_eq!(world.fetch().await, hit("old"));

    world.cache.mark_stale_tag("news").await.unwrap();
    assert_eq!(world.fetch().await, stale("old"));
    let run = world.runs.next().await;
    world.cache.mark_stale_tag("news").await.unwrap();
    not_modified(run);
    settle().await;
    assert_eq!(world.fetch().await, stale("old"), "the data may have changed after the handler looked");
}

#[tokio::test]
async fn what_the_page_was_made_of_takes_the_renewed_one_with_it() {
    let (cache, clock) = cache();
    let (origin, mut runs) = origin();
    let price: Memoizer<u32> = cache.memoizer("price");
    let read = price.clone();
    let reading = tower::service_fn(move |request: Request<Body>| {
        let (origin, read) = (origin.clone(), read.clone());
        async move {
            if !request.headers().contains_key("if-none-match") {
                read.call(&7, async || 30).await;
            }
            tower::ServiceExt::oneshot(origin, request).await
        }
    });
    let app = CacheLayer::new(&cache).profile(kept()).conditional_refresh(true).layer(reading);
    for end in [|run: Run| run.answer((TAGGED, "30 EUR")), not_modified] {
        let asked = spawn(&app, get("/"));
        end(runs.next().await);
        assert_eq!(body(asked.await.unwrap().unwrap()).await, "30 EUR");
        clock.advance(MINUTE);
    }
    let asked = spawn(&app, get("/"));
    not_modified(runs.next().await);
    asked.await.unwrap().unwrap();

    price.delete_memoized().await.unwrap();
    let asked = spawn(&app, get("/"));
    let run = runs.next().await;
    assert_eq!(conditions(&run), [None, None]);
    run.answer("31 EUR");
    assert_eq!(body(asked.await.unwrap().unwrap()).await, "31 EUR");
}
