//! A part of a body, as a client asks for it (RFC 9110 §14.1.2).

use std::ops;

/// One range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteRange {
    /// From the first to the last, or to the end.
    From(u64, Option<u64>),
    /// The last so many.
    Last(u64),
}

/// What of a body an answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Whole,
    Part(ops::Range<usize>),
    /// There is nothing where the range is.
    Unsatisfiable,
}

impl ByteRange {
    /// The range that a `Range` field asks for; `None` for several, for other units and for what is no range, which
    /// are all answered with the whole.
    pub(crate) fn of(field: &[u8]) -> Option<Self> {
        let field = field.trim_ascii();
        let at = field.iter().position(|byte| *byte == b'=')?;
        if !field[..at].eq_ignore_ascii_case(b"bytes") {
            return None;
        }
        let range = field[at + 1..].trim_ascii_start();
        let at = range.iter().position(|byte| *byte == b'-')?;
        match (&range[..at], &range[at + 1..]) {
            (b"", last) => Some(Self::Last(number(last)?)),
            (first, b"") => Some(Self::From(number(first)?, None)),
            (first, last) => {
                let range = Self::From(number(first)?, Some(number(last)?));
                (magnitude(first) <= magnitude(last)).then_some(range)
            }
        }
    }

    /// What of a body of this length it is.
    pub(crate) fn of_length(self, length: usize) -> Cut {
        let clipped = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).min(length);
        match self {
            Self::Last(0) => Cut::Unsatisfiable,
            // An empty body has no part that a `Content-Range` could name.
            Self::Last(_) if length == 0 => Cut::Whole,
            Self::Last(count) => Cut::Part(length - clipped(count)..length),
            Self::From(first, _) if clipped(first) == length => Cut::Unsatisfiable,
            Self::From(first, None) => Cut::Part(clipped(first)..length),
            Self::From(first, Some(last)) => Cut::Part(clipped(first)..clipped(last.saturating_add(1))),
        }
    }
}

/// In the order of numbers, however large.
fn magnitude(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (digits.len() - zeros, &digits[zeros..])
}

/// A number, the largest one if it is larger.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum: u64, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}
