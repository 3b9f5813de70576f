//! What was cleared on a server: a record that is compared with every look at it, and never a list of keys.
//!
//! The keys of all entries begin with a stamp. It is made of a random number for the server, and of one for each prefix
//! of the key that was cleared. A `clear` puts a new random number for its prefix into the record, and all that was
//! stored under it is out of reach, for every process: each looks at the record together with the entry. A record that
//! was evicted comes back with other random numbers, so that losing it costs misses and nothing else.

use bytes::{Buf, BufMut, Bytes};

use crate::stamps::fresh;

/// The key of the record.
pub(super) const RECORD: &str = "~axum-caching/cleared";

const VERSION: u8 = 1;

/// More prefixes than this are forgotten together, and everything on the server with them.
const MAX_PREFIXES: usize = 128;

/// So much a prefix may have for the record to know it; a longer one counts as its beginning.
const MAX_PREFIX: usize = 600;

/// The record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clears {
    server: u64,
    prefixes: Vec<(Box<[u8]>, u64)>,
}

/// One reading of it, and what a server says of it for as long as it is the same.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) clears: Clears,
    pub(super) cas: u64,
    pub(super) flags: u32,
}

impl Clears {
    pub(super) fn new() -> Self {
        Self { server: fresh(), prefixes: Vec::new() }
    }

    /// What the keys of an entry begin with.
    pub(super) fn stamp(&self, key: &str) -> u64 {
        let of = |(prefix, stamp): &(Box<[u8]>, u64)| if key.as_bytes().starts_with(prefix) { *stamp } else { 0 };
        self.prefixes.iter().fold(self.server, |stamp, one| stamp ^ of(one))
    }

    /// The record after everything with this prefix was cleared.
    pub(super) fn after(&self, prefix: &str) -> Self {
        let prefix = &prefix.as_bytes()[..prefix.len().min(MAX_PREFIX)];
        let mut prefixes = self.prefixes.clone();
        // The new stamp is one for their keys too.
        prefixes.retain(|(other, _)| !other.starts_with(prefix));
        if prefix.is_empty() || prefixes.len() >= MAX_PREFIXES {
            return Self::new();
        }
        prefixes.push((prefix.into(), fresh()));
        Self { server: self.server, prefixes }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.put_u64_le(self.server);
        for (prefix, stamp) in &self.prefixes {
            bytes.put_u64_le(*stamp);
            bytes.put_u16_le(u16::try_from(prefix.len()).unwrap_or(u16::MAX));
            bytes.extend_from_slice(prefix);
        }
        bytes
    }

    /// Reads it; `None` if these are other bytes than ours.
    pub(super) fn read(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < 9 || bytes.get_u8() != VERSION {
            return None;
        }
        let server = bytes.get_u64_le();
        let mut prefixes = Vec::new();
        while !bytes.is_empty() {
            if bytes.len() < 10 || prefixes.len() == MAX_PREFIXES {
                return None;
            }
            let (stamp, length) = (bytes.get_u64_le(), usize::from(bytes.get_u16_le()));
            if bytes.len() < length {
                return None;
            }
            prefixes.push((bytes.split_to(length).as_ref().into(), stamp));
        }
        Some(Self { server, prefixes })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_that_is_cleared_has_new_stamps_and_all_else_the_old_ones() {
        let before = Clears::new();
        let after = before.after("@1:a").after("@1:a@1:b/").after("@1:a");
        assert_eq!(after.prefixes.len(), 1);
        for key in ["view//x", "@1:b/x", "@1:", ""] {
            assert_eq!(before.stamp(key), after.stamp(key), "{key}");
        }
        for key in ["@1:a", "@1:a/x", "@1:a@1:b/x"] {
            assert_ne!(before.stamp(key), after.stamp(key), "{key}");
        }
        assert_ne!(after.after("").stamp("view//x"), before.stamp("view//x"));
    }

    #[test]
    fn the_record_does_not_grow_for_ever() {
        let (mut clears, mut stamps) = (Clears::new(), HashSet::new());
        for number in 0..1_000 {
            clears = clears.after(&format!("{number}/"));
            assert!(clears.write().len() < 4_000);
            assert!(stamps.insert(clears.stamp(&format!("{number}/key"))));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_stamp_of_a_key_that_was_cleared_comes_back(prefixes in prop::collection::vec("[ab]{0,4}", 1..40)) {
            let key = "abab";
            let (mut clears, mut stamps) = (Clears::new(), HashSet::new());
            stamps.insert(clears.stamp(key));
            for prefix in prefixes {
                let before = clears.stamp(key);
                clears = clears.after(&prefix);
                if key.starts_with(&prefix) {
                    prop_assert!(stamps.insert(clears.stamp(key)));
                } else {
                    prop_assert_eq!(clears.stamp(key), before);
                }
                prop_assert_eq!(Clears::read(clears.write().into()), Some(clears.clone()));
            }
        }

        #[test]
        fn any_bytes_are_a_record_or_none(bytes: Vec<u8>) {
            let _ = Clears::read(bytes.into());
        }
    }
}
