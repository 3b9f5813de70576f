//! `test_memoize.py`: hits, lifetimes, arguments.

mod classes;
mod delete;
mod options;

use std::collections::HashMap;

use axum_caching::{Cache, MemoryBackend, testing::ManualClock};
use digest::Digest;
use serde::Serialize;

use crate::{fixture::*, support::cache_and_backend};

#[tokio::test]
async fn test_memoize() {
    for (cache, clock) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo").ttl(seconds(3)));
        hits_until_it_expires(&big_foo, &clock, 2, 3).await;
    }
}

async fn hits_until_it_expires<B: Serialize + Copy>(big_foo: &Foo, clock: &ManualClock, b: B, other: B) {
    let result = big_foo.call((5, b)).await;
    clock.advance(seconds(1));
    assert_eq!(big_foo.call((5, b)).await, result);

    let result2 = big_foo.call((5, other)).await;
    assert_ne!(result2, result);

    clock.advance(seconds(3));
    assert_ne!(big_foo.call((5, b)).await, result);
    clock.advance(seconds(1));
    assert_ne!(big_foo.call((5, other)).await, result2);
}

/// There are no default arguments: who leaves one out says the default.
#[tokio::test]
async fn test_memoize_falsy_default_argument() {
    for (cache, _) in caches() {
        let f = cache.memoizer("f");
        let runs = Log::new();
        let call = async |a: u8, b: Option<u8>| {
            f.call(&(a, b), async || {
                runs.push((a, b));
                format!("{a}:{b:?}")
            })
            .await
        };
        assert_eq!(call(1, None).await, "1:None");
        for _ in 0..3 {
            assert_eq!(call(1, Some(0)).await, "1:Some(0)");
        }
        assert_eq!(runs.all(), [(1, None), (1, Some(0))]);
    }
}

/// The arguments are long, since only long ones are hashed; SHA-512/256 is here in the place of SHA-1.
#[tokio::test]
async fn test_memoize_hashes() {
    let keys = [
        memoize_hash::<md5::Md5>().await,
        memoize_hash::<sha2::Sha224>().await,
        memoize_hash::<sha2::Sha256>().await,
        memoize_hash::<sha2::Sha384>().await,
        memoize_hash::<sha2::Sha512>().await,
        memoize_hash::<sha2::Sha512_256>().await,
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "each hash makes its own key: {key}");
    }
}

async fn memoize_hash<D: Digest>() -> String {
    let (long, other) = ("a".repeat(1_000), "b".repeat(1_000));
    let mut key = String::new();
    for (cache, clock) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo").ttl(seconds(3)).hash_method::<D>());
        hits_until_it_expires(&big_foo, &clock, long.as_str(), other.as_str()).await;
        key = big_foo.memo.make_cache_key(&(5, &long)).unwrap();
        assert!(key.len() < 512, "{key}");
    }
    key
}

#[tokio::test]
async fn test_memoize_timeout() {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    let cache = Cache::builder(backend).clock(clock.clock()).ttl(seconds(1)).build();
    let big_foo = Foo::new(cache.memoizer("big_foo"));

    let result = big_foo.call((5, 2)).await;
    assert_eq!(big_foo.call((5, 2)).await, result);
    clock.advance(seconds(2));
    assert_ne!(big_foo.call((5, 2)).await, result);
}

#[tokio::test]
async fn test_memoize_entry_written_late_keeps_its_own_timeout() {
    for (cache, clock) in caches() {
        let f = Foo::new(cache.memoizer("f").ttl(seconds(60)));
        assert_eq!(f.call("icecream").await, 1);
        clock.advance(seconds(59));
        assert_eq!(f.call("waffles").await, 2);

        clock.advance(seconds(2));
        assert_eq!(f.call("waffles").await, 2, "the end of the older entry is not its end");
        clock.advance(seconds(59));
        assert_eq!(f.call("waffles").await, 3, "its own is");
    }
}

/// There is no version key to look at: what it is for is that the newest entry is still a hit.
#[tokio::test]
async fn test_memoize_version_key_outlives_newest_entry() {
    for (cache, clock) in caches() {
        let f = Foo::new(cache.memoizer("f").ttl(seconds(60)));
        f.call("a").await;
        clock.advance(seconds(50));
        f.call("b").await;

        clock.advance(seconds(59));
        assert_eq!(f.call("b").await, 2);
        assert_eq!(f.runs.count(), 2);
    }
}

