//! A backend that keeps bytes and never answers at the first poll, as one behind a network.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum_caching::{Backend, BackendFuture, Result, Value};
use bytes::Bytes;

#[derive(Clone, Debug, Default)]
pub struct Later(Arc<Mutex<HashMap<String, Bytes>>>);

impl Later {
    fn answer<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce(&mut HashMap<String, Bytes>) -> Result<T> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        BackendFuture::new(async move {
            tokio::task::yield_now().await;
            let result = work(&mut self.0.lock().unwrap());
            tokio::task::yield_now().await;
            result
        })
    }
}

impl Backend for Later {
    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.answer(move |entries| Ok(entries.get(key).cloned().map(Value::from_bytes)))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, _: Option<Duration>) -> BackendFuture<'a, ()> {
        self.answer(move |entries| {
            entries.insert(key.to_owned(), value.to_bytes()?);
            Ok(())
        })
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, _: Option<Duration>) -> BackendFuture<'a, bool> {
        self.answer(move |entries| {
            let is_absent = !entries.contains_key(key);
            if is_absent {
                entries.insert(key.to_owned(), value.to_bytes()?);
            }
            Ok(is_absent)
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.answer(move |entries| Ok(entries.remove(key).is_some()))
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.answer(move |entries| {
            let old = entries.get(key).cloned().map(Value::from_bytes).and_then(|value| value.as_integer());
            let sum = old.unwrap_or(0) + by;
            entries.insert(key.to_owned(), Value::integer(sum).to_bytes()?);
            Ok(sum)
        })
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.answer(move |entries| {
            entries.retain(|key, _| !key.starts_with(prefix));
            Ok(())
        })
    }
}
