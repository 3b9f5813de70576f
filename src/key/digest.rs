use std::{fmt, ptr};

use arrayvec::ArrayString;
use digest::Digest;

/// The hash that stands for a query, a body or a long key. MD5 by default, as the anchor documents it.
///
/// It only has to be short: the text behind it is compared on every hit.
#[derive(Clone, Copy)]
pub(crate) struct HashMethod(fn(&[u8]) -> Hex);

/// 64 bytes are the longest output in use (SHA-512); what is longer is cut.
pub(super) type Hex = ArrayString<128>;

impl HashMethod {
    pub(crate) fn of<D: Digest>() -> Self {
        Self(|data| hex(&D::digest(data)))
    }

    pub(crate) fn hex(self, data: &[u8]) -> Hex {
        (self.0)(data)
    }

    /// Whether both make the same of everything. Of one method with two addresses it is not known.
    #[inline]
    pub(super) fn is(self, other: Self) -> bool {
        ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Default for HashMethod {
    fn default() -> Self {
        Self::of::<md5::Md5>()
    }
}

impl fmt::Debug for HashMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashMethod({} of nothing)", self.hex(b""))
    }
}

/// The two digits of each byte.
static PAIRS: [[u8; 2]; 256] = pairs();

const fn pairs() -> [[u8; 2]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
}

fn hex(bytes: &[u8]) -> Hex {
    let mut digits = [[0; 2]; 64];
    for (pair, byte) in digits.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(*byte)];
    }
    let digits = digits.get(..bytes.len()).unwrap_or(&digits).as_flattened();
    let text = std::str::from_utf8(digits).expect("digits are ASCII");
    Hex::from(text).expect("as long as the digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_md5_in_lower_case_hex() {
        assert_eq!(HashMethod::default().hex(b"a").as_str(), "0cc175b9c0f1b6a831c399e269772661");
    }
}
