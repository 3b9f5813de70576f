//! Where the feature `zstd` is missing nothing is compressed, or decompressed.

use crate::value::enveloped::Refusal;

#[derive(Clone, Copy, Debug)]
pub(super) enum Pack {}

impl Pack {
    pub(super) fn above(self) -> usize {
        match self {}
    }

    pub(super) fn level(self) -> i32 {
        match self {}
    }

    pub(super) fn pack(self, _: &[u8], _: usize) -> Option<Vec<u8>> {
        match self {}
    }
}

pub(super) fn unpack(_: &[u8], _: &[u8], _: usize) -> Result<Vec<u8>, Refusal> {
    Err(Refusal::NoZstd)
}
