//! Directories of file backends, what is in them, and other processes.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file is a crate of its own and uses a part of this"
)]

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use axum_caching::{Backend, FileBackend, Value, testing::ManualClock};
use bytes::Bytes;
use tempfile::TempDir;

/// A directory, a backend in it, and the time of that.
pub fn backend() -> (TempDir, FileBackend, ManualClock) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let backend = FileBackend::builder(folder.path()).clock(clock.clock()).build().unwrap();
    (folder, backend, clock)
}

pub fn text(value: impl Into<Bytes>) -> Value {
    Value::from_bytes(value)
}

pub async fn read(backend: &dyn Backend, key: &str) -> Option<Bytes> {
    backend.get(key).await.unwrap().map(|value| value.to_bytes().unwrap())
}

/// Waits until a backend has counted what is there.
pub async fn counted(backend: &FileBackend) {
    until("the directory is counted", || backend.usage().is_some()).await;
}

/// Waits for something that comes, for ten seconds at most.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds: {what}");
}

/// All files and links below a path.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

/// The files of entries.
pub fn entries(backend: &FileBackend) -> Vec<PathBuf> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_entry = |path: &PathBuf| name(path).len() == 32 && name(path).bytes().all(is_digit);
    files(backend.directory()).into_iter().filter(is_entry).collect()
}

/// Files that somebody did not finish.
pub fn leftovers(backend: &FileBackend) -> Vec<PathBuf> {
    files(backend.directory()).into_iter().filter(|path| name(path).starts_with("tmp-")).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap()
}

/// Where the entry of a key is: what a store of it brings.
pub async fn file_of(backend: &FileBackend, key: &str) -> PathBuf {
    assert!(!backend.has(key).await.unwrap(), "not there yet");
    let before = entries(backend);
    backend.set(key, text("a value"), None).await.unwrap();
    // Whatever is found dead is removed at once only where nobody counts.
    counted(backend).await;
    let mut new: Vec<_> = entries(backend).into_iter().filter(|path| !before.contains(path)).collect();
    assert_eq!(new.len(), 1);
    new.remove(0)
}

/// This test program again, to run one test that is ignored otherwise, in a directory.
pub fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder);
    command
}

/// The same in a shell, with a limit or on a disk of its own.
pub fn in_shell(wrapper: &[&str], script: &str, test: &str, folder: &Path) -> Command {
    let inner = child(test, folder);
    let mut words = wrapper.to_vec();
    let script = format!("{script}; exec \"$0\" \"$@\"");
    words.extend(["sh", "-e", "-c", &script]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

const FOLDER: &str = "FILE_BACKEND_TEST_FOLDER";

/// The directory that a child was given.
pub fn given_folder() -> PathBuf {
    env::var_os(FOLDER).expect("only run by another test, with a directory").into()
}
