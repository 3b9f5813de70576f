//! What an entry depends on: the stamps that were read before its data was, each to be compared when it is served.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::{backend::Backend, error::Result, stamps::Stamp, value::Value};

/// More than this an entry does not depend on; it is then not stored.
pub(crate) const MAX_CARRIED: usize = 256;

/// A stamp, and the value that it had.
#[derive(Clone)]
pub(crate) enum Carried {
    /// One of this process, which an entry that leaves the process cannot carry.
    Own { stamp: Stamp, was: u64 },
    /// The record of a tag in a backend.
    Tag { key: Arc<str>, was: u64, home: Home },
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
    pub(crate) fn holds_now(&self, here: &dyn Backend) -> Option<bool> {
        match self {
            Self::Own { stamp, was } => Some(stamp.now() == *was),
            Self::Tag { key, was, home } => home.has_now(key, *was, here),
        }
    }

    /// Whether the stamp is still what it was. A record that is gone, or that cannot be read, is not.
    pub(crate) async fn holds(&self, here: &dyn Backend) -> bool {
        match self {
            Self::Own { stamp, was } => stamp.now() == *was,
            Self::Tag { key, was, home: Home::Here } => is(*was, here.get(key).await),
            Self::Tag { key, was, home: Home::There(there) } => match there.upgrade() {
                Some(there) => is(*was, there.get(key).await),
                None => false,
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
            own @ Self::Own { .. } => own.clone(),
        }
    }
}

impl Home {
    /// Whether the record of a tag there has this stamp; `None` if the backend has to be waited for.
    fn has_now(&self, key: &str, stamp: u64, here: &dyn Backend) -> Option<bool> {
        let found = match self {
            Self::Here => here.get_now(key)?,
            Self::There(there) => match there.upgrade() {
                Some(there) => there.get_now(key)?,
                None => return Some(false),
            },
        };
        Some(is(stamp, found))
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here, Self::Here) => true,
            (Self::There(one), Self::There(other)) => one.ptr_eq(other),
            _ => false,
        }
    }
}

/// How the record of a tag is written.
pub(crate) fn tag_value(stamp: u64) -> Value {
    Value::from_bytes(stamp.to_le_bytes().to_vec())
}

/// The stamp in the record of a tag; what is no such record differs from every stamp.
pub(crate) fn tag_stamp(value: &Value) -> Option<u64> {
    let bytes = value.to_bytes().ok()?;
    Some(u64::from_le_bytes(bytes[..].try_into().ok()?))
}

fn is(was: u64, found: Result<Option<Value>>) -> bool {
    found.is_ok_and(|value| value.as_ref().and_then(tag_stamp) == Some(was))
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
            Self::Tag { key, was, .. } => write!(f, "{key} {was:x}"),
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
            Self::Own { .. } => {
                Err(ser::Error::custom("the entry depends on a stamp of this process, and can only be kept there"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (key, was) = <(String, u64)>::deserialize(deserializer)?;
        if key.is_empty() {
            return Err(de::Error::custom("a tag without a name"));
        }
        Ok(Self::Tag { key: key.into(), was, home: Home::Here })
    }
}
