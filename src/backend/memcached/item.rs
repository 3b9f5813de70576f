//! An entry as a server keeps it: a head of ours, and then the bytes of its value.
//!
//! A server counts whole seconds. The head has the exact end, in milliseconds; the flags, which can be had without the
//! value, have its lower part.

use std::time::Duration;

use bytes::{Buf, Bytes};

use super::protocol::{About, Left};
use crate::{clock::Clock, ttl::deadline};

/// What every head of this format begins with.
const VERSION: u8 = 0xc1;

/// In front of the whole key, if there is one.
const HEAD: usize = 11;

/// What a server adds to the bytes of a value, generously: its own head, the key, and ours without a whole key.
pub(super) const OVERHEAD: usize = 512;

/// Beyond it a server takes a number for a time.
const MONTH: u64 = 30 * 86_400;

/// The flag of a value that lies elsewhere, in pieces.
const IN_PIECES: u32 = 1 << 31;

/// How much of an end the flags have: 24 days, in milliseconds.
const LOWER: u32 = !IN_PIECES;

/// What is written beside the bytes of a value.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) head: Vec<u8>,
    pub(super) flags: u32,
    pub(super) expires: u32,
}

/// When an entry ends, as it is counted here and there.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Milliseconds, or `u64::MAX` for none.
    exact: u64,
    expires: u32,
}

impl End {
    pub(super) fn after(clock: &Clock, ttl: Option<Duration>) -> Self {
        Self {
            exact: deadline(clock.now(), ttl),
            expires: ttl.map_or(0, |ttl| server_time(ttl, || Clock::system().now())),
        }
    }

    /// The end that an entry has already.
    pub(super) fn again(clock: &Clock, exact: u64) -> Self {
        if exact == u64::MAX {
            return Self { exact, expires: 0 };
        }
        let left = Duration::from_millis(exact.saturating_sub(clock.now()));
        Self { exact, expires: server_time(left, || Clock::system().now()) }
    }

    pub(super) fn label(self, whole: Option<&str>, in_pieces: bool) -> Label {
        let whole = whole.unwrap_or_default().as_bytes();
        let mut head = Vec::with_capacity(HEAD + whole.len());
        head.push(VERSION);
        head.extend(self.exact.to_le_bytes());
        // A key has 8 KiB at the most; one that is cut is another than the one that is asked for.
        let whole = &whole[..whole.len().min(usize::from(u16::MAX))];
        head.extend(u16::try_from(whole.len()).unwrap_or(u16::MAX).to_le_bytes());
        head.extend(whole);
        // The lower part is meant.
        let lower = u32::try_from(self.exact & u64::from(LOWER)).unwrap_or_default();
        Label { head, flags: lower | if in_pieces { IN_PIECES } else { 0 }, expires: self.expires }
    }
}

/// How long a server is told to keep something. Its clock ticks once a second, so that it ends a second early: one more.
fn server_time(ttl: Duration, now: impl FnOnce() -> u64) -> u32 {
    let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0)).saturating_add(1);
    let told = if seconds > MONTH { (now() / 1_000).saturating_add(seconds) } else { seconds };
    // What it cannot count to has no end there; it has one in the head.
    u32::try_from(told).ok().filter(|told| i32::try_from(*told).is_ok()).unwrap_or(0)
}

/// An entry that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) end: u64,
    pub(super) in_pieces: bool,
    pub(super) value: Bytes,
}

impl Item {
    /// Reads it; `None` if these are other bytes than ours, or of another key with the same hash.
    pub(super) fn read(about: &About, mut bytes: Bytes, whole: Option<&str>) -> Option<Self> {
        if bytes.len() < HEAD || bytes.get_u8() != VERSION {
            return None;
        }
        let end = bytes.get_u64_le();
        let length = usize::from(bytes.get_u16_le());
        if bytes.get(..length)? != whole.unwrap_or_default().as_bytes() {
            return None;
        }
        bytes.advance(length);
        Some(Self { end, in_pieces: about.flags & IN_PIECES != 0, value: bytes })
    }
}

/// Whether what a server has is over, by what it says without the value.
pub(super) fn is_over(about: &About, now: u64) -> bool {
    let Left::Seconds(left) = about.left else { return false };
    // The server knows the end to a few seconds, the flags know its lower part: the nearest end with that.
    let estimate = now.saturating_add(u64::from(left) * 1_000);
    let span = u64::from(LOWER) + 1;
    let ahead = u64::from(about.flags & LOWER).wrapping_sub(estimate) & u64::from(LOWER);
    let end = if ahead < span / 2 { estimate.saturating_add(ahead) } else { (estimate + ahead).saturating_sub(span) };
    end <= now
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_server_is_told_a_second_more_and_a_date_beyond_a_month() {
        let now = 1_800_000_000_000;
        for (ttl, told) in [
            (Duration::ZERO, 1),
            (SECOND / 1_000, 2),
            (SECOND, 2),
            (SECOND * 3 / 2, 3),
            (SECOND * 2_591_999, 2_592_000),
            (SECOND * 2_592_000, 1_802_592_001),
            (SECOND * 86_400 * 365, 1_831_536_001),
        ] {
            let now = || if told > 2_592_000 { now } else { panic!("it is told seconds") };
            assert_eq!(server_time(ttl, now), told, "{ttl:?}");
        }
        for ttl in [SECOND * 86_400 * 36_500, Duration::MAX] {
            assert_eq!(server_time(ttl, || now), 0, "{ttl:?}: more than it can count to");
        }
    }

    #[test]
    fn a_value_under_the_hash_of_another_key_is_none() {
        let label = End::after(&Clock::system(), None).label(Some("one"), true);
        let bytes = Bytes::from([&label.head[..], b"value"].concat());
        let about = About { flags: label.flags, ..About::default() };
        let read = |whole| Item::read(&about, bytes.clone(), whole);
        assert_eq!(read(Some("one")), Some(Item { end: u64::MAX, in_pieces: true, value: "value".into() }));
        assert_eq!(read(Some("two")), None);
        assert_eq!(read(None), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_an_item_or_none(bytes: Vec<u8>, flags: u32, key in "\\PC{0,9}") {
            let about = About { flags, ..About::default() };
            let _ = Item::read(&about, bytes.into(), Some(&key));
        }

        #[test]
        fn the_end_is_exact_without_the_value(
            now in 0..4_000_000_000_000_u64,
            ttl in 0..2_500_000_000_u64,
            passed in 0.0..1.0,
            off in 0..3_u64,
        ) {
            let end = now + ttl;
            let flags = u32::try_from(end & u64::from(LOWER)).expect("31 bits");
            // To eleven days after its end: the server is wrong by less.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any will do")]
            let then = now + (passed * (ttl + 1_000_000_000) as f64) as u64;
            // What the server has left is rounded up, and up to three seconds off.
            let left = u32::try_from((end.saturating_sub(then) / 1_000) + off).expect("a month");
            prop_assert_eq!(is_over(&About { cas: 1, flags, left: Left::Seconds(left) }, then), end <= then);
        }
    }
}
