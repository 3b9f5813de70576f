//! The directory of the backend in files: whose it may be, and what in it belongs to others.
#![cfg(all(feature = "file", unix))]

mod files;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
};

use axum_caching::{ErrorKind, FileBackend};

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
