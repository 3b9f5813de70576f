//! A server that processes share, which a test can stop before each operation and before each answer.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum_caching::{Backend, BackendFuture, Error, ErrorKind, Value, testing::ManualClock};
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
};

use crate::support::held::settle;

/// What it keeps, with the ends of it.
type Table = HashMap<String, (Value, u64)>;

#[derive(Clone, Default)]
pub struct Server {
    table: Arc<Mutex<Table>>,
    clock: ManualClock,
    /// It takes nothing more, and does everything else.
    is_full: Arc<AtomicBool>,
}

impl Server {
    pub fn new(clock: &ManualClock) -> Self {
        Self { clock: clock.clone(), ..Self::default() }
    }

    /// Loses the records with such keys.
    pub fn lose(&self, is_lost: impl Fn(&str) -> bool) {
        self.table.lock().unwrap().retain(|key, _| !is_lost(key));
    }

    /// From here on it has no room for anything.
    pub fn fill(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }

    /// It has room again.
    pub fn empty(&self) {
        self.is_full.store(false, Ordering::Relaxed);
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.lock().unwrap().contains_key(key)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Table, u64) -> T) -> T {
        let now = self.clock.clock().now();
        let mut table = self.table.lock().unwrap();
        table.retain(|_, (_, end)| *end > now);
        work(&mut table, now)
    }
}

/// What a backend can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It is in the process that uses it, and keeps values as they are.
    Live,
    /// It keeps bytes, and compares and sets.
    Compares,
}

/// The connection of one process.
#[derive(Clone)]
pub struct Line {
    server: Server,
    class: Class,
    stops: Arc<Mutex<Option<mpsc::UnboundedSender<Stopped>>>>,
    /// Nothing that is sent arrives any more.
    is_dead: Arc<Mutex<bool>>,
}

/// An operation on its way to the server. Dropped, it goes on.
pub struct Stopped {
    pub name: &'static str,
    go: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
    answer: oneshot::Sender<()>,
}

impl Stopped {
    /// It is done, and its answer is on its way for as long as what this gives is kept.
    pub async fn arrive(self) -> oneshot::Sender<()> {
        let _ = self.go.send(());
        // Its sender may be gone.
        let _ = self.done.await;
        self.answer
    }

    /// It is done, if its process still lives.
    pub async fn go_or_die(self) {
        let _ = self.go.send(());
        drop(self.answer);
        settle().await;
    }

    /// It is done and answered, and whoever waited for that has come as far as the next one.
    pub async fn pass(self) {
        drop(self.arrive().await);
        settle().await;
    }
}

/// The operations of a line that is stopped, in their order. Dropped, they go on.
pub struct Stops(mpsc::UnboundedReceiver<Stopped>);

impl Stops {
    /// The next one that is there when everything has come to rest.
    pub async fn next(&mut self) -> Option<Stopped> {
        settle().await;
        self.0.try_recv().ok()
    }

    /// Lets everything pass up to the first operation of this name.
    pub async fn up_to(&mut self, name: &str) -> Stopped {
        while let Some(stopped) = self.next().await {
            if stopped.name == name {
                return stopped;
            }
            stopped.pass().await;
        }
        panic!("there is no {name}");
    }
}

impl Line {
    pub fn new(server: &Server, class: Class) -> Self {
        Self { server: server.clone(), class, stops: Arc::default(), is_dead: Arc::default() }
    }

    /// From here on each operation waits.
    pub fn stop(&self) -> Stops {
        let (stop, stops) = mpsc::unbounded_channel();
        *self.stops.lock().unwrap() = Some(stop);
        Stops(stops)
    }

    /// From here on no operation waits; those that do still do.
    pub fn go_on(&self) {
        *self.stops.lock().unwrap() = None;
    }

    /// The process ends.
    pub fn die(&self) {
        *self.is_dead.lock().unwrap() = true;
    }

    /// As it is kept.
    fn kept(&self, value: Value) -> Value {
        if self.class == Class::Live { value } else { Value::from_bytes(value.to_bytes().unwrap()) }
    }

    fn operate<'a, T: Send + 'a>(
        &'a self,
        name: &'static str,
        effect: impl FnOnce(&mut Table, u64) -> T + Send + 'a,
    ) -> BackendFuture<'a, T> {
        BackendFuture::new(async move {
            let stop = self.stops.lock().unwrap().clone();
            let (mut told, mut answered) = (None::<oneshot::Sender<()>>, None);
            match stop {
                Some(stop) => {
                    let ((go, went), (done, is_done)) = (oneshot::channel::<()>(), oneshot::channel());
                    let (answer, is_answered) = oneshot::channel::<()>();
                    let _ = stop.send(Stopped { name, go, done: is_done, answer });
                    let _ = went.await;
                    (told, answered) = (Some(done), Some(is_answered));
                }
                None => yield_now().await,
            }
            if *self.is_dead.lock().unwrap() {
                std::future::pending::<()>().await;
            }
            let effect = self.server.with(effect);
            if let Some(told) = told {
                let _ = told.send(());
            }
            if let Some(answered) = answered {
                let _ = answered.await;
            }
            Ok(effect)
        })
    }
}

fn set(table: &mut Table, now: u64, key: &str, value: Value, ttl: Option<Duration>) {
    let end = ttl.map_or(u64::MAX, |ttl| now + u64::try_from(ttl.as_millis()).unwrap());
    table.insert(key.to_owned(), (value, end));
}

impl Backend for Line {
    fn keeps_live(&self) -> bool {
        self.class == Class::Live
    }

    fn compares(&self) -> bool {
        self.class == Class::Compares
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.operate("get", move |table, _| table.get(key).map(|(value, _)| value.clone()))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        let value = self.kept(value);
        let is_full = Arc::clone(&self.server.is_full);
        let set = self.operate("set", move |table, now| {
            let has_room = !is_full.load(Ordering::Relaxed);
            if has_room {
                set(table, now, key, value, ttl);
            }
            has_room
        });
        BackendFuture::new(async move {
            if set.await? { Ok(()) } else { Err(Error::new(ErrorKind::TooLarge, "there is no room")) }
        })
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        let value = self.kept(value);
        self.operate("add", move |table, now| {
            let is_absent = !table.contains_key(key);
            if is_absent {
                set(table, now, key, value, ttl);
            }
            is_absent
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.operate("delete", move |table, _| table.remove(key).is_some())
    }

    fn increment<'a>(&'a self, _: &'a str, _: i64) -> BackendFuture<'a, i64> {
        BackendFuture::ready(Err(Error::new(ErrorKind::Unsupported, "nobody counts here")))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.operate("clear", move |table, _| table.retain(|key, _| !key.starts_with(prefix)))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        let value = self.kept(value);
        self.operate("compare_and_set", move |table, now| {
            let is_same = table.get(key).is_some_and(|(is, _)| is.to_bytes().unwrap().starts_with(token));
            if is_same {
                set(table, now, key, value, ttl);
            }
            is_same
        })
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}
