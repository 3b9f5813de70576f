//! `test_memoize.py`: what a memoized function can be told.

use axum_caching::CacheLayer;
use serde::Serialize;

use crate::{
    bytewise::settle,
    fixture::*,
    support::{Runs, fetch},
};

#[tokio::test]
async fn test_memoize_forced_update() {
    for (cache, _) in caches() {
        let forced = Switch::default();
        let is_forced = forced.clone();
        let big_foo = Foo::new(cache.memoizer("big_foo").ttl(seconds(5)).forced_update(move || is_forced.is_on()));
        let result = big_foo.call((5, 2)).await;
        assert_eq!(big_foo.call((5, 2)).await, result);

        forced.set(true);
        let new_result = big_foo.call((5, 2)).await;
        assert_ne!(new_result, result);

        forced.set(false);
        assert_eq!(big_foo.call((5, 2)).await, new_result);
    }
}

/// What depends on the arguments is said at the call; what does not, at the function. Each is asked once.
#[tokio::test]
async fn test_memoize_forced_update_parameters() {
    for (cache, _) in caches() {
        let (asked, runs) = (Runs::default(), Runs::default());
        let counted = asked.clone();
        let count = move || counted.next() == 0;
        let memo = cache.memoizer("memoized_func").ttl(seconds(5)).forced_update(count);
        let call = async |a: u32, b: u32, forced: fn(u32, u32) -> bool| {
            memo.at(&(a, b)).forced_update(forced(a, b)).call(async || runs.next()).await
        };

        let result = call(5, 2, |_, _| false).await;
        assert_eq!(asked.count(), 1);
        assert_eq!(call(5, 2, |_, _| false).await, result);
        assert_eq!(asked.count(), 2);

        let new_result = call(5, 2, |a, b| (a, b) == (5, 2)).await;
        assert_ne!(new_result, result);
        assert_eq!(call(5, 2, |a, b| (a, b) == (5, 3)).await, new_result);
        assert_eq!(runs.count(), 2);
    }
}

#[tokio::test]
async fn test_memoize_is_stale() {
    for (cache, _) in caches() {
        let (stale, cached_values) = (Switch::default(), Log::new());
        let (is_stale, seen) = (stale.clone(), cached_values.clone());
        let big_foo = Foo::new(cache.memoizer("big_foo").ttl(seconds(5)).is_stale(move |value| {
            seen.push(*value);
            is_stale.is_on()
        }));

        let result = big_foo.call((5, 2)).await;
        assert!(cached_values.all().is_empty(), "it is asked on hits only");
        assert_eq!(big_foo.call((5, 2)).await, result);
        assert_eq!(cached_values.all(), [result]);

        stale.set(true);
        let new_result = big_foo.call((5, 2)).await;
        assert_ne!(new_result, result);
        assert_eq!(cached_values.all(), [result, result]);

        stale.set(false);
        assert_eq!(big_foo.call((5, 2)).await, new_result);
        assert_eq!(cached_values.all(), [result, result, new_result]);
    }
}

/// The arguments are what the closure of the call holds.
#[tokio::test]
async fn test_memoize_is_stale_parameters() {
    for (cache, _) in caches() {
        let (memo, runs, params) = (cache.memoizer("memoized_func").ttl(seconds(5)), Runs::default(), Log::new());
        let call = async |a: u32, b: u32, is_stale: bool| {
            let ask = |value: &usize| {
                params.push((*value, a, b));
                is_stale
            };
            memo.at(&(a, b)).is_stale(ask).call(async || runs.next()).await
        };

        let result = call(5, 2, false).await;
        assert!(params.all().is_empty());
        assert_eq!(call(5, 2, false).await, result);
        assert_eq!(params.all(), [(result, 5, 2)]);
        assert_ne!(call(5, 2, true).await, result);
    }
}

/// `cache_none` is always on: `None` is a value.
#[tokio::test]
async fn test_memoize_none() {
    for (cache, _) in caches() {
        let (memo, runs) = (cache.memoizer("memoize_none"), Runs::default());
        let call = async |param: u8| {
            let none = async || {
                runs.next();
                None::<u8>
            };
            memo.call(&param, none).await
        };
        assert_eq!(call(1).await, None);
        assert_eq!(runs.count(), 1);
        assert_eq!(call(1).await, None);
        assert_eq!(runs.count(), 1);

        cache.clear().await.unwrap();

        assert_eq!(call(1).await, None);
        assert_eq!(runs.count(), 2);
    }
}

