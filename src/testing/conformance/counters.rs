//! `increment`.

use std::time::Duration;

use super::{answer, holds, is, key, read, supported};
use crate::{
    backend::Backend,
    error::{ErrorKind, Result},
    value::Value,
};

const NOT_AN_INTEGER: &str = "adding to what is no integer, or beyond 64 bits, is `NotAnInteger`";

/// What is absent counts as 0, `by` may be negative, and an integer that was stored is added to.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::counters};
///
/// counters::what_is_absent_counts_as_zero(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn what_is_absent_counts_as_zero(backend: &dyn Backend) {
    let (key, stored, digits) = (key("counter"), key("stored"), key("digits"));
    let Some(sum) = supported("increment", backend.increment(&key, 5).await) else { return };
    holds("what is absent counts as 0", sum == 5);
    for (by, expected) in [(0, 5), (-7, -2), (2, 0), (i64::MAX, i64::MAX), (-i64::MAX, 0)] {
        let sum = answer("increment", backend.increment(&key, by).await);
        holds("`increment` returns the sum", sum == expected);
        let found = answer("get", backend.get(&key).await).and_then(|value| value.as_integer());
        holds("the sum can be read as an integer", found == Some(expected));
        holds("the sum is kept as ASCII digits", is(backend, &key, &expected.to_string()).await);
    }

    answer("set", backend.set(&stored, Value::integer(40), None).await);
    let sum = answer("increment", backend.increment(&stored, 2).await);
    holds("an integer that was stored is added to", sum == 42);
    answer("set", backend.set(&digits, Value::from_bytes("40"), None).await);
    let sum = answer("increment", backend.increment(&digits, 2).await);
    holds("digits are an integer", sum == 42);

    answer("delete", backend.delete(&key).await);
    let sum = answer("increment", backend.increment(&key, 1).await);
    holds("a counter that was deleted counts as 0", sum == 1);
}

/// Another value than an integer is refused, and left as it is.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::counters};
///
/// counters::what_is_no_integer_stays_as_it_is(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn what_is_no_integer_stays_as_it_is(backend: &dyn Backend) {
    let key = key("text");
    for value in ["seven", "", "1.5", "9223372036854775808"] {
        answer("set", backend.set(&key, Value::from_bytes(value), None).await);
        if refused(backend.increment(&key, 1).await).is_none() {
            return;
        }
        holds("a value that cannot be added to stays as it is", is(backend, &key, value).await);
    }
}

/// A sum beyond 64 bits is refused, in both directions, and the integer stays as it is.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::counters};
///
/// counters::a_sum_that_does_not_fit_changes_nothing(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn a_sum_that_does_not_fit_changes_nothing(backend: &dyn Backend) {
    let key = key("limit");
    for (limit, by) in [(i64::MAX, 1), (i64::MIN, -1), (i64::MAX, i64::MAX), (-2, i64::MIN)] {
        answer("set", backend.set(&key, Value::integer(limit), None).await);
        if refused(backend.increment(&key, by).await).is_none() {
            return;
        }
        let found = read(backend, &key).await;
        holds("an integer whose sum would not fit stays as it is", found == Some(limit.to_string().into()));
    }
}

/// A sum ends when the integer would have ended; a counter that `increment` made has no end.
///
/// `advance` lets time pass; it is asked for less than four seconds.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::{ManualClock, conformance::counters}};
///
/// let clock = ManualClock::new();
/// let backend = MemoryBackend::builder().clock(clock.clock()).build();
/// counters::a_sum_keeps_its_end(&backend, async |time| clock.advance(time)).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn a_sum_keeps_its_end(backend: &dyn Backend, advance: impl AsyncFn(Duration)) {
    let (ends, made) = (key("ends"), key("made"));
    if supported("increment", backend.increment(&made, 1).await).is_none() {
        return;
    }
    answer("set", backend.set(&ends, Value::integer(1), Some(Duration::from_secs(1))).await);
    answer("increment", backend.increment(&ends, 1).await);
    answer("increment", backend.increment(&made, 1).await);

    advance(Duration::from_millis(1_500)).await;

    holds("adding does not put off the end of an integer", read(backend, &ends).await.is_none());
    let sum = answer("increment", backend.increment(&ends, 10).await);
    holds("an integer that expired counts as 0", sum == 10);
    holds("a counter that `increment` made has no end", is(backend, &made, "2").await);
}

/// `None` if it is not supported.
fn refused(sum: Result<i64>) -> Option<()> {
    match sum {
        Ok(sum) => panic!("the backend breaks a rule: {NOT_AN_INTEGER}; it answered {sum}"),
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        Err(error) if error.kind() == ErrorKind::NotAnInteger => Some(()),
        Err(error) => panic!("the backend breaks a rule: {NOT_AN_INTEGER}; it answered: {error}"),
    }
}
