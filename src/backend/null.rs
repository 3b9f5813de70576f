use std::time::Duration;

use super::{Backend, BackendFuture};
use crate::{error::Result, value::Value};

/// A backend that keeps nothing: caching switched off, and everything else as it is (`NullCache` in Flask-Caching).
///
/// Requests still share flights, so a thousand callers at once still run the origin once.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, NullBackend, Ttl};
///
/// let cache = Cache::new(NullBackend::default());
/// cache.set("answer", &42, Ttl::Default).await?;
/// assert_eq!(cache.get::<i32>("answer").await?, None);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NullBackend {}

impl Backend for NullBackend {
    fn keeps_live(&self) -> bool {
        true
    }

    fn get_now(&self, _: &str) -> Option<Result<Option<Value>>> {
        Some(Ok(None))
    }

    fn get<'a>(&'a self, _: &'a str) -> BackendFuture<'a, Option<Value>> {
        BackendFuture::ready(Ok(None))
    }

    fn set<'a>(&'a self, _: &'a str, _: Value, _: Option<Duration>) -> BackendFuture<'a, ()> {
        BackendFuture::ready(Ok(()))
    }

    fn add<'a>(&'a self, _: &'a str, _: Value, _: Option<Duration>) -> BackendFuture<'a, bool> {
        BackendFuture::ready(Ok(true))
    }

    fn delete<'a>(&'a self, _: &'a str) -> BackendFuture<'a, bool> {
        BackendFuture::ready(Ok(false))
    }

    /// Nothing is kept, so every sum is 0 and `by`.
    fn increment<'a>(&'a self, _: &'a str, by: i64) -> BackendFuture<'a, i64> {
        BackendFuture::ready(Ok(by))
    }

    fn clear<'a>(&'a self, _: &'a str) -> BackendFuture<'a, ()> {
        BackendFuture::ready(Ok(()))
    }
}