/// It is not the default: a filter says that `None` is not kept.
#[tokio::test]
async fn test_memoize_never_accept_none() {
    for (cache, _) in caches() {
        let (memo, runs) = (cache.memoizer("memoize_none").response_filter(Option::is_some), Runs::default());
        let call = async |param: u8, value: Option<u8>| {
            let counted = async || {
                runs.next();
                value
            };
            memo.call(&param, counted).await
        };
        for run in 1..=2 {
            assert_eq!(call(1, None).await, None);
            assert_eq!(runs.count(), run);
        }
        cache.clear().await.unwrap();
        assert_eq!(call(1, None).await, None);
        assert_eq!(runs.count(), 3);
        assert_eq!(call(1, Some(7)).await, Some(7));
        assert_eq!(call(1, None).await, Some(7));
    }
}

/// There is no source to look at while a program runs: the function has a version, which a release changes.
#[tokio::test]
async fn test_memoize_with_source_check_enabled() {
    for (cache, _) in caches() {
        let release = |version: &str| Foo::new(cache.memoizer("big_foo").version(version));
        let first = release("a + b");
        assert_eq!(first.call((5, 2)).await, 1);
        assert_eq!(first.call((5, 2)).await, 1);

        let second = release("a * b");
        second.runs.next();
        assert_eq!(second.call((5, 2)).await, 2, "another source, another result");

        let back = release("a + b");
        assert_eq!(back.call((5, 2)).await, 1);
        assert_eq!(back.runs.count(), 0);
    }
}

/// Without a version the function may change: its results stay.
#[tokio::test]
async fn test_memoize_with_source_check_disabled() {
    for (cache, _) in caches() {
        let first = big_foo(&cache);
        assert_eq!(first.call((5, 2)).await, 1);
        let second = big_foo(&cache);
        assert_eq!(second.call((5, 2)).await, 1);
        assert_eq!(second.runs.count(), 0);
    }
}

/// One constant of the program is the version of all its functions, in place of the configuration.
#[tokio::test]
async fn test_memoize_source_check_from_config() {
    for (cache, _) in caches() {
        let functions = |release: &str| {
            let function = |name: &'static str| Foo::new(cache.memoizer(name).version(release));
            [function("big_foo"), function("other")]
        };
        let (old, new) = (functions("1.0"), functions("1.1"));
        for (old, new) in old.iter().zip(&new) {
            assert_eq!((old.call((5, 2)).await, old.call((5, 2)).await), (1, 1));
            assert_eq!(new.call((5, 2)).await, 1);
            assert_eq!((old.runs.count(), new.runs.count()), (1, 1));
        }
    }
}

/// The version is on the layer.
#[tokio::test]
async fn test_cached_source_check_from_config_applies_to_first_call() {
    for (cache, _) in caches() {
        let layer = CacheLayer::new(&cache).key_prefix("MyBits").version("1");
        let before_call = layer.key_for("/").unwrap();
        let (app, _) = crate::support::app(layer.clone(), |_, run| format!("bits {run}"));
        assert_eq!(fetch(&app, "/").await.1, "bits 1");
        settle().await;

        assert_ne!(before_call, "MyBits");
        assert!(before_call.starts_with("MyBits"));
        assert_eq!(layer.key_for("/").unwrap(), before_call);
        assert!(cache.has(&before_call).await.unwrap(), "the first call stored under it");
    }
}

/// What is to be ignored is not given.
#[tokio::test]
async fn test_memoize_ignore_args() {
    for (cache, _) in caches() {
        let (memo, seen) = (cache.memoizer("big_foo").ttl(seconds(50)), Log::new());
        let call = async |a: u32, b: u32| {
            let run = async || {
                seen.push((a, b));
                a + b
            };
            memo.call(&a, run).await
        };
        assert_eq!((call(5, 2).await, call(5, 3).await, call(6, 3).await), (7, 7, 9));
        assert_eq!(seen.all(), [(5, 2), (6, 3)]);
    }
}

/// Arguments with names are the fields of a struct, and one that serde skips is ignored.
#[tokio::test]
async fn test_memoize_function_ignore_kwarg() {
    #[derive(Serialize)]
    struct Args {
        a: u32,
        #[serde(skip)]
        b: u32,
    }

    for (cache, _) in caches() {
        let memo = cache.memoizer("big_foo").ttl(seconds(50));
        let call = async |args: Args| memo.call(&args, async || args.a + args.b).await;
        assert_eq!(call(Args { a: 5, b: 2 }).await, 7);
        assert_eq!(call(Args { a: 5, b: 3 }).await, 7);
        assert_eq!(call(Args { b: 3, a: 6 }).await, 9);
    }
}
