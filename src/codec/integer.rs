//! Integers are stored as digits, so that a server can add to them: `set("n", &5)` and `increment("n", 1)` is 6.

use std::fmt;

use serde::{
    Serialize, Serializer,
    de::{DeserializeOwned, IntoDeserializer, value},
    ser::{Error as _, Impossible},
};

use super::{not_a, told};
use crate::error::Result;

/// The integer, if the value is nothing but one that fits.
pub(crate) fn to_integer<T: Serialize + ?Sized>(value: &T) -> Option<i64> {
    value.serialize(Probe).ok()
}

/// The value of an integer, if its type holds it.
pub(crate) fn from_integer<T: DeserializeOwned>(integer: i64) -> Result<T> {
    T::deserialize(integer.into_deserializer()).map_err(|error: value::Error| {
        not_a::<T>(format_args!("the entry is an integer: {}", told::without_content(&error)))
    })
}

struct Probe;

#[derive(Debug)]
struct NotAnInteger;

impl fmt::Display for NotAnInteger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an integer")
    }
}

impl std::error::Error for NotAnInteger {}

impl serde::ser::Error for NotAnInteger {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Never = Impossible<i64, NotAnInteger>;
type Answer<T = i64> = std::result::Result<T, NotAnInteger>;

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Answer {
            i64::try_from(value).map_err(NotAnInteger::custom)
        }
    )*};
}

macro_rules! others {
    ($($method:ident($($argument:ty),*) -> $answer:ty;)*) => {$(
        fn $method(self, $(_: $argument),*) -> Answer<$answer> {
            Err(NotAnInteger)
        }
    )*};
}

impl Serializer for Probe {
    type Ok = i64;
    type Error = NotAnInteger;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    );

    others! {
        serialize_bool(bool) -> i64;
        serialize_f32(f32) -> i64;
        serialize_f64(f64) -> i64;
        serialize_char(char) -> i64;
        serialize_str(&str) -> i64;
        serialize_bytes(&[u8]) -> i64;
        serialize_none() -> i64;
        serialize_unit() -> i64;
        serialize_unit_struct(&'static str) -> i64;
        serialize_unit_variant(&'static str, u32, &'static str) -> i64;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Answer {
        Err(NotAnInteger)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Answer {
        Err(NotAnInteger)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Answer {
        Err(NotAnInteger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn only_a_plain_integer_that_fits_is_one() {
        assert_eq!(to_integer(&5_u8), Some(5));
        assert_eq!(to_integer(&-5_i64), Some(-5));
        assert_eq!(to_integer(&u64::MAX), None);
        assert_eq!(to_integer("5"), None);
        assert_eq!(to_integer(&Some(5)), None);
        assert_eq!(to_integer(&[5]), None);
        assert_eq!(to_integer(&5.0), None);
    }

    #[test]
    fn an_integer_is_read_as_any_type_that_holds_it() {
        assert_eq!(from_integer::<u8>(200).expect("fits"), 200);
        let error = from_integer::<u8>(300).expect_err("does not fit");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().ends_with("expected a `u8`: the entry is an integer: invalid value"), "{error}");
    }
}
