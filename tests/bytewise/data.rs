//! A database that changes while it is read.
//!
//! The origin reads `Data` when its run begins, and returns what it read when the test lets it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum_caching::{Cache, Ttl};
use tokio::{sync::oneshot, task::JoinHandle};

use super::settle;

/// Every way to say that what is under `key` is old; the last two store something newer.
pub const PURGES: [&str; 8] =
    ["delete", "delete_many", "unlink", "clear", "clear around", "do not store", "set", "set_many"];

pub async fn purge(cache: &Cache, how: &str) {
    let inner = cache.scoped("inner");
    match how {
        "delete" => drop(inner.delete("key").await.unwrap()),
        "delete_many" => drop(inner.delete_many(["other", "key"]).await.unwrap()),
        "unlink" => drop(inner.unlink(["key"]).await.unwrap()),
        "clear" => inner.clear().await.unwrap(),
        "clear around" => cache.clear().await.unwrap(),
        "do not store" => inner.set("key", &0.0, Ttl::DontStore).await.unwrap(),
        "set" => inner.set("key", "set", Ttl::Forever).await.unwrap(),
        "set_many" => inner.set_many([("key", "set"), ("other", "set")], Ttl::Forever).await.unwrap(),
        other => panic!("{other} is no purge"),
    }
}

/// A database with one row, and runs that the test ends one by one.
#[derive(Clone)]
pub struct Data {
    row: Arc<Mutex<&'static str>>,
    pub runs: Arc<Mutex<VecDeque<oneshot::Sender<()>>>>,
}

impl Data {
    pub fn new(row: &'static str) -> Self {
        Self { row: Arc::new(Mutex::new(row)), runs: Arc::default() }
    }

    pub fn commit(&self, row: &'static str) {
        *self.row.lock().unwrap() = row;
    }

    pub async fn read(&self) -> String {
        let read = *self.row.lock().unwrap();
        let (end, may_end) = oneshot::channel();
        self.runs.lock().unwrap().push_back(end);
        may_end.await.unwrap();
        read.to_owned()
    }

    pub fn running(&self) -> usize {
        self.runs.lock().unwrap().len()
    }

    pub fn end_oldest(&self) {
        self.runs.lock().unwrap().pop_front().expect("something runs").send(()).expect("and waits");
    }

    /// A caller, and everything it can do before the test has to do something.
    pub async fn call(&self, cache: &Cache) -> JoinHandle<String> {
        let (cache, data) = (cache.scoped("inner"), self.clone());
        let caller =
            tokio::spawn(async move { cache.get_or_compute("key", Ttl::Forever, async || data.read().await).await });
        settle().await;
        caller
    }
}

pub async fn found(cache: &Cache) -> Option<String> {
    cache.scoped("inner").get("key").await.unwrap()
}
