//! Profiles that have a name, so that a configuration can say what they are.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::Profile;
use crate::error::{Error, ErrorKind, Result};

/// Profiles by their names, for [`CacheBuilder::profiles`](crate::CacheBuilder::profiles): code says `"hours"`, and a
/// configuration what that is.
///
/// A map of maps where it is read from a file, each as [`Profile`] says. A name that is there twice is an error there;
/// of those that are collected the later one holds.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use axum_caching::{Cache, CacheLayer, NullBackend, Profiles};
///
/// let profiles: Profiles = serde_json::from_str(
///     r#"{
///         "seconds": { "ttl": "30s" },
///         "hours": { "ttl": "2h", "stale_while_revalidate": "10m", "stale_if_error": "1d" }
///     }"#,
/// )?;
/// let cache = Cache::builder(NullBackend::default()).profiles(profiles).build();
/// let layer = CacheLayer::new(&cache).profile(cache.profile("hours")?);
///
/// let error = cache.profile("days").unwrap_err();
/// assert_eq!(error.to_string(), r#"wrong configuration: no profile "days", expected "hours", "seconds""#);
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "profiles do nothing until they are given to a cache"]
pub struct Profiles(BTreeMap<String, Profile>);

impl Profiles {
    /// The profile of this name.
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum_caching::{Profile, Profiles};
    ///
    /// let minute = Profile::ttl(Duration::from_secs(60));
    /// let profiles = Profiles::from_iter([("minute".to_owned(), minute)]);
    /// assert_eq!(profiles.get("minute")?, minute);
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there is none; the text names those that there are.
    pub fn get(&self, name: &str) -> Result<Profile> {
        self.0.get(name).copied().ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<_> = self.0.keys().map(|known| format!("{known:?}")).collect();
        let known = if known.is_empty() { "none, since none was given".to_owned() } else { known.join(", ") };
        Error::message(ErrorKind::Config, format!("no profile {name:?}, expected {known}"))
    }
}

impl FromIterator<(String, Profile)> for Profiles {
    fn from_iter<I: IntoIterator<Item = (String, Profile)>>(profiles: I) -> Self {
        Self(profiles.into_iter().collect())
    }
}

impl Extend<(String, Profile)> for Profiles {
    fn extend<I: IntoIterator<Item = (String, Profile)>>(&mut self, profiles: I) {
        self.0.extend(profiles);
    }
}

impl IntoIterator for Profiles {
    type Item = (String, Profile);
    type IntoIter = std::collections::btree_map::IntoIter<String, Profile>;

    /// In the order of the names.
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for Profiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Named)
    }
}

struct Named;

impl<'de> Visitor<'de> for Named {
    type Value = Profiles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from names to profiles")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Profiles, A::Error> {
        let mut profiles = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let profile =
                map.next_value().map_err(|error| A::Error::custom(format_args!("profile {name:?}: {error}")))?;
            if profiles.insert(name.clone(), profile).is_some() {
                return Err(A::Error::custom(format_args!("profile {name:?} is there twice")));
            }
        }
        Ok(Profiles(profiles))
    }
}
