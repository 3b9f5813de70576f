//! What is compressed, what is not, and what becomes of it where nothing opens it.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum_caching::{Backend, Cache, Envelope, MemoryBackend, Profile, Ttl, Value, testing::Chaos};
use proptest::{collection::vec, prelude::*};

use crate::common::{Stage, contains, long_text};

fn compressing() -> Stage {
    Stage::new(|it| it.compress_above(1_000))
}

#[tokio::test]
async fn a_long_value_is_stored_smaller_and_comes_back() {
    let stage = compressing();
    stage.cache.set("text", &long_text(), Ttl::Default).await.unwrap();
    let raw = stage.raw("text");
    assert!(raw.len() < 200, "{} bytes", raw.len());
    assert!(raw.starts_with(b"axc\x01v"), "what is compared stands in clear");
    assert_eq!(stage.cache.get("text").await.unwrap(), Some(long_text()));
    assert_eq!(stage.cache.get_many::<String>(["none", "text"]).await.unwrap(), [None, Some(long_text())]);
    assert!(stage.cache.has("text").await.unwrap());
}

#[tokio::test]
async fn what_is_short_or_does_not_get_smaller_is_stored_as_without_an_envelope() {
    let stage = compressing();
    let noise = noise(4_000);
    stage.cache.set("short", "text", Ttl::Default).await.unwrap();
    stage.cache.set("noise", &noise, Ttl::Default).await.unwrap();
    let plain = stage.without();
    assert_eq!(plain.cache.get("short").await.unwrap(), Some("text".to_owned()));
    assert!(plain.cache.get("noise").await.unwrap() == Some(noise));
}

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

#[tokio::test]
async fn what_was_stored_without_an_envelope_is_read() {
    let stage = compressing();
    stage.without().cache.set("text", &long_text(), Ttl::Default).await.unwrap();
    assert_eq!(stage.cache.get("text").await.unwrap(), Some(long_text()));
}

#[tokio::test]
async fn what_is_compressed_is_read_also_by_an_envelope_that_does_not_compress() {
    let stage = compressing();
    stage.cache.set("text", &long_text(), Ttl::Default).await.unwrap();
    assert_eq!(stage.again(|it| it).cache.get("text").await.unwrap(), Some(long_text()));
}

#[tokio::test]
async fn without_an_envelope_it_is_a_miss_that_says_why_and_is_overwritten() {
    let stage = compressing();
    stage.cache.set("text", &long_text(), Ttl::Default).await.unwrap();
    let plain = stage.without();
    assert_eq!(plain.cache.get::<String>("text").await.unwrap(), None);
    assert_eq!(
        plain.failures.take(),
        ["decode: cannot decode the stored bytes: it is in an envelope, and nothing here opens it: see `Envelope`"]
    );
    assert!(!plain.cache.has("text").await.unwrap());
    assert_eq!(plain.cache.get_or_compute("text", Ttl::Default, async || "new".to_owned()).await, "new");
    assert_eq!(stage.cache.get("text").await.unwrap(), Some("new".to_owned()));
}

#[tokio::test]
async fn integers_stay_plain_and_can_be_added_to() {
    let stage = Stage::new(|it| it.compress_above(0));
    stage.cache.set("n", &40, Ttl::Default).await.unwrap();
    assert_eq!(stage.cache.increment("n", 2).await.unwrap(), 42);
    assert_eq!(stage.raw("n"), b"42");
    // Digits too, however many there are.
    let digits = format!("{:0>5000}", 7);
    let envelope = Envelope::builder(stage.stored.clone()).compress_above(0).build();
    envelope.set("digits", Value::from_bytes(digits.clone()), None).await.unwrap();
    assert_eq!(stage.raw("digits"), digits.as_bytes());
}

