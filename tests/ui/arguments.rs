//! Options that do not go with the arguments, or with each other.
use axum_caching::{Cache, cached, memoize};

#[memoize(cache = cache, skip(cache, stat))]
async fn skips_what_is_not_there(cache: &Cache, state: u8) -> u8 {
    state
}

#[memoize(cache = cache, skip(cache), key = a)]
async fn key_and_skip(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache), source_check, version = "1")]
async fn two_versions(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache), negative(|value| *value == a, std::time::Duration::from_secs(1)))]
async fn negative_of_an_argument(cache: &Cache, a: u8) -> u8 {
    a
}

#[cached(cache = cache, key = "list")]
async fn one_result_for_all(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache), instance = 1)]
async fn instance_of_nothing(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache), no_companions, name = "f")]
async fn alone(cache: &Cache, a: u8) -> u8 {
    a
}

struct Service(Cache);

impl Service {
    #[memoize(cache = self.0, skip(self))]
    async fn skips_self(&self, a: u8) -> u8 {
        a
    }

    #[memoize(cache = self.0, instance = a)]
    async fn instance_of_an_argument(&self, a: u8) -> u8 {
        a
    }

    #[memoize(cache = self.0, no_companions)]
    async fn alone_without_a_name(&self, a: u8) -> u8 {
        a
    }
}

#[cached(cache = cache, key = "all")]
async fn one_result_for_all_with_a_capital(cache: &Cache, N: u8) -> u8 {
    N
}

fn main() {}
