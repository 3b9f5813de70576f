//! The explicit calls of `Cache`: one meaning on every backend.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use axum_caching::{Cache, ErrorKind, Ttl, testing::ManualClock};
use bytewise::Told;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

on_both_backends! {
    a_value_is_found_as_it_was_stored,
    what_is_not_there_is_none_and_deleting_it_is_false,
    none_is_a_value_and_not_an_absence,
    a_value_that_is_changed_by_its_reader_stays_what_it_was,
    a_later_set_replaces_an_earlier_one_of_another_type,
    add_stores_only_what_is_absent,
    add_stores_over_what_expired_was_deleted_or_cleared,
    many_values_are_stored_found_and_removed,
    a_dictionary_has_every_key_that_was_asked_for,
    no_keys_are_no_error,
    clear_removes_everything_and_leaves_a_usable_cache,
    an_integer_is_counted_up_and_down,
    counting_keeps_the_lifetime,
    what_is_no_integer_cannot_be_counted,
    an_integer_is_read_as_any_type_that_holds_it,
    an_entry_that_is_another_type_is_an_error_and_stays,
    one_wrong_type_among_many_fails_the_call,
    explicit_calls_count_no_hits_and_no_misses,
    an_idle_cache_closes_at_once_and_stays_usable,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle { radius: f64 },
    Named(String, Option<Box<Shape>>),
}

async fn comes_back<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(cache: &Cache, value: T) {
    cache.set("key", &value, Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<T>("key").await.unwrap(), Some(value));
}

async fn a_value_is_found_as_it_was_stored(cache: Cache, _: ManualClock) {
    comes_back(&cache, String::from("text")).await;
    comes_back(&cache, String::new()).await;
    comes_back(&cache, ()).await;
    comes_back(&cache, true).await;
    comes_back(&cache, 'ß').await;
    comes_back(&cache, 0_u8).await;
    comes_back(&cache, i64::MIN).await;
    comes_back(&cache, u64::MAX).await;
    comes_back(&cache, i128::MIN).await;
    comes_back(&cache, -0.5_f64).await;
    comes_back(&cache, (1, "two".to_owned(), [3.0])).await;
    comes_back(&cache, vec![0_u8, 255, b'a']).await;
    comes_back(&cache, "007".to_owned()).await;
    comes_back(&cache, Some(7)).await;
    comes_back(&cache, BTreeMap::from([("a".to_owned(), vec![1, 2])])).await;
    comes_back(&cache, Shape::Point).await;
    comes_back(&cache, Shape::Circle { radius: 1.5 }).await;
    comes_back(&cache, Shape::Named("n".to_owned(), Some(Box::new(Shape::Point)))).await;
    comes_back(&cache, std::num::NonZeroU16::MAX).await;
    comes_back(&cache, Duration::from_nanos(1)).await;
    comes_back(&cache, vec![1_u8; 300_000]).await;
}

async fn what_is_not_there_is_none_and_deleting_it_is_false(cache: Cache, _: ManualClock) {
    assert_eq!(cache.get::<String>("key").await.unwrap(), None);
    assert!(!cache.has("key").await.unwrap());
    assert!(!cache.delete("key").await.unwrap());

    cache.set("key", "value", Ttl::Default).await.unwrap();
    assert!(cache.has("key").await.unwrap());
    assert!(cache.delete("key").await.unwrap());
    assert!(!cache.delete("key").await.unwrap());
    assert_eq!(cache.get::<String>("key").await.unwrap(), None);
}

async fn none_is_a_value_and_not_an_absence(cache: Cache, _: ManualClock) {
    cache.set("key", &None::<u32>, Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<Option<u32>>("key").await.unwrap(), Some(None));
    assert!(cache.has("key").await.unwrap());
    assert!(!cache.add("key", &Some(1), Ttl::Default).await.unwrap());
    assert_eq!(cache.get_many::<Option<u32>>(["key", "absent"]).await.unwrap(), [Some(None), None]);

    let computed = cache.get_or_compute("other", Ttl::Default, async || None::<u32>).await;
    let found = cache.get_or_compute("other", Ttl::Default, async || Some(1)).await;
    assert_eq!((computed, found), (None, None));
}

async fn a_value_that_is_changed_by_its_reader_stays_what_it_was(cache: Cache, _: ManualClock) {
    let mut stored = vec![1, 2];
    cache.set("key", &stored, Ttl::Default).await.unwrap();
    stored.push(3);
    let mut found = cache.get::<Vec<i32>>("key").await.unwrap().unwrap();
    found.clear();
    assert_eq!(cache.get::<Vec<i32>>("key").await.unwrap(), Some(vec![1, 2]));
}

async fn a_later_set_replaces_an_earlier_one_of_another_type(cache: Cache, _: ManualClock) {
    cache.set("key", "text", Ttl::Default).await.unwrap();
    cache.set("key", &7, Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<i32>("key").await.unwrap(), Some(7));
    cache.set("key", &[0.5], Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<[f64; 1]>("key").await.unwrap(), Some([0.5]));
}

