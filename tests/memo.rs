//! Memoized functions: what is kept, under which key, and for how long.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{Cache, ErrorKind, Memoizer, MemoryBackend, Ttl, testing::ManualClock};
use bytewise::bytewise;
use serde::{Deserialize, Serialize};

on_both_backends! {
    a_result_is_kept_for_its_arguments_and_its_time,
    two_functions_and_two_splits_of_arguments_never_share_a_result,
    only_ok_is_kept_and_an_error_is_its_callers_own,
    a_filter_says_what_is_kept_and_negative_results_have_a_time_of_their_own,
    unless_touches_nothing_and_a_forced_update_replaces,
    what_is_stale_is_computed_anew_and_only_hits_are_asked_about,
    the_lifetime_can_be_set_for_all_clones,
    a_call_has_settings_of_its_own,
    what_is_primed_is_found,
    what_is_primed_and_negative_has_the_time_of_its_kind,
    a_result_of_another_type_is_a_miss,
    a_result_that_cannot_be_read_is_computed_once_for_all,
    maps_are_arguments_by_their_content,
    long_arguments_have_a_key_too_and_those_that_are_too_long_are_computed,
    a_version_begins_anew,
    a_scope_has_results_of_its_own_and_clearing_it_takes_them,
}

/// A function that counts its runs.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn runs(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

async fn a_result_is_kept_for_its_arguments_and_its_time(cache: Cache, clock: ManualClock) {
    let (add, count) = (cache.memoizer("add").ttl(Duration::from_secs(5)), Count::default());
    let call = async |a: u64, b: &str| add.call(&(a, b), async || format!("{a}{b}, run {}", count.next())).await;
    assert_eq!(call(1, "x").await, "1x, run 1");
    assert_eq!(call(1, "x").await, "1x, run 1");
    assert_eq!(call(2, "x").await, "2x, run 2");
    clock.advance(Duration::from_millis(4_999));
    assert_eq!(call(1, "x").await, "1x, run 1");
    clock.advance(Duration::from_millis(1));
    assert_eq!(call(1, "x").await, "1x, run 3");
    assert_eq!((cache.stats().hits, cache.stats().misses, cache.stats().stored), (2, 3, 3));
}

async fn two_functions_and_two_splits_of_arguments_never_share_a_result(cache: Cache, _: ManualClock) {
    let count = Count::default();
    for name in ["f", "g", "f(1)", "f@(1)"] {
        let f = cache.memoizer(name);
        let mut results = vec![
            f.call(&("ab", "c"), async || count.next()).await,
            f.call(&("a", "bc"), async || count.next()).await,
            f.call(&("abc",), async || count.next()).await,
            f.call("abc", async || count.next()).await,
            f.call(&(1, 2), async || count.next()).await,
            f.call(&(12,), async || count.next()).await,
            f.call(&12, async || count.next()).await,
            f.call(&(None::<u8>, 12), async || count.next()).await,
            f.call(&(), async || count.next()).await,
            f.instance(&1).unwrap().call(&(), async || count.next()).await,
        ];
        results.sort_unstable();
        results.dedup();
        assert_eq!(results.len(), 10, "{name}");
    }
    assert_eq!(count.runs(), 40);
}

async fn only_ok_is_kept_and_an_error_is_its_callers_own(cache: Cache, _: ManualClock) {
    let users: Memoizer<u32> = cache.memoizer("users");
    for _ in 0..2 {
        assert_eq!(users.try_call(&7, async || Err("broken")).await, Err("broken"));
    }
    assert_eq!(users.try_call(&7, async || Ok::<_, ()>(1)).await, Ok(1));
    assert_eq!(users.try_call(&7, async || Err("broken")).await, Ok(1));
    assert_eq!((cache.stats().misses, cache.stats().stored), (3, 1));
}

