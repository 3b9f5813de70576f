//! The contract of backends, on ours and on one as somebody else would write it.
#![cfg(feature = "memory")]

mod bytewise;

use std::{sync::Arc, time::Duration};

use axum_caching::{
    Backend, Cache, ErrorKind, MemoryBackend, NullBackend, Value,
    testing::{Chaos, ManualClock, conformance},
};
use bytewise::Bytewise;

fn memory(clock: &ManualClock) -> MemoryBackend {
    MemoryBackend::builder().clock(clock.clock()).build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_backend_keeps_every_rule() {
    let clock = ManualClock::new();
    let backend: Arc<dyn Backend> = Arc::new(memory(&clock));
    conformance::all(&backend, async |time| clock.advance(time)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shared_backend_keeps_every_rule() {
    let clock = ManualClock::new();
    let backend: Arc<dyn Backend> = Arc::new(Arc::new(memory(&clock)));
    conformance::all(&backend, async |time| clock.advance(time)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backend_that_keeps_bytes_and_has_only_what_it_must_keeps_every_rule() {
    let clock = ManualClock::new();
    let backend: Arc<dyn Backend> = Arc::new(Bytewise::new(clock.clock()));
    conformance::all(&backend, async |time| clock.advance(time)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_quiet_chaos_keeps_every_rule() {
    for around in [Chaos::new, Chaos::remote] {
        let clock = ManualClock::new();
        let backend: Arc<dyn Backend> = Arc::new(around(memory(&clock)));
        conformance::all(&backend, async |time| clock.advance(time)).await;
    }
}

#[tokio::test]
async fn the_memory_backend_expires_to_the_millisecond() {
    let clock = ManualClock::new();
    let backend = memory(&clock);
    backend.set("key", Value::from_bytes("1"), Some(Duration::from_micros(1_000_500))).await.unwrap();

    clock.advance(Duration::from_secs(1));
    assert!(backend.has("key").await.unwrap(), "rounded up, never shorter than asked for");
    clock.advance(Duration::from_millis(1));
    assert!(!backend.has("key").await.unwrap());
    assert!(backend.get("key").await.unwrap().is_none());
}

#[tokio::test]
async fn what_expired_is_absent_also_if_it_is_an_object_of_the_cache() {
    let clock = ManualClock::new();
    let backend = memory(&clock);
    let cache = Cache::builder(backend.clone()).clock(clock.clock()).build();
    cache.set("key", "text", Duration::from_secs(1)).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert!(!backend.has("key").await.unwrap());
    assert!(backend.get("key").await.unwrap().is_none(), "the contract of `Backend` has no exception");
}

#[tokio::test]
async fn the_memory_backend_always_answers_at_once() {
    let backend = MemoryBackend::default();
    assert!(matches!(backend.get_now("key"), Some(Ok(None))));
    assert!(matches!(backend.get("key").into_ready(), Ok(Ok(None))));
    assert!(backend.set("key", Value::from_bytes("1"), None).into_ready().is_ok());
    assert!(backend.add("key", Value::from_bytes("1"), None).into_ready().is_ok());
    assert!(backend.increment("counter", 1).into_ready().is_ok());
    assert!(backend.has("key").into_ready().is_ok());
    assert!(backend.get_many(&["key"]).into_ready().is_ok());
    assert!(backend.set_many(&[("key", Value::from_bytes("1"))], None).into_ready().is_ok());
    assert!(backend.delete_many(&["key"]).into_ready().is_ok());
    assert!(backend.delete("key").into_ready().is_ok());
    assert!(backend.clear("").into_ready().is_ok());
}

#[tokio::test]
async fn clearing_the_empty_prefix_removes_everything() {
    let backend = MemoryBackend::default();
    for key in ["a", "b", ""] {
        backend.set(key, Value::from_bytes("1"), None).await.unwrap();
    }
    backend.clear("").await.unwrap();
    assert_eq!((backend.entries(), backend.weight()), (0, 0));
}

#[tokio::test]
async fn clones_of_a_backend_share_their_data() {
    let one = MemoryBackend::default();
    let other = one.clone();
    one.set("key", Value::from_bytes("1"), None).await.unwrap();
    assert!(other.delete("key").await.unwrap());
    assert!(!one.has("key").await.unwrap());
}

#[tokio::test]
async fn the_null_backend_keeps_nothing_and_says_that_all_is_well() {
    let backend = NullBackend::default();

    backend.set("key", Value::from_bytes("1"), None).await.unwrap();
    backend.set_many(&[("key", Value::from_bytes("1"))], None).await.unwrap();
    assert!(backend.add("key", Value::from_bytes("1"), None).await.unwrap());
    assert!(backend.add("key", Value::from_bytes("1"), None).await.unwrap(), "nothing is there, so it is stored again");
    assert_eq!(backend.increment("key", 7).await.unwrap(), 7);
    assert_eq!(backend.increment("key", 7).await.unwrap(), 7);

    assert!(matches!(backend.get_now("key"), Some(Ok(None))));
    assert!(backend.get("key").await.unwrap().is_none());
    assert!(!backend.has("key").await.unwrap());
    assert!(backend.get_many(&["key", "other"]).await.unwrap().iter().all(Option::is_none));
    assert!(!backend.delete("key").await.unwrap());
    assert_eq!(backend.delete_many(&["key"]).await.unwrap(), 0);
    backend.clear("").await.unwrap();

    conformance::basics::what_was_never_stored_is_absent(&backend).await;
    conformance::batches::no_keys_are_no_error(&backend).await;
}

#[tokio::test]
async fn what_a_backend_does_not_have_is_unsupported() {
    let backend = NullBackend::default();
    let answer = backend.compare_and_set("key", b"token", Value::from_bytes("1"), None).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(!backend.has("key").await.unwrap());
}
