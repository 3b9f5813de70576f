//! What a value may be: any bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::{answer, holds, key, read};
use crate::{
    backend::Backend,
    error::ErrorKind,
    record::{Encoded, Meta, Record},
    value::Value,
};

/// Every byte value comes back, and texts that some stores take for something else.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::values};
///
/// values::every_byte_comes_back(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn every_byte_comes_back(backend: &dyn Backend) {
    let key = key("bytes");
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let backwards: Vec<u8> = (0..=u8::MAX).rev().collect();
    let texts = ["", "\0", "0", "007", "+1", "-0", "1.0", "null", "None", "nil", "\r\n", "END\r\n", "!\u{80}"];
    let values = texts.map(|text| text.as_bytes().to_vec());
    for value in [all, backwards, vec![0xff; 3], vec![0; 3]].into_iter().chain(values).map(Bytes::from) {
        answer("set", backend.set(&key, Value::from_bytes(value.clone()), None).await);
        let found = read(backend, &key).await;
        holds(&format!("every byte comes back; these do not: {value:?}"), found == Some(value));
    }
}

/// An object that the cache keeps live comes back, itself or its bytes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::values};
///
/// values::a_live_value_comes_back(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn a_live_value_comes_back(backend: &dyn Backend) {
    let key = key("live");
    let meta = Meta {
        created: 1,
        fresh_until: u64::MAX,
        stale_until: u64::MAX,
        error_until: u64::MAX,
        nonce: 2,
        took: 3,
        digested: Some("text".into()),
        carried: Box::default(),
        namespace: 0,
    };
    let record = Record { meta: meta.clone(), payload: Encoded::Bytes(Bytes::from_static(b"body")) };
    answer("set", backend.set(&key, Arc::new(record).into_value(), None).await);

    let found = answer("get", backend.get(&key).await).map(Record::<Encoded>::from_value);
    let is_same = matches!(found, Some(Ok(found)) if found.meta == meta && matches!(&found.payload, Encoded::Bytes(bytes) if bytes == "body"));
    holds("a live value comes back, itself or its bytes", is_same);
}

/// A value of 1 MiB is kept, or the answer is `TooLarge`; never neither.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::values};
///
/// values::a_large_value_is_kept_or_refused_aloud(&MemoryBackend::default()).await;
/// // One that is too small for it says so.
/// let small = MemoryBackend::builder().max_bytes(1_000).build();
/// values::a_large_value_is_kept_or_refused_aloud(&small).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn a_large_value_is_kept_or_refused_aloud(backend: &dyn Backend) {
    let key = key("large");
    let value = Bytes::from(vec![7; 1 << 20]);
    match backend.set(&key, Value::from_bytes(value.clone()), None).await {
        Ok(()) => {
            let found = read(backend, &key).await;
            holds("a value whose `set` was acknowledged is there, whole", found == Some(value));
        }
        Err(error) => {
            let rule = format!("a value that is not taken is `TooLarge`; the answer was: {error}");
            holds(&rule, error.kind() == ErrorKind::TooLarge);
            holds("a value that was refused is not there", read(backend, &key).await.is_none());
        }
    }
    // Much memory for one that is left behind.
    answer("delete", backend.delete(&key).await);
}