async fn a_filter_says_what_is_kept_and_negative_results_have_a_time_of_their_own(cache: Cache, clock: ManualClock) {
    let found = cache
        .memoizer("found")
        .response_filter(|found: &Option<u32>| found.is_none_or(|n| n > 0))
        .negative(Option::is_none, Duration::from_secs(1));
    assert_eq!(found.call(&1, async || Some(0)).await, Some(0));
    assert_eq!(found.call(&1, async || None).await, None, "what the filter refused was not kept");
    assert_eq!(found.call(&1, async || Some(2)).await, None, "none was, for a while");
    clock.advance(Duration::from_secs(1));
    assert_eq!(found.call(&1, async || Some(3)).await, Some(3));
    clock.advance(Duration::from_secs(299));
    assert_eq!(found.call(&1, async || Some(4)).await, Some(3));
}

async fn unless_touches_nothing_and_a_forced_update_replaces(cache: Cache, _: ManualClock) {
    let (off, forced) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (is_off, is_forced) = (Arc::clone(&off), Arc::clone(&forced));
    let (f, count) = (cache.memoizer("f"), Count::default());
    let f = f.unless(move || is_off.load(Ordering::SeqCst)).forced_update(move || is_forced.load(Ordering::SeqCst));
    let call = || f.call(&(), async || count.next());

    assert_eq!((call().await, call().await), (1, 2));
    assert_eq!((cache.stats().bypasses, cache.stats().stored), (2, 0));
    off.store(false, Ordering::SeqCst);
    assert_eq!((call().await, call().await), (3, 3));
    forced.store(true, Ordering::SeqCst);
    assert_eq!((call().await, call().await), (4, 5));
    forced.store(false, Ordering::SeqCst);
    assert_eq!(call().await, 5);
}

async fn what_is_stale_is_computed_anew_and_only_hits_are_asked_about(cache: Cache, _: ManualClock) {
    let (asked, count) = (Count::default(), Count::default());
    let seen = asked.clone();
    let f = cache.memoizer("f").is_stale(move |run: &usize| {
        seen.next();
        *run == 1
    });
    let call = || f.call(&(), async || count.next());
    assert_eq!(call().await, 1);
    assert_eq!(asked.runs(), 0);
    assert_eq!((call().await, call().await), (2, 2));
    assert_eq!((asked.runs(), count.runs()), (2, 2));
}

async fn the_lifetime_can_be_set_for_all_clones(cache: Cache, clock: ManualClock) {
    let (f, count) = (cache.memoizer("f").ttl(Duration::from_secs(1)), Count::default());
    let other = f.clone();
    other.set_cache_ttl(Ttl::Forever);
    assert_eq!(f.cache_ttl(), Ttl::Forever);
    f.call(&(), async || count.next()).await;
    // Less than a week, after which results end where each has a tag.
    clock.advance(Duration::from_secs(500_000));
    assert_eq!(other.call(&(), async || count.next()).await, 1);
    other.set_cache_ttl(Ttl::DontStore);
    assert_eq!(f.call(&1, async || count.next()).await, 2);
    assert_eq!(f.call(&1, async || count.next()).await, 3);
}

async fn a_call_has_settings_of_its_own(cache: Cache, clock: ManualClock) {
    let (f, count) = (cache.memoizer("f"), Count::default());
    let run = async || count.next();
    assert_eq!(f.at(&1).unless(true).call(run).await, 1);
    assert_eq!(f.at(&1).ttl(Duration::from_secs(1)).call(run).await, 2);
    assert_eq!(f.at(&1).is_stale(|kept| *kept == 2).response_filter(|made| *made > 3).call(run).await, 3);
    assert_eq!(f.at(&1).call(run).await, 2, "what the filter refused has not replaced it");
    assert_eq!(f.at(&1).forced_update(true).ttl(Duration::from_secs(2)).call(run).await, 4);
    clock.advance(Duration::from_secs(1));
    assert_eq!(f.at(&1).call(run).await, 4);
    clock.advance(Duration::from_secs(1));
    assert_eq!(f.at(&1).call(run).await, 5);
}

