//! What is done to a value before it is stored, and undone after it was found.

use bytes::{BufMut, Bytes};

use super::{
    frame::{self, COMPRESSED, Frame, KIND, OTHER, Token, kind_of, token_of},
    pack::{Pack, unpack},
};
use crate::{
    key::CONTROL,
    stamps,
    value::{
        LEASE, Value,
        enveloped::{self, FIRST, REFUSED, Refusal},
    },
};

/// What the builder was told.
pub(super) struct Wrapping {
    pub(super) pack: Option<Pack>,
    pub(super) max: usize,
}

/// What is to be done with a value that was found.
pub(super) enum Found<'a> {
    AsItIs,
    Refused(Token, Refusal),
    Wrapped(Frame, &'a [u8]),
}

impl Wrapping {
    /// The value as it is stored.
    pub(super) fn wrap(&self, key: &str, value: &Value, bytes: &Bytes) -> Value {
        if leaves_alone(key, value, bytes) {
            return value.clone();
        }
        let (token, other) = match token_of(bytes) {
            Some(token) => (token, 0),
            None => (frame::token(KIND, stamps::fresh().to_le_bytes()), OTHER),
        };
        let mut frame = Frame { token, flags: other, seal: None, length: None };
        let content = &bytes[frame.kept().len()..];
        let packed = self.pack(bytes.len(), content, &frame);
        // What would be taken for an envelope gets one around it.
        if packed.is_none() && enveloped::flags(bytes).is_none() {
            return Value::from_bytes(bytes.clone());
        }
        let content = match &packed {
            Some((length, packed)) => {
                (frame.flags, frame.length) = (frame.flags | COMPRESSED, Some(*length));
                packed
            }
            None => content,
        };
        let mut stored = Vec::with_capacity(frame.len() + content.len());
        frame.write(&mut stored);
        stored.put_slice(content);
        Value::from_bytes(stored)
    }

    /// Whether as much work is to be done before a value of this size is stored.
    pub(super) fn compresses(&self, size: usize) -> bool {
        self.pack.is_some_and(|pack| size > pack.above) && size <= self.max
    }

    fn pack(&self, size: usize, content: &[u8], frame: &Frame) -> Option<(u32, Vec<u8>)> {
        let pack = self.pack.filter(|_| self.compresses(size))?;
        let length = u32::try_from(content.len()).ok()?;
        // What is compressed has to make up for what stands before it.
        let price = frame.len() + size_of::<u32>() - frame.kept().len();
        Some((length, pack.pack(content, price)?))
    }

    /// Looks at what was found, without doing any work.
    pub(super) fn look<'a>(&self, bytes: &'a [u8]) -> Found<'a> {
        if is_lease(bytes) {
            return Found::AsItIs;
        }
        match (token_of(bytes), Frame::read(bytes)) {
            (Some(token), Some(Err(why))) => Found::Refused(token, why),
            (Some(token), Some(Ok((frame, _)))) if frame.length.is_some_and(|it| length(it) > self.max) => {
                Found::Refused(token, Refusal::TooLarge)
            }
            (_, Some(Ok((frame, content)))) => Found::Wrapped(frame, content),
            _ => Found::AsItIs,
        }
    }

    /// The value as it was before it was wrapped. One that cannot be had has the same token, and says why.
    pub(super) fn open(&self, value: Value) -> Value {
        let Ok(bytes) = value.to_bytes() else { return value };
        match self.look(&bytes) {
            Found::AsItIs => value,
            Found::Refused(token, why) => refused(&token, why),
            Found::Wrapped(frame, content) => match unwrap(&frame, content) {
                Ok(opened) => Value::from_bytes(opened),
                Err(why) => refused(&frame.token, why),
            },
        }
    }

    /// How many bytes there are to be worked on.
    pub(super) fn work_to_open(&self, value: &Value) -> usize {
        let Some(bytes) = value.as_bytes() else { return 0 };
        match self.look(bytes) {
            Found::Wrapped(frame, content) => frame.length.map_or(0, length).max(content.len()),
            Found::AsItIs | Found::Refused(..) => 0,
        }
    }
}

/// What is no value of somebody's, and what a server adds to.
fn leaves_alone(key: &str, value: &Value, bytes: &[u8]) -> bool {
    is_lease(bytes) || is_stamp(key, bytes) || value.as_integer().is_some()
}

fn unwrap(frame: &Frame, content: &[u8]) -> Result<Vec<u8>, Refusal> {
    match frame.length {
        Some(it) => unpack(content, frame.kept(), length(it)),
        None => Ok([frame.kept(), content].concat()),
    }
}

fn length(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn is_lease(bytes: &[u8]) -> bool {
    token_of(bytes).is_some_and(|token| kind_of(&token) == LEASE)
}

/// The stamps of tags and lanes, two numbers or one.
fn is_stamp(key: &str, bytes: &[u8]) -> bool {
    key.contains(CONTROL) && matches!(bytes.len(), 8 | 16)
}

/// What nobody can read, with the token of what is there: whoever fills the key compares with that.
fn refused(token: &Token, why: Refusal) -> Value {
    let mut bytes = Vec::with_capacity(token.len() + 5);
    bytes.put_slice(token);
    bytes.put_u32_le(FIRST | u32::from(REFUSED));
    bytes.put_u8(why as u8);
    Value::from_bytes(bytes)
}
