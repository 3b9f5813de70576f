//! The commands of a backend, and what their answers mean.

use std::time::Duration;

use bytes::Bytes;
use redis::{Cmd, Value as Answer, cmd};

use super::fault;
use crate::{error::Result, value::Value};

/// Redis counts the end of a key in milliseconds since 1970, in 63 bits. What comes near it does not end.
const LONGEST: u128 = 1 << 62;

/// A time to live in whole milliseconds, rounded up: what lives for less than one would not be stored at all.
pub(super) fn millis(ttl: Option<Duration>) -> Option<u64> {
    let millis = ttl?.as_nanos().div_ceil(1_000_000).max(1);
    if millis >= LONGEST { None } else { u64::try_from(millis).ok() }
}

pub(super) fn of_key(name: &str, key: &str) -> Cmd {
    let mut command = Cmd::with_capacity(2, name.len() + key.len());
    command.arg(name).arg(key);
    command
}

pub(super) fn of_keys<'a>(name: &str, keys: impl IntoIterator<Item = &'a str>) -> Cmd {
    let mut command = cmd(name);
    for key in keys {
        command.arg(key);
    }
    command
}

pub(super) fn set(key: &str, value: &[u8], ttl: Option<Duration>) -> Cmd {
    let mut command = Cmd::with_capacity(5, key.len() + value.len() + 32);
    command.arg("SET").arg(key).arg(value);
    if let Some(millis) = millis(ttl) {
        command.arg("PX").arg(millis);
    }
    command
}

pub(super) fn add(key: &str, value: &[u8], ttl: Option<Duration>) -> Cmd {
    let mut command = set(key, value, ttl);
    command.arg("NX");
    command
}

pub(super) fn value(answer: Answer) -> Result<Option<Value>> {
    match answer {
        Answer::Nil => Ok(None),
        Answer::BulkString(bytes) => Ok(Some(Value::from_bytes(bytes))),
        Answer::SimpleString(text) => Ok(Some(Value::from_bytes(Bytes::from(text)))),
        _ => Err(fault::unexpected()),
    }
}

/// The answer of `SET`, which is nothing if `NX` did not let it.
pub(super) fn was_stored(answer: &Answer) -> Result<bool> {
    match answer {
        Answer::Okay => Ok(true),
        Answer::Nil => Ok(false),
        _ => Err(fault::unexpected()),
    }
}

pub(super) fn integer(answer: &Answer) -> Result<i64> {
    match answer {
        Answer::Int(integer) => Ok(*integer),
        _ => Err(fault::unexpected()),
    }
}

pub(super) fn count(answer: &Answer) -> Result<usize> {
    usize::try_from(integer(answer)?).map_err(|_| fault::unexpected())
}

/// A pattern that a text matches exactly if it begins with this one.
pub(super) fn beginning_with(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_rounded_up_and_what_is_too_long_has_no_end() {
        let cases = [
            (None, None),
            (Some(Duration::ZERO), Some(1)),
            (Some(Duration::from_nanos(1)), Some(1)),
            (Some(Duration::from_micros(1_500)), Some(2)),
            (Some(Duration::from_secs(3)), Some(3_000)),
            (Some(Duration::MAX), None),
        ];
        for (ttl, expected) in cases {
            assert_eq!(millis(ttl), expected, "{ttl:?}");
        }
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(beginning_with("a*[b]?\\"), "a\\*\\[b\\]\\?\\\\*");
        assert_eq!(beginning_with(""), "*");
    }
}
