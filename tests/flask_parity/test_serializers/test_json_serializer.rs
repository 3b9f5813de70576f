//! `TestJSONSerializer`

use std::collections::BTreeMap;

use axum_caching::Codec;
use axum_caching::codec::Json;
use serde_json::{Value, json};

use super::{Unpicklable, comes_back, decode};

#[test]
fn test_dumps_loads_roundtrip() {
    let codec = Json::default();
    let values = json!([
        null, true, false, 0, 42, -1, 2.5, "", "hello", [], [1, 2, 3], {}, {"a": 1, "b": [true, null]}
    ]);
    let values = values.as_array().unwrap();
    assert_eq!(values.len(), 13);
    // A JSON value reads an integer and a `!` behind it as an error, as any other.
    for value in values {
        comes_back::<Value>(&codec, value);
    }
}

/// It is an error; bytes are a list of numbers.
#[test]
fn test_dumps_non_serializable_returns_none() {
    let codec = Json::default();
    assert!(codec.encode(&Unpicklable).is_err());
    assert!(codec.encode(&BTreeMap::from([(vec![1], 1)])).is_err(), "a list is no key");
    assert_eq!(codec.encode(&b"raw"[..]).unwrap(), b"[114,97,119]");
}

/// It is an error.
#[test]
fn test_loads_invalid_json_returns_none() {
    for invalid in ["not json", "", "{", "[1,]", "{\"a\": 1} 2"] {
        assert!(decode::<Value>(&Json::default(), invalid.as_bytes()).is_err(), "{invalid}");
    }
}
