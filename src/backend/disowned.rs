//! Values whose store was given up. A server may have one all the same, now or later, so that nobody may read it.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use foldhash::quality::RandomState;

use crate::value::Value;

/// So many are remembered, for as long as the process lives. Beyond that no write is given up.
const MAX: usize = 1_000;

/// The hashes of these values, by key.
#[derive(Debug, Default)]
pub(super) struct Disowned {
    /// Spares everybody the lock for as long as there are none.
    any: AtomicBool,
    values: Mutex<HashMap<Box<str>, Vec<u64>>>,
    hasher: RandomState,
}

impl Disowned {
    /// Remembers all of them, or says that it cannot.
    ///
    /// Records are never the same twice, as each has a stamp of its own. A plain integer may well be stored again.
    pub(super) fn add(&self, entries: &[(&str, Value)]) -> bool {
        if entries.iter().any(|(_, value)| value.live_kind().is_none()) {
            return false;
        }
        self.remember(entries)
    }

    fn remember(&self, entries: &[(&str, Value)]) -> bool {
        let mut values = self.lock();
        if values.values().map(Vec::len).sum::<usize>() + entries.len() > MAX {
            return false;
        }
        for (key, value) in entries {
            // What has no bytes was not stored.
            if let Some(hash) = self.hash(value) {
                values.entry((*key).into()).or_default().push(hash);
            }
        }
        self.any.store(true, Ordering::Release);
        true
    }

    /// Whether something under this key may be such a value.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.any.load(Ordering::Acquire) && self.lock().contains_key(key)
    }

    /// What was found under a key, unless it is such a value.
    pub(super) fn without(&self, key: &str, found: Option<Value>) -> Option<Value> {
        found.filter(|value| !self.knows(key) || !self.is_disowned(key, value))
    }

    /// The same for many, in the order of their keys; too few of them or too many are the cache's to see.
    pub(super) fn all_without(&self, keys: &[&str], found: Vec<Option<Value>>) -> Vec<Option<Value>> {
        let mut keys = keys.iter();
        let without = |value| match keys.next() {
            Some(key) => self.without(key, value),
            None => value,
        };
        found.into_iter().map(without).collect()
    }

    fn is_disowned(&self, key: &str, value: &Value) -> bool {
        let hash = self.hash(value);
        let values = self.lock();
        values.get(key).is_some_and(|hashes| hash.is_some_and(|hash| hashes.contains(&hash)))
    }

    fn hash(&self, value: &Value) -> Option<u64> {
        value.to_bytes().ok().map(|bytes| self.hasher.hash_one(&bytes[..]))
    }

    // A panic under this lock is not possible; if it was, what is remembered is still right.
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<u64>>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &'static str) -> Value {
        Value::from_bytes(text)
    }

    #[test]
    fn what_is_disowned_is_not_found_and_everything_else_is() {
        let disowned = Disowned::default();
        assert!(disowned.without("key", Some(value("old"))).is_some());
        assert!(disowned.remember(&[("key", value("old")), ("key", value("older"))]));

        assert!(disowned.without("key", Some(value("old"))).is_none());
        assert!(disowned.without("key", Some(value("older"))).is_none());
        assert!(disowned.without("key", Some(value("new"))).is_some());
        assert!(disowned.without("other", Some(value("old"))).is_some());
        assert!(disowned.without("key", None).is_none());
    }

    #[test]
    fn only_so_many_are_remembered_and_then_none_is_given_up() {
        let disowned = Disowned::default();
        for _ in 0..MAX {
            assert!(disowned.remember(&[("key", value("old"))]));
        }
        assert!(!disowned.remember(&[("more", value("old"))]));
        assert!(disowned.without("more", Some(value("old"))).is_some());
    }

    #[test]
    fn what_may_be_stored_again_as_it_is_cannot_be_disowned() {
        let disowned = Disowned::default();
        assert!(!disowned.add(&[("n", Value::integer(7))]));
        assert!(disowned.without("n", Some(value("7"))).is_some());
    }
}
