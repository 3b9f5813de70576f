//! The backend in memory: its bounds, what it evicts, and what it gives back.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use axum_caching::{Backend, Cache, ErrorKind, MemoryBackend, Result, Ttl, Value, testing::ManualClock};

fn bytes(length: usize) -> Value {
    Value::from_bytes(vec![7; length])
}

/// In memory every answer is there at once.
fn set(backend: &MemoryBackend, key: &str, value: Value) -> Result<()> {
    backend.set(key, value, None).into_ready().expect("ready")
}

fn set_for(backend: &MemoryBackend, key: &str, ttl: Duration) {
    backend.set(key, bytes(8), Some(ttl)).into_ready().expect("ready").unwrap();
}

fn has(backend: &MemoryBackend, key: &str) -> bool {
    backend.get(key).into_ready().expect("ready").unwrap().is_some()
}

fn count(backend: &MemoryBackend, key: &str) -> i64 {
    backend.increment(key, 1).into_ready().expect("ready").unwrap()
}

/// Many entries that nobody asks for again.
fn flood(backend: &MemoryBackend, entries: usize) {
    for number in 0..entries {
        set(backend, &format!("flood {number}"), bytes(64)).unwrap();
    }
}

/// Many entries that are all asked for, so that nothing stays which is not.
fn flood_and_ask(backend: &MemoryBackend, entries: usize) {
    for number in 0..entries {
        let key = format!("asked {number}");
        set(backend, &key, bytes(64)).unwrap();
        assert!(has(backend, &key) && has(backend, &key));
    }
}

/// The longest value that the backend takes under this key, and its length.
fn largest(backend: &MemoryBackend, key: &str) -> usize {
    let (mut fits, mut does_not) = (0, usize::try_from(backend.max_bytes()).unwrap() + 1);
    while fits + 1 < does_not {
        let middle = fits.midpoint(does_not);
        match set(backend, key, bytes(middle)) {
            Ok(()) => fits = middle,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
                does_not = middle;
            }
        }
    }
    fits
}

#[test]
fn no_number_of_keys_takes_more_than_the_bytes_it_may() {
    for (max_bytes, length) in [(8 << 20, 20), (1 << 20, 500), (50_000, 64)] {
        let backend = MemoryBackend::builder().max_bytes(max_bytes).max_entries(1_000_000).build();
        for number in 0..200_000 {
            set(&backend, &number.to_string(), bytes(length + number % 50)).unwrap();
            if number % 16 == 0 {
                assert!(backend.weight() <= backend.max_bytes(), "{} after {number}", backend.weight());
            }
        }
        assert!(backend.weight() <= backend.max_bytes());
        assert!(backend.weight() > backend.max_bytes() * 8 / 10, "and what it may take is used: {}", backend.weight());
    }
}

#[test]
fn no_number_of_keys_makes_more_than_the_entries_it_may() {
    for max_entries in [1, 2, 3, 10, 31, 1_000, 10_000] {
        let backend = MemoryBackend::builder().max_entries(max_entries).build();
        for number in 0..(20 * max_entries).min(50_000) {
            set(&backend, &number.to_string(), bytes(8)).unwrap();
            assert!(backend.entries() <= max_entries, "{} of {max_entries}", backend.entries());
        }
        assert!(backend.entries() * 10 >= max_entries * 7, "{} of {max_entries}", backend.entries());
        assert!(backend.weight() <= backend.max_bytes());
    }
}

#[test]
fn many_threads_together_keep_to_the_bounds() {
    let backend = MemoryBackend::builder().max_bytes(1 << 20).max_entries(1_000).build();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let backend = &backend;
            scope.spawn(move || {
                for number in 0..10_000 {
                    set(backend, &format!("{thread} {number}"), bytes(number % 3_000)).unwrap();
                    assert!(backend.weight() <= backend.max_bytes() && backend.entries() <= 1_000);
                }
            });
        }
    });
}

#[test]
fn the_largest_entry_that_is_taken_is_there_and_one_byte_more_is_an_error() {
    for max_bytes in [1_000, 100_000, 4 << 20, 9 << 20, 64 << 20] {
        let backend = MemoryBackend::builder().max_bytes(max_bytes).build();
        let length = largest(&backend, "large");
        assert!(backend.max_entry_bytes() <= backend.max_bytes());
        assert!(length as u64 + 1_000 > backend.max_entry_bytes(), "{length} of {}", backend.max_entry_bytes());

        // Entries that were asked for often are no reason to drop it.
        for number in 0..2_000 {
            let key = format!("hot {number}");
            set(&backend, &key, bytes(64)).unwrap();
            has(&backend, &key);
            has(&backend, &key);
        }
        for round in 0..10 {
            let key = format!("large {round}");
            let length = length - (key.len() - "large".len());
            set(&backend, &key, bytes(length)).unwrap();
            assert!(has(&backend, &key), "acknowledged, so it is there: {length} of {max_bytes}");
            assert!(backend.weight() <= backend.max_bytes());
            assert_eq!(set(&backend, &key, bytes(length + 1)).unwrap_err().kind(), ErrorKind::TooLarge);
        }
    }
}

