//! The families of bugs that other caches had again and again, one scenario each. The details are in the tests that the
//! comments name. Two families are about near copies on several nodes and about servers that forbid commands; there is
//! neither here yet.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use axum_caching::{Cache, CacheLayer, CachePolicy, CacheStatus, Memoizer, NotStored, Profile};
use http::{StatusCode, header};
use support::{
    answering, app, cache, cache_and_backend, fetch, get, get_with,
    held::{Run, body, origin, settle, spawn},
    is_miss, lines, send,
    stale::{MINUTE, SECOND, World, hardy, hit, rescued, stale},
};
use tower::Layer;

/// `layer_purges`, `tags_layer`, `stale_layer`, `purge_nodes`.
#[tokio::test]
async fn an_invalidation_that_races_a_fill_is_not_lost() {
    let mut world = World::of(|layer| layer.profile(hardy()).tags(["page"]));
    world.fetch_with(|run| run.answer("first")).await;
    world.clock.advance(MINUTE);
    // A refresh in the background, and a tag that is purged while it runs.
    assert_eq!(world.fetch().await, stale("first"));
    let refresh = world.runs.next().await;
    world.cache.purge_tag("page").await.unwrap();
    refresh.answer("read before the purge");
    settle().await;
    assert!(is_miss(world.fetch_with(|run| run.answer("new")).await.0));
}

/// `layer_flights`, `layer_credentials`.
#[tokio::test]
async fn nobody_is_handed_what_was_made_for_another() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = CacheLayer::new(&cache).layer(origin);
    let ada = spawn(&app, get_with("/", &[("accept-language", "en")]));
    let run = runs.next().await;
    let bob = spawn(&app, get_with("/", &[("accept-language", "de")]));
    settle().await;
    run.answer(([("vary", "accept-language")], "for ada"));
    assert_eq!(body(ada.await.unwrap().unwrap()).await, "for ada");
    runs.next().await.answer(([("vary", "accept-language")], "for bob"));
    assert_eq!(body(bob.await.unwrap().unwrap()).await, "for bob");
}

/// `layer_flights`.
#[tokio::test]
async fn what_cannot_be_kept_is_not_waited_for_one_after_the_other() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = CacheLayer::new(&cache).layer(origin);
    let first = spawn(&app, get("/"));
    runs.next().await.answer((CachePolicy::no_store(), "private"));
    first.await.unwrap().unwrap();
    let others: Vec<_> = (0..5).map(|_| spawn(&app, get("/"))).collect();
    assert_eq!(runs.waiting().await, 5, "all at once");
    drop(others);
}

/// `memo_purges`; a tag is one record, and nothing lists what has it.
#[tokio::test]
async fn tags_leave_nothing_behind_for_each_entry() {
    let (cache, backend, clock) = cache_and_backend();
    let layer = CacheLayer::new(&cache).ttl(MINUTE).tags(["all"]);
    let (app, _) = answering(layer, &[]);
    for page in 0..50 {
        fetch(&app, &format!("/{page}")).await;
    }
    assert_eq!(backend.entries(), 51, "50 pages and one tag");
    cache.purge_tag("all").await.unwrap();
    assert_eq!(backend.entries(), 50);
    clock.advance(MINUTE);
    for page in 50..500 {
        fetch(&app, &format!("/{page}")).await;
    }
    assert!(backend.entries() <= 451, "those that expired were swept: {}", backend.entries());
}

/// `stored_format`; an entry is one value under one key.
#[tokio::test]
async fn an_entry_has_no_companions_that_could_be_lost_without_it() {
    let (cache, backend, _) = cache_and_backend();
    let (app, _) = answering(CacheLayer::new(&cache).profile(hardy()).etag(true), &[]);
    fetch(&app, "/").await;
    assert_eq!(backend.entries(), 1);
}

/// `layer_flights`, `stale_values`.
#[tokio::test]
async fn a_cold_a_stale_and_a_purged_page_are_each_made_by_one_run() {
    let mut world = World::with(hardy());
    for state in ["cold", "past its windows", "purged"] {
        match state {
            "past its windows" => world.clock.advance(60 * MINUTE),
            "purged" => assert!(world.cache.delete_cached("/").await.unwrap()),
            _ => {}
        }
        let callers: Vec<_> = (0..10).map(|_| spawn(&world.app, get("/"))).collect();
        let run = world.runs.next().await;
        assert!(world.runs.is_quiet().await, "{state}");
        run.answer("page");
        for caller in callers {
            assert_eq!(body(caller.await.unwrap().unwrap()).await, "page", "{state}");
        }
    }
}

/// `layer_flights`; nobody waits for another without end, and a failed one is taken over from.
#[tokio::test(start_paused = true)]
async fn one_who_never_ends_holds_nobody_up_for_ever() {
    let (cache, _) = cache();
    let (origin, mut runs) = origin();
    let app = CacheLayer::new(&cache).layer(origin);
    let leader = spawn(&app, get("/"));
    let _never = runs.next().await;
    let follower = spawn(&app, get("/"));
    runs.next().await.answer("its own");
    assert_eq!(body(follower.await.unwrap().unwrap()).await, "its own");
    leader.abort();
}

