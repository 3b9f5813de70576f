//! The contract of backends, through an envelope.

use std::sync::Arc;

use axum_caching::{
    Backend, Envelope, EnvelopeBuilder, MemoryBackend, TieredBackend,
    testing::{Chaos, ManualClock, conformance},
};

use crate::bytewise::Bytewise;

async fn keeps_the_contract(settings: impl Fn(EnvelopeBuilder) -> EnvelopeBuilder) {
    let clock = ManualClock::new();
    let memory = || MemoryBackend::builder().clock(clock.clock()).build();
    let around = |backend: Arc<dyn Backend>| settings(Envelope::builder(backend)).build();
    let backends: [Arc<dyn Backend>; 4] = [
        Arc::new(around(Arc::new(memory()))),
        Arc::new(around(Arc::new(Chaos::remote(memory())))),
        Arc::new(around(Arc::new(Bytewise::new(clock.clock())))),
        Arc::new(TieredBackend::new(around(Arc::new(Chaos::remote(memory()))))),
    ];
    for backend in backends {
        conformance::all(&backend, async |time| clock.advance(time)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_envelope_that_compresses_keeps_every_rule() {
    keeps_the_contract(|it| it.compress_above(0)).await;
    keeps_the_contract(|it| it.compress_above(1_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_envelope_that_was_told_nothing_keeps_every_rule() {
    keeps_the_contract(|it| it).await;
}

#[tokio::test]
async fn it_says_of_itself_what_the_backend_inside_says() {
    let clock = ManualClock::new();
    let around = |backend: Arc<dyn Backend>| Envelope::builder(backend).build();
    let memory = around(Arc::new(MemoryBackend::default()));
    assert_eq!((memory.compares(), memory.lags()), (true, false));
    assert!(!memory.keeps_live(), "but that it keeps bytes");
    assert!(memory.usage().is_some());
    assert!(!around(Arc::new(Bytewise::new(clock.clock()))).is_shared());
    let shared = around(Arc::new(Bytewise::shared(clock.clock())));
    assert_eq!((shared.is_shared(), shared.compares()), (true, false));
    assert!(around(Arc::new(TieredBackend::new(Bytewise::shared(clock.clock())))).lags());
}