async fn what_is_primed_is_found(cache: Cache, _: ManualClock) {
    let f = cache.memoizer("f");
    assert_eq!(f.call(&1, async || 1).await, 1);
    f.prime(&1, 2).await.unwrap();
    f.prime(&3, 4).await.unwrap();
    assert_eq!((f.call(&1, async || 0).await, f.call(&3, async || 0).await), (2, 4));
    assert!(f.delete_memoized_for(&3).await.unwrap());
    assert!(!f.delete_memoized_for(&3).await.unwrap());
    assert_eq!(f.call(&3, async || 5).await, 5);
}

async fn what_is_primed_and_negative_has_the_time_of_its_kind(cache: Cache, clock: ManualClock) {
    let found = cache.memoizer("found").negative(Option::is_none, Duration::from_secs(1));
    found.prime(&1, None).await.unwrap();
    assert_eq!(found.call(&1, async || Some(2)).await, None);
    clock.advance(Duration::from_secs(1));
    assert_eq!(found.call(&1, async || Some(3)).await, Some(3));

    let kept = cache.memoizer("kept").response_filter(Option::is_some).negative(|_| false, Duration::from_secs(1));
    kept.prime(&1, None).await.unwrap();
    assert_eq!(kept.call(&1, async || Some(2)).await, None, "whatever the filter says");
}

async fn a_result_of_another_type_is_a_miss(cache: Cache, _: ManualClock) {
    let (numbers, bytes): (Memoizer<u32>, Memoizer<u8>) = (cache.memoizer("f"), cache.memoizer("f"));
    assert_eq!(numbers.call(&(), async || 7).await, 7);
    assert_eq!(bytes.call(&(), async || 8).await, 8);
    assert_eq!(cache.stats().misses, 2);
    assert_eq!(cache.get::<u32>("memo/f()").await.unwrap(), None, "nor is it a value that was set");
}

async fn a_result_that_cannot_be_read_is_computed_once_for_all(cache: Cache, _: ManualClock) {
    let (texts, numbers): (Memoizer<String>, Memoizer<u64>) = (cache.memoizer("f"), cache.memoizer("f"));
    texts.call(&(), async || "no number".to_owned()).await;
    let (count, mut callers) = (Count::default(), tokio::task::JoinSet::new());
    for _ in 0..100 {
        let (numbers, count) = (numbers.clone(), count.clone());
        callers.spawn(async move {
            let compute = async || {
                bytewise::settle().await;
                count.next();
                7
            };
            numbers.call(&(), compute).await
        });
    }
    assert!(callers.join_all().await.iter().all(|number| *number == 7));
    assert_eq!(count.runs(), 1);
}

async fn maps_are_arguments_by_their_content(cache: Cache, _: ManualClock) {
    let f = cache.memoizer("f");
    for run in 0..20 {
        // Each map has an order of its own.
        let map: HashMap<_, _> = [("a", 1), ("b", 2), ("c", 3), ("d", 4)].into();
        assert_eq!(f.call(&map, async || run).await, 0);
    }
    let sorted: BTreeMap<_, _> = [("a", 1), ("b", 2), ("c", 3), ("d", 5)].into();
    assert_eq!(f.call(&sorted, async || 21).await, 21);
}

async fn long_arguments_have_a_key_too_and_those_that_are_too_long_are_computed(cache: Cache, _: ManualClock) {
    let f = cache.memoizer("f").hash_method::<sha2::Sha256>();
    let (long, other, huge) = ("x".repeat(5_000), "x".repeat(4_999) + "y", "x".repeat(9_000));
    assert_eq!(f.call(&long, async || 1).await, 1);
    assert_eq!(f.call(&long, async || 2).await, 1);
    assert_eq!(f.call(&other, async || 2).await, 2);
    let key = f.make_cache_key(&long).unwrap();
    assert_eq!(key.len(), "#long=".len() + 64, "{key}");
    assert_eq!((f.call(&huge, async || 3).await, f.call(&huge, async || 4).await), (3, 4));
    assert_eq!(f.make_cache_key(&huge).unwrap_err().kind(), ErrorKind::Key);
    assert_eq!((cache.stats().failures, cache.stats().bypasses), (2, 2));
}

