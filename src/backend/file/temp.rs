use std::{fs::File, io, io::Write};

use arrayvec::ArrayString;
use rustix::{
    fs::{AtFlags, Mode, OFlags, fstat, openat, renameat, unlinkat},
    io::Errno,
};

use super::{
    lock::try_lock,
    place::is_digit,
    shard::{Shard, times},
};
use crate::stamps;

/// What the names of temporary files begin with, and how many digits follow.
const TEMP: &str = "tmp-";
const DIGITS: usize = 16;

/// So often a name is tried that somebody else has, or takes.
const TRIES: usize = 16;

/// A file that is not an entry yet, and is gone when this is dropped. It is locked as long as it is written, which
/// tells it from one whose writer was killed.
#[derive(Debug)]
pub(super) struct Temp<'a> {
    shard: &'a Shard,
    name: ArrayString<20>,
    file: File,
    is_renamed: bool,
}

impl<'a> Temp<'a> {
    /// Writes all of a file.
    pub(super) fn write(shard: &'a Shard, bytes: &[u8], now: u64, expires: u64) -> io::Result<Self> {
        let mut temp = Self::new(shard)?;
        temp.file.write_all(bytes)?;
        // Hints for eviction: not every file system has them.
        let _ = temp.file.set_times(times(now, expires));
        Ok(temp)
    }

    fn new(shard: &'a Shard) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..TRIES {
            let name = name();
            let file = match openat(&shard.dir, &*name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => File::from(file),
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error.into()),
            };
            // Somebody may have taken it for a leftover before it was locked.
            if try_lock(&file)? && fstat(&file)?.st_nlink > 0 {
                return Ok(Self { shard, name, file, is_renamed: false });
            }
        }
        Err(io::Error::other("no name for a temporary file"))
    }

    /// Has the content on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Makes it the file of that name, in place of whatever is there.
    pub(super) fn rename(mut self, name: &str) -> io::Result<()> {
        self.rename_over(name)
    }

    /// The same over another file, whose name this gets for a moment.
    ///
    /// ext4 begins to write out a file that is renamed over another (`auto_da_alloc`), which takes eight times as long
    /// as all the rest. Where the two are exchanged it does not. Whether what is found after a power cut is whole is
    /// for the checksum to say.
    #[cfg(target_os = "linux")]
    pub(super) fn exchange(mut self, name: &str) -> io::Result<()> {
        use rustix::fs::{RenameFlags, renameat_with};

        match renameat_with(&self.shard.dir, &*self.name, &self.shard.dir, name, RenameFlags::EXCHANGE) {
            // Dropping this removes what has its name now.
            Ok(()) => Ok(()),
            // Not every file system can.
            Err(_) => self.rename_over(name),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn exchange(self, name: &str) -> io::Result<()> {
        self.rename(name)
    }

    fn rename_over(&mut self, name: &str) -> io::Result<()> {
        renameat(&self.shard.dir, &*self.name, &self.shard.dir, name)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if !self.is_renamed {
            // What stays is found by its lock.
            let _ = unlinkat(&self.shard.dir, &*self.name, AtFlags::empty());
        }
    }
}

/// Whether a temporary file may have this name. What others call so that it only begins alike is theirs.
pub(super) fn is_temp(name: &str) -> bool {
    let digits = name.strip_prefix(TEMP).unwrap_or_default();
    digits.len() == DIGITS && digits.bytes().all(is_digit)
}

fn name() -> ArrayString<20> {
    let mut name = ArrayString::from(TEMP).expect("4 of 20 bytes");
    for byte in stamps::fresh().to_be_bytes() {
        for digit in [byte >> 4, byte & 15] {
            name.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_names_that_are_given_are_known_again_and_no_others() {
        for _ in 0..100 {
            assert!(is_temp(&name()));
        }
        for other in
            ["", "tmp-", "tmp-notes.txt", "tmp-0123456789abcde", "tmp-0123456789abcdef0", "TMP-0123456789abcdef"]
        {
            assert!(!is_temp(other), "{other}");
        }
    }

    #[test]
    fn a_file_that_is_being_written_is_no_leftover_and_one_whose_writer_is_gone_is() {
        let folder = tempfile::tempdir().unwrap();
        let shard = Shard::open(folder.path()).unwrap();
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let temp = Temp::write(&shard, b"whole", 0, 0).unwrap();
        fs::write(folder.path().join("tmp-0123456789abcdef"), "half").unwrap();
        assert_eq!(names(), 2);

        assert_eq!(shard.list().unwrap(), []);
        assert_eq!(names(), 1);
        temp.rename("0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(shard.list().unwrap().len(), 1);
        drop(Temp::write(&shard, b"given up", 0, 0).unwrap());
        assert_eq!(names(), 1);
    }
}
