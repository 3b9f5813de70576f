use std::{mem, sync::Arc};

use super::{Flights, Lock, Outcome};

/// The right to change what the backend has under one key.
#[derive(Debug)]
#[must_use]
pub(crate) struct Gate {
    flights: Flights,
    key: Arc<str>,
    held: bool,
}

impl Gate {
    pub(super) fn new(flights: &Flights, key: &Arc<str>) -> Self {
        Self { flights: flights.clone(), key: Arc::clone(key), held: true }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Takes the tickets of all fills away: what they read may be older than what happens now.
    pub(crate) fn void(&self) {
        let fills = self.flights.change(&self.key, |slot| {
            let fills = mem::take(&mut slot.fills);
            for flight in &fills {
                flight.lock().void = true;
            }
            fills
        });
        for flight in fills.into_iter().flatten() {
            flight.end(Outcome::LookUp);
        }
    }

    /// Leaves the opening to the caller.
    pub(super) fn leave_open(mut self) {
        self.held = false;
    }

    pub(super) fn wake(line: Option<Lock>) {
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