async fn add_stores_only_what_is_absent(cache: Cache, _: ManualClock) {
    assert!(cache.add("key", "1st", Ttl::Default).await.unwrap());
    assert!(!cache.add("key", "2nd", Ttl::Default).await.unwrap());
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("1st"));
    assert!(cache.add("counter", &1, Ttl::Default).await.unwrap());
    assert!(!cache.add("counter", &2, Ttl::Default).await.unwrap());
    assert_eq!(cache.get::<i32>("counter").await.unwrap(), Some(1));
}

async fn add_stores_over_what_expired_was_deleted_or_cleared(cache: Cache, clock: ManualClock) {
    let second = Duration::from_secs(1);
    for value in ["1", "2", "3", "4"] {
        assert!(cache.add("key", value, second).await.unwrap(), "{value}");
        assert!(!cache.add("key", "no", second).await.unwrap(), "{value}");
        match value {
            "1" => clock.advance(second),
            "2" => assert!(cache.delete("key").await.unwrap()),
            _ => cache.clear().await.unwrap(),
        }
    }
}

async fn many_values_are_stored_found_and_removed(cache: Cache, _: ManualClock) {
    cache.set_many([("a", 1), ("b", 2), ("c", 3), ("a", 4)], Ttl::Default).await.unwrap();
    let found = cache.get_many::<i32>(["c", "x", "a", "b", "a"]).await.unwrap();
    assert_eq!(found, [Some(3), None, Some(4), Some(2), Some(4)], "the later of two values for one key stays");

    assert_eq!(cache.delete_many(["x", "a", "a", "b"]).await.unwrap(), 2, "a key that is absent stops nothing");
    assert_eq!(cache.get_many::<i32>(["a", "b", "c"]).await.unwrap(), [None, None, Some(3)]);
    assert_eq!(cache.unlink(["c", "x"]).await.unwrap(), 1);
    assert!(!cache.has("c").await.unwrap());

    cache.set_many(HashMap::from([("s".to_owned(), "text")]), Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<String>("s").await.unwrap().as_deref(), Some("text"));
}

async fn a_dictionary_has_every_key_that_was_asked_for(cache: Cache, _: ManualClock) {
    cache.set_many([("a", "1"), ("b", "2")], Ttl::Default).await.unwrap();
    let found = cache.get_dict::<String>(["a", "x", "b", "a"]).await.unwrap();
    let expected = [("a", Some("1")), ("b", Some("2")), ("x", None)];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)));
    assert_eq!(found, HashMap::from(expected));
}

async fn no_keys_are_no_error(cache: Cache, _: ManualClock) {
    assert!(cache.get_many::<i32>([""; 0]).await.unwrap().is_empty());
    assert!(cache.get_dict::<i32>([""; 0]).await.unwrap().is_empty());
    assert_eq!(cache.delete_many([""; 0]).await.unwrap(), 0);
    assert_eq!(cache.unlink([""; 0]).await.unwrap(), 0);
    cache.set_many([("", 0); 0], Ttl::Default).await.unwrap();

    cache.set("", "the empty key is a key", Ttl::Default).await.unwrap();
    assert!(cache.has("").await.unwrap());
}

async fn clear_removes_everything_and_leaves_a_usable_cache(cache: Cache, _: ManualClock) {
    for round in 0..2 {
        cache.set("text", "value", Ttl::Forever).await.unwrap();
        cache.set("counter", &round, Ttl::Forever).await.unwrap();
        cache.increment("made", 1).await.unwrap();
        cache.get_or_compute("computed", Ttl::Default, async || round).await;

        cache.clear().await.unwrap();

        for key in ["text", "counter", "made", "computed"] {
            assert!(!cache.has(key).await.unwrap(), "{key}");
        }
        assert_eq!(cache.increment("made", 1).await.unwrap(), 1);
        assert_eq!(cache.get_or_compute("computed", Ttl::Default, async || 7).await, 7);
        cache.clear().await.unwrap();
    }
}

async fn an_integer_is_counted_up_and_down(cache: Cache, _: ManualClock) {
    assert_eq!(cache.increment("visits", 2).await.unwrap(), 2);
    assert_eq!(cache.increment("visits", 0).await.unwrap(), 2);
    assert_eq!(cache.decrement("visits", 5).await.unwrap(), -3);
    assert_eq!(cache.decrement("visits", -3).await.unwrap(), 0);
    assert_eq!(cache.get::<u8>("visits").await.unwrap(), Some(0));

    cache.set("left", &10_u64, Ttl::Default).await.unwrap();
    assert_eq!(cache.decrement("left", 1).await.unwrap(), 9);
    assert_eq!(cache.decrement("fresh", 1).await.unwrap(), -1);

    for (start, by) in [(i64::MAX, 1), (i64::MIN, -1)] {
        cache.set("limit", &start, Ttl::Default).await.unwrap();
        assert_eq!(cache.increment("limit", by).await.unwrap_err().kind(), ErrorKind::NotAnInteger);
        assert_eq!(cache.get::<i64>("limit").await.unwrap(), Some(start), "what does not fit changes nothing");
    }
    assert_eq!(cache.decrement("limit", i64::MIN).await.unwrap_err().kind(), ErrorKind::NotAnInteger);
}