#[tokio::test]
async fn what_would_take_too_much_memory_is_a_miss() {
    let stage = compressing();
    stage.cache.set("text", &long_text(), Ttl::Default).await.unwrap();
    let raw = stage.raw("text");
    // Behind token, mark and format.
    let at = 13 + 4 + 1;
    let wrong = [(u32::MAX, "larger than"), ((64 << 20) + 1, "larger than"), (1 << 20, "damaged"), (0, "damaged")];
    for (length, why) in wrong {
        let mut bomb = raw.clone();
        bomb[at..at + 4].copy_from_slice(&length.to_le_bytes());
        stage.stored.put_raw("text", bomb);
        assert_eq!(stage.cache.get::<String>("text").await.unwrap(), None);
        let failures = stage.failures.take();
        assert!(failures[0].contains(why), "{length}: {failures:?}");
    }
    stage.stored.put_raw("text", raw);
    let small = stage.again(|it| it.max_decompressed_bytes(8_000));
    assert_eq!(small.cache.get::<String>("text").await.unwrap(), None);
    assert!(small.failures.take()[0].contains("`max_decompressed_bytes`"));
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_compressed() {
    let stage = Stage::new(|it| it.compress_above(100).max_decompressed_bytes(5_000));
    stage.cache.set("text", &long_text(), Ttl::Default).await.unwrap();
    assert!(contains(&stage.raw("text"), b"again, the same"));
    assert_eq!(stage.cache.get("text").await.unwrap(), Some(long_text()));
}

#[tokio::test]
async fn bytes_that_look_like_an_envelope_come_back_as_they_are() {
    let stage = compressing();
    let envelope = Envelope::builder(stage.stored.clone()).compress_above(1_000).build();
    stage.cache.set("text", &long_text(), Ttl::Default).await.unwrap();
    let raw = stage.raw("text");
    envelope.set("copy", Value::from_bytes(raw.clone()), None).await.unwrap();
    assert_eq!(envelope.get("copy").await.unwrap().unwrap().to_bytes().unwrap(), raw);
}

#[tokio::test]
async fn an_entry_is_marked_stale_through_it_on_a_server_that_compares() {
    let server = Chaos::remote(MemoryBackend::default());
    let envelope = Envelope::builder(server).compress_above(1_000).build();
    assert!(envelope.compares());
    let minute = Duration::from_secs(60);
    let profile = Profile::ttl(minute).stale_while_revalidate(minute);
    let cache = Cache::builder(envelope).profile(profile).build();
    let ask = async |text: String| cache.get_or_compute_owned("key", Profile::new(), move || async move { text }).await;
    assert_eq!(ask(long_text()).await, long_text());
    assert!(cache.mark_stale("key").await.unwrap());
    assert_eq!(ask("new".to_owned()).await, long_text(), "once more: it was not deleted");
    assert!(cache.close().await);
    assert_eq!(ask("newer".to_owned()).await, "new");
}

#[tokio::test]
async fn many_large_values_come_back() {
    let server = Chaos::remote(MemoryBackend::default());
    let envelope = Envelope::builder(server).compress_above(1_000).build();
    let large = long_text().repeat(100);
    let values: Vec<_> = (0..8).map(|n| (format!("key{n}"), Value::from_bytes(format!("{n}{large}")))).collect();
    let entries: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    envelope.set_many(&entries, None).await.unwrap();
    let keys: Vec<_> = values.iter().map(|(key, _)| key.as_str()).collect();
    let found = envelope.get_many(&keys).await.unwrap();
    for ((_, value), found) in values.iter().zip(found) {
        assert_eq!(found.unwrap().to_bytes().unwrap(), value.to_bytes().unwrap());
    }
}

#[tokio::test]
async fn a_large_value_does_not_hold_up_the_thread_that_asks_and_a_small_one_is_not_sent_away() {
    let envelope = Envelope::builder(MemoryBackend::default()).compress_above(1_000).build();
    for (text, is_ready) in [(long_text(), true), (long_text().repeat(100), false)] {
        // Polled once: what is away has not come back, since nothing else had its turn.
        let mut context = Context::from_waker(Waker::noop());
        let mut set = pin!(envelope.set("key", Value::from_bytes(text), None));
        assert_eq!(set.as_mut().poll(&mut context).is_ready(), is_ready);
        if !is_ready {
            set.await.unwrap();
        }
    }
}

#[test]
fn without_a_runtime_the_work_is_done_in_place() {
    let envelope = Envelope::builder(MemoryBackend::default()).compress_above(1_000).build();
    let large = long_text().repeat(100);
    let mut set = pin!(envelope.set("key", Value::from_bytes(large.clone()), None));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(set.as_mut().poll(&mut context), Poll::Ready(Ok(()))));
    let mut get = pin!(envelope.get("key"));
    let Poll::Ready(Ok(Some(found))) = get.as_mut().poll(&mut context) else { panic!("it is there") };
    assert_eq!(found.to_bytes().unwrap(), large);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(
        start in prop_oneof![Just(0), 13..23_usize],
        flags in any::<u8>(),
        rest in vec(any::<u8>(), 0..200),
    ) {
        let begin = [&b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08"[..], &[flags, 0xff, 0xff, 0xff, 1, 9, 0, 0, 0]].concat();
        let bytes = [&begin[..start.min(begin.len())], &rest].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let stage = compressing();
            stage.stored.put_raw("key", bytes);
            let _ = stage.cache.get::<String>("key").await;
            let _ = stage.cache.has("key").await;
            assert_eq!(stage.cache.get_or_compute("other", Ttl::Default, async || 1).await, 1);
        });
    }
}
