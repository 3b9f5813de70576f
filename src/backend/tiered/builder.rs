use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use super::{Backend, Backplane, Inner, TieredBackend, copies::Copies, missed::Missed, recovery::Recovery};
use crate::stamps;

/// Settings of a [`TieredBackend`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use axum_caching::{NullBackend, TieredBackend};
///
/// let lag = Duration::from_millis(500);
/// let backend = TieredBackend::builder(NullBackend::default()).max_bytes(16 << 20).max_entries(1_000).lag(lag).build();
/// assert_eq!(backend.lag(), lag);
/// ```
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct TieredBackendBuilder {
    kept: Arc<dyn Backend>,
    max_bytes: usize,
    max_entries: usize,
    lag: Duration,
    backplane: Option<Arc<dyn Backplane>>,
}

impl TieredBackendBuilder {
    pub(super) fn new(kept: Arc<dyn Backend>) -> Self {
        Self { kept, max_bytes: 64 << 20, max_entries: 10_000, lag: Duration::from_secs(1), backplane: None }
    }

    /// The memory that copies may take, keys and bookkeeping included. 64 MiB by default.
    ///
    /// A copy counts as about twice its bytes: what is decoded is kept beside them.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many copies are kept. 10 000 by default.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// How long a copy is trusted after its read was sent: so long at the most another node's purge is not seen here. 1
    /// second by default; 0 keeps no copies.
    ///
    /// An entry that is asked for all the time is read anew each half of it.
    pub fn lag(mut self, lag: Duration) -> Self {
        self.lag = lag;
        self
    }

    /// How the nodes tell each other of what they change; not at all by default.
    pub fn backplane(mut self, backplane: impl Backplane) -> Self {
        self.backplane = Some(Arc::new(backplane));
        self
    }

    /// The backend. A bound of 0 counts as 1.
    pub fn build(self) -> TieredBackend {
        TieredBackend(Arc::new(Inner {
            kept: self.kept,
            copies: Copies::new(self.max_bytes, self.max_entries, self.lag),
            backplane: self.backplane,
            listens: AtomicBool::new(false),
            node: stamps::fresh(),
            missed: Missed::default(),
            recovery: tokio::sync::Mutex::new(()),
            recovers: Recovery::default(),
        }))
    }
}