async fn counting_keeps_the_lifetime(cache: Cache, clock: ManualClock) {
    let minute = Duration::from_secs(60);
    cache.set("ends", &1, minute).await.unwrap();
    cache.increment("made", 1).await.unwrap();
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(cache.increment("ends", 1).await.unwrap(), 2);
    assert_eq!(cache.decrement("ends", 1).await.unwrap(), 1);
    clock.advance(Duration::from_millis(1));
    assert_eq!(cache.get::<i32>("ends").await.unwrap(), None);
    assert_eq!(cache.increment("ends", 1).await.unwrap(), 1, "what expired counts as 0");
    clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(cache.increment("made", 1).await.unwrap(), 2, "a counter that was made by counting has no end");
}

async fn what_is_no_integer_cannot_be_counted(cache: Cache, _: ManualClock) {
    for text in ["text", "7"] {
        cache.set("key", text, Ttl::Default).await.unwrap();
        assert_eq!(cache.increment("key", 1).await.unwrap_err().kind(), ErrorKind::NotAnInteger);
        assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some(text));
    }
}

async fn an_integer_is_read_as_any_type_that_holds_it(cache: Cache, _: ManualClock) {
    cache.set("key", &200_u16, Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<u8>("key").await.unwrap(), Some(200));
    assert_eq!(cache.get::<i64>("key").await.unwrap(), Some(200));
    assert_eq!(cache.get::<i8>("key").await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(cache.get::<String>("key").await.unwrap_err().kind(), ErrorKind::Decode);
}

async fn an_entry_that_is_another_type_is_an_error_and_stays(cache: Cache, _: ManualClock) {
    cache.set("key", &("text", 1), Ttl::Default).await.unwrap();
    let error = cache.get::<Vec<Shape>>("key").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().contains("Shape"), "names what was expected: {error}");
    assert!(cache.has("key").await.unwrap());
    assert_eq!(cache.get::<(String, i32)>("key").await.unwrap(), Some(("text".to_owned(), 1)));
}

async fn one_wrong_type_among_many_fails_the_call(cache: Cache, _: ManualClock) {
    cache.set("a", &1, Ttl::Default).await.unwrap();
    cache.set("b", "text", Ttl::Default).await.unwrap();
    assert_eq!(cache.get_many::<i32>(["a", "b"]).await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(cache.get_dict::<i32>(["a", "b"]).await.unwrap_err().kind(), ErrorKind::Decode);
}

async fn explicit_calls_count_no_hits_and_no_misses(cache: Cache, _: ManualClock) {
    cache.set("key", "value", Ttl::Default).await.unwrap();
    cache.get::<String>("key").await.unwrap();
    cache.get::<String>("absent").await.unwrap();
    assert_eq!(cache.stats(), axum_caching::CacheStats::default());

    for _ in 0..3 {
        cache.get_or_compute("computed", Ttl::Default, async || 1).await;
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.stored, stats.failures), (2, 1, 1, 0));
    let scope = cache.scoped("inner");
    scope.get_or_compute("computed", Ttl::DontStore, async || 1).await;
    assert_eq!((cache.stats().misses, cache.stats().not_stored), (2, 1), "scopes are counted together");
}

async fn an_idle_cache_closes_at_once_and_stays_usable(cache: Cache, _: ManualClock) {
    assert!(cache.close().await);
    cache.set("key", "value", Ttl::Default).await.unwrap();
    assert!(cache.has("key").await.unwrap());
    assert!(cache.close().await);
}

#[tokio::test]
async fn an_observer_is_told_of_each_decision_with_the_key_in_the_backend() {
    let told = Told::default();
    let backend = axum_caching::MemoryBackend::default();
    let cache = Cache::builder(backend).key_prefix("shop:").observer(told.observer()).build();
    for _ in 0..2 {
        cache.get_or_compute("answer", Ttl::Default, async || 42).await;
    }
    assert_eq!(told.all(), ["miss shop:answer: Absent", "stored shop:answer", "hit shop:answer"]);
}

#[tokio::test]
async fn clones_of_a_cache_are_one_cache() {
    let (cache, _) = bytewise::in_memory();
    let clone = cache.clone();
    cache.set("key", "value", Ttl::Default).await.unwrap();
    clone.clear().await.unwrap();
    assert!(!cache.has("key").await.unwrap());
}
