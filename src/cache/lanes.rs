//! Whether a tag was purged while a fill ran that learned of the tag only afterwards.
//!
//! A tag that is known before the data is read has its stamps read then. One that is found in the data is *late*: its
//! stamps are read after it, and a purge in between would go unseen. So a purge writes the lane of its tag first, and a
//! fill compares the lane with what it was at its start, after it has read the stamps. Tags share 64 lanes: a fill with
//! late tags may be refused for the purge of another tag, which costs a later fill.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Cache, Core, tags::LIFETIME};
use crate::{
    error::{ErrorKind, Result},
    key::HashMethod,
    stamps,
    sync::AtomicU64,
    value::Value,
};

/// As many as the models can follow, under them.
const LANES: usize = if cfg!(all(test, model)) { 1 } else { 64 };

/// The lanes of this process: the number of the last purge in each. A number cannot be lost here, nor be written out of
/// order; between processes there are stamps in the backend.
#[derive(Debug)]
pub(super) struct Lanes {
    purges: AtomicU64,
    last: Box<[AtomicU64]>,
    /// Whether a late tag was ever seen: until then nobody reads the lanes in the backend.
    in_use: AtomicBool,
}

impl Default for Lanes {
    fn default() -> Self {
        let last = (0..LANES).map(|_| AtomicU64::new(0)).collect();
        Self { purges: AtomicU64::new(0), last, in_use: AtomicBool::new(false) }
    }
}

/// What the lanes were when a fill began.
#[derive(Clone, Debug)]
pub(super) struct Since {
    purges: u64,
    /// Those in the backend, where entries are shared with other processes; `None` if they were not read.
    shared: Option<Arc<[Option<u64>]>>,
}

impl Since {
    pub(super) fn now(core: &Core) -> Self {
        Self { purges: core.lanes.purges.load(Ordering::SeqCst), shared: None }
    }
}

impl Lanes {
    fn purge(&self, lane: usize) {
        let purge = self.purges.fetch_add(1, Ordering::SeqCst) + 1;
        self.last[lane].fetch_max(purge, Ordering::SeqCst);
    }

    /// Counts a purge of anything that entries depend on.
    pub(super) fn count(&self) {
        self.purges.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether nothing of that kind was purged.
    pub(super) fn are_untouched(&self, since: &Since) -> bool {
        self.purges.load(Ordering::SeqCst) == since.purges
    }

    fn is_clear(&self, lane: usize, since: &Since) -> bool {
        self.last[lane].load(Ordering::SeqCst) <= since.purges
    }
}

/// The same one in every process.
fn lane_of(tag: &str) -> usize {
    let digest = HashMethod::default().hex(tag.as_bytes());
    usize::from_str_radix(&digest[..4], 16).unwrap_or(0) % LANES
}

impl Cache {
    fn lane_key(&self, lane: usize) -> String {
        format!("{}@t/lane:{lane}", self.space.scope.subtree())
    }

    /// Whether a fill that begins now may need the lanes in the backend.
    pub(super) fn reads_lanes(&self) -> bool {
        self.core.lanes.in_use.load(Ordering::Relaxed) && !self.core.backend.keeps_live()
    }

    pub(super) async fn read_lanes(&self, since: &mut Since) {
        let keys: Vec<String> = (0..LANES).map(|lane| self.lane_key(lane)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        match self.core.backend.get_many_through(&keys).await {
            Ok(values) if values.len() == LANES => {
                since.shared = Some(values.iter().map(|value| value.as_ref().and_then(stamp)).collect());
            }
            Ok(_) => {}
            Err(error) => self.core.reporter.failed("lanes", &error),
        }
    }

    /// Whether none of these tags was purged since; asked after their stamps were read.
    pub(super) async fn are_clear(&self, tags: &[Arc<str>], since: &Since) -> bool {
        for tag in tags {
            let lane = lane_of(tag);
            if !self.core.lanes.is_clear(lane, since) || !self.is_clear_elsewhere(lane, since).await {
                return false;
            }
        }
        true
    }

    async fn is_clear_elsewhere(&self, lane: usize, since: &Since) -> bool {
        if self.core.backend.keeps_live() {
            return true;
        }
        // From the next fill on they are read.
        self.core.lanes.in_use.store(true, Ordering::Relaxed);
        let Some(shared) = &since.shared else { return false };
        let key = self.lane_key(lane);
        let checked = match shared[lane] {
            Some(was) => self.core.backend.get_through(&key).await.map(|now| now.as_ref().and_then(stamp) == Some(was)),
            // One that is not there says nothing: it may have been written and lost. The next fill finds it.
            None => {
                let core = Arc::clone(&self.core);
                let add = async move { core.backend.add(&key, fresh(), Some(LIFETIME)).await };
                self.send(&mut self.core.bound(), add).await.map(|_| false)
            }
        };
        checked.unwrap_or_else(|error| {
            self.core.reporter.failed("lanes", &error);
            false
        })
    }

    /// Says to fills under way that a tag is about to be purged.
    pub(super) async fn write_lane(&self, tag: &str) -> Result<()> {
        let lane = lane_of(tag);
        self.core.lanes.purge(lane);
        if self.core.backend.keeps_live() {
            return Ok(());
        }
        let (core, key) = (Arc::clone(&self.core), self.lane_key(lane));
        let write = async move {
            match core.backend.set(&key, fresh(), Some(LIFETIME)).await {
                // A server that is full takes nothing, but things away: a lane that is not there refuses as a new one does.
                Err(error) if error.kind() == ErrorKind::TooLarge => core.backend.delete(&key).await.map(drop),
                set => set,
            }
        };
        self.send(&mut self.core.bound(), write).await
    }
}

fn fresh() -> Value {
    Value::from_bytes(stamps::fresh().to_le_bytes().to_vec())
}

fn stamp(value: &Value) -> Option<u64> {
    Some(u64::from_le_bytes(value.as_bytes()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_closes_its_lane_for_those_who_began_before_it() {
        let lanes = Lanes::default();
        let before = Since { purges: lanes.purges.load(Ordering::SeqCst), shared: None };
        lanes.purge(3);
        let after = Since { purges: lanes.purges.load(Ordering::SeqCst), shared: None };
        assert!(!lanes.is_clear(3, &before) && lanes.is_clear(4, &before));
        assert!(lanes.is_clear(3, &after));
    }
}
