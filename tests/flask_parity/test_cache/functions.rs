//! `test_cache.py`: `@cache.cached` on a function. It is a memoized function without arguments, or a computed value.

use axum_caching::{Cache, CacheLayer, Memoizer};
use digest::Digest;

use crate::{
    fixture::*,
    support::{Runs, app, cache, fetch},
};

/// The bits are those of the number of the run.
async fn random_bits(cache: &Cache, runs: &Runs) -> Vec<u8> {
    cache.get_or_compute("MyBits", seconds(1), async || bits(runs.next())).await
}

fn bits(run: usize) -> Vec<u8> {
    (0..50).map(|bit| u8::from(run.checked_shr(bit).is_some_and(|rest| rest & 1 == 1))).collect()
}

#[tokio::test]
async fn test_cache_cached_function() {
    for (cache, clock) in caches() {
        let runs = Runs::default();
        let my_list = random_bits(&cache, &runs).await;
        assert_eq!(random_bits(&cache, &runs).await, my_list);
        clock.advance(seconds(2));
        assert_ne!(random_bits(&cache, &runs).await, my_list);
    }
}

/// The source is a version, which a release changes.
#[tokio::test]
async fn test_cache_cached_function_with_source_check_enabled() {
    for (cache, _) in caches() {
        let runs = Runs::default();
        let list: Memoizer<Vec<u8>> = cache.memoizer("MyBits").version("a list");
        let first_attempt = list.call(&(), async || bits(runs.next())).await;
        assert_eq!(list.call(&(), async || bits(runs.next())).await, first_attempt);

        let number: Memoizer<usize> = cache.memoizer("MyBits").version("a number");
        assert_eq!(number.call(&(), async || runs.next()).await, 2);

        let back: Memoizer<Vec<u8>> = cache.memoizer("MyBits").version("a list");
        assert_eq!(back.call(&(), async || bits(runs.next())).await, first_attempt);
        assert_eq!(runs.count(), 2);
    }
}

/// What another function has stored under the key is returned, if it has the same type.
#[tokio::test]
async fn test_cache_cached_function_with_source_check_disabled() {
    for (cache, _) in caches() {
        let runs = Runs::default();
        let first: Memoizer<Vec<u8>> = cache.memoizer("MyBits");
        let first_attempt = first.call(&(), async || bits(runs.next())).await;
        let changed: Memoizer<Vec<u8>> = cache.memoizer("MyBits");
        assert_eq!(changed.call(&(), async || vec![1]).await, first_attempt);

        let another_type: Memoizer<usize> = cache.memoizer("MyBits");
        assert_eq!(another_type.call(&(), async || 7).await, 7);
    }
}

/// Only a query is hashed; SHA-512/256 is here in the place of SHA-1.
#[tokio::test]
async fn test_cache_accepts_multiple_ciphers() {
    cached_with::<md5::Md5>().await;
    cached_with::<sha2::Sha224>().await;
    cached_with::<sha2::Sha256>().await;
    cached_with::<sha2::Sha384>().await;
    cached_with::<sha2::Sha512>().await;
    cached_with::<sha2::Sha512_256>().await;
}

async fn cached_with<D: Digest>() {
    let (cache, clock) = cache();
    let layer = CacheLayer::new(&cache).key_prefix("MyBits").ttl(seconds(1)).hash_method::<D>();
    assert_eq!(layer.key_for("/?a=1").unwrap().len(), "MyBits?".len() + 2 * <D as Digest>::output_size());
    let (app, _) = app(layer, |_, run| run.to_string());
    let my_list = fetch(&app, "/?a=1").await.1;
    assert_eq!(fetch(&app, "/?a=1").await.1, my_list);
    assert_ne!(fetch(&app, "/?a=2").await.1, my_list);
    clock.advance(seconds(2));
    assert_ne!(fetch(&app, "/?a=1").await.1, my_list);
}

/// `cache_none` is always on: `None` is a value.
#[tokio::test]
async fn test_cached_none() {
    for (cache, _) in caches() {
        let runs = Runs::default();
        let cache_none = async || {
            let none = async || {
                runs.next();
                None::<u8>
            };
            cache.get_or_compute("cache_none", seconds(60), none).await
        };
        assert_eq!((cache_none().await, cache_none().await), (None, None));
        assert_eq!(runs.count(), 1);

        cache.clear().await.unwrap();

        assert_eq!(cache_none().await, None);
        assert_eq!(runs.count(), 2);
    }
}

