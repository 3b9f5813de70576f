//! Values that are larger than a server takes: pieces under keys of their own, and an entry that names them.
//!
//! The pieces of each value have a random number in their keys, and are written before the entry. So what an entry names
//! is whole or not there: a piece that was evicted makes a miss, and no piece of another value takes its place.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::protocol::{Stored, WireKey};

/// So much of the value is in the entry too: a token is compared with it.
const BEGINNING: usize = 256;

/// So many pieces are sent or asked for in one batch.
pub(super) const AT_ONCE: usize = 8;

/// What the entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    id: u128,
    pub(super) size: usize,
    piece: usize,
    pub(super) beginning: Bytes,
}

impl Pieces {
    pub(super) fn of(value: &Bytes, piece: usize, id: u128) -> Self {
        Self { id, size: value.len(), piece: piece.max(1), beginning: value.slice(..value.len().min(BEGINNING)) }
    }

    pub(super) fn write(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(32 + self.beginning.len());
        bytes.put_u128_le(self.id);
        bytes.put_u64_le(self.size as u64);
        bytes.put_u64_le(self.piece as u64);
        bytes.extend_from_slice(&self.beginning);
        bytes.freeze()
    }

    /// Reads it; `None` if it cannot be. It may be of more bytes than anybody can have.
    pub(super) fn read(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < 32 {
            return None;
        }
        let id = bytes.get_u128_le();
        let (size, piece) = (usize::try_from(bytes.get_u64_le()).ok()?, usize::try_from(bytes.get_u64_le()).ok()?);
        // No more pieces than anybody writes.
        let is_sound = piece >= 1_000.min(size.max(1));
        is_sound.then_some(Self { id, size, piece, beginning: bytes })
    }

    /// Whether a token can be compared with what the entry has of the value.
    pub(super) fn knows(&self, token: &[u8]) -> bool {
        token.len() <= self.beginning.len() || self.beginning.len() == self.size
    }

    /// The keys of the pieces, in their order.
    pub(super) fn keys(&self) -> Vec<String> {
        (0..self.size.div_ceil(self.piece)).map(|number| format!("~{:032x}/{number}", self.id)).collect()
    }

    /// The bytes of one piece.
    pub(super) fn part<'a>(&self, value: &'a [u8], number: usize) -> &'a [u8] {
        let begin = (number * self.piece).min(value.len());
        &value[begin..(begin + self.piece).min(value.len())]
    }

    /// The value, if all pieces are there and as long as they were.
    pub(super) fn join(&self, parts: &[Option<Bytes>]) -> Option<Bytes> {
        let mut value = BytesMut::with_capacity(self.size);
        for part in parts {
            value.extend_from_slice(part.as_ref()?);
        }
        let is_whole = value.len() == self.size && value.starts_with(&self.beginning);
        is_whole.then(|| value.freeze())
    }
}

/// A piece as it is stored: nothing but its bytes.
pub(super) fn stored(part: &[u8], expires: u32) -> Stored<'_> {
    Stored { head: &[], body: part, flags: 0, expires }
}

pub(super) fn key(text: &str) -> WireKey<'_> {
    WireKey::plain(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &Pieces, value: &[u8]) -> Vec<Option<Bytes>> {
        (0..pieces.keys().len()).map(|number| Some(Bytes::copy_from_slice(pieces.part(value, number)))).collect()
    }

    #[test]
    fn a_value_without_one_of_its_pieces_is_none() {
        let value = Bytes::from(vec![7; 10_000]);
        let pieces = Pieces::of(&value, 1_000, 5);
        let mut parts = cut(&pieces, &value);
        assert_eq!(parts.len(), 10);
        parts[4] = None;
        assert_eq!(pieces.join(&parts), None);
        parts[4] = Some(Bytes::from_static(b"short"));
        assert_eq!(pieces.join(&parts), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_cut_is_joined(value in prop::collection::vec(any::<u8>(), 0..5_000), piece in 1_000..3_000_usize) {
            let value = Bytes::from(value);
            let pieces = Pieces::of(&value, piece, 9);
            prop_assert_eq!(Pieces::read(pieces.write()), Some(pieces.clone()));
            prop_assert_eq!(pieces.join(&cut(&pieces, &value)), Some(value));
        }

        #[test]
        fn any_bytes_are_an_entry_of_few_pieces_or_none(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(pieces) = Pieces::read(bytes.into()).filter(|pieces| pieces.size <= 1 << 20) {
                prop_assert!(pieces.keys().len() <= 1_049);
            }
        }
    }
}
