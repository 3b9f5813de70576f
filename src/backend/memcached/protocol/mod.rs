//! What is said to a server and what it answers, as bytes: no socket, no time.
//!
//! Two languages say the same few things: the meta commands of the text protocol, and the binary protocol, which a
//! server that asks for SASL allows alone. Replies come in the order of the commands.

mod binary;
mod meta;
#[cfg(test)]
mod tests;

use std::{array, num::NonZeroU64};

use bytes::{Bytes, BytesMut};

use crate::error::{Error, ErrorKind, Result};

/// A line that is longer than this is no answer of a server.
const MAX_LINE: usize = 2_048;

/// Values from this size on keep the buffer that they were read into; smaller ones are copied out of it, so that they
/// do not keep it.
const OWN_BUFFER: usize = 64 << 10;

/// The language of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Meta,
    Binary,
}

/// A key as a server has it: a stamp, which a `clear` replaces, and a text without blanks.
#[derive(Clone, Copy, Debug)]
pub(super) struct WireKey<'a> {
    pub(super) stamp: Option<u64>,
    pub(super) text: &'a str,
}

impl<'a> WireKey<'a> {
    /// A key that no `clear` reaches.
    pub(super) fn plain(text: &'a str) -> Self {
        Self { stamp: None, text }
    }

    fn len(&self) -> usize {
        self.text.len() + if self.stamp.is_some() { STAMP } else { 0 }
    }

    fn write(&self, out: &mut BytesMut) {
        if let Some(stamp) = self.stamp {
            let digits: [u8; 16] = array::from_fn(|place| {
                DIGITS[usize::from(stamp.to_be_bytes()[place / 2] >> (4 * (1 - place % 2)) & 15)]
            });
            out.extend_from_slice(&digits);
            out.extend_from_slice(b"/");
        }
        out.extend_from_slice(self.text.as_bytes());
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What a stamp takes of a key: 16 digits and a slash.
pub(super) const STAMP: usize = 17;

/// When a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Always,
    IfAbsent,
    /// If what is there was not touched since.
    IfStill(u64),
}

/// What is stored: a few bytes of ours before those of the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    pub(super) head: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) flags: u32,
    /// As the protocol has it: seconds, or from 30 days on a UNIX time; 0 is for ever.
    pub(super) expires: u32,
}

/// Commands that are sent at once, and answered in their order.
#[derive(Debug)]
pub(super) struct Batch {
    wire: Wire,
    bytes: BytesMut,
    replies: usize,
    changes: bool,
}

impl Batch {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, bytes: BytesMut::with_capacity(256), replies: 0, changes: false }
    }

    /// Asks for a value.
    pub(super) fn get(&mut self, key: WireKey<'_>) {
        self.replies += 1;
        match self.wire {
            Wire::Meta => meta::get(key, true, &mut self.bytes),
            Wire::Binary => binary::get(key, &mut self.bytes),
        }
    }

    /// Asks what is known of a value, without it where the language allows that.
    pub(super) fn look(&mut self, key: WireKey<'_>) {
        self.replies += 1;
        match self.wire {
            Wire::Meta => meta::get(key, false, &mut self.bytes),
            Wire::Binary => binary::get(key, &mut self.bytes),
        }
    }

    pub(super) fn set(&mut self, key: WireKey<'_>, mode: Mode, stored: &Stored<'_>) {
        (self.replies, self.changes) = (self.replies + 1, true);
        match self.wire {
            Wire::Meta => meta::set(key, mode, stored, &mut self.bytes),
            Wire::Binary => binary::set(key, mode, stored, &mut self.bytes),
        }
    }

    pub(super) fn delete(&mut self, key: WireKey<'_>) {
        (self.replies, self.changes) = (self.replies + 1, true);
        match self.wire {
            Wire::Meta => meta::delete(key, None, &mut self.bytes),
            Wire::Binary => binary::delete(key, None, &mut self.bytes),
        }
    }

    /// Takes away what nobody can read, if it was not touched since. It does not matter when that arrives, so that it is
    /// not waited for as a change is. (To servers a `cas` of 0 is none, and this would be done in any case.)
    pub(super) fn delete_still(&mut self, key: WireKey<'_>, cas: NonZeroU64) {
        self.replies += 1;
        match self.wire {
            Wire::Meta => meta::delete(key, Some(cas), &mut self.bytes),
            Wire::Binary => binary::delete(key, Some(cas), &mut self.bytes),
        }
    }

    /// Says who asks.
    pub(super) fn log_in(&mut self, username: &str, password: &str) {
        self.replies += 1;
        match self.wire {
            Wire::Meta => meta::log_in(username, password, &mut self.bytes),
            Wire::Binary => binary::log_in(username, password, &mut self.bytes),
        }
    }

    /// How many replies there will be.
    pub(super) fn replies(&self) -> usize {
        self.replies
    }

    /// Whether it changes anything, so that it matters that it may still arrive.
    pub(super) fn changes(&self) -> bool {
        self.changes
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a server knows of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) cas: u64,
    pub(super) flags: u32,
    pub(super) left: Left,
}

/// How long the server will keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Left {
    /// It did not say.
    #[default]
    Unknown,
    Forever,
    Seconds(u32),
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A value.
    Value(About, Bytes),
    /// It was done, or is there.
    Done(About),
    /// There is nothing.
    Absent,
    /// Something else is there.
    Refused,
    /// It does not fit.
    TooLarge(Box<str>),
    /// The server would not, and can go on.
    Failed(Box<str>),
    /// The server did not understand: what comes next cannot be told apart any more.
    Broken(Box<str>),
}

/// Makes replies of bytes, however they are cut. After an error nothing more is to be asked of it.
#[derive(Debug)]
pub(super) enum Decoder {
    Meta(meta::Decoder),
    Binary(binary::Decoder),
}

impl Decoder {
    /// One that takes values of so many bytes.
    pub(super) fn new(wire: Wire, limit: usize) -> Self {
        match wire {
            Wire::Meta => Self::Meta(meta::Decoder::new(limit)),
            Wire::Binary => Self::Binary(binary::Decoder::new(limit)),
        }
    }

    /// The next reply, if it is there whole; what it took is gone from `input`.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>> {
        match self {
            Self::Meta(decoder) => decoder.next(input),
            Self::Binary(decoder) => decoder.next(input),
        }
    }
}

/// Takes `size` bytes from the front.
fn take(input: &mut BytesMut, size: usize) -> Bytes {
    if size >= OWN_BUFFER {
        let bytes = input.split_to(size).freeze();
        // What comes next would keep the buffer too. Of that hardly anything is there, since little is read at once.
        *input = BytesMut::from(&input[..]);
        return bytes;
    }
    let bytes = Bytes::copy_from_slice(&input[..size]);
    bytes::Buf::advance(input, size);
    bytes
}

fn broken(what: impl Into<String>) -> Error {
    Error::message(ErrorKind::Protocol, what.into())
}

/// What a server said, for an error: no more than a line of it, and nothing that is not printable.
fn quoted(text: &[u8]) -> Box<str> {
    let text = &text[..text.len().min(120)];
    text.iter().map(|&byte| if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '?' }).collect()
}
