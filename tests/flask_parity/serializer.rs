//! `serializer.py` of cachelib: the explicit calls with JSON.

use std::collections::HashMap;

use axum_caching::{Cache, Clock, MemoryBackend, Ttl, codec::Json};
use serde_json::{Value, json};

use crate::{bytewise::Bytewise, fixture::caches};

fn in_json() -> [Cache; 2] {
    let bytewise = Bytewise::new(Clock::system());
    [Cache::builder(MemoryBackend::default()), Cache::builder(bytewise)]
        .map(|cache| cache.codec(Json::default()).build())
}

#[tokio::test]
async fn test_serializer_injection_roundtrip() {
    for cache in in_json() {
        let value = json!({"a": 1, "b": [1, 2, 3]});
        cache.set("key", &value, Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<Value>("key").await.unwrap(), Some(value));
    }
}

#[tokio::test]
async fn test_serializer_injection_set_many() {
    for cache in in_json() {
        let pairs = [("k1", json!("hello")), ("k2", json!(42)), ("k3", json!([true, null]))];
        cache.set_many(pairs.clone(), Ttl::Default).await.unwrap();
        let values: Vec<_> = pairs.iter().map(|(_, value)| Some(value.clone())).collect();
        assert_eq!(cache.get_many::<Value>(pairs.map(|(key, _)| key)).await.unwrap(), values);
    }
}

#[tokio::test]
async fn test_serializer_injection_add() {
    for cache in in_json() {
        assert!(cache.add("key", &json!({"a": 1}), Ttl::Default).await.unwrap());
        assert_eq!(cache.get::<Value>("key").await.unwrap(), Some(json!({"a": 1})));
        assert!(!cache.add("key", &json!({"b": 2}), Ttl::Default).await.unwrap());
        assert_eq!(cache.get::<Value>("key").await.unwrap(), Some(json!({"a": 1})));
    }
}

#[tokio::test]
async fn test_serializer_injection_get_dict() {
    for cache in in_json() {
        cache.set_many([("k1", json!("hello")), ("k2", json!(42))], Ttl::Default).await.unwrap();
        let expected = HashMap::from([("k1".to_owned(), Some(json!("hello"))), ("k2".to_owned(), Some(json!(42)))]);
        assert_eq!(cache.get_dict::<Value>(["k1", "k2"]).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn test_no_serializer_uses_default() {
    for (cache, _) in caches() {
        cache.set("key", &b"raw bytes\xff\x00"[..], Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<Vec<u8>>("key").await.unwrap().as_deref(), Some(&b"raw bytes\xff\x00"[..]));
    }
}
