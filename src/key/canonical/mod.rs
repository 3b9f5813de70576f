//! Arguments as a key: one text for one value, the same on every machine and in every process.
//!
//! ```text
//! args    := tuple | "(" value ")"
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

mod parts;

use std::fmt;

use serde::{Serialize, Serializer};

use self::parts::{Items, Pairs};
use super::Text;
use crate::error::{Error, ErrorKind, Result};

/// What the text of arguments begins with.
pub(crate) const OPEN: &str = "(";

/// Appends the text of arguments: a tuple, or one value, in parentheses.
pub(crate) fn write_canonical<A: Serialize + ?Sized>(args: &A, out: &mut Text) -> Result<()> {
    out.push(OPEN);
    write_after_open(args, out)
}

/// As [`write_canonical`], if [`OPEN`] is there already.
#[inline]
pub(crate) fn write_after_open<A: Serialize + ?Sized>(args: &A, out: &mut Text) -> Result<()> {
    match args.serialize(Writer { out, is_enclosed: true }) {
        Ok(()) => out.push(")"),
        Err(refused) => return Err(Error::message(ErrorKind::Key, refused.0)),
    }
    Ok(())
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

struct Writer<'a> {
    out: &'a mut Text,
    /// Whether the parentheses of a tuple are there already.
    is_enclosed: bool,
}

impl<'a> Writer<'a> {
    #[expect(clippy::unnecessary_wraps, reason = "most callers end with it")]
    #[inline]
    fn push(self, text: &str) -> Done {
        self.out.push(text);
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "most callers end with it")]
    #[inline]
    fn integer(self, integer: impl itoa::Integer) -> Done {
        self.out.push_some(itoa::Buffer::new().format(integer));
        Ok(())
    }

    #[inline]
    fn text(&mut self, text: &str) {
        // Most texts are short, and their length is one digit.
        match u8::try_from(text.len()) {
            Ok(digit @ 0..10) => self.out.push(char::from(b'0' + digit).encode_utf8(&mut [0])),
            _ => self.out.push(itoa::Buffer::new().format(text.len())),
        }
        self.out.push(":");
        self.out.push(text);
    }

    #[inline]
    fn inside(out: &'a mut Text) -> Self {
        Self { out, is_enclosed: false }
    }

    #[inline]
    fn begin(self, open: &str, close: &'static str) -> Items<'a> {
        self.out.push(open);
        Items { out: self.out, close, count: 0, is_tuple: false }
    }

    #[inline]
    fn tuple(self) -> Items<'a> {
        let (open, close) = if self.is_enclosed { ("", "") } else { ("(", ")") };
        Items { is_tuple: true, ..self.begin(open, close) }
    }

    fn variant(mut self, name: &str) -> Self {
        self.out.push("@");
        self.text(name);
        Self::inside(self.out)
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
        self.out.push("'");
        self.push(v.encode_utf8(&mut [0; 4]))
    }
    #[inline]
    fn serialize_str(mut self, v: &str) -> Done {
        self.text(v);
        Ok(())
    }
    fn serialize_bytes(self, v: &[u8]) -> Done {
        self.out.push("x");
        self.out.push_number(v.len());
        self.out.push(":");
        for byte in v {
            self.out.push(&format!("{byte:02x}"));
        }
        Ok(())
    }
    fn serialize_none(self) -> Done {
        self.push("~")
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.out.push("+");
        value.serialize(Writer::inside(self.out))
    }
    fn serialize_unit(self) -> Done {
        let text = if self.is_enclosed { "" } else { "()" };
        self.push(text)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.serialize_unit()
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
        Ok(self.tuple())
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Refused> {
        Ok(self.tuple())
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Refused> {
        Ok(self.variant(variant).tuple())
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Pairs<'a>, Refused> {
        Ok(Pairs { out: self.out, texts: Vec::new(), key: None })
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

fn alone<T: Serialize + ?Sized>(value: &T) -> Result<String, Refused> {
    let mut text = Text::default();
    value.serialize(Writer::inside(&mut text))?;
    Ok(text.as_str().to_owned())
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
                Err(serde::ser::Error::custom("not today"))
            }
        }
        let error = write_canonical(&(1, Never), &mut Text::default()).expect_err("refused");
        assert_eq!((error.kind(), error.to_string().contains("not today")), (ErrorKind::Key, true));
    }
}
