//! Files that are no entries of ours: whatever they are, they are absent.
#![cfg(all(feature = "file", unix))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;

use std::{
    fs,
    path::{Path, PathBuf},
};

use axum_caching::{Backend, FileBackend};
use files::{backend, file_of, leftovers, read, text};
use proptest::prelude::*;
use tokio::runtime::Runtime;

const VALUE: &[u8] = b"a value that is worth to be kept";

/// A backend, one entry, and its file.
async fn one_entry() -> (tempfile::TempDir, FileBackend, PathBuf, Vec<u8>) {
    let (folder, backend, _) = backend();
    let file = file_of(&backend, "key").await;
    backend.set("key", text(VALUE), None).await.unwrap();
    let whole = fs::read(&file).unwrap();
    (folder, backend, file, whole)
}

/// What is in the file is absent, counted and removed.
async fn is_a_miss(backend: &FileBackend, file: &Path, bytes: &[u8], what: &str) {
    let before = backend.damaged();
    fs::write(file, bytes).unwrap();
    assert_eq!(read(backend, "key").await, None, "{what}");
    assert_eq!(backend.damaged(), before + 1, "{what}");
    assert!(!file.exists(), "{what}");
}

#[tokio::test]
async fn a_file_that_was_cut_off_anywhere_is_a_miss() {
    let (_folder, backend, file, whole) = one_entry().await;
    for length in 0..whole.len() {
        is_a_miss(&backend, &file, &whole[..length], &format!("{length} bytes")).await;
    }
    let longer = [&whole[..], b"!"].concat();
    is_a_miss(&backend, &file, &longer, "one byte more").await;
}

#[tokio::test]
async fn a_file_with_any_bit_flipped_is_a_miss() {
    let (_folder, backend, file, whole) = one_entry().await;
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        is_a_miss(&backend, &file, &flipped, &format!("byte {at}")).await;
    }
}

#[tokio::test]
async fn what_somebody_else_put_there_is_a_miss() {
    let (_folder, backend, file, whole) = one_entry().await;
    // What is left of a file that was not on the disk when the power failed.
    is_a_miss(&backend, &file, &vec![0; whole.len()], "zeros").await;
    is_a_miss(&backend, &file, b"", "nothing").await;
    is_a_miss(&backend, &file, b"<html>not of a cache</html>", "a page").await;
    let mut newer = whole.clone();
    newer[7] += 1;
    is_a_miss(&backend, &file, &newer, "another version").await;
    fs::create_dir(&file).unwrap();
    assert_eq!(read(&backend, "key").await, None, "a directory");
    assert!(file.is_dir(), "and it stays");
}

#[tokio::test]
async fn an_entry_under_the_name_of_another_is_a_miss() {
    let (_folder, backend, _) = backend();
    let (one, other) = (file_of(&backend, "one").await, file_of(&backend, "other").await);
    backend.set("one", text("of one"), None).await.unwrap();
    backend.set("other", text("of the other"), None).await.unwrap();
    let aside = one.with_extension("aside");
    fs::rename(&one, &aside).unwrap();
    fs::rename(&other, &one).unwrap();
    fs::rename(&aside, &other).unwrap();
    for key in ["one", "other"] {
        assert_eq!(read(&backend, key).await, None, "{key}");
    }
    assert_eq!(backend.damaged(), 2);
}

#[tokio::test]
async fn what_is_damaged_is_absent_to_everything() {
    let (_folder, backend, file, whole) = one_entry().await;
    let damage = || fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    damage();
    assert!(!backend.has("key").await.unwrap());
    damage();
    assert!(!backend.delete("key").await.unwrap());
    assert!(!file.exists());
    damage();
    assert!(!backend.compare_and_set("key", b"", text("2"), None).await.unwrap());
    damage();
    assert!(backend.add("key", text("2"), None).await.unwrap());
    assert_eq!(read(&backend, "key").await.as_deref(), Some(&b"2"[..]));
    damage();
    assert_eq!(backend.increment("key", 7).await.unwrap(), 7);
    damage();
    assert!(matches!(backend.get_many(&["key", "other"]).await.as_deref(), Ok([None, None])));
    damage();
    backend.clear("").await.unwrap();
    assert!(!file.exists());
    assert_eq!((backend.entries(), leftovers(&backend)), (0, vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_a_file_its_value_or_none_is_read(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
        tail in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        Runtime::new().unwrap().block_on(async {
            let (_folder, backend, file, whole) = one_entry().await;
            let mut bytes = whole.clone();
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes.extend(&tail);
            fs::write(&file, &bytes).unwrap();
            let expected = (bytes == whole).then_some(VALUE);
            assert_eq!(read(&backend, "key").await.as_deref(), expected);
            // And whatever it was, the key can be used again.
            backend.set("key", text("anew"), None).await.unwrap();
            assert_eq!(read(&backend, "key").await.as_deref(), Some(&b"anew"[..]));
        });
    }
}
