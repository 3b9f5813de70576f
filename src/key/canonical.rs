//! Arguments as a key: one text for one value, the same on every machine and in every process.
//!
//! ```text
//! value   := "t" | "f" | integer | float | text | "'" char | bytes | "~" | "+" value | "()" | list | tuple | map | variant
//! text    := length in bytes ":" text
//! bytes   := "x" length ":" two hexadecimal digits for each
//! list    := "[" [ value { "," value } ] "]"
//! tuple   := "(" [ value { "," value } ] ")"                   with a comma after the value if it is the only one
//! map     := "{" [ value "=" value { "," .. } ] "}"       a map sorted by the text of its keys, a struct as declared
//! variant := "@" text [ value ]
//! ```
//!
//! No text of one value is the beginning of another's but where a number goes on, and numbers end at a sign that is
//! no digit. So two values never share a text, nor do two ways to split them into arguments.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::Text;
use crate::error::{Error, ErrorKind, Result};

/// Appends the text of a value.
#[inline]
pub(crate) fn write_canonical<A: Serialize + ?Sized>(args: &A, out: &mut Text) -> Result<()> {
    args.serialize(Writer(out)).map_err(|refused| Error::message(ErrorKind::Key, refused.0))
}

/// Why a value has no text: its own `Serialize` said so.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl serde::ser::Error for Refused {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self(message.to_string())
    }
}

type Done = Result<(), Refused>;

struct Writer<'a>(&'a mut Text);

impl<'a> Writer<'a> {
    #[expect(clippy::unnecessary_wraps, reason = "most callers end with it")]
    fn push(self, text: &str) -> Done {
        self.0.push(text);
        Ok(())
    }

    fn integer(self, integer: impl itoa::Integer) -> Done {
        self.push(itoa::Buffer::new().format(integer))
    }

    fn text(&mut self, text: &str) {
        self.0.push(itoa::Buffer::new().format(text.len()));
        self.0.push(":");
        self.0.push(text);
    }

