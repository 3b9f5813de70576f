//! What became of a purge.

use std::fmt;

use super::{Cache, Purge, purge::Part};
use crate::error::{Error, Result};

/// How far a purge reaches.
///
/// # Examples
///
/// See [`Receipt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// This process, which is all there is: its entries are its own.
    Process,
    /// The backend has acknowledged it, and with that it holds for every process that shares the backend.
    Backend,
}

/// What became of a [`Purge`]: how far it has reached, and what could not be purged.
///
/// A purge of several things can fail in part. What failed is named, and may still be served;
/// [`retry`](Receipt::retry) tries it again.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "memory")]
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, MemoryBackend, Reach};
///
/// let cache = Cache::new(MemoryBackend::default());
/// let receipt = cache.purge().tag("news").key("k".repeat(9_000)).run().await;
/// assert_eq!(receipt.reach(), Reach::Process);
/// assert!(!receipt.is_complete());
/// let (what, error) = receipt.failed().next().unwrap();
/// assert!(what.starts_with("key `kkk"));
/// assert_eq!(error.kind(), axum_caching::ErrorKind::Key);
/// # });
/// ```
#[must_use = "a purge may have failed, in whole or in part"]
pub struct Receipt {
    cache: Cache,
    marks: bool,
    failed: Vec<(Part, Error)>,
}

impl Receipt {
    pub(super) fn new(cache: Cache, marks: bool, failed: Vec<(Part, Error)>) -> Self {
        Self { cache, marks, failed }
    }

    /// How far what did not fail has reached.
    pub fn reach(&self) -> Reach {
        if self.cache.core.backend.keeps_live() { Reach::Process } else { Reach::Backend }
    }

    /// Whether nothing failed.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }

    /// What could not be purged, or of which it is not known, and why.
    pub fn failed(&self) -> impl Iterator<Item = (String, &Error)> {
        self.failed.iter().map(|(part, error)| (part.to_string(), error))
    }

    /// Purges once more what failed; nothing is done if nothing did.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use axum_caching::{Cache, NullBackend};
    /// # let cache = Cache::new(NullBackend::default());
    /// let mut receipt = cache.purge().tags(["news", "sport"]).run().await;
    /// if !receipt.is_complete() {
    ///     receipt = receipt.retry().await;
    /// }
    /// assert!(receipt.is_complete());
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`Purge::run`].
    pub async fn retry(self) -> Self {
        let parts = self.failed.into_iter().map(|(part, _)| part).collect();
        Purge::of(self.cache, parts, self.marks).run().await
    }

    /// The first error, for those who only want to know whether all is well.
    ///
    /// # Errors
    ///
    /// What the backend said of the first part that failed, or [`ErrorKind::Key`](crate::ErrorKind::Key) for what
    /// cannot be purged.
    pub fn into_result(self) -> Result<()> {
        self.failed.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("reach", &self.reach()).field("failed", &self.failed).finish_non_exhaustive()
    }
}
