//! Who runs the origin? Flights, tickets and the gate of a key; no I/O and no time.
//!
//! A *flight* is one run of the origin that others may wait for. Every run that may store holds a *ticket*: its place
//! in the slot of the key. A purge takes all of them away, and what has no place any more is not stored. The *gate*
//! lets one at a time change what the backend has under a key, so that between the look at the ticket and the answer
//! of the backend no purge can happen, and none between a purge's look and its delete.
//!
//! Lock order: the shard of the table, then the state of a flight. Nothing is awaited and no other code runs under
//! either.

mod follower;
mod gate;
mod lead;
#[cfg(all(test, model))]
mod model;
#[cfg(test)]
mod tests;

use std::{
    any::Any,
    sync::{Arc, PoisonError},
    time::Duration,
};

pub(crate) use self::{follower::Follower, gate::Gate, lead::Lead};

use crate::{
    sync::{DashMap, Entry, Mutex, MutexGuard, Notify},
    value::Value,
};

/// After so many failed leaders the others stop waiting for each other.
const MAX_FAILURES: u8 = 2;

/// What is known of an answer before all of it is there.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) answer: Arc<dyn Any + Send + Sync>,
    /// How long it is worth waiting for the rest.
    pub(crate) wait: Option<Duration>,
}

/// The flights of a cache, by key. Clones share the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights(Arc<DashMap<Arc<str>, Slot, foldhash::quality::RandomState>>);

#[derive(Debug, Default)]
struct Slot {
    fills: Vec<Arc<Flight>>,
    gate: Lock,
}

#[derive(Debug, Default)]
enum Lock {
    #[default]
    Open,
    /// The waiting line is made by the first who has to wait.
    Held(Option<Arc<Notify>>),
}

#[derive(Debug)]
struct Flight {
    /// Callers with the same id expect the same answer.
    id: u64,
    /// Otherwise it is only a ticket, and nobody joins.
    joinable: bool,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    failures: u8,
    followers: usize,
    /// A purge took the ticket away.
    void: bool,
}

#[derive(Debug)]
enum Phase {
    Computing(Option<Head>),
    /// The leader failed; whoever comes first leads.
    Vacant,
    /// Check and store are under way. Who comes now waits for the end, and is never handed the answer.
    Closed,
    Done(Outcome),
}

/// How a flight ended, for those who waited.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The answer.
    Shared(Value),
    /// It is not for sharing: run the origin yourself, all at once.
    Alone,
    /// Something changed: look up again.
    LookUp,
}

/// What a caller has become.
#[derive(Debug)]
pub(crate) enum Role {
    Leader(Lead),
    Follower(Follower),
}

/// What a follower was told.
#[derive(Debug)]
pub(crate) enum News {
    Ended(Outcome),
    /// The leader failed, and this caller is the one that takes over.
    Lead(Lead),
    /// Told once: what is known of the answer, so that a follower can leave who needs another.
    Head(Head),
}

impl Flights {
    /// Joins the flight of a key for an answer, or begins one.
    pub(crate) fn join(&self, key: &Arc<str>, id: u64) -> Role {
        let mut slot = self.0.entry(Arc::clone(key)).or_default();
        for flight in &slot.fills {
            if flight.id != id || !flight.joinable {
                continue;
            }
            let mut state = flight.lock();
            let late = match state.phase {
                Phase::Vacant => {
                    state.phase = Phase::Computing(None);
                    return Role::Leader(Lead::new(self, key, flight));
                }
                Phase::Computing(_) => false,
                Phase::Closed => true,
                Phase::Done(_) => continue,
            };
            state.followers += 1;
            return Role::Follower(Follower::new(self, key, flight, late));
        }
        let flight = Flight::new(id, true);
        slot.fills.push(Arc::clone(&flight));
        Role::Leader(Lead::new(self, key, &flight))
    }

    /// A ticket without a flight: a run that nobody waits for, and that may store.
    pub(crate) fn solo(&self, key: &Arc<str>, id: u64) -> Lead {
        let flight = Flight::new(id, false);
        self.0.entry(Arc::clone(key)).or_default().fills.push(Arc::clone(&flight));
        Lead::new(self, key, &flight)
    }

    /// Waits for the gate of a key. It is fair only by chance, and held for one operation of the backend.
    pub(crate) async fn gate(&self, key: &Arc<str>) -> Gate {
        loop {
            let line;
            let freed;
            {
                let mut slot = self.0.entry(Arc::clone(key)).or_default();
                match &mut slot.gate {
                    Lock::Open => {
                        slot.gate = Lock::Held(None);
                        return Gate::new(self, key);
                    }
                    Lock::Held(waiting) => line = Arc::clone(waiting.get_or_insert_default()),
                }
                // Made under the lock, so that it cannot miss the release.
                freed = line.notified();
            }
            freed.await;
        }
    }

    /// The keys with fills or a held gate under a prefix, in the order of their text and not of their hashes: what is
    /// done in it can be repeated.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<Arc<str>> {
        let of_prefix = self.0.iter().filter(|slot| slot.key().starts_with(prefix));
        let mut keys: Vec<_> = of_prefix.map(|slot| Arc::clone(slot.key())).collect();
        keys.sort_unstable();
        keys
    }

    /// Whether nothing is under way; for tests, which look for leaks.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes the slot of a key, and removes it if nothing is left in it.
    fn change<T>(&self, key: &Arc<str>, change: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        let Entry::Occupied(mut slot) = self.0.entry(Arc::clone(key)) else { return None };
        let result = change(slot.get_mut());
        if slot.get().fills.is_empty() && matches!(slot.get().gate, Lock::Open) {
            slot.remove();
        }
        Some(result)
    }
}

impl Slot {
    fn remove(&mut self, flight: &Arc<Flight>) {
        self.fills.retain(|other| !Arc::ptr_eq(other, flight));
    }
}

impl Flight {
    fn new(id: u64, joinable: bool) -> Arc<Self> {
        let state = State { phase: Phase::Computing(None), failures: 0, followers: 0, void: false };
        Arc::new(Self { id, joinable, state: Mutex::new(state), changed: Notify::new() })
    }

    // A panic under this lock is not possible; if it was, the state is still one of the states.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, outcome: Outcome) {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Done(_)) {
            state.phase = Phase::Done(outcome);
        }
        drop(state);
        self.changed.notify_waiters();
    }
}
