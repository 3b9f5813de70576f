use std::{mem, sync::Arc};

use super::{Flight, Flights, Gate, Head, MAX_FAILURES, Outcome, Phase};

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
    pub(super) fn new(flights: &Flights, key: &Arc<str>, flight: &Arc<Flight>) -> Self {
        Self { flights: flights.clone(), key: Arc::clone(key), flight: Arc::clone(flight), ended: false }
    }

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

    /// Whether others wait for the answer. Once it is closed, nobody comes to it any more.
    pub(crate) fn is_followed(&self) -> bool {
        self.flight.lock().followers > 0
    }

    /// Whether a purge took the ticket away.
    pub(crate) fn is_void(&self) -> bool {
        self.flight.lock().void
    }

    /// Ends the flight for those who wait, and keeps the ticket.
    pub(crate) fn release(&self, outcome: Outcome) {
        self.flight.end(outcome);
    }

    /// Ends the flight. What a purge has ended already stays as it is.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.ended = true;
        self.flights.change(&self.key, |slot| slot.remove(&self.flight));
        self.flight.end(outcome);
    }

    /// Opens the gate and ends the flight, in one step.
    pub(crate) fn end_and_open(mut self, gate: Gate, outcome: Outcome) {
        self.ended = true;
        gate.leave_open();
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
