//! What settings are made of: bytes, counts, lengths of time, and yes or no.

use std::time::Duration;

use crate::profile;

pub(super) const BYTES: &str = r#"bytes from 1, or a text like "64MiB", "2GiB" or "500kB""#;
pub(super) const COUNT: &str = "a whole number from 1";
pub(super) const LENGTH: &str = profile::LENGTH;
pub(super) const WAIT: &str = r#"seconds above 0, a text like "250ms", "90s" or "5m", or "forever""#;
pub(super) const TIMEOUT: &str = r#"seconds above 0, or a text like "250ms", "90s" or "5m""#;
pub(super) const YES_OR_NO: &str = r#""true" or "false""#;

const UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// `None` for nothing at all too: a bound of zero is a mistake.
pub(super) fn bytes<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim_start() {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    let bytes = number.parse::<u64>().ok()?.checked_mul(unit)?;
    T::try_from(bytes).ok().filter(|_| bytes > 0)
}

pub(super) fn count<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let count = text.parse::<u64>().ok().filter(|count| *count > 0)?;
    T::try_from(count).ok()
}

pub(super) fn length(text: &str) -> Option<Duration> {
    profile::length(text)
}

/// How long to wait at the most. Where that is not at all, nothing would be in time.
pub(super) fn timeout(text: &str) -> Option<Duration> {
    length(text).filter(|wait| !wait.is_zero())
}

pub(super) fn wait(text: &str) -> Option<Duration> {
    if text == "forever" { Some(Duration::MAX) } else { timeout(text) }
}

/// As people write it, and as Python does.
pub(super) fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_of_1000_and_of_1024() {
        for (text, expected) in [
            ("1", Some(1)),
            ("65536", Some(65_536)),
            ("500kB", Some(500_000)),
            ("64MiB", Some(64 << 20)),
            ("64 MiB", Some(64 << 20)),
            ("1GB", Some(1_000_000_000)),
            ("2TiB", Some(2 << 40)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("16777216TiB", None),
            ("0", None),
            ("0MiB", None),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5GiB", None),
            ("64M", None),
            ("64Mb", None),
            ("64MiB ", None),
        ] {
            assert_eq!(bytes::<u64>(text), expected, "{text:?}");
        }
        assert_eq!(bytes::<u32>("4GiB"), None);
        assert_eq!(bytes::<u32>("3GiB"), Some(3 << 30));
    }
}
