//! What is done to a value before it is stored, and undone after it was found.

use bytes::{BufMut, Bytes};

use super::{
    frame::{self, COMPRESSED, Frame, KeyId, Nonce, OTHER, SEALED, Token, kind_of, token_of},
    keys::KeyRing,
    pack::{Pack, unpack},
    work::IN_PLACE,
};
use crate::{
    error::Result,
    key::CONTROL,
    stamps,
    value::{
        ENDED, ENVELOPE, LEASE, Value,
        enveloped::{self, FIRST, NO_TOKEN, REFUSED, Refusal},
    },
};

/// What the builder was told.
pub(super) struct Wrapping {
    pub(super) pack: Option<Pack>,
    pub(super) max: usize,
    pub(super) keys: Option<KeyRing>,
}

/// What is to be done with a value that was found.
enum Found<'a> {
    AsItIs,
    /// With the token of what is there, if that has any.
    Refused(Option<Token>, Refusal),
    Wrapped(Frame, &'a [u8]),
}

impl Wrapping {
    /// The value as it is stored.
    pub(super) fn wrap(&self, key: &str, value: &Value, bytes: &Bytes) -> Result<Value> {
        self.wrap_with(key, value, bytes, KeyRing::next)
    }

    fn wrap_with(
        &self,
        key: &str,
        value: &Value,
        bytes: &Bytes,
        next: impl FnOnce(&KeyRing) -> Result<(KeyId, Nonce)>,
    ) -> Result<Value> {
        let is_counter = || self.keys.is_none() && value.as_integer().is_some();
        if is_lease(bytes) || is_stamp(key, bytes) || is_counter() {
            return Ok(value.clone());
        }
        let (token, other) = match token_of(bytes) {
            Some(token) => (token, 0),
            None => (frame::token(ENVELOPE, stamps::fresh().to_le_bytes()), OTHER),
        };
        let mut frame = Frame { token, flags: other, seal: None, length: None };
        let content = &bytes[frame.kept().len()..];
        let packed = self.pack(bytes.len(), content, &frame);
        // What would be taken for an envelope gets one around it.
        if packed.is_none() && self.keys.is_none() && enveloped::flags(bytes).is_none() {
            return Ok(Value::from_bytes(bytes.clone()));
        }
        let content = match &packed {
            Some((length, packed)) => {
                (frame.flags, frame.length) = (frame.flags | COMPRESSED, Some(*length));
                packed
            }
            None => content,
        };
        if let Some(keys) = &self.keys {
            (frame.flags, frame.seal) = (frame.flags | SEALED, Some(next(keys)?));
            return Ok(Value::from_bytes(keys.seal(key, &frame, content)?));
        }
        let mut stored = Vec::with_capacity(frame.len() + content.len());
        frame.write(&mut stored);
        stored.put_slice(content);
        Ok(Value::from_bytes(stored))
    }

    /// Whether it is too much to be wrapped where the call is.
    pub(super) fn is_much_to_wrap(&self, size: usize) -> bool {
        size > IN_PLACE && (self.compresses(size) || self.keys.is_some())
    }

    fn compresses(&self, size: usize) -> bool {
        self.pack.is_some_and(|pack| size > pack.above()) && size <= self.max
    }

    fn pack(&self, size: usize, content: &[u8], frame: &Frame) -> Option<(u32, Vec<u8>)> {
        let pack = self.pack.filter(|_| self.compresses(size))?;
        let length = u32::try_from(content.len()).ok()?;
        // What is compressed has to make up for what stands before it, unless that is there anyway.
        let envelope = if self.keys.is_some() { 0 } else { frame.len() - frame.kept().len() };
        Some((length, pack.pack(content, envelope + size_of::<u32>())?))
    }

    /// Looks at what was found, without doing any work.
    fn look<'a>(&self, key: &str, bytes: &'a [u8]) -> Found<'a> {
        if is_lease(bytes) || is_stamp(key, bytes) {
            return Found::AsItIs;
        }
        let refused = |why| Found::Refused(token_of(bytes), why);
        let (frame, content) = match Frame::read(bytes) {
            None if self.keys.is_none() => return Found::AsItIs,
            None => return refused(Refusal::Unsealed),
            Some(Err(why)) => return refused(why),
            Some(Ok(found)) => found,
        };
        match (&self.keys, &frame.seal) {
            (Some(_), None) => refused(Refusal::Unsealed),
            (None, Some(_)) => refused(Refusal::NoKeys),
            (Some(keys), Some((id, _))) if !keys.has(*id) => refused(Refusal::UnknownKey),
            _ if frame.length.is_some_and(|it| length(it) > self.max) => refused(Refusal::TooLarge),
            _ => Found::Wrapped(frame, content),
        }
    }

    /// The value as it was before it was wrapped. One that cannot be had is nothing that anybody can read, and says why.
    pub(super) fn open(&self, key: &str, value: Value) -> Value {
        let Ok(bytes) = value.to_bytes() else { return value };
        match self.look(key, &bytes) {
            Found::AsItIs => value,
            Found::Refused(token, why) => refused(token, why),
            Found::Wrapped(frame, content) => match self.unwrap(key, &frame, content) {
                Ok(opened) => Value::from_bytes(opened),
                Err(why) => refused(Some(frame.token), why),
            },
        }
    }

    /// Whether it is too much to be opened where the call is.
    pub(super) fn is_much_to_open(&self, key: &str, value: &Value) -> bool {
        let Some(bytes) = value.as_bytes() else { return false };
        match self.look(key, bytes) {
            Found::Wrapped(frame, content) => frame.length.map_or(0, length).max(content.len()) > IN_PLACE,
            Found::AsItIs | Found::Refused(..) => false,
        }
    }

    fn unwrap(&self, key: &str, frame: &Frame, content: &[u8]) -> Result<Vec<u8>, Refusal> {
        match (&self.keys, frame.length) {
            (Some(keys), None) => keys.open(key, frame, content, frame.kept()),
            (Some(keys), Some(it)) => unpack(&keys.open(key, frame, content, &[])?, frame.kept(), length(it)),
            (None, Some(it)) => unpack(content, frame.kept(), length(it)),
            (None, None) => Ok([frame.kept(), content].concat()),
        }
    }
}

