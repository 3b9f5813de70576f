//! What nodes tell each other.
//!
//! ```text
//! message := version  node (u64)  kind  { length (u32)  text }
//! ```
//!
//! Numbers are little endian. Messages come from the network and may be anything: what is not exactly one is `None`.

use bytes::{BufMut, Bytes, BytesMut};

const VERSION: u8 = 1;
const KEYS: u8 = b'k';
const PREFIX: u8 = b'p';

/// So many keys are in one message.
pub(super) const MAX_KEYS: usize = 256;

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed<'a> {
    Keys(Vec<&'a str>),
    /// All keys that begin with it.
    Prefix(&'a str),
}

pub(super) fn write(node: u64, changed: &Changed<'_>) -> Bytes {
    let (kind, texts) = match changed {
        Changed::Keys(keys) => (KEYS, &keys[..]),
        Changed::Prefix(prefix) => (PREFIX, std::slice::from_ref(prefix)),
    };
    let mut bytes = BytesMut::new();
    bytes.put_u8(VERSION);
    bytes.put_u64_le(node);
    bytes.put_u8(kind);
    for text in texts {
        // Keys have a few hundred bytes; one that could not be told is found out by its lag.
        let Ok(length) = u32::try_from(text.len()) else { continue };
        bytes.put_u32_le(length);
        bytes.put_slice(text.as_bytes());
    }
    bytes.freeze()
}

/// The node that wrote it, and what has changed.
pub(super) fn read(message: &[u8]) -> Option<(u64, Changed<'_>)> {
    let (version, rest) = message.split_first()?;
    let (node, rest) = rest.split_first_chunk()?;
    let (kind, mut rest) = rest.split_first()?;
    let mut texts = Vec::new();
    while !rest.is_empty() {
        let (length, text) = rest.split_first_chunk()?;
        let (text, others) = text.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        texts.push(std::str::from_utf8(text).ok()?);
        rest = others;
    }
    let changed = match (*version, *kind, &texts[..]) {
        (VERSION, KEYS, _) => Changed::Keys(texts),
        (VERSION, PREFIX, [prefix]) => Changed::Prefix(prefix),
        _ => return None,
    };
    Some((u64::from_le_bytes(*node), changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_and_no_part_of_one_is_one() {
        for changed in [Changed::Keys(vec!["view//a", "", "ä"]), Changed::Prefix("view/"), Changed::Prefix("")] {
            let message = write(7, &changed);
            assert_eq!(read(&message), Some((7, changed)));
            let whole: Vec<_> = (0..message.len()).filter(|length| read(&message[..*length]).is_some()).collect();
            // A list of keys may end behind each of them.
            assert!(whole.iter().all(|length| message[9] == KEYS && [10, 21, 25].contains(length)), "{whole:?}");
        }
        assert_eq!(read(b"\x02\0\0\0\0\0\0\0\0k"), None, "another version");
        assert_eq!(read(b"\x01\0\0\0\0\0\0\0\0x"), None, "another kind");
        assert_eq!(read(b"\x01\0\0\0\0\0\0\0\0k\xff\xff\xff\xffa"), None, "a length that is none");
    }

    #[test]
    fn the_bytes_of_version_one_do_not_change() {
        assert_eq!(&write(7, &Changed::Keys(vec!["ab"]))[..], b"\x01\x07\0\0\0\0\0\0\0k\x02\0\0\0ab");
        assert_eq!(&write(7, &Changed::Prefix("p/"))[..], b"\x01\x07\0\0\0\0\0\0\0p\x02\0\0\0p/");
    }
}