async fn a_version_begins_anew(cache: Cache, _: ManualClock) {
    let at = |version: &str| cache.memoizer("f").version(version);
    assert_eq!(at("1").call(&(), async || 1).await, 1);
    assert_eq!(at("2").call(&(), async || 2).await, 2);
    assert_eq!(at("1").call(&(), async || 3).await, 1);
    let made = cache.memoizer("f").make_name(|name| format!("{name}-{name}"));
    assert_eq!(made.make_cache_key(&()).unwrap(), "memo/f#as=3:f-f()");
    assert_eq!(made.call(&(), async || 4).await, 4);
}

async fn a_scope_has_results_of_its_own_and_clearing_it_takes_them(cache: Cache, _: ManualClock) {
    let inner = cache.scoped("inner");
    let (outside, inside) = (cache.memoizer("f"), inner.memoizer("f"));
    assert_eq!((outside.call(&(), async || 1).await, inside.call(&(), async || 2).await), (1, 2));
    let key = inside.make_cache_key(&()).unwrap();
    assert_eq!(key, outside.make_cache_key(&()).unwrap(), "as the scope itself takes it");
    assert!(inner.delete(&key).await.unwrap());
    assert_eq!((outside.call(&(), async || 2).await, inside.call(&(), async || 3).await), (1, 3));
    inner.clear().await.unwrap();
    assert_eq!((outside.call(&(), async || 3).await, inside.call(&(), async || 4).await), (1, 4));
    outside.delete_memoized().await.unwrap();
    assert_eq!((outside.call(&(), async || 5).await, inside.call(&(), async || 6).await), (5, 4));
    cache.clear().await.unwrap();
    assert_eq!((outside.call(&(), async || 7).await, inside.call(&(), async || 8).await), (7, 8));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

#[tokio::test]
async fn a_shared_result_is_one_object_in_memory() {
    let users: Memoizer<User> = Cache::new(MemoryBackend::default()).memoizer("users");
    let load = async || User { id: 7, name: "ada".into() };
    let one = users.call_shared(&(7_u64, "ada"), load).await;
    let other = users.call_shared(&(7_u64, "ada"), async || unreachable!()).await;
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(users.call(&(7_u64, "ada"), load).await, *one);
}

#[tokio::test]
async fn live_values_need_no_serde_and_a_backend_that_keeps_them() {
    struct Plain(u32);
    let plain = Cache::new(MemoryBackend::default()).memoizer("plain").live().unwrap();
    assert_eq!(plain.call_shared(&(), async || Plain(7)).await.0, 7);
    assert_eq!(plain.call_shared(&(), async || Plain(8)).await.0, 7);

    let (cache, ..) = bytewise();
    let error = cache.memoizer::<Plain>("plain").live().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`plain`") && error.to_string().contains("MemoryBackend"), "{error}");
}

#[tokio::test]
async fn a_value_weighs_what_is_said_or_what_its_bytes_come_to() {
    let backend = MemoryBackend::builder().max_entries(1 << 20).build();
    let cache = Cache::new(backend.clone());
    cache.memoizer("text").call(&(), async || "x".repeat(10_000)).await;
    let text = backend.weight();
    assert!((10_000..12_000).contains(&text), "{text}");
    cache.memoizer("said").weight(|_: &u8| 50_000).call(&(), async || 1).await;
    assert!((50_000..52_000).contains(&(backend.weight() - text)));
}
