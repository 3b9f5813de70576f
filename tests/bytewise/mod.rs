//! A backend as somebody else would write it: it keeps bytes, and every answer has to be waited for.
//!
//! A test can hold an operation back, have all of them fail, and look at the bytes.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file is a crate of its own and uses a part of this"
)]

pub mod data;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum_caching::{
    Backend, BackendFuture, Breaker, Cache, Clock, Error, ErrorKind, Event, MemoryBackend, Result, Value,
    testing::ManualClock,
};
use bytes::Bytes;
use tokio::sync::oneshot;

#[derive(Clone, Debug)]
pub struct Bytewise(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: Mutex<HashMap<String, Entry>>,
    clock: Clock,
    /// Operations that are to be held back, before they do something.
    held: Mutex<Vec<Stop>>,
    /// Answers that are to be held back.
    delayed: Mutex<Vec<Stop>>,
    is_shared: bool,
    is_dead: AtomicBool,
    goes_on: AtomicBool,
}

#[derive(Clone, Debug)]
struct Entry {
    bytes: Bytes,
    expires: u64,
}

#[derive(Debug)]
struct Stop {
    operation: &'static str,
    reached: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

/// An operation that waits for the test.
#[derive(Debug)]
pub struct Held {
    reached: oneshot::Receiver<()>,
    go: oneshot::Sender<()>,
}

impl Held {
    pub async fn reached(&mut self) {
        (&mut self.reached).await.expect("the operation is asked for");
    }

    pub fn release(self) {
        let _ = self.go.send(());
    }
}

impl Bytewise {
    /// That of one process.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, ..Inner::default() }))
    }

    /// That of several.
    pub fn shared(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, is_shared: true, ..Inner::default() }))
    }

    /// Holds the next such operation back, before it does anything.
    pub fn hold(&self, operation: &'static str) -> Held {
        stop(&self.0.held, operation)
    }

    /// Holds the answer of the next such operation back, which has then done its work.
    pub fn delay(&self, operation: &'static str) -> Held {
        stop(&self.0.delayed, operation)
    }

    /// From here on everything fails, or works again.
    pub fn die(&self, is_dead: bool) {
        self.0.is_dead.store(is_dead, Ordering::SeqCst);
    }

    /// From here on a `set` that was begun is done even if its caller goes away, as a server does.
    pub fn go_on_with_what_was_begun(&self) {
        self.0.goes_on.store(true, Ordering::SeqCst);
    }

    pub fn raw(&self, key: &str) -> Option<Bytes> {
        self.0.entries.lock().unwrap().get(key).map(|entry| entry.bytes.clone())
    }

    pub fn put_raw(&self, key: &str, bytes: impl Into<Bytes>) {
        let entry = Entry { bytes: bytes.into(), expires: u64::MAX };
        self.0.entries.lock().unwrap().insert(key.to_owned(), entry);
    }

    pub fn keys(&self) -> Vec<String> {
        self.0.entries.lock().unwrap().keys().cloned().collect()
    }

    /// Does something with what is under a key, between the two points at which it can be held back.
    fn operate<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        effect: impl FnOnce(&Inner) -> Result<T> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        BackendFuture::new(self.0.operate(operation, effect))
    }
}

fn stop(stops: &Mutex<Vec<Stop>>, operation: &'static str) -> Held {
    let ((reached, is_reached), (go, may_go)) = (oneshot::channel(), oneshot::channel());
    stops.lock().unwrap().push(Stop { operation, reached, go: may_go });
    Held { reached: is_reached, go }
}

async fn pass(stops: &Mutex<Vec<Stop>>, operation: &str) {
    let stop = {
        let mut stops = stops.lock().unwrap();
        stops.iter().position(|stop| stop.operation == operation).map(|index| stops.remove(index))
    };
    if let Some(stop) = stop {
        let _ = stop.reached.send(());
        let _ = stop.go.await;
    }
}

impl Inner {
    async fn operate<T>(&self, operation: &'static str, effect: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        tokio::task::yield_now().await;
        pass(&self.held, operation).await;
        if self.is_dead.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Connect, "the server is down"));
        }
        let answer = effect(self);
        pass(&self.delayed, operation).await;
        answer
    }

    /// The table, and what is under a key if it did not expire.
    fn with<T>(&self, key: &str, look: impl FnOnce(&mut HashMap<String, Entry>, Option<Entry>) -> T) -> T {
        let now = self.clock.now();
        let mut entries = self.entries.lock().unwrap();
        let alive = entries.get(key).filter(|entry| entry.expires > now).cloned();
        look(&mut entries, alive)
    }

    fn entry(&self, bytes: Bytes, ttl: Option<Duration>) -> Entry {
        // Rounded up: the time to live is an outer bound.
        let millis = |ttl: Duration| u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let millis = ttl.map_or(u64::MAX, millis);
        Entry { bytes, expires: self.clock.now().saturating_add(millis) }
    }

    fn set(&self, key: &str, bytes: Bytes, ttl: Option<Duration>) {
        let entry = self.entry(bytes, ttl);
        self.entries.lock().unwrap().insert(key.to_owned(), entry);
    }
}

