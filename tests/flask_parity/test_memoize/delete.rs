//! `test_memoize.py`: deleting results of functions.

use crate::fixture::*;

#[tokio::test]
async fn test_memoize_delete_resets_version_key() {
    for (cache, clock) in caches() {
        let f = Foo::new(cache.memoizer("f").ttl(seconds(60)));
        assert_eq!(f.call("a").await, 1);
        f.memo.delete_memoized().await.unwrap();
        assert_eq!(f.call("a").await, 2);

        clock.advance(seconds(3_600));
        assert_eq!(f.call("b").await, 3);
        clock.advance(seconds(30));
        assert_eq!(f.call("b").await, 3);
    }
}

#[tokio::test]
async fn test_memoize_delete() {
    for (cache, _) in caches() {
        let big_foo = big_foo(&cache);
        let (result, result2) = two_results(&big_foo).await;

        big_foo.memo.delete_memoized().await.unwrap();

        assert_ne!(big_foo.call((5, 2)).await, result);
        assert_ne!(big_foo.call((5, 3)).await, result2);
    }
}

/// Results of two calls, which are hits from then on.
async fn two_results(big_foo: &Foo) -> (usize, usize) {
    let (result, result2) = (big_foo.call((5, 2)).await, big_foo.call((5, 3)).await);
    assert_eq!(big_foo.call((5, 2)).await, result);
    assert_eq!(big_foo.call((5, 2)).await, result);
    assert_ne!(big_foo.call((5, 3)).await, result);
    assert_eq!(big_foo.call((5, 3)).await, result2);
    (result, result2)
}

/// The function is its memoizer, and any memoizer of that name is the same function.
#[tokio::test]
async fn test_memoize_delete_via_attribute() {
    for (cache, _) in caches() {
        let big_foo = big_foo(&cache);
        let result = big_foo.call((5, 2)).await;
        assert_eq!(big_foo.call((5, 2)).await, result);

        cache.memoizer::<usize>("other").delete_memoized().await.unwrap();
        assert_eq!(big_foo.call((5, 2)).await, result);
        cache.memoizer::<usize>("big_foo").delete_memoized().await.unwrap();

        assert_ne!(big_foo.call((5, 2)).await, result);
    }
}

#[tokio::test]
async fn test_memoize_no_timeout_delete() {
    for (cache, _) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        let (result_a, result_b) = (big_foo.call((5, 1)).await, big_foo.call((5, 2)).await);
        assert_eq!(big_foo.call((5, 1)).await, result_a);
        assert_eq!(big_foo.call((5, 2)).await, result_b);

        assert!(big_foo.memo.delete_memoized_for(&(5, 2)).await.unwrap());
        assert!(!big_foo.memo.delete_memoized_for(&(5, 2)).await.unwrap());

        assert_eq!(big_foo.call((5, 1)).await, result_a);
        assert_ne!(big_foo.call((5, 2)).await, result_b);
    }
}

/// There is no version that could be gone while the results are there: the call deletes the results.
#[tokio::test]
async fn test_memoize_verhash_delete() {
    for (cache, _) in caches() {
        let big_foo = big_foo(&cache);
        let (result, result2) = two_results(&big_foo).await;

        big_foo.memo.delete_memoized_verhash().await.unwrap();

        let (result3, result4) = two_results(&big_foo).await;
        assert_ne!(result3, result);
        assert_ne!(result4, result2);
    }
}

/// `CACHE_SOURCE_CHECK` is `version` on the function.
#[tokio::test]
async fn test_memoize_delete_with_source_check_from_config() {
    for (cache, _) in caches() {
        let big_foo = Foo::new(cache.memoizer("big_foo").ttl(seconds(50)).version("1"));
        let first_try = big_foo.call((5, 2)).await;
        assert_eq!(big_foo.call((5, 2)).await, first_try);

        assert!(big_foo.memo.delete_memoized_for(&(5, 2)).await.unwrap(), "its key is that of the call");

        assert_ne!(big_foo.call((5, 2)).await, first_try);
    }
}
