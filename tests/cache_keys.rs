//! Prefixes, scopes and long keys.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytewise;

use std::{collections::HashSet, time::Duration};

use axum_caching::{Backend, BackendFuture, Cache, ErrorKind, MemoryBackend, Ttl, Value, testing::ManualClock};
use bytewise::{Bytewise, Told, bytewise};

on_both_backends! {
    no_key_of_one_scope_is_a_key_of_another,
    a_scope_without_a_name_is_apart_from_the_cache_around_it,
    a_scope_of_one_name_is_one_scope,
    clearing_a_scope_leaves_everything_else,
    clearing_a_cache_clears_the_scopes_in_it,
    long_keys_are_kept_apart_to_the_last_byte,
    long_keys_can_be_added_and_cleared_and_only_counters_need_short_ones,
    a_key_that_looks_like_the_short_form_of_a_long_one_is_another,
    any_text_is_a_key,
}

/// Caches within caches whose names try to look like each other.
fn scopes(cache: &Cache) -> Vec<Cache> {
    let a = cache.scoped("a");
    let names = ["ab", "a/b", "a@1:b", "1:a", "@1:a", "/", "@", "A", "ä", "a b"];
    let mut scopes: Vec<Cache> = names.iter().map(|name| cache.scoped(name)).collect();
    scopes.extend([a.scoped("b"), a.scoped("a"), a.scoped("b").scoped("c"), a.scoped("b/c"), cache.clone(), a]);
    scopes
}

const KEYS: [&str; 11] = ["", "k", "b/k", "a/k", "/k", "@1:a/k", "@1:b/k", "@0:/k", "@0:/@1:a/k", "1:a/k", "@"];

async fn no_key_of_one_scope_is_a_key_of_another(cache: Cache, _: ManualClock) {
    let scopes = scopes(&cache);
    for (number, scope) in scopes.iter().enumerate() {
        for key in KEYS {
            let is_new = scope.add(key, &format!("{number} {key}"), Ttl::Forever).await.unwrap();
            assert!(is_new, "{key:?} of scope {number} is a key of another");
        }
    }
    for (number, scope) in scopes.iter().enumerate() {
        for key in KEYS {
            let found = scope.get::<String>(key).await.unwrap();
            assert_eq!(found, Some(format!("{number} {key}")), "scope {number}, key {key:?}");
        }
    }
}

async fn a_scope_without_a_name_is_apart_from_the_cache_around_it(cache: Cache, _: ManualClock) {
    let nameless = cache.scoped("");
    for key in KEYS {
        cache.set(key, "outer", Ttl::Forever).await.unwrap();
        assert!(!nameless.has(key).await.unwrap(), "{key:?}");
    }
    nameless.clear().await.unwrap();
    for key in KEYS {
        assert!(cache.has(key).await.unwrap(), "clearing a scope took {key:?} of the cache around it");
    }
}

async fn a_scope_of_one_name_is_one_scope(cache: Cache, _: ManualClock) {
    cache.scoped("a").scoped("b").set("key", "value", Ttl::Default).await.unwrap();
    let again = cache.clone().scoped(String::from("a")).scoped("b");
    assert_eq!(again.get::<String>("key").await.unwrap().as_deref(), Some("value"));
    cache.scoped("a").scoped("b").clear().await.unwrap();
    assert!(!again.has("key").await.unwrap());
}

async fn clearing_a_scope_leaves_everything_else(cache: Cache, _: ManualClock) {
    let all = scopes(&cache);
    let cleared = cache.scoped("cleared");
    for scope in all.iter().chain([&cleared]) {
        scope.set("text", "value", Ttl::Forever).await.unwrap();
        scope.increment("counter", 1).await.unwrap();
    }
    cleared.clear().await.unwrap();
    assert!(!cleared.has("text").await.unwrap() && !cleared.has("counter").await.unwrap());
    for (number, scope) in all.iter().enumerate() {
        assert!(scope.has("text").await.unwrap() && scope.has("counter").await.unwrap(), "{number}");
    }
}

