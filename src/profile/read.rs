//! Profiles as a file has them. Formats have to say what they hold (JSON, TOML, YAML); postcard does not.

use std::{collections::BTreeSet, fmt, marker::PhantomData, time::Duration};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Unexpected, Visitor};

use super::Profile;
use crate::ttl::Ttl;

pub(crate) const KEYS: &[&str] = &[
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

pub(crate) const LENGTH: &str = r#"seconds from 0, or a text like "250ms", "90s", "5m", "2h" or "1d""#;
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
            let entry = Entry { key: &key, map: &mut map, input: PhantomData };
            set(&mut profile, &key, entry).ok_or_else(|| A::Error::unknown_field(&key, KEYS))??;
            if let Some(key) = seen.replace(key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
        }
        Ok(profile)
    }
}

/// `None` for a key that is none.
fn set<S: Source>(profile: &mut Profile, key: &str, source: S) -> Option<Result<(), S::Error>> {
    let length = |source: S| source.read(LENGTH, Given::length).map(Some);
    let part = |source: S| source.read(PART, Given::part).map(Some);
    Some(match key {
        "ttl" => source.read(LIFETIME, Given::lifetime).map(|it| profile.ttl = it),
        "stale_while_revalidate" => length(source).map(|it| profile.stale_while_revalidate = it),
        "stale_if_error" => length(source).map(|it| profile.stale_if_error = it),
        "keep" => length(source).map(|it| profile.keep = it),
        "failure_backoff" => length(source).map(|it| profile.failure_backoff = it),
        "soft_timeout" => length(source).map(|it| profile.soft_timeout = it),
        "hard_timeout" => length(source).map(|it| profile.hard_timeout = it),
        "refresh_ahead" => part(source).map(|it| profile.refresh_ahead = it),
        "early_expiration" => source.read(FACTOR, Given::factor).map(|it| profile.early_expiration = Some(it)),
        "jitter" => part(source).map(|it| profile.jitter = it),
        _ => return None,
    })
}

/// Where the value of a key stands.
trait Source {
    type Error;

    fn read<T>(self, expected: &'static str, read: impl FnOnce(&Given) -> Option<T>) -> Result<T, Self::Error>;
}

/// In a map; the error names the key: formats say the line at best.
struct Entry<'a, 'de, A> {
    key: &'a str,
    map: &'a mut A,
    input: PhantomData<&'de ()>,
}

impl<'de, A: MapAccess<'de>> Source for Entry<'_, 'de, A> {
    type Error = A::Error;

    fn read<T>(self, expected: &'static str, read: impl FnOnce(&Given) -> Option<T>) -> Result<T, A::Error> {
        let value = self.map.next_value_seed(Expected(expected)).and_then(|given| {
            let wrong = || A::Error::invalid_value(given.unexpected(), &expected);
            read(&given).ok_or_else(wrong)
        });
        value.map_err(|error| A::Error::custom(format_args!("`{}`: {error}", self.key)))
    }
}

/// In a text that stands alone, as in a URL; the error is what was expected.
struct Alone<'a>(&'a str);

impl Source for Alone<'_> {
    type Error = &'static str;

    fn read<T>(self, expected: &'static str, read: impl FnOnce(&Given) -> Option<T>) -> Result<T, &'static str> {
        read(&Given::of_text(self.0)).ok_or(expected)
    }
}

impl Profile {
    /// Sets what this key is for to what a text says. `None` if the key is none, an error that says what was expected.
    pub(crate) fn set_text(&mut self, key: &str, text: &str) -> Option<Result<(), &'static str>> {
        set(self, key, Alone(text))
    }
}

/// A length of time in a text that stands alone, where a number is digits.
pub(crate) fn length(text: &str) -> Option<Duration> {
    Given::of_text(text).length()
}

/// What stands there.
enum Given {
    Whole(u64),
    Negative(i64),
    Float(f64),
    Text(Box<str>),
}

impl Given {
    fn of_text(text: &str) -> Self {
        let whole = || text.parse().map(Self::Whole).or_else(|_| text.parse().map(Self::Negative)).ok();
        let float = || text.parse().map(Self::Float).ok();
        // Not every text that a float can be read from is a number: "inf", "nan".
        let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-').then(|| whole().or_else(float));
        number.flatten().unwrap_or_else(|| Self::Text(text.into()))
    }

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
