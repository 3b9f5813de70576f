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
    missed::{Number, What},
};
use crate::{
    backend::breaker::is_failure,
    error::Result,
    timer::{Bound, before, is_there},
};

/// How often it is tried.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a try is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Inner {
    /// Remembers a purge, and has it made when that can be.
    pub(super) fn remember(self: &Arc<Self>, what: What) {
        match &what {
            What::Key(key) => self.copies.forget(key),
            What::Prefix(prefix) => self.copies.forget_prefix(prefix),
        }
        self.missed.add(what);
        self.recover();
    }

    pub(super) fn remember_keys(self: &Arc<Self>, keys: &[&str]) {
        for key in keys {
            self.remember(What::Key((*key).into()));
        }
    }

    /// Makes the purges of a key that are to be made still, before it is read or written.
    pub(super) async fn make_up_for(self: &Arc<Self>, key: &str) -> Result<()> {
        if self.missed.is_empty() {
            return Ok(());
        }
        self.recover();
        if self.missed.concerning(key).is_empty() {
            return Ok(());
        }
        let _one_at_a_time = self.recovery.lock().await;
        for (what, number) in self.missed.concerning(key) {
            self.make(what, number).await?;
        }
        Ok(())
    }

    async fn make(&self, what: What, number: Number) -> Result<()> {
        let made = match &what {
            What::Key(key) => self.kept.delete(key).await.map(drop),
            What::Prefix(prefix) => self.kept.clear(prefix).await,
        };
        match made {
            Err(error) if is_failure(error.kind()) => return Err(error),
            // What the backend cannot do at all it will not do later.
            Err(_) => {}
            Ok(()) => match &what {
                What::Key(key) => self.tell(&Changed::Keys(vec![key])),
                What::Prefix(prefix) => self.tell(&Changed::Prefix(prefix)),
            },
        }
        self.missed.made(&what, number);
        Ok(())
    }

    async fn make_all(&self) -> Result<()> {
        let _one_at_a_time = self.recovery.lock().await;
        while let Some((what, number)) = self.missed.oldest() {
            self.make(what, number).await?;
        }
        Ok(())
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
            loop {
                before(Instant::now().checked_add(PAUSE), pending::<()>()).await;
                let Some(inner) = ends.0.upgrade() else { return };
                let _ = Bound::new(PATIENCE).over(inner.make_all()).await;
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
