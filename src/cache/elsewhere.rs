//! Runs of other processes: waiting for one, and telling those who wait that it ended.
//!
//! The lease in the slot of a key says that somebody runs the origin. Where it is asked for, the one caller of a process
//! that would run it too looks at the slot instead, at growing intervals, until there is an entry or nobody runs any
//! more. That saves work and nothing depends on it: a lease whose process has died costs the time that it is waited for.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Cache, Core, Found, OwnedKey, Question,
    background::Handover,
    claim::{Claim, GRACE},
};
use crate::{
    reason::{MissReason, NotStored},
    record::Token,
    timer,
};

/// The first look comes so long after the lease was seen, and each further one after half as much again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What became of waiting.
pub(super) enum Waited<P> {
    /// Somebody else has stored an entry.
    Found(Found<P>),
    /// The origin is to be run, with this place in the slot.
    Run(Result<Claim, NotStored>),
}

impl Cache {
    /// For how long the run of another process is waited for; `None`: not at all.
    pub(super) fn waits_elsewhere(&self) -> Option<Duration> {
        let core = &self.core;
        let wait = core.wait_elsewhere.filter(|wait| !wait.is_zero())?;
        (!core.backend.keeps_live() && core.backend.compares() && timer::is_there()).then_some(wait)
    }

    /// Takes a place in the slot of a key, or waits for whoever has it.
    pub(super) async fn wait_elsewhere<Q: Question>(
        &self,
        key: &OwnedKey,
        question: &Q,
        mut reason: MissReason,
        wait: Duration,
    ) -> Waited<Q::Payload> {
        let until = Instant::now().checked_add(wait);
        let mut pause = FIRST_PAUSE;
        loop {
            let claim = self.take_claim(&key.primary, reason).await;
            let Some(lease) = claim.as_ref().ok().and_then(Claim::lease_of_another) else { return Waited::Run(claim) };
            loop {
                let now = Instant::now();
                let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
                if left.is_zero() {
                    // Whoever has it may still store. If this run makes nothing either, the next one is not to wait.
                    return Waited::Run(Ok(Claim::Held(Held::new(&self.core, &key.primary, lease))));
                }
                sleep(pause.min(left)).await;
                pause = (pause + pause / 2).min(LONGEST_PAUSE);
                match self.core.backend.get_through(&key.primary).await {
                    Ok(slot) if slot.as_ref().and_then(Token::of) == Some(lease) => {}
                    Ok(_) => break,
                    Err(error) => {
                        self.core.reporter.failed("claim", &error);
                        return Waited::Run(claim);
                    }
                }
            }
            match self.look(key, question).await {
                Ok(found) => return Waited::Found(found),
                Err(missed) => reason = missed.reason,
            }
        }
    }
}

/// A lease of one's own, or one that was waited for in vain. Dropped, it says that the run has ended without an entry.
pub(super) struct Held {
    /// `None`: there is nothing to be said any more.
    core: Option<Arc<Core>>,
    key: Arc<str>,
    pub(super) token: Token,
}

impl Held {
    pub(super) fn new(core: &Arc<Core>, key: &Arc<str>, token: Token) -> Self {
        Self { core: Some(Arc::clone(core)), key: Arc::clone(key), token }
    }

    /// It is not in the slot any more, or never was.
    pub(super) fn is_over(&mut self) {
        self.core = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(core) = self.core.take() else { return };
        let (key, token) = (Arc::clone(&self.key), self.token);
        let background = core.background.clone();
        let release = async move {
            // Whoever runs next stores over this, as over any other lease, so that it has to be there for as long.
            let lifetime = core.fill_timeout.saturating_add(GRACE);
            let ended = token.ended().into_value();
            let release = core.backend.compare_and_set(&key, token.as_bytes(), ended, Some(lifetime));
            if let Err(error) = release.await {
                core.reporter.failed("release", &error);
            }
        };
        // Dropped at once, it goes on in the background.
        drop(Handover::new(&background, None, release));
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("key", &self.key).finish_non_exhaustive()
    }
}
