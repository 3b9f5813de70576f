//! What is in a file: a head, the whole key, the value.
//!
//! ```text
//!  0  magic and version        8 bytes
//!  8  checksum of what follows 16, XXH3-128
//! 24  expires                   8, UNIX milliseconds
//! 32  length of the key         8
//! 40  length of the value       8
//! 48  key, value
//! ```
//!
//! Numbers are little-endian. Nothing follows the value. What a file says is believed only if all of this is so.

use bytes::Bytes;
use twox_hash::XxHash3_128;

use crate::error::{Error, ErrorKind, Result};

/// The last byte is the version of the format.
const MAGIC: [u8; 8] = *b"axcfile\x01";
const SUM: usize = MAGIC.len();
const SUMMED: usize = SUM + 16;
/// Where the key begins.
pub(super) const HEAD: usize = SUMMED + 3 * 8;

/// Keys of the cache are digested long before; this keeps a wrong length from being believed.
const MAX_KEY: usize = 64 << 10;

/// An entry that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Bytes,
    /// UNIX milliseconds; `u64::MAX` is never.
    pub(super) expires: u64,
}

/// What a head says by itself, which nothing has checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) expires: u64,
    pub(super) key: usize,
    value: u64,
}

impl Head {
    /// How long the file is.
    pub(super) fn length(self) -> Option<u64> {
        ((HEAD + self.key) as u64).checked_add(self.value)
    }
}

/// The bytes of a file.
pub(super) fn encode(key: &str, value: &[u8], expires: u64) -> Result<Vec<u8>> {
    if key.len() > MAX_KEY {
        let text = format!("a key of {} bytes, expected {MAX_KEY} at most", key.len());
        return Err(Error::message(ErrorKind::Key, text));
    }
    let mut bytes = Vec::with_capacity(HEAD + key.len() + value.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[0; SUMMED - SUM]);
    for number in [expires, key.len() as u64, value.len() as u64] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(value);
    let sum = XxHash3_128::oneshot(&bytes[SUMMED..]);
    bytes[SUM..SUMMED].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// The head of a file that begins as one of ours does.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    if !bytes.starts_with(&MAGIC) {
        return None;
    }
    let expires = number(bytes, SUMMED)?;
    let key = usize::try_from(number(bytes, SUMMED + 8)?).ok().filter(|length| *length <= MAX_KEY)?;
    let value = number(bytes, SUMMED + 16)?;
    Some(Head { expires, key, value })
}

/// The entry of a key; `None` if these bytes are anything else.
pub(super) fn decode(bytes: Vec<u8>, key: &str) -> Option<Entry> {
    let head = head(&bytes)?;
    if head.length()? != bytes.len() as u64 {
        return None;
    }
    let sum = u128::from_le_bytes(bytes.get(SUM..SUMMED)?.try_into().ok()?);
    if sum != XxHash3_128::oneshot(&bytes[SUMMED..]) || bytes.get(HEAD..HEAD + head.key)? != key.as_bytes() {
        return None;
    }
    let value = Bytes::from(bytes).slice(HEAD + head.key..);
    Some(Entry { value, expires: head.expires })
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_version_of_the_format_stays_as_it_is() {
        let mut file = b"axcfile\x01".to_vec();
        file.extend_from_slice(&0xbb15_830e_2ef9_bff4_cbb8_ea4e_9d0c_d71c_u128.to_le_bytes());
        file.extend_from_slice(&1_767_225_600_000_u64.to_le_bytes());
        file.extend_from_slice(&3_u64.to_le_bytes());
        file.extend_from_slice(&5_u64.to_le_bytes());
        file.extend_from_slice(b"keyvalue");
        assert_eq!(encode("key", b"value", 1_767_225_600_000).unwrap(), file);
        let entry = Entry { value: Bytes::from("value"), expires: 1_767_225_600_000 };
        assert_eq!(decode(file, "key"), Some(entry));
    }

    #[test]
    fn lengths_that_overflow_are_no_entry() {
        for at in [SUMMED + 8, SUMMED + 16] {
            let mut file = encode("key", b"value", 1).unwrap();
            file[at..at + 8].fill(0xff);
            let sum = XxHash3_128::oneshot(&file[SUMMED..]);
            file[SUM..SUMMED].copy_from_slice(&sum.to_le_bytes());
            assert_eq!(decode(file, "key"), None);
        }
    }

    #[test]
    fn a_key_that_is_too_long_is_refused() {
        let error = encode(&"k".repeat(MAX_KEY + 1), b"", 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(key in ".{0,80}", value: Vec<u8>, expires: u64) {
            let file = encode(&key, &value, expires).unwrap();
            prop_assert_eq!(head(&file).map(|head| head.expires), Some(expires));
            prop_assert_eq!(decode(file, &key), Some(Entry { value: value.into(), expires }));
        }

        #[test]
        fn any_bytes_are_an_entry_or_none(bytes: Vec<u8>, key in ".{0,8}") {
            prop_assert_eq!(decode([&MAGIC[..], &bytes].concat(), &key), None);
            prop_assert_eq!(decode(bytes, &key), None);
        }
    }
}
