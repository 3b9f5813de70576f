//! Marking one entry stale: it is served once more while it is made anew, and nothing that was purged comes back.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod bytewise;
mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum_caching::{
    Backend, BackendFuture, Cache, CacheLayer, CacheStatus, ErrorKind, Memoizer, MemoryBackend, Profile, Result, Ttl,
    Value, testing::ManualClock,
};
use bytes::Bytes;
use bytewise::{Bytewise, bytewise};
use support::{
    answering, cache, fetch, fetch_request, get, get_with,
    held::{body, origin, settle, spawn},
    is_miss,
    stale::{MINUTE, SECOND, World, hardy, hit, rescued, stale},
};
use tower::Layer;

/// A backend that keeps bytes, is shared, and compares and sets; a test can have another process come in between.
#[derive(Clone, Debug)]
struct Shared {
    inner: Bytewise,
    /// What somebody else does to the key before it is next compared.
    interferes: Arc<Mutex<Option<Elsewhere>>>,
}

#[derive(Debug)]
enum Elsewhere {
    Delete,
    Replace(Bytes),
}

impl Shared {
    fn new(clock: &ManualClock) -> Self {
        Self { inner: Bytewise::new(clock.clock()), interferes: Arc::default() }
    }
}

impl Backend for Shared {
    fn compares(&self) -> bool {
        true
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.inner.get(key)
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        self.inner.set(key, value, ttl)
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        self.inner.add(key, value, ttl)
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.inner.delete(key)
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.inner.increment(key, by)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.inner.clear(prefix)
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            let elsewhere = self.interferes.lock().unwrap().take();
            match elsewhere {
                Some(Elsewhere::Delete) => drop(self.inner.delete(key).await?),
                Some(Elsewhere::Replace(bytes)) => self.inner.put_raw(key, bytes),
                None => {}
            }
            let is_same = self.inner.raw(key).is_some_and(|bytes| bytes.starts_with(token));
            if is_same {
                self.inner.set(key, value, ttl).await?;
            }
            Ok::<_, axum_caching::Error>(is_same)
        })
    }
}

fn of(backend: impl Backend, clock: &ManualClock) -> Cache {
    Cache::builder(backend).clock(clock.clock()).profile(hardy()).build()
}

/// In memory, and over bytes with compare-and-set.
fn caches() -> [(Cache, ManualClock); 2] {
    let (one, two) = (ManualClock::new(), ManualClock::new());
    let memory = MemoryBackend::builder().clock(one.clock()).build();
    [(of(memory, &one), one), (of(Shared::new(&two), &two), two)]
}

#[tokio::test]
async fn a_page_that_is_marked_is_served_once_more_while_it_is_made_anew() {
    for (cache, _) in caches() {
        let (app, runs) = answering(CacheLayer::new(&cache), &[]);
        fetch(&app, "/a?y=1&x=2").await;
        settle().await;
        assert!(cache.mark_stale_cached("/a?x=2&y=1").await.unwrap());
        assert_eq!(fetch(&app, "/a?y=1&x=2").await, stale("run 1"));
        settle().await;
        assert_eq!(fetch(&app, "/a?y=1&x=2").await, hit("run 2"));
        assert_eq!(runs.count(), 2);
        assert!(!cache.mark_stale_cached("/never").await.unwrap());
    }
}

#[tokio::test]
async fn the_windows_of_a_page_begin_when_it_is_marked() {
    for (cache, clock) in caches() {
        let (origin, mut runs) = origin();
        let app = CacheLayer::new(&cache).layer(origin);
        let ask = async |app| {
            let response = spawn(app, get("/")).await.unwrap().unwrap();
            (CacheStatus::of(&response).unwrap(), body(response).await)
        };
        let asked = spawn(&app, get("/"));
        runs.next().await.answer("old");
        asked.await.unwrap().unwrap();
        settle().await;
        cache.mark_stale("view//").await.unwrap();
        cache.mark_stale("view//").await.unwrap();

        clock.advance(MINUTE + 59 * SECOND);
        assert_eq!(ask(&app).await, stale("old"));
        runs.next().await.fail();
        settle().await;
        clock.advance(MINUTE);
        let asked = spawn(&app, get("/"));
        runs.next().await.fail();
        let response = asked.await.unwrap().unwrap();
        assert_eq!((CacheStatus::of(&response).unwrap(), body(response).await), rescued("old"));
        clock.advance(8 * MINUTE);
        let asked = spawn(&app, get("/"));
        runs.next().await.fail();
        assert!(asked.await.unwrap().is_err(), "ten minutes are over");
    }
}

