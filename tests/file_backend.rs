//! The backend in files: the contract, restarts, bounds, and what it leaves alone.
#![cfg(all(feature = "file", unix))]

mod files;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum_caching::{
    Backend, Cache, ErrorKind, FileBackend, Ttl,
    testing::{ManualClock, conformance},
};
use files::{backend, counted, entries, file_of, leftovers, read, text, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_file_backend_keeps_every_rule() {
    let (_folder, backend, clock) = backend();
    let shared: Arc<dyn Backend> = Arc::new(backend.clone());
    conformance::all(&shared, async |time| clock.advance(time)).await;
    assert_eq!((backend.damaged(), leftovers(&backend)), (0, vec![]));
}

#[tokio::test]
async fn with_sync_it_keeps_the_rules_of_changes_too() {
    let folder = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(folder.path()).sync(true).build().unwrap();
    conformance::basics::what_was_deleted_is_absent(&backend).await;
    conformance::basics::a_later_set_replaces_an_earlier_one(&backend).await;
    conformance::add::stores_only_what_is_absent(&backend).await;
    conformance::counters::what_is_absent_counts_as_zero(&backend).await;
    conformance::tokens::stores_only_over_the_token(&backend).await;
    conformance::batches::deleting_many_counts_those_that_were_there(&backend).await;
    backend.clear("").await.unwrap();
    assert_eq!((entries(&backend).len(), leftovers(&backend)), (0, vec![]));
}

#[test]
fn it_works_without_a_runtime() {
    let (_folder, backend, _) = backend();
    let answer = pollster(async {
        backend.set("key", text("value"), None).await.unwrap();
        read(&backend, "key").await
    });
    assert_eq!(answer.as_deref(), Some(&b"value"[..]));
}

/// Polls a future that never has to be woken.
fn pollster<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("there is nobody who would wake it"),
    }
}

#[tokio::test]
async fn entries_integers_and_their_ends_survive_a_restart() {
    let (folder, first, clock) = backend();
    first.set("page", text("text"), Some(Duration::from_millis(1_500))).await.unwrap();
    first.set("kept", text("for ever"), None).await.unwrap();
    first.increment("count", 41).await.unwrap();
    drop(first);

    let second = FileBackend::builder(folder.path()).clock(clock.clock()).build().unwrap();
    counted(&second).await;
    assert_eq!((second.entries(), second.weight()), (3, 3 * 4_096));
    assert_eq!(second.increment("count", 1).await.unwrap(), 42);
    clock.advance(Duration::from_millis(1_499));
    assert_eq!(read(&second, "page").await.as_deref(), Some(&b"text"[..]));
    clock.advance(Duration::from_millis(1));
    assert_eq!(read(&second, "page").await, None);
    assert_eq!(read(&second, "kept").await.as_deref(), Some(&b"for ever"[..]));
    assert_eq!(second.entries(), 2, "what expired was removed");
}

#[tokio::test]
async fn a_cache_over_it_finds_its_pages_after_a_restart_and_a_purge_holds() {
    let folder = tempfile::tempdir().unwrap();
    let cache = || Cache::new(FileBackend::new(folder.path()).unwrap());
    cache().set_many([("one", 1), ("two", 2)], Ttl::Default).await.unwrap();
    assert_eq!(cache().get_many::<u8>(["one", "two"]).await.unwrap(), [Some(1), Some(2)]);
    assert!(cache().delete("one").await.unwrap());
    assert_eq!(cache().get_many::<u8>(["one", "two"]).await.unwrap(), [None, Some(2)]);
}

#[tokio::test]
async fn the_times_of_a_file_do_not_say_whether_it_is_served() {
    let (_folder, backend, clock) = backend();
    let file = file_of(&backend, "key").await;
    backend.set("key", text("value"), Some(Duration::from_secs(10))).await.unwrap();
    let touch = |time| {
        let times = fs::FileTimes::new().set_modified(time).set_accessed(time);
        fs::File::open(&file).unwrap().set_times(times).unwrap();
    };
    touch(std::time::UNIX_EPOCH + Duration::from_secs(1));
    assert!(read(&backend, "key").await.is_some());
    clock.advance(Duration::from_secs(10));
    touch(std::time::UNIX_EPOCH + Duration::from_secs(4_000_000_000));
    assert!(read(&backend, "key").await.is_none());
}

#[tokio::test]
async fn no_number_of_keys_exceeds_a_bound() {
    for (max_entries, max_bytes, length) in [(1, 1 << 30, 9), (50, 1 << 30, 9), (1_000, 1 << 20, 9_000)] {
        let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
        let builder = FileBackend::builder(folder.path()).max_entries(max_entries).max_bytes(max_bytes);
        let backend = builder.clock(clock.clock()).build().unwrap();
        for number in 0..150 {
            backend.set(&number.to_string(), text(vec![7; length]), None).await.unwrap();
            assert!(read(&backend, &number.to_string()).await.is_some(), "the newest stays");
            assert!(backend.entries() <= max_entries && backend.weight() <= max_bytes, "{backend:?}");
        }
        let files = entries(&backend);
        let blocks: u64 = files.iter().map(|file| fs::metadata(file).unwrap().len().div_ceil(4_096)).sum();
        let counted = (backend.entries(), backend.weight());
        assert_eq!((files.len() as u64, blocks * 4_096), counted, "what it counts is what is there");
        let is_used = backend.entries() * 10 >= max_entries * 9 || backend.weight() * 10 >= max_bytes * 9;
        assert!(is_used, "and what it may have is used: {backend:?}");
        assert_eq!(backend.evictions() + backend.entries(), 150);
    }
}