impl Backend for Bytewise {
    fn is_shared(&self) -> bool {
        self.0.is_shared
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.operate("get", move |inner| {
            Ok(inner.with(key, |_, alive| alive.map(|entry| Value::from_bytes(entry.bytes))))
        })
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        if !self.0.goes_on.load(Ordering::SeqCst) {
            return self.operate("set", move |inner| {
                inner.set(key, value.to_bytes()?, ttl);
                Ok(())
            });
        }
        let (inner, key) = (Arc::clone(&self.0), key.to_owned());
        BackendFuture::new(async move {
            let effect = move |inner: &Inner| {
                inner.set(&key, value.to_bytes()?, ttl);
                Ok(())
            };
            tokio::spawn(async move { inner.operate("set", effect).await }).await.expect("not aborted")
        })
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        self.operate("add", move |inner| {
            let entry = inner.entry(value.to_bytes()?, ttl);
            Ok(inner.with(key, |entries, alive| {
                if alive.is_none() {
                    entries.insert(key.to_owned(), entry);
                }
                alive.is_none()
            }))
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.operate("delete", move |inner| {
            Ok(inner.with(key, |entries, alive| {
                entries.remove(key);
                alive.is_some()
            }))
        })
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.operate("increment", move |inner| {
            inner.with(key, |entries, alive| {
                let Entry { bytes, expires } = alive.unwrap_or(Entry { bytes: "0".into(), expires: u64::MAX });
                let sum = Value::from_bytes(bytes).as_integer().and_then(|integer| integer.checked_add(by));
                let sum = sum.ok_or_else(|| Error::new(ErrorKind::NotAnInteger, "not one, or too large"))?;
                entries.insert(key.to_owned(), Entry { bytes: sum.to_string().into(), expires });
                Ok(sum)
            })
        })
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.operate("clear", move |inner| {
            inner.entries.lock().unwrap().retain(|key, _| !key.starts_with(prefix));
            Ok(())
        })
    }
}

pub fn in_memory() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    (Cache::builder(backend).clock(clock.clock()).build(), clock)
}

pub fn in_bytes() -> (Cache, ManualClock) {
    let (cache, _, clock) = bytewise();
    (cache, clock)
}

pub fn bytewise() -> (Cache, Bytewise, ManualClock) {
    let clock = ManualClock::new();
    let backend = Bytewise::new(clock.clock());
    // A test that lets it die wants to hear it from the backend.
    (Cache::builder(backend.clone()).clock(clock.clock()).breaker(Breaker::off()).build(), backend, clock)
}

/// What an observer was told, as text.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub fn observer(&self) -> impl Fn(&Event<'_>) + Send + Sync + 'static {
        let told = Arc::clone(&self.0);
        move |event: &Event<'_>| {
            told.lock().unwrap().push(match event {
                Event::Hit { key } => format!("hit {key}"),
                Event::Shared { key } => format!("shared {key}"),
                Event::Miss { key, reason } => format!("miss {key}: {reason:?}"),
                Event::Bypass { reason } => format!("bypass: {reason:?}"),
                Event::Stored { key } => format!("stored {key}"),
                Event::NotStored { key, reason } => format!("not stored {key}: {reason:?}"),
                Event::Failed { operation, error } => format!("failed {operation}: {:?}", error.kind()),
                Event::Breaker { state } => format!("breaker: {state:?}"),
                _ => "something new".to_owned(),
            });
        }
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn count(&self, what: &str) -> usize {
        self.all().iter().filter(|told| told.starts_with(what)).count()
    }
}

/// On a runtime with one thread: lets all other tasks come as far as they can.
pub async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Makes a test of each function, once with a cache in memory and once with one that keeps bytes.
#[macro_export]
macro_rules! on_both_backends {
    ($($test:ident),* $(,)?) => {
        mod in_memory {$(
            #[tokio::test]
            async fn $test() {
                let (cache, clock) = super::bytewise::in_memory();
                super::$test(cache, clock).await;
            }
        )*}

        mod in_bytes {$(
            #[tokio::test]
            async fn $test() {
                let (cache, clock) = super::bytewise::in_bytes();
                super::$test(cache, clock).await;
            }
        )*}
    };
}
