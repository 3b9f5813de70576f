use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize},
    },
};

use super::{FileBackend, folder::Folder, place::SHARDS, room, store::Store, tally::Tally, work::Work};
use crate::{clock::Clock, error::Result, stamps};

/// Settings of a [`FileBackend`].
///
/// # Examples
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path();
/// use axum_caching::FileBackend;
///
/// let backend = FileBackend::builder(path).max_bytes(10 << 30).max_entries(1_000_000).build().unwrap();
/// assert_eq!(backend.max_bytes(), 10 << 30);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct FileBackendBuilder {
    path: PathBuf,
    max_bytes: u64,
    max_entries: u64,
    sync: bool,
    clock: Clock,
}

impl FileBackendBuilder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), max_bytes: 1 << 30, max_entries: 100_000, sync: false, clock: Clock::system() }
    }

    /// What the files may take of the disk, in blocks of 4 KiB. 1 GiB by default.
    ///
    /// Processes that share a directory are given the same bounds: the lowest one is kept to.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many entries are kept (`CACHE_THRESHOLD`). 100 000 by default.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// Whether each change is on the disk before it is acknowledged (`fsync` of the file and of its directory), so that
    /// stores and purges survive a power cut; also a purge of what another process has just removed. `false` by default: it costs what the disk takes for it, milliseconds.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path();
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use axum_caching::{Cache, FileBackend, Ttl};
    ///
    /// let cache = Cache::new(FileBackend::builder(path).sync(true).build()?);
    /// cache.set("answer", &42, Ttl::Forever).await?;
    /// assert!(cache.delete("answer").await?);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// # std::io::Result::Ok(())
    /// ```
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// The clock that expiry goes by; the clock of the machine by default.
    ///
    /// A test gives the backend and the cache the same one.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The backend. A bound of 0 counts as 1.
    ///
    /// # Errors
    ///
    /// As [`FileBackend::new`].
    pub fn build(self) -> Result<FileBackend> {
        let folder = Folder::new(&self.path);
        folder.prepare(self.sync)?;
        // Processes that begin together begin to list at different shards.
        let first = usize::try_from(stamps::fresh() % SHARDS as u64).unwrap_or(0);
        let store = Arc::new(Store {
            folder,
            clock: self.clock,
            tally: Tally::new(),
            max_bytes: self.max_bytes.max(1),
            max_entries: self.max_entries.max(1),
            sync: self.sync,
            room: Mutex::new(()),
            rounds: AtomicU64::new(0),
            next: AtomicUsize::new(first),
            stores: AtomicU64::new(0),
        });
        room::count(Arc::downgrade(&store));
        Ok(FileBackend { store, work: Work::new() })
    }
}
