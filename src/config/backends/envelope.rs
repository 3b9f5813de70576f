//! Around a backend: above which size its entries are compressed, and what they are encrypted with.

use std::sync::Arc;

use super::{Address, Family};
#[cfg(any(feature = "zstd", feature = "encryption"))]
use crate::backend::{Envelope, EnvelopeBuilder};
use crate::{
    backend::Backend,
    config::parameters::{Parameters, wrong},
    error::Result,
};

const COMPRESSION: &[&str] = &["compress_above", "compression_level", "max_decompressed_bytes"];
const SECRET: &str = "encryption_keys";

pub(in crate::config) const KEYS: &[&str] = &[COMPRESSION[0], COMPRESSION[1], COMPRESSION[2], SECRET];

/// Makes another backend of one, or leaves it as it is.
pub(super) type Around = Box<dyn FnOnce(Arc<dyn Backend>) -> Arc<dyn Backend>>;

/// Whether the entries of such a backend are bytes that others can see.
pub(in crate::config) fn is_for(family: Family) -> bool {
    matches!(family, Family::File | Family::Memcached | Family::Redis)
}

/// Keys stand in no URL: those are shown, by others than this crate too.
pub(in crate::config) fn is_not_in(address: &Address) -> Result<()> {
    match address.parameters.0.iter().find(|it| it.key == SECRET) {
        None => Ok(()),
        Some(keys) => Err(wrong(format!(
            "{keys} must not stand in a URL, which others may see; expected it beside the URL, or as \
             `CACHE_ENCRYPTION_KEYS`"
        ))),
    }
}

/// Takes what an address says of it.
pub(super) fn take(address: &mut Address) -> Result<Around> {
    let mut given = address.parameters.split_off(KEYS);
    match given.0.first() {
        None => Ok(Box::new(|backend| backend)),
        Some(first) if !is_for(address.scheme.family) => Err(wrong(format!(
            "{first} means nothing to {}://, whose entries stay in the process; it is for those that processes share, \
             as redis://",
            address.scheme.name
        ))),
        Some(_) => read(&mut given),
    }
}

fn read(given: &mut Parameters) -> Result<Around> {
    has_feature(given, COMPRESSION, "zstd", cfg!(feature = "zstd"))?;
    has_feature(given, &[SECRET], "encryption", cfg!(feature = "encryption"))?;
    let above: Option<usize> = given.bytes("compress_above")?;
    let in_range = |text: &str| text.parse().ok().filter(|level| (1..=22).contains(level));
    let level: Option<i32> = given.read(&["compression_level"], "a whole number from 1 to 22", in_range)?;
    let max: Option<usize> = given.bytes("max_decompressed_bytes")?;
    if level.is_some() && above.is_none() {
        return Err(wrong("`compression_level` means nothing without `compress_above`"));
    }
    let keys = given.take(&[SECRET])?;
    #[cfg(feature = "encryption")]
    let keys = keys.as_ref().map(key_ring).transpose()?;
    // What needs a feature that is missing was refused.
    #[cfg(not(feature = "encryption"))]
    drop(keys);
    #[cfg(not(any(feature = "zstd", feature = "encryption")))]
    let _ = max;
    Ok(Box::new(move |backend| {
        #[cfg(any(feature = "zstd", feature = "encryption"))]
        let backend = {
            use crate::config::settings::set;
            let builder = set(Envelope::builder(backend), max, EnvelopeBuilder::max_decompressed_bytes);
            #[cfg(feature = "zstd")]
            let builder = set(builder, above, EnvelopeBuilder::compress_above);
            #[cfg(feature = "zstd")]
            let builder = set(builder, level, EnvelopeBuilder::compression_level);
            #[cfg(feature = "encryption")]
            let builder = set(builder, keys, EnvelopeBuilder::keys);
            Arc::new(builder.build())
        };
        backend
    }))
}

fn has_feature(given: &Parameters, keys: &[&str], feature: &str, is_there: bool) -> Result<()> {
    match given.0.iter().find(|it| !is_there && keys.contains(&it.key.as_str())) {
        None => Ok(()),
        Some(parameter) => Err(wrong(format!("{parameter} needs the feature `{feature}`"))),
    }
}

/// With commas between; the first one writes.
#[cfg(feature = "encryption")]
fn key_ring(given: &crate::config::parameters::Parameter) -> Result<crate::backend::KeyRing> {
    let keys = crate::backend::KeyRing::parse(given.text.split(','));
    keys.map_err(|error| wrong(format!("{given}: {}", error.text())))
}

#[cfg(all(test, feature = "redis", feature = "zstd", feature = "encryption"))]
mod tests {
    use super::*;
    use crate::{
        backend::{KeyRing, RedisBackend},
        config::parameters::Parameter,
    };

    #[test]
    fn each_parameter_of_envelopes_is_its_method() {
        let redis = || RedisBackend::new("redis://a").expect("a URL");
        let of = || Envelope::builder(redis());
        let key = "0707070707070707070707070707070707070707070707070707070707070707";
        let keys = || KeyRing::new([7; 32]);
        let other = format!("{key}, {}", key.replace('7', "8"));
        for (given, expected) in [
            (&[("compress_above", "1KiB")][..], of().compress_above(1 << 10)),
            (&[("compress_above", "1"), ("compression_level", "9")], of().compress_above(1).compression_level(9)),
            (&[("max_decompressed_bytes", "1MiB")], of().max_decompressed_bytes(1 << 20)),
            (&[("encryption_keys", key)], of().keys(keys())),
            (&[("encryption_keys", &other)], of().keys(keys().also_read([8; 32]))),
        ] {
            let mut address = Address::parse("redis://a").expect("a URL");
            address.parameters.0.extend(given.iter().map(|(key, text)| Parameter::new(*key, *text)));
            let around = take(&mut address).expect("taken");
            assert_eq!(format!("{:?}", around(Arc::new(redis()))), format!("{:?}", expected.build()), "{given:?}");
            assert!(address.parameters.0.is_empty());
        }
    }
}