#[tokio::test]
async fn what_was_not_used_for_the_longest_time_goes_first() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let backend = FileBackend::builder(folder.path()).max_entries(4).clock(clock.clock()).build().unwrap();
    for key in ["a", "b", "c", "d"] {
        backend.set(key, text(key), None).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    assert!(read(&backend, "a").await.is_some());
    clock.advance(Duration::from_secs(1));
    backend.set("e", text("e"), None).await.unwrap();
    clock.advance(Duration::from_secs(1));
    backend.set("f", text("f"), None).await.unwrap();
    let mut left = Vec::new();
    for key in ["a", "b", "c", "d", "e", "f"] {
        left.extend(backend.has(key).await.unwrap().then_some(key));
    }
    assert_eq!(left, ["a", "d", "e", "f"]);
}

#[tokio::test]
async fn what_expired_goes_before_what_did_not() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let backend = FileBackend::builder(folder.path()).max_entries(4).clock(clock.clock()).build().unwrap();
    for (key, ttl) in [("old", 100), ("older", 100), ("short", 5)] {
        backend.set(key, text(key), Some(Duration::from_secs(ttl))).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(Duration::from_secs(5));
    for key in ["new", "newer"] {
        backend.set(key, text(key), None).await.unwrap();
    }
    for key in ["old", "older", "new", "newer"] {
        assert!(backend.has(key).await.unwrap(), "{key}");
    }
    assert_eq!((backend.entries(), backend.evictions()), (4, 0), "an expired entry makes room, which is no eviction");
}

#[tokio::test]
async fn what_expired_and_is_not_asked_for_goes_as_others_are_stored() {
    let (_folder, backend, clock) = backend();
    for number in 0..100 {
        backend.set(&format!("old {number}"), text("1"), Some(Duration::from_secs(1))).await.unwrap();
    }
    clock.advance(Duration::from_secs(1));
    // 64 parts, one for every 64 stores.
    let keys: Vec<_> = (0..10).map(|number| format!("new {number}")).collect();
    let stores: Vec<_> = keys.iter().cycle().take(64 * 66).map(|key| (&**key, text("1"))).collect();
    backend.set_many(&stores, None).await.unwrap();
    assert_eq!(entries(&backend).len(), 10);
}

#[tokio::test]
async fn a_lower_bound_is_kept_to_after_a_restart() {
    let (folder, first, _) = backend();
    for number in 0..50 {
        first.set(&number.to_string(), text("1"), None).await.unwrap();
    }
    drop(first);
    let second = FileBackend::builder(folder.path()).max_entries(10).build().unwrap();
    until("the rest is removed", || entries(&second).len() <= 10).await;
}

#[tokio::test]
async fn an_entry_that_is_larger_than_the_bound_is_refused_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(folder.path()).max_bytes(8_192).build().unwrap();
    backend.set("fits", text(vec![1; 8_000]), None).await.unwrap();
    let error = backend.set("key", text(vec![1; 8_192]), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("12288") && error.to_string().contains("max_bytes"), "{error}");
    assert!(backend.has("fits").await.unwrap(), "nothing made room for it");

    let nothing = FileBackend::builder(folder.path().join("0")).max_bytes(0).max_entries(0).build().unwrap();
    assert_eq!(nothing.set("key", text("1"), None).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(nothing.increment("key", 1).await.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/for/it");
    let backend = FileBackend::new(&path).unwrap();
    backend.set("key", text("1"), None).await.unwrap();
    backend.increment("count", 1).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for file in files::files(folder.path()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        for above in file.ancestors().skip(1).take_while(|above| *above != folder.path()) {
            assert_eq!(mode(above), 0o700, "{}", above.display());
        }
    }
}

#[tokio::test]
async fn a_directory_that_others_may_write_to_is_refused() {
    let (folder, first, _) = backend();
    let directory = first.directory().to_owned();
    for mode in [0o770, 0o707, 0o1777] {
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
        let error = FileBackend::new(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&directory.display().to_string()), "{error}");
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    FileBackend::new(folder.path()).unwrap();
}

#[tokio::test]
async fn a_directory_with_files_of_somebody_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("axum-caching");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("thesis.tex"), "years of work").unwrap();
    // The marker of another program is not ours.
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# made by something else\n";
    for marker in [None, Some(""), Some(tag)] {
        if let Some(text) = marker {
            fs::write(own.join("CACHEDIR.TAG"), text).unwrap();
        }
        let error = FileBackend::new(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("expected an empty directory"), "{error}");
    }
    assert_eq!(fs::read_to_string(own.join("thesis.tex")).unwrap(), "years of work");
    assert_eq!(fs::read_to_string(own.join("CACHEDIR.TAG")).unwrap(), tag);

    // Beside the directory anything may be.
    let beside = tempfile::tempdir().unwrap();
    fs::write(beside.path().join("thesis.tex"), "years of work").unwrap();
    let backend = FileBackend::new(beside.path()).unwrap();
    backend.set("key", text("1"), None).await.unwrap();
    backend.clear("").await.unwrap();
    assert_eq!(fs::read_to_string(beside.path().join("thesis.tex")).unwrap(), "years of work");
}

