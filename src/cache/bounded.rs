//! Waiting for the backend, and for each other, no longer than the time-out of the backend.

use std::{future::Future, pin::pin, sync::Arc};

use super::{Cache, Core};
use crate::{
    error::{Error, ErrorKind, Result},
    flight::Gate,
    timer::{Bound, at_once},
};

impl Core {
    pub(super) fn bound(&self) -> Bound {
        Bound::new(self.backend_timeout)
    }

    /// Whether the backend is left alone, since it fails.
    pub(super) fn is_shut(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.is_shut())
    }

    /// Waits for the gate of a key. It may be held by a write that the backend does not answer, or by one after the
    /// other of those in line: then nothing is done, and nobody waits while the breaker is open.
    pub(super) async fn gate(&self, key: &Arc<str>, bound: &mut Bound) -> Result<Gate> {
        let mut gate = pin!(self.flights.gate(key));
        if let Some(gate) = at_once(gate.as_mut()).await {
            return Ok(gate);
        }
        let gate = if self.is_shut() { None } else { bound.over(gate).await };
        gate.ok_or_else(|| {
            Error::message(
                ErrorKind::Unavailable,
                "earlier writes of this key are under way still, and nothing was done",
            )
        })
    }
}

impl Cache {
    /// Sends a change that takes away what is under these keys. One that is late may be made yet, and may not: the backend
    /// is told as if it was not.
    pub(super) async fn send_purge<T: Send + 'static>(
        &self,
        bound: &mut Bound,
        keys: &[&str],
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let sent = self.send(bound, change).await;
        if matches!(&sent, Err(error) if error.kind() == ErrorKind::Timeout) {
            self.core.backend.not_purged(keys);
        }
        sent
    }

    /// Sends a change to the backend. It is seen through, and with it what it holds; its caller waits for so long.
    pub(super) async fn send<T: Send + 'static>(
        &self,
        bound: &mut Bound,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        bound.over(self.seen_through(change)).await.unwrap_or_else(|| {
            Err(Error::message(ErrorKind::Timeout, "the change goes on, and it is not known whether it will be made"))
        })
    }
}