async fn clearing_a_cache_clears_the_scopes_in_it(cache: Cache, _: ManualClock) {
    let outer = cache.scoped("a");
    let inner = [outer.scoped("b"), outer.scoped("b").scoped("c"), outer.scoped("")];
    let beside = [cache.clone(), cache.scoped("ab"), cache.scoped("b")];
    for scope in inner.iter().chain(&beside) {
        scope.set("key", "value", Ttl::Forever).await.unwrap();
    }
    outer.clear().await.unwrap();
    for scope in &inner {
        assert!(!scope.has("key").await.unwrap());
    }
    for scope in &beside {
        assert!(scope.has("key").await.unwrap());
    }
    outer.scoped("b").set("key", "new", Ttl::Forever).await.unwrap();
    assert_eq!(inner[0].get::<String>("key").await.unwrap().as_deref(), Some("new"));
}

async fn long_keys_are_kept_apart_to_the_last_byte(cache: Cache, _: ManualClock) {
    let mut keys = Vec::new();
    for length in [1, 511, 512, 513, 600, 8_191] {
        keys.extend(["a", "b"].map(|last| format!("{}{last}", "k".repeat(length))));
    }
    let scope = cache.scoped("long");
    for (number, key) in keys.iter().enumerate() {
        cache.set(key, &(number, "outer".to_owned()), Ttl::Forever).await.unwrap();
        scope.set(key, &(number, "inner".to_owned()), Ttl::Forever).await.unwrap();
    }
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(cache.get(key).await.unwrap(), Some((number, "outer".to_owned())));
        assert_eq!(scope.get(key).await.unwrap(), Some((number, "inner".to_owned())));
    }
    scope.clear().await.unwrap();
    for key in &keys {
        assert!(!scope.has(key).await.unwrap());
        assert!(cache.delete(key).await.unwrap());
    }
}