#[test]
fn one_that_is_too_large_says_how_large_it_may_be() {
    let backend = MemoryBackend::builder().max_bytes(10_000).build();
    let error = set(&backend, "key", bytes(20_000)).unwrap_err().to_string();
    assert!(error.contains(&backend.max_entry_bytes().to_string()), "{error}");
    assert!(error.contains("max_bytes"), "names the setting: {error}");
    assert_eq!((backend.entries(), backend.weight()), (0, 0));
}

#[test]
fn bounds_of_nothing_one_and_everything_are_usable() {
    for bound in [0, 1] {
        let backend = MemoryBackend::builder().max_bytes(bound).build();
        assert_eq!(backend.max_bytes(), 1);
        assert_eq!(set(&backend, "key", bytes(0)).unwrap_err().kind(), ErrorKind::TooLarge);
        let sum = backend.increment("n", 1).into_ready().expect("ready");
        assert_eq!(sum.unwrap_err().kind(), ErrorKind::TooLarge);
        assert!(!has(&backend, "key"));

        let backend = MemoryBackend::builder().max_entries(bound).build();
        set(&backend, "1st", bytes(1)).unwrap();
        set(&backend, "2nd", bytes(1)).unwrap();
        assert!(has(&backend, "2nd"));
        assert_eq!(backend.entries(), 1);
    }
    let backend = MemoryBackend::builder().max_bytes(usize::MAX).build();
    flood(&backend, 100);
    assert_eq!(backend.entries(), 100);
}

#[test]
fn a_bound_that_is_never_reached_costs_nothing() {
    for max_entries in [usize::MAX, 1 << 40] {
        let backend = MemoryBackend::builder().max_entries(max_entries).build();
        flood(&backend, 100);
        assert_eq!(backend.entries(), 100);
    }
}

