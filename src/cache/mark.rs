//! Marking the entry of a key stale: as if its ttl had ended now.

use std::{sync::Arc, time::Duration};

use super::Cache;
use crate::{
    error::{ErrorKind, Result},
    freshness,
    record::{remade, token},
    stamps,
    value::Value,
};

/// How often it is tried against others who write the entry.
const ATTEMPTS: usize = 16;

impl Cache {
    /// Marks the entry of a key stale, as if its ttl had ended now: it may be served once more while it is made anew,
    /// or if that fails, for as long from now on as its windows say
    /// ([`Profile::stale_while_revalidate`](crate::Profile::stale_while_revalidate)). One without such a window is
    /// gone, and so is one that never ends, for which there are none. Says whether there was an entry.
    ///
    /// Of a response only the representation that is in the slot of the key stays to be served; all others hang on it,
    /// by a number that changes, and are gone. What other memoized functions and responses made of a memoized result is
    /// gone too. Runs of an origin that began before do not store what they made.
    ///
    /// On a backend that is shared with other processes it is done by comparing and setting, so that it does not bring
    /// back what one of them purges; on one that cannot, it is a [`delete`](Cache::delete).
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use axum_caching::{Cache, MemoryBackend, Profile};
    ///
    /// let cache = Cache::new(MemoryBackend::default());
    /// let minute = Duration::from_secs(60);
    /// let profile = Profile::ttl(minute).stale_while_revalidate(minute);
    /// let ask = |answer: u32| cache.get_or_compute_owned("n", profile, move || async move { answer });
    /// ask(1).await;
    /// assert!(cache.mark_stale("n").await?);
    /// assert_eq!(ask(2).await, 1, "once more");
    /// cache.close().await;
    /// assert_eq!(ask(3).await, 2);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] if it is no key, and what the backend says; it is then not known whether the entry was
    /// marked, and the call can be repeated.
    ///
    /// # Cancel safety
    ///
    /// A call that was begun goes on in the background, on the tokio runtime that it began on.
    #[doc(alias = "soft_purge")]
    pub async fn mark_stale(&self, key: &str) -> Result<bool> {
        let primary: Arc<str> = self.key(key)?.backend.as_str().into();
        let this = self.clone();
        let mark = async move {
            let was_there = this.mark_entry(&primary).await?;
            this.purge_results([&*primary]).await?;
            Ok(was_there)
        };
        self.seen_through(mark).await
    }

    async fn mark_entry(&self, primary: &Arc<str>) -> Result<bool> {
        // Between a purge and this only one can be at the entry, of all that are in this process.
        let _gate = self.overtake(primary, &mut self.core.bound()).await?;
        let backend = &self.core.backend;
        for _ in 0..ATTEMPTS {
            // One that is not to be seen here, as of what is to be cleared still, may be there for others.
            let Some(was) = backend.get_through(primary).await? else { break };
            let Some(marked) = self.marked_entry(&was) else { break };
            match self.replace(primary, &was, marked).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::Unsupported => break,
                Err(error) => return Err(error),
            }
        }
        backend.delete(primary).await
    }

    /// The same entry, marked; `None` if it is of no more use then, or is none that could be marked.
    fn marked_entry(&self, was: &Value) -> Option<(Value, Option<Duration>)> {
        let now = self.core.clock.now();
        let mut left = None;
        let marked = remade(was, |meta| {
            freshness::mark(now, meta);
            // What hangs on it is not reached again, and who compares with what it was finds another.
            meta.nonce = stamps::fresh();
            left = freshness::left(now, meta, Duration::ZERO);
            left.is_some()
        });
        // What cannot be read is nothing that could be served.
        Some((marked.ok()??, left?))
    }

    pub(super) async fn replace(
        &self,
        primary: &str,
        was: &Value,
        (marked, left): (Value, Option<Duration>),
    ) -> Result<bool> {
        let backend = &self.core.backend;
        // Nobody but this process has such a backend, and here the gate is held.
        if backend.keeps_live() {
            return backend.set(primary, marked, left).await.map(|()| true);
        }
        backend.compare_and_set(primary, &token(was)?, marked, left).await
    }
}
