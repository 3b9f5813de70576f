//! `get_many`, `set_many` and `delete_many`.

use super::{answer, content, holds, is, key, read, set};
use crate::{backend::Backend, value::Value};

/// `get_many` answers in the order of the keys, with `None` for what is absent; `set_many` stores all.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::batches};
///
/// batches::many_values_come_in_the_order_of_their_keys(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn many_values_come_in_the_order_of_their_keys(backend: &dyn Backend) {
    let (one, two, absent) = (key("one"), key("two"), key("absent"));
    let entries = [(two.as_str(), Value::from_bytes("2nd")), (one.as_str(), Value::from_bytes("1st"))];
    answer("set_many", backend.set_many(&entries, None).await);

    holds("`set_many` stores all", is(backend, &one, "1st").await && is(backend, &two, "2nd").await);
    let asked = [one.as_str(), &absent, &two, &one];
    let found = answer("get_many", backend.get_many(&asked).await);
    holds("`get_many` has one answer for each key", found.len() == asked.len());
    let found: Vec<_> = found.into_iter().map(content).collect();
    let expected = [Some("1st"), None, Some("2nd"), Some("1st")].map(|value| value.map(Into::into));
    holds("`get_many` answers in the order of the keys, also for one that is there twice", found == expected);
}

/// `delete_many` removes all, counts those that were there, and does not stop at one that was not.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::batches};
///
/// batches::deleting_many_counts_those_that_were_there(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn deleting_many_counts_those_that_were_there(backend: &dyn Backend) {
    let (absent, one, two, other) = (key("absent"), key("one"), key("two"), key("other"));
    for key in [&one, &two, &other] {
        set(backend, key, "1", None).await;
    }

    let deleted = answer("delete_many", backend.delete_many(&[&absent, &one, &two, &one]).await);

    holds("`delete_many` counts each key that was there once", deleted == 2);
    let is_gone = read(backend, &one).await.is_none() && read(backend, &two).await.is_none();
    holds("`delete_many` does not stop at a key that is absent", is_gone);
    holds("`delete_many` takes no other key", is(backend, &other, "1").await);
}

/// Empty lists are answered, not refused.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{NullBackend, testing::conformance::batches};
///
/// batches::no_keys_are_no_error(&NullBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn no_keys_are_no_error(backend: &dyn Backend) {
    holds("no keys have no values", answer("get_many", backend.get_many(&[]).await).is_empty());
    answer("set_many", backend.set_many(&[], None).await);
    holds("of no keys none was there", answer("delete_many", backend.delete_many(&[]).await) == 0);
}