/// It is not the default. What is not to be kept is an `Err`.
#[tokio::test]
async fn test_cached_doesnt_cache_none() {
    for (cache, _) in caches() {
        let runs = Runs::default();
        let cache_none = async || {
            let none = async || {
                runs.next();
                None::<u8>.ok_or(())
            };
            cache.try_get_or_compute("cache_none", seconds(60), none).await.ok()
        };
        for run in 1..=2 {
            assert_eq!(cache_none().await, None);
            assert_eq!(runs.count(), run);
        }
        cache.clear().await.unwrap();
        assert_eq!(cache_none().await, None);
        assert_eq!(runs.count(), 3);
    }
}

#[tokio::test]
async fn test_cache_forced_update() {
    for (cache, _) in caches() {
        let need_update = Switch::default();
        let is_needed = need_update.clone();
        let memo = cache.memoizer("cached_function").ttl(seconds(1)).forced_update(move || is_needed.is_on());
        let cached_function = Foo::new(memo);
        assert_eq!((cached_function.call(()).await, cached_function.call(()).await), (1, 1));

        need_update.set(true);

        assert_eq!(cached_function.call(()).await, 2);
        assert_eq!(cached_function.runs.count(), 2);
    }
}

/// What depends on the argument is said at the call.
#[tokio::test]
async fn test_cache_forced_update_params() {
    for (cache, _) in caches() {
        let (memo, runs, asked) = (cache.memoizer("cached_function").ttl(seconds(1)), Runs::default(), Log::new());
        // True if it was asked twice before.
        let need_update = |param: u32| {
            asked.push(param);
            asked.all().len() > 2
        };
        let cached_function = async |param: u32| {
            let call = memo.at(&param).forced_update(need_update(param));
            call.call(async || {
                runs.next();
                param
            })
            .await
        };
        for (called, ran) in [(1, 1), (2, 1), (3, 2)] {
            assert_eq!(cached_function(1).await, 1);
            assert_eq!((asked.all().len(), runs.count()), (called, ran));
        }
        assert_eq!(asked.all(), [1, 1, 1]);
    }
}

#[tokio::test]
async fn test_cache_is_stale() {
    for (cache, _) in caches() {
        let cached_values = Log::new();
        let seen = cached_values.clone();
        let cached_function = Foo::new(cache.memoizer("is_stale").ttl(seconds(5)).is_stale(move |value| {
            seen.push(*value);
            *value < 2
        }));

        assert_eq!(cached_function.call(()).await, 1);
        assert!(cached_values.all().is_empty(), "it is asked on hits only");

        assert_eq!(cached_function.call(()).await, 2);
        assert_eq!(cached_values.all(), [1]);

        assert_eq!(cached_function.call(()).await, 2);
        assert_eq!(cached_values.all(), [1, 2]);
        assert_eq!(cached_function.runs.count(), 2);
    }
}

/// The arguments are what the closure of the call holds.
#[tokio::test]
async fn test_cache_is_stale_params() {
    for (cache, _) in caches() {
        let (memo, call_params) = (cache.memoizer("is_stale_params").ttl(seconds(5)), Log::new());
        let cached_function = async |param: u8| {
            let is_stale = |value: &u8| {
                call_params.push((*value, param));
                false
            };
            memo.at(&()).is_stale(is_stale).call(async || param).await
        };
        assert_eq!(cached_function(1).await, 1);
        assert!(call_params.all().is_empty());
        assert_eq!(cached_function(2).await, 1);
        assert_eq!(call_params.all(), [(1, 2)]);
    }
}

#[tokio::test]
async fn test_cache_is_stale_not_called_on_forced_update() {
    for (cache, _) in caches() {
        let asked = Log::new();
        let log = asked.clone();
        let memo = cache.memoizer("is_stale_forced").ttl(seconds(5)).forced_update(|| true).is_stale(move |value| {
            log.push(*value);
            true
        });
        let cached_function = Foo::new(memo);
        assert_eq!((cached_function.call(()).await, cached_function.call(()).await), (1, 2));
        assert!(asked.all().is_empty());
        tells_the_predicate_apart(&cache, &asked).await;
    }
}

/// The same function without the force would ask.
async fn tells_the_predicate_apart(cache: &Cache, asked: &Log<usize>) {
    let log = asked.clone();
    let memo = cache.memoizer("is_stale_forced").is_stale(move |value| {
        log.push(*value);
        true
    });
    assert_eq!(memo.call(&(), async || 3).await, 3);
    assert_eq!(asked.all(), [2]);
}
