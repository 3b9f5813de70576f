//! `common.py` of cachelib: what every backend does.

use std::{collections::HashMap, time::Duration};

use axum_caching::Ttl;

use crate::fixture::*;

#[tokio::test]
async fn test_set_get() {
    for (cache, _) in caches() {
        for (key, value) in sample_pairs() {
            cache.set(key, &value, Ttl::Default).await.unwrap();
            assert_eq!(cache.get::<Any>(key).await.unwrap(), Some(value));
        }
    }
}

/// `set_many` answers nothing: all of it is stored, or it is an error.
#[tokio::test]
async fn test_set_get_many() {
    for (cache, _) in caches() {
        cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
        assert_eq!(cache.get_many::<Any>(sample_keys()).await.unwrap(), sample_values());
    }
}

#[tokio::test]
async fn test_get_dict() {
    for (cache, _) in caches() {
        cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
        let expected: HashMap<_, _> =
            sample_pairs().into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect();
        assert_eq!(cache.get_dict::<Any>(sample_keys()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn test_delete() {
    for (cache, _) in caches() {
        for (key, value) in sample_pairs() {
            cache.set(key, &value, Ttl::Default).await.unwrap();
            assert!(cache.delete(key).await.unwrap());
            assert_eq!(cache.get::<Any>(key).await.unwrap(), None);
        }
    }
}

/// The answer is how many were there.
#[tokio::test]
async fn test_delete_many() {
    for (cache, _) in caches() {
        cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
        assert_eq!(cache.delete_many(sample_keys()).await.unwrap(), sample_keys().len());
        assert!(cache.get_many::<Any>(sample_keys()).await.unwrap().iter().all(Option::is_none));
    }
}

/// There is no switch for it: an absent key is no error.
#[tokio::test]
async fn test_delete_many_ignore_errors() {
    for (cache, _) in caches() {
        cache.set("bacon", "spam", Ttl::Default).await.unwrap();
        cache.delete_many(["eggs", "bacon"]).await.unwrap();
        assert_eq!(cache.get::<String>("bacon").await.unwrap(), None);
    }
}

/// An absent key does not count.
#[tokio::test]
async fn test_delete_many_raise_errors_nonexistent_key() {
    for (cache, _) in caches() {
        cache.set("bacon", "spam", Ttl::Default).await.unwrap();
        assert_eq!(cache.delete_many(["eggs", "bacon"]).await.unwrap(), 1);
        assert_eq!(cache.delete_many(["eggs", "bacon"]).await.unwrap(), 0);
        assert_eq!(cache.get::<String>("bacon").await.unwrap(), None);
    }
}

#[tokio::test]
async fn test_add() {
    for (cache, _) in caches() {
        cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
        for key in sample_keys() {
            assert!(!cache.add(key, "updated", Ttl::Default).await.unwrap());
        }
        assert_eq!(cache.get_many::<Any>(sample_keys()).await.unwrap(), sample_values());
        for (key, value) in sample_pairs() {
            let new = format!("{key}-new");
            assert!(cache.add(&new, &value, Ttl::Default).await.unwrap());
            assert_eq!(cache.get::<Any>(&new).await.unwrap(), Some(value));
        }
    }
}

#[tokio::test]
async fn test_inc_dec() {
    for (cache, _) in caches() {
        for n in SAMPLE_NUMBERS {
            let (inc, dec) = (format!("{n}-key-inc"), format!("{n}-key-dec"));
            assert_eq!(cache.get::<i64>(&inc).await.unwrap(), None);
            assert_eq!(cache.increment(&inc, n).await.unwrap(), n);
            assert_eq!(cache.get::<i64>(&inc).await.unwrap(), Some(n));
            assert_eq!(cache.decrement(&dec, n).await.unwrap(), -n);
            assert_eq!(cache.get::<i64>(&dec).await.unwrap(), Some(-n));
            assert_eq!(cache.decrement(&inc, 5).await.unwrap(), n - 5);
        }
    }
}

#[tokio::test]
async fn test_inc_dec_after_set() {
    for (cache, _) in caches() {
        cache.set("count", &10, Ttl::Default).await.unwrap();
        assert_eq!(cache.increment("count", 5).await.unwrap(), 15);
        assert_eq!(cache.decrement("count", 3).await.unwrap(), 12);
        assert_eq!(cache.get::<i64>("count").await.unwrap(), Some(12));
    }
}

#[tokio::test]
async fn test_bool_roundtrip() {
    for (cache, _) in caches() {
        cache.set("true-key", &true, Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<bool>("true-key").await.unwrap(), Some(true));
        cache.set("false-key", &false, Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<bool>("false-key").await.unwrap(), Some(false));
    }
}

/// 0 is `Ttl::Forever`, and a duration of zero stores nothing.
#[tokio::test]
async fn test_expiration() {
    let lifetimes: [(&str, Ttl); 4] = [
        ("t0", Ttl::Forever),
        ("t1", seconds(1).into()),
        ("td0", Duration::ZERO.into()),
        ("td1", Duration::from_millis(1_500).into()),
    ];
    for (cache, clock) in caches() {
        for (key, value) in sample_pairs() {
            for (name, ttl) in lifetimes {
                cache.set(&format!("{key}-{name}"), &value, ttl).await.unwrap();
            }
            assert!(cache.has(&format!("{key}-t1")).await.unwrap() && cache.has(&format!("{key}-td1")).await.unwrap());
        }
        clock.advance(seconds(4));
        for (key, value) in sample_pairs() {
            let found = cache.get_many::<Any>(lifetimes.map(|(name, _)| format!("{key}-{name}"))).await.unwrap();
            assert_eq!(found, [Some(value), None, None, None]);
        }
    }
}
