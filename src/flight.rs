//! Who runs the origin? Flights, tickets and the gate of a key; no I/O and no time.
//!
//! A *flight* is one run of the origin that others may wait for. Every run that may store holds a *ticket*: its place
//! in the slot of the key. A purge takes all of them away, and what has no place any more is not stored. The *gate*
//! lets one at a time change what the backend has under a key, so that between the look at the ticket and the answer
//! of the backend no purge can happen, and none between a purge's look and its delete.
//!
//! Lock order: the shard of the table, then the state of a flight. Nothing is awaited and no other code runs under
//! either.

use std::{
    any::Any,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dashmap::{DashMap, Entry};
use tokio::sync::Notify;

use crate::value::Value;

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
                    return Role::Leader(self.lead(key, flight));
                }
                Phase::Computing(_) => false,
                Phase::Closed => true,
                Phase::Done(_) => continue,
            };
            state.followers += 1;
            return Role::Follower(Follower {
                flights: self.clone(),
                key: Arc::clone(key),
                flight: Arc::clone(flight),
                late,
                told: false,
            });
        }
        let flight = Flight::new(id, true);
        slot.fills.push(Arc::clone(&flight));
        Role::Leader(self.lead(key, &flight))
    }

    /// A ticket without a flight: a run that nobody waits for, and that may store.
    pub(crate) fn solo(&self, key: &Arc<str>, id: u64) -> Lead {
        let flight = Flight::new(id, false);
        self.0.entry(Arc::clone(key)).or_default().fills.push(Arc::clone(&flight));
        self.lead(key, &flight)
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
                        return Gate { flights: self.clone(), key: Arc::clone(key), held: true };
                    }
                    Lock::Held(waiting) => line = Arc::clone(waiting.get_or_insert_default()),
                }
                // Made under the lock, so that it cannot miss the release.
                freed = line.notified();
            }
            freed.await;
        }
    }

    /// The keys with fills or a held gate under a prefix.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<Arc<str>> {
        self.0.iter().filter(|slot| slot.key().starts_with(prefix)).map(|slot| Arc::clone(slot.key())).collect()
    }

    /// Whether nothing is under way; for tests, which look for leaks.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn lead(&self, key: &Arc<str>, flight: &Arc<Flight>) -> Lead {
        Lead { flights: self.clone(), key: Arc::clone(key), flight: Arc::clone(flight), ended: false }
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

/// The one who runs the origin. Dropped before it ended anything, it failed.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lead {
    flights: Flights,
    key: Arc<str>,
    flight: Arc<Flight>,
    ended: bool,
}

impl Lead {
    pub(crate) fn key(&self) -> &Arc<str> {
        &self.key
    }

    pub(crate) fn id(&self) -> u64 {
        self.flight.id
    }

    /// Tells the followers what is known of the answer.
    pub(crate) fn publish(&self, head: impl FnOnce() -> Head) {
        if !self.flight.joinable {
            return;
        }
        if let Phase::Computing(known) = &mut self.flight.lock().phase {
            *known = Some(head());
        }
        self.flight.changed.notify_waiters();
    }

    /// Nobody who comes from here on is handed the answer.
    pub(crate) fn close(&self) {
        let mut state = self.flight.lock();
        if matches!(state.phase, Phase::Computing(_)) {
            state.phase = Phase::Closed;
        }
    }

    /// Whether a purge took the ticket away.
    pub(crate) fn is_void(&self) -> bool {
        self.flight.lock().void
    }

    /// Ends the flight. What a purge has ended already stays as it is.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.ended = true;
        self.flights.change(&self.key, |slot| slot.remove(&self.flight));
        self.flight.end(outcome);
    }

    /// Opens the gate and ends the flight, in one step.
    pub(crate) fn end_and_open(mut self, mut gate: Gate, outcome: Outcome) {
        self.ended = true;
        gate.held = false;
        let line = self.flights.change(&self.key, |slot| {
            slot.remove(&self.flight);
            mem::take(&mut slot.gate)
        });
        self.flight.end(outcome);
        Gate::wake(line);
    }

    fn fail(&self) {
        let outcome = self.flights.change(&self.key, |slot| {
            let mut state = self.flight.lock();
            state.failures += 1;
            let over = match (state.followers, state.failures) {
                (0, _) => Some(Outcome::LookUp),
                (_, MAX_FAILURES..) => Some(Outcome::Alone),
                _ => None,
            };
            if over.is_some() {
                slot.remove(&self.flight);
            } else if !matches!(state.phase, Phase::Done(_)) {
                state.phase = Phase::Vacant;
            }
            over
        });
        match outcome.flatten() {
            Some(outcome) => self.flight.end(outcome),
            None => self.flight.changed.notify_waiters(),
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.ended {
            self.fail();
        }
    }
}

/// One who waits for a leader.
#[derive(Debug)]
#[must_use]
pub(crate) struct Follower {
    flights: Flights,
    key: Arc<str>,
    flight: Arc<Flight>,
    late: bool,
    told: bool,
}

impl Follower {
    pub(crate) fn id(&self) -> u64 {
        self.flight.id
    }

    /// Waits for what there is to know next.
    ///
    /// Cancel safe: what was not returned is told at the next call.
    pub(crate) async fn news(&mut self) -> News {
        loop {
            let changed;
            {
                let mut state = self.flight.lock();
                match &state.phase {
                    // The followers of a closed flight joined before its check; who came later looks up.
                    Phase::Done(Outcome::Shared(_)) if self.late => return News::Ended(Outcome::LookUp),
                    Phase::Done(outcome) => return News::Ended(outcome.clone()),
                    Phase::Vacant => {
                        state.phase = Phase::Computing(None);
                        drop(state);
                        return News::Lead(self.flights.lead(&self.key, &self.flight));
                    }
                    Phase::Computing(Some(head)) if !self.told => {
                        self.told = true;
                        return News::Head(head.clone());
                    }
                    Phase::Computing(_) | Phase::Closed => {}
                }
                changed = self.flight.changed.notified();
            }
            changed.await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.flights.change(&self.key, |slot| {
            let mut state = self.flight.lock();
            state.followers -= 1;
            // The last who could have taken over: nobody is left to lead.
            if state.followers == 0 && matches!(state.phase, Phase::Vacant) {
                slot.remove(&self.flight);
            }
        });
    }
}

/// The right to change what the backend has under one key.
#[derive(Debug)]
#[must_use]
pub(crate) struct Gate {
    flights: Flights,
    key: Arc<str>,
    held: bool,
}

impl Gate {
    /// Takes the tickets of all fills away: what they read may be older than what happens now.
    pub(crate) fn void(&self) {
        let fills = self.flights.change(&self.key, |slot| {
            let fills = mem::take(&mut slot.fills);
            fills.iter().for_each(|flight| flight.lock().void = true);
            fills
        });
        for flight in fills.into_iter().flatten() {
            flight.end(Outcome::LookUp);
        }
    }
}

impl Gate {
    fn wake(line: Option<Lock>) {
        if let Some(Lock::Held(Some(line))) = line {
            line.notify_waiters();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.held {
            Self::wake(self.flights.change(&self.key, |slot| mem::take(&mut slot.gate)));
        }
    }
}
