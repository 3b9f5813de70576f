//! How the value of a memoized call is kept: as the object it is, with or without a way to bytes.

use std::{
    any::type_name,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, DynCodec},
    error::{Error, ErrorKind, Result},
    key::HashMethod,
    record::{MEMO, Payload},
};

/// Values that any backend can keep, since they have a serde form. It is the default of a
/// [`Memoizer`](crate::Memoizer).
#[derive(Clone, Copy, Debug)]
pub struct Encoded(());

/// Values that stay the objects they are, and need no serde: see [`Memoizer::live`](crate::Memoizer::live).
#[derive(Clone, Copy, Debug)]
pub struct Live(());

/// Values that a memoizer can keep: all types with a serde form, or all of them in [`Live`] memory.
///
/// It is implemented for all types that can be; there is nothing to implement.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be kept as bytes",
    label = "this value has no serde form",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; or keep it as it is, in memory: \
            `.live()` on the memoizer, `#[memoize(live, ..)]` on the function",
    note = "return what is in a `Json<T>`, and not that; for a whole response there is `CacheLayer`"
)]
pub trait Keep<T>: form::Form<T> {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Keep<T> for Encoded {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Keep<T> for Live {}

pub(super) mod form {
    use super::{Arc, Bytes, Memo, Result, Way};

    /// What [`Keep`](super::Keep) comes to; it cannot be named outside.
    #[diagnostic::on_unimplemented(
        message = "`{T}` cannot be kept as bytes",
        label = "this value has no serde form",
        note = "derive `serde::Serialize` and `serde::Deserialize` for it; or keep it as it is, in memory: \
                `.live()` on the memoizer, `#[memoize(live, ..)]` on the function",
        note = "return what is in a `Json<T>`, and not that; for a whole response there is `CacheLayer`"
    )]
    pub trait Form<T>: Send + Sync + 'static {
        fn keep(value: Arc<T>, way: Way) -> Memo<T>;
        fn read(way: Way, bytes: &Bytes) -> Result<T>;
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> form::Form<T> for Encoded {
    fn keep(value: Arc<T>, way: Way) -> Memo<T> {
        // What hangs on the value is about as large as its bytes.
        let sized = postcard::experimental::serialized_size(&*value);
        // A list whose length its `Serialize` does not know is none to postcard, but to other codecs.
        let heap = sized.or_else(|_| codec::encode(&*way.0, &*value).map(|bytes| bytes.len()));
        let encode = Encode { way, encode: |codec, value| codec::encode(codec, value) };
        Memo { heap, kept: Kept::Value { value, encode: Some(encode) } }
    }

    fn read(way: Way, bytes: &Bytes) -> Result<T> {
        codec::decode(&*way.0, bytes)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> form::Form<T> for Live {
    fn keep(value: Arc<T>, _: Way) -> Memo<T> {
        Memo { heap: Ok(0), kept: Kept::Value { value, encode: None } }
    }

    fn read(_: Way, _: &Bytes) -> Result<T> {
        Err(Error::message(ErrorKind::Decode, "a value that is kept live has no bytes"))
    }
}

/// The codec of a cache.
#[derive(Debug)]
pub struct Way(pub(super) Arc<dyn DynCodec>);

/// A value in its record.
pub struct Memo<T> {
    /// About how many bytes hang on the value, if that can be known.
    pub(super) heap: Result<usize>,
    kept: Kept<T>,
}

enum Kept<T> {
    Value {
        value: Arc<T>,
        encode: Option<Encode<T>>,
    },
    /// Read when it is asked for, and once for all who share the record.
    Bytes {
        of: u64,
        bytes: Bytes,
        value: OnceLock<Arc<T>>,
    },
}

struct Encode<T> {
    way: Way,
    encode: fn(&dyn DynCodec, &T) -> Result<Vec<u8>>,
}

impl<T> Encode<T> {
    fn again(&self) -> Self {
        Self { way: Way(Arc::clone(&self.way.0)), encode: self.encode }
    }
}

impl<T> Memo<T> {
    /// The value, if it is the object itself.
    #[inline]
    pub(super) fn live(&self) -> Option<&Arc<T>> {
        match &self.kept {
            Kept::Value { value, .. } => Some(value),
            Kept::Bytes { .. } => None,
        }
    }

    /// The value, if it need not be read from its bytes any more.
    #[inline]
    pub(super) fn at_hand(&self) -> Option<&Arc<T>> {
        match &self.kept {
            Kept::Value { value, .. } => Some(value),
            Kept::Bytes { value, .. } => value.get(),
        }
    }

    /// The value, read from its bytes if it has to be.
    #[inline]
    pub(super) fn value<K: Keep<T>>(&self, codec: &Arc<dyn DynCodec>) -> Result<Arc<T>> {
        match &self.kept {
            Kept::Value { value, .. } => Ok(Arc::clone(value)),
            Kept::Bytes { of, bytes, value } if *of == mark::<T>() => {
                if let Some(value) = value.get() {
                    return Ok(Arc::clone(value));
                }
                let read = Arc::new(K::read(Way(Arc::clone(codec)), bytes)?);
                Ok(Arc::clone(value.get_or_init(|| read)))
            }
            Kept::Bytes { .. } => {
                let message = format!("the value of another type, expected a `{}`", type_name::<T>());
                Err(Error::message(ErrorKind::Decode, message))
            }
        }
    }
}

/// Tells types from each other in stored bytes.
fn mark<T>() -> u64 {
    let digest = HashMethod::default().hex(type_name::<T>().as_bytes());
    u64::from_str_radix(&digest[..16], 16).unwrap_or(0)
}

impl<T: Send + Sync + 'static> Payload for Memo<T> {
    const KIND: u8 = MEMO;
    type Head = u64;

    fn encode(&self) -> Result<(u64, Bytes)> {
        match &self.kept {
            Kept::Value { value, encode: Some(Encode { way, encode }) } => {
                Ok((mark::<T>(), encode(&*way.0, value)?.into()))
            }
            Kept::Value { encode: None, .. } => Err(Error::message(
                ErrorKind::Encode,
                format!("a `{}` is kept live, and has no bytes", type_name::<T>()),
            )),
            Kept::Bytes { of, bytes, .. } => Ok((*of, bytes.clone())),
        }
    }

    fn decode(of: u64, bytes: Bytes) -> Result<Self> {
        Ok(Self { heap: Ok(bytes.len()), kept: Kept::Bytes { of, bytes, value: OnceLock::new() } })
    }

    fn weight(&self) -> usize {
        size_of::<T>() + 16 + self.heap.as_ref().copied().unwrap_or(0)
    }

    fn again(&self) -> Self {
        let kept = match &self.kept {
            Kept::Value { value, encode } => {
                Kept::Value { value: Arc::clone(value), encode: encode.as_ref().map(Encode::again) }
            }
            Kept::Bytes { of, bytes, value } => Kept::Bytes { of: *of, bytes: bytes.clone(), value: value.clone() },
        };
        Self { heap: Ok(self.heap.as_ref().copied().unwrap_or(0)), kept }
    }

    fn has_variants() -> bool {
        false
    }
}

impl<T> fmt::Debug for Memo<T> {
    // Never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo({})", type_name::<T>())
    }
}
