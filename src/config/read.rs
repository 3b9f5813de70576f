//! A configuration as a file has it. Formats have to say what they hold (JSON, TOML, YAML).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use super::{
    CacheConfig, Tier, backends,
    parameters::{Parameter, Parameters, is_secret},
};
use crate::profile::Profiles;

/// A text is the URL, a list the URLs of tiers. A map has the `url`, which is either of these, the `profiles`, and any
/// parameter of [the tables](CacheConfig#urls).
///
/// ```
/// use axum_caching::CacheConfig;
///
/// let error = serde_json::from_str::<CacheConfig>(r#"{ "url": "null://", "tll": 60 }"#).unwrap_err();
/// assert!(error.to_string().contains("unknown field `tll`"), "{error}");
///
/// // What may be a secret is looked at later: formats repeat the line that an error is in.
/// let config: CacheConfig = serde_json::from_str(r#""redis:/:secret@localhost""#)?;
/// assert!(!config.build().unwrap_err().to_string().contains("secret"));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// A field that is not known or there twice, what is no text and no number where one is expected, and a secret that is a
/// fraction, `true` or `false`: it is written as a text, since formats do not keep how a number was written.
impl<'de> Deserialize<'de> for CacheConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whole)
    }
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = CacheConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the URL of a cache, a list of them, or a map with one")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CacheConfig, E> {
        Ok(CacheConfig::of(Tier::all(text), Parameters::default()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<CacheConfig, A::Error> {
        Ok(CacheConfig::of(Urls.visit_seq(list)?.0, Parameters::default()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CacheConfig, A::Error> {
        let (mut urls, mut profiles, mut parameters) = (None, None, Parameters::default());
        while let Some(key) = map.next_key::<String>()? {
            let twice = match key.as_str() {
                "url" => urls.replace(map.next_value::<ListOfUrls>()?.0).is_some(),
                "profiles" => profiles.replace(map.next_value::<Profiles>()?).is_some(),
                name if backends::has_key(name) => {
                    let given = map.next_value::<Scalar>();
                    let given = given.map_err(|error| A::Error::custom(format_args!("`{key}`: {error}")))?;
                    if !given.is_exact && is_secret(&key) {
                        return Err(A::Error::custom(format_args!(
                            "`{key}`: found a fraction, a very large number or a yes or no, which may be written in several \
                             ways; expected a text, in quotes"
                        )));
                    }
                    let twice = parameters.0.iter().any(|it| it.key == key);
                    parameters.0.push(Parameter::new(key.clone(), given.text));
                    twice
                }
                _ => return Err(unknown(&key)),
            };
            if twice {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
        }
        let urls = urls.ok_or_else(|| A::Error::missing_field("url"))?;
        Ok(CacheConfig { profiles: profiles.unwrap_or_default(), ..CacheConfig::of(urls, parameters) })
    }
}

fn unknown<E: Error>(key: &str) -> E {
    let mut known: Vec<_> = ["url", "profiles"].into_iter().chain(backends::keys()).collect();
    known.sort_unstable();
    known.dedup();
    let known: Vec<_> = known.into_iter().map(|known| format!("`{known}`")).collect();
    E::custom(format_args!("unknown field `{key}`, expected one of {}", known.join(", ")))
}

struct ListOfUrls(Vec<Tier>);

impl<'de> Deserialize<'de> for ListOfUrls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Urls)
    }
}

struct Urls;

impl<'de> Visitor<'de> for Urls {
    type Value = ListOfUrls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ListOfUrls, E> {
        Ok(ListOfUrls(Tier::all(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ListOfUrls, A::Error> {
        let mut tiers = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            tiers.push(Tier::Text(text));
        }
        Ok(ListOfUrls(tiers))
    }
}

/// A value, as the text that a URL would have.
struct Scalar {
    text: String,
    /// Whether the text is the one that somebody wrote: 1.10 and 1.1 are the same number.
    is_exact: bool,
}

impl Scalar {
    fn exact(text: &(impl ToString + ?Sized)) -> Self {
        Self { text: text.to_string(), is_exact: true }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneScalar)
    }
}

/// What `serde_json` calls a number if it keeps all its digits (its feature `arbitrary_precision`).
const NUMBER: &str = "$serde_json::private::Number";

struct OneScalar;

impl<'de> Visitor<'de> for OneScalar {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false")
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Scalar, E> {
        Ok(Scalar { is_exact: false, ..Scalar::exact(&yes) })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::exact(&number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::exact(&number))
    }

    // Without these two serde repeats the number, which may be a password.
    fn visit_i128<E: Error>(self, number: i128) -> Result<Scalar, E> {
        Ok(Scalar::exact(&number))
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<Scalar, E> {
        Ok(Scalar::exact(&number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar { is_exact: false, ..Scalar::exact(&number) })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::exact(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        match map.next_key::<String>()? {
            Some(key) if key == NUMBER => Ok(Scalar::exact(&map.next_value::<String>()?)),
            _ => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, I128Deserializer, MapDeserializer, U128Deserializer};

    use super::*;

    #[test]
    fn the_largest_numbers_are_taken_and_not_told() {
        let most = Scalar::deserialize(U128Deserializer::<Error>::new(u128::MAX)).unwrap();
        assert_eq!(most.text, u128::MAX.to_string());
        let least = Scalar::deserialize(I128Deserializer::<Error>::new(i128::MIN)).unwrap();
        assert_eq!(least.text, i128::MIN.to_string());
    }

    #[test]
    fn a_number_that_json_has_as_it_is_written_is_one() {
        let of = |key: &'static str, text: &'static str| {
            Scalar::deserialize(MapDeserializer::<_, Error>::new([(key, text)].into_iter()))
        };
        assert_eq!(of("$serde_json::private::Number", "1.10").unwrap().text, "1.10");
        let error = of("a", "secret").err().unwrap().to_string();
        assert!(error.contains("a text, a number") && !error.contains("secret"), "{error}");
    }
}
