//! The memory of a process, of which each operation takes some time and is answered some time later.

use std::{fmt, future::Future, time::Duration};

use axum_caching::{Backend, BackendFuture, MemoryBackend, Result, Value};

use crate::{
    table::name,
    world::{ANSWER, World},
};

pub struct Slow {
    pub memory: MemoryBackend,
    pub world: World,
}

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slow")
    }
}

impl Slow {
    /// What is dropped before its time was never done: nothing was sent anywhere.
    fn operate<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        key: &str,
        effect: impl Future<Output = Result<T>> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        let label = format!("0: {operation} {}", name(key));
        BackendFuture::new(async move {
            self.world.point(0, label.clone()).await;
            let done = effect.await;
            self.world.point(0, label + ANSWER).await;
            done
        })
    }
}

impl Backend for Slow {
    fn keeps_live(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.operate("get", key, async move { self.memory.get(key).await })
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        self.world.note_store_under(key);
        self.operate("set", key, async move { self.memory.set(key, value, ttl).await })
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        self.operate("add", key, async move { self.memory.add(key, value, ttl).await })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.operate("delete", key, async move { self.memory.delete(key).await })
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.memory.increment(key, by)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.operate("clear", prefix, async move { self.memory.clear(prefix).await })
    }
}