#[tokio::test]
async fn what_has_no_window_or_no_end_is_gone() {
    for profile in [Profile::ttl(MINUTE), Profile::ttl(Ttl::Forever).stale_while_revalidate(MINUTE)] {
        let mut world = World::of(|layer| layer.profile(profile));
        world.fetch_with(|run| run.answer("old")).await;
        assert!(world.cache.mark_stale_cached("/").await.unwrap());
        assert!(is_miss(world.fetch_with(|run| run.answer("new")).await.0));
    }
    let (cache, _) = cache();
    for (key, text) in [("text", "7 "), ("number", "7")] {
        cache.set(key, text, MINUTE).await.unwrap();
        cache.set("n", &7, MINUTE).await.unwrap();
        assert!(cache.mark_stale(key).await.unwrap() && cache.mark_stale("n").await.unwrap());
        assert!(!cache.has(key).await.unwrap() && !cache.has("n").await.unwrap());
    }
    assert_eq!(cache.mark_stale(&"k".repeat(9_000)).await.unwrap_err().kind(), ErrorKind::Key);
}

#[tokio::test]
async fn a_mark_reaches_all_variants_and_leaves_one_to_be_served() {
    for (cache, _) in caches() {
        let (app, _) = answering(CacheLayer::new(&cache), &[("vary", "accept-language")]);
        let ask = async |language| {
            let answer = fetch_request(&app, get_with("/", &[("accept-language", language)])).await;
            settle().await;
            answer
        };
        for language in ["de", "en", "fr"] {
            ask(language).await;
            assert_eq!(ask(language).await.0, CacheStatus::Hit);
        }
        assert!(cache.mark_stale_cached("/").await.unwrap());
        let mut statuses = Vec::new();
        for language in ["de", "en", "fr"] {
            statuses.push(ask(language).await.0);
            assert_eq!(ask(language).await.0, CacheStatus::Hit, "{language}");
        }
        assert_eq!(statuses.iter().filter(|status| **status == CacheStatus::Stale).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| is_miss(**status)).count(), 2, "{statuses:?}");
    }
}

#[tokio::test]
async fn a_run_that_began_before_a_mark_does_not_make_the_page_fresh() {
    for (cache, clock) in caches() {
        let (origin, mut runs) = origin();
        let app = CacheLayer::new(&cache).layer(origin);
        let asked = spawn(&app, get("/"));
        runs.next().await.answer("first");
        asked.await.unwrap().unwrap();
        settle().await;
        clock.advance(MINUTE);
        // It is stale: somebody makes it anew, of what it reads now.
        spawn(&app, get("/")).await.unwrap().unwrap();
        let refresh = runs.next().await;
        assert!(cache.mark_stale_cached("/").await.unwrap());
        refresh.answer("read before the mark");
        settle().await;

        let response = spawn(&app, get("/")).await.unwrap().unwrap();
        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Stale));
        assert_eq!(body(response).await, "first");
        runs.next().await.answer("read after it");
        settle().await;
        assert_eq!(body(spawn(&app, get("/")).await.unwrap().unwrap()).await, "read after it");
    }
}

#[tokio::test]
async fn a_page_that_another_process_purges_while_it_is_marked_does_not_come_back() {
    // D16 of the protocol's holes: a mark that wrote back what it had read.
    let clock = ManualClock::new();
    let backend = Shared::new(&clock);
    let cache = of(backend.clone(), &clock);
    let (app, _) = answering(CacheLayer::new(&cache), &[]);
    fetch(&app, "/").await;
    settle().await;
    *backend.interferes.lock().unwrap() = Some(Elsewhere::Delete);
    cache.mark_stale_cached("/").await.unwrap();
    assert!(backend.inner.raw("view//").is_none());
    assert!(is_miss(fetch(&app, "/").await.0));
}

