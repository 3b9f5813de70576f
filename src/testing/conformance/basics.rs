//! `get`, `set`, `delete` and `has`.

use super::{answer, holds, is, key, read, set};
use crate::backend::Backend;

/// What was stored is found, until something is done about it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::basics};
///
/// basics::what_was_stored_is_found(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn what_was_stored_is_found(backend: &dyn Backend) {
    let (one, two) = (key("one"), key("two"));
    set(backend, &one, "1st", None).await;
    set(backend, &two, "2nd", None).await;
    holds("what was stored is found", is(backend, &one, "1st").await);
    holds("each key has a value of its own", is(backend, &two, "2nd").await);
    holds("reading does not take away", is(backend, &one, "1st").await);
}

/// What was never stored is `None`, `has` not, and deleting it is `false` and no error.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{NullBackend, testing::conformance::basics};
///
/// basics::what_was_never_stored_is_absent(&NullBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn what_was_never_stored_is_absent(backend: &dyn Backend) {
    let key = key("never");
    holds("what was never stored is absent", read(backend, &key).await.is_none());
    holds("deleting what is absent is `false`", !answer("delete", backend.delete(&key).await));
    holds("asking for a key does not make it", read(backend, &key).await.is_none());
}

/// What was deleted is absent; the first `delete` is `true`, the second `false`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::basics};
///
/// basics::what_was_deleted_is_absent(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn what_was_deleted_is_absent(backend: &dyn Backend) {
    let (key, other) = (key("deleted"), key("other"));
    set(backend, &key, "1", None).await;
    set(backend, &other, "2", None).await;
    holds("deleting what is there is `true`", answer("delete", backend.delete(&key).await));
    holds("what was deleted is absent", read(backend, &key).await.is_none());
    holds("deleting what is absent is `false`", !answer("delete", backend.delete(&key).await));
    holds("deleting takes one key", is(backend, &other, "2").await);
    set(backend, &key, "3", None).await;
    holds("a key can be used again after it was deleted", is(backend, &key, "3").await);
}

/// A `set` replaces what was there, all of it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::basics};
///
/// basics::a_later_set_replaces_an_earlier_one(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn a_later_set_replaces_an_earlier_one(backend: &dyn Backend) {
    let key = key("replaced");
    for value in ["a long first value", "short", "", "the last"] {
        set(backend, &key, value, None).await;
        holds("a later `set` replaces an earlier one", is(backend, &key, value).await);
    }
}
