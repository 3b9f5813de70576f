//! The form of an envelope, and nothing of what is done to its content.
//!
//! ```text
//! bytes := token (13)  mark (u32)  format (u8)  [key id (8)  nonce (24)]  [length (u32)]  content
//! ```
//!
//! Numbers are little endian. The token is that of the entry, as compare-and-set looks at it, or one of the envelope's own
//! around what is no entry. The mark is `ff ff ff` behind its flags; the key id and the nonce are there if it is sealed, the
//! length of the content before it was compressed if it is compressed. Bytes come from a backend and may be anything.

use bytes::BufMut;

use crate::value::{
    MAGIC, TOKEN, VERSION,
    enveloped::{self, FIRST, Refusal},
};

/// The content is compressed with zstd.
pub(super) const COMPRESSED: u8 = 1;
/// The content is encrypted, and authenticated with all that stands before it.
pub(super) const SEALED: u8 = 2;
/// The token is the envelope's own: the content is no entry, and is handed on without it.
pub(super) const OTHER: u8 = 4;

const FORMAT: u8 = 1;

pub(super) type Token = [u8; TOKEN];
pub(super) type KeyId = [u8; 8];
pub(super) type Nonce = [u8; 24];

/// What stands before the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) token: Token,
    pub(super) flags: u8,
    pub(super) seal: Option<(KeyId, Nonce)>,
    /// Of the content before it was compressed.
    pub(super) length: Option<u32>,
}

/// The token of an entry or a lease.
pub(super) fn token_of(bytes: &[u8]) -> Option<Token> {
    let token = bytes.first_chunk::<TOKEN>()?;
    (token.starts_with(MAGIC) && token[MAGIC.len()] == VERSION).then_some(*token)
}

pub(super) fn kind_of(token: &Token) -> u8 {
    token[MAGIC.len() + 1]
}

pub(super) fn token(kind: u8, nonce: [u8; 8]) -> Token {
    let mut token = [0; TOKEN];
    token[..MAGIC.len()].copy_from_slice(MAGIC);
    (token[MAGIC.len()], token[MAGIC.len() + 1]) = (VERSION, kind);
    token[MAGIC.len() + 2..].copy_from_slice(&nonce);
    token
}

impl Frame {
    /// What stands before the content, and the content; `None` if it is no envelope.
    pub(super) fn read(bytes: &[u8]) -> Option<Result<(Self, &[u8]), Refusal>> {
        let flags = enveloped::flags(bytes)?;
        Some(Self::read_marked(flags, bytes))
    }

    fn read_marked(flags: u8, bytes: &[u8]) -> Result<(Self, &[u8]), Refusal> {
        let (token, rest) = take::<TOKEN>(bytes)?;
        let (_, rest) = take::<4>(rest)?;
        let (format, mut rest) = take::<1>(rest)?;
        if format != [FORMAT] || flags & !(COMPRESSED | SEALED | OTHER) != 0 {
            return Err(Refusal::UnknownFormat);
        }
        let mut frame = Self { token, flags, seal: None, length: None };
        if flags & SEALED != 0 {
            let (id, behind) = take(rest)?;
            let (nonce, behind) = take(behind)?;
            frame.seal = Some((id, nonce));
            rest = behind;
        }
        if flags & COMPRESSED != 0 {
            let (length, behind) = take(rest)?;
            frame.length = Some(u32::from_le_bytes(length));
            rest = behind;
        }
        Ok((frame, rest))
    }

    /// What of an entry the content stands for begins the bytes that are handed on.
    pub(super) fn kept(&self) -> &[u8] {
        if self.flags & OTHER == 0 { &self.token } else { &[] }
    }

    /// How many bytes it is.
    pub(super) fn len(&self) -> usize {
        let seal = self.seal.map_or(0, |(id, nonce)| id.len() + nonce.len());
        TOKEN + 4 + 1 + seal + self.length.map_or(0, |_| 4)
    }

    pub(super) fn write(&self, into: &mut Vec<u8>) {
        into.put_slice(&self.token);
        into.put_u32_le(FIRST | u32::from(self.flags));
        into.put_u8(FORMAT);
        if let Some((id, nonce)) = &self.seal {
            into.put_slice(id);
            into.put_slice(nonce);
        }
        if let Some(length) = self.length {
            into.put_u32_le(length);
        }
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Refusal> {
    bytes.split_first_chunk().map(|(taken, rest)| (*taken, rest)).ok_or(Refusal::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Token = *b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08";

    fn written(frame: &Frame) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        assert_eq!(bytes.len(), frame.len());
        bytes
    }

    #[test]
    fn the_form_of_version_one_does_not_change() {
        let plain = Frame { token: TOKEN, flags: 0, seal: None, length: None };
        let compressed = Frame { flags: COMPRESSED, length: Some(0x0102_0304), ..plain };
        let sealed = Frame { flags: SEALED | OTHER, seal: Some((*b"12345678", *b"abcdefghijklmnopqrstuvwx")), ..plain };
        let both = Frame { flags: SEALED | COMPRESSED, length: Some(7), ..sealed };
        for (frame, golden) in [
            (plain, &b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08\x00\xff\xff\xff\x01"[..]),
            (compressed, b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08\x01\xff\xff\xff\x01\x04\x03\x02\x01"),
            (sealed, b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08\x06\xff\xff\xff\x0112345678abcdefghijklmnopqrstuvwx"),
            (
                both,
                b"axc\x01v\x01\x02\x03\x04\x05\x06\x07\x08\x03\xff\xff\xff\x01\
                  12345678abcdefghijklmnopqrstuvwx\x07\0\0\0",
            ),
        ] {
            assert_eq!(written(&frame), golden);
            let bytes = [golden, b"content"].concat();
            assert_eq!(Frame::read(&bytes), Some(Ok((frame, &b"content"[..]))));
            for length in TOKEN.len() + 4..golden.len() {
                assert_eq!(Frame::read(&golden[..length]), Some(Err(Refusal::Damaged)), "{length}");
            }
        }
    }

    #[test]
    fn other_formats_are_not_guessed_at() {
        for rest in [&b"\x00\xff\xff\xff\x02"[..], b"\x08\xff\xff\xff\x01", b"\x80\xff\xff\xff\x01"] {
            assert_eq!(Frame::read(&[&TOKEN[..], rest].concat()), Some(Err(Refusal::UnknownFormat)));
        }
        assert_eq!(Frame::read(&[&TOKEN[..], b"\x10\0\0\0\x01"].concat()), None, "an entry");
    }
}
