//! What a key may be: any UTF-8 text up to about 600 bytes.

use bytes::Bytes;

use super::{answer, holds, key, read};
use crate::{backend::Backend, value::Value};

/// Control characters, spaces, slashes, dots, wildcards and all scripts can be in a key.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::keys};
///
/// keys::any_text_is_a_key(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn any_text_is_a_key(backend: &dyn Backend) {
    let own = key("");
    let ascii = (0..=127_u8).map(|byte| char::from(byte).to_string());
    let texts =
        ["", "../up", "a/b/../c", "a\r\nset b 0 0 1", "'; --", "{a}b", "größe", "鍵", "🗝\u{fe0f}", "\u{10ffff}"];
    let keys: Vec<String> = ascii.chain(texts.map(str::to_owned)).map(|text| format!("{own}{text}")).collect();
    are_apart("any text is a key of its own", backend, &keys).await;
}

/// Case, blanks at the end and the way a letter is composed all count.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::keys};
///
/// keys::keys_that_differ_in_any_byte_are_two_keys(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn keys_that_differ_in_any_byte_are_two_keys(backend: &dyn Backend) {
    let own = key("");
    let texts = ["key", "Key", "KEY", "key ", " key", "key\0", "key/", "key//", "kéy", "ke\u{301}y", "k%65y"];
    let keys: Vec<String> = texts.iter().map(|text| format!("{own}{text}")).collect();
    are_apart("keys that differ in any byte are two keys", backend, &keys).await;
}

/// Keys of 512 and of 600 bytes that differ in their last byte only are two keys.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::keys};
///
/// keys::long_keys_are_not_cut(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn long_keys_are_not_cut(backend: &dyn Backend) {
    let own = key("");
    let long = |length: usize, last: char| format!("{own}{}{last}", "k".repeat(length - 1 - own.len()));
    let wide = |last: char| format!("{own}{}{last}", "鍵".repeat(150));
    let mut keys = vec![wide('a'), wide('b')];
    for length in [250, 251, 255, 256, 257, 511, 512, 600] {
        keys.extend([long(length, 'a'), long(length, 'b')]);
    }
    are_apart("keys of up to 600 bytes are kept whole", backend, &keys).await;
}

/// Stores under each key its place in the list, and then looks at all of them.
async fn are_apart(rule: &str, backend: &dyn Backend, keys: &[String]) {
    let value = |index: usize| Bytes::from(format!("value {index}"));
    for (index, key) in keys.iter().enumerate() {
        answer("set", backend.set(key, Value::from_bytes(value(index)), None).await);
    }
    for (index, key) in keys.iter().enumerate() {
        let found = read(backend, key).await;
        holds(&format!("{rule}; this one is not: {key:?}"), found == Some(value(index)));
    }
    for key in keys {
        let deleted = answer("delete", backend.delete(key).await);
        holds(&format!("{rule}; deleting another took this one: {key:?}"), deleted);
    }
}
