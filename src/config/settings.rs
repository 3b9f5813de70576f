//! What a cache can be told, whatever its backend is.

use std::time::Duration;

use super::{
    parameters::{Parameter, Parameters, wrong},
    units,
};
use crate::{
    backend::Breaker,
    cache::CacheBuilder,
    error::Result,
    profile::{self, Profile},
};

/// The names of these settings, without those of a profile.
pub(super) const KEYS: &[&str] = &[
    "default_timeout",
    "key_prefix",
    "name",
    "serializer",
    "max_wait",
    "distributed_single_flight",
    "fill_timeout",
    "max_refreshes",
    "backend_timeout",
    "breaker_failures",
    "breaker_open_for",
];

/// All names.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    profile::KEYS.iter().chain(KEYS).copied()
}

#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    profile: Profile,
    key_prefix: Option<String>,
    name: Option<String>,
    is_json: bool,
    max_wait: Option<Duration>,
    distributed_single_flight: Option<Duration>,
    fill_timeout: Option<Duration>,
    max_refreshes: Option<usize>,
    backend_timeout: Option<Duration>,
    breaker: Breaker,
}

impl Settings {
    pub(super) fn read(mut given: Parameters) -> Result<Self> {
        let mut breaker = Breaker::default();
        match given.read(&["breaker_failures"], r#"a whole number from 1, or "off""#, failures)? {
            Some(Some(failures)) => breaker = breaker.failures(failures),
            Some(None) => breaker = Breaker::off(),
            None => {}
        }
        if let Some(open_for) = given.read(&["breaker_open_for"], units::LENGTH, units::length)? {
            breaker = breaker.open_for(open_for);
        }
        Ok(Self {
            key_prefix: given.text("key_prefix")?,
            name: given.text("name")?,
            is_json: given.take(&["serializer"])?.as_ref().map(is_json).transpose()?.unwrap_or_default(),
            max_wait: given.read(&["max_wait"], units::LENGTH, units::length)?,
            distributed_single_flight: given.read(&["distributed_single_flight"], units::LENGTH, units::length)?,
            fill_timeout: given.read(&["fill_timeout"], units::LENGTH, units::length)?,
            max_refreshes: given.read(&["max_refreshes"], "a whole number from 0", |text| text.parse().ok())?,
            backend_timeout: given.read(&["backend_timeout"], units::WAIT, units::wait)?,
            profile: profile_of(given)?,
            breaker,
        })
    }

    pub(super) fn apply(self, builder: CacheBuilder) -> CacheBuilder {
        let builder = builder.profile(self.profile).breaker(self.breaker);
        let builder = set(builder, self.key_prefix, CacheBuilder::key_prefix);
        let builder = set(builder, self.name, CacheBuilder::name);
        let builder = set(builder, self.max_wait, CacheBuilder::max_wait);
        let wait_elsewhere = CacheBuilder::distributed_single_flight;
        let builder = set(builder, self.distributed_single_flight, wait_elsewhere);
        let builder = set(builder, self.fill_timeout, CacheBuilder::fill_timeout);
        let builder = set(builder, self.max_refreshes, CacheBuilder::max_refreshes);
        let builder = set(builder, self.backend_timeout, CacheBuilder::backend_timeout);
        #[cfg(feature = "json")]
        let builder = if self.is_json { builder.codec(crate::codec::Json::default()) } else { builder };
        builder
    }
}

/// What is said; the rest stays as it is.
pub(super) fn set<B, T>(builder: B, value: Option<T>, method: impl FnOnce(B, T) -> B) -> B {
    match value {
        Some(value) => method(builder, value),
        None => builder,
    }
}

#[expect(clippy::option_option, reason = "whether it can be read, and whether there is a number, are two questions")]
fn failures(text: &str) -> Option<Option<u32>> {
    if text == "off" { Some(None) } else { units::count(text).map(Some) }
}

/// As `CACHE_SERIALIZER` has it too, with or without the name of its module.
fn is_json(given: &Parameter) -> Result<bool> {
    match given.text.rsplit('.').next().unwrap_or_default() {
        "postcard" => Ok(false),
        "json" | "JSONSerializer" if cfg!(feature = "json") => Ok(true),
        "json" | "JSONSerializer" => Err(wrong(format!("{given} needs the feature `json`"))),
        _ => Err(given.wrong(r#""postcard" or "json"; another codec is given in code (`CacheBuilder::codec`)"#)),
    }
}

fn profile_of(mut given: Parameters) -> Result<Profile> {
    let mut profile = Profile::new();
    let lifetime = given.take(&["ttl", "default_timeout"])?;
    // In Flask-Caching zero is for ever, and in a `Duration` it is nothing.
    if let Some(zero) = lifetime.as_ref().filter(|it| it.key == "default_timeout" && is_zero(&it.text)) {
        return Err(zero.wrong(r#""forever" for entries without an end, or "never" to keep none: it cannot be zero"#));
    }
    let mut all = Vec::from_iter(lifetime);
    for key in profile::KEYS {
        all.extend(given.take(&[key])?);
    }
    for parameter in all {
        let key = if parameter.key == "default_timeout" { "ttl" } else { &parameter.key };
        let read = profile.set_text(key, &parameter.text).unwrap_or(Ok(()));
        read.map_err(|expected| parameter.wrong(expected))?;
    }
    Ok(profile)
}

fn is_zero(text: &str) -> bool {
    units::length(text).is_some_and(|length| length.is_zero())
}
