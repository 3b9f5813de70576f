//! What is on the disk before it is acknowledged: which names a directory has.

use std::{fs::File, io, os::fd::AsFd, path::Path};

use rustix::fs::fsync;

/// Has the names of an open directory on the disk.
pub(super) fn sync(directory: impl AsFd) -> io::Result<()> {
    #[cfg(test)]
    tests::note(&directory);
    Ok(fsync(directory)?)
}

/// The same of the directory that a path is in.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        None => Ok(()),
        Some(parent) if parent.as_os_str().is_empty() => sync(File::open(".")?),
        Some(parent) => sync(File::open(parent)?),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fs, os::unix::fs::MetadataExt};

    use rustix::fs::fstat;

    use super::*;
    use crate::{
        backend::{FileBackend, file::store::Store},
        value::Value,
    };

    thread_local! {
        /// The directories that this thread had on the disk, by their numbers.
        static SYNCED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(directory: impl AsFd) {
        SYNCED.with_borrow_mut(|synced| synced.extend(fstat(directory).map(|about| about.st_ino)));
    }

    /// The directories that are on the disk when this is done.
    fn synced_by(work: impl FnOnce()) -> Vec<u64> {
        SYNCED.take();
        work();
        SYNCED.take()
    }

    fn number(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    /// A backend, one entry, and its file.
    fn one_entry(folder: &Path, sync: bool) -> (std::sync::Arc<Store>, std::path::PathBuf) {
        let store = FileBackend::builder(folder).sync(sync).build().unwrap().store;
        store.set("key", &Value::integer(1), None).unwrap();
        let place = crate::backend::file::place::Place::of("key");
        let file = store.folder.path().join(format!("{:02x}", place.shard)).join(&*place.name);
        assert!(file.exists());
        (store, file)
    }

    #[test]
    fn with_sync_what_a_delete_does_not_find_is_gone_from_the_disk_too() {
        for sync in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let (store, file) = one_entry(folder.path(), sync);
            let shard = number(file.parent().unwrap());
            let expected = if sync { vec![shard] } else { vec![] };
            assert_eq!(synced_by(|| assert!(store.delete("key").unwrap())), expected);
            store.set("key", &Value::integer(1), None).unwrap();
            // What another process does that makes room, or reads what expired.
            fs::remove_file(&file).unwrap();
            assert_eq!(synced_by(|| assert!(!store.delete("key").unwrap())), expected);
        }
    }

    #[test]
    fn with_sync_the_directories_are_on_the_disk_before_what_is_in_them() {
        for sync in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("made/for/it");
            let synced = synced_by(|| drop(one_entry(&path, sync)));
            let root = path.join("axum-caching");
            let shard = fs::read_dir(&root).unwrap().map(|it| it.unwrap().path()).find(|it| it.is_dir()).unwrap();
            for directory in shard.ancestors().take_while(|it| Some(*it) != folder.path().parent()) {
                assert_eq!(synced.contains(&number(directory)), sync, "{}", directory.display());
            }
            // One that is there may not be on the disk: who made it may not have waited for that.
            let synced = synced_by(|| drop(FileBackend::builder(&path).sync(sync).build().unwrap()));
            assert_eq!(synced, if sync { vec![number(&path), number(&root)] } else { vec![] });
        }
    }
}
