//! The settings of a [`MemoryBackend`], and the table that they make.

use std::sync::{Arc, RwLock, atomic::AtomicU64};

use quick_cache::{OptionsBuilder, sync::Cache as Table};

use super::{
    Inner, MemoryBackend,
    entry::{Pins, Recorder, Weigher},
    sweep::Sweeper,
};
use crate::clock::Clock;

/// The share of the table for entries that are asked for again; the rest is a trial period.
const HOT_PERCENT: u32 = 97;

/// Settings of a [`MemoryBackend`].
///
/// # Examples
///
/// ```
/// use axum_caching::MemoryBackend;
///
/// let backend = MemoryBackend::builder().max_bytes(256 << 20).build();
/// assert_eq!(backend.max_bytes(), 256 << 20);
/// ```
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct MemoryBackendBuilder {
    max_bytes: usize,
    max_entries: usize,
    clock: Clock,
}

impl MemoryBackendBuilder {
    pub(super) fn new() -> Self {
        Self { max_bytes: 64 << 20, max_entries: 10_000, clock: Clock::system() }
    }

    /// The memory that entries may take, keys and bookkeeping included. 64 MiB by default.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many entries are kept. 10 000 by default.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// The clock that expiry goes by; the clock of the machine by default.
    ///
    /// A test gives the backend and the cache the same one.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The backend. A bound of 0 counts as 1.
    pub fn build(self) -> MemoryBackend {
        let max_bytes = self.max_bytes.max(1) as u64;
        let max_entries = self.max_entries.max(1) as u64;
        let evictions = Arc::new(AtomicU64::new(0));
        let options = OptionsBuilder::new()
            .shards(shards(max_bytes))
            // The table remembers half as many that it evicted, beside the weight.
            .estimated_items_capacity(self.max_entries.min(self.max_bytes / 1_024).max(1))
            .weight_capacity(max_bytes)
            .hot_allocation(f64::from(HOT_PERCENT) / 100.0)
            .build()
            .expect("all options that have to be given are given");
        let recorder = Recorder::new(Arc::clone(&evictions));
        let table = Table::with_options(options, Weigher, foldhash::quality::RandomState::default(), recorder);
        // The table refuses what is heavier than the part of a shard that it keeps for hot entries.
        let largest = table.shard_capacity() / 100 * u64::from(HOT_PERCENT);
        MemoryBackend(Arc::new(Inner {
            sweeper: Sweeper::new(self.max_bytes),
            pins: Pins::new(self.max_bytes),
            floor: (max_bytes / max_entries).clamp(1, largest.max(1)),
            clock: self.clock,
            table,
            evictions,
            max_bytes,
            largest,
            clears: RwLock::default(),
        }))
    }
}

/// As many shards as leave each 4 MiB, so that large bodies fit, and 64 at the most.
fn shards(max_bytes: u64) -> usize {
    let fitting = (max_bytes / (4 << 20)).clamp(1, 64);
    1 << fitting.ilog2()
}
