//! Options that are not there, or not written as they should be.
use axum_caching::{Cache, cached, memoize};

#[memoize(cache = cache, skip(cache), tll = std::time::Duration::from_secs(1))]
async fn near_miss(cache: &Cache) -> u8 {
    0
}

#[memoize(cache = cache, skip(cache), timeout = 60)]
async fn word_from_elsewhere(cache: &Cache) -> u8 {
    0
}

#[cached(cache = cache, colour = 60)]
async fn no_such_option(cache: &Cache) -> u8 {
    0
}

#[memoize(cache = cache, skip(cache), live, args_to_ignore(cache))]
async fn twice(cache: &Cache) -> u8 {
    0
}

#[memoize(ttl = std::time::Duration::from_secs(1))]
async fn no_cache(a: u8) -> u8 {
    a
}

#[memoize]
async fn nothing_at_all(a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache), live = true)]
async fn flag_with_a_value(cache: &Cache) -> u8 {
    0
}

#[memoize(cache, skip(cache))]
async fn option_without_a_value(cache: &Cache) -> u8 {
    0
}

#[memoize(cache = cache, skip = cache)]
async fn list_as_a_value(cache: &Cache) -> u8 {
    0
}

#[memoize(cache = cache, skip(cache), negative(|value| *value == 0))]
async fn half_of_a_pair(cache: &Cache) -> u8 {
    0
}

#[memoize(cache = cache, skip(cache) live)]
async fn no_comma(cache: &Cache) -> u8 {
    0
}

#[memoize(cache = cache, skip(cache), hash_method = "sha256")]
async fn text_for_a_type(cache: &Cache) -> u8 {
    0
}

#[memoize(cache)]
async fn called(cache: &Cache) -> u8 {
    0
}

fn main() {
    // The function is there all the same: this is no error.
    let _ = called;
}
