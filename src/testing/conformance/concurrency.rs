//! Many tasks at once. Has to be called on a tokio runtime; one with several threads finds more.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{answer, holds, key, read, supported};
use crate::{backend::Backend, value::Value};

const TASKS: usize = 32;
const ROUNDS: usize = 25;

/// Of many tasks that `add` one key, exactly one is told `true`, and its value is there.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use axum_caching::{Backend, MemoryBackend, testing::conformance::concurrency};
///
/// let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
/// concurrency::one_of_many_adds_wins(&backend).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn one_of_many_adds_wins(backend: &Arc<dyn Backend>) {
    for _ in 0..ROUNDS {
        let key: Arc<str> = key("add").into();
        let tried = at_once(|task| {
            let (backend, key) = (Arc::clone(backend), Arc::clone(&key));
            async move { backend.add(&key, Value::from_bytes(task.to_string()), None).await }
        });
        let mut winners = Vec::new();
        for (task, tried) in tried.into_iter().enumerate() {
            match supported("add", joined(tried).await) {
                Some(true) => winners.push(task),
                Some(false) => {}
                None => return,
            }
        }
        let [winner] = winners[..] else {
            panic!("the backend breaks a rule: one of many adds wins; {} did", winners.len());
        };
        let found = read(&**backend, &key).await;
        holds("the value of the `add` that won is there", found == Some(winner.to_string().into()));
    }
}

/// What many tasks add to one integer is all there in the end, and each sum was returned once.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use axum_caching::{Backend, MemoryBackend, testing::conformance::concurrency};
///
/// let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
/// concurrency::no_addition_is_lost(&backend).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn no_addition_is_lost(backend: &Arc<dyn Backend>) {
    let key: Arc<str> = key("sum").into();
    let adding = at_once(|_| {
        let (backend, key) = (Arc::clone(backend), Arc::clone(&key));
        async move {
            let mut sums = Vec::with_capacity(ROUNDS);
            for _ in 0..ROUNDS {
                sums.push(backend.increment(&key, 1).await);
            }
            sums
        }
    });
    let mut sums = Vec::new();
    for task in adding {
        for sum in joined(task).await {
            let Some(sum) = supported("increment", sum) else { return };
            sums.push(sum);
        }
    }
    sums.sort_unstable();
    let expected: Vec<i64> = (1..).take(TASKS * ROUNDS).collect();
    holds("each addition is counted once, and no two are told the same sum", sums == expected);
}

/// While many tasks store two values under one key, a reader sees the one or the other, never a mixture or nothing.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use axum_caching::{Backend, MemoryBackend, testing::conformance::concurrency};
///
/// let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
/// concurrency::a_value_is_never_half_of_two(&backend).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule.
pub async fn a_value_is_never_half_of_two(backend: &Arc<dyn Backend>) {
    let key: Arc<str> = key("torn").into();
    let values = [Bytes::from(vec![b'a'; 64 << 10]), Bytes::from(vec![b'b'; 32 << 10])];
    answer("set", backend.set(&key, Value::from_bytes(values[0].clone()), None).await);
    let tasks = at_once(|task| {
        let (backend, key, values) = (Arc::clone(backend), Arc::clone(&key), values.clone());
        async move {
            for _ in 0..ROUNDS {
                if task % 2 == 0 {
                    let value = values[task / 2 % 2].clone();
                    answer("set", backend.set(&key, Value::from_bytes(value), None).await);
                } else {
                    let found = answer("get", backend.get(&key).await);
                    let found = found.map(|value| value.to_bytes().expect("bytes have bytes"));
                    let is_whole = found.is_some_and(|found| values.contains(&found));
                    holds("a reader sees one whole value, before or after", is_whole);
                }
            }
        }
    });
    for task in tasks {
        joined(task).await;
    }
}

fn at_once<F>(task: impl Fn(usize) -> F) -> Vec<JoinHandle<F::Output>>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    (0..TASKS).map(|number| tokio::spawn(task(number))).collect()
}

/// What a task returned; one that panicked goes on panicking here.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
