//! Entries in files: one each, in a directory that processes share.

mod builder;
mod durable;
mod folder;
mod format;
mod lock;
mod place;
mod room;
mod shard;
mod store;
mod tally;
mod temp;
mod work;

use std::{
    fmt,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

pub use self::builder::FileBackendBuilder;
use self::{store::Store, work::Work};
use super::{Backend, BackendFuture, Usage};
use crate::{error::Result, value::Value};

/// Entries in files below a directory, up to 1 GiB and 100 000 entries (`FileSystemCache` in Flask-Caching).
///
/// Feature `file`; for Unix. Entries survive the process, and processes of one machine share them: clones of a backend,
/// backends of the same path, and those of other processes. Each change is made under a lock of the file system, so
/// that [`add`](Backend::add), [`increment`](Backend::increment) and [`compare_and_set`](Backend::compare_and_set) are
/// atomic between processes and purges win against fills of all of them. A process that is killed leaves no lock
/// behind; one that is stopped in the middle of a change makes changes to a 64th of the keys an
/// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout): those that wait, after 2 seconds, and the next ones, until it goes
/// on, after 20 milliseconds. Reads take no lock.
///
/// # Files
///
/// A path is given a directory `axum-caching`, with a marker (`CACHEDIR.TAG`, so that backups leave it out) and 64
/// directories of entries. A directory of that name that is not empty and has no marker is refused, and so is one that
/// belongs to another user than that of the process or that others may write to. What has not the name of an entry is never touched, and links are not followed. Directories
/// are made with mode 0700, files with 0600.
///
/// A file has a version, the whole key, the end of its life and a checksum of all that. It is written under another
/// name and then renamed, so that whoever reads sees the one value or the other. A file that is anything else than the
/// entry of the key that is asked for, cut off, damaged or put there by somebody, is absent, counted
/// ([`damaged`](FileBackend::damaged)) and removed. One that a killed process did not finish is removed when its
/// directory is listed, which is at the start and now and then.
///
/// The file system needs locks (`flock`) and renames that are atomic. Local ones have both; those of a network may not.
///
/// # After a power cut
///
/// What was acknowledged survives the end of the process. It survives the end of the machine with
/// [`sync`](FileBackendBuilder::sync) only: without it the changes of the last half minute or so may be undone or
/// lost. Nothing that is torn is served, but a purge may be among what is undone.
///
/// # Bounds
///
/// An entry counts as its file does, in blocks of 4 KiB. When a bound is reached, entries go that were not used for the
/// longest time: exactly so among 512 entries, about so among more, and to the second. A store that reaches a bound
/// makes room before it is acknowledged; one on a disk that is full makes as much room as it needs, where there is as much,
/// and tries again. What cannot be removed is passed over, as are entries that a stopped process holds. What expired goes
/// first, when it is read, and a few at a time as others are stored. Integers go like everything else.
///
/// A process counts the directory at the start, on a thread of its own, and then adds its own changes. What others
/// change it learns when it makes room, and by counting one of the 64 directories anew at each 64th store (or sixteenth
/// of the entries of one, if that is more). So where several store much at once, the bounds are exceeded by what the
/// others store in that time.
///
/// # Threads
///
/// The work is done on the threads of tokio for blocking work, 32 reads and 16 changes at once; more wait. Where there
/// is no runtime of tokio, it is done by the thread that polls.
///
/// # Cancel safety
///
/// A future that is dropped has done nothing, or what it began is done whole. No lock stays.
///
/// # Examples
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path();
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use axum_caching::{Cache, FileBackend, Ttl};
///
/// let cache = Cache::new(FileBackend::new(path)?);
/// cache.set("answer", &42, Ttl::Default).await?;
///
/// // Another process, or this one after a restart.
/// let cache = Cache::new(FileBackend::builder(path).max_bytes(64 << 20).build()?);
/// assert_eq!(cache.get("answer").await?, Some(42));
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
#[doc(alias = "FileSystemCache")]
pub struct FileBackend {
    store: Arc<Store>,
    work: Work,
}

impl FileBackend {
    /// A backend with the defaults: 1 GiB, 100 000 entries, the clock of the machine, no `sync`.
    ///
    /// Makes the directory if it is not there, which is the one thing here that waits for the disk in its caller.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the directory has files of somebody else, belongs to another
    /// user or can be written to by others, [`ErrorKind::Connect`](crate::ErrorKind::Connect) if it cannot be made or read.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum_caching::{ErrorKind, FileBackend};
    ///
    /// let error = FileBackend::new("/dev/null").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Connect);
    /// ```
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).build()
    }

    /// Starts from the defaults: 1 GiB, 100 000 entries, the clock of the machine, no `sync`.
    pub fn builder(path: impl AsRef<Path>) -> FileBackendBuilder {
        FileBackendBuilder::new(path.as_ref())
    }

    /// The directory that has the entries.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path();
    /// let backend = axum_caching::FileBackend::new(path).unwrap();
    /// assert_eq!(backend.directory(), path.join("axum-caching"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn directory(&self) -> &Path {
        self.store.folder.path()
    }

    /// About how many entries are kept, those that expired and were not removed yet included.
    pub fn entries(&self) -> u64 {
        self.store.tally.entries()
    }

    /// About how many bytes of the disk the entries take.
    pub fn weight(&self) -> u64 {
        self.store.tally.bytes()
    }

    /// The bound that [`weight`](FileBackend::weight) keeps to, and what one entry may take. More is
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub fn max_bytes(&self) -> u64 {
        self.store.max_bytes
    }

    /// How many entries had to make room for others, ever, in this process.
    pub fn evictions(&self) -> u64 {
        self.store.tally.evictions.load(Ordering::Relaxed)
    }

    /// How often a file was read that was no entry, or another key's: damaged, cut off, put there.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path();
    /// assert_eq!(axum_caching::FileBackend::new(path).unwrap().damaged(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn damaged(&self) -> u64 {
        self.store.tally.damaged.load(Ordering::Relaxed)
    }

    fn read<T: Send + 'static>(&self, job: impl FnOnce(&Store) -> Result<T> + Send + 'static) -> BackendFuture<'_, T> {
        let store = Arc::clone(&self.store);
        BackendFuture::new(self.work.read(move || job(&store)))
    }

    fn write<T: Send + 'static>(&self, job: impl FnOnce(&Store) -> Result<T> + Send + 'static) -> BackendFuture<'_, T> {
        let store = Arc::clone(&self.store);
        BackendFuture::new(self.work.write(move || job(&store)))
    }
}

