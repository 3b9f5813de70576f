//! Types that cannot be in a key, or be kept. The messages are of traits of the crate.
use axum_caching::{Cache, memoize};

struct App {
    cache: Cache,
}

#[memoize(cache = app.cache)]
async fn argument_without_serde(app: &App, a: u8) -> u8 {
    a
}

#[derive(Clone)]
struct Page;

#[memoize(cache = app.cache, skip(app))]
async fn value_without_serde(app: &App) -> Page {
    Page
}

struct Once;

#[memoize(cache = app.cache, skip(app), live)]
async fn value_without_clone(app: &App) -> Once {
    Once
}

fn main() {}
