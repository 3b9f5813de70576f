//! A configuration as a file has it. Formats have to say what they hold (JSON, TOML, YAML).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{
    CacheConfig, Tier, backends,
    parameters::{Parameter, Parameters},
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
/// A field that is not known or there twice, and what is no text and no number where one is expected.
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
                    let text = match name {
                        "encryption_keys" => map.next_value::<Scalars>().map(|all| all.0),
                        _ => map.next_value::<Scalar>().map(|one| one.0),
                    };
                    let text = text.map_err(|error| A::Error::custom(format_args!("`{key}`: {error}")))?;
                    let twice = parameters.0.iter().any(|it| it.key == key);
                    parameters.0.push(Parameter::new(key.clone(), text));
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
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneScalar)
    }
}

struct OneScalar;

impl Visitor<'_> for OneScalar {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false")
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Scalar, E> {
        Ok(Scalar(yes.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }
}

/// One value, or a list of them, as one text with commas between.
struct Scalars(String);

impl<'de> Deserialize<'de> for Scalars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ManyScalars)
    }
}

struct ManyScalars;

impl<'de> Visitor<'de> for ManyScalars {
    type Value = Scalars;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalars, E> {
        Ok(Scalars(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalars, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = list.next_element::<Scalar>()? {
            all.push(text.0);
        }
        Ok(Scalars(all.join(",")))
    }
}
