//! `test_backend_cache.py`: what the backends do, behind a cache as a program has it.

#[cfg(all(feature = "memcached", unix))]
mod test_memcached_cache;
#[cfg(all(feature = "redis", unix))]
mod test_redis_cache;

use axum_caching::{Cache, MemoryBackend, NullBackend, Ttl};

use crate::fixture::*;

async fn get_text(cache: &Cache, key: &str) -> Option<String> {
    cache.get::<String>(key).await.unwrap()
}

#[tokio::test]
async fn test_generic_get_dict() {
    for (cache, _) in caches() {
        cache.set("a", "a", Ttl::Default).await.unwrap();
        cache.set("b", "b", Ttl::Default).await.unwrap();
        let dict = cache.get_dict::<String>(["a", "b", "c"]).await.unwrap();
        assert_eq!((dict["a"].as_deref(), dict["b"].as_deref(), dict["c"].as_deref()), (Some("a"), Some("b"), None));
    }
}

#[tokio::test]
async fn test_generic_set_get() {
    for (cache, _) in caches() {
        for i in 0..3 {
            cache.set(&i.to_string(), &(i * i), Ttl::Default).await.unwrap();
        }
        for i in 0..3 {
            assert_eq!(cache.get::<i32>(&i.to_string()).await.unwrap(), Some(i * i));
        }
    }
}

#[tokio::test]
async fn test_generic_get_set() {
    for (cache, _) in caches() {
        cache.set("foo", &["bar"], Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<[String; 1]>("foo").await.unwrap(), Some(["bar".to_owned()]));
    }
}

/// Values of two types are members of one enum.
#[tokio::test]
async fn test_generic_get_many() {
    for (cache, _) in caches() {
        let (list, eggs) = (Any::List(vec![text("bar")]), text("eggs"));
        cache.set("foo", &list, Ttl::Default).await.unwrap();
        cache.set("spam", &eggs, Ttl::Default).await.unwrap();
        assert_eq!(cache.get_many::<Any>(["foo", "spam"]).await.unwrap(), [Some(list.clone()), Some(eggs.clone())]);
        assert_eq!(cache.get_many::<Any>(["spam", "no", "foo"]).await.unwrap(), [Some(eggs), None, Some(list)]);
    }
}

#[tokio::test]
async fn test_generic_set_many() {
    for (cache, _) in caches() {
        let list = Any::List(vec![text("eggs")]);
        cache.set_many([("foo", text("bar")), ("spam", list.clone())], Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<Any>("foo").await.unwrap(), Some(text("bar")));
        assert_eq!(cache.get::<Any>("spam").await.unwrap(), Some(list));
    }
}

#[tokio::test]
async fn test_generic_add() {
    for (cache, _) in caches() {
        assert!(cache.add("foo", "bar", Ttl::Default).await.unwrap());
        assert_eq!(get_text(&cache, "foo").await.as_deref(), Some("bar"));
        assert!(!cache.add("foo", "qux", Ttl::Default).await.unwrap());
        assert_eq!(get_text(&cache, "foo").await.as_deref(), Some("bar"));
    }
}

#[tokio::test]
async fn test_generic_delete() {
    for (cache, _) in caches() {
        assert!(cache.add("foo", "bar", Ttl::Default).await.unwrap());
        assert_eq!(get_text(&cache, "foo").await.as_deref(), Some("bar"));
        assert!(cache.delete("foo").await.unwrap());
        assert_eq!(get_text(&cache, "foo").await, None);
    }
}

/// The answer is how many were there.
#[tokio::test]
async fn test_generic_delete_many() {
    for (cache, _) in caches() {
        assert!(cache.add("foo", "bar", Ttl::Default).await.unwrap());
        assert!(cache.add("spam", "eggs", Ttl::Default).await.unwrap());
        assert_eq!(cache.delete_many(["foo", "spam"]).await.unwrap(), 2);
        assert_eq!((get_text(&cache, "foo").await, get_text(&cache, "spam").await), (None, None));
    }
}

#[tokio::test]
async fn test_generic_inc_dec() {
    for (cache, _) in caches() {
        cache.set("foo", &1, Ttl::Default).await.unwrap();
        assert_eq!(cache.increment("foo", 1).await.unwrap(), 2);
        assert_eq!(cache.get::<i64>("foo").await.unwrap(), Some(2));
        assert_eq!(cache.decrement("foo", 1).await.unwrap(), 1);
        assert_eq!(cache.get::<i64>("foo").await.unwrap(), Some(1));
        assert!(cache.delete("foo").await.unwrap());
    }
}

#[tokio::test]
async fn test_generic_true_false() {
    for (cache, _) in caches() {
        cache.set("foo", &true, Ttl::Default).await.unwrap();
        cache.set("bar", &false, Ttl::Default).await.unwrap();
        assert_eq!(cache.get_many::<bool>(["foo", "bar"]).await.unwrap(), [Some(true), Some(false)]);
    }
}

/// 0 is `Ttl::Forever`.
#[tokio::test]
async fn test_generic_timeout() {
    for (cache, clock) in caches() {
        cache.set("foo", "bar", Ttl::Forever).await.unwrap();
        cache.set("baz", "qux", seconds(1)).await.unwrap();
        assert_eq!(get_text(&cache, "foo").await.as_deref(), Some("bar"));
        assert_eq!(get_text(&cache, "baz").await.as_deref(), Some("qux"));
        clock.advance(seconds(3));
        assert_eq!(get_text(&cache, "foo").await.as_deref(), Some("bar"));
        assert_eq!(get_text(&cache, "baz").await, None);
    }
}

#[tokio::test]
async fn test_generic_has() {
    for (cache, _) in caches() {
        let has = async || (cache.has("foo").await.unwrap(), cache.has("spam").await.unwrap());
        assert_eq!(has().await, (false, false));
        cache.set("foo", "bar", Ttl::Default).await.unwrap();
        assert_eq!(has().await, (true, false));
        cache.delete("foo").await.unwrap();
        assert_eq!(has().await, (false, false));
    }
}

#[tokio::test]
async fn test_generic_get_bytes() {
    for (cache, _) in caches() {
        cache.set("foo", &b"bar"[..], Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<Vec<u8>>("foo").await.unwrap().as_deref(), Some(&b"bar"[..]));
    }
}

/// Never one more than the bound.
#[tokio::test]
async fn test_purge() {
    let backend = MemoryBackend::builder().max_entries(2).build();
    let cache = Cache::new(backend.clone());
    for key in ["a", "b", "c", "d"] {
        cache.set(key, key, Ttl::Default).await.unwrap();
        assert!(backend.entries() <= 2);
    }
    assert_eq!(backend.entries(), 2);
    assert_eq!(backend.evictions(), 2);
}

/// `TestNullCache`
#[tokio::test]
async fn test_has() {
    let cache = Cache::new(NullBackend::default());
    assert!(!cache.has("foo").await.unwrap());
    cache.set("foo", "bar", Ttl::Default).await.unwrap();
    assert!(!cache.has("foo").await.unwrap());
}
