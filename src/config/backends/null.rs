use std::sync::Arc;

use super::{Address, Make};
use crate::{backend::NullBackend, error::Result};

pub(super) fn read(address: &mut Address) -> Result<Make> {
    address.has_no_host()?;
    address.has_no_path()?;
    Ok(Box::new(|_| Ok(Arc::new(NullBackend::default()))))
}
