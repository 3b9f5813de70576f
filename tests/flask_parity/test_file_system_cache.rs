//! `test_file_system_cache.py` of cachelib: the backend in files.

use std::process::{Child, Command};

use axum_caching::{Backend, Cache, ErrorKind, FileBackend, Ttl, testing::ManualClock};
use tempfile::TempDir;

use crate::{files, fixture::*};

fn bounded(entries: u64) -> (TempDir, Cache, FileBackend, ManualClock) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let backend = FileBackend::builder(folder.path()).max_entries(entries).clock(clock.clock()).build().unwrap();
    let cache = Cache::builder(backend.clone()).clock(clock.clock()).build();
    (folder, cache, backend, clock)
}

/// A file that was cut off is a miss, and counted where cachelib writes to its log.
#[allow(non_snake_case, reason = "the name it has there")]
#[tokio::test]
async fn test_EOFError() {
    let (_folder, cache, backend, _) = bounded(500);
    cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
    for file in files::entries(&backend) {
        std::fs::write(file, "").unwrap();
    }
    for (key, value) in sample_pairs() {
        assert_eq!(cache.get::<Any>(key).await.unwrap(), None);
        cache.set(key, &value, Ttl::Default).await.unwrap();
        assert_eq!(cache.get::<Any>(key).await.unwrap(), Some(value));
    }
    assert_eq!(backend.damaged(), sample_pairs().len() as u64);
}

/// Never more than the bound; without one, all. A bound of 0 is 1, and not none.
#[tokio::test]
async fn test_threshold() {
    let threshold = sample_pairs().len() as u64 / 2;
    let (_folder, cache, backend, _) = bounded(threshold);
    for (key, value) in sample_pairs() {
        cache.set(key, &value, Ttl::Default).await.unwrap();
        assert!(files::entries(&backend).len() as u64 <= threshold);
    }
    assert_eq!(files::entries(&backend).len() as u64, threshold);

    let (_folder, cache, backend, _) = bounded(u64::MAX);
    cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
    assert_eq!(files::entries(&backend).len(), sample_pairs().len());
}

#[tokio::test]
async fn test_file_counting() {
    let (_folder, cache, backend, _) = bounded(500);
    cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
    assert_eq!(backend.entries(), sample_pairs().len() as u64);
    backend.clear("").await.unwrap();
    assert_eq!((backend.entries(), backend.weight()), (0, 0));
}

#[tokio::test]
async fn test_file_counting_on_override() {
    let (_folder, cache, backend, _) = bounded(500);
    for _ in 0..2 {
        cache.set_many(sample_pairs(), Ttl::Default).await.unwrap();
        assert_eq!(backend.entries(), sample_pairs().len() as u64);
    }
}

/// What expired makes room; what did not stays.
#[tokio::test]
async fn test_prune_old_entries() {
    let (_folder, cache, backend, clock) = bounded(20);
    for (key, value) in sample_pairs() {
        cache.set(&format!("{key}-t1"), &value, seconds(1)).await.unwrap();
        cache.set(&format!("{key}-t5"), &value, seconds(5)).await.unwrap();
    }
    clock.advance(seconds(2));
    for (key, value) in sample_pairs() {
        cache.set(key, &value, Ttl::Default).await.unwrap();
    }
    for (key, _) in sample_pairs() {
        assert!(!cache.has(&format!("{key}-t1")).await.unwrap());
        assert!(cache.has(&format!("{key}-t5")).await.unwrap() && cache.has(key).await.unwrap());
    }
    assert_eq!(backend.evictions(), 0);
}

/// Somebody else's lock on the entry of a key, as long as this is there.
struct Locked(Child);

impl Locked {
    async fn take(backend: &FileBackend, key: &str) -> Self {
        let lock = files::file_of(backend, key).await.with_file_name("lock");
        let program = Command::new("flock").arg("--no-fork").arg(&lock).args(["sleep", "60"]).spawn();
        let locked = Self(program.expect("`flock` of the package util-linux"));
        let is_held = || !Command::new("flock").arg("--nonblock").arg(&lock).arg("true").status().unwrap().success();
        files::until("the lock is held", is_held).await;
        locked
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What another process has for a moment is waited for.
#[tokio::test]
async fn test_run_safely_retries_on_permission_error() {
    let (_folder, _, backend, _) = bounded(500);
    let locked = Locked::take(&backend, "key").await;
    let storing = tokio::spawn({
        let backend = backend.clone();
        async move { backend.set("key", axum_caching::Value::integer(1), None).await }
    });
    files::until("it is being written", || !files::leftovers(&backend).is_empty()).await;
    drop(locked);
    storing.await.unwrap().unwrap();
    assert_eq!(backend.increment("key", 1).await.unwrap(), 2);
}

/// Two seconds, and then it is an error.
#[tokio::test]
async fn test_run_safely_exhausts_retries_and_returns_none() {
    let (_folder, _, backend, _) = bounded(500);
    let _locked = Locked::take(&backend, "key").await;
    assert_eq!(backend.increment("key", 1).await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn test_run_safely_does_not_retry_other_errors() {
    let (_folder, _, backend, _) = bounded(500);
    let shard = files::file_of(&backend, "key").await.parent().unwrap().to_owned();
    std::fs::remove_dir_all(&shard).unwrap();
    std::fs::write(&shard, "a file in its place").unwrap();
    assert_eq!(backend.increment("key", 1).await.unwrap_err().kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn test_has_on_expired_key_returns_false() {
    let (_folder, cache, _, clock) = bounded(500);
    cache.set("foo", "bar", seconds(1)).await.unwrap();
    assert!(cache.has("foo").await.unwrap());
    clock.advance(seconds(1));
    assert!(!cache.has("foo").await.unwrap());
}
