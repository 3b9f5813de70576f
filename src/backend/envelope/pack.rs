//! Compression, which is zstd.

use std::cell::RefCell;

use zstd::bulk::{self, Decompressor};

use crate::value::enveloped::Refusal;

thread_local! {
    /// To make one takes longer than to open a page. It has some 160 KB, on each thread that opens.
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::default();
}

/// What is compressed, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pack {
    /// Values of more bytes than this.
    pub(super) above: usize,
    pub(super) level: i32,
}

impl Pack {
    pub(super) fn above(self) -> usize {
        self.above
    }

    pub(super) fn level(self) -> i32 {
        self.level
    }

    /// The bytes compressed, if that saves at least `price`.
    pub(super) fn pack(self, bytes: &[u8], price: usize) -> Option<Vec<u8>> {
        // Compression may be left out, so that whatever is wrong with it is no error.
        let packed = bulk::compress(bytes, self.level).ok()?;
        (packed.len() + price < bytes.len()).then_some(packed)
    }
}

/// The bytes that were compressed, which are exactly as many as `length`, behind those that are `kept`.
pub(super) fn unpack(packed: &[u8], kept: &[u8], length: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = vec![0; kept.len() + length];
    let (before, room) = bytes.split_at_mut(kept.len());
    before.copy_from_slice(kept);
    let with_own = |own: &RefCell<Decompressor<'_>>| own.borrow_mut().decompress_to_buffer(packed, room);
    match DECOMPRESSOR.try_with(with_own).map_err(|_| Refusal::Damaged)? {
        Ok(found) if found == length => Ok(bytes),
        _ => Err(Refusal::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_smaller_is_not_compressed() {
        let pack = Pack { above: 0, level: 3 };
        let text = "cache ".repeat(100);
        let packed = pack.pack(text.as_bytes(), 9).expect("smaller");
        assert!(packed.len() < 50, "{}", packed.len());
        assert_eq!(unpack(&packed, b"kept", text.len()).as_deref(), Ok(format!("kept{text}").as_bytes()));
        assert_eq!(pack.pack(text.as_bytes(), text.len() - packed.len()), None, "it has its price");
        assert_eq!(pack.pack(b"short", 0), None);
    }

    #[test]
    fn a_length_that_is_not_the_right_one_is_refused() {
        let packed = Pack { above: 0, level: 3 }.pack(&[7; 1_000], 0).expect("smaller");
        for length in [0, 1, 999, 1_001, 100_000] {
            assert_eq!(unpack(&packed, b"", length), Err(Refusal::Damaged), "{length}");
        }
    }
}
