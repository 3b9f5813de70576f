//! The contract of backends, through an envelope.

use std::sync::Arc;

use axum_caching::{
    Backend, Envelope, EnvelopeBuilder, MemoryBackend, TieredBackend,
    testing::{
        Chaos, ManualClock,
        conformance::{self, add, basics, batches, counters, expiry, keys as keys_of, tokens, values},
    },
};

use crate::{bytewise::Bytewise, common::keys};

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

/// All but that no value is half of two, which encrypts a hundred mebibytes: that one is kept below, where it is less.
#[tokio::test]
async fn an_envelope_that_encrypts_keeps_the_rules() {
    let clock = ManualClock::new();
    let server = Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build());
    let one = Envelope::builder(server).keys(keys()).build();
    let advance = async |time| clock.advance(time);
    basics::what_was_stored_is_found(&one).await;
    basics::a_later_set_replaces_an_earlier_one(&one).await;
    keys_of::any_text_is_a_key(&one).await;
    keys_of::long_keys_are_not_cut(&one).await;
    values::every_byte_comes_back(&one).await;
    values::a_live_value_comes_back(&one).await;
    values::a_large_value_is_kept_or_refused_aloud(&one).await;
    add::stores_only_what_is_absent(&one).await;
    add::leaves_the_end_of_what_is_there(&one, &advance).await;
    batches::many_values_come_in_the_order_of_their_keys(&one).await;
    batches::no_keys_are_no_error(&one).await;
    counters::what_is_absent_counts_as_zero(&one).await;
    tokens::stores_only_over_the_token(&one).await;
    expiry::what_expired_is_absent_to_everything(&one, &advance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_envelope_that_compresses_and_encrypts_keeps_every_rule() {
    keeps_the_contract(|it| it.compress_above(0).keys(keys())).await;
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
