//! `test_cachelib.py`: a backend of another crate, which [`Bytewise`] stands for.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum_caching::{BoxError, Cache, CacheLayer, CacheStatus, Codec, Ttl, codec::Postcard, testing::ManualClock};
use serde::{Serialize, de::DeserializeSeed};

use crate::{
    bytewise::{Bytewise, in_bytes, settle},
    fixture::*,
    support::{app, fetch},
};

/// A codec that counts what it does.
#[derive(Clone, Debug, Default)]
pub struct Counting {
    inner: Postcard,
    encoded: Arc<AtomicUsize>,
    decoded: Arc<AtomicUsize>,
}

impl Counting {
    pub fn counts(&self) -> (usize, usize) {
        (self.encoded.load(Ordering::SeqCst), self.decoded.load(Ordering::SeqCst))
    }
}

impl Codec for Counting {
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, BoxError> {
        self.encoded.fetch_add(1, Ordering::SeqCst);
        self.inner.encode(value)
    }

    fn decode<'de, S: DeserializeSeed<'de>>(&self, bytes: &'de [u8], seed: S) -> Result<S::Value, BoxError> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        self.inner.decode(bytes, seed)
    }
}

/// The default is that of the cache, whatever the backend.
#[tokio::test]
async fn test_cachelib_backend_gets_default_timeout() {
    let clock = ManualClock::new();
    let cache = Cache::builder(Bytewise::new(clock.clock())).clock(clock.clock()).ttl(seconds(111)).build();
    cache.set("hi", "hello", Ttl::Default).await.unwrap();
    clock.advance(seconds(110));
    assert!(cache.has("hi").await.unwrap());
    clock.advance(seconds(1));
    assert!(!cache.has("hi").await.unwrap());
}

#[tokio::test]
async fn test_cachelib_backend_proxy_methods() {
    let (cache, _) = in_bytes();
    let get = async || cache.get::<String>("hi").await.unwrap();
    cache.set("hi", "hello", Ttl::Default).await.unwrap();
    assert_eq!(get().await.as_deref(), Some("hello"));
    assert!(cache.has("hi").await.unwrap());

    assert!(!cache.add("hi", "foobar", Ttl::Default).await.unwrap());
    assert_eq!(get().await.as_deref(), Some("hello"));

    cache.set_many([("a", 1), ("b", 2)], Ttl::Default).await.unwrap();
    assert_eq!(cache.get_many::<u8>(["a", "b"]).await.unwrap(), [Some(1), Some(2)]);

    assert!(cache.delete("hi").await.unwrap());
    assert_eq!(get().await, None);

    cache.clear().await.unwrap();
    assert_eq!(cache.get::<u8>("a").await.unwrap(), None);
}

#[tokio::test]
async fn test_cachelib_backend_with_cached_view() {
    let (cache, _) = in_bytes();
    let (app, runs) = app(CacheLayer::new(&cache), |_, _| "ok");
    assert_eq!(fetch(&app, "/").await.1, "ok");
    settle().await;
    assert_eq!(fetch(&app, "/").await, (CacheStatus::Hit, "ok".into()));
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn test_cachelib_backend_with_memoize() {
    let (cache, _) = in_bytes();
    let (memo, calls) = (cache.memoizer("double"), Log::new());
    let double = async |x: u32| {
        let run = async || {
            calls.push(x);
            x * 2
        };
        memo.call(&x, run).await
    };
    assert_eq!((double(2).await, double(2).await), (4, 4));
    assert_eq!(calls.all(), [2]);

    memo.delete_memoized().await.unwrap();

    assert_eq!(double(2).await, 4);
    assert_eq!(calls.all(), [2, 2]);
}

/// It is given when the cache is built, and not replaced after that.
#[tokio::test]
async fn test_backend_uses_cachelib_serializer() {
    let codec = Counting::default();
    let cache = Cache::builder(Bytewise::new(ManualClock::new().clock())).codec(codec.clone()).build();
    cache.set("hi", "hello", Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<String>("hi").await.unwrap().as_deref(), Some("hello"));
    assert_eq!(codec.counts().0, 1);
}
