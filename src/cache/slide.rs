//! Keeping what is used: the end of an entry moves on while it is asked for, up to the end of its ttl.

use std::{sync::Arc, time::Duration};

use tokio::runtime::Handle;

use super::{Cache, lookup::Found};
use crate::{
    error::{ErrorKind, Result},
    flight::{Lead, Outcome, Role},
    freshness,
    record::remade,
};

/// The place of those who prolong: no caller waits there.
const ID: u64 = u64::MAX;

impl Cache {
    /// Moves the end of an entry that was just served, in the background and not at each hit: what a hit would add is
    /// written once it is a quarter of `idle`, by one caller. Without a runtime nothing is moved.
    #[cold]
    pub(crate) fn slide<P>(&self, primary: &str, found: &Found<P>, idle: Duration) {
        let Some(until) = freshness::slid(found.now, &found.record.meta, idle) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let Role::Leader(lead) = self.core.flights.join(&Arc::from(primary), ID) else { return };
        let (cache, nonce) = (self.clone(), found.record.meta.nonce);
        let task = async move {
            if let Err(error) = cache.move_end(&lead, nonce, until).await {
                cache.core.reporter.failed("slide", &error);
            }
            lead.end(Outcome::LookUp);
        };
        // Without a limit: a write that was sent cannot be called back, and holds its gate until it is answered.
        self.core.background.spawn(&runtime, None, task);
    }

    /// Stores the entry again with another end, under its gate, unless a purge came or it is another one by now.
    async fn move_end(&self, lead: &Lead, nonce: u64, until: u64) -> Result<()> {
        let gate = self.core.gate(lead.key(), &mut self.core.bound()).await?;
        if lead.is_void() {
            return Ok(());
        }
        let Some(was) = self.core.backend.get_through(lead.key()).await? else { return Ok(()) };
        let now = self.core.clock.now();
        let (mut left, mut has_guard) = (None, false);
        let slid = remade(&was, |meta| {
            left = freshness::left(now, meta, Duration::ZERO);
            has_guard = meta.carried.iter().any(|carried| self.is_guard(carried, lead.key()));
            meta.nonce == nonce && freshness::slide(meta, until) && left.is_some()
        });
        let (Some(slid), Some(left)) = (slid?, left) else { return Ok(()) };
        let replaced = self.replace(lead.key(), &was, (slid.clone(), left)).await;
        match replaced {
            // Without comparing: over a backend of this process the gate keeps others off, over one that is shared an entry
            // with a guard is dead on arrival after a purge. One that was stored where it could be compared has none.
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                if has_guard || !self.core.backend.is_shared() {
                    self.core.backend.set(lead.key(), slid, left).await?;
                }
            }
            replaced => drop(replaced?),
        }
        drop(gate);
        Ok(())
    }
}
