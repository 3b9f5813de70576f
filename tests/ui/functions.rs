//! What an attribute cannot be on.
use axum_caching::{Cache, memoize};

#[memoize(cache = cache, skip(cache))]
fn sync(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache))]
const fn constant(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache))]
async unsafe fn not_safe(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache, skip(cache))]
extern "C" fn foreign(cache: &Cache, a: u8) -> u8 {
    a
}

#[memoize(cache = cache)]
struct NoFunction;

trait Users {
    #[memoize(cache = self.cache(), name = "users", no_companions)]
    async fn declared(&self, id: u8) -> u8;
}

#[memoize(cache = cache, skip(cache))]
async fn without_a_name(cache: &Cache, a: u8) -> impl Copy {
    a
}

#[memoize(cache = cache, skip(cache))]
async fn result_of_what(cache: &Cache, a: u8) -> std::fmt::Result {
    Ok(())
}

#[memoize(cache = cache, skip(cache))]
async fn borrowed_result<'a>(cache: &Cache, text: &'a str) -> &'a str {
    text
}

#[memoize(cache = cache, skip(cache))]
async fn cannot_be_put_together(cache: &Cache, (a, ..): (u8, u8)) -> u8 {
    a
}

fn main() {}
