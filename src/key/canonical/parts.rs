//! What a value is made of, one part after the other.

use serde::{
    Serialize,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::{Done, Refused, Writer, alone};
use crate::key::Text;

/// The elements of a list or a tuple, or the fields of a struct.
pub(super) struct Items<'a> {
    pub(super) out: &'a mut Text,
    pub(super) close: &'static str,
    pub(super) count: usize,
    pub(super) is_tuple: bool,
}

impl Items<'_> {
    #[inline]
    fn next(&mut self) -> Writer<'_> {
        if self.count > 0 {
            self.out.push(",");
        }
        self.count += 1;
        Writer::inside(self.out)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Done {
        let mut writer = self.next();
        writer.text(name);
        writer.out.push("=");
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
                if self.count == 1 && self.is_tuple {
                    self.out.push(",");
                }
                Writer::inside(self.out).push(self.close)
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
                Writer::inside(self.out).push(self.close)
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

/// The pairs of a map, which come in any order.
pub(super) struct Pairs<'a> {
    pub(super) out: &'a mut Text,
    pub(super) texts: Vec<(String, String)>,
    pub(super) key: Option<String>,
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
        Writer::inside(self.out).push("}")
    }
}
