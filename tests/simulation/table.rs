//! What the server keeps.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use crate::rng::Rng;

/// Records with their ends, by its own clock.
#[derive(Debug)]
pub struct Table {
    records: BTreeMap<String, Record>,
    /// How many were ever stored.
    stored: u64,
    /// True milliseconds.
    pub now: u64,
}

#[derive(Debug)]
struct Record {
    bytes: Bytes,
    end: u64,
    stored: u64,
}

/// What a key is called here: that of a variant has a number in it, which is another one each time.
pub fn name(key: &str) -> &str {
    if key.starts_with("view//") && key != "view//" { "view//.." } else { key }
}

impl Table {
    pub fn new() -> Self {
        // 2026-01-01T00:00:00Z.
        Self { records: BTreeMap::new(), stored: 0, now: 1_767_225_600_000 }
    }

    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.records.get(key).filter(|record| record.end > self.now).map(|record| record.bytes.clone())
    }

    pub fn set(&mut self, key: String, bytes: Bytes, ttl: Option<Duration>) {
        let end = ttl.map_or(u64::MAX, |ttl| self.now + u64::try_from(ttl.as_millis()).expect("no eternity"));
        self.stored += 1;
        self.records.insert(key, Record { bytes, end, stored: self.stored });
    }

    pub fn remove(&mut self, key: &str) -> bool {
        self.records.remove(key).is_some_and(|record| record.end > self.now)
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
        // In an order that does not depend on chance.
        let mut keys: Vec<_> = self.records.iter().map(|(key, record)| (name(key), record.stored, key)).collect();
        keys.sort_unstable();
        let key = keys[rng.index(keys.len())].2.clone();
        self.records.remove(&key);
        name(&key).to_owned()
    }
}
