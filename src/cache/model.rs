//! The cache itself, in every order that makes a difference, over a backend that is one map behind a lock.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    future::pending,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use loom::{
    sync::{
        Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    thread,
};

use super::*;
use crate::{
    backend::BackendFuture,
    sync::model::{self, block_on, explore, join, lock},
    value::Value,
};

const OLD: i64 = 1;
const NEW: i64 = 2;

/// Answers later, so that everything goes the way of a backend behind a network.
#[derive(Default)]
struct Map(Mutex<BTreeMap<String, Value>>);

impl Map {
    fn later<'a, T: Send + 'a>(
        &'a self,
        change: impl FnOnce(&mut BTreeMap<String, Value>) -> T + Send + 'a,
    ) -> BackendFuture<'a, T> {
        BackendFuture::new(async move { Ok(change(&mut lock(&self.0))) })
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map")
    }
}

impl Backend for Map {
    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.later(|map| map.get(key).cloned())
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, _: Option<Duration>) -> BackendFuture<'a, ()> {
        self.later(|map| drop(map.insert(key.to_owned(), value)))
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, _: Option<Duration>) -> BackendFuture<'a, bool> {
        self.later(|map| {
            let is_new = !map.contains_key(key);
            map.entry(key.to_owned()).or_insert(value);
            is_new
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.later(|map| map.remove(key).is_some())
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.later(move |map| {
            let sum = by + map.get(key).and_then(Value::as_integer).unwrap_or(0);
            map.insert(key.to_owned(), Value::integer(sum));
            sum
        })
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.later(move |map| map.retain(|key, _| !key.starts_with(prefix)))
    }
}

/// A cache and its origin, which is one number. Integers are stored plain, without a stamp: what comes late has to be
/// kept out by its ticket.
struct World {
    cache: Cache,
    data: AtomicI64,
    runs: AtomicUsize,
}

fn world() -> Arc<World> {
    Arc::new(World { cache: Cache::new(Map::default()), data: AtomicI64::new(OLD), runs: AtomicUsize::new(0) })
}

impl World {
    fn origin(&self) -> i64 {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.data.load(Ordering::Relaxed)
    }

    fn ask(&self) -> i64 {
        block_on(self.cache.get_or_compute("key", Ttl::Default, async || self.origin()))
    }

    /// A caller whose origin fails.
    fn ask_in_vain(&self) -> Option<i64> {
        block_on(self.cache.try_get_or_compute("key", Ttl::Default, async || Err(()))).ok()
    }

    fn entry(&self) -> Option<i64> {
        block_on(self.cache.get("key")).expect("a number")
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    fn ends(&self) {
        assert!(self.cache.core.flights.is_empty(), "something is left in the table");
    }
}

fn spawn<T: Send + 'static>(
    world: &Arc<World>,
    run: impl FnOnce(&World) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    model::spawn(move || run(&world))
}

#[test]
fn two_callers_of_a_cold_key_run_the_origin_once() {
    explore(|| {
        let world = world();
        let other = spawn(&world, World::ask);

        assert_eq!((world.ask(), join(other)), (OLD, OLD));

        assert_eq!(world.runs(), 1);
        world.ends();
    });
}

#[test]
fn after_a_delete_no_older_run_is_stored_or_answers_anybody() {
    explore(|| {
        let world = world();
        let older = spawn(&world, World::ask);

        world.data.store(NEW, Ordering::Relaxed);
        block_on(world.cache.delete("key")).expect("deleted");
        assert_ne!(world.entry(), Some(OLD));
        assert_eq!(world.ask(), NEW);

        join(older);
        assert_eq!(world.entry(), Some(NEW));
        world.ends();
    });
}

#[test]
fn after_a_clear_no_older_run_is_stored_or_answers_anybody() {
    explore(|| {
        let world = world();
        let older = spawn(&world, World::ask);

        world.data.store(NEW, Ordering::Relaxed);
        block_on(world.cache.clear()).expect("cleared");
        assert_ne!(world.entry(), Some(OLD));
        assert_eq!(world.ask(), NEW);

        join(older);
        assert_ne!(world.entry(), Some(OLD));
        world.ends();
    });
}

#[test]
fn what_was_set_is_not_replaced_by_a_run_that_began_before() {
    explore(|| {
        let world = world();
        let older = spawn(&world, World::ask);

        block_on(world.cache.set("key", &NEW, Ttl::Default)).expect("stored");
        assert_eq!(world.entry(), Some(NEW));
        assert_eq!(world.ask(), NEW);

        join(older);
        assert_eq!(world.entry(), Some(NEW));
        world.ends();
    });
}

#[test]
fn what_was_added_to_is_not_replaced_by_a_run_that_began_before() {
    explore(|| {
        let world = world();
        let older = spawn(&world, World::ask);

        let sum = block_on(world.cache.increment("key", NEW)).expect("a number");

        // It begins with what the run has stored, or with nothing, and then no run is needed any more.
        let asked = join(older);
        assert!(sum == NEW || asked == OLD && sum == OLD + NEW);
        assert_eq!(world.entry(), Some(sum));
        world.ends();
    });
}

#[test]
fn callers_whose_run_fails_leave_the_others_their_answer() {
    explore(|| {
        let world = world();
        let failing = spawn(&world, World::ask_in_vain);
        let other = spawn(&world, World::ask);

        assert_eq!((world.ask(), join(other)), (OLD, OLD));

        assert!(matches!(join(failing), None | Some(OLD)));
        assert_eq!(world.runs(), 1);
        world.ends();
    });
}

#[test]
fn a_caller_that_goes_away_leaves_the_run_to_another() {
    explore(|| {
        let world = world();
        let gone = spawn(&world, |world| {
            let never = pending::<Result<i64, Infallible>>;
            let asked = world.cache.try_get_or_compute("key", Ttl::Default, never);
            let _ = pin!(asked).poll(&mut Context::from_waker(Waker::noop()));
        });
        let other = spawn(&world, World::ask);

        assert_eq!((world.ask(), join(other)), (OLD, OLD));

        join(gone);
        assert_eq!(world.runs(), 1);
        world.ends();
    });
}
