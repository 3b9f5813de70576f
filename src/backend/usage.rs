/// What a backend holds, and what had to make room.
///
/// With the feature `metrics` `Cache::record_usage` hands it to the recorder of the `metrics` crate:
///
/// | field | metric | sort |
/// |---|---|---|
/// | `entries` | `axum_caching_entries` | gauge |
/// | `weight` | `axum_caching_weight_bytes` | gauge |
/// | `evictions` | `axum_caching_evictions_total` | counter |
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, MemoryBackend, Ttl};
///
/// let cache = Cache::new(MemoryBackend::default());
/// cache.set("answer", &42, Ttl::Default).await?;
/// let usage = cache.usage().expect("a backend in memory knows");
/// assert_eq!((usage.entries, usage.evictions), (1, 0));
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// How many entries are there now; what expired may still be among them.
    pub entries: u64,
    /// What they count as now, in bytes.
    pub weight: u64,
    /// How many entries had to make room for others, ever.
    pub evictions: u64,
}

impl Usage {
    /// What a backend answers that knows it.
    pub fn new(entries: u64, weight: u64, evictions: u64) -> Self {
        Self { entries, weight, evictions }
    }
}
