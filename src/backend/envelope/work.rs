//! Where the work is done: in place if it is little, else away from the threads that answer requests.

use std::{panic::resume_unwind, sync::Arc, thread::available_parallelism};

use tokio::{runtime::Handle, sync::Semaphore, task::yield_now};

use crate::error::{Error, ErrorKind, Result};

/// So many bytes are worked on where the call is, which takes some 100 µs, and at most 400 to compress.
pub(super) const IN_PLACE: usize = 64 << 10;

/// As much is done at once as there are processors: more would only take turns.
#[derive(Clone, Debug)]
pub(super) struct Work(Arc<Semaphore>);

impl Work {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from))))
    }

    /// Does a job on a thread for blocking work; where there is no runtime, in place.
    pub(super) async fn away<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let Ok(runtime) = Handle::try_current() else { return Ok(job()) };
        let place = Arc::clone(&self.0).acquire_owned().await.expect("nobody closes it");
        let work = runtime.spawn_blocking(move || {
            let done = job();
            drop(place);
            done
        });
        match work.await {
            Ok(done) => Ok(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Error::message(ErrorKind::Unavailable, "the runtime is shutting down")),
            },
        }
    }
}

/// What a batch has done where the call is.
#[derive(Debug, Default)]
pub(super) struct Turn(usize);

impl Turn {
    /// Lets others have theirs once it is much.
    pub(super) async fn worked(&mut self, bytes: usize) {
        self.0 = self.0.saturating_add(bytes);
        if self.0 > IN_PLACE {
            self.0 = 0;
            yield_now().await;
        }
    }
}
