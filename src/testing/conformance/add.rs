//! `add`: stores if there is nothing.

use std::time::Duration;

use super::{answer, holds, is, key, read, set, supported};
use crate::{backend::Backend, value::Value};

/// `add` stores what is absent and says `true`; what is there stays, and the answer is `false`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::add};
///
/// add::stores_only_what_is_absent(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn stores_only_what_is_absent(backend: &dyn Backend) {
    let key = key("add");
    let add = |value| backend.add(&key, Value::from_bytes(value), None);

    let Some(added) = supported("add", add("1st").await) else { return };
    holds("`add` of what is absent is `true`", added);
    holds("`add` stores what is absent", is(backend, &key, "1st").await);

    holds("`add` over what is there is `false`", !answer("add", add("2nd").await));
    holds("`add` leaves what is there", is(backend, &key, "1st").await);

    answer("delete", backend.delete(&key).await);
    holds("`add` stores what was deleted", answer("add", add("3rd").await));
    holds("`add` stores what was deleted", is(backend, &key, "3rd").await);

    set(backend, &key, "", None).await;
    holds("an empty value is there, and `add` leaves it", !answer("add", add("4th").await));
}

/// An `add` that does not store does not touch the end of what is there; one that stores gives it its own.
///
/// `advance` lets time pass; it is asked for less than four seconds.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::{ManualClock, conformance::add}};
///
/// let clock = ManualClock::new();
/// let backend = MemoryBackend::builder().clock(clock.clock()).build();
/// add::leaves_the_end_of_what_is_there(&backend, async |time| clock.advance(time)).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn leaves_the_end_of_what_is_there(backend: &dyn Backend, advance: impl AsyncFn(Duration)) {
    let (ends, stays, added) = (key("ends"), key("stays"), key("added"));
    let second = Some(Duration::from_secs(1));
    set(backend, &ends, "1", second).await;
    set(backend, &stays, "1", None).await;
    let over = |key| backend.add(key, Value::from_bytes("2"), Some(Duration::from_secs(60)));
    if supported("add", over(&ends).await).is_none() {
        return;
    }
    answer("add", backend.add(&stays, Value::from_bytes("2"), second).await);
    answer("add", backend.add(&added, Value::from_bytes("1"), second).await);

    advance(Duration::from_millis(1_500)).await;

    holds("`add` does not put off the end of what is there", read(backend, &ends).await.is_none());
    holds("`add` does not give an end to what has none", is(backend, &stays, "1").await);
    holds("what `add` stored ends when its time is over", read(backend, &added).await.is_none());
}
