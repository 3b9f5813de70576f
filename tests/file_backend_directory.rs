//! The directory of the backend in files: whose it may be, and what in it belongs to others.
#![cfg(all(feature = "file", unix))]

mod files;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
};

use axum_caching::{Backend, ErrorKind, FileBackend};
use files::{backend, counted, entries, file_of, given_folder, in_shell, text, until};

#[tokio::test]
async fn a_directory_that_belongs_to_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let directory = FileBackend::new(folder.path()).unwrap().directory().to_owned();
    let owner = fs::metadata(&directory).unwrap().uid();
    // Only root gives files away. What anybody else has made is theirs, so that there is nothing to refuse;
    // `only_the_owner_may_write_to_a_directory` is for them.
    if chown(&directory, Some(owner + 1_000), None).is_err() {
        assert_ne!(owner, 0);
        return;
    }
    for mode in [0o700, 0o755] {
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
        let error = FileBackend::new(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let said = error.to_string();
        assert!(said.contains("belongs to another user") && said.contains("give another path"), "{said}");
        assert!(said.contains(&directory.display().to_string()), "{said}");
    }
    chown(&directory, Some(owner), None).unwrap();
    FileBackend::new(folder.path()).unwrap();
}

#[tokio::test]
async fn names_that_only_begin_like_those_of_temporary_files_are_left_alone() {
    let (folder, backend, _) = backend();
    let shard = file_of(&backend, "key").await.parent().unwrap().to_owned();
    let names = ["tmp-notes.txt", "tmp-", "tmp-0123456789abcde", "tmp-0123456789abcdef0", "tmp-0123456789ABCDEF"];
    for name in names {
        fs::write(shard.join(name), "not of the cache").unwrap();
    }
    fs::write(shard.join("tmp-0123456789abcdef"), "what a killed process left").unwrap();
    backend.clear("").await.unwrap();
    for name in names {
        assert_eq!(fs::read_to_string(shard.join(name)).unwrap(), "not of the cache", "{name}");
    }
    assert!(!shard.join("tmp-0123456789abcdef").exists());

    for name in names {
        let own = folder.path().join(name).join("axum-caching");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join(name), "not of the cache").unwrap();
        let error = FileBackend::new(own.parent().unwrap()).unwrap_err();
        assert!(error.to_string().contains("expected an empty directory"), "{name}: {error}");
        assert_eq!(fs::read_to_string(own.join(name)).unwrap(), "not of the cache", "{name}");
    }
    let own = folder.path().join("begun/axum-caching");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("tmp-0123456789abcdef"), "what a killed process left").unwrap();
    FileBackend::new(own.parent().unwrap()).unwrap();
    assert!(!own.join("tmp-0123456789abcdef").exists());
}

#[tokio::test]
async fn a_directory_with_the_name_of_an_entry_stays_and_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(folder.path()).max_entries(5).build().unwrap();
    let file = file_of(&backend, "key").await;
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    fs::write(file.join("notes"), "not of the cache").unwrap();
    // It is older than all else, and so the first in the order of eviction.
    let old = fs::FileTimes::new().set_accessed(std::time::UNIX_EPOCH).set_modified(std::time::UNIX_EPOCH);
    fs::File::open(&file).unwrap().set_times(old).unwrap();
    for number in 0..50 {
        backend.set(&number.to_string(), text("1"), None).await.unwrap();
        assert!(backend.entries() <= 5, "{} of 5", backend.entries());
    }
    assert!(!backend.delete("key").await.unwrap());
    for prefix in ["4", ""] {
        backend.clear(prefix).await.unwrap();
    }
    assert_eq!(backend.entries(), 0);
    assert_eq!(fs::read_to_string(file.join("notes")).unwrap(), "not of the cache");
}

#[tokio::test]
async fn a_part_that_cannot_be_listed_keeps_no_other_from_being_counted_and_kept_small() {
    let folder = tempfile::tempdir().unwrap();
    let first = FileBackend::new(folder.path()).unwrap();
    let broken = file_of(&first, "broken").await.parent().unwrap().to_owned();
    let mut keys: Vec<_> = (0..200).map(|number| format!("key {number}")).collect();
    for key in &keys {
        first.set(key, text("1"), None).await.unwrap();
    }
    fs::remove_dir_all(&broken).unwrap();
    fs::write(&broken, "a file in its place").unwrap();

    let backend = FileBackend::builder(folder.path()).max_entries(100).build().unwrap();
    counted(&backend).await;
    until("the rest is removed", || entries(&backend).len() <= 100).await;
    keys.clear();
    for number in 0..50 {
        // Those of the broken part cannot be stored.
        let _ = backend.set(&format!("later {number}"), text("1"), None).await;
        assert!(backend.entries() <= 100, "{} of 100", backend.entries());
    }
    let (counted, there) = (backend.entries(), entries(&backend).len());
    assert!(counted <= 100 && there <= 100, "{counted} counted, {there} there");
    assert!(backend.clear("").await.is_err(), "what cannot be looked at may be there");
    assert_eq!(entries(&backend).len(), 0, "but the others are cleared");
}

#[test]
fn a_clear_that_cannot_read_an_entry_does_not_say_that_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    // Root reads everything, unless it gives that up.
    let limits = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"];
    let wrapper = if fs::metadata(folder.path()).unwrap().uid() == 0 { &limits[..] } else { &["env"] };
    let output = in_shell(wrapper, ":", "an_entry_that_cannot_be_read", folder.path()).output();
    let output = output.expect("`setpriv` of the package util-linux");
    assert!(output.status.success(), "{}{}", text_of(&output.stdout), text_of(&output.stderr));
}

fn text_of(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[tokio::test]
#[ignore = "a process that another test takes rights from"]
async fn an_entry_that_cannot_be_read() {
    let backend = FileBackend::new(given_folder()).unwrap();
    let file = file_of(&backend, "page/1").await;
    for key in ["page/2", "page/3", "other"] {
        backend.set(key, text("1"), None).await.unwrap();
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).unwrap();
    assert_eq!(fs::File::open(&file).unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    let error = backend.clear("page/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("denied"), "{error}");
    for (key, is_there) in [("page/2", false), ("page/3", false), ("other", true)] {
        assert_eq!(backend.has(key).await.unwrap(), is_there, "{key}: all that can be done is");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    backend.clear("page/").await.unwrap();
    assert!(!file.exists());
}
