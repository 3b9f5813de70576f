//! Calls under way: what the breaker is told of them, and how many writes are late.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Guard;
use crate::{
    backend::breaker::{Pass, is_failure},
    error::Result,
};

/// A call that was let through. Dropped before its answer was heard, it says nothing.
pub(super) struct Permit<'a> {
    guard: &'a Guard,
    pass: Option<Pass>,
}

impl<'a> Permit<'a> {
    pub(super) fn new(guard: &'a Guard, pass: Pass) -> Self {
        Self { guard, pass: Some(pass) }
    }

    pub(super) fn heard<T>(mut self, answer: &Result<T>) {
        match answer {
            Err(error) if is_failure(error.kind()) => self.failed(),
            _ => {
                if let Some(pass) = self.pass.take() {
                    self.guard.with(|circuit, _| circuit.succeeded(pass));
                }
            }
        }
    }

    pub(super) fn failed(mut self) {
        if let Some(pass) = self.pass.take() {
            self.guard.with(|circuit, now| circuit.failed(pass, now));
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.guard.with(|circuit, _| circuit.abandoned(pass));
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
