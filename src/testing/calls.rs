use std::sync::Arc;

use super::watched::Watched;

/// Counts the runs of a handler, or of anything else, and can hold them back.
///
/// Clones are handles on the same count.
///
/// # Examples
///
/// A hundred callers share one run:
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use axum_caching::{Cache, NullBackend, Ttl, testing::Calls};
///
/// let cache = Cache::new(NullBackend::default());
/// let calls = Calls::default();
/// calls.hold();
/// let callers: Vec<_> = (0..100)
///     .map(|_| {
///         let (cache, calls) = (cache.clone(), calls.clone());
///         tokio::spawn(async move {
///             cache.get_or_compute("report", Ttl::Default, async || calls.pass().await).await
///         })
///     })
///     .collect();
///
/// calls.reached(1).await;
/// tokio::task::yield_now().await; // on one thread: everybody else has come as far as the run
/// calls.release();
/// for caller in callers {
///     assert_eq!(caller.await.unwrap(), 1);
/// }
/// assert_eq!(calls.count(), 1);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Watched<Progress>>);

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    begun: usize,
    is_held: bool,
}

impl Calls {
    /// Counts a run that begins, and says which one it is, from 1. It is not held back.
    pub fn next(&self) -> usize {
        self.0.change(|progress| progress.begun += 1).begun
    }

    /// Counts a run that begins, waits while runs are held back, and says which one it is, from 1.
    ///
    /// # Cancel safety
    ///
    /// A run whose caller goes away stays counted.
    pub async fn pass(&self) -> usize {
        let number = self.next();
        self.0.wait_until(|progress| !progress.is_held).await;
        number
    }

    /// How many runs have begun.
    pub fn count(&self) -> usize {
        self.0.now().begun
    }

    /// Holds runs back from here on, in [`pass`](Calls::pass).
    pub fn hold(&self) {
        self.0.change(|progress| progress.is_held = true);
    }

    /// Lets runs go on, those that were held back and those to come.
    pub fn release(&self) {
        self.0.change(|progress| progress.is_held = false);
    }

    /// Waits until so many runs have begun, since the count was made.
    pub async fn reached(&self, count: usize) {
        self.0.wait_until(|progress| progress.begun >= count).await;
    }
}
