//! `test_subclassing.py`: a wrapper sees all that goes to the cache. Here it wraps the backend.

use std::time::Duration;

use axum_caching::{Backend, BackendFuture, Cache, CacheLayer, MemoryBackend, Value};

use crate::{
    bytewise::Bytewise,
    fixture::*,
    support::{app, fetch},
};

/// Notes the operations that a backend is asked for.
#[derive(Clone, Debug)]
struct Recording<B> {
    inner: B,
    calls: Log<&'static str>,
}

impl<B: Backend> Recording<B> {
    fn cache(inner: B) -> (Cache, Log<&'static str>) {
        let calls = Log::new();
        (Cache::new(Self { inner, calls: calls.clone() }), calls)
    }
}

/// Nothing is answered behind its back: there is no `get_now`.
impl<B: Backend> Backend for Recording<B> {
    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn keeps_live(&self) -> bool {
        self.inner.keeps_live()
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.calls.push("get");
        self.inner.get(key)
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        self.calls.push("set");
        self.inner.set(key, value, ttl)
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        self.calls.push("add");
        self.inner.add(key, value, ttl)
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.calls.push("delete");
        self.inner.delete(key)
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.calls.push("increment");
        self.inner.increment(key, by)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.calls.push("clear");
        self.inner.clear(prefix)
    }

    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.calls.push("has");
        self.inner.has(key)
    }
}

fn in_memory() -> (Cache, Log<&'static str>) {
    Recording::cache(MemoryBackend::default())
}

fn in_bytes() -> (Cache, Log<&'static str>) {
    Recording::cache(Bytewise::new(axum_caching::Clock::system()))
}

/// Before a response is stored, the slot is looked at, which another variant may hold.
#[tokio::test]
async fn test_cached_uses_public_methods() {
    let (cache, calls) = in_memory();
    let (app, _) = app(CacheLayer::new(&cache), |_, _| "hello");
    fetch(&app, "/").await;
    assert_eq!(calls.take(), ["get", "get", "set"]);
    fetch(&app, "/").await;
    assert_eq!(calls.take(), ["get"]);
}

/// `None` is a value, so that nothing has to be asked twice.
#[tokio::test]
async fn test_cached_cache_none_uses_public_has() {
    let (cache, calls) = in_memory();
    for expected in [&["get", "set"][..], &["get"]] {
        assert_eq!(cache.get_or_compute("cached_view", seconds(60), async || None::<u8>).await, None);
        assert_eq!(calls.take(), expected);
    }
}

/// In memory there is no version. Elsewhere the tag of the function is one, made by the first call, and read before each
/// run.
#[tokio::test]
async fn test_memoize_uses_public_methods() {
    let (cache, calls) = in_memory();
    let big_foo = Foo::new(cache.memoizer("big_foo"));
    big_foo.call((5, 2)).await;
    assert_eq!(calls.take(), ["get", "set"]);
    big_foo.call((5, 2)).await;
    assert_eq!(calls.take(), ["get"]);

    let (cache, calls) = in_bytes();
    let big_foo = Foo::new(cache.memoizer("big_foo"));
    big_foo.call((5, 2)).await;
    assert_eq!(calls.take(), ["get", "get", "add", "get", "set"]);
    big_foo.call((5, 2)).await;
    assert_eq!(calls.take(), ["get", "get"]);
    big_foo.call((5, 3)).await;
    assert_eq!(calls.take(), ["get", "get", "set"]);
}

/// The second is the tag of the result, on which other results may depend.
#[tokio::test]
async fn test_delete_memoized_uses_public_delete() {
    for (cache, calls) in [in_memory(), in_bytes()] {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        big_foo.call((5, 2)).await;
        calls.take();
        big_foo.memo.delete_memoized_for(&(5, 2)).await.unwrap();
        assert_eq!(calls.take(), ["delete", "delete"]);
    }
}

/// In memory it is one atomic, and no operation; elsewhere the tag is deleted.
#[tokio::test]
async fn test_delete_memoized_without_args_uses_public_set_many() {
    for ((cache, calls), expected) in [(in_memory(), &[][..]), (in_bytes(), &["delete"])] {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        big_foo.call((5, 2)).await;
        calls.take();
        big_foo.memo.delete_memoized().await.unwrap();
        assert_eq!(calls.take(), expected);
        assert_eq!(big_foo.call((5, 2)).await, 2);
    }
}

/// The same as `delete_memoized`.
#[tokio::test]
async fn test_delete_memoized_verhash_uses_public_delete_many() {
    for ((cache, calls), expected) in [(in_memory(), &[][..]), (in_bytes(), &["delete"])] {
        let big_foo = Foo::new(cache.memoizer("big_foo"));
        big_foo.call((5, 2)).await;
        calls.take();
        big_foo.memo.delete_memoized_verhash().await.unwrap();
        assert_eq!(calls.take(), expected);
        assert_eq!(big_foo.call((5, 2)).await, 2);
    }
}

#[tokio::test]
async fn test_subclass_overrides_still_cache_correctly() {
    for (cache, _) in [in_memory(), in_bytes()] {
        let (memo, runs) = (cache.memoizer("big_foo"), Log::new());
        let big_foo = async |a: u32, b: u32| {
            let run = async || {
                runs.push((a, b));
                a + b
            };
            memo.call(&(a, b), run).await
        };
        assert_eq!((big_foo(5, 2).await, big_foo(5, 2).await), (7, 7));
        assert_eq!(runs.all(), [(5, 2)]);
    }
}
