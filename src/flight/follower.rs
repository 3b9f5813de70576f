use std::sync::Arc;

use super::{Flight, Flights, Lead, News, Outcome, Phase};

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
    /// Its place among the followers is counted already.
    pub(super) fn new(flights: &Flights, key: &Arc<str>, flight: &Arc<Flight>, late: bool) -> Self {
        Self { flights: flights.clone(), key: Arc::clone(key), flight: Arc::clone(flight), late, told: false }
    }

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
                        return News::Lead(Lead::new(&self.flights, &self.key, &self.flight));
                    }
                    Phase::Computing(Some(head)) if !self.told => {
                        self.told = true;
                        return News::Head(head.clone());
                    }
                    // A new leader, whose answer is not known yet.
                    Phase::Computing(None) => self.told = false,
                    Phase::Computing(Some(_)) | Phase::Closed => {}
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
