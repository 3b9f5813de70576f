//! What the attribute macros call. Not a part of the API: it may change in any release.

use crate::{
    cache::Cache,
    memo::{Live, Memoizer},
};

/// The memoizer of a function.
pub fn memoizer<T: Send + Sync + 'static>(cache: &Cache, name: &str, version: Option<&str>) -> Memoizer<T> {
    Memoizer::from_shared(cache, cache.function(name, || new(cache, name, version).into_shared()))
}

/// The memoizer of a function whose values are kept live.
///
/// # Panics
///
/// If the backend keeps bytes.
pub fn live_memoizer<T: Send + Sync + 'static>(cache: &Cache, name: &str, version: Option<&str>) -> Memoizer<T, Live> {
    let new = || match new(cache, name, version).live() {
        Ok(live) => live.into_shared(),
        Err(error) => panic!("{error}"),
    };
    Memoizer::from_shared(cache, cache.function(name, new))
}

fn new<T>(cache: &Cache, name: &str, version: Option<&str>) -> Memoizer<T> {
    let memoizer = cache.memoizer(name);
    match version {
        Some(version) => memoizer.version(version),
        None => memoizer,
    }
}
