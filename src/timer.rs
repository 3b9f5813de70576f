//! Timers, where there are any: a runtime of tokio that counts the time.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, sleep, timeout_at},
};

thread_local! {
    /// The runtime without timers that was seen last on this thread.
    static WITHOUT: Cell<Option<Id>> = const { Cell::new(None) };
}

/// Whether the caller can be woken when a time has come.
pub(crate) fn is_there() -> bool {
    made(|| sleep(Duration::ZERO)).is_some()
}

/// A timer, where there can be one.
fn made<T>(timer: impl FnOnce() -> T) -> Option<T> {
    let runtime = Handle::try_current().ok()?.id();
    if WITHOUT.get() == Some(runtime) {
        return None;
    }
    // tokio says that there is none in a panic and in no other way: once a thread and runtime. Where panics abort there is
    // no asking.
    let made = if cfg!(panic = "abort") { Some(timer()) } else { catch_unwind(AssertUnwindSafe(timer)).ok() };
    if made.is_none() {
        WITHOUT.set(Some(runtime));
    }
    made
}

/// Waits for a future until then at the most; for ever where nobody counts the time.
pub(crate) async fn before<F: Future>(until: Option<Instant>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match until.and_then(|until| made(|| timeout_at(until, future.as_mut()))) {
        Some(bounded) => bounded.await.ok(),
        None => Some(future.await),
    }
}

/// What a future has at its first poll, which needs no timer.
pub(crate) async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// So long a caller waits, over all that it waits for. It begins when there is something to wait for.
#[derive(Debug)]
pub(crate) struct Bound {
    limit: Duration,
    until: Option<Instant>,
}

impl Bound {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, until: None }
    }

    /// It begins now, with something that somebody else bounds.
    pub(crate) fn begin(&mut self) {
        if self.until.is_none() {
            self.until = Instant::now().checked_add(self.limit);
        }
    }

    /// `None`: it did not come in time. What is ready comes in time in any case.
    pub(crate) async fn over<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        if let Some(output) = at_once(future.as_mut()).await {
            return Some(output);
        }
        self.begin();
        before(self.until, future).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::runtime::Builder;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_bound_is_for_all_that_is_waited_for_together() {
        let began = Instant::now();
        let mut bound = Bound::new(SECOND);
        assert_eq!(bound.over(async { sleep(SECOND * 3 / 4).await }).await, Some(()));
        assert_eq!(bound.over(async { sleep(SECOND * 3 / 4).await }).await, None);
        assert_eq!(began.elapsed(), SECOND);
        assert_eq!(bound.over(ready(1)).await, Some(1), "what is there needs no time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bound_that_is_longer_than_time_is_none() {
        let mut bound = Bound::new(Duration::MAX);
        assert_eq!(bound.over(sleep(SECOND * 1_000_000)).await, Some(()));
    }

    #[test]
    fn a_runtime_that_does_not_count_the_time_is_one_without_bounds() {
        let runtime = Builder::new_current_thread().build().unwrap();
        for _ in 0..2 {
            let mut polls = 0;
            let third_poll = poll_fn(|context| {
                polls += 1;
                context.waker().wake_by_ref();
                if polls < 3 { Poll::Pending } else { Poll::Ready(polls) }
            });
            assert_eq!(runtime.block_on(Bound::new(Duration::ZERO).over(third_poll)), Some(3));
        }
        assert_eq!(WITHOUT.get(), Some(runtime.handle().id()));
    }

    #[test]
    fn a_thread_that_saw_a_runtime_without_timers_has_those_of_the_next_one() {
        let without = Builder::new_current_thread().build().unwrap();
        without.block_on(async { assert!(!is_there()) });
        let with = Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(with.block_on(Bound::new(Duration::ZERO).over(pending::<()>())), None);
        without.block_on(async { assert!(!is_there()) });
    }

    #[test]
    fn a_runtime_with_timers_has_bounds() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(runtime.block_on(Bound::new(Duration::ZERO).over(pending::<()>())), None);
    }
}