#[test]
fn what_expired_is_given_back_by_later_stores() {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    for number in 0..5_000 {
        set_for(&backend, &format!("short {number}"), Duration::from_secs(1));
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(backend.entries(), 5_000, "nobody looked yet");
    for number in 0..2_000 {
        set_for(&backend, &format!("later {number}"), Duration::from_secs(60));
    }
    assert_eq!(backend.entries(), 2_000, "a few at each store");
}

#[test]
fn what_expired_is_found_among_entries_that_live_long() {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    for number in 0..1_000 {
        set_for(&backend, &format!("long {number}"), Duration::from_secs(1_000));
        set_for(&backend, &format!("short {number}"), Duration::from_secs(1));
    }
    clock.advance(Duration::from_secs(1));
    for number in 0..3_000 {
        set_for(&backend, &format!("later {number}"), Duration::from_secs(1_000));
    }
    assert_eq!(backend.entries(), 4_000);
}

#[test]
fn one_key_that_is_stored_all_the_time_does_not_keep_others_from_being_swept() {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().max_entries(1_000).clock(clock.clock()).build();
    for _ in 0..5_000 {
        set_for(&backend, "hot", Duration::from_secs(1));
        clock.advance(Duration::from_millis(10));
    }
    for number in 0..500 {
        set_for(&backend, &format!("short {number}"), Duration::from_secs(1));
    }
    clock.advance(Duration::from_secs(1));
    for _ in 0..5_000 {
        set_for(&backend, "hot", Duration::from_secs(1));
    }
    assert_eq!(backend.entries(), 1, "500 entries expired long ago");
}

#[test]
fn an_expired_entry_is_given_back_when_somebody_asks_for_it() {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    set_for(&backend, "key", Duration::from_secs(1));
    clock.advance(Duration::from_secs(1));
    assert!(!has(&backend, "key"));
    assert_eq!((backend.entries(), backend.weight(), backend.evictions()), (0, 0, 0));
}

#[test]
fn integers_are_not_evicted() {
    let backend = MemoryBackend::builder().max_entries(100).max_bytes(100_000).build();
    set(&backend, "stored", Value::integer(5)).unwrap();
    assert_eq!(count(&backend, "made"), 1);
    set(&backend, "text", bytes(8)).unwrap();
    flood_and_ask(&backend, 10_000);
    assert_eq!((count(&backend, "stored"), count(&backend, "made")), (6, 2));
    assert!(!has(&backend, "text"));

    set(&backend, "stored", bytes(8)).unwrap();
    flood_and_ask(&backend, 10_000);
    assert!(!has(&backend, "stored"), "what is no integer any more is evicted as others are");
}

#[test]
fn integers_that_are_kept_from_eviction_have_a_bound_of_their_own() {
    let backend = MemoryBackend::default();
    // Those that went away do not count.
    for number in 0..20_000 {
        count(&backend, &format!("gone {number}"));
        backend.delete(&format!("gone {number}")).into_ready().expect("ready").unwrap();
    }
    for number in 0..12_000 {
        count(&backend, &format!("counter {number}"));
    }
    flood_and_ask(&backend, 40_000);
    let left = (0..12_000).filter(|number| has(&backend, &format!("counter {number}"))).count();
    assert_eq!(left, 10_000);
    assert!(backend.weight() <= backend.max_bytes());
}

#[test]
fn an_integer_that_is_stored_again_is_still_not_evicted() {
    let backend = MemoryBackend::default();
    for number in 0..10_000 {
        count(&backend, &format!("counter {number}"));
    }
    set(&backend, "counter 0", Value::integer(7)).unwrap();
    flood_and_ask(&backend, 40_000);
    assert!(has(&backend, "counter 0"));
}

#[test]
fn integers_alone_do_not_take_more_than_the_bytes_they_may() {
    let backend = MemoryBackend::builder().max_bytes(64 << 10).build();
    for number in 0..5_000 {
        let _ = backend.increment(&format!("counter {number}"), 1).into_ready().expect("ready");
        assert!(backend.weight() <= backend.max_bytes(), "{} after {number}", backend.weight());
    }
}

#[test]
fn only_what_had_to_make_room_is_an_eviction() {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().max_entries(100).clock(clock.clock()).build();
    for _ in 0..2 {
        set(&backend, "replaced", bytes(8)).unwrap();
        set_for(&backend, "expired", Duration::from_secs(1));
    }
    clock.advance(Duration::from_secs(1));
    assert!(!has(&backend, "expired"));
    assert!(backend.delete("replaced").into_ready().expect("ready").unwrap());
    set(&backend, "cleared", bytes(8)).unwrap();
    backend.clear("").into_ready().expect("ready").unwrap();
    assert_eq!(backend.evictions(), 0);

    flood(&backend, 1_000);
    assert_eq!(backend.evictions(), 1_000 - backend.entries() as u64);
    let usage = backend.usage().unwrap();
    assert_eq!((usage.entries, usage.weight), (backend.entries() as u64, backend.weight()));
    assert_eq!(usage.evictions, backend.evictions());
}

#[test]
fn a_weight_follows_what_is_stored_replaced_and_removed() {
    let backend = MemoryBackend::builder().max_bytes(64 << 20).max_entries(1_000_000).build();
    set(&backend, "key", bytes(1_000)).unwrap();
    let small = backend.weight();
    assert!((1_000..2_000).contains(&small), "{small}");
    set(&backend, "key", bytes(100_000)).unwrap();
    assert_eq!(backend.weight(), small + 99_000);
    set(&backend, "key", bytes(1_000)).unwrap();
    assert_eq!(backend.weight(), small);
    set(&backend, "scope/key", bytes(1_000)).unwrap();
    backend.clear("scope/").into_ready().expect("ready").unwrap();
    assert_eq!((backend.weight(), backend.entries()), (small, 1));
    backend.delete("key").into_ready().expect("ready").unwrap();
    assert_eq!((backend.weight(), backend.entries()), (0, 0));
}

#[test]
fn what_is_asked_for_survives_what_is_not() {
    let backend = MemoryBackend::builder().max_entries(1_000).build();
    for number in 0..200 {
        set(&backend, &format!("asked for {number}"), bytes(64)).unwrap();
    }
    for round in 0..20 {
        for number in 0..200 {
            has(&backend, &format!("asked for {number}"));
        }
        for number in 0..1_000 {
            set(&backend, &format!("once {round} {number}"), bytes(64)).unwrap();
        }
    }
    let left = (0..200).filter(|number| has(&backend, &format!("asked for {number}"))).count();
    assert!(left >= 190, "{left} of 200");
}

#[tokio::test]
async fn the_entries_of_a_cache_and_its_scopes_share_the_bounds() {
    let backend = MemoryBackend::builder().max_entries(50).build();
    let cache = Cache::new(Arc::new(backend.clone()));
    for number in 0..100 {
        cache.scoped(number.to_string()).set("key", "value", Ttl::Forever).await.unwrap();
    }
    assert!(backend.entries() <= 50);
    assert!(backend.evictions() >= 50);
}

#[test]
fn what_is_printed_tells_sizes_and_no_content() {
    let backend = MemoryBackend::builder().max_bytes(1 << 20).build();
    set(&backend, "secret key", Value::from_bytes("secret value")).unwrap();
    let printed = format!("{backend:?} {:?}", Value::from_bytes("secret value"));
    assert!(printed.contains("entries: 1") && printed.contains("max_bytes: 1048576"), "{printed}");
    assert!(!printed.contains("secret"), "{printed}");
}