#[tokio::test]
async fn files_that_are_no_entries_are_left_alone() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let backend = FileBackend::builder(folder.path()).max_entries(5).clock(clock.clock()).build().unwrap();
    let file = file_of(&backend, "key").await;
    let shard = file.parent().unwrap();
    let names = ["notes", "NOTES", "0123", "0123456789abcdef0123456789abcdef.bak", "0123456789ABCDEF0123456789ABCDEF"];
    let foreign: Vec<_> = names
        .iter()
        .flat_map(|name| [shard.join(name), backend.directory().join(name)])
        .chain([backend.directory().join("0123456789abcdef0123456789abcdef")])
        .collect();
    for path in &foreign {
        fs::write(path, "not of the cache").unwrap();
    }
    for number in 0..200 {
        backend.set(&number.to_string(), text("1"), Some(Duration::from_secs(1))).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    backend.clear("").await.unwrap();
    assert_eq!(entries(&backend).len(), 1, "but for the one that is in no part of it");
    for path in &foreign {
        assert_eq!(fs::read_to_string(path).unwrap(), "not of the cache", "{}", path.display());
    }
}

#[tokio::test]
async fn links_and_pipes_are_not_followed() {
    let (folder, backend, _) = backend();
    let outside = folder.path().join("outside");
    let file = file_of(&backend, "key").await;
    let whole = fs::read(&file).unwrap();
    fs::write(&outside, &whole).unwrap();

    fs::remove_file(&file).unwrap();
    symlink(&outside, &file).unwrap();
    assert_eq!(read(&backend, "key").await, None, "though it would be an entry of this key");
    assert_eq!(backend.damaged(), 1);
    symlink(&outside, &file).unwrap();
    assert_eq!(backend.increment("key", 1).await.unwrap(), 1);
    assert_eq!(fs::read(&outside).unwrap(), whole, "what a link leads to is not written");
    assert!(!fs::symlink_metadata(&file).unwrap().is_symlink(), "it was replaced");

    fs::remove_file(&file).unwrap();
    symlink(&outside, &file).unwrap();
    backend.clear("").await.unwrap();
    assert!(!file.exists() && outside.exists());

    let made = std::process::Command::new("mkfifo").arg(&file).status().expect("`mkfifo` of the package coreutils");
    assert!(made.success());
    assert_eq!(read(&backend, "key").await, None, "a pipe is not waited for");

    // The directory of a part, and the one of all.
    let shard = file.parent().unwrap();
    fs::remove_dir_all(shard).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, shard).unwrap();
    for error in [backend.get("key").await.err(), backend.set("key", text("1"), None).await.err()] {
        assert_eq!(error.expect("a link").kind(), ErrorKind::Connect);
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    fs::remove_dir_all(backend.directory()).unwrap();
    symlink(&elsewhere, backend.directory()).unwrap();
    assert_eq!(FileBackend::new(folder.path()).unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_directory_that_is_emptied_or_removed_while_it_is_in_use_is_made_again() {
    let (_folder, backend, _) = backend();
    backend.set("key", text("1"), None).await.unwrap();
    for remove in [true, false] {
        if remove {
            fs::remove_dir_all(backend.directory()).unwrap();
        } else {
            for entry in fs::read_dir(backend.directory()).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
            }
        }
        assert_eq!(read(&backend, "key").await, None);
        assert!(!backend.delete("key").await.unwrap());
        assert_eq!(backend.increment("key", 1).await.unwrap(), 1);
        assert_eq!(read(&backend, "key").await.as_deref(), Some(&b"1"[..]));
        assert!(backend.directory().join("CACHEDIR.TAG").exists());
    }
}

#[tokio::test]
async fn what_was_begun_is_done_whole_though_its_future_is_dropped() {
    let (_folder, backend, _) = backend();
    for _ in 0..10 {
        let mut future = std::pin::pin!(backend.increment("count", 1));
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
        );
    }
    // Never polled, never begun.
    drop(backend.increment("count", 100));
    for _ in 0..2_000 {
        if read(&backend, "count").await.as_deref() == Some(b"10") {
            return assert_eq!(backend.increment("count", 1).await.unwrap(), 11, "and nothing stays locked");
        }
        tokio::task::yield_now().await;
    }
    panic!("{:?}", read(&backend, "count").await);
}
