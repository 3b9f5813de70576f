//! Stale entries that the handler says are still right: renewed by a 304, without a body.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use axum::body::Body;
use axum_caching::{
    BypassReason, Cache, CacheLayer, CachePolicy, CacheStatus, ConditionalRefresh, MemoryBackend, MissReason,
    NotStored, Profile, testing::Chaos,
};
use http::{Request, Response, StatusCode};
use support::{
    cache, get, get_with,
    held::{Run, body, origin, settle, spawn},
    is_miss, not_stored,
    revalidate::{TAGGED, conditions, fetch_unconditionally, kept, not_modified, stale_page},
    stale::{MINUTE, SECOND, World, hardy, hit, rescued, stale},
};
use tower::Layer;

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn not_modified_with(fields: &'static [(&'static str, &'static str)]) -> impl FnOnce(Run) {
    move |run| {
        let mut response = support::answer(fields, "");
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        run.answer(response);
    }
}

async fn response(world: &World, request: Request<Body>) -> Response<axum_caching::CacheBody<Body>> {
    spawn(&world.app, request).await.unwrap().expect("an answer")
}

fn renewed() -> (CacheStatus, String) {
    (CacheStatus::Miss { reason: MissReason::Expired, not_stored: None }, "old".into())
}

#[tokio::test]
async fn a_304_renews_the_page_in_the_background() {
    let mut world = stale_page(hardy(), &[("etag", "\"v1\""), ("last-modified", MODIFIED)]).await;
    assert_eq!(world.fetch().await, stale("old"));
    let run = world.runs.next().await;

    assert_eq!(conditions(&run), [Some("\"v1\""), Some(MODIFIED)]);
    let told = run.request.extensions().get::<ConditionalRefresh>().unwrap();
    assert_eq!(told.etag().unwrap(), "\"v1\"");
    assert_eq!(told.last_modified().unwrap(), MODIFIED);
    assert_eq!(told.stored().body(), "old");
    not_modified(run);
    settle().await;

    world.clock.advance(59 * SECOND);
    assert_eq!(world.fetch().await, hit("old"));
    world.clock.advance(SECOND);
    assert_eq!(world.fetch().await, stale("old"), "for as long as a new one");
}

#[tokio::test]
async fn who_leads_and_who_waits_get_the_whole() {
    let mut world = stale_page(kept(), &TAGGED).await;
    let callers: Vec<_> = (0..3).map(|_| spawn(&world.app, get("/"))).collect();
    let run = world.runs.next().await;
    settle().await;
    not_modified(run);

    let mut seen = Vec::new();
    for caller in callers {
        let response = caller.await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        seen.push((CacheStatus::of(&response).unwrap(), body(response).await));
    }
    let shared = (CacheStatus::Shared, "old".to_owned());
    assert_eq!(seen, [renewed(), shared.clone(), shared]);
    assert_eq!(world.fetch().await, hit("old"));
    assert!(world.runs.is_quiet().await);
}

#[tokio::test]
async fn a_whole_answer_replaces_the_page() {
    let mut world = stale_page(kept(), &TAGGED).await;
    assert!(is_miss(world.fetch_with(|run| run.answer("new")).await.0));
    assert_eq!(world.fetch().await, hit("new"));
}

#[tokio::test]
async fn after_its_window_there_is_nothing_to_tell_of() {
    for profile in [kept(), Profile::ttl(MINUTE).stale_if_error(60 * MINUTE)] {
        let mut world = stale_page(profile, &TAGGED).await;
        world.clock.advance(60 * MINUTE);
        fetch_unconditionally(&mut world, |run| run.answer("new")).await;
    }
    let mut world = stale_page(Profile::ttl(MINUTE), &TAGGED).await;
    fetch_unconditionally(&mut world, |run| run.answer("new")).await;
}

#[tokio::test]
async fn what_is_only_kept_is_never_served() {
    let mut world = stale_page(kept(), &TAGGED).await;
    assert!(is_miss(world.fetch_with(Run::fail_softly).await.0));
    let asked = spawn(&world.app, get("/"));
    world.runs.next().await.fail();
    assert!(asked.await.unwrap().is_err());
    assert_eq!(world.fetch_with(not_modified).await, renewed(), "and outlives a failure");
}

#[tokio::test]
async fn an_origin_that_fails_is_covered_for_as_without_conditions() {
    let mut world = stale_page(hardy(), &TAGGED).await;
    world.clock.advance(5 * MINUTE);
    assert_eq!(world.fetch_with(Run::fail_softly).await, rescued("old"));
}

