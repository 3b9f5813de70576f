//! The time to live.
//!
//! Each function lets less than five seconds pass.

use std::time::Duration;

use super::{answer, content, holds, is, key, read, set, supported};
use crate::{backend::Backend, value::Value};

const TTL: Duration = Duration::from_secs(2);
/// Well within [`TTL`], also on a slow machine.
const WITHIN: Duration = Duration::from_millis(500);
/// With [`WITHIN`], beyond [`TTL`].
const BEYOND: Duration = Duration::from_secs(2);

/// An entry is there within its time to live, and absent after it, without anybody having to look.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::{ManualClock, conformance::expiry}};
///
/// let clock = ManualClock::new();
/// let backend = MemoryBackend::builder().clock(clock.clock()).build();
/// expiry::an_entry_ends_when_its_time_is_over(&backend, async |time| clock.advance(time)).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn an_entry_ends_when_its_time_is_over(backend: &dyn Backend, advance: impl AsyncFn(Duration)) {
    let (one, many, read_often) = (key("one"), key("many"), key("read"));
    set(backend, &one, "1", Some(TTL)).await;
    set(backend, &read_often, "1", Some(TTL)).await;
    answer("set_many", backend.set_many(&[(&many, Value::from_bytes("1"))], Some(TTL)).await);

    advance(WITHIN).await;
    let is_there = is(backend, &one, "1").await && is(backend, &many, "1").await;
    holds("an entry is there within its time to live", is_there);
    holds("an entry is there within its time to live", is(backend, &read_often, "1").await);

    advance(BEYOND).await;
    holds("an entry is absent after its time to live", read(backend, &one).await.is_none());
    holds("`set_many` gives all entries their end", read(backend, &many).await.is_none());
    holds("reading does not put off the end", read(backend, &read_often).await.is_none());
}

/// 1.5 seconds are neither 1 nor 2.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::{ManualClock, conformance::expiry}};
///
/// let clock = ManualClock::new();
/// let backend = MemoryBackend::builder().clock(clock.clock()).build();
/// expiry::parts_of_a_second_count(&backend, async |time| clock.advance(time)).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn parts_of_a_second_count(backend: &dyn Backend, advance: impl AsyncFn(Duration)) {
    let key = key("part");
    set(backend, &key, "1", Some(Duration::from_millis(1_500))).await;
    advance(Duration::from_millis(1_100)).await;
    holds("a time to live is not rounded down to seconds", is(backend, &key, "1").await);
    advance(Duration::from_millis(600)).await;
    holds("a time to live is not rounded up to seconds", read(backend, &key).await.is_none());
}

/// A time to live of `None`, and one that is longer than any clock counts, do not end.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::{ManualClock, conformance::expiry}};
///
/// let clock = ManualClock::new();
/// let backend = MemoryBackend::builder().clock(clock.clock()).build();
/// expiry::what_has_no_end_stays(&backend, async |time| clock.advance(time)).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn what_has_no_end_stays(backend: &dyn Backend, advance: impl AsyncFn(Duration)) {
    let (none, longest, century) = (key("none"), key("longest"), key("century"));
    set(backend, &none, "1", None).await;
    set(backend, &longest, "1", Some(Duration::MAX)).await;
    set(backend, &century, "1", Some(Duration::from_secs(100 * 365 * 86_400))).await;
    advance(BEYOND).await;
    holds("a time to live of `None` has no end", is(backend, &none, "1").await);
    holds("the longest time to live does not overflow", is(backend, &longest, "1").await);
    holds("a century does not overflow", is(backend, &century, "1").await);
}

/// A later `set` brings its own end with it, longer, shorter or none.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::{ManualClock, conformance::expiry}};
///
/// let clock = ManualClock::new();
/// let backend = MemoryBackend::builder().clock(clock.clock()).build();
/// expiry::a_set_replaces_the_end(&backend, async |time| clock.advance(time)).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn a_set_replaces_the_end(backend: &dyn Backend, advance: impl AsyncFn(Duration)) {
    let (longer, none, shorter) = (key("longer"), key("none"), key("shorter"));
    set(backend, &longer, "1", Some(TTL)).await;
    set(backend, &longer, "2", Some(10 * TTL)).await;
    set(backend, &none, "1", Some(TTL)).await;
    set(backend, &none, "2", None).await;
    set(backend, &shorter, "1", None).await;
    set(backend, &shorter, "2", Some(TTL)).await;
    advance(WITHIN + BEYOND).await;
    holds("a later `set` can put off the end", is(backend, &longer, "2").await);
    holds("a later `set` can take the end away", is(backend, &none, "2").await);
    holds("a later `set` can bring an end", read(backend, &shorter).await.is_none());
}

/// What expired is absent to `delete`, `add`, `increment` and the calls for many keys, too.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::{ManualClock, conformance::expiry}};
///
/// let clock = ManualClock::new();
/// let backend = MemoryBackend::builder().clock(clock.clock()).build();
/// expiry::what_expired_is_absent_to_everything(&backend, async |time| clock.advance(time)).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn what_expired_is_absent_to_everything(backend: &dyn Backend, advance: impl AsyncFn(Duration)) {
    let names = ["get", "has", "delete", "add", "increment", "get_many", "delete_many", "compare_and_set"].map(key);
    for key in &names {
        set(backend, key, "7", Some(TTL)).await;
    }
    advance(WITHIN + BEYOND).await;
    let [get, has, delete, add, increment, get_many, delete_many, swap] = &names;

    holds("what expired is not found", content(answer("get", backend.get(get).await)).is_none());
    holds("`has` does not find what expired", !answer("has", backend.has(has).await));
    holds("deleting what expired is `false`", !answer("delete", backend.delete(delete).await));
    if let Some(added) = supported("add", backend.add(add, Value::from_bytes("8"), None).await) {
        holds("`add` stores over what expired", added && is(backend, add, "8").await);
    }
    if let Some(sum) = supported("increment", backend.increment(increment, 1).await) {
        holds("`increment` counts what expired as 0", sum == 1);
    }
    let found = answer("get_many", backend.get_many(&[get_many]).await);
    holds("`get_many` does not find what expired", matches!(found.as_slice(), [None]));
    let deleted = answer("delete_many", backend.delete_many(&[delete_many]).await);
    holds("`delete_many` does not count what expired", deleted == 0);
    let swapped = backend.compare_and_set(swap, b"7", Value::from_bytes("8"), None).await;
    if let Some(stored) = supported("compare_and_set", swapped) {
        holds("`compare_and_set` does not store over what expired", !stored);
    }
}
