//! `test_serializer.py`: the codec of a cache.

use std::sync::Arc;

use axum_caching::{Backend, Cache, Clock, Codec, MemoryBackend, Ttl, codec::Postcard};

use crate::{bytewise::Bytewise, fixture::*, test_cachelib::Counting};

fn bytewise() -> Bytewise {
    Bytewise::new(Clock::system())
}

/// It is `Postcard`.
#[tokio::test]
async fn test_default_keeps_the_cachelib_serializer() {
    let backend = bytewise();
    let cache = Cache::new(backend.clone());
    cache.set("hi", "hello", Ttl::Default).await.unwrap();
    let stored = backend.raw("hi").unwrap();
    assert!(stored.ends_with(&Postcard::default().encode("hello").unwrap()), "{stored:?}");
}

#[tokio::test]
async fn test_instance_is_used_as_is() {
    let (one, two) = (Counting::default(), Counting::default());
    let caches = [&one, &two].map(|codec| Cache::builder(bytewise()).codec(codec.clone()).build());
    caches[0].set("hi", "hello", Ttl::Default).await.unwrap();
    assert_eq!((one.counts(), two.counts()), ((1, 0), (0, 0)));
}

/// The codec of a cache is that of its computed values and memoized functions too.
#[tokio::test]
async fn test_serializer_read_from_extension_config() {
    let codec = Counting::default();
    let cache = Cache::builder(bytewise()).codec(codec.clone()).build();
    let text = async || "hello".to_owned();
    for expected in [(1, 0), (1, 1)] {
        assert_eq!(cache.get_or_compute("hi", Ttl::Default, text).await, "hello");
        assert_eq!(codec.counts(), expected);
    }
    let memo = cache.memoizer("hi");
    for expected in [(2, 1), (2, 2)] {
        assert_eq!(memo.call(&(), text).await, "hello");
        assert_eq!(codec.counts(), expected);
    }
}

#[tokio::test]
async fn test_configured_serializer_is_used_for_get_and_set() {
    let codec = Counting::default();
    let cache = Cache::builder(MemoryBackend::default()).codec(codec.clone()).build();
    cache.set("hi", "hello", Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<String>("hi").await.unwrap().as_deref(), Some("hello"));
    assert_eq!(codec.counts(), (1, 1));
}

#[cfg(feature = "json")]
#[tokio::test]
async fn test_values_are_stored_in_the_configured_format() {
    let backend = bytewise();
    let cache = Cache::builder(backend.clone()).codec(axum_caching::codec::Json::default()).build();
    let value = std::collections::BTreeMap::from([("a".to_owned(), 1)]);
    cache.set("hi", &value, Ttl::Default).await.unwrap();
    let stored = backend.raw("hi").unwrap();
    assert!(stored.ends_with(br#"{"a":1}"#), "{stored:?}");
    assert_eq!(cache.get("hi").await.unwrap(), Some(value));
}

/// Whatever the backend is, and however it is given.
#[tokio::test]
async fn test_cachelib_cache_type_gets_the_serializer() {
    let chosen: Arc<dyn Backend> = Arc::new(bytewise());
    let codec = Counting::default();
    let cache = Cache::builder(chosen).codec(codec.clone()).build();
    cache.set("hi", &sample_pairs()[7].1, Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<Any>("hi").await.unwrap().as_ref(), Some(&sample_pairs()[7].1));
    assert_eq!(codec.counts(), (1, 1));
}
