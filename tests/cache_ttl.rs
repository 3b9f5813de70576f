//! How long entries live.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::time::Duration;

use axum_caching::{Cache, MemoryBackend, Ttl, testing::ManualClock};
use bytewise::Bytewise;

on_both_backends! {
    an_entry_lives_exactly_as_long_as_it_was_told,
    an_integer_lives_exactly_as_long_as_it_was_told,
    without_a_word_an_entry_lives_for_five_minutes,
    for_ever_is_for_ever,
    what_is_not_to_be_stored_is_deleted,
    adding_what_is_not_to_be_stored_stores_nothing_and_says_so,
    a_computed_value_that_is_not_to_be_stored_is_computed_each_time,
    a_lifetime_is_never_shorter_than_asked_for,
    the_longest_lifetime_does_not_overflow,
    a_later_lifetime_replaces_an_earlier_one,
    many_values_share_one_lifetime,
    a_clock_that_jumps_back_by_hours_makes_a_miss,
}

const MILLI: Duration = Duration::from_millis(1);

async fn an_entry_lives_exactly_as_long_as_it_was_told(cache: Cache, clock: ManualClock) {
    let ttl = Duration::from_millis(1_234);
    cache.set("set", "value", ttl).await.unwrap();
    cache.add("add", "value", ttl).await.unwrap();
    cache.set_many([("many", "value")], ttl).await.unwrap();
    cache.get_or_compute("computed", ttl, async || "value".to_owned()).await;
    let keys = ["set", "add", "many", "computed"];

    clock.advance(Duration::from_millis(1_233));
    for key in keys {
        assert_eq!(cache.get::<String>(key).await.unwrap().as_deref(), Some("value"), "{key}");
    }
    clock.advance(MILLI);
    for key in keys {
        assert_eq!(cache.get::<String>(key).await.unwrap(), None, "{key}");
        assert!(!cache.has(key).await.unwrap(), "{key}");
    }
    assert_eq!(cache.get_many::<String>(keys).await.unwrap(), [None, None, None, None]);
    assert_eq!(cache.get_or_compute("computed", ttl, async || "new".to_owned()).await, "new");
    assert_eq!(cache.delete_many(["set", "add", "many"]).await.unwrap(), 0, "what expired was not there");
}

async fn an_integer_lives_exactly_as_long_as_it_was_told(cache: Cache, clock: ManualClock) {
    cache.set("n", &7, Duration::from_secs(1)).await.unwrap();
    clock.advance(Duration::from_millis(999));
    assert_eq!(cache.get::<i32>("n").await.unwrap(), Some(7));
    clock.advance(MILLI);
    assert_eq!(cache.get::<i32>("n").await.unwrap(), None);
    assert!(!cache.has("n").await.unwrap());
}

async fn without_a_word_an_entry_lives_for_five_minutes(cache: Cache, clock: ManualClock) {
    assert_eq!(cache.ttl(), Ttl::For(Duration::from_secs(300)));
    cache.set("key", "value", Ttl::Default).await.unwrap();
    cache.set("n", &1, Ttl::Default).await.unwrap();
    clock.advance(Duration::from_millis(299_999));
    assert!(cache.has("key").await.unwrap() && cache.has("n").await.unwrap());
    clock.advance(MILLI);
    assert!(!cache.has("key").await.unwrap() && !cache.has("n").await.unwrap());
}

async fn for_ever_is_for_ever(cache: Cache, clock: ManualClock) {
    cache.set("key", "value", Ttl::Forever).await.unwrap();
    cache.get_or_compute("computed", Ttl::Forever, async || "1st".to_owned()).await;
    clock.advance(Duration::from_secs(1_000 * 365 * 86_400));
    assert!(cache.has("key").await.unwrap());
    assert_eq!(cache.get_or_compute("computed", Ttl::Forever, async || "2nd".to_owned()).await, "1st");
}

async fn what_is_not_to_be_stored_is_deleted(cache: Cache, _: ManualClock) {
    for ttl in [Ttl::DontStore, Ttl::For(Duration::ZERO)] {
        cache.set("key", "old", Ttl::Forever).await.unwrap();
        cache.set("key", "new", ttl).await.unwrap();
        assert_eq!(cache.get::<String>("key").await.unwrap(), None, "{ttl:?}");

        cache.set("many", "old", Ttl::Forever).await.unwrap();
        cache.set_many([("many", "new")], ttl).await.unwrap();
        assert_eq!(cache.get::<String>("many").await.unwrap(), None, "{ttl:?}");
    }
}