#[tokio::test]
async fn the_fields_of_the_304_count_but_those_of_the_body() {
    let fields = [
        ("etag", "\"v1\""),
        ("cache-control", "max-age=60"),
        ("content-type", "text/html"),
        ("content-digest", "sha-256=:b2xk:"),
        ("content-md5", "b2xk"),
        ("x-old", "1"),
        ("x-both", "1"),
        ("x-both", "2"),
    ];
    let mut world = stale_page(kept(), &[]).await;
    world.fetch_with(move |run| run.answer(support::answer(&fields, "old"))).await;
    world.clock.advance(MINUTE);
    let new: &[_] = &[
        ("etag", "W/\"v1\""),
        ("cache-control", "max-age=10"),
        ("content-type", "text/plain"),
        ("content-length", "0"),
        ("content-encoding", "br"),
        ("content-range", "bytes 0-0/1"),
        ("content-digest", "sha-256=::"),
        ("content-md5", "bm9uZQ=="),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("x-both", "3"),
        ("x-new", "1"),
    ];
    assert_eq!(world.fetch_with(not_modified_with(new)).await, renewed());

    let kept = response(&world, get("/")).await;
    for (name, value) in [
        ("etag", "W/\"v1\""),
        ("cache-control", "max-age=10"),
        ("content-type", "text/html"),
        ("content-digest", "sha-256=:b2xk:"),
        ("content-md5", "b2xk"),
        ("content-length", "3"),
        ("x-old", "1"),
        ("x-both", "3"),
        ("x-new", "1"),
    ] {
        assert_eq!(kept.headers().get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
    }
    for name in ["content-encoding", "content-range", "connection", "x-hop"] {
        assert!(!kept.headers().contains_key(name), "{name}");
    }
    world.clock.advance(10 * SECOND);
    assert_eq!(world.fetch_with(not_modified).await, renewed(), "ten seconds, as the 304 said");
}

#[tokio::test]
async fn a_renewed_page_is_as_old_as_its_304_and_an_expired_date_stays_so() {
    let fields = &[("etag", "\"v1\""), ("date", MODIFIED), ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")];
    let mut world = World::of(|layer| layer.profile(kept()).conditional_refresh(true).age_header(true));
    world.fetch_with(|run| run.answer(support::answer(fields, "old"))).await;
    assert_eq!(world.fetch().await, hit("old"));
    world.clock.advance(MINUTE);
    let (status, text) = world.fetch_with(not_modified).await;
    assert_eq!((not_stored(status), text), (Some(NotStored::NoLifetime), "old".into()), "the date has passed");

    let mut world = World::of(|layer| layer.profile(kept()).conditional_refresh(true).age_header(true));
    world.fetch_with(|run| run.answer(support::answer(&[("etag", "\"v1\""), ("date", MODIFIED)], "old"))).await;
    world.clock.advance(MINUTE);
    world.fetch_with(not_modified).await;
    world.clock.advance(SECOND);
    let kept = response(&world, get("/")).await;
    assert_eq!(kept.headers()["age"], "1");
    assert_ne!(kept.headers()["date"], MODIFIED);
}

#[tokio::test]
async fn a_policy_of_the_304_counts() {
    let mut world = stale_page(kept(), &TAGGED).await;
    let policy = CachePolicy::ttl(SECOND).tags(["news"]);
    assert_eq!(world.fetch_with(move |run| run.answer((policy, StatusCode::NOT_MODIFIED))).await, renewed());
    world.clock.advance(SECOND);
    assert_eq!(world.fetch_with(not_modified).await, renewed());
    world.cache.purge_tag("news").await.unwrap();
    fetch_unconditionally(&mut world, |run| run.answer("new")).await;
}

#[tokio::test]
async fn only_what_came_with_a_validator_is_asked_for() {
    let mut world = stale_page(kept(), &[]).await;
    let (status, _) = fetch_unconditionally(&mut world, not_modified).await;
    assert_eq!(not_stored(status), Some(NotStored::Partial), "a 304 that nobody asked for is never stored");

    // The tag of the layer's own making is none that the origin knows.
    let mut world = stale_page(kept(), &[("last-modified", MODIFIED)]).await;
    let asked = spawn(&world.app, get("/"));
    let run = world.runs.next().await;
    assert_eq!(conditions(&run), [None, Some(MODIFIED)]);
    not_modified(run);
    let response = asked.await.unwrap().unwrap();
    assert!(response.headers().contains_key("etag"));
    assert_eq!(body(response).await, "old");
}

#[tokio::test]
async fn it_is_off_by_default() {
    let mut world = World::with(hardy());
    world.fetch_with(|run| run.answer((TAGGED, "old"))).await;
    world.clock.advance(5 * MINUTE);
    let (status, _) = fetch_unconditionally(&mut world, not_modified).await;
    assert_eq!(not_stored(status), Some(NotStored::Partial));
}

#[tokio::test]
async fn what_the_client_has_is_its_own_affair() {
    let mut world = stale_page(kept(), &TAGGED).await;
    for (mine, expected) in [("\"v0\"", 200), ("\"v1\"", 304)] {
        let asked = spawn(&world.app, get_with("/", &[("if-none-match", mine), ("if-modified-since", MODIFIED)]));
        let run = world.runs.next().await;
        assert_eq!(conditions(&run), [Some("\"v1\""), None]);
        not_modified(run);
        assert_eq!(asked.await.unwrap().unwrap().status(), expected);
        world.clock.advance(MINUTE);
    }
}

#[tokio::test]
async fn what_must_be_made_anew_is_not_asked_for() {
    let mut world = World::of(|layer| {
        let layer = layer.profile(kept()).conditional_refresh(true);
        layer
            .forced_update(|request| request.headers.contains_key("x-forced"))
            .is_stale(|request, _| request.headers.contains_key("x-stale"))
    });
    world.fetch_with(|run| run.answer((TAGGED, "old"))).await;
    for (name, later) in [("x-forced", false), ("x-stale", false), ("x-stale", true)] {
        if later {
            world.clock.advance(MINUTE);
        }
        let asked = spawn(&world.app, get_with("/", &[(name, "1")]));
        let run = world.runs.next().await;
        assert_eq!(conditions(&run), [None, None], "{name}");
        run.answer((TAGGED, "old"));
        assert!(is_miss(CacheStatus::of(&asked.await.unwrap().unwrap()).unwrap()));
    }
}

#[tokio::test]
async fn each_variant_is_asked_for_with_its_own_tag() {
    let mut world = World::of(|layer| layer.profile(kept()).conditional_refresh(true));
    let ask = |language: &'static str| get_with("/", &[("accept-language", language)]);
    for (language, tag) in [("en", "\"en\""), ("de", "\"de\"")] {
        let asked = spawn(&world.app, ask(language));
        world.runs.next().await.answer(([("vary", "accept-language"), ("etag", tag)], language));
        asked.await.unwrap().unwrap();
    }
    world.clock.advance(MINUTE);
    for (language, tag) in [("de", "\"de\""), ("en", "\"en\"")] {
        let asked = spawn(&world.app, ask(language));
        let run = world.runs.next().await;
        assert_eq!(conditions(&run)[0], Some(tag));
        not_modified(run);
        assert_eq!(body(asked.await.unwrap().unwrap()).await, language);
        assert_eq!(world.send(ask(language)).await, hit(language));
    }
}

#[tokio::test]
async fn a_304_about_another_page_renews_nothing_and_the_next_one_is_made_whole() {
    for fields in [&[("etag", "\"v2\"")], &[("etag", "none")]] {
        let mut world = stale_page(kept(), &TAGGED).await;
        let (status, text) = world.fetch_with(not_modified_with(fields)).await;
        assert_eq!((not_stored(status), text), (Some(NotStored::Partial), "old".into()));
        fetch_unconditionally(&mut world, |run| run.answer("new")).await;
    }
    let mut world = stale_page(kept(), &[("last-modified", MODIFIED)]).await;
    let (status, _) = world.fetch_with(not_modified_with(&[("last-modified", "Sun, 06 Nov 1994 08:49:38 GMT")])).await;
    assert_eq!(not_stored(status), Some(NotStored::Partial));
}

#[tokio::test]
async fn a_304_that_forbids_to_keep_it_takes_the_page_with_it() {
    for (fields, reason) in [
        (&[("cache-control", "no-store")], NotStored::NoStore),
        (&[("cache-control", "private")], NotStored::Private),
        (&[("set-cookie", "a=1")], NotStored::SetCookie),
        (&[("vary", "*")], NotStored::VaryAny),
    ] {
        let mut world = stale_page(hardy(), &TAGGED).await;
        world.clock.advance(5 * MINUTE);
        let (status, text) = world.fetch_with(not_modified_with(fields)).await;
        assert_eq!((not_stored(status), text), (Some(reason), "old".into()));
        assert!(is_miss(fetch_unconditionally(&mut world, Run::fail_softly).await.0));
    }
}

#[tokio::test]
async fn the_body_is_shared_and_not_copied() {
    let mut world = stale_page(kept(), &TAGGED).await;
    let asked = spawn(&world.app, get("/"));
    let run = world.runs.next().await;
    let before = run.request.extensions().get::<ConditionalRefresh>().unwrap().stored().body().as_ptr();
    not_modified(run);
    asked.await.unwrap().unwrap();
    let after = response(&world, get("/")).await.into_body();
    let after = http_body_util::BodyExt::collect(after).await.unwrap().to_bytes();
    assert_eq!(after.as_ptr(), before);
}

#[tokio::test]
async fn it_is_the_same_over_a_backend_that_keeps_bytes_and_answers_later() {
    let clock = axum_caching::testing::ManualClock::new();
    let cache = Cache::builder(Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build()))
        .clock(clock.clock())
        .build();
    let (origin, mut runs) = origin();
    let app = CacheLayer::new(&cache).profile(kept()).conditional_refresh(true).layer(origin);
    for end in [|run: Run| run.answer((TAGGED, "old")), not_modified, not_modified] {
        let asked = spawn(&app, get("/"));
        end(runs.next().await);
        assert_eq!(body(asked.await.unwrap().unwrap()).await, "old");
        settle().await;
        let again = spawn(&app, get("/")).await.unwrap().unwrap();
        assert_eq!(CacheStatus::of(&again), Some(CacheStatus::Hit));
        clock.advance(MINUTE);
    }
}

#[tokio::test]
async fn a_cache_further_in_answers_for_the_handler_and_what_is_stale_there_renews_nothing() {
    let ((outer, clock), (origin, mut runs)) = (cache(), origin());
    let inner = Cache::builder(axum_caching::MemoryBackend::builder().clock(clock.clock()).build());
    let inner = inner.clock(clock.clock()).build();
    let page = CacheLayer::new(&inner).profile(Profile::ttl(2 * MINUTE).stale_while_revalidate(60 * MINUTE));
    let app = page.not_modified(true).layer(origin);
    let app = CacheLayer::new(&outer).profile(kept()).conditional_refresh(true).layer(app);
    let status = |response: &Response<_>| CacheStatus::of(response).unwrap();

    let asked = spawn(&app, get("/"));
    runs.next().await.answer((TAGGED, "old"));
    asked.await.unwrap().unwrap();
    clock.advance(MINUTE);
    let renewed = spawn(&app, get("/")).await.unwrap().unwrap();
    assert_eq!((not_stored(status(&renewed)), body(renewed).await), (None, "old".into()));
    assert!(runs.is_quiet().await);

    clock.advance(MINUTE);
    let stale = spawn(&app, get("/")).await.unwrap().unwrap();
    assert_eq!((not_stored(status(&stale)), body(stale).await), (Some(NotStored::Stale), "old".into()));
    let refresh = runs.next().await;
    assert_eq!(conditions(&refresh), [None, None], "the inner cache does not ask");
    assert!(refresh.request.extensions().get::<ConditionalRefresh>().is_none(), "nor says what the outer one has");
}

#[tokio::test]
async fn a_request_that_fills_nothing_is_not_conditional() {
    let mut world = stale_page(kept(), &TAGGED).await;
    let asked = spawn(&world.app, get_with("/", &[("range", "bytes=0-0")]));
    let run = world.runs.next().await;
    assert_eq!(conditions(&run), [None, None]);
    run.answer("all");
    let status = CacheStatus::of(&asked.await.unwrap().unwrap());
    assert_eq!(status, Some(CacheStatus::Bypass(BypassReason::Conditional)));
}

#[tokio::test]
async fn the_renewed_head_replaces_the_stale_one_for_those_who_ask_for_it_alone() {
    let mut world = stale_page(kept(), &TAGGED).await;
    world.fetch_with(not_modified_with(&[("x-new", "1")])).await;
    let head = Request::head("/").body(Body::empty()).unwrap();
    let response = response(&world, head).await;
    assert_eq!(
        (response.headers()["x-new"].as_bytes(), response.headers()["content-length"].as_bytes()),
        (&b"1"[..], &b"3"[..])
    );
}
