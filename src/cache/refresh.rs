//! Making an entry anew while it is still served.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{runtime::Handle, time::Instant};

use super::{
    Cache, Core, Fill, Handover, OwnedKey,
    lookup::{Found, State},
};
use crate::{
    flight::{Lead, Outcome, Role},
    observe::Event,
    profile::Profile,
    reason::MissReason,
    record::Record,
    timer::before,
};

/// An entry that is served, and that somebody should make anew.
pub(crate) struct Late<P> {
    pub(crate) found: Found<P>,
    pub(crate) key: OwnedKey,
}

impl<P> Late<P> {
    /// `None` if there is nothing to be done.
    pub(crate) fn of(found: Found<P>, key: OwnedKey) -> Option<Self> {
        matches!(found.state, State::Due | State::Stale).then_some(Self { found, key })
    }
}

/// What a run came to. Nobody may be there any more to be served.
pub(crate) enum Made<T> {
    New(T),
    /// It failed, and this is good for that; with its key.
    Stale(T, Arc<str>),
}

impl Cache {
    /// Tells that an entry is served.
    pub(crate) fn tell_found(&self, key: &str, state: State) {
        self.core.reporter.tell(&match state {
            State::Fresh | State::Due => Event::Hit { key },
            State::Stale | State::Spared => Event::Stale { key },
        });
    }

    /// What is made of an entry that is served since its origin failed.
    pub(crate) fn serve_stale<P, T>(
        &self,
        key: &OwnedKey,
        record: &Record<P>,
        value: impl FnOnce(&Record<P>) -> Option<T>,
    ) -> Option<T> {
        let value = value(record)?;
        self.note(record);
        Some(self.served(Made::Stale(value, Arc::clone(&key.primary))))
    }

    /// What a run came to, for the caller who gets it.
    pub(crate) fn served<T>(&self, made: Made<T>) -> T {
        match made {
            Made::New(value) => value,
            Made::Stale(value, key) => {
                self.core.reporter.tell(&Event::Stale { key: &key });
                value
            }
        }
    }

    /// The result of a run, or what is stale if there is something and the run takes longer than `soft`. A run that is
    /// not waited for is dropped, and so goes on in the background.
    pub(crate) async fn unless_late<P, T, E>(
        &self,
        mut run: Handover<Result<Made<T>, E>>,
        key: &OwnedKey,
        profile: &Profile,
        stale: Option<Arc<Record<P>>>,
        value: impl FnOnce(&Record<P>) -> Option<T>,
    ) -> Result<T, E> {
        let (Some(soft), Some(stale)) = (profile.soft_timeout, stale) else {
            return run.await.map(|made| self.served(made));
        };
        if let Some(done) = before(Instant::now().checked_add(soft), &mut run).await {
            return done.map(|made| self.served(made));
        }
        match self.serve_stale(key, &stale, value) {
            Some(value) => {
                self.core.spare(&key.primary, 0, profile.backoff());
                Ok(value)
            }
            None => run.await.map(|made| self.served(made)),
        }
    }

    /// The place of the one who makes an entry anew, unless somebody has it, or has done it since the look. `id` is as
    /// in [`Question::id`](super::Question::id).
    pub(crate) fn claim<P>(&self, key: &OwnedKey, id: u64, found: &Found<P>) -> Option<Lead> {
        let Role::Leader(lead) = self.core.flights.join(&key.primary, id) else { return None };
        if self.core.stores.has_changed(&key.primary, found.stores) {
            lead.end(Outcome::LookUp);
            return None;
        }
        Some(lead)
    }

    /// The task of making an entry anew, for a caller who does it itself.
    pub(crate) fn refill<P>(&self, key: OwnedKey, id: u64, found: &Found<P>) -> Option<Fill> {
        let lead = self.claim(&key, id, found)?;
        Some(Fill::begin(self, key, lead, MissReason::Refresh))
    }

    /// Makes an entry anew in the background, unless somebody does already, or too many are made at the moment. `run`
    /// says whether the origin gave something to store; if not, it is left alone for `backoff`.
    pub(crate) fn refresh<P, Fut>(
        &self,
        runtime: &Handle,
        key: OwnedKey,
        id: u64,
        found: &Found<P>,
        backoff: Duration,
        run: impl FnOnce(Fill) -> Fut + Send + 'static,
    ) where
        Fut: Future<Output = bool> + Send,
    {
        let Ok(permit) = Arc::clone(&self.core.refreshes).try_acquire_owned() else { return };
        let Some(lead) = self.claim(&key, id, found) else { return };
        let cache = self.clone();
        let task = async move {
            let mut unless_done = Spare { core: &cache.core, key: Arc::clone(&key.primary), id, backoff, armed: true };
            let fill = Fill::begin(&cache, key, lead, MissReason::Refresh);
            unless_done.armed = !run(fill).await;
            drop((unless_done, permit));
        };
        self.core.background.spawn(runtime, Some(self.core.fill_timeout), task);
    }
}

/// Leaves an origin alone that panicked, took too long or gave nothing to store.
struct Spare<'a> {
    core: &'a Core,
    key: Arc<str>,
    id: u64,
    backoff: Duration,
    armed: bool,
}

impl Drop for Spare<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.core.spare(&self.key, self.id, self.backoff);
        }
    }
}
