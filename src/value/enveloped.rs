//! How an entry begins that is in an envelope: so much of it that readers without one know it when it comes.
//!
//! The token of the entry is as always. In the place of the length of its head comes a number that is none, with what was
//! done to the rest.

use super::{MAGIC, TOKEN, VERSION};

/// Numbers from here on are no lengths of heads.
pub(crate) const FIRST: u32 = 0xffff_ff00;

/// Set in what an envelope hands on in place of an entry that it did not open. A byte that says why follows.
pub(crate) const REFUSED: u8 = 0x80;

/// What stands in the place of a token where there is none: that of a version which there is not.
#[cfg(any(feature = "zstd", feature = "encryption"))]
pub(crate) const NO_TOKEN: [u8; TOKEN] = *b"axc\0\0\0\0\0\0\0\0\0\0";

/// What was done to an entry; `None` if it is not in an envelope.
#[inline]
pub(crate) fn flags(bytes: &[u8]) -> Option<u8> {
    let (token, rest) = bytes.split_first_chunk::<TOKEN>()?;
    let [flags, 0xff, 0xff, 0xff] = rest.first_chunk()? else { return None };
    (token.starts_with(MAGIC) && [VERSION, 0].contains(&token[MAGIC.len()])).then_some(*flags)
}

/// Why an entry that is in an envelope still cannot be read; `None` if it is in none.
#[inline]
pub(crate) fn why_unread(bytes: &[u8]) -> Option<&'static str> {
    flags(bytes).map(|flags| why(flags, bytes.get(TOKEN + 4)))
}

#[cold]
fn why(flags: u8, reason: Option<&u8>) -> &'static str {
    let known = reason.and_then(|code| Refusal::ALL.iter().find(|refusal| **refusal as u8 == *code));
    match known {
        Some(refusal) if flags == REFUSED => refusal.text(),
        _ => "it is in an envelope, and nothing here opens it: see `Envelope`",
    }
}

/// Why an envelope was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unsealed = 1,
    NoKeys,
    UnknownKey,
    NotAuthentic,
    UnknownFormat,
    Damaged,
    TooLarge,
    NoZstd,
}

impl Refusal {
    const ALL: [Self; 8] = [
        Self::Unsealed,
        Self::NoKeys,
        Self::UnknownKey,
        Self::NotAuthentic,
        Self::UnknownFormat,
        Self::Damaged,
        Self::TooLarge,
        Self::NoZstd,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Unsealed => "it is not sealed, and where entries are encrypted no other is taken",
            Self::NoKeys => "it is sealed, and there are no keys to open it",
            Self::UnknownKey => "it is sealed with a key that is not in the key ring",
            Self::NotAuthentic => "it does not authenticate: it was changed, or is the entry of another key",
            Self::UnknownFormat => "its envelope has a format that is not known here",
            Self::Damaged => "its envelope is damaged",
            Self::TooLarge => "it is larger than `max_decompressed_bytes`",
            Self::NoZstd => "it is compressed, which needs the feature `zstd`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_an_envelope_is_known_by_a_length_that_is_none() {
        let enveloped = |rest: &[u8]| [b"axc\x01v\0\0\0\0\0\0\0\0", rest].concat();
        assert_eq!(flags(&enveloped(&FIRST.to_le_bytes())), Some(0));
        assert_eq!(flags(&enveloped(&u32::MAX.to_le_bytes())), Some(0xff));
        assert_eq!(flags(&enveloped(&(FIRST - 1).to_le_bytes())), None);
        assert_eq!(flags(&enveloped(&[0, 0xff, 0xff])), None, "cut off");
        assert_eq!(flags(b"axc\x02v\0\0\0\0\0\0\0\0\0\xff\xff\xff"), None, "another version");
    }

    #[test]
    fn each_refusal_has_its_text() {
        for refusal in Refusal::ALL {
            let bytes = [&b"axc\x01v\0\0\0\0\0\0\0\0\x80\xff\xff\xff"[..], &[refusal as u8]].concat();
            assert_eq!(why_unread(&bytes), Some(refusal.text()));
        }
        let other = b"axc\x01v\0\0\0\0\0\0\0\0\x80\xff\xff\xff\x77";
        assert!(why_unread(other).is_some_and(|text| text.contains("nothing here opens it")));
    }
}
