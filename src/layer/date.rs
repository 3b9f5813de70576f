use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::HeaderValue;

/// The first second of the year 10000, which an HTTP date cannot name.
const END: u64 = 253_402_300_800;

/// The date of the last second that was asked for: a busy second asks many times, and writing one takes a while.
static LAST: Mutex<Option<(u64, HeaderValue)>> = Mutex::new(None);

/// The time of receipt, for responses without a `Date` (RFC 9110 §6.6.1). `now` in UNIX milliseconds.
pub(super) fn value(now: u64) -> HeaderValue {
    let second = now / 1_000;
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((written, value)) if *written == second => value.clone(),
        _ => last.insert((second, write(second))).1.clone(),
    }
}

fn write(second: u64) -> HeaderValue {
    // A clock that shows such a year is wrong in any case.
    let second = if second < END { second } else { 0 };
    let date = UNIX_EPOCH.checked_add(Duration::from_secs(second)).map_or_else(String::new, httpdate::fmt_http_date);
    HeaderValue::from_maybe_shared(Bytes::from(date)).expect("a date is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_second_it_names_and_no_clock_makes_it_panic() {
        assert_eq!(value(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(value(784_111_778_000), "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(value(u64::MAX), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
