pub(crate) mod enveloped;

use std::{
    any::Any,
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use crate::error::Result;

/// What the bytes of an entry begin with; a version and a kind follow.
pub(crate) const MAGIC: &[u8; 3] = b"axc";
pub(crate) const VERSION: u8 = 1;

/// So long is what an entry begins with and is told from all others by: magic, version, kind, and a nonce.
pub(crate) const TOKEN: usize = MAGIC.len() + 2 + 8;

/// The kind of what a fill puts into the slot of its key: it holds nothing, and is absent to every reader.
pub(crate) const LEASE: u8 = b'l';

/// The kind of what is left of one whose fill stored nothing.
pub(crate) const ENDED: u8 = b'd';

/// The kind in a token of an envelope's own. Those of records are `v`, `r` and `m`; no two have the same.
#[cfg(any(feature = "zstd", feature = "encryption"))]
pub(crate) const ENVELOPE: u8 = b'e';

/// What a backend keeps: an opaque value.
///
/// Inside the process a value is a live object, shared and never copied; a backend that needs bytes asks for them
/// with [`to_bytes`](Value::to_bytes) and hands them back with [`from_bytes`](Value::from_bytes). Integers are
/// plain on every backend, so that a server can add to them. A clone is another handle on the same value.
///
/// # Examples
///
/// ```
/// use axum_caching::Value;
///
/// let value = Value::from_bytes("hello");
/// assert_eq!(value.to_bytes()?, "hello");
/// assert_eq!(Value::from_bytes("42").as_integer(), Some(42));
/// # Ok::<(), axum_caching::Error>(())
/// ```
#[derive(Clone)]
pub struct Value(Repr);

#[derive(Clone)]
enum Repr {
    Live(Object),
    Bytes(Bytes),
    Integer(i64),
    #[cfg_attr(not(feature = "memory"), expect(dead_code, reason = "only copies in memory are shared"))]
    Shared(Arc<Shared>),
}

/// Bytes that many read, and what the first of them made of them.
struct Shared {
    bytes: Bytes,
    made: OnceLock<Object>,
}

/// A live object. It is kept as what it can be turned back from at once, since that is what every hit does.
#[derive(Clone)]
struct Object {
    object: Arc<dyn Any + Send + Sync>,
    as_live: fn(&(dyn Any + Send + Sync)) -> &dyn Live,
}

impl Object {
    fn new<T: Live>(object: Arc<T>) -> Self {
        let as_live: fn(&(dyn Any + Send + Sync)) -> &dyn Live =
            |object| object.downcast_ref::<T>().expect("it was made of a `T`");
        Self { object, as_live }
    }
}

impl Deref for Object {
    type Target = dyn Live;

    fn deref(&self) -> &dyn Live {
        (self.as_live)(&*self.object)
    }
}

/// An object that is kept as it is, and knows its bytes.
pub(crate) trait Live: Any + Send + Sync {
    /// What sort of object it is, as its bytes would say.
    fn kind(&self) -> u8;
    fn encode(&self) -> Result<Bytes>;
    fn weight(&self) -> usize;
    /// The same object with other metadata; `None` if `change`, which is given them, refuses.
    fn remade(&self, change: &mut dyn FnMut(&mut dyn Any) -> bool) -> Option<Value>;
}

impl Value {
    /// A value from the bytes that [`to_bytes`](Value::to_bytes) gave.
    ///
    /// Bytes that are no such value are found out when they are read, and count as a miss.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Repr::Bytes(bytes.into()))
    }

    /// A value that a backend can add to.
    ///
    /// ```
    /// # use axum_caching::Value;
    /// assert_eq!(Value::integer(-7).to_bytes()?, "-7");
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    pub fn integer(integer: i64) -> Self {
        Self(Repr::Integer(integer))
    }

    pub(crate) fn live<T: Live>(object: Arc<T>) -> Self {
        Self(Repr::Live(Object::new(object)))
    }

    /// The same bytes, for many who read them: what [`remember`](Value::remember) is told, all of them find.
    #[cfg(feature = "memory")]
    pub(crate) fn shared(self) -> Self {
        match self.0 {
            Repr::Bytes(bytes) => Self(Repr::Shared(Arc::new(Shared { bytes, made: OnceLock::new() }))),
            other => Self(other),
        }
    }

    /// Spares those who read the same bytes after the caller the work of making the object of them.
    pub(crate) fn remember<T: Live>(&self, object: &Arc<T>) {
        if let Repr::Shared(shared) = &self.0 {
            // Somebody else may have made one at the same time, which is as good.
            let _ = shared.made.set(Object::new(Arc::clone(object)));
        }
    }

    /// Whether both are of the same bytes; an object has none.
    #[cfg(feature = "memory")]
    pub(crate) fn has_bytes_of(&self, other: &Self) -> bool {
        self.as_bytes().is_some_and(|bytes| other.as_bytes() == Some(bytes))
    }

    /// Whether it is an entry of the cache's own, which carries its times itself; a lease is none.
    #[cfg(feature = "memory")]
    pub(crate) fn is_entry(&self) -> bool {
        match (&self.0, self.as_bytes()) {
            (Repr::Live(_), _) => true,
            (_, Some([m0, m1, m2, version, kind, ..])) => {
                [*m0, *m1, *m2] == *MAGIC && *version == VERSION && ![LEASE, ENDED].contains(kind)
            }
            _ => false,
        }
    }

    /// The bytes of this value. A live object is encoded anew at each call, an integer is ASCII digits.
    pub fn to_bytes(&self) -> Result<Bytes> {
        match &self.0 {
            Repr::Live(object) => object.encode(),
            Repr::Bytes(bytes) => Ok(bytes.clone()),
            Repr::Shared(shared) => Ok(shared.bytes.clone()),
            Repr::Integer(integer) => Ok(Bytes::from(integer.to_string())),
        }
    }

    /// The integer, if it is one: from [`integer`](Value::integer) or from ASCII digits.
    ///
    /// ```
    /// # use axum_caching::Value;
    /// assert_eq!(Value::integer(3).as_integer(), Some(3));
    /// assert_eq!(Value::from_bytes("three").as_integer(), None);
    /// ```
    pub fn as_integer(&self) -> Option<i64> {
        match &self.0 {
            Repr::Integer(integer) => Some(*integer),
            Repr::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            Repr::Shared(shared) => std::str::from_utf8(&shared.bytes).ok()?.parse().ok(),
            Repr::Live(_) => None,
        }
    }

    /// About how many bytes of memory this value takes beside the handle.
    ///
    /// ```
    /// # use axum_caching::Value;
    /// assert!(Value::from_bytes(vec![0; 1_000]).weight() >= 1_000);
    /// ```
    pub fn weight(&self) -> usize {
        match &self.0 {
            Repr::Live(object) => object.weight(),
            Repr::Bytes(bytes) => bytes.len() + 32,
            // With what will be made of them, which is known once it is there.
            Repr::Shared(shared) => {
                let made = shared.made.get().map_or(0, |made| made.weight());
                shared.bytes.len() + 96 + made.max(shared.bytes.len() + 256)
            }
            Repr::Integer(_) => 0,
        }
    }

    /// The same object with other metadata, if it is one.
    #[expect(clippy::option_option, reason = "whether it is an object, and whether it is to be changed")]
    pub(crate) fn remade(&self, change: &mut dyn FnMut(&mut dyn Any) -> bool) -> Option<Option<Self>> {
        match &self.0 {
            Repr::Live(object) => Some(object.remade(change)),
            _ => None,
        }
    }

    /// The bytes, if it was made of bytes, as records of stamps and leases are.
    #[inline]
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Bytes(bytes) => Some(bytes),
            Repr::Shared(shared) => Some(&shared.bytes),
            _ => None,
        }
    }

    /// What sort of object it is, if it is one.
    pub(crate) fn live_kind(&self) -> Option<u8> {
        match &self.0 {
            Repr::Live(object) => Some(object.kind()),
            _ => None,
        }
    }

    /// Whether it is an object of the cache's own, which carries its times itself.
    #[cfg(feature = "memory")]
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.0, Repr::Live(_))
    }

    /// Whether it was made as an integer, not only readable as one.
    #[cfg(feature = "memory")]
    pub(crate) fn is_counter(&self) -> bool {
        matches!(self.0, Repr::Integer(_))
    }

    /// The live object, if it is a `T`; otherwise the value again.
    #[inline]
    pub(crate) fn downcast<T: Send + Sync + 'static>(self) -> Result<Arc<T>, Self> {
        match self.0 {
            Repr::Live(Object { object, as_live }) => {
                object.downcast().map_err(|object| Self(Repr::Live(Object { object, as_live })))
            }
            Repr::Shared(shared) => {
                let made = shared.made.get().map(|made| Arc::clone(&made.object).downcast());
                made.and_then(Result::ok).ok_or(Self(Repr::Shared(shared)))
            }
            other => Err(Self(other)),
        }
    }
}

impl fmt::Debug for Value {
    // Never the content: it may be somebody's page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Live(object) => write!(f, "Value(live, {} B)", object.weight()),
            Repr::Bytes(bytes) => write!(f, "Value({} B)", bytes.len()),
            Repr::Shared(shared) => write!(f, "Value({} B)", shared.bytes.len()),
            Repr::Integer(integer) => write!(f, "Value({integer})"),
        }
    }
}
