//! `test_serializers.py` of cachelib: the codecs. They read and write bytes, no streams, and what fails is an error.

mod test_base_serializer;
#[cfg(feature = "json")]
mod test_json_serializer;

use std::{fmt::Debug, marker::PhantomData};

use axum_caching::{BoxError, Cache, Codec, ErrorKind, Event, Ttl, codec::Postcard};
use serde::{Serialize, Serializer, de::DeserializeOwned};

use crate::{
    bytewise::{Bytewise, bytewise},
    fixture::*,
};

fn decode<T: DeserializeOwned>(codec: &impl Codec, bytes: &[u8]) -> Result<T, BoxError> {
    codec.decode(bytes, PhantomData)
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(codec: &impl Codec, value: &T) {
    let bytes = codec.encode(value).unwrap();
    assert_eq!(decode::<T>(codec, &bytes).unwrap(), *value, "{bytes:?}");
    let longer = [&bytes[..], b"!"].concat();
    assert!(decode::<T>(codec, &longer).is_err(), "all bytes have to be used up: {bytes:?}");
}

/// A value that cannot be written.
struct Unpicklable;

impl Serialize for Unpicklable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("cannot pickle"))
    }
}

/// It is an error, and nothing is stored.
#[tokio::test]
async fn test_dumps_returns_none_on_pickle_error() {
    assert!(Postcard::default().encode(&Unpicklable).is_err());
    for (cache, _) in caches() {
        let error = cache.set("key", &Unpicklable, Ttl::Default).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Encode);
        assert!(!cache.has("key").await.unwrap());
    }
}

/// The codec says that it is an error.
#[tokio::test]
async fn test_loads_returns_none_on_corrupt_data() {
    assert!(decode::<String>(&Postcard::default(), b"not valid pickle data").is_err());
    assert!(decode::<Vec<u64>>(&Postcard::default(), &[0xff; 30]).is_err());
    assert!(decode::<bool>(&Postcard::default(), &[7]).is_err());
}

/// What another program wrote as digits is an integer, on every backend.
#[tokio::test]
async fn test_loads_integer_string_returns_int() {
    let (cache, backend, _) = bytewise();
    for (stored, integer) in [("0", 0), ("42", 42), ("-1", -1), ("9999", 9_999)] {
        backend.put_raw("n", stored);
        assert_eq!(cache.get::<i64>("n").await.unwrap(), Some(integer));
        assert_eq!(cache.increment("n", 1).await.unwrap(), integer + 1);
    }
}

/// An entry that begins as one of ours and cannot be read is a miss, and the observer is told.
#[tokio::test]
async fn test_loads_corrupt_prefixed_data_returns_none() {
    let backend = Bytewise::new(axum_caching::Clock::system());
    let failures = Log::new();
    let log = failures.clone();
    let observer = move |event: &Event<'_>| {
        if let Event::Failed { operation, .. } = event {
            log.push(*operation);
        }
    };
    let cache = Cache::builder(backend.clone()).observer(observer).build();
    cache.set("key", "hello", Ttl::Default).await.unwrap();
    let whole = backend.raw("key").unwrap();
    for length in 1..whole.len() - "hello".len() - 1 {
        backend.put_raw("key", whole.slice(..length));
        assert_eq!(cache.get::<String>("key").await.unwrap(), None, "{length} bytes");
        assert_eq!(failures.take(), ["decode"]);
    }
    backend.put_raw("key", whole);
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("hello"));
}

/// `TestRedisCompatibleSerializers`: there and back through a server.
#[cfg(all(feature = "redis", unix))]
#[tokio::test]
async fn test_roundtrip() {
    let server = crate::support::redis::Server::start();
    let cache = Cache::new(axum_caching::RedisBackend::new(server.url()).unwrap());
    for (key, value) in sample_pairs() {
        cache.set(key, &value, Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<Any>(key).await.unwrap(), Some(value));
    }
}
