//! A memoized method: results of one object, purged for that object or for all.
//!
//! ```text
//! cargo run --example memo_method
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum_caching::{Cache, MemoryBackend, memoize};

/// A shop in one country, with a rate that changes now and then.
struct Shop {
    country: &'static str,
    percent: AtomicU32,
    cache: Cache,
}

impl Shop {
    fn new(country: &'static str, percent: u32, cache: &Cache) -> Self {
        Self { country, percent: AtomicU32::new(percent), cache: cache.clone() }
    }

    /// The price with tax. Two shops of one country share results; `instance` says what tells them apart.
    #[memoize(cache = self.cache, instance = self.country, ttl = Duration::from_secs(3600))]
    async fn price(&self, cents: u32) -> u32 {
        println!("  computing {cents} for {}", self.country);
        cents + cents * self.percent.load(Ordering::SeqCst) / 100
    }

    /// What was computed with the old rate goes, in this country.
    async fn change_rate(&self, percent: u32) -> axum_caching::Result<()> {
        self.percent.store(percent, Ordering::SeqCst);
        self.price_memoizer().delete_memoized().await
    }
}

#[tokio::main]
async fn main() -> Result<(), axum_caching::BoxError> {
    let cache = Cache::new(MemoryBackend::default());
    let (german, french) = (Shop::new("de", 19, &cache), Shop::new("fr", 20, &cache));

    for _ in 0..2 {
        assert_eq!((german.price(1_000).await, french.price(1_000).await), (1_190, 1_200));
    }
    assert_eq!(cache.stats().misses, 2);

    println!("a new rate in Germany:");
    german.change_rate(16).await?;
    assert_eq!((german.price(1_000).await, french.price(1_000).await), (1_160, 1_200));
    assert_eq!(cache.stats().misses, 3, "France has nothing to do with it");

    println!("one result of one shop, then those of all shops:");
    french.price_memoizer().delete_memoized_for(&1_000_u32).await?;
    french.price(1_000).await;
    french.price_memoizer_of_all().delete_memoized().await?;
    german.price(1_000).await;
    french.price(1_000).await;
    assert_eq!(cache.stats().misses, 6);

    // Without the cache, under a name beside that of the method.
    assert_eq!(german.price_uncached(100).await, 116);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_program_asserts_holds() {
        super::main().expect("no error");
    }
}