/// `stale_layer`, and the model in `freshness`.
#[tokio::test]
async fn a_stale_page_ends_with_its_windows_however_often_it_is_served() {
    let mut world = World::filled(hardy(), "old").await;
    world.clock.advance(MINUTE);
    for _ in 0..10 {
        world.clock.advance(59 * SECOND);
        let served = world.fetch_with_or_kept(Run::fail).await;
        assert!(served == stale("old") || served == rescued("old"), "{served:?}");
    }
    world.clock.advance(MINUTE);
    assert!(is_miss(world.fetch_with(Run::fail_softly).await.0));
}

/// `layer_options`; what one says does not leak into another.
#[tokio::test]
async fn the_policy_of_one_answer_does_not_become_that_of_the_next() {
    let (cache, clock) = cache();
    let (app, _) = app(CacheLayer::new(&cache).ttl(MINUTE), |request, run| {
        let is_short = request.uri().path() == "/short";
        (if is_short { CachePolicy::ttl(SECOND) } else { CachePolicy::default() }, format!("run {run}"))
    });
    fetch(&app, "/short").await;
    fetch(&app, "/long").await;
    clock.advance(SECOND);
    assert!(is_miss(fetch(&app, "/short").await.0));
    assert_eq!(fetch(&app, "/long").await.0, CacheStatus::Hit);
}

/// `layer_responses`, `layer_credentials`.
#[tokio::test]
async fn a_cookie_is_never_replayed() {
    let (cache, _) = cache();
    let (app, _) = answering(CacheLayer::new(&cache), &[("set-cookie", "id=7")]);
    for _ in 0..2 {
        let response = send(&app, get("/")).await;
        let status = CacheStatus::of(&response);
        assert!(matches!(status, Some(CacheStatus::Miss { not_stored: Some(NotStored::SetCookie), .. })));
    }
    let (app, _) = answering(CacheLayer::new(&cache.scoped("stripped")).strip_set_cookie(), &[("set-cookie", "id=7")]);
    send(&app, get("/")).await;
    assert!(lines(&send(&app, get("/")).await, "set-cookie").is_empty());
}

/// `layer_attacks`, `layer_vary`.
#[tokio::test]
async fn a_host_that_the_handler_may_read_is_another_page() {
    let (cache, _) = cache();
    let (app, _) = app(CacheLayer::new(&cache), |request, _| support::seen(&request, "x-forwarded-host"));
    for host in ["one", "two"] {
        for _ in 0..2 {
            let response = send(&app, get_with("/", &[("x-forwarded-host", host)])).await;
            assert_eq!(support::text(response).await, host);
        }
    }
}

/// `layer_keys`, `memo_edges`, `properties`.
#[tokio::test]
async fn no_two_ways_to_write_arguments_share_a_key() {
    let (cache, _) = cache();
    let joined: Memoizer<String> = cache.memoizer("join");
    let call = |one: &'static str, two: &'static str| {
        let joined = joined.clone();
        async move { joined.call(&(one, two), async || format!("{one}|{two}")).await }
    };
    assert_eq!((call("a", "b,c").await, call("a,b", "c").await), ("a|b,c".into(), "a,b|c".into()));
    assert_eq!((call("a:1", "").await, call("a", ":1").await), ("a:1|".into(), "a|:1".into()));
}

/// What is kept here is not advertised to browsers: there is no `Cache-Control` that the handler did not send.
#[tokio::test]
async fn a_purge_need_not_reach_browsers_that_were_told_nothing() {
    let (cache, _) = cache();
    let (app, _) = answering(CacheLayer::new(&cache).profile(hardy()).age_header(true), &[]);
    for _ in 0..2 {
        let response = send(&app, get("/")).await;
        for field in [header::CACHE_CONTROL, header::EXPIRES] {
            assert!(!response.headers().contains_key(field));
        }
    }
}

/// `layer_headers`, `layer_conditional`.
#[tokio::test]
async fn what_the_cache_says_of_an_answer_is_so() {
    let mut world = World::of(|layer| {
        let layer = layer.profile(Profile::ttl(MINUTE)).response_hit_indication(true);
        layer.age_header(true).etag(true).cache_status("c")
    });
    let miss = spawn(&world.app, get("/"));
    world.runs.next().await.answer("page");
    let miss = miss.await.unwrap().unwrap();
    assert!(!miss.headers().contains_key("hit_cache"));
    world.clock.advance(7 * SECOND);
    let answer = spawn(&world.app, get("/")).await.unwrap().unwrap();
    assert_eq!(answer.headers()["hit_cache"], "True");
    assert_eq!(answer.headers()["age"], "7");
    assert_eq!(answer.headers()["cache-status"], "c; hit; ttl=53");
    assert_eq!(answer.headers()[header::ETAG], miss.headers()[header::ETAG], "the same in every process");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(world.fetch().await, hit("page"));
    let other = Cache::builder(axum_caching::MemoryBackend::default()).build();
    let (app, _) = app(CacheLayer::new(&other).etag(true), |_, _| "page");
    assert_eq!(send(&app, get("/")).await.headers()[header::ETAG], answer.headers()[header::ETAG]);
}
