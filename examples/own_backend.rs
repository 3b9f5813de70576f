//! A backend of one's own: an ordered map that lists its keys.
//!
//! ```text
//! cargo run --example own_backend
//! curl -i http://127.0.0.1:3000/pages/1       # twice: `hit_cache: True`
//! curl 'http://127.0.0.1:3000/pages/1?a=b'
//! curl http://127.0.0.1:3000/keys             # `view//pages/1`, `view//pages/1?` and a digest
//! ```
//!
//! It is for looking, and for tests. It has one lock, no bound on its memory, and frees what expired only when that
//! key is written or deleted. `MemoryBackend` is without these faults. It keeps values as live objects; a backend that is
//! not in this process asks `Value::to_bytes` for bytes and hands them back with `Value::from_bytes`.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    collections::BTreeMap,
    env, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Router, extract::State, routing::get};
use axum_caching::{Backend, BackendFuture, Cache, CacheLayer, Clock, Error, ErrorKind, Result, Value};
use tokio::net::TcpListener;

/// Clones share the data.
#[derive(Clone, Debug, Default)]
struct ListedBackend {
    entries: Arc<Mutex<BTreeMap<String, Kept>>>,
    clock: Clock,
}

#[derive(Debug)]
struct Kept {
    value: Value,
    /// UNIX milliseconds; `u64::MAX` is never.
    expires: u64,
}

impl ListedBackend {
    fn keys(&self) -> Vec<String> {
        let now = self.clock.now();
        self.lock().iter().filter(|(_, kept)| kept.expires > now).map(|(key, _)| key.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, value: Value, ttl: Option<Duration>) -> Kept {
        // Rounded up: never gone before the cache expects it.
        let millis = ttl.map_or(u128::MAX, |ttl| ttl.as_nanos().div_ceil(1_000_000));
        Kept { value, expires: self.clock.now().saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)) }
    }

    fn lookup(&self, key: &str) -> Option<Value> {
        self.lock().get(key).filter(|kept| kept.expires > self.clock.now()).map(|kept| kept.value.clone())
    }

    fn sum(&self, key: &str, by: i64) -> Result<i64> {
        let mut entries = self.lock();
        let live = entries.get_mut(key).filter(|kept| kept.expires > self.clock.now());
        let Some(kept) = live else {
            entries.insert(key.to_owned(), self.kept(Value::integer(by), None));
            return Ok(by);
        };
        let sum = kept.value.as_integer().and_then(|integer| integer.checked_add(by));
        let sum =
            sum.ok_or_else(|| Error::new(ErrorKind::NotAnInteger, "another value, or a sum that does not fit"))?;
        kept.value = Value::integer(sum);
        Ok(sum)
    }
}

// What is not written here, like `get_many`, the trait makes of these.
impl Backend for ListedBackend {
    // It is in this process alone, so that nothing has to be kept apart from what others do.
    fn is_shared(&self) -> bool {
        false
    }

    // The answer is always at hand, so that a hit does not go through a future.
    fn get_now(&self, key: &str) -> Option<Result<Option<Value>>> {
        Some(Ok(self.lookup(key)))
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::ready(Ok(self.lookup(key)))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        self.lock().insert(key.to_owned(), self.kept(value, ttl));
        BackendFuture::ready(Ok(()))
    }

    // One lock from the look to the write: that is what `add` and `increment` have to promise.
    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        let mut entries = self.lock();
        let is_free = entries.get(key).is_none_or(|kept| kept.expires <= self.clock.now());
        if is_free {
            entries.insert(key.to_owned(), self.kept(value, ttl));
        }
        BackendFuture::ready(Ok(is_free))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        let removed = self.lock().remove(key);
        BackendFuture::ready(Ok(removed.is_some_and(|kept| kept.expires > self.clock.now())))
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        BackendFuture::ready(self.sum(key, by))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        self.lock().retain(|key, _| !key.starts_with(prefix));
        BackendFuture::ready(Ok(()))
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/pages/1", listener.local_addr()?);
    axum::serve(listener, app(ListedBackend::default())).await
}

fn app(backend: ListedBackend) -> Router {
    let cache = Cache::new(backend.clone());
    Router::new()
        .route("/pages/{id}", get(async || "a page\n"))
        .route_layer(CacheLayer::new(&cache).response_hit_indication(true))
        .route("/keys", get(keys))
        .with_state(backend)
}

async fn keys(State(backend): State<ListedBackend>) -> String {
    backend.keys().into_iter().map(|key| key + "\n").collect()
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use axum::{body::Body, http::Request};
    use axum_caching::{
        CacheStatus,
        testing::{ManualClock, conformance},
    };
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_response_is_kept_under_a_key_that_can_be_listed() {
        let backend = ListedBackend::default();
        let app = app(backend.clone());
        let fetch = || app.clone().oneshot(Request::get("/pages/1").body(Body::empty()).unwrap());

        fetch().await.unwrap();

        assert_eq!(CacheStatus::of(&fetch().await.unwrap()), Some(CacheStatus::Hit));
        assert_eq!(backend.keys(), ["view//pages/1"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_contract_of_backends_holds() {
        let clock = ManualClock::new();
        let backend: Arc<dyn Backend> = Arc::new(ListedBackend { clock: clock.clock(), ..ListedBackend::default() });
        let advance = |time| {
            clock.advance(time);
            ready(())
        };
        conformance::all(&backend, advance).await;
    }
}