async fn long_keys_can_be_added_and_cleared_and_only_counters_need_short_ones(cache: Cache, _: ManualClock) {
    let key = "k".repeat(8_192);
    assert_eq!(cache.increment(&key, 2).await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(cache.increment(&key[..512], 2).await.unwrap(), 2);
    cache.set(&key, &2, Ttl::Default).await.unwrap();
    assert_eq!(cache.get::<i32>(&key).await.unwrap(), Some(2));
    assert!(!cache.add(&key, "text", Ttl::Default).await.unwrap());
    assert!(cache.delete(&key).await.unwrap());
    assert!(cache.add(&key, "text", Ttl::Default).await.unwrap());
    assert_eq!(cache.get_many::<String>([&key]).await.unwrap(), [Some("text".to_owned())]);
    assert_eq!(cache.get_or_compute(&key, Ttl::Default, async || "new".to_owned()).await, "text");
    cache.clear().await.unwrap();
    assert!(!cache.has(&key).await.unwrap());
}

async fn a_key_that_looks_like_the_short_form_of_a_long_one_is_another(cache: Cache, _: ManualClock) {
    let (_, backend, _) = bytewise();
    let spy = Cache::new(backend.clone());
    let long = "k".repeat(600);
    spy.set(&long, "long", Ttl::Forever).await.unwrap();
    let [short] = &backend.keys()[..] else { panic!("one key is in the backend") };

    cache.set(&long, "long", Ttl::Forever).await.unwrap();
    assert_eq!(cache.get::<String>(short).await.unwrap(), None);
    assert_eq!(cache.get_or_compute(short, Ttl::Default, async || "short".to_owned()).await, "short");
}

async fn any_text_is_a_key(cache: Cache, _: ManualClock) {
    let keys: HashSet<String> = (0..=255_u8).map(|n| char::from(n).to_string()).chain(["鍵🗝".to_owned()]).collect();
    for key in &keys {
        assert!(cache.add(key, &format!("{key}."), Ttl::Forever).await.unwrap(), "{key:?}");
    }
    for key in &keys {
        assert_eq!(cache.get::<String>(key).await.unwrap(), Some(format!("{key}.")), "{key:?}");
    }
}

#[tokio::test]
async fn a_key_is_written_in_the_backend_as_it_is_behind_its_prefix() {
    let backend = Bytewise::new(ManualClock::new().clock());
    let plain = Cache::builder(backend.clone()).build();
    let prefixed = Cache::builder(backend.clone()).key_prefix("flask_cache_").build();
    plain.set("user:7", "Ada", Ttl::Default).await.unwrap();
    prefixed.set("user:7", "Eve", Ttl::Default).await.unwrap();
    prefixed.scoped("admin").set("user:7", "Joe", Ttl::Default).await.unwrap();

    let mut keys = backend.keys();
    keys.sort();
    assert_eq!(keys, ["flask_cache_@5:admin/user:7", "flask_cache_user:7", "user:7"]);
}

#[tokio::test]
async fn clearing_a_cache_with_a_prefix_leaves_the_rest_of_the_backend() {
    let backend = MemoryBackend::default();
    let [shop, blog] = ["shop:", "blog*"].map(|prefix| Cache::builder(backend.clone()).key_prefix(prefix).build());
    shop.set("key", "value", Ttl::Default).await.unwrap();
    blog.set("key", "value", Ttl::Default).await.unwrap();
    blog.clear().await.unwrap();
    assert!(shop.has("key").await.unwrap());
    assert!(!blog.has("key").await.unwrap());
}

#[tokio::test]
async fn a_text_that_is_too_long_for_a_key_is_an_error_to_those_who_ask_and_uncached_to_those_who_compute() {
    let told = Told::default();
    let cache = Cache::builder(MemoryBackend::default()).observer(told.observer()).build();
    let key = "k".repeat(8_193);

    assert_eq!(cache.get::<i32>(&key).await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(cache.set(&key, &1, Ttl::Default).await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(cache.add(&key, &1, Ttl::Default).await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(cache.has(&key).await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(cache.delete(&key).await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(cache.increment(&key, 1).await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(cache.get_many::<i32>(["a", &key]).await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(cache.set_many([("a", 1), (&key, 2)], Ttl::Default).await.unwrap_err().kind(), ErrorKind::Key);
    assert!(!cache.has("a").await.unwrap(), "nothing is stored if a key of the call is none");
    assert_eq!(cache.delete_many([&key]).await.unwrap_err().kind(), ErrorKind::Key);
    assert_eq!(told.all(), [""; 0], "who got the error needs no event");

    for run in 0..2 {
        assert_eq!(cache.get_or_compute(&key, Ttl::Default, async || run).await, run);
    }
    assert_eq!(told.count("failed key: Key"), 2);
}

/// Gives the memory of what is cleared back some other time.
#[derive(Debug)]
struct Slow(MemoryBackend);

impl Backend for Slow {
    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.0.get(key)
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        self.0.set(key, value, ttl)
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        self.0.add(key, value, ttl)
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.0.delete(key)
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.0.increment(key, by)
    }

    fn clear<'a>(&'a self, _: &'a str) -> BackendFuture<'a, ()> {
        BackendFuture::ready(Ok(()))
    }
}

#[tokio::test]
async fn what_is_cleared_is_unreachable_at_once_even_if_its_memory_is_given_back_later() {
    let cache = Cache::new(Slow(MemoryBackend::default()));
    let [a, b] = ["a", "b"].map(|name| cache.scoped(name));
    let inner = a.scoped("inner");
    for scope in [&a, &b, &inner] {
        scope.set("key", "old", Ttl::Forever).await.unwrap();
    }
    a.clear().await.unwrap();

    for scope in [&a, &inner] {
        assert_eq!(scope.get::<String>("key").await.unwrap(), None);
        assert!(!scope.has("key").await.unwrap());
    }
    assert!(a.add("key", "added", Ttl::Forever).await.unwrap());
    let computed = inner.get_or_compute("key", Ttl::Default, async || "computed".to_owned());
    assert_eq!(computed.await, "computed");
    assert_eq!(b.get::<String>("key").await.unwrap().as_deref(), Some("old"));
}
