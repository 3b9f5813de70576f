//! Several backends, one behind the other.

use super::{Address, Make};
#[cfg(feature = "memory")]
use super::{Family, checked};
#[cfg(feature = "memory")]
use crate::config::parameters::Parameter;
use crate::{config::parameters::wrong, error::Result};

/// What makes the one backend of these addresses.
pub(in crate::config) fn read(addresses: Vec<Address>) -> Result<Make> {
    let count = addresses.len();
    let mut addresses = addresses.into_iter();
    match (addresses.next(), addresses.next()) {
        (None, _) => Err(wrong("there is no URL; expected one, as `memory://`")),
        (Some(only), None) => super::read(only),
        (Some(near), Some(far)) if count == 2 => two(near, far),
        _ => Err(wrong(format!("{count} backends; expected one, or two: memory:// and what processes share"))),
    }
}

#[cfg(not(feature = "memory"))]
fn two(_: Address, _: Address) -> Result<Make> {
    Err(wrong("tiers need the feature `memory`"))
}

#[cfg(feature = "memory")]
fn two(near: Address, far: Address) -> Result<Make> {
    use std::sync::Arc;

    use crate::{backend::TieredBackendBuilder, config::settings::set};

    if near.scheme.family != Family::Memory {
        return Err(wrong(format!(
            "the first of two tiers keeps copies: expected memory://, found {}://",
            near.scheme.name
        )));
    }
    if matches!(far.scheme.family, Family::Memory | Family::Null) {
        let name = far.scheme.name;
        return Err(wrong(format!("the second of two tiers is what processes share, as redis://; found {name}://")));
    }
    let (max_bytes, max_entries, lag, backplane) = checked(near, |near| {
        near.has_no_host()?;
        near.has_no_path()?;
        let given = &mut near.parameters;
        let (max_bytes, max_entries) = (given.bytes("max_bytes")?, given.count(&["max_entries", "threshold"])?);
        Ok((max_bytes, max_entries, given.timeout("lag")?, given.take(&["backplane"])?))
    })?;
    let kept = kept(far, backplane.as_ref())?;
    Ok(Box::new(move |clock| {
        let builder = set(kept(clock)?, max_bytes, TieredBackendBuilder::max_bytes);
        let builder = set(builder, max_entries, TieredBackendBuilder::max_entries);
        Ok(Arc::new(set(builder, lag, TieredBackendBuilder::lag).build()))
    }))
}

#[cfg(feature = "memory")]
type Kept = Box<dyn FnOnce(Option<&crate::clock::Clock>) -> Result<crate::backend::TieredBackendBuilder>>;

/// How nodes hear of each other.
#[cfg(feature = "memory")]
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "Redis is what has a backplane"))]
enum Hears {
    Nothing,
    PubSub,
    /// Of keys that begin so.
    Tracking(String),
}

#[cfg(feature = "memory")]
impl Hears {
    /// The second tier says what there can be, and what there is if nobody says.
    fn read(backplane: Option<&Parameter>, far: &Address) -> Result<Self> {
        let (is_redis, is_cluster) = (far.scheme.family == Family::Redis, far.scheme.name.ends_with("+cluster"));
        let Some(backplane) = backplane else { return Ok(if is_redis { Self::PubSub } else { Self::Nothing }) };
        match backplane.text.as_str() {
            "none" => Ok(Self::Nothing),
            _ if !is_redis => Err(backplane.wrong("`none`: only Redis has another one")),
            "pubsub" => Ok(Self::PubSub),
            text => match text.strip_prefix("tracking") {
                Some(_) if is_cluster => Err(backplane.wrong("`pubsub` or `none`: a cluster has no tracking")),
                Some("") => Ok(Self::Tracking(String::new())),
                Some(prefix) if prefix.starts_with(':') => Ok(Self::Tracking(prefix[1..].to_owned())),
                _ => Err(backplane.wrong("`pubsub`, `tracking`, `tracking:` and what keys begin with, or `none`")),
            },
        }
    }
}

/// What is shared, with a backplane where it has one.
#[cfg(feature = "memory")]
fn kept(far: Address, backplane: Option<&Parameter>) -> Result<Kept> {
    use crate::backend::TieredBackend;

    let hears = Hears::read(backplane, &far)?;
    #[cfg(feature = "redis")]
    if far.scheme.family == Family::Redis {
        let make = checked(far, super::redis::backend)?;
        return Ok(Box::new(move |_| {
            let redis = make()?;
            let builder = TieredBackend::builder(redis.clone());
            Ok(match hears {
                Hears::Nothing => builder,
                Hears::PubSub => builder.backplane(redis.backplane("tiers")),
                Hears::Tracking(prefix) => builder.backplane(redis.tracking(prefix)?),
            })
        }));
    }
    // Of Redis without its feature there is no backend.
    drop(hears);
    let make = super::read(far)?;
    Ok(Box::new(|clock| Ok(TieredBackend::builder(make(clock)?))))
}
