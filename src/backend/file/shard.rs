//! One directory of entries: what is done to its files. Names are looked up in the directory itself and links are never
//! followed, so that nothing outside is read, written or deleted.

use std::{
    fs::{File, FileTimes},
    io::{self, Read},
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat, unlinkat},
    io::Errno,
};

use super::{
    durable,
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
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self { dir: rustix::fs::open(path, flags, Mode::empty())? })
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
        let about = fstat(&file)?;
        if !kind(&about).is_file() || length(&about) > largest {
            return Ok(Content::Unusable);
        }
        // Cut off, of a length that nobody has written, or the disk is bad there.
        let bytes = read_whole(&file, length(&about));
        Ok(bytes.map_or(Content::Unusable, |bytes| Content::Bytes(bytes, Used { file, at: used(&about) })))
    }

    /// When an entry ends and its key, which nothing has checked; `None` for what is no entry.
    pub(super) fn read_key(&self, name: &str) -> io::Result<Option<(u64, Vec<u8>)>> {
        let file = match self.file(name) {
            Ok(file) => file,
            Err(error) => {
                let is_none = matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::LOOP | Errno::NXIO));
                return if is_none { Ok(None) } else { Err(error) };
            }
        };
        if !kind(&fstat(&file)?).is_file() {
            return Ok(None);
        }
        match key_of(&file) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            key => key,
        }
    }

    /// What a name takes of the disk, if there is something; a directory is nothing that can be an entry or be removed.
    pub(super) fn weight(&self, name: &str) -> io::Result<Option<u64>> {
        match statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => Ok(Some(bytes(&about)).filter(|_| !kind(&about).is_dir())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a name; says whether it was there.
    pub(super) fn unlink(&self, name: &str) -> io::Result<bool> {
        match unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the names of this directory on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        durable::sync(&self.dir)
    }

    /// All entries. What others left behind that were killed while they wrote is removed on the way.
    pub(super) fn list(&self) -> io::Result<Vec<Listed>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if is_temp(name) {
                self.sweep(name);
            } else if let Some(name) = entry_name(name) {
                // One that is gone by now, or is a directory, is none.
                entries.extend(self.look(name));
            }
        }
        Ok(entries)
    }

    /// What is under a name now, as `list` has it.
    pub(super) fn look(&self, name: Name) -> Option<Listed> {
        let about = statat(&self.dir, &*name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        if kind(&about).is_dir() {
            return None;
        }
        Some(Listed { name, bytes: bytes(&about), used: used(&about), ends: ends(&about) })
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

fn key_of(mut file: &File) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut head = [0; HEAD];
    file.read_exact(&mut head)?;
    let Some(head) = format::head(&head) else { return Ok(None) };
    let mut key = vec![0; head.key];
    file.read_exact(&mut key)?;
    Ok(Some((head.expires, key)))
}

fn absent_or(error: io::Error) -> io::Result<Content> {
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => Ok(Content::Absent),
        // A link, a socket, somebody else's, a bad place of the disk.
        Some(Errno::LOOP | Errno::NXIO | Errno::ACCESS | Errno::PERM | Errno::IO) => Ok(Content::Unusable),
        _ => Err(error),
    }
}

fn kind(about: &Stat) -> FileType {
    FileType::from_raw_mode(about.st_mode)
}

fn length(about: &Stat) -> u64 {
    u64::try_from(about.st_size).unwrap_or(0)
}

/// What it takes of the disk; links and the like take nothing.
fn bytes(about: &Stat) -> u64 {
    if kind(about).is_file() { weight(length(about)) } else { 0 }
}

fn used(about: &Stat) -> u64 {
    millis(about.st_atime, about.st_atime_nsec)
}

fn ends(about: &Stat) -> u64 {
    millis(about.st_mtime, about.st_mtime_nsec)
}

/// Systems have these numbers in several types.
fn millis(seconds: impl TryInto<i64>, nanos: impl TryInto<i64>) -> u64 {
    let (seconds, nanos) = (seconds.try_into().unwrap_or(0), nanos.try_into().unwrap_or(0));
    u64::try_from(seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)).unwrap_or(0)
}

fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::backend::file::place::Place;

    /// The file of an entry in a directory.
    fn put(path: &Path, key: &str) -> Name {
        let name = Place::of(key).name;
        fs::write(path.join(&*name), format::encode(key, b"value", 7).unwrap()).unwrap();
        name
    }

    #[test]
    fn a_directory_that_another_takes_the_place_of_is_still_the_one_that_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let (path, aside) = (folder.path().join("shard"), folder.path().join("aside"));
        fs::create_dir(&path).unwrap();
        let name = put(&path, "ours");
        fs::write(path.join("tmp-0123456789abcdef"), "half").unwrap();
        let shard = Shard::open(&path).unwrap();
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        let other = put(&path, "theirs");
        fs::write(path.join("tmp-0123456789abcdef"), "half").unwrap();

        let names: Vec<_> = shard.list().unwrap().iter().map(|entry| entry.name).collect();
        assert_eq!(names, [name]);
        assert!(shard.look(name).is_some() && shard.look(other).is_none());
        assert!(!aside.join("tmp-0123456789abcdef").exists() && path.join("tmp-0123456789abcdef").exists());
        assert_eq!(shard.list().unwrap().len(), 1, "and it can be listed again");
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_what_is_no_entry_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let name = put(folder.path(), "key");
        fs::write(folder.path().join("short"), "axc").unwrap();
        fs::write(folder.path().join("text"), "x".repeat(100)).unwrap();
        fs::create_dir(folder.path().join("directory")).unwrap();
        symlink(&*name, folder.path().join("link")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap());
        let shard = Shard::open(folder.path()).unwrap();
        assert_eq!(shard.read_key(&name).unwrap(), Some((7, b"key".to_vec())));
        for none in ["nothing", "short", "text", "directory", "link", "socket"] {
            assert_eq!(shard.read_key(none).unwrap(), None, "{none}");
        }
        // Below a file there is nothing to be found, which is not to say that nothing is there.
        assert_eq!(shard.read_key("text/below").unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }
}
