//! Expressions in quotes.
use axum_caching::{Cache, memoize};

#[memoize(cache = cache, skip(cache), ttl = "60s")]
async fn lifetime(cache: &Cache) -> u8 {
    0
}

#[memoize(cache = "CACHE")]
async fn static_cache(a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache), unless = "a > 3")]
async fn condition(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache), tags = "users")]
async fn one_tag(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache, key = "{a}")]
async fn key(cache: &Cache, a: u8) -> u8 {
    a
}

fn main() {}
