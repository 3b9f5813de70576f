//! What stands between the cache and a backend behind a network: a time-out, a breaker, and what becomes of writes that
//! are not answered.

mod switch;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use self::switch::{Counted, Permit, Switch};
use super::{Backend, BackendFuture, Breaker, BreakerState, Usage, disowned::Disowned};
use crate::{
    error::{Error, ErrorKind, Result},
    timer::Bound,
    value::Value,
};

/// A write that may be given up is waited for so long, and its key with it.
const GIVE_UP: Duration = Duration::from_secs(60);

/// So many writes may be under way that are late; more are refused, lest a backend that hangs fills the memory.
const MAX_LATE: usize = 1_000;

/// A backend that is not asked when it is not well, and not waited for when it is slow.
///
/// A read that is late is dropped. A write that was sent cannot be called back, and whoever made it keeps others from
/// its key until it was answered: so its future goes on. How long its caller waits for that is the caller's affair.
pub(crate) struct Guard {
    backend: Arc<dyn Backend>,
    /// Whether what it answers at once is a copy, which says nothing of how it is.
    has_copies: bool,
    timeout: Duration,
    switch: Switch,
    rejected: AtomicU64,
    late: AtomicUsize,
    disowned: Disowned,
}

/// What becomes of a write that is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    /// It failed, as far as the breaker is concerned.
    Fails,
    /// It may take a while, which says nothing.
    Passes,
}

impl Guard {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        timeout: Duration,
        breaker: Breaker,
        tell: impl Fn(BreakerState) + Send + Sync + 'static,
    ) -> Self {
        Self {
            has_copies: backend.lags(),
            backend,
            timeout,
            switch: Switch::new(breaker, tell),
            rejected: AtomicU64::new(0),
            late: AtomicUsize::new(0),
            disowned: Disowned::default(),
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.switch.state()
    }

    /// How many calls were refused.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Whether a call would be refused now.
    pub(crate) fn is_shut(&self) -> bool {
        self.switch.is_open()
    }

    /// Lets a call through, or says why not.
    fn admit(&self) -> Result<Permit<'_>> {
        let refused = || self.refusal("it failed several times in a row, and the breaker is open");
        self.switch.admit().ok_or_else(refused)
    }

    fn admit_write(&self) -> Result<Permit<'_>> {
        if self.late.load(Ordering::Relaxed) >= MAX_LATE {
            return Err(self.refusal("too many writes were not answered yet"));
        }
        self.admit()
    }

    /// As [`write`](Guard::write), of what takes away what is under these keys: the backend is told if it is refused.
    fn purge<'a, T: Send + 'a>(
        &'a self,
        keys: &[&str],
        begin: impl FnOnce(&'a dyn Backend) -> BackendFuture<'a, T>,
        give_up: impl FnOnce() -> bool + Send + 'a,
    ) -> BackendFuture<'a, T> {
        let mut was_sent = false;
        let write = self.write(
            Late::Fails,
            |backend| {
                was_sent = true;
                begin(backend)
            },
            give_up,
        );
        if !was_sent {
            self.backend.not_purged(keys);
        }
        write
    }

    /// Takes away what nobody may read, which would be in the way for ever.
    async fn add_over_disowned(&self, key: &str, value: Value, ttl: Option<Duration>) -> Result<bool> {
        let found = self.read(|backend| backend.get_through(key), |value| value).await?;
        if found.is_some() && self.disowned.without(key, found).is_none() {
            self.delete(key).await?;
        }
        self.write(Late::Fails, |backend| backend.add(key, value, ttl), never).await
    }

    fn refusal(&self, why: &'static str) -> Error {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Error::message(ErrorKind::Unavailable, why)
    }

    /// Asks, and does something with what is found.
    fn read<'a, T: Send + 'a, U>(
        &'a self,
        begin: impl FnOnce(&'a dyn Backend) -> BackendFuture<'a, T>,
        found: impl FnOnce(T) -> U + Send + 'a,
    ) -> BackendFuture<'a, U> {
        let permit = match self.admit() {
            Ok(permit) => permit,
            Err(error) => return BackendFuture::ready(Err(error)),
        };
        match begin(&*self.backend).into_ready() {
            Ok(answer) => {
                permit.heard(&answer);
                BackendFuture::ready(answer.map(found))
            }
            Err(future) => BackendFuture::new(async move { self.hear(permit, future).await.map(found) }),
        }
    }

    /// As [`read`](Guard::read), where a copy will do: of a backend that has any, and that does not answer.
    fn read_copies<'a, T: Send + 'a, U>(
        &'a self,
        begin: impl Fn(&'a dyn Backend) -> BackendFuture<'a, T> + Send + 'a,
        found: impl FnOnce(T) -> U + Send + 'a,
    ) -> BackendFuture<'a, U> {
        if !self.has_copies {
            return self.read(begin, found);
        }
        // What is not ready has done nothing yet.
        let future = match begin(&*self.backend).into_ready() {
            Ok(Ok(copy)) => return BackendFuture::ready(Ok(found(copy))),
            Ok(failed) => {
                if let Ok(permit) = self.admit() {
                    permit.heard(&failed);
                }
                return BackendFuture::ready(failed.map(found));
            }
            Err(future) => future,
        };
        BackendFuture::new(async move {
            let answer = match self.admit() {
                Ok(permit) => self.hear(permit, future).await,
                Err(error) => Err(error),
            };
            let copy = |error| begin(&*self.backend).into_ready().ok().and_then(Result::ok).ok_or(error);
            answer.or_else(copy).map(found)
        })
    }

    async fn hear<T>(&self, permit: Permit<'_>, future: BackendFuture<'_, T>) -> Result<T> {
        match Bound::new(self.timeout).over(future).await {
            Some(answer) => {
                permit.heard(&answer);
                answer
            }
            None => {
                permit.failed();
                Err(late("the read was given up"))
            }
        }
    }

    /// Changes something. `give_up` is asked of a write that is not answered at all: whether it may be dropped.
    fn write<'a, T: Send + 'a>(
        &'a self,
        lateness: Late,
        begin: impl FnOnce(&'a dyn Backend) -> BackendFuture<'a, T>,
        give_up: impl FnOnce() -> bool + Send + 'a,
    ) -> BackendFuture<'a, T> {
        let permit = match self.admit_write() {
            Ok(permit) => permit,
            Err(error) => return BackendFuture::ready(Err(error)),
        };
        let mut future = match begin(&*self.backend).into_ready() {
            Ok(answer) => {
                permit.heard(&answer);
                return BackendFuture::ready(answer);
            }
            Err(future) => future,
        };
        BackendFuture::new(async move {
            if let Some(answer) = Bound::new(self.timeout).over(&mut future).await {
                permit.heard(&answer);
                return answer;
            }
            match lateness {
                Late::Fails => permit.failed(),
                Late::Passes => drop(permit),
            }
            let _counted = Counted::new(&self.late);
            match Bound::new(GIVE_UP).over(&mut future).await {
                Some(answer) => answer,
                None if give_up() => Err(late("the write was given up")),
                None => future.await,
            }
        })
    }
}

