use std::sync::Arc;

use super::{Address, Make};
use crate::{
    backend::{MemoryBackend, MemoryBackendBuilder},
    config::{parameters::wrong, settings::set},
    error::Result,
};

pub(super) fn read(address: &mut Address) -> Result<Make> {
    let builder = builder(address)?;
    Ok(Box::new(move |clock| Ok(Arc::new(set(builder, clock.cloned(), MemoryBackendBuilder::clock).build()))))
}

fn builder(address: &mut Address) -> Result<MemoryBackendBuilder> {
    address.has_no_host()?;
    address.has_no_path()?;
    let given = &mut address.parameters;
    for key in ["lag", "backplane"] {
        if let Some(given) = given.take(&[key])? {
            return Err(wrong(format!(
                "{given} means nothing without a second tier, as in `memory://?lag=1s + redis://host`"
            )));
        }
    }
    let builder = set(MemoryBackend::builder(), given.bytes("max_bytes")?, MemoryBackendBuilder::max_bytes);
    Ok(set(builder, given.count(&["max_entries", "threshold"])?, MemoryBackendBuilder::max_entries))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::backends::same;

    #[test]
    fn each_parameter_of_memory_is_its_method() {
        let of = MemoryBackend::builder;
        same("memory://", builder, of());
        same("memory://?max_bytes=1MiB", builder, of().max_bytes(1 << 20));
        same("memory://?max_entries=7", builder, of().max_entries(7));
        same("MEMORY:///?threshold=7&max_bytes=9", builder, of().max_entries(7).max_bytes(9));
    }
}
