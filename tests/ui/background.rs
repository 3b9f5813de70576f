use std::{sync::Arc, time::Duration};

use axum_caching::{Cache, memoize};

const MINUTE: Duration = Duration::from_secs(60);

struct App {
    cache: Cache,
}

// What runs in the background outlives its caller.
#[memoize(cache = app.cache, skip(app), stale_while_revalidate = MINUTE)]
async fn of_reference(app: &App, id: u32) -> u32 {
    id
}

#[memoize(cache = app.cache, skip(app), ttl = MINUTE, refresh_ahead = 0.8)]
async fn of_text(app: Arc<App>, name: &str) -> u32 {
    name.len() as u32
}

#[memoize(cache = cache, skip(cache), soft_timeout = MINUTE)]
async fn of_lifetime<'a>(cache: Cache, name: std::borrow::Cow<'a, str>) -> u32 {
    name.len() as u32
}

impl App {
    #[memoize(cache = self.cache, background)]
    async fn of_self(&self, id: u32) -> u32 {
        id
    }
}

// An option of the function, not of the call.
#[memoize(cache = cache, skip(cache, window), stale_if_error = window)]
async fn of_call(cache: &Cache, window: Duration, id: u32) -> u32 {
    id
}

// Another word for it.
#[memoize(cache = cache, skip(cache), swr = MINUTE)]
async fn other_word(cache: Cache, id: u32) -> u32 {
    id
}

fn main() {}