fn late(what: &'static str) -> Error {
    Error::message(ErrorKind::Timeout, what)
}

/// A write that may land at any time: what it leaves behind is not known.
fn never() -> bool {
    false
}

/// A deletion that comes late costs a fill, and nothing else.
fn at_will() -> bool {
    true
}

/// Each goes to the one inside, also what a trait could provide.
#[deny(clippy::missing_trait_methods)]
impl Backend for Guard {
    fn keeps_live(&self) -> bool {
        self.backend.keeps_live()
    }

    fn is_shared(&self) -> bool {
        self.backend.is_shared()
    }

    fn compares(&self) -> bool {
        self.backend.compares()
    }

    fn lags(&self) -> bool {
        self.backend.lags()
    }

    fn usage(&self) -> Option<Usage> {
        self.backend.usage()
    }

    /// What is there without waiting needs no guard.
    fn get_now(&self, key: &str) -> Option<Result<Option<Value>>> {
        let found = self.backend.get_now(key)?;
        Some(found.map(|value| self.disowned.without(key, value)))
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.read_copies(|backend| backend.get(key), |value| self.disowned.without(key, value))
    }

    fn get_through<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.read(|backend| backend.get_through(key), |value| self.disowned.without(key, value))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        let written = value.clone();
        self.purge(&[key], |backend| backend.set(key, value, ttl), move || self.disowned.add(&[(key, written)]))
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        if self.disowned.knows(key) {
            return BackendFuture::new(self.add_over_disowned(key, value, ttl));
        }
        self.write(Late::Fails, |backend| backend.add(key, value, ttl), never)
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        self.purge(&[key], |backend| backend.delete(key), at_will)
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.write(Late::Fails, |backend| backend.increment(key, by), never)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        let mut was_sent = false;
        let clear = |backend: &'a dyn Backend| {
            was_sent = true;
            backend.clear(prefix)
        };
        let clear = self.write(Late::Passes, clear, never);
        if !was_sent {
            self.backend.not_cleared(prefix);
        }
        clear
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        self.write(Late::Fails, |backend| backend.compare_and_set(key, token, value, ttl), never)
    }

    fn has<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        if self.disowned.knows(key) {
            let is_there = |value| self.disowned.without(key, value).is_some();
            return self.read(|backend| backend.get_through(key), is_there);
        }
        self.read(|backend| backend.has(key), |is_there| is_there)
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        self.read_copies(|backend| backend.get_many(keys), |values| self.disowned.all_without(keys, values))
    }

    fn get_many_through<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        self.read(|backend| backend.get_many_through(keys), |values| self.disowned.all_without(keys, values))
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        let keys: Vec<_> = entries.iter().map(|(key, _)| *key).collect();
        self.purge(&keys, |backend| backend.set_many(entries, ttl), || self.disowned.add(entries))
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        self.purge(keys, |backend| backend.delete_many(keys), at_will)
    }

    fn not_purged(&self, keys: &[&str]) {
        self.backend.not_purged(keys);
    }

    fn not_cleared(&self, prefix: &str) {
        self.backend.not_cleared(prefix);
    }
}

/// It is the user's backend to everybody who reads of it.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.backend.fmt(f)
    }
}
