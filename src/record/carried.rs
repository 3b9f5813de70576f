//! What an entry depends on: the stamps that were read before its data was, each to be compared when it is served.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::{
    backend::{Backend, Reads},
    error::Result,
    stamps::{self, Stamp},
    value::Value,
};

/// More than this an entry does not depend on; it is then not stored.
pub(crate) const MAX_CARRIED: usize = 256;

/// A stamp, and the value that it had.
#[derive(Clone)]
pub(crate) enum Carried {
    /// One of this process, which an entry that leaves the process cannot carry.
    Own { stamp: Stamp, was: u64 },
    /// Something that a backend did not say: whatever is made of it is not for later.
    Unknown,
    /// The record of a tag in a backend.
    Tag { key: Arc<str>, was: TagStamps, home: Home },
}

/// The stamps in the record of a tag. A purge takes both away, marking stale replaces the soft one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagStamps {
    pub(crate) hard: u64,
    pub(crate) soft: u64,
}

impl TagStamps {
    pub(crate) fn fresh() -> Self {
        Self { hard: stamps::fresh(), soft: stamps::fresh() }
    }

    /// How the record is written.
    pub(crate) fn to_value(self) -> Value {
        Value::from_bytes([self.hard.to_le_bytes(), self.soft.to_le_bytes()].concat())
    }

    /// What the record says; what is no such record differs from every stamp.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let (hard, soft) = value.as_bytes()?.split_first_chunk()?;
        Some(Self { hard: u64::from_le_bytes(*hard), soft: u64::from_le_bytes(soft.try_into().ok()?) })
    }

    async fn hold_in(self, backend: &dyn Backend, key: &str, reads: Reads) -> Hold {
        if reads == Reads::Copies && backend.lags() {
            // A copy may say that it holds. That it does not may be older than the entry.
            let found = match backend.get(key).into_ready() {
                Ok(copy) => copy,
                Err(future) => return self.compared(future.await),
            };
            if self.compared(found) == Hold::Holds {
                return Hold::Holds;
            }
            return self.compared(backend.get_through(key).await);
        }
        self.compared(reads.get(backend, key).await)
    }

    fn hold_in_now(self, backend: &dyn Backend, key: &str) -> Option<Hold> {
        let hold = self.compared(backend.get_now(key)?);
        (hold == Hold::Holds || !backend.lags()).then_some(hold)
    }

    fn compared(self, found: Result<Option<Value>>) -> Hold {
        match found.ok().flatten().as_ref().and_then(Self::of) {
            Some(now) if now == self => Hold::Holds,
            Some(now) if now.hard == self.hard => Hold::Marked,
            _ => Hold::Gone,
        }
    }
}

/// Whether what an entry depends on is as it was; the later, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hold {
    Holds,
    /// It was marked stale.
    Marked,
    /// It was purged, or nobody knows.
    Gone,
}

impl From<bool> for Hold {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Gone }
    }
}

/// Where the record of a tag is.
#[derive(Clone)]
pub(crate) enum Home {
    /// Beside the entry.
    Here,
    /// In the backend of another cache. Entries of two caches may name each other's, so they do not keep it.
    There(Weak<dyn Backend>),
}

impl Carried {
    /// Whether the stamp is still what it was; `None` if its backend has to be waited for.
    #[inline]
    pub(crate) fn holds_now(&self, here: &dyn Backend) -> Option<Hold> {
        match self {
            Self::Own { stamp, was } => Some((stamp.now() == *was).into()),
            Self::Unknown => Some(Hold::Gone),
            Self::Tag { key, was, home } => home.has_now(key, *was, here),
        }
    }

    /// Whether the stamp is still what it was. A record that is gone, or that cannot be read, is not.
    pub(crate) async fn holds(&self, here: &dyn Backend, reads: Reads) -> Hold {
        match self {
            Self::Own { stamp, was } => (stamp.now() == *was).into(),
            Self::Unknown => Hold::Gone,
            Self::Tag { key, was, home: Home::Here } => was.hold_in(here, key, reads).await,
            Self::Tag { key, was, home: Home::There(there) } => match there.upgrade() {
                Some(there) => was.hold_in(&*there, key, reads).await,
                None => Hold::Gone,
            },
        }
    }

    /// Whether two are about one stamp.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Own { stamp, was }, Self::Own { stamp: other, was: then }) => stamp.is(other) && was == then,
            (Self::Tag { key, was, home }, Self::Tag { key: other, was: then, home: there }) => {
                key == other && was == then && home.is(there)
            }
            _ => false,
        }
    }

    /// The same, as an entry in this backend carries it; `from` is the backend of the entry it was taken from.
    pub(crate) fn seen_from(&self, here: &Arc<dyn Backend>, from: &Arc<dyn Backend>) -> Self {
        match self {
            Self::Tag { key, was, home } => {
                let home = match home {
                    Home::Here => Arc::downgrade(from),
                    Home::There(there) => Weak::clone(there),
                };
                let home = if home.ptr_eq(&Arc::downgrade(here)) { Home::Here } else { Home::There(home) };
                Self::Tag { key: Arc::clone(key), was: *was, home }
            }
            other => other.clone(),
        }
    }
}

impl Home {
    /// Whether the record of a tag there has these stamps; `None` if the backend has to be waited for.
    fn has_now(&self, key: &str, was: TagStamps, here: &dyn Backend) -> Option<Hold> {
        match self {
            Self::Here => was.hold_in_now(here, key),
            Self::There(there) => match there.upgrade() {
                Some(there) => was.hold_in_now(&*there, key),
                None => Some(Hold::Gone),
            },
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here, Self::Here) => true,
            (Self::There(one), Self::There(other)) => one.ptr_eq(other),
            _ => false,
        }
    }
}

impl PartialEq for Carried {
    fn eq(&self, other: &Self) -> bool {
        self.is_of(other)
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own { was, .. } => write!(f, "own stamp {was:x}"),
            Self::Unknown => f.write_str("unknown"),
            Self::Tag { key, was, .. } => write!(f, "{key} {:x}.{:x}", was.hard, was.soft),
        }
    }
}

impl Serialize for Carried {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Tag { key, was, home: Home::Here } => (&**key, was).serialize(serializer),
            Self::Tag { key, .. } => Err(ser::Error::custom(format!(
                "the entry depends on `{key}` in the backend of another cache, and can only be kept in this process"
            ))),
            Self::Own { .. } | Self::Unknown => {
                Err(ser::Error::custom("the entry depends on a stamp of this process, and can only be kept there"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (key, was) = <(String, TagStamps)>::deserialize(deserializer)?;
        if key.is_empty() {
            return Err(de::Error::custom("a tag without a name"));
        }
        Ok(Self::Tag { key: key.into(), was, home: Home::Here })
    }
}
