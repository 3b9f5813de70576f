//! How values become bytes.

mod integer;
mod told;

use std::{any, fmt};

use serde::{
    Deserializer, Serialize,
    de::{DeserializeOwned, DeserializeSeed},
};

use crate::error::{BoxError, Error, ErrorKind, Result};

pub(crate) use integer::{from_integer, to_integer};

/// How values become bytes, for the explicit calls of [`Cache`](crate::Cache) and for computed values.
///
/// Cached responses have a format of their own and do not go through it.
///
/// # Examples
///
/// ```
/// use serde::{Serialize, de::DeserializeSeed};
/// use axum_caching::{BoxError, Cache, Codec, NullBackend};
///
/// #[derive(Debug)]
/// struct Json;
///
/// impl Codec for Json {
///     fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, BoxError> {
///         Ok(serde_json::to_vec(value)?)
///     }
///     fn decode<'de, S: DeserializeSeed<'de>>(&self, bytes: &'de [u8], seed: S) -> Result<S::Value, BoxError> {
///         let mut json = serde_json::Deserializer::from_slice(bytes);
///         let value = seed.deserialize(&mut json)?;
///         json.end()?;
///         Ok(value)
///     }
/// }
///
/// let cache = Cache::builder(NullBackend::default()).codec(Json).build();
/// # let _ = cache;
/// ```
pub trait Codec: fmt::Debug + Send + Sync + 'static {
    /// The bytes of a value.
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, BoxError>;

    /// The value of bytes, all of which have to be used up. The bytes come from a backend and may be anything.
    ///
    /// The error is told to the observer and to callers. What `seed` says of the value is left out of it; what a codec
    /// adds should have nothing of the bytes in it either.
    fn decode<'de, S: DeserializeSeed<'de>>(&self, bytes: &'de [u8], seed: S) -> Result<S::Value, BoxError>;
}

/// Compact binary, the default. Not self-describing: it has to be read as the type that was written.
///
/// # Examples
///
/// ```
/// use axum_caching::{Codec, codec::Postcard};
///
/// assert_eq!(Postcard::default().encode("hi")?, [2, b'h', b'i']);
/// # Ok::<(), axum_caching::BoxError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Postcard {}

impl Codec for Postcard {
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, BoxError> {
        Ok(postcard::to_allocvec(value)?)
    }

    fn decode<'de, S: DeserializeSeed<'de>>(&self, bytes: &'de [u8], seed: S) -> Result<S::Value, BoxError> {
        let mut reader = postcard::Deserializer::from_bytes(bytes);
        let value = seed.deserialize(&mut reader)?;
        match reader.finalize()? {
            [] => Ok(value),
            rest => Err(format!("{} bytes too many", rest.len()).into()),
        }
    }
}

/// JSON: readable in the backend and by other programs.
///
/// # Examples
///
/// ```
/// use axum_caching::{Codec, codec::Json};
///
/// assert_eq!(Json::default().encode(&[1, 2])?, b"[1,2]");
/// # Ok::<(), axum_caching::BoxError>(())
/// ```
#[cfg(feature = "json")]
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Json {}

#[cfg(feature = "json")]
impl Codec for Json {
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, BoxError> {
        Ok(serde_json::to_vec(value)?)
    }

    fn decode<'de, S: DeserializeSeed<'de>>(&self, bytes: &'de [u8], seed: S) -> Result<S::Value, BoxError> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let value = seed.deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }
}

/// A [`Codec`] without type parameters, so that a cache has none.
pub(crate) trait DynCodec: fmt::Debug + Send + Sync {
    fn encode_dyn(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, BoxError>;
    fn decode_dyn(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<(), BoxError>;
}

type Visit<'a> = dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error> + 'a;

impl<C: Codec> DynCodec for C {
    fn encode_dyn(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, BoxError> {
        self.encode(value)
    }

    fn decode_dyn(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<(), BoxError> {
        self.decode(bytes, Seed(visit))
    }
}

struct Seed<'a, 'b>(&'a mut Visit<'b>);

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mut erased = <dyn erased_serde::Deserializer<'_>>::erase(deserializer);
        (self.0)(&mut erased).map_err(|error| serde::de::Error::custom(told::without_content(&error)))
    }
}

pub(crate) fn encode<T: Serialize + ?Sized>(codec: &dyn DynCodec, value: &T) -> Result<Vec<u8>> {
    codec.encode_dyn(&value).map_err(|error| Error::new(ErrorKind::Encode, error))
}

pub(crate) fn decode<T: DeserializeOwned>(codec: &dyn DynCodec, bytes: &[u8]) -> Result<T> {
    let mut value = None;
    let read = codec.decode_dyn(bytes, &mut |deserializer| {
        value = Some(erased_serde::deserialize::<T>(deserializer)?);
        Ok(())
    });
    match (read, value) {
        (Ok(()), Some(value)) => Ok(value),
        (Ok(()), None) => Err(not_a::<T>("the codec read nothing")),
        (Err(error), _) => Err(not_a::<T>(error)),
    }
}

pub(crate) fn not_a<T>(cause: impl fmt::Display) -> Error {
    Error::message(ErrorKind::Decode, format!("expected a `{}`: {cause}", any::type_name::<T>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was() {
        let codec = Postcard::default();
        let value = (Some("text".to_owned()), vec![1.5, 2.5], -3);
        let bytes = encode(&codec, &value).expect("encodes");
        assert_eq!(decode::<(Option<String>, Vec<f64>, i32)>(&codec, &bytes).expect("decodes"), value);
    }

    #[test]
    fn bytes_that_are_left_over_are_an_error_and_name_the_type() {
        let bytes = encode(&Postcard::default(), &(1_u8, 2_u8)).expect("encodes");
        let error = decode::<u8>(&Postcard::default(), &bytes).expect_err("one byte too many");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains("expected a `u8`"), "{error}");
    }
}
