use std::time::Duration;

use tokio::task::yield_now;

use super::{Chaos, Operation, trouble::Effect};
use crate::{
    backend::{Backend, BackendFuture, NullBackend, Usage},
    error::Result,
    value::Value,
};

/// Where calls go that get lost.
static NOWHERE: NullBackend = NullBackend {};

impl Chaos {
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        work: impl FnOnce(&'a dyn Backend) -> BackendFuture<'a, T> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        let inner = &*self.0;
        if !inner.is_remote && inner.is_quiet(operation) {
            inner.count(operation);
            return work(&*inner.backend);
        }
        BackendFuture::new(async move {
            inner.count(operation);
            self.travel().await;
            let answer = match inner.meet(operation) {
                None => work(&*inner.backend).await,
                Some(rule) => {
                    let is_lost = matches!(rule.effect, Effect::Lose);
                    let backend: &dyn Backend = if is_lost { &NOWHERE } else { &*inner.backend };
                    if rule.is_afterwards {
                        let answer = work(backend).await;
                        rule.strike(operation).await.and(answer)
                    } else {
                        rule.strike(operation).await?;
                        work(backend).await
                    }
                }
            };
            self.travel().await;
            answer
        })
    }

    /// Everybody else may go on while something is on its way.
    async fn travel(&self) {
        if self.0.is_remote {
            yield_now().await;
        }
    }

    /// A value as the backend inside gets it.
    fn sent(&self, value: Value) -> Result<Value> {
        if self.0.is_remote { value.to_bytes().map(Value::from_bytes) } else { Ok(value) }
    }

    fn send<'a, T>(&self, value: Value, call: impl FnOnce(Value) -> BackendFuture<'a, T>) -> BackendFuture<'a, T> {
        match self.sent(value) {
            Ok(value) => call(value),
            Err(error) => BackendFuture::ready(Err(error)),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Backend for Chaos {
    fn keeps_live(&self) -> bool {
        !self.0.is_remote && self.0.backend.keeps_live()
    }

    fn is_shared(&self) -> bool {
        self.0.backend.is_shared()
    }

    fn compares(&self) -> bool {
        self.0.backend.compares()
    }

    fn lags(&self) -> bool {
        self.0.backend.lags()
    }

    fn usage(&self) -> Option<Usage> {
        self.0.backend.usage()
    }

    fn get_now(&self, key: &str) -> Option<Result<Option<Value>>> {
        if self.0.is_remote || !self.0.is_quiet(Operation::Get) {
            return None;
        }
        let answer = self.0.backend.get_now(key)?;
        self.0.count(Operation::Get);
        Some(answer)
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.call(Operation::Get, move |backend| backend.get(key))
    }

    fn get_through<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.call(Operation::Get, move |backend| backend.get_through(key))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        self.call(Operation::Set, move |backend| self.send(value, |value| backend.set(key, value, ttl)))
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        self.call(Operation::Add, move |backend| self.send(value, |value| backend.add(key, value, ttl)))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.call(Operation::Delete, move |backend| backend.delete(key))
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.call(Operation::Increment, move |backend| backend.increment(key, by))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.call(Operation::Clear, move |backend| backend.clear(prefix))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        self.call(Operation::CompareAndSet, move |backend| {
            self.send(value, |value| backend.compare_and_set(key, token, value, ttl))
        })
    }

    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.call(Operation::Has, move |backend| backend.has(key))
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        self.call(Operation::GetMany, move |backend| backend.get_many(keys))
    }

    fn get_many_through<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        self.call(Operation::GetMany, move |backend| backend.get_many_through(keys))
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        self.call(Operation::SetMany, move |backend| {
            if !self.0.is_remote {
                return backend.set_many(entries, ttl);
            }
            BackendFuture::new(async move {
                let sent = entries.iter().map(|(key, value)| Ok((*key, self.sent(value.clone())?)));
                let entries: Vec<_> = sent.collect::<Result<_>>()?;
                backend.set_many(&entries, ttl).await
            })
        })
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        self.call(Operation::DeleteMany, move |backend| backend.delete_many(keys))
    }

    fn not_purged(&self, keys: &[&str]) {
        self.0.backend.not_purged(keys);
    }

    fn not_cleared(&self, prefix: &str) {
        self.0.backend.not_cleared(prefix);
    }
}