impl Backend for FileBackend {
    fn compares(&self) -> bool {
        true
    }

    /// `None` until the directory was counted.
    fn usage(&self) -> Option<Usage> {
        let is_whole = self.store.tally.is_whole.load(Ordering::Acquire);
        is_whole.then(|| Usage::new(self.entries(), self.weight(), self.evictions()))
    }

    fn get<'a>(&'a self, key: &'a str) -> BackendFuture<'a, Option<Value>> {
        let key = key.to_owned();
        self.read(move |store| store.get(&key))
    }

    fn set<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        let key = key.to_owned();
        self.write(move |store| store.set(&key, &value, ttl))
    }

    fn add<'a>(&'a self, key: &'a str, value: Value, ttl: Option<Duration>) -> BackendFuture<'a, bool> {
        let key = key.to_owned();
        self.write(move |store| store.add(&key, &value, ttl))
    }

    fn delete<'a>(&'a self, key: &'a str) -> BackendFuture<'a, bool> {
        let key = key.to_owned();
        self.write(move |store| store.delete(&key))
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64) -> BackendFuture<'a, i64> {
        let key = key.to_owned();
        self.write(move |store| store.increment(&key, by))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> BackendFuture<'a, ()> {
        let prefix = prefix.to_owned();
        self.write(move |store| store.clear(&prefix))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        value: Value,
        ttl: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        let (key, token) = (key.to_owned(), token.to_vec());
        self.write(move |store| store.compare_and_set(&key, &token, &value, ttl))
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        let keys = owned(keys);
        self.read(move |store| keys.iter().map(|key| store.get(key)).collect())
    }

    fn set_many<'a>(&'a self, entries: &'a [(&'a str, Value)], ttl: Option<Duration>) -> BackendFuture<'a, ()> {
        let entries: Vec<_> = entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        self.write(move |store| entries.iter().try_for_each(|(key, value)| store.set(key, value, ttl)))
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        let keys = owned(keys);
        self.write(move |store| keys.iter().try_fold(0, |deleted, key| Ok(deleted + usize::from(store.delete(key)?))))
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

impl fmt::Debug for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBackend")
            .field("directory", &self.directory())
            .field("entries", &self.entries())
            .field("weight", &self.weight())
            .field("max_bytes", &self.max_bytes())
            .finish_non_exhaustive()
    }
}
