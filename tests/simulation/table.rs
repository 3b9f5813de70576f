//! What the server keeps.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use crate::rng::Rng;

/// Records with their ends, by its own clock; in an order that does not depend on chance.
#[derive(Debug)]
pub struct Table {
    records: BTreeMap<String, (Bytes, u64)>,
    /// True milliseconds.
    pub now: u64,
}

impl Table {
    pub fn new() -> Self {
        // 2026-01-01T00:00:00Z.
        Self { records: BTreeMap::new(), now: 1_767_225_600_000 }
    }

    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.records.get(key).filter(|(_, end)| *end > self.now).map(|(bytes, _)| bytes.clone())
    }

    pub fn set(&mut self, key: String, bytes: Bytes, ttl: Option<Duration>) {
        let end = ttl.map_or(u64::MAX, |ttl| self.now + u64::try_from(ttl.as_millis()).expect("no eternity"));
        self.records.insert(key, (bytes, end));
    }

    pub fn remove(&mut self, key: &str) -> bool {
        self.records.remove(key).is_some_and(|(_, end)| end > self.now)
    }

    pub fn clear(&mut self, prefix: &str) {
        self.records.retain(|key, _| !key.starts_with(prefix));
    }

    /// Loses one record, or all of them.
    pub fn lose(&mut self, rng: &mut Rng) -> String {
        if self.records.is_empty() || rng.one_in(20) {
            self.records.clear();
            return "everything".to_owned();
        }
        let key = self.records.keys().nth(rng.index(self.records.len())).cloned().expect("so many are there");
        self.records.remove(&key);
        key
    }
}