    fn begin(self, open: &str, close: &'static str) -> Items<'a> {
        self.0.push(open);
        Items { out: self.0, close, count: 0 }
    }

    fn variant(mut self, name: &str) -> Self {
        self.0.push("@");
        self.text(name);
        self
    }
}

macro_rules! integers {
    ($($method:ident $integer:ty),*) => {$(
        #[inline]
        fn $method(self, v: $integer) -> Done {
            self.integer(v)
        }
    )*};
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Pairs<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    fn serialize_bool(self, v: bool) -> Done {
        self.push(if v { "t" } else { "f" })
    }
    integers!(
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128
    );
    fn serialize_f32(self, v: f32) -> Done {
        // Exactly, as every `f32` is a `f64`; `{:?}` is the shortest text that reads back as the same number.
        self.serialize_f64(v.into())
    }
    fn serialize_f64(self, v: f64) -> Done {
        self.push(&format!("{v:?}"))
    }
    fn serialize_char(self, v: char) -> Done {
        self.0.push("'");
        self.push(v.encode_utf8(&mut [0; 4]))
    }
    #[inline]
    fn serialize_str(mut self, v: &str) -> Done {
        self.text(v);
        Ok(())
    }
    fn serialize_bytes(self, v: &[u8]) -> Done {
        self.0.push("x");
        self.0.push_number(v.len());
        self.0.push(":");
        for byte in v {
            self.0.push(&format!("{byte:02x}"));
        }
        Ok(())
    }
    fn serialize_none(self) -> Done {
        self.push("~")
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.0.push("+");
        value.serialize(self)
    }
    fn serialize_unit(self) -> Done {
        self.push("()")
    }
    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.push("()")
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.variant(variant).push("")
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        value.serialize(self.variant(variant))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Refused> {
        Ok(self.begin("[", "]"))
    }
    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Refused> {
        Ok(self.begin("(", ")"))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Refused> {
        Ok(self.begin("(", ")"))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Refused> {
        Ok(self.variant(variant).begin("(", ")"))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Pairs<'a>, Refused> {
        Ok(Pairs { out: self.0, texts: Vec::new(), key: None })
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Refused> {
        Ok(self.begin("{", "}"))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Refused> {
        Ok(self.variant(variant).begin("{", "}"))
    }
}

/// The elements of a list or a tuple, or the fields of a struct.
struct Items<'a> {
    out: &'a mut Text,
    close: &'static str,
    count: usize,
}

impl Items<'_> {
    #[inline]
    fn next(&mut self) -> Writer<'_> {
        if self.count > 0 {
            self.out.push(",");
        }
        self.count += 1;
        Writer(self.out)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Done {
        let mut writer = self.next();
        writer.text(name);
        writer.0.push("=");
        value.serialize(writer)
    }
}

macro_rules! items {
    ($($of:ident $method:ident),*) => {$(
        impl $of for Items<'_> {
            type Ok = ();
            type Error = Refused;
            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                value.serialize(self.next())
            }
            #[inline]
            fn end(self) -> Done {
                if self.count == 1 && self.close == ")" {
                    self.out.push(",");
                }
                Writer(self.out).push(self.close)
            }
        }
    )*};
}

items!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! fields {
    ($($of:ident),*) => {$(
        impl $of for Items<'_> {
            type Ok = ();
            type Error = Refused;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
                self.field(name, value)
            }
            fn end(self) -> Done {
                Writer(self.out).push(self.close)
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

/// The pairs of a map, which come in any order.
struct Pairs<'a> {
    out: &'a mut Text,
    texts: Vec<(String, String)>,
    key: Option<String>,
}

fn alone<T: Serialize + ?Sized>(value: &T) -> Result<String, Refused> {
    let mut text = Text::default();
    value.serialize(Writer(&mut text))?;
    Ok(text.as_str().to_owned())
}

impl SerializeMap for Pairs<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.key = Some(alone(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        let key = self.key.take().ok_or_else(|| Refused::custom("a map gave a value before its key"))?;
        self.texts.push((key, alone(value)?));
        Ok(())
    }

    fn end(mut self) -> Done {
        self.texts.sort_unstable();
        self.out.push("{");
        for (index, (key, value)) in self.texts.iter().enumerate() {
            for piece in [if index > 0 { "," } else { "" }, key, "=", value] {
                self.out.push(piece);
            }
        }
        Writer(self.out).push("}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    fn text<A: Serialize + ?Sized>(args: &A) -> String {
        alone(args).expect("has a text")
    }

    #[derive(Serialize)]
    enum Shape {
        Unit,
        New(u8),
        Tuple(u8, u8),
        Named { a: Option<u8> },
    }

    #[derive(Serialize)]
    struct Point {
        x: i32,
        name: &'static str,
    }

    #[test]
    fn arguments_read_as_they_are_written() {
        assert_eq!(text(&(7_u64, "ada")), "(7,3:ada)");
        assert_eq!((text(&()), text(&(1,))), ("()".into(), "(1,)".into()));
        assert_eq!(text(&(-1, 1.5, 'x', true, None::<u8>, Some("a"))), "(-1,1.5,'x,t,~,+1:a)");
        assert_eq!(text(&vec![vec![1], vec![]]), "[[1],[]]");
        assert_eq!(text(&Point { x: 1, name: "p" }), "{1:x=1,4:name=1:p}");
        let shapes = [Shape::Unit, Shape::New(1), Shape::Tuple(1, 2), Shape::Named { a: None }];
        assert_eq!(text(&shapes), "(@4:Unit,@3:New1,@5:Tuple(1,2),@5:Named{1:a=~})");
    }

    #[test]
    fn a_map_has_one_text_in_whatever_order_it_comes() {
        let one: HashMap<_, _> = (0..50).map(|n| (n.to_string(), n)).collect();
        let other: HashMap<_, _> = (0..50).rev().map(|n| (n.to_string(), n)).collect();
        let sorted: BTreeMap<_, _> = one.clone().into_iter().collect();
        assert_eq!(text(&one), text(&other));
        assert_eq!(text(&one), text(&sorted));
    }

    #[test]
    fn no_two_ways_to_split_arguments_share_a_text() {
        let texts = [
            text(&("ab", "c")),
            text(&("a", "bc")),
            text(&("a,2:bc", "")),
            text(&("ab,1:c",)),
            text(&(["ab", "c"],)),
            text(&(1, 2)),
            text(&(12,)),
            text(&("1", "2")),
            text(&(Some(1), 2)),
            text(&((1, 2),)),
            text(&(1.0, 2)),
            text(&('1', 2)),
            text(&(true, 2)),
            text(&("t", 2)),
        ];
        let distinct: std::collections::HashSet<_> = texts.iter().collect();
        assert_eq!(distinct.len(), texts.len(), "{texts:?}");
    }

    #[test]
    fn a_value_that_refuses_is_an_error_and_says_why() {
        struct Never;
        impl Serialize for Never {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(S::Error::custom("not today"))
            }
        }
        let error = write_canonical(&(1, Never), &mut Text::default()).expect_err("refused");
        assert_eq!((error.kind(), error.to_string().contains("not today")), (ErrorKind::Key, true));
    }
}
