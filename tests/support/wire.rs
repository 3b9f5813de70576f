//! A backend behind a wire: what was sent arrives, whatever its sender does, and a test can hold it back.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum_caching::{Backend, BackendFuture, Value};
use bytes::Bytes;
use tokio::{sync::Notify, task::yield_now};

#[derive(Clone, Debug, Default)]
pub struct Wire {
    entries: Arc<Mutex<HashMap<String, Bytes>>>,
    holds: Arc<AtomicBool>,
    released: Arc<Notify>,
}

impl Wire {
    /// Whether what is sent from here on waits; what waited goes on when it does not any more.
    pub fn hold(&self, holds: bool) {
        self.holds.store(holds, Ordering::SeqCst);
        if !holds {
            self.released.notify_waiters();
        }
    }

    async fn send(&self, change: impl FnOnce(&mut HashMap<String, Bytes>) + Send + 'static) {
        let this = self.clone();
        let sent = tokio::spawn(async move {
            if this.holds.load(Ordering::SeqCst) {
                this.released.notified().await;
            }
            change(&mut this.entries.lock().unwrap());
        });
        sent.await.unwrap();
    }
}

impl Backend for Wire {
    fn is_shared(&self) -> bool {
        false
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::new(async move {
            yield_now().await;
            Ok(self.entries.lock().unwrap().get(key).cloned().map(Value::from_bytes))
        })
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, _: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::new(async move {
            let (key, bytes) = (key.to_owned(), value.to_bytes()?);
            self.send(move |entries| drop(entries.insert(key, bytes))).await;
            Ok(())
        })
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            if self.entries.lock().unwrap().contains_key(key) {
                return Ok(false);
            }
            self.set(key, value, ttl).await.map(|()| true)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::new(async move {
            yield_now().await;
            Ok(self.entries.lock().unwrap().remove(key).is_some())
        })
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        BackendFuture::new(async move {
            let old = self.entries.lock().unwrap().get(key).cloned().map(Value::from_bytes);
            let sum = old.and_then(|value| value.as_integer()).unwrap_or(0) + by;
            let (key, bytes) = (key.to_owned(), Value::integer(sum).to_bytes()?);
            self.send(move |entries| drop(entries.insert(key, bytes))).await;
            Ok(sum)
        })
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.entries.lock().unwrap().retain(|key, _| !key.starts_with(prefix));
        BackendFuture::ready(Ok(()))
    }
}
