//! `test_signals.py`: what an observer is told.

use axum_caching::{Cache, CacheLayer, Memoizer, MemoryBackend};

use crate::{
    bytewise::Told,
    fixture::*,
    support::{app, fetch},
};

/// A cache whose hits and misses are told; there is one pair of events for views and functions.
fn signals_cache() -> (Cache, Told) {
    let told = Told::default();
    (Cache::builder(MemoryBackend::default()).observer(told.observer()).build(), told)
}

/// The hits and misses among what was told, from a number of them on.
fn since(told: &Told, skip: usize) -> Vec<String> {
    let is_signal = |told: &String| told.starts_with("hit") || told.starts_with("miss");
    told.all().into_iter().filter(is_signal).skip(skip).collect()
}

async fn add(memo: &Memoizer<u32>, a: u32, b: u32) -> u32 {
    memo.call(&(a, b), async || a + b).await
}

/// There is nobody who is told by default, so the observer of one cache hears nothing of another; counters count.
#[tokio::test]
async fn test_signals_disabled_by_default() {
    let (signals_cache, told) = signals_cache();
    let cache = Cache::new(MemoryBackend::default());
    for cache in [&cache, &signals_cache] {
        let (app, _) = app(CacheLayer::new(cache), |_, _| "hello");
        let memo = cache.memoizer("add");
        for _ in 0..2 {
            fetch(&app, "/").await;
            add(&memo, 1, 2).await;
        }
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.hits), (2, 2));
    }
    assert_eq!(since(&told, 0).len(), 4, "those of its own cache");
}

/// The event has the key; who observes several caches gives each an observer of its own.
#[tokio::test]
async fn test_cached_view_sends_miss_then_hit() {
    let (cache, told) = signals_cache();
    let (app, _) = app(CacheLayer::new(&cache), |_, _| "hello");
    fetch(&app, "/").await;
    assert_eq!(since(&told, 0), ["miss view//: Absent"]);
    fetch(&app, "/").await;
    assert_eq!(since(&told, 1), ["hit view//"]);
}

#[tokio::test]
async fn test_cached_view_signals_are_per_cache_key() {
    let (cache, told) = signals_cache();
    let (app, _) = app(CacheLayer::new(&cache), |request, _| request.uri().path().to_owned());
    for uri in ["/foo", "/bar", "/foo"] {
        fetch(&app, uri).await;
    }
    assert_eq!(since(&told, 0), ["miss view//foo: Absent", "miss view//bar: Absent", "hit view//foo"]);
}

/// The function and its arguments are in the key.
#[tokio::test]
async fn test_memoize_sends_miss_then_hit() {
    let (cache, told) = signals_cache();
    let memo = cache.memoizer("add");
    assert_eq!(add(&memo, 1, 2).await, 3);
    assert_eq!(since(&told, 0), ["miss memo/add(1,2): Absent"]);
    assert_eq!(add(&memo, 1, 2).await, 3);
    assert_eq!(since(&told, 1), ["hit memo/add(1,2)"]);
}

/// The names of arguments are those of a struct, and its values are in the key.
#[tokio::test]
async fn test_memoize_sends_kwargs() {
    #[derive(serde::Serialize)]
    struct Add {
        a: u32,
        b: u32,
    }

    let (cache, told) = signals_cache();
    let memo = cache.memoizer("add");
    let args = Add { a: 1, b: 2 };
    assert_eq!(memo.call(&args, async || args.a + args.b).await, 3);
    let key = memo.make_cache_key(&args).unwrap();
    assert_eq!(since(&told, 0), [format!("miss {key}: Absent")]);
    assert!(key.contains('1') && key.contains('2'), "{key}");
    assert_ne!(memo.make_cache_key(&Add { a: 2, b: 1 }).unwrap(), key);
}

#[tokio::test]
async fn test_memoize_forced_update_sends_miss() {
    let ((cache, told), forced) = (signals_cache(), Switch::default());
    let is_forced = forced.clone();
    let memo = cache.memoizer("add").forced_update(move || is_forced.is_on());
    add(&memo, 1, 2).await;
    add(&memo, 1, 2).await;
    assert_eq!(since(&told, 1), ["hit memo/add(1,2)"]);

    forced.set(true);
    add(&memo, 1, 2).await;
    assert_eq!(since(&told, 2), ["miss memo/add(1,2): Forced"]);
}

#[tokio::test]
async fn test_memoize_is_stale_sends_miss() {
    let ((cache, told), stale) = (signals_cache(), Switch::default());
    let is_stale = stale.clone();
    let memo = cache.memoizer("add").is_stale(move |_| is_stale.is_on());
    add(&memo, 1, 2).await;
    add(&memo, 1, 2).await;
    assert_eq!(since(&told, 1), ["hit memo/add(1,2)"]);

    stale.set(true);
    add(&memo, 1, 2).await;
    assert_eq!(since(&told, 2), ["miss memo/add(1,2): IsStale"]);
}

/// The observer is a setting of the cache.
#[tokio::test]
async fn test_signals_enabled_through_cache_config() {
    let misses = Log::new();
    let log = misses.clone();
    let cache = Cache::builder(MemoryBackend::default())
        .observer(move |event: &axum_caching::Event<'_>| {
            if let axum_caching::Event::Miss { key, .. } = event {
                log.push((*key).to_owned());
            }
        })
        .build();
    add(&cache.memoizer("add"), 1, 2).await;
    assert_eq!(misses.all(), ["memo/add(1,2)"]);
}
