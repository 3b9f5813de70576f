//! The breaker of a backend as its callers share it, and calls under way.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    backend::breaker::{Breaker, BreakerState, Circuit, Pass, is_failure},
    error::Result,
};

/// No pass has this number.
const NOT_CALM: u64 = u64::MAX;

pub(super) struct Switch {
    circuit: Mutex<Circuit>,
    /// The number of the pass of a circuit that is calm, as it is most of the time: calls go by it without the lock, and
    /// without the time.
    calm: AtomicU64,
    /// What the circuit counts its time from.
    began: Instant,
    tell: Box<dyn Fn(BreakerState) + Send + Sync>,
}

impl Switch {
    pub(super) fn new(breaker: Breaker, tell: impl Fn(BreakerState) + Send + Sync + 'static) -> Self {
        let circuit = Circuit::new(breaker);
        Self {
            calm: AtomicU64::new(calm(&circuit)),
            circuit: Mutex::new(circuit),
            began: Instant::now(),
            tell: Box::new(tell),
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        self.with(|circuit, _| circuit.state())
    }

    /// Whether a call would be refused now.
    pub(super) fn is_open(&self) -> bool {
        !self.with(|circuit, now| circuit.lets_through(now))
    }

    /// Lets a call through, or does not.
    pub(super) fn admit(&self) -> Option<Permit<'_>> {
        let pass = match self.calm.load(Ordering::Acquire) {
            NOT_CALM => self.with(Circuit::ask)?,
            calm => Pass(calm),
        };
        Some(Permit { switch: self, pass: Some(pass) })
    }

    /// Whether a success of this pass, or that it says nothing, changes nothing: it may as well have come before whatever
    /// does.
    fn is_calm(&self, pass: Pass) -> bool {
        self.calm.load(Ordering::Acquire) == pass.0
    }

    /// Looks at the circuit, or changes it; who wants to know of a change is told after it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Circuit, Duration) -> T) -> T {
        let now = Instant::now().saturating_duration_since(self.began);
        let (result, before, after) = {
            // A panic under this lock is not possible; if it was, the state is still one of the states.
            let mut circuit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner);
            let before = circuit.state();
            let result = work(&mut circuit, now);
            self.calm.store(calm(&circuit), Ordering::Release);
            (result, before, circuit.state())
        };
        if before != after {
            (self.tell)(after);
        }
        result
    }
}

fn calm(circuit: &Circuit) -> u64 {
    circuit.calm().map_or(NOT_CALM, |pass| pass.0)
}

/// A call that was let through. Dropped before its answer was heard, it says nothing.
pub(super) struct Permit<'a> {
    switch: &'a Switch,
    pass: Option<Pass>,
}

impl Permit<'_> {
    pub(super) fn heard<T>(mut self, answer: &Result<T>) {
        match answer {
            Err(error) if is_failure(error.kind()) => self.failed(),
            _ => {
                if let Some(pass) = self.pass.take().filter(|pass| !self.switch.is_calm(*pass)) {
                    self.switch.with(|circuit, _| circuit.succeeded(pass));
                }
            }
        }
    }

    pub(super) fn failed(mut self) {
        if let Some(pass) = self.pass.take() {
            self.switch.with(|circuit, now| circuit.failed(pass, now));
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take().filter(|pass| !self.switch.is_calm(*pass)) {
            self.switch.with(|circuit, _| circuit.abandoned(pass));
        }
    }
}

/// Counts a write that is late, for as long as it is.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub(super) fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
