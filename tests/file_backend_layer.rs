//! The backend in files behind the layer.
#![cfg(all(feature = "file", feature = "memory", feature = "axum", unix))]

mod files;
mod support;

use std::fs;

use axum_caching::{Backend, Cache, CacheLayer, CacheStatus, ErrorKind, FileBackend, Ttl};
use support::{app, fetch};

#[tokio::test]
async fn a_page_is_served_from_files_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let cache = Cache::new(FileBackend::new(folder.path()).unwrap());
        let (app, runs) = app(CacheLayer::new(&cache), |_, _| "a page");
        let (status, body) = fetch(&app, "/page").await;
        assert_eq!(body, "a page");
        answers.push((status == CacheStatus::Hit, runs.count()));
        cache.close().await;
    }
    assert_eq!(answers, [(false, 1), (true, 0)]);
}

#[tokio::test]
async fn requests_go_on_when_the_directory_cannot_be_used_and_explicit_calls_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let backend = FileBackend::new(folder.path()).unwrap();
    let cache = Cache::new(backend.clone());
    // Whoever runs as root reads everything, so that a mode would not do.
    fs::remove_dir_all(backend.directory()).unwrap();
    fs::write(backend.directory(), "a file in its place").unwrap();

    for error in [cache.get::<u8>("key").await.err(), cache.set("key", &1, Ttl::Default).await.err()] {
        let error = error.expect("an error");
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains(&backend.directory().display().to_string()), "{error}");
    }
    let (app, runs) = app(CacheLayer::new(&cache), |_, _| "a page");
    for run in 1..=10 {
        assert_eq!(fetch(&app, "/page").await.1, "a page");
        assert_eq!(runs.count(), run);
    }

    fs::remove_file(backend.directory()).unwrap();
    backend.set("key", axum_caching::Value::integer(1), None).await.unwrap();
    assert!(backend.has("key").await.unwrap(), "and is well when the directory is");
}
