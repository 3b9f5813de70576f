//! One directory of entries: what is done to its files. Names are looked up in the directory itself and links are never
//! followed, so that nothing outside is read, written or deleted.

use std::{
    fs::{self, File, FileTimes, Metadata},
    io::{self, Read},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fsync, openat, statat, unlinkat};

use super::{
    format::{self, HEAD},
    lock::is_free,
    place::{Name, entry_name},
    temp::is_temp,
};

/// An entry that is used is marked so once in that time, in milliseconds: that is how exact the order of eviction is.
const MARK: u64 = 1_000;

/// Ends beyond this (the year 2445) are not written as times of files: file systems do not count so far.
const LAST: u64 = 15_000_000_000_000;

/// What a file takes of a disk is a multiple of this.
const BLOCK: u64 = 4_096;

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) dir: OwnedFd,
    path: PathBuf,
}

/// What is under a name.
#[derive(Debug)]
pub(super) enum Content {
    Absent,
    /// Something that cannot be an entry, or not be read.
    Unusable,
    Bytes(Vec<u8>, Used),
}

/// An open file, and when its entry was used.
#[derive(Debug)]
pub(super) struct Used {
    file: File,
    at: u64,
}

/// A file that has the name of an entry. Its times are hints: they say what goes first, and never what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: Name,
    pub(super) bytes: u64,
    pub(super) used: u64,
    /// When it expires; 0 if that is not known.
    pub(super) ends: u64,
}

impl Shard {
    /// Opens a directory that is there.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { dir, path })
    }

    fn file(&self, name: &str) -> io::Result<File> {
        // A pipe of that name would be waited for, but for `NONBLOCK`.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // When it is used is written by `Used::mark` alone.
        #[cfg(target_os = "linux")]
        let flags = flags | OFlags::NOATIME;
        Ok(File::from(openat(&self.dir, name, flags, Mode::empty())?))
    }

    /// All that is under a name, if it is no more than so many bytes.
    pub(super) fn read(&self, name: &str, largest: u64) -> io::Result<Content> {
        let file = match self.file(name) {
            Ok(file) => file,
            Err(error) => return absent_or(error),
        };
        let about = file.metadata()?;
        if !about.is_file() || about.len() > largest {
            return Ok(Content::Unusable);
        }
        // Cut off, of a length that nobody has written, or the disk is bad there.
        let bytes = read_whole(&file, about.len());
        Ok(bytes.map_or(Content::Unusable, |bytes| Content::Bytes(bytes, Used { file, at: used(&about) })))
    }

    /// The head of an entry and its key, which nothing has checked.
    pub(super) fn read_key(&self, name: &str) -> Option<(u64, Vec<u8>)> {
        let file = self.file(name).ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut head = [0; HEAD];
        (&file).read_exact(&mut head).ok()?;
        let head = format::head(&head)?;
        let mut key = vec![0; head.key];
        (&file).read_exact(&mut key).ok()?;
        Some((head.expires, key))
    }

    /// What a name takes of the disk, if there is something.
    pub(super) fn weight(&self, name: &str) -> io::Result<Option<u64>> {
        match statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => {
                let is_file = FileType::from_raw_mode(about.st_mode).is_file();
                let length = u64::try_from(about.st_size).unwrap_or(0);
                Ok(Some(if is_file { weight(length) } else { 0 }))
            }
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a name; says whether it was there.
    pub(super) fn unlink(&self, name: &str) -> io::Result<bool> {
        match unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the names of this directory on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.dir)?)
    }

    /// All entries. What others left behind that were killed while they wrote is removed on the way.
    pub(super) fn list(&self) -> io::Result<Vec<Listed>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if is_temp(name) {
                self.sweep(name);
            } else if let Some(name) = entry_name(name) {
                // One that is gone by now is none.
                entries.extend(entry.metadata().ok().map(|about| listed(name, &about)));
            }
        }
        Ok(entries)
    }

    /// What is under a name now, as `list` has it.
    pub(super) fn look(&self, name: Name) -> Option<Listed> {
        fs::symlink_metadata(self.path.join(&*name)).ok().map(|about| listed(name, &about))
    }

    /// Removes a temporary file whose writer is gone: the lock went with it.
    fn sweep(&self, name: &str) {
        let Ok(file) = self.file(name) else { return };
        if is_free(&file) {
            // What cannot be removed now can be the next time.
            let _ = self.unlink(name);
        }
    }
}

impl Used {
    /// Notes that the entry is used, if that was not noted a moment ago.
    pub(super) fn mark(&self, now: u64) {
        if now.abs_diff(self.at) >= MARK {
            // A hint for eviction, and the directory may be read-only.
            let _ = self.file.set_times(FileTimes::new().set_accessed(time(now)));
        }
    }
}

/// The times of a file as `list` reads them.
pub(super) fn times(now: u64, expires: u64) -> FileTimes {
    let ends = if expires > LAST { 0 } else { expires };
    FileTimes::new().set_accessed(time(now)).set_modified(time(ends))
}

/// What a file of so many bytes takes of a disk.
pub(super) fn weight(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// All of a file, if it says itself that it is so long.
fn read_whole(mut file: &File, length: u64) -> Option<Vec<u8>> {
    let mut head = [0; HEAD];
    file.read_exact(&mut head).ok()?;
    if format::head(&head)?.length() != Some(length) {
        return None;
    }
    let length = usize::try_from(length).ok()?;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&head);
    bytes.resize(length, 0);
    file.read_exact(&mut bytes[HEAD..]).ok()?;
    Some(bytes)
}

fn absent_or(error: io::Error) -> io::Result<Content> {
    use rustix::io::Errno;

    match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => Ok(Content::Absent),
        // A link, a socket, somebody else's, a bad place of the disk.
        Some(Errno::LOOP | Errno::NXIO | Errno::ACCESS | Errno::PERM | Errno::IO) => Ok(Content::Unusable),
        _ => Err(error),
    }
}

fn listed(name: Name, about: &Metadata) -> Listed {
    let bytes = if about.is_file() { weight(about.len()) } else { 0 };
    Listed { name, bytes, used: used(about), ends: millis(about.mtime(), about.mtime_nsec()) }
}

fn used(about: &Metadata) -> u64 {
    millis(about.atime(), about.atime_nsec())
}

fn millis(seconds: i64, nanos: i64) -> u64 {
    u64::try_from(seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)).unwrap_or(0)
}

fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}
