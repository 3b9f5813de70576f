//! A backend that is as well as a test says: it answers late, with an error, or not at all.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{Backend, BackendFuture, Error, ErrorKind, Result, Value};
use bytes::Bytes;
use tokio::{sync::watch, task::yield_now, time::sleep};

/// How it is with calls that begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Well,
    /// It cannot be reached.
    Down,
    /// Each call takes so long.
    Slow(Duration),
    /// It does what it is asked, and answers, when it is well again.
    Hangs,
    /// It never answers. What is to be changed is changed when the test says so.
    Lost,
}

type Entries = HashMap<String, Bytes>;
type Change = Box<dyn FnOnce(&mut Entries) + Send>;

#[derive(Clone)]
pub struct Scripted(Arc<Inner>);

struct Inner {
    entries: Mutex<Entries>,
    mode: watch::Sender<Mode>,
    /// Operations that are not as the others.
    only: Mutex<HashMap<&'static str, Mode>>,
    lost: Mutex<Vec<Change>>,
    calls: AtomicUsize,
}

impl Default for Scripted {
    fn default() -> Self {
        Self(Arc::new(Inner {
            entries: Mutex::default(),
            mode: watch::Sender::new(Mode::Well),
            only: Mutex::default(),
            lost: Mutex::default(),
            calls: AtomicUsize::new(0),
        }))
    }
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub fn is(&self, mode: Mode) {
        self.0.only.lock().unwrap().clear();
        self.0.mode.send_replace(mode);
    }

    /// How it is with one operation, until [`is`](Scripted::is) is called.
    pub fn has(&self, operation: &'static str, mode: Mode) {
        self.0.only.lock().unwrap().insert(operation, mode);
    }

    /// How many calls it was asked.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// What was lost arrives, long after.
    pub fn land(&self) {
        let lost: Vec<_> = self.0.lost.lock().unwrap().drain(..).collect();
        let mut entries = self.0.entries.lock().unwrap();
        for change in lost {
            change(&mut entries);
        }
    }

    pub fn keys(&self) -> Vec<String> {
        self.0.entries.lock().unwrap().keys().cloned().collect()
    }

    fn answer<'a, T: Send + 'static>(
        &'a self,
        operation: &'static str,
        work: impl FnOnce(&mut Entries) -> Result<T> + Send + 'static,
    ) -> BackendFuture<'a, T> {
        let this = &self.0;
        BackendFuture::new(async move {
            this.calls.fetch_add(1, Ordering::SeqCst);
            let only = this.only.lock().unwrap().get(operation).copied();
            match only.unwrap_or_else(|| *this.mode.borrow()) {
                Mode::Well => yield_now().await,
                Mode::Down => return Err(Error::new(ErrorKind::Connect, "connection refused")),
                Mode::Slow(time) => sleep(time).await,
                Mode::Hangs => {
                    // What it is now does not count: it may hang in some of its operations only.
                    let mut mode = this.mode.subscribe();
                    while mode.changed().await.is_ok() && *mode.borrow_and_update() != Mode::Well {}
                }
                Mode::Lost => {
                    this.lost.lock().unwrap().push(Box::new(|entries| drop(work(entries))));
                    return std::future::pending().await;
                }
            }
            work(&mut this.entries.lock().unwrap())
        })
    }
}

impl Backend for Scripted {
    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        let key = key.to_owned();
        self.answer("get", move |entries| Ok(entries.get(&key).cloned().map(Value::from_bytes)))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, _: Option<Duration>) -> BackendFuture<'a, ()> {
        let key = key.to_owned();
        self.answer("set", move |entries| {
            let bytes = value.to_bytes()?;
            if bytes.len() > 1_000 {
                return Err(Error::new(ErrorKind::TooLarge, "over a thousand bytes"));
            }
            entries.insert(key, bytes);
            Ok(())
        })
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, _: Option<Duration>) -> BackendFuture<'a, bool> {
        let key = key.to_owned();
        self.answer("add", move |entries| {
            let is_new = !entries.contains_key(&key);
            if is_new {
                entries.insert(key, value.to_bytes()?);
            }
            Ok(is_new)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        let key = key.to_owned();
        self.answer("delete", move |entries| Ok(entries.remove(&key).is_some()))
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        let key = key.to_owned();
        self.answer("increment", move |entries| {
            let old = entries.get(&key).map_or(Some(0), |bytes| Value::from_bytes(bytes.clone()).as_integer());
            let sum = old.ok_or_else(|| Error::new(ErrorKind::NotAnInteger, "a text"))? + by;
            entries.insert(key, Value::integer(sum).to_bytes()?);
            Ok(sum)
        })
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        let prefix = prefix.to_owned();
        self.answer("clear", move |entries| {
            entries.retain(|key, _| !key.starts_with(&prefix));
            Ok(())
        })
    }
}
