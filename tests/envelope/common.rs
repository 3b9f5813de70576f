//! Caches over envelopes over bytes that the tests can look at.

use std::sync::{Arc, Mutex};

use axum_caching::{Backend, Cache, Envelope, EnvelopeBuilder, Event, KeyRing, testing::ManualClock};

use crate::bytewise::Bytewise;

/// What went wrong, as an observer is told.
#[derive(Clone, Debug, Default)]
pub struct Failures(Arc<Mutex<Vec<String>>>);

impl Failures {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A cache over an envelope, the bytes beneath it, and what went wrong.
pub struct Stage {
    pub cache: Cache,
    pub stored: Bytewise,
    pub failures: Failures,
    pub clock: ManualClock,
}

impl Stage {
    pub fn new(settings: impl Fn(EnvelopeBuilder) -> EnvelopeBuilder) -> Self {
        let clock = ManualClock::new();
        Self::over(Bytewise::new(clock.clock()), clock, settings)
    }

    /// One that encrypts.
    pub fn sealing() -> Self {
        Self::new(|it| it.keys(keys()))
    }

    pub fn over(stored: Bytewise, clock: ManualClock, settings: impl Fn(EnvelopeBuilder) -> EnvelopeBuilder) -> Self {
        let envelope = settings(Envelope::builder(stored.clone())).build();
        Self::with(envelope, stored, clock)
    }

    /// Another cache of the same entries, which knows of no envelopes.
    pub fn without(&self) -> Self {
        Self::with(self.stored.clone(), self.stored.clone(), self.clock.clone())
    }

    /// Another cache of the same entries.
    pub fn again(&self, settings: impl Fn(EnvelopeBuilder) -> EnvelopeBuilder) -> Self {
        Self::over(self.stored.clone(), self.clock.clone(), settings)
    }

    fn with(backend: impl Backend, stored: Bytewise, clock: ManualClock) -> Self {
        let failures = Failures::default();
        let told = failures.clone();
        let observer = move |event: &Event<'_>| {
            if let Event::Failed { operation, error } = event {
                told.0.lock().unwrap().push(format!("{operation}: {error}"));
            }
        };
        let cache = Cache::builder(backend).clock(clock.clock()).observer(observer).build();
        Self { cache, stored, failures, clock }
    }

    pub fn raw(&self, key: &str) -> Vec<u8> {
        self.stored.raw(key).expect("stored").to_vec()
    }
}

pub fn keys() -> KeyRing {
    KeyRing::new([7; 32])
}

/// Whether some bytes are a part of others.
pub fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

pub fn long_text() -> String {
    "the same again, ".repeat(500)
}
