//! Profiles as a file has them. Formats have to say what they hold (JSON, TOML, YAML); postcard does not.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Unexpected, Visitor};

use super::Profile;
use crate::ttl::Ttl;

const KEYS: &[&str] = &[
    "ttl",
    "stale_while_revalidate",
    "stale_if_error",
    "keep",
    "failure_backoff",
    "soft_timeout",
    "hard_timeout",
    "refresh_ahead",
    "early_expiration",
    "jitter",
];

const LENGTH: &str = r#"seconds from 0, or a text like "250ms", "90s", "5m", "2h" or "1d""#;
const LIFETIME: &str =
    r#"seconds from 0, a text like "250ms", "90s", "5m", "2h" or "1d", "forever", "never" or "none""#;
const PART: &str = "a number above 0 and below 1";
const FACTOR: &str = "a number above 0";

/// A map whose keys are named like the methods, all of them optional; what is not there is not set.
///
/// Lengths of time are numbers of seconds, whole or not, or whole numbers with a unit: `"250ms"`, `"90s"`, `"5m"`,
/// `"2h"`, `"1d"`. `ttl` is one of these, `"forever"`, or `"never"` or `"none"` for what is not stored. `refresh_ahead` and
/// `jitter` are above 0 and below 1, and `early_expiration` is above 0.
///
/// ```
/// use std::time::Duration;
/// use axum_caching::Profile;
///
/// let read: Profile = serde_json::from_str(r#"{ "ttl": 60, "stale_if_error": "1d", "jitter": 0.1 }"#)?;
/// let written = Profile::ttl(Duration::from_secs(60)).stale_if_error(Duration::from_secs(24 * 3600)).jitter(0.1);
/// assert_eq!(read, written);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// A key that is not known or there twice, and a value that is not as above. The text names the key and says what was
/// expected and what was found.
impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Whole)
    }
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Profile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of the settings of a profile")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Profile, A::Error> {
        let (mut profile, mut seen) = (Profile::new(), BTreeSet::new());
        while let Some(key) = map.next_key::<String>()? {
            set(&mut profile, &key, &mut map)?;
            if let Some(key) = seen.replace(key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
        }
        Ok(profile)
    }
}

fn set<'de, A: MapAccess<'de>>(profile: &mut Profile, key: &str, map: &mut A) -> Result<(), A::Error> {
    match key {
        "ttl" => profile.ttl = value(key, map, LIFETIME, Given::lifetime)?,
        "stale_while_revalidate" => profile.stale_while_revalidate = Some(value(key, map, LENGTH, Given::length)?),
        "stale_if_error" => profile.stale_if_error = Some(value(key, map, LENGTH, Given::length)?),
        "keep" => profile.keep = Some(value(key, map, LENGTH, Given::length)?),
        "failure_backoff" => profile.failure_backoff = Some(value(key, map, LENGTH, Given::length)?),
        "soft_timeout" => profile.soft_timeout = Some(value(key, map, LENGTH, Given::length)?),
        "hard_timeout" => profile.hard_timeout = Some(value(key, map, LENGTH, Given::length)?),
        "refresh_ahead" => profile.refresh_ahead = Some(value(key, map, PART, Given::part)?),
        "early_expiration" => profile.early_expiration = Some(value(key, map, FACTOR, Given::factor)?),
        "jitter" => profile.jitter = Some(value(key, map, PART, Given::part)?),
        _ => return Err(A::Error::unknown_field(key, KEYS)),
    }
    Ok(())
}

/// The value of a key, or an error that names it: formats say the line at best.
fn value<'de, A: MapAccess<'de>, T>(
    key: &str,
    map: &mut A,
    expected: &'static str,
    read: impl FnOnce(&Given) -> Option<T>,
) -> Result<T, A::Error> {
    let value = map.next_value_seed(Expected(expected)).and_then(|given| {
        let wrong = || A::Error::invalid_value(given.unexpected(), &expected);
        read(&given).ok_or_else(wrong)
    });
    value.map_err(|error| A::Error::custom(format_args!("`{key}`: {error}")))
}

/// What stands there.
enum Given {
    Whole(u64),
    Negative(i64),
    Float(f64),
    Text(Box<str>),
}

impl Given {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Whole(number) => Unexpected::Unsigned(*number),
            Self::Negative(number) => Unexpected::Signed(*number),
            Self::Float(number) => Unexpected::Float(*number),
            Self::Text(text) => Unexpected::Str(text),
        }
    }

    fn lifetime(&self) -> Option<Ttl> {
        match self {
            Self::Text(text) if **text == *"forever" => Some(Ttl::Forever),
            Self::Text(text) if matches!(&**text, "never" | "none") => Some(Ttl::DontStore),
            other => other.length().map(Ttl::For),
        }
    }

    fn length(&self) -> Option<Duration> {
        match self {
            Self::Whole(seconds) => Some(Duration::from_secs(*seconds)),
            Self::Negative(_) => None,
            Self::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
            Self::Text(text) => with_unit(text),
        }
    }

    /// A whole number is none.
    fn part(&self) -> Option<f64> {
        match self {
            Self::Float(part) => Some(*part).filter(|part| 0.0 < *part && *part < 1.0),
            _ => None,
        }
    }

    fn factor(&self) -> Option<f64> {
        let factor = match self {
            // A number so large that it is rounded is nothing that anybody means.
            Self::Whole(factor) => u32::try_from(*factor).ok().map(f64::from),
            Self::Float(factor) => Some(*factor),
            Self::Negative(_) | Self::Text(_) => None,
        };
        factor.filter(|factor| 0.0 < *factor && factor.is_finite())
    }
}

/// A whole number and a unit.
fn with_unit(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// Reads a number or a text where this is expected.
struct Expected(&'static str);

impl<'de> DeserializeSeed<'de> for Expected {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Expected {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Given, E> {
        Ok(Given::Whole(number))
    }

    /// Some formats have no numbers without a sign.
    fn visit_i64<E: Error>(self, number: i64) -> Result<Given, E> {
        Ok(u64::try_from(number).map_or(Given::Negative(number), Given::Whole))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Given, E> {
        Ok(Given::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Given, E> {
        Ok(Given::Text(text.into()))
    }
}
