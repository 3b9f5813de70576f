use std::sync::LazyLock;

use http::HeaderValue;

/// Ages up to this many seconds are written without an allocation.
const COMMON: usize = 1_000;

/// `000001002..999`: the digits of every common age, with leading zeros.
static DIGITS: [u8; COMMON * 3] = digits();

const fn digits() -> [u8; COMMON * 3] {
    let mut digits = [b'0'; COMMON * 3];
    let mut at = 3;
    while at < digits.len() {
        // The number before, and one more.
        (digits[at], digits[at + 1], digits[at + 2]) = match (digits[at - 3], digits[at - 2], digits[at - 1]) {
            (hundreds, b'9', b'9') => (hundreds + 1, b'0', b'0'),
            (hundreds, tens, b'9') => (hundreds, tens + 1, b'0'),
            (hundreds, tens, ones) => (hundreds, tens, ones + 1),
        };
        at += 3;
    }
    digits
}

/// The values of every common age. They are the bytes above, so that to clone one counts nothing.
static COMMON_AGES: LazyLock<Box<[HeaderValue]>> = LazyLock::new(|| {
    let start = |age| age * 3 + if age < 10 { 2 } else { usize::from(age < 100) };
    let digits = |age| bytes::Bytes::from_static(&DIGITS[start(age)..age * 3 + 3]);
    (0..COMMON).map(|age| HeaderValue::from_maybe_shared(digits(age)).expect("digits are valid")).collect()
});

/// The value of `Age`. A number becomes a header value at the cost of two allocations, and an age is in every hit.
pub(super) fn value(seconds: u64) -> HeaderValue {
    let common = usize::try_from(seconds).ok().and_then(|age| COMMON_AGES.get(age));
    common.map_or_else(|| HeaderValue::from(seconds), HeaderValue::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_age_reads_as_its_number() {
        for age in (0..1_100).chain([u64::MAX]) {
            assert_eq!(value(age), age.to_string().as_str());
        }
    }
}
