//! Making up for purges that could not be made.

use std::{
    future::pending,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    Inner,
    message::Changed,
    missed::{Number, What, is_for_good},
};
use crate::{
    error::Result,
    timer::{Bound, before, is_there},
};

/// How often it is tried.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the deletion of one key is waited for. A clear takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// After so many failures in a row the backend has its pause; those that come after them have their turn then.
const MAX_FAILURES: usize = 8;

/// What is under a key that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owed {
    /// Whatever the backend says.
    Nothing,
    /// What was to be cleared, and is not yet: a task does it, and until then it counts as gone.
    Clear,
}

impl Inner {
    /// Remembers a purge, and has it made when that can be.
    pub(super) fn remember(self: &Arc<Self>, what: What) {
        // In this order: whoever does not find it here has a ticket that is void.
        self.missed.add(what.clone());
        match what {
            What::Key(key) => self.copies.forget(&key),
            What::Prefix(prefix) => self.copies.forget_prefix(&prefix),
        }
        self.recover();
    }

    pub(super) fn remember_keys(self: &Arc<Self>, keys: &[&str]) {
        for key in keys {
            self.remember(What::Key((*key).into()));
        }
    }

    /// Makes the purges of a key that are to be made still, before it is read or written. A clear is not waited for: it
    /// may take longer than anybody waits, and one that is dropped begins anew.
    pub(super) async fn make_up_for(self: &Arc<Self>, key: &str) -> Result<Owed> {
        if self.missed.is_empty() {
            return Ok(Owed::Nothing);
        }
        self.recover();
        let owed = self.missed.concerning(key);
        if owed.is_empty() {
            return Ok(Owed::Nothing);
        }
        let has_task = self.recovers.load(Ordering::Acquire);
        if has_task && owed.iter().any(|(what, _)| matches!(what, What::Prefix(_))) {
            return Ok(Owed::Clear);
        }
        let _one_at_a_time = self.recovery.lock().await;
        for (what, number) in self.missed.concerning(key) {
            self.make(what, number).await?;
        }
        Ok(Owed::Nothing)
    }

    async fn make(&self, what: What, number: Number) -> Result<()> {
        let made = match &what {
            What::Key(key) => self.kept.delete(key).await.map(drop),
            What::Prefix(prefix) => self.kept.clear(prefix).await,
        };
        match made {
            Err(error) if !is_for_good(error.kind()) => return Err(error),
            Err(_) => {}
            Ok(()) => match &what {
                What::Key(key) => self.tell(&Changed::Keys(vec![key])),
                What::Prefix(prefix) => self.tell(&Changed::Prefix(prefix)),
            },
        }
        self.missed.made(&what, number);
        Ok(())
    }

    /// Makes those from this number on, until too many have failed; says from where to go on.
    async fn make_some(&self, mut from: Number) -> Number {
        let mut failures = 0;
        while let Some((what, number)) = self.missed.from(from) {
            from = number + 1;
            let is_made = match &what {
                What::Prefix(_) => self.make(what, number).await.is_ok(),
                What::Key(_) => {
                    let delete = async {
                        let _one_at_a_time = self.recovery.lock().await;
                        // Somebody who asked for the key may have made it meanwhile, and stored something since.
                        match self.missed.from(number) {
                            Some((_, still)) if still == number => self.make(what, number).await,
                            _ => Ok(()),
                        }
                    };
                    Bound::new(PATIENCE).over(delete).await.is_some_and(|made| made.is_ok())
                }
            };
            failures = if is_made { 0 } else { failures + 1 };
            if failures == MAX_FAILURES {
                return from;
            }
        }
        0
    }

    /// Begins a task that makes them, if there is none and there can be one. Without it they are made as their keys are
    /// asked for.
    fn recover(self: &Arc<Self>) {
        if self.recovers.load(Ordering::Acquire) || !is_there() || self.recovers.swap(true, Ordering::AcqRel) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return self.recovers.store(false, Ordering::Release) };
        let ends = Ends(Arc::downgrade(self));
        runtime.spawn(async move {
            let mut from = 0;
            loop {
                before(Instant::now().checked_add(PAUSE), pending::<()>()).await;
                let Some(inner) = ends.0.upgrade() else { return };
                from = inner.make_some(from).await;
                if inner.missed.is_empty() {
                    inner.recovers.store(false, Ordering::Release);
                    // One that came just now has found this task, and begun none.
                    if inner.missed.is_empty() || inner.recovers.swap(true, Ordering::AcqRel) {
                        return ends.forget();
                    }
                }
            }
        });
    }
}

/// Says that the task has ended, if its runtime has.
struct Ends(Weak<Inner>);

impl Ends {
    fn forget(mut self) {
        self.0 = Weak::new();
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.recovers.store(false, Ordering::Release);
        }
    }
}