async fn adding_what_is_not_to_be_stored_stores_nothing_and_says_so(cache: Cache, _: ManualClock) {
    assert!(!cache.add("key", "value", Ttl::DontStore).await.unwrap());
    assert!(!cache.has("key").await.unwrap());
    cache.set("key", "value", Ttl::Default).await.unwrap();
    assert!(!cache.add("key", "other", Duration::ZERO).await.unwrap());
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("value"));
}

async fn a_computed_value_that_is_not_to_be_stored_is_computed_each_time(cache: Cache, _: ManualClock) {
    for run in 0..3 {
        assert_eq!(cache.get_or_compute("key", Ttl::DontStore, async || run).await, run);
        assert!(!cache.has("key").await.unwrap());
    }
}

async fn a_lifetime_is_never_shorter_than_asked_for(cache: Cache, clock: ManualClock) {
    cache.set("key", "value", Duration::from_nanos(1_000_001)).await.unwrap();
    clock.advance(MILLI);
    assert!(cache.has("key").await.unwrap(), "1.000001 ms is rounded up");
    clock.advance(MILLI);
    assert!(!cache.has("key").await.unwrap());
}

async fn the_longest_lifetime_does_not_overflow(cache: Cache, clock: ManualClock) {
    cache.set("key", "value", Duration::MAX).await.unwrap();
    cache.set("n", &1, Duration::MAX).await.unwrap();
    cache.get_or_compute("computed", Duration::MAX, async || 1).await;
    clock.advance(Duration::from_secs(1 << 33));
    for key in ["key", "n", "computed"] {
        assert!(cache.has(key).await.unwrap(), "{key}");
    }
}

async fn a_later_lifetime_replaces_an_earlier_one(cache: Cache, clock: ManualClock) {
    let second = Duration::from_secs(1);
    for (key, earlier, later) in [
        ("longer", second.into(), Ttl::Forever),
        ("shorter", Ttl::Forever, second.into()),
        ("same", second.into(), second.into()),
    ] {
        cache.set(key, "value", earlier).await.unwrap();
        cache.set(key, "value", later).await.unwrap();
    }
    clock.advance(second);
    assert!(cache.has("longer").await.unwrap());
    assert!(!cache.has("shorter").await.unwrap());
    assert!(!cache.has("same").await.unwrap());
}

async fn many_values_share_one_lifetime(cache: Cache, clock: ManualClock) {
    cache.set_many([("a", 1), ("b", 2)], Duration::from_secs(1)).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.get_many::<i32>(["a", "b"]).await.unwrap(), [None, None]);
}

async fn a_clock_that_jumps_back_by_hours_makes_a_miss(cache: Cache, clock: ManualClock) {
    cache.set("key", "value", Ttl::Forever).await.unwrap();
    let now = clock.now();
    clock.set(now - 60_000);
    assert!(cache.has("key").await.unwrap(), "a minute is ordinary skew");
    clock.set(now - 60_001);
    assert!(!cache.has("key").await.unwrap());
    assert_eq!(cache.get::<String>("key").await.unwrap(), None);
}

#[tokio::test]
async fn the_lifetime_of_a_cache_is_for_those_who_say_none() {
    let clock = ManualClock::new();
    let in_memory = Cache::builder(MemoryBackend::builder().clock(clock.clock()).build());
    let in_bytes = Cache::builder(Bytewise::new(clock.clock()));
    for builder in [in_memory, in_bytes] {
        let cache = builder.clock(clock.clock()).ttl(Duration::from_secs(10)).ttl(Ttl::Default).build();
        assert_eq!(cache.ttl(), Ttl::For(Duration::from_secs(10)), "saying nothing changes nothing");
        cache.set("default", "value", Ttl::Default).await.unwrap();
        cache.scoped("inner").set("default", "value", Ttl::Default).await.unwrap();
        cache.set("own", "value", Duration::from_secs(20)).await.unwrap();
        cache.get_or_compute("computed", Ttl::Default, async || 1).await;

        clock.advance(Duration::from_secs(10));

        assert!(!cache.has("default").await.unwrap());
        assert!(!cache.scoped("inner").has("default").await.unwrap());
        assert!(!cache.has("computed").await.unwrap());
        assert!(cache.has("own").await.unwrap());
    }
}

#[tokio::test]
async fn a_cache_that_stores_nothing_by_default_stores_what_says_how_long() {
    let cache = Cache::builder(MemoryBackend::default()).ttl(Ttl::DontStore).build();
    cache.set("silent", "value", Ttl::Default).await.unwrap();
    cache.set("says", "value", Duration::from_secs(1)).await.unwrap();
    assert!(!cache.has("silent").await.unwrap());
    assert!(cache.has("says").await.unwrap());
}