/// Whether a token is what the stored bytes begin with.
pub(super) fn is_in_clear(token: &[u8]) -> bool {
    token_of(token).is_some_and(|whole| whole.len() == token.len())
}

fn length(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Leases hold nothing, and each process looks at those of the others.
fn is_lease(bytes: &[u8]) -> bool {
    token_of(bytes).is_some_and(|token| [LEASE, ENDED].contains(&kind_of(&token)))
}

/// The stamps of tags and lanes hold nothing either. Integers are none, whatever their key is.
fn is_stamp(key: &str, bytes: &[u8]) -> bool {
    let is_integer = || std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<i64>().is_ok());
    key.contains(CONTROL) && matches!(bytes.len(), 8 | 16) && !is_integer()
}

/// What nobody can read, with the token of what is there: whoever fills the key compares with that. What has none makes
/// room for a fill as it does without an envelope, since it may come back as it was.
fn refused(token: Option<Token>, why: Refusal) -> Value {
    let token = token.unwrap_or(NO_TOKEN);
    let mut bytes = Vec::with_capacity(token.len() + 5);
    bytes.put_slice(&token);
    bytes.put_u32_le(FIRST | u32::from(REFUSED));
    bytes.put_u8(why as u8);
    Value::from_bytes(bytes)
}

#[cfg(all(test, feature = "encryption"))]
mod tests {
    use super::*;

    const NONCE: Nonce = *b"abcdefghijklmnopqrstuvwx";

    fn wrapping() -> Wrapping {
        Wrapping { pack: None, max: 1_000, keys: Some(KeyRing::new([7; 32])) }
    }

    /// With the nonce above in place of a random one.
    fn sealed(key: &str, bytes: &'static [u8]) -> Bytes {
        let bytes = Bytes::from_static(bytes);
        let next = |keys: &KeyRing| Ok((keys.next()?.0, NONCE));
        let value = wrapping().wrap_with(key, &Value::from_bytes(bytes.clone()), &bytes, next);
        value.and_then(|value| value.to_bytes()).expect("wrapped")
    }

    #[test]
    fn the_sealed_bytes_of_version_one_do_not_change() {
        let entry = b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08\x03\0\0\0abcbody";
        let golden = b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08\x02\xff\xff\xff\x01\
            \x5e\x80\xb4\xa8\xaa\x7b\xd7\x55\
            abcdefghijklmnopqrstuvwx\
            \x53\x91\x35\x1e\x7e\xa7\x0b\x68\xca\x9f\x70\x71\x20\x68\
            \xca\x6a\x03\x49\xcd\x44\xa2\xf0\x23\xbc\x7c\x09\xa4";
        assert_eq!(sealed("key", entry), &golden[..]);
        let opened = wrapping().open("key", Value::from_bytes(&golden[..]));
        assert_eq!(opened.to_bytes().expect("bytes"), &entry[..]);
    }

    #[test]
    fn what_has_no_token_gets_one_that_is_not_handed_on() {
        let stored = sealed("key", b"42");
        assert!(stored.starts_with(b"axc\x01e"));
        assert_eq!(enveloped::flags(&stored), Some(SEALED | OTHER));
        assert_eq!(wrapping().open("key", Value::from_bytes(stored)).as_integer(), Some(42));
    }

    #[test]
    fn where_there_are_no_random_bytes_nothing_is_stored() {
        use crate::error::{Error, ErrorKind};
        let bytes = Bytes::from_static(b"text");
        let failing = |_: &KeyRing| Err(Error::message(ErrorKind::Encode, "no random bytes"));
        let value = wrapping().wrap_with("key", &Value::from_bytes(bytes.clone()), &bytes, failing);
        assert_eq!(value.expect_err("nothing to store").kind(), ErrorKind::Encode);
    }

    #[test]
    fn a_refused_entry_has_the_token_of_what_is_there() {
        let token = |bytes: &'static [u8]| {
            let refused = wrapping().open("key", Value::from_bytes(bytes)).to_bytes().expect("bytes");
            assert!(enveloped::why_unread(&refused).is_some_and(|why| why.contains("it is not sealed")));
            token_of(&refused)
        };
        assert_eq!(token(b"axc\x01v12345678 and more"), Some(*b"axc\x01v12345678"));
        assert_eq!(token(b"some bytes"), None);
        assert_eq!(token(b"42"), None);
        assert!(is_in_clear(b"axc\x01v12345678") && !is_in_clear(b"axc\x01v12345678 and more"));
    }
}
