//! Several backends, one behind the other.

use super::{Address, Make};
use crate::{config::parameters::wrong, error::Result};

/// What makes the one backend of these addresses.
pub(in crate::config) fn read(mut addresses: Vec<Address>) -> Result<Make> {
    match (addresses.pop(), addresses.len()) {
        (Some(only), 0) => super::read(only),
        (None, _) => Err(wrong("there is no URL; expected one, as `memory://`")),
        (Some(_), others) => Err(wrong(format!("{} backends, expected one: there are no tiers so far", others + 1))),
    }
}
