//! Making up for purges that could not be made.

use std::{
    future::pending,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
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

/// A task that has not been seen for so long is on a runtime that nobody drives any more, or not now: it counts as none.
const SILENCE: Duration = Duration::from_secs(3);

/// The task that makes them, if there is one.
#[derive(Debug, Default)]
pub(super) struct Recovery(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How many there were: the last one is the one.
    tasks: u64,
    /// When it was seen last.
    seen: Option<Instant>,
}

impl Recovery {
    fn has_task(&self) -> bool {
        self.lock().seen.is_some_and(|seen| Instant::now().saturating_duration_since(seen) < SILENCE)
    }

    /// The number of a task that is to begin, if none is at work.
    fn begin(&self) -> Option<u64> {
        let mut state = self.lock();
        let now = Instant::now();
        if state.seen.is_some_and(|seen| now.saturating_duration_since(seen) < SILENCE) {
            return None;
        }
        state.tasks += 1;
        state.seen = Some(now);
        Some(state.tasks)
    }

    /// A task is there still; says whether it is the one. One that was silent for long may have been replaced.
    fn see(&self, task: u64) -> bool {
        let mut state = self.lock();
        let is_it = state.tasks == task;
        if is_it {
            state.seen = Some(Instant::now());
        }
        is_it
    }

    /// A task ends, unless there is something to do still.
    fn end(&self, task: u64, may_end: impl FnOnce() -> bool) -> bool {
        let mut state = self.lock();
        // Under the lock: whoever has something to do from now on finds no task, and begins one.
        let ends = may_end();
        if ends && state.tasks == task {
            state.seen = None;
        }
        ends
    }

    // A panic under this lock is not possible; if it was, a time is still a time.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        if self.recovers.has_task() && owed.iter().any(|(what, _)| matches!(what, What::Prefix(_))) {
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
        if self.recovers.has_task() || !is_there() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let Some(task) = self.recovers.begin() else { return };
        let ends = Ends(Arc::downgrade(self), task);
        runtime.spawn(async move {
            let mut from = 0;
            loop {
                before(after(PAUSE), pending::<()>()).await;
                let Some(inner) = ends.0.upgrade() else { return };
                let mut turn = pin!(inner.make_some(from));
                // A clear may take long.
                from = loop {
                    if !inner.recovers.see(task) {
                        return;
                    }
                    if let Some(from) = before(after(PAUSE), turn.as_mut()).await {
                        break from;
                    }
                };
                if !inner.recovers.see(task) || inner.recovers.end(task, || inner.missed.is_empty()) {
                    return;
                }
            }
        });
    }
}

fn after(pause: Duration) -> Option<Instant> {
    Instant::now().checked_add(pause)
}

/// Says that the task has ended, if its runtime has.
struct Ends(Weak<Inner>, u64);

impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.recovers.end(self.1, || true);
        }
    }
}
