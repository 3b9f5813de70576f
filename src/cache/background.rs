//! Work that outlives the request that began it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify, time::Instant};

use crate::timer::before;

/// So many runs may go on without their callers: those who connect and leave cannot pile them up.
const MAX_TASKS: usize = 1_000;

/// Counts what runs in the background, so that [`Cache::close`](super::Cache::close) can wait for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Background(Arc<Running>);

#[derive(Debug, Default)]
struct Running {
    tasks: AtomicUsize,
    done: Notify,
}

struct Task(Background);

impl Background {
    /// Runs a future to its end, or for `limit` at the most.
    pub(crate) fn spawn(
        &self,
        runtime: &Handle,
        limit: Option<Duration>,
        future: impl Future<Output = impl Send> + Send + 'static,
    ) {
        #[cfg(feature = "tracing")]
        let future = tracing::Instrument::in_current_span(future);
        self.0.tasks.fetch_add(1, Ordering::AcqRel);
        let task = Task(self.clone());
        // On a runtime that is shutting down the task is dropped unrun, which fails its flight, as it should.
        runtime.spawn(async move {
            let until = limit.and_then(|limit| Instant::now().checked_add(limit));
            drop(before(until, future).await);
            drop(task);
        });
    }

    /// Whether so much runs already that a run that nobody waits for is given up.
    fn is_full(&self) -> bool {
        self.0.tasks.load(Ordering::Relaxed) >= MAX_TASKS
    }

    /// Waits until nothing runs.
    pub(crate) async fn idle(&self) {
        loop {
            let done = self.0.done.notified();
            if self.0.tasks.load(Ordering::Acquire) == 0 {
                return;
            }
            done.await;
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.0.tasks.fetch_sub(1, Ordering::AcqRel);
        self.0.0.done.notify_waiters();
    }
}

/// A future that is polled in place, and goes on in the background if it is dropped unfinished.
///
/// In place, because a fill that is spawned at once loses the task-locals and the span of its caller, needs a runtime,
/// and costs a few thousand instructions more. The runtime is the one that it was made on; without one, a dropped
/// fill is a cancelled one.
pub(crate) struct Handover<T> {
    future: Option<Fill<T>>,
    /// What a drop does; made where `T` is known to be fit for it, so that this type has no bounds.
    detach: fn(Fill<T>, &Background, &Handle, Option<Duration>),
    runtime: Option<Handle>,
    background: Background,
    limit: Option<Duration>,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

type Fill<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T> Handover<T> {
    pub(crate) fn new(
        background: &Background,
        limit: Option<Duration>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self
    where
        T: Send + 'static,
    {
        Self {
            future: Some(Box::pin(future)),
            detach: |future, background, runtime, limit| background.spawn(runtime, limit, future),
            runtime: Handle::try_current().ok(),
            background: background.clone(),
            limit,
            #[cfg(feature = "tracing")]
            span: tracing::Span::current(),
        }
    }
}

impl<T> Future for Handover<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Out of its place while it is polled: one that panics is gone, and is not handed on to panic again.
        let mut future = self.future.take().expect("polled after it was ready");
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => {
                self.future = Some(future);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Handover<T> {
    fn drop(&mut self) {
        let (Some(future), Some(runtime)) = (self.future.take(), &self.runtime) else { return };
        // A run may be given up, a store may not.
        if self.limit.is_some() && self.background.is_full() {
            return;
        }
        // `spawn` takes the span that is current.
        #[cfg(feature = "tracing")]
        let _span = self.span.enter();
        (self.detach)(future, &self.background, runtime, self.limit);
    }
}
