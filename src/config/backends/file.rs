use std::sync::Arc;

use super::{Address, Make};
use crate::{
    backend::{FileBackend, FileBackendBuilder},
    config::{parameters::wrong, settings::set},
    error::Result,
};

pub(super) fn read(address: &mut Address) -> Result<Make> {
    let builder = builder(address)?;
    Ok(Box::new(move |clock| Ok(Arc::new(set(builder, clock.cloned(), FileBackendBuilder::clock).build()?))))
}

fn builder(address: &mut Address) -> Result<FileBackendBuilder> {
    // `file://localhost/path` is what RFC 8089 calls the same.
    address.hosts.retain(|host| host.name != "localhost" || host.port.is_some());
    address.has_no_host()?;
    if address.path.trim_matches('/').is_empty() {
        return Err(wrong(format!("file:// has no path: expected `{}`", address.scheme.form)));
    }
    let given = &mut address.parameters;
    // Of Flask-Caching; what they say is so in any case, or cannot be.
    given.read(&["mode"], "0600, which all files have", |it| {
        matches!(it, "0600" | "600" | "0o600" | "384").then_some(())
    })?;
    given.read(&["hash_method"], "sha256, which names all files", |it| (it == "sha256").then_some(()))?;
    let builder = set(FileBackend::builder(&address.path), given.bytes("max_bytes")?, FileBackendBuilder::max_bytes);
    let builder = set(builder, given.count(&["max_entries", "threshold"])?, FileBackendBuilder::max_entries);
    Ok(set(builder, given.yes_or_no("sync")?, FileBackendBuilder::sync))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::backends::same;

    #[test]
    fn each_parameter_of_files_is_its_method() {
        let of = || FileBackend::builder("/var/cache/app");
        same("file:///var/cache/app", builder, of());
        same("file://localhost/var/cache/app", builder, of());
        same("file:///var/cache/app?max_bytes=2GiB", builder, of().max_bytes(2 << 30));
        same("file:///var/cache/app?max_entries=5", builder, of().max_entries(5));
        same("file:///var/cache/app?threshold=5&sync=true", builder, of().max_entries(5).sync(true));
        same("file:///var/cache/app?mode=0600&hash_method=sha256", builder, of());
        same("file:///a%20b/%C3%A4@1", builder, FileBackend::builder("/a b/ä@1"));
    }
}
