//! The directory of a backend, and how it is known.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use super::{
    durable::sync_parent,
    place::shard_name,
    shard::Shard,
    temp::{Temp, is_temp},
};
use crate::error::{Error, ErrorKind, Result};

/// The directory in the one that was asked for.
const NAME: &str = "axum-caching";

/// The first line is that of <https://bford.info/cachedir/>: backups leave the directory out.
const MARKER: &str = "CACHEDIR.TAG";
const MARKED: &str = "Signature: 8a477f597d28d172789f06886806bc55
# Entries of axum-caching, format 1. All in this directory may be deleted.
";

/// Files that may be changed by others would be entries that they wrote.
const OTHERS_MAY_WRITE: u32 = 0o022;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// By the system, which may be tried again.
    Io(io::Error),
    /// For good.
    Told(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { root: path.join(NAME) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    fn shard_path(&self, shard: usize) -> PathBuf {
        self.root.join(&*shard_name(shard))
    }

    /// A shard, if it is there.
    pub(super) fn shard(&self, shard: usize) -> io::Result<Option<Shard>> {
        match Shard::open(&self.shard_path(shard)) {
            Ok(shard) => Ok(Some(shard)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A shard, made if it is not there.
    pub(super) fn make_shard(&self, shard: usize, sync: bool) -> Result<Shard, Failure> {
        if let Some(shard) = self.shard(shard)? {
            return Ok(shard);
        }
        // The first of its shard, or somebody has emptied the directory.
        self.prepare(sync)?;
        let path = self.shard_path(shard);
        make(&path, false)?;
        if sync {
            Shard::open(&self.root)?.sync()?;
        }
        Ok(Shard::open(&path)?)
    }

    /// Makes the directory, or checks that it is one of ours; with `sync` it is on the disk then, and so is what it is in
    /// as far as that was made here.
    pub(super) fn prepare(&self, sync: bool) -> Result<()> {
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let missing: Vec<_> = self.root.ancestors().skip(1).take_while(is_missing).filter(|_| sync).collect();
        self.make_ours()?;
        if sync {
            self.sync_below(&missing).map_err(|error| self.broken(&error))?;
        }
        Ok(())
    }

    /// Has the directory on the disk, and those that were made for it.
    fn sync_below(&self, made: &[&Path]) -> io::Result<()> {
        for path in made.iter().rev() {
            sync_parent(path)?;
        }
        sync_parent(&self.root)?;
        Shard::open(&self.root)?.sync()
    }

    fn make_ours(&self) -> Result<()> {
        let broken = |error: io::Error| self.broken(&error);
        if let Some(parent) = self.root.parent() {
            make(parent, true).map_err(broken)?;
        }
        make(&self.root, false).map_err(broken)?;
        let about = fs::symlink_metadata(&self.root).map_err(broken)?;
        if !about.is_dir() {
            return Err(self.refusal("is no directory, expected one, and no link"));
        }
        if let Some(why) = not_ours(about.uid(), about.mode(), geteuid().as_raw()) {
            return Err(self.refusal(why));
        }
        if self.is_marked().map_err(broken)? {
            return Ok(());
        }
        // Another process may have marked it, and begun, since.
        if self.has_others().map_err(broken)? && !self.is_marked().map_err(broken)? {
            return Err(self.refusal(
                "has files, and not the marker of this cache, so that they may be somebody else's; \
                 expected an empty directory or one that a FileBackend made: empty it, or give another path",
            ));
        }
        let root = Shard::open(&self.root).map_err(broken)?;
        let temp = Temp::write(&root, MARKED.as_bytes(), 0, 0).map_err(broken)?;
        temp.sync().map_err(broken)?;
        temp.rename(MARKER).map_err(broken)?;
        // Leftovers of such as were killed in the middle of this.
        root.list().map_err(broken)?;
        Ok(())
    }

    fn is_marked(&self) -> io::Result<bool> {
        match fs::read(self.root.join(MARKER)) {
            Ok(text) => Ok(text == MARKED.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is something that this module has not made.
    fn has_others(&self) -> io::Result<bool> {
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            if !name.to_str().is_some_and(is_temp) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is free on its disk, in bytes.
    pub(super) fn free(&self) -> io::Result<u64> {
        let about = rustix::fs::statvfs(&self.root)?;
        Ok(about.f_bavail.saturating_mul(about.f_frsize))
    }

    fn refusal(&self, why: &str) -> Error {
        Error::message(ErrorKind::Config, format!("the directory {} {why}", self.root.display()))
    }

    /// An error of the directory.
    pub(super) fn broken(&self, error: &io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            io::ErrorKind::FileTooLarge => ErrorKind::TooLarge,
            _ if is_full(error) => ErrorKind::Other,
            _ => ErrorKind::Connect,
        };
        Error::message(kind, format!("the directory {}: {error}", self.root.display()))
    }
}

/// Why a directory of this owner and mode may have entries that others wrote.
fn not_ours(owner: u32, mode: u32, user: u32) -> Option<&'static str> {
    if owner != user {
        Some(
            "belongs to another user, who could put entries there; expected one of the user of this process: \
             give another path, or remove it",
        )
    } else if mode & OTHERS_MAY_WRITE != 0 {
        Some("can be written to by others, who could put entries there; empty it and `chmod go-w` it")
    } else {
        None
    }
}

/// Whether there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn make(path: &Path, with_parents: bool) -> io::Result<()> {
    match DirBuilder::new().recursive(with_parents).mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_may_write_to_a_directory() {
        for (owner, mode, user, expected) in [
            (1_000, 0o40_700, 1_000, None),
            (1_000, 0o40_755, 1_000, None),
            (0, 0o40_700, 0, None),
            (1_001, 0o40_700, 1_000, Some("belongs to another user")),
            (1_001, 0o40_777, 1_000, Some("belongs to another user")),
            (0, 0o40_755, 1_000, Some("belongs to another user")),
            (1_000, 0o40_700, 0, Some("belongs to another user")),
            (1_000, 0o40_770, 1_000, Some("can be written to by others")),
            (1_000, 0o41_777, 1_000, Some("can be written to by others")),
        ] {
            let why = not_ours(owner, mode, user);
            assert_eq!(why.is_some(), expected.is_some(), "{owner} {mode:o} {user}");
            assert!(
                why.unwrap_or_default().starts_with(expected.unwrap_or_default()),
                "{owner} {mode:o} {user}: {why:?}"
            );
        }
    }
}