/// There is no version key at all in memory: nothing is there but the entries, and they do not stay.
#[tokio::test]
async fn test_memoize_version_key_expires_once_its_entries_have() {
    let (cache, backend, clock) = cache_and_backend();
    let f = Foo::new(cache.memoizer("f").ttl(seconds(60)));
    f.call("a").await;
    assert_eq!(backend.entries(), 1);

    clock.advance(seconds(61));
    assert!(!cache.delete(&f.memo.make_cache_key("a").unwrap()).await.unwrap(), "expired is absent");
    f.call("b").await;
    assert_eq!(backend.entries(), 1, "the expired one was swept");
}

#[tokio::test]
async fn test_memoize_utf8_arguments() {
    for (cache, _) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        assert_eq!(big_foo.call(("æøå", "chars")).await, 1);
        assert_eq!(big_foo.call(("æøå", "chars")).await, 1);
        assert_eq!(big_foo.call(("æø", "åchars")).await, 2);
    }
}

/// Code points, not what they look like: text is not normalised.
#[tokio::test]
async fn test_memoize_unicode_arguments() {
    for (cache, _) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        let spellings = ["\u{e5}", "a\u{30a}", "\u{212b}", "å\0", "😀"];
        for (at, spelling) in spellings.iter().enumerate() {
            assert_eq!(big_foo.call((spelling, "chars")).await, at + 1, "{spelling:?}");
        }
        assert_eq!(big_foo.call((spellings[4], "chars")).await, 5);
    }
}

#[tokio::test]
async fn test_memoize_args() {
    for (cache, _) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        let result_a = big_foo.call((vec![5, 3, 2], [1])).await;
        let result_b = big_foo.call((vec![3, 3], [3, 1])).await;
        assert_eq!(big_foo.call((vec![5, 3, 2], [1])).await, result_a);
        assert_eq!(big_foo.call((vec![3, 3], [3, 1])).await, result_b);

        assert!(big_foo.memo.delete_memoized_for(&(vec![5, 3, 2], [1])).await.unwrap());

        assert_ne!(big_foo.call((vec![5, 3, 2], [1])).await, result_a);
        assert_eq!(big_foo.call((vec![3, 3], [3, 1])).await, result_b);
    }
}

#[tokio::test]
async fn test_memoize_kwargs() {
    for (cache, _) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        let map = |pairs: [(&'static str, u8); 2]| HashMap::from(pairs);
        let result_a = big_foo.call((1, map([("one", 1), ("two", 2)]))).await;
        let result_b = big_foo.call((5, map([("three", 3), ("four", 4)]))).await;
        // Each map is iterated in an order of its own.
        for _ in 0..20 {
            assert_eq!(big_foo.call((1, map([("two", 2), ("one", 1)]))).await, result_a);
        }
        assert_eq!(big_foo.call((5, map([("three", 3), ("four", 4)]))).await, result_b);

        assert!(big_foo.memo.delete_memoized_for(&(1, map([("one", 1), ("two", 2)]))).await.unwrap());

        assert_ne!(big_foo.call((1, map([("one", 1), ("two", 2)]))).await, result_a);
        assert_eq!(big_foo.call((5, map([("three", 3), ("four", 4)]))).await, result_b);
    }
}

/// What is optional is an `Option`.
#[tokio::test]
async fn test_memoize_kwargonly() {
    for (cache, _) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        let result_a = big_foo.call(None::<u8>).await;
        let result_b = big_foo.call(Some(5)).await;
        assert_eq!(big_foo.call(None::<u8>).await, result_a);
        assert_eq!(big_foo.call(Some(5)).await, result_b);
        assert_ne!(result_a, result_b);
    }
}

/// A slice stands for arguments of any number.
#[tokio::test]
async fn test_memoize_when_using_args_unpacking() {
    for (cache, _) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        let (result_a, result_b) = (big_foo.call(&[1, 2][..]).await, big_foo.call(&[1, 3][..]).await);
        assert_eq!(big_foo.call(&[1, 2][..]).await, result_a);
        assert_eq!(big_foo.call(&[1, 3][..]).await, result_b);
        assert_ne!(result_a, result_b);
        let result_c = big_foo.call(&[1, 2, 3][..]).await;
        assert!(result_c != result_a && result_c != result_b);

        big_foo.memo.delete_memoized().await.unwrap();

        assert_ne!(big_foo.call(&[1, 2][..]).await, result_a);
        assert_ne!(big_foo.call(&[1, 3][..]).await, result_b);
    }
}
