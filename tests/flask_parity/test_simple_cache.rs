//! `test_simple_cache.py` of cachelib: the backend in memory.

use std::{collections::HashMap, sync::Arc};

use axum_caching::{Cache, MemoryBackend, Ttl};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    fixture::*,
    support::{cache, cache_and_backend},
};

fn bounded(entries: usize) -> (Cache, MemoryBackend) {
    let backend = MemoryBackend::builder().max_entries(entries).build();
    (Cache::new(backend.clone()), backend)
}

/// Never more than the bound.
#[tokio::test]
async fn test_threshold() {
    let threshold = sample_pairs().len() / 2;
    let (cache, backend) = bounded(threshold);
    cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
    assert!((threshold - 1..=threshold).contains(&backend.entries()), "{} of {threshold}", backend.entries());
}

/// Each store takes some expired entries away, whether there is room or not.
#[tokio::test]
async fn test_prune_old_entries() {
    let (cache, backend, clock) = cache_and_backend();
    for (key, value) in sample_pairs() {
        cache.set(&format!("{key}-t1"), &value, seconds(1)).await.unwrap();
        cache.set(&format!("{key}-t5"), &value, seconds(5)).await.unwrap();
    }
    assert_eq!(backend.entries(), 20);

    clock.advance(seconds(2));
    for (key, value) in sample_pairs() {
        cache.set(key, &value, Ttl::Default).await.unwrap();
    }

    assert_eq!(backend.entries(), 20, "ten new ones, and ten expired ones gone");
    for key in sample_keys() {
        assert!(cache.has(&format!("{key}-t5")).await.unwrap());
        assert!(!cache.has(&format!("{key}-t1")).await.unwrap());
    }
}

/// A bound of 0 counts as 1.
#[tokio::test]
async fn test_threshold_zero_defaults_to_500() {
    let (cache, backend) = bounded(0);
    cache.set("one", "1", Ttl::Default).await.unwrap();
    assert_eq!(backend.entries(), 1);
    cache.set("two", "2", Ttl::Default).await.unwrap();
    assert_eq!(backend.entries(), 1);
}

#[tokio::test]
async fn test_add_on_expired_key_succeeds() {
    let (cache, clock) = cache();
    cache.set("key", "original", seconds(1)).await.unwrap();
    assert!(!cache.add("key", "new", Ttl::Default).await.unwrap());
    clock.advance(seconds(2));
    assert!(cache.add("key", "new", Ttl::Default).await.unwrap());
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn test_has_on_expired_key_returns_false() {
    let (cache, clock) = cache();
    cache.set("key", "value", seconds(1)).await.unwrap();
    assert!(cache.has("key").await.unwrap());
    clock.advance(seconds(2));
    assert!(!cache.has("key").await.unwrap());
}

#[tokio::test]
async fn test_delete_nonexistent_returns_false() {
    for (cache, _) in caches() {
        assert!(!cache.delete("does_not_exist").await.unwrap());
    }
}

/// Runs a task for each number, all of them from one moment on.
async fn at_once<T: Send + 'static, F>(tasks: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let (barrier, mut set) = (Arc::new(Barrier::new(tasks)), JoinSet::new());
    for number in 0..tasks {
        let (barrier, task) = (Arc::clone(&barrier), task(number));
        set.spawn(async move {
            barrier.wait().await;
            task.await
        });
    }
    set.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn test_concurrent_set_no_data_corruption() {
    let (cache, backend, _) = cache_and_backend();
    at_once(10, |task| {
        let cache = cache.clone();
        async move {
            for i in 0..50 {
                cache.set(&format!("thread-{task}-key-{i}"), &(task * 1_000 + i), Ttl::Default).await.unwrap();
            }
        }
    })
    .await;

    let expected: HashMap<_, _> = (0..10)
        .flat_map(|task| (0..50).map(move |i| (format!("thread-{task}-key-{i}"), Some(task * 1_000 + i))))
        .collect();
    assert_eq!(backend.entries(), 500);
    assert_eq!(cache.get_dict::<usize>(expected.keys().cloned()).await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn test_concurrent_inc_is_consistent() {
    let (cache, _) = cache();
    cache.set("counter", &0, Ttl::Default).await.unwrap();
    at_once(20, |_| {
        let cache = cache.clone();
        async move {
            for _ in 0..50 {
                cache.increment("counter", 1).await.unwrap();
            }
        }
    })
    .await;
    assert_eq!(cache.get::<i64>("counter").await.unwrap(), Some(1_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn test_concurrent_add_only_one_winner() {
    let (cache, _) = cache();
    let won = at_once(20, |task| {
        let cache = cache.clone();
        async move { cache.add("race-key", &task, Ttl::Default).await.unwrap().then_some(task) }
    })
    .await;
    let winners: Vec<_> = won.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(cache.get::<usize>("race-key").await.unwrap(), Some(winners[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn test_concurrent_get_set_preserves_valid_shared_values() {
    type Shared = (String, usize, usize);
    let value = |task: usize, i: usize| -> Shared { ("x".repeat(task + i), task, i) };
    let (cache, backend, _) = cache_and_backend();
    cache.set("shared", &value(0, 0), Ttl::Default).await.unwrap();
    let observed = at_once(10, |task| {
        let cache = cache.clone();
        async move {
            let mut seen = Vec::new();
            for i in 0..100 {
                if task < 5 {
                    cache.set("shared", &value(task, i), Ttl::Default).await.unwrap();
                } else {
                    seen.push(cache.get::<Shared>("shared").await.unwrap().expect("it is never absent"));
                }
            }
            seen
        }
    })
    .await;

    let observed: Vec<_> = observed.into_iter().flatten().collect();
    assert_eq!(observed.len(), 500);
    for (text, task, i) in observed {
        assert_eq!((text.len(), task < 5, i < 100), (task + i, true, true));
    }
    assert_eq!(backend.entries(), 1);
    let (_, _, last) = cache.get::<Shared>("shared").await.unwrap().expect("it is there");
    assert_eq!(last, 99);
}
