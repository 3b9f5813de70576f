//! The contract of [`Backend`], as functions that panic where it is broken.
//!
//! A backend of your own is right if [`all`] returns. Each rule is also a function by itself, so that a failure is
//! looked for with a test of one line. A function uses keys that nobody used before, so the backend need not be
//! empty, and leaves a few of them behind.
//!
//! Rules about time take a function that lets time pass: [`ManualClock::advance`](super::ManualClock::advance)
//! where the backend reads a [`Clock`](crate::Clock), `tokio::time::sleep` where it is a server that has its own.
//!
//! Only `add`, `increment`, `clear` and `compare_and_set` may answer
//! [`ErrorKind::Unsupported`]; the rules about them then pass without a further look.
//!
//! # Examples
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use axum_caching::{Backend, MemoryBackend, testing::{ManualClock, conformance}};
//!
//! let clock = ManualClock::new();
//! let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::builder().clock(clock.clock()).build());
//! conformance::all(&backend, async |time| clock.advance(time)).await;
//! # });
//! ```

pub mod add;
pub mod basics;
pub mod batches;
pub mod clear;
pub mod concurrency;
pub mod counters;
pub mod expiry;
pub mod keys;
pub mod tokens;
pub mod values;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    backend::Backend,
    error::{ErrorKind, Result},
    stamps,
    value::Value,
};

/// Every rule there is. Has to be called on a tokio runtime.
///
/// `advance` lets time pass; all rules together ask it for less than 20 seconds.
///
/// See the [module](self) for an example.
///
/// # Panics
///
/// If the backend breaks a rule, with a sentence that names it.
pub async fn all(backend: &Arc<dyn Backend>, advance: impl AsyncFn(Duration)) {
    let one: &dyn Backend = &**backend;

    basics::what_was_stored_is_found(one).await;
    basics::what_was_never_stored_is_absent(one).await;
    basics::what_was_deleted_is_absent(one).await;
    basics::a_later_set_replaces_an_earlier_one(one).await;

    keys::any_text_is_a_key(one).await;
    keys::keys_that_differ_in_any_byte_are_two_keys(one).await;
    keys::long_keys_are_not_cut(one).await;

    values::every_byte_comes_back(one).await;
    values::a_live_value_comes_back(one).await;
    values::a_large_value_is_kept_or_refused_aloud(one).await;

    add::stores_only_what_is_absent(one).await;
    add::leaves_the_end_of_what_is_there(one, &advance).await;

    batches::many_values_come_in_the_order_of_their_keys(one).await;
    batches::deleting_many_counts_those_that_were_there(one).await;
    batches::no_keys_are_no_error(one).await;

    counters::what_is_absent_counts_as_zero(one).await;
    counters::what_is_no_integer_stays_as_it_is(one).await;
    counters::a_sum_that_does_not_fit_changes_nothing(one).await;
    counters::a_sum_keeps_its_end(one, &advance).await;

    clear::takes_what_begins_with_the_prefix(one).await;
    clear::reads_the_prefix_literally(one).await;

    tokens::stores_only_over_the_token(one).await;

    expiry::an_entry_ends_when_its_time_is_over(one, &advance).await;
    expiry::parts_of_a_second_count(one, &advance).await;
    expiry::what_has_no_end_stays(one, &advance).await;
    expiry::a_set_replaces_the_end(one, &advance).await;
    expiry::what_expired_is_absent_to_everything(one, &advance).await;

    concurrency::one_of_many_adds_wins(backend).await;
    concurrency::no_addition_is_lost(backend).await;
    concurrency::a_value_is_never_half_of_two(backend).await;
}

/// A key that nobody used before.
fn key(name: &str) -> String {
    format!("conformance:{:016x}:{name}", stamps::fresh())
}

/// Panics with the rule unless it was kept.
#[track_caller]
fn holds(rule: &str, is_kept: bool) {
    assert!(is_kept, "the backend breaks a rule: {rule}");
}

/// The answer to what every backend can do.
#[track_caller]
fn answer<T>(operation: &str, answer: Result<T>) -> T {
    answer.unwrap_or_else(|error| panic!("the backend breaks a rule: `{operation}` works; it answered: {error}"))
}

/// The answer to what not every backend can do; `None` if this one said so.
#[track_caller]
fn supported<T>(operation: &str, answer: Result<T>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        Err(error) => {
            panic!("the backend breaks a rule: `{operation}` works or is `Unsupported`; it answered: {error}")
        }
    }
}

#[track_caller]
fn content(value: Option<Value>) -> Option<Bytes> {
    value.map(|value| value.to_bytes().expect("the backend breaks a rule: what it returns has bytes"))
}

/// What is under a key.
async fn read(backend: &dyn Backend, key: &str) -> Option<Bytes> {
    let now = backend.get_now(key).map(|now| content(answer("get_now", now)));
    let got = content(answer("get", backend.get(key).await));
    holds("`get_now` gives no answer, or that of `get`", now.is_none_or(|now| now == got));
    let has = answer("has", backend.has(key).await);
    holds("`has` is true exactly if `get` finds something", has == got.is_some());
    got
}

async fn set(backend: &dyn Backend, key: &str, value: &'static str, ttl: Option<Duration>) {
    answer("set", backend.set(key, Value::from_bytes(value), ttl).await);
}

async fn is(backend: &dyn Backend, key: &str, value: &str) -> bool {
    read(backend, key).await.is_some_and(|found| found == value)
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use super::*;
    use crate::backend::{BackendFuture, MemoryBackend, NullBackend};

    /// A backend of which one rule is broken: deleting is always said to have deleted.
    #[derive(Debug)]
    struct Boaster(MemoryBackend);

    impl Backend for Boaster {
        fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
            self.0.get(key)
        }
        fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
            self.0.set(key, value, ttl)
        }
        fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
            self.0.add(key, value, ttl)
        }
        fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
            BackendFuture::new(async move { self.0.delete(key).await.map(|_| true) })
        }
        fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
            self.0.increment(key, by)
        }
        fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
            self.0.clear(prefix)
        }
    }

    #[tokio::test]
    #[should_panic(expected = "the backend breaks a rule: deleting what is absent is `false`")]
    async fn a_broken_rule_is_named() {
        basics::what_was_deleted_is_absent(&Boaster(MemoryBackend::default())).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the backend breaks a rule: what was stored is found")]
    async fn a_backend_that_keeps_nothing_does_not_pass() {
        basics::what_was_stored_is_found(&NullBackend::default()).await;
    }
}
