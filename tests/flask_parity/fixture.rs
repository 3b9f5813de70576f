//! What the ports share: caches, functions that count their runs, and the sample data of cachelib.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum_caching::{Cache, Memoizer, testing::ManualClock};
use serde::{Deserialize, Serialize};

use crate::{bytewise, support::Runs};

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One cache that keeps objects, and one that keeps bytes: they go different ways.
pub fn caches() -> [(Cache, ManualClock); 2] {
    [bytewise::in_memory(), bytewise::in_bytes()]
}

/// A memoized function. Its results say which run they come from, in place of the random numbers of the originals.
#[derive(Clone)]
pub struct Foo {
    pub memo: Memoizer<usize>,
    pub runs: Runs,
}

impl Foo {
    pub fn new(memo: Memoizer<usize>) -> Self {
        Self { memo, runs: Runs::default() }
    }

    /// The same function, with results of its own for each instance of a class.
    pub fn of_instance(&self, id: impl Serialize) -> Self {
        Self { memo: self.memo.instance(&id).unwrap(), runs: self.runs.clone() }
    }

    pub async fn call(&self, args: impl Serialize) -> usize {
        self.memo.call(&args, async || self.runs.next()).await
    }
}

/// `@cache.memoize(5) def big_foo(a, b)`
pub fn big_foo(cache: &Cache) -> Foo {
    Foo::new(cache.memoizer("big_foo").ttl(seconds(5)))
}

/// What a predicate answers, changed by the test while it is in use.
#[derive(Clone, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What happened, in order.
#[derive(Debug)]
pub struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Log<T> {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    pub fn push(&self, what: T) {
        self.0.lock().unwrap().push(what);
    }

    pub fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    /// What happened since the last time that this was asked.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A value as Python has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Any {
    Bool(bool),
    Int(i64),
    Str(String),
    List(Vec<Any>),
    Dict(BTreeMap<Any, Any>),
}

pub fn text(text: &str) -> Any {
    Any::Str(text.to_owned())
}

pub const SAMPLE_NUMBERS: [i64; 8] = [0, 10, 1_024_000, 9, 5_000_000_000_000, 99, 738, 2_000_000];

pub fn sample_pairs() -> Vec<(&'static str, Any)> {
    let dict = Any::Dict([(text("sauce"), Any::List(vec![])), (Any::Int(256), text("truffle"))].into());
    vec![
        ("128", Any::Bool(false)),
        ("beef", Any::Bool(true)),
        ("crevettes", Any::Dict(BTreeMap::new())),
        ("1024", text("spam")),
        ("bacon", text("eggs")),
        ("sausage", Any::Int(2_048)),
        ("3072", Any::List(vec![])),
        ("brandy", Any::List(vec![Any::Dict(BTreeMap::new()), text("fried eggs")])),
        ("lobster", Any::List(vec![text("baked beans"), Any::List(vec![Any::Int(512)])])),
        ("4096", dict),
    ]
}

pub fn sample_keys() -> Vec<&'static str> {
    sample_pairs().into_iter().map(|(key, _)| key).collect()
}

pub fn sample_values() -> Vec<Option<Any>> {
    sample_pairs().into_iter().map(|(_, value)| Some(value)).collect()
}
