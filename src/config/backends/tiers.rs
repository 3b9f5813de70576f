//! Several backends, one behind the other.

use super::{Address, Make};
#[cfg(feature = "memory")]
use super::{Family, checked};
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
fn two(mut near: Address, far: Address) -> Result<Make> {
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
    // Copies are as they are read: this says that it means nothing to them.
    drop(super::envelope::take(&mut near)?);
    let (max_bytes, max_entries, lag) = checked(near, |near| {
        near.has_no_host()?;
        near.has_no_path()?;
        let given = &mut near.parameters;
        Ok((given.bytes("max_bytes")?, given.count(&["max_entries", "threshold"])?, given.timeout("lag")?))
    })?;
    let kept = kept(far)?;
    Ok(Box::new(move |clock| {
        let builder = set(kept(clock)?, max_bytes, TieredBackendBuilder::max_bytes);
        let builder = set(builder, max_entries, TieredBackendBuilder::max_entries);
        Ok(Arc::new(set(builder, lag, TieredBackendBuilder::lag).build()))
    }))
}

#[cfg(feature = "memory")]
type Kept = Box<dyn FnOnce(Option<&crate::clock::Clock>) -> Result<crate::backend::TieredBackendBuilder>>;

/// What is shared, with a backplane where it has one.
#[cfg(feature = "memory")]
fn kept(far: Address) -> Result<Kept> {
    use crate::backend::TieredBackend;

    #[cfg(feature = "redis")]
    if far.scheme.family == Family::Redis {
        let mut far = far;
        let around = super::envelope::take(&mut far)?;
        let make = checked(far, super::redis::backend)?;
        return Ok(Box::new(|_| {
            let redis = make()?;
            let backplane = redis.backplane("tiers");
            Ok(TieredBackend::builder(around(std::sync::Arc::new(redis))).backplane(backplane))
        }));
    }
    let make = super::read(far)?;
    Ok(Box::new(|clock| Ok(TieredBackend::builder(make(clock)?))))
}
