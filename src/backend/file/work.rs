//! Where the work is done that waits for a disk.

use std::sync::Arc;

use tokio::{runtime::Handle, sync::Semaphore};

use crate::error::{Error, ErrorKind, Result};

/// So much is done at once, so that a slow disk does not take all threads of the runtime for blocking work.
const READS: usize = 32;
/// Beside the reads: they do not wait for locks, and so not for writes that do.
const WRITES: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct Work {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl Work {
    pub(super) fn new() -> Self {
        Self { reads: Arc::new(Semaphore::new(READS)), writes: Arc::new(Semaphore::new(WRITES)) }
    }

    pub(super) async fn read<T: Send + 'static>(&self, job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        run(&self.reads, job).await
    }

    pub(super) async fn write<T: Send + 'static>(&self, job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        run(&self.writes, job).await
    }
}

/// Runs a job on a thread for blocking work. Once begun it goes on to its end, whether somebody waits for it or not.
async fn run<T: Send + 'static>(room: &Arc<Semaphore>, job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let place = Arc::clone(room).acquire_owned().await.expect("nobody closes it");
    // Timers and fills in the background need tokio as well: elsewhere this works, on the thread that asks.
    let Ok(runtime) = Handle::try_current() else { return job() };
    let work = runtime.spawn_blocking(move || {
        let answer = job();
        drop(place);
        answer
    });
    match work.await {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::message(ErrorKind::Unavailable, "the runtime is shutting down")),
        },
    }
}
