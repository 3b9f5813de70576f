//! `TestBaseSerializer`

use std::collections::BTreeMap;

use axum_caching::codec::Postcard;

use super::comes_back;
use crate::fixture::*;

/// A value has a type, and is read as that.
#[test]
fn test_dumps_loads_roundtrip() {
    let codec = Postcard::default();
    comes_back(&codec, &None::<u8>);
    comes_back(&codec, &true);
    comes_back(&codec, &false);
    for integer in [0, 42, -1] {
        comes_back(&codec, &integer);
    }
    comes_back(&codec, &2.5);
    for text in ["", "hello"] {
        comes_back(&codec, &text.to_owned());
    }
    comes_back(&codec, &b"raw bytes".to_vec());
    comes_back(&codec, &Vec::<u8>::new());
    comes_back(&codec, &vec![1, 2, 3]);
    comes_back(&codec, &(1, 2));
    comes_back(&codec, &BTreeMap::<String, u8>::new());
    comes_back(&codec, &(1, vec![Some(true), None]));
    for (_, value) in sample_pairs() {
        comes_back(&codec, &value);
    }
}