#[tokio::test]
async fn a_page_that_another_process_makes_anew_while_it_is_marked_is_not_replaced_by_the_old_one() {
    let clock = ManualClock::new();
    let backend = Shared::new(&clock);
    let cache = of(backend.clone(), &clock);
    let (app, _) = answering(CacheLayer::new(&cache), &[]);
    let refill = async || {
        cache.delete_cached("/").await.unwrap();
        fetch(&app, "/").await;
        settle().await;
        backend.inner.raw("view//").unwrap()
    };
    let (new, _old) = (refill().await, refill().await);
    *backend.interferes.lock().unwrap() = Some(Elsewhere::Replace(new));
    assert!(cache.mark_stale_cached("/").await.unwrap());
    assert_eq!(fetch(&app, "/").await, stale("run 1"), "what was there last is marked");
}

#[tokio::test]
async fn a_purge_in_this_process_waits_for_a_mark_and_wins_even_if_its_caller_is_gone() {
    let clock = ManualClock::new();
    let backend = Shared::new(&clock);
    let cache = of(backend.clone(), &clock);
    let (app, _) = answering(CacheLayer::new(&cache), &[]);
    fetch(&app, "/").await;
    settle().await;
    let mut held = backend.inner.hold("set");
    let marking = tokio::spawn({
        let cache = cache.clone();
        async move { cache.mark_stale_cached("/").await }
    });
    held.reached().await;
    marking.abort();
    let purging = tokio::spawn({
        let cache = cache.clone();
        async move { cache.delete_cached("/").await }
    });
    settle().await;
    assert!(!purging.is_finished());
    held.release();
    assert!(purging.await.unwrap().unwrap());
    assert!(backend.inner.raw("view//").is_none());
}

#[tokio::test]
async fn without_compare_and_set_a_mark_is_a_delete() {
    let (cache, backend, _) = bytewise();
    let (app, _) = answering(CacheLayer::new(&cache).profile(hardy()), &[]);
    fetch(&app, "/").await;
    settle().await;
    assert!(cache.mark_stale_cached("/").await.unwrap());
    assert!(backend.raw("view//").is_none());
    backend.put_raw("view//", "axc nonsense");
    assert!(cache.mark_stale_cached("/").await.unwrap(), "what cannot be read neither");
    assert!(backend.raw("view//").is_none());
}

#[tokio::test]
async fn what_was_made_of_a_result_that_is_marked_is_gone() -> Result<()> {
    let (cache, _) = cache();
    let (price, page): (Memoizer<u32>, Memoizer<String>) = (cache.memoizer("price"), cache.memoizer("page"));
    let show = async |now: u32| {
        let price = &price;
        page.call(&7, async || format!("{} EUR", price.call(&7, async || now).await)).await
    };
    assert_eq!(show(30).await, "30 EUR");
    assert!(cache.mark_stale(&price.make_cache_key(&7)?).await?);
    assert_eq!(show(40).await, "40 EUR");
    Ok(())
}

#[tokio::test]
async fn a_purge_that_marks_keeps_pages_and_tags_to_be_served_once_more() {
    let mut world = World::of(|layer| layer.profile(hardy()).tags(["news"]).tag_by_path(true));
    world.fetch_with(|run| run.answer("run 1")).await;
    let marks = [
        world.cache.purge().tag("news").mark_stale(),
        world.cache.purge().cached("/").mark_stale(),
        world.cache.purge().path("/").mark_stale(),
    ];
    for (mark, texts) in marks.into_iter().zip([["run 1", "run 2"], ["run 2", "run 3"], ["run 3", "run 4"]]) {
        assert!(mark.run().await.is_complete());
        assert_eq!(world.fetch().await, stale(texts[0]));
        world.refresh_with(|run| run.answer(texts[1])).await;
        assert_eq!(world.fetch().await, hit(texts[1]));
    }
}

#[tokio::test]
async fn what_may_be_served_for_ever_if_the_origin_fails_still_may_after_a_mark() {
    let clock = ManualClock::new();
    let shared = Cache::builder(Shared::new(&clock)).clock(clock.clock()).build();
    for cache in [cache().0, shared] {
        let profile = Profile::ttl(MINUTE).stale_if_error(Duration::MAX);
        let names: Memoizer<String> = cache.memoizer("names").profile(profile);
        names.call(&7, async || "ada".to_owned()).await;
        assert!(cache.mark_stale(&names.make_cache_key(&7).unwrap()).await.unwrap());
        assert_eq!(names.try_call(&7, async || Err("down")).await.as_deref(), Ok("ada"));
    }
}
