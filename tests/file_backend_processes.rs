//! The backend in files between processes, which are killed, stopped, and run out of room.
#![cfg(all(feature = "file", unix))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum_caching::{Backend, ErrorKind, FileBackend};
use files::{child, counted, entries, file_of, given_folder, in_shell, leftovers, read, text, until};

const KEYS: usize = 40;

/// A process that is killed at the end, also if the test panics.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let missing = "of the packages util-linux and dash, or this test itself";
        Self(command.stdout(Stdio::null()).spawn().expect(missing))
    }

    /// `kill -9`
    fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    fn succeeds(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// A value that shows whether it is whole.
fn value(key: usize, round: usize) -> Vec<u8> {
    let length = round * 7_919 % 30_000;
    let mut value = format!("{key} {round} {length}:").into_bytes();
    value.resize(value.len() + length, u8::try_from(round % 251).unwrap());
    value
}

fn is_whole(key: usize, bytes: &[u8]) -> bool {
    let head = bytes.split(|byte| *byte == b':').next().unwrap();
    let round =
        std::str::from_utf8(head).ok().and_then(|head| head.split(' ').nth(1)).and_then(|round| round.parse().ok());
    round.is_some_and(|round| bytes == value(key, round))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a process that another test kills"]
async fn a_storm() {
    let backend = FileBackend::builder(given_folder()).max_entries(KEYS as u64 - 5).build().unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let backend = backend.clone();
            tokio::spawn(async move {
                for round in (task..).step_by(4) {
                    let key = round * 13 % KEYS;
                    let name = format!("key {key}");
                    match round % 5 {
                        0 => drop(backend.delete(&name).await.unwrap()),
                        1 => drop(backend.add(&name, text(value(key, round)), None).await.unwrap()),
                        2 => drop(backend.increment("count", 1).await.unwrap()),
                        _ => backend.set(&name, text(value(key, round)), None).await.unwrap(),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_is_killed_in_a_storm_of_writes_leaves_whole_values_and_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let mut counted_so_far = 0;
    for round in 0..5 {
        let storm = Running::start(&mut child("a_storm", folder.path()));
        let backend = FileBackend::new(folder.path()).unwrap();
        for _ in 0..2_000 {
            let count =
                read(&backend, "count").await.map_or(0, |count| std::str::from_utf8(&count).unwrap().parse().unwrap());
            if count >= counted_so_far + 20 {
                counted_so_far = count;
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(counted_so_far >= 20 * (round + 1), "it does not write");
        storm.kill();
        // One at least was in the middle of a file.
        let shard = entries(&backend)[0].parent().unwrap().to_owned();
        fs::write(shard.join("tmp-0123456789abcdef"), "axcfile").unwrap();

        let backend = FileBackend::new(folder.path()).unwrap();
        let mut there = 0;
        for key in 0..KEYS {
            if let Some(bytes) = read(&backend, &format!("key {key}")).await {
                assert!(is_whole(key, &bytes), "key {key} is torn");
                there += 1;
            }
        }
        assert!(there > 0 && backend.damaged() == 0, "{there} there, {} damaged", backend.damaged());
        counted(&backend).await;
        assert_eq!(leftovers(&backend), [] as [&Path; 0], "what was not finished is swept at the start");
        for key in 0..KEYS {
            backend.set(&format!("key {key}"), text(value(key, 1)), None).await.expect("no lock is left");
        }
    }
}

#[tokio::test]
#[ignore = "one of many processes that another test starts"]
async fn a_worker() {
    let folder = given_folder();
    let backend = FileBackend::builder(&folder).max_entries(300).build().unwrap();
    let mut won = Vec::new();
    for round in 0..50 {
        backend.increment("count", 1).await.unwrap();
        won.extend(backend.add(&format!("add {round}"), text("1"), None).await.unwrap().then_some(round));
        loop {
            let token = read(&backend, "swapped").await.unwrap();
            let number: u64 = std::str::from_utf8(&token).unwrap().trim_end_matches('.').parse().unwrap();
            let next = text(format!("{}.", number + 1));
            if backend.compare_and_set("swapped", &token, next, None).await.unwrap() {
                break;
            }
        }
    }
    let file = fs::File::create(folder.join(format!("won-{}", std::process::id()))).unwrap();
    for round in won {
        writeln!(&file, "{round}").unwrap();
    }
}

#[tokio::test]
async fn between_processes_one_add_wins_and_no_increment_and_no_swap_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let backend = FileBackend::new(folder.path()).unwrap();
    backend.set("swapped", text("0."), None).await.unwrap();
    let mut workers: Vec<_> = (0..4).map(|_| Running::start(&mut child("a_worker", folder.path()))).collect();
    assert!(workers.iter_mut().all(Running::succeeds));

    let mut won: Vec<u32> = files::files(folder.path())
        .iter()
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("won-"))
        .flat_map(|path| {
            fs::read_to_string(path).unwrap().lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect();
    won.sort_unstable();
    assert_eq!(won, (0..50).collect::<Vec<_>>(), "each was won once");
    assert_eq!(backend.increment("count", 0).await.unwrap(), 200);
    assert_eq!(read(&backend, "swapped").await.as_deref(), Some(&b"200."[..]));
}

#[tokio::test]
#[ignore = "one of many processes that another test starts"]
async fn a_writer() {
    let backend = FileBackend::builder(given_folder()).max_entries(60).build().unwrap();
    for number in 0..150 {
        backend.set(&format!("{} {number}", std::process::id()), text("1"), None).await.unwrap();
    }
}

#[tokio::test]
async fn several_processes_keep_one_bound() {
    let folder = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(folder.path()).max_entries(60).build().unwrap();
    let mut writers: Vec<_> = (0..3).map(|_| Running::start(&mut child("a_writer", folder.path()))).collect();
    assert!(writers.iter_mut().all(Running::succeeds));
    // Each may have begun to write when another had just looked.
    let left = entries(&backend).len();
    assert!((30..=90).contains(&left), "{left} of 60");
    for number in 0..64 * 64 {
        backend.set(&format!("own {}", number % 10), text("1"), None).await.unwrap();
        if entries(&backend).len() <= 60 {
            return;
        }
    }
    panic!("{} of 60", entries(&backend).len());
}

#[tokio::test]
async fn a_process_that_is_stopped_under_a_lock_holds_up_writes_for_a_while_and_reads_not_at_all() {
    let (_folder, backend, file, held) = held(100).await;
    assert!(read(&backend, "key").await.is_some());
    fs::write(&file, "damaged").unwrap();
    let miss = tokio::time::timeout(Duration::from_secs(1), read(&backend, "key")).await;
    assert_eq!(miss.expect("reads do not wait to remove it"), None);
    let error = backend.set("key", text("2"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("another process"), "{error}");
    assert_eq!(leftovers(&backend), [] as [&Path; 0]);

    held.kill();
    backend.set("key", text("2"), None).await.unwrap();
    assert_eq!(read(&backend, "key").await.as_deref(), Some(&b"2"[..]));
}

/// A backend, and a process that is stopped under the lock of the shard that `key` is in.
async fn held(max_entries: u64) -> (tempfile::TempDir, FileBackend, PathBuf, Running) {
    let folder = tempfile::tempdir().unwrap();
    let backend = FileBackend::builder(folder.path()).max_entries(max_entries).build().unwrap();
    let file = file_of(&backend, "key").await;
    let lock = file.with_file_name("lock");
    let held = Running::start(Command::new("flock").args(["--no-fork", lock.to_str().unwrap(), "sleep", "60"]));
    let is_held = || !Command::new("flock").args(["--nonblock"]).arg(&lock).arg("true").status().unwrap().success();
    until("the lock is held", is_held).await;
    (folder, backend, file, held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_a_stopped_lock_wait_together_and_not_one_after_the_other() {
    let (_folder, backend, _, held) = held(100).await;
    let set = async |backend: FileBackend| backend.set("key", text("2"), None).await.unwrap_err().kind();
    let writers: Vec<_> = (0..40).map(|_| tokio::spawn(set(backend.clone()))).collect();
    let all = async {
        // Behind them, and of another shard: what is held up is a 64th of the keys.
        backend.set("another", text("1"), None).await.unwrap();
        for writer in writers {
            assert_eq!(writer.await.unwrap(), ErrorKind::Timeout);
        }
    };
    // 2 seconds, where one after the other takes 80.
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("they wait together");
    let again = tokio::time::timeout(Duration::from_secs(1), set(backend.clone())).await;
    assert_eq!(again.expect("where one has waited in vain, others do not wait as long"), ErrorKind::Timeout);

    held.kill();
    for number in ["3", "4"] {
        backend.set("key", text(number), None).await.unwrap();
    }
    assert_eq!(read(&backend, "key").await.as_deref(), Some(&b"4"[..]));
}

#[tokio::test]
async fn a_process_that_is_stopped_under_a_lock_keeps_no_other_shard_from_making_room() {
    let (_folder, backend, file, _held) = held(20).await;
    let stores = async {
        for number in 0..200 {
            // Those of the shard that is held are refused.
            if backend.set(&format!("key {number}"), text("1"), None).await.is_ok() {
                assert!(backend.entries() <= 20, "{} of 20", backend.entries());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stores).await.expect("one waits, and the others do not");
    assert!(file.exists() && backend.evictions() > 0);
}

#[tokio::test]
#[ignore = "a process that another test gives a small disk"]
async fn a_full_disk() {
    let folder = given_folder();
    let (backend, other) = (FileBackend::new(&folder).unwrap(), FileBackend::new(&folder).unwrap());
    counted(&other).await;
    for round in 0..300 {
        let key = round % 100;
        backend.set(&format!("key {key}"), text(value(key, round)), None).await.expect("older entries make room");
        assert!(is_whole(key, &read(&backend, &format!("key {key}")).await.expect("just stored")));
    }
    assert!(backend.evictions() > 0, "the disk was full");

    // More than a quarter of what is there has to go for this one.
    let large = vec![1; 400_000];
    backend.set("large", text(large.clone()), None).await.expect("there is room to be made");
    assert_eq!(read(&backend, "large").await.as_deref(), Some(&large[..]));
    // Also by one who has counted before all that was there.
    other.set("large", text(vec![2; 450_000]), None).await.expect("there is room to be made");

    // Each of several that find it full at once is helped.
    let tasks: Vec<_> = (0..6)
        .map(|task| {
            let backend = backend.clone();
            tokio::spawn(async move {
                for round in (task..300).step_by(6) {
                    let key = format!("key {}", round % 100);
                    backend.set(&key, text(value(round % 100, round)), None).await.expect("older entries make room");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(entries(&backend).len() >= 10, "and no more goes than has to: {backend:?}");

    // Somebody else takes what is left.
    let filler = folder.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write(&[1; 4_096]).is_ok_and(|written| written > 0) {}
    let error = backend.set("large", text(vec![1; 4 << 20]), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other, "{error}");
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(!backend.has("large").await.unwrap());
    for key in 0..100 {
        let bytes = read(&backend, &format!("key {key}")).await;
        assert!(bytes.is_none_or(|bytes| is_whole(key, &bytes)), "key {key} is torn");
    }
    assert_eq!((backend.damaged(), leftovers(&backend)), (0, vec![]));
    fs::remove_file(&filler).unwrap();
    backend.set("key 1", text(value(1, 1)), None).await.unwrap();
    assert!(is_whole(1, &read(&backend, "key 1").await.unwrap()));
}

#[test]
fn on_a_full_disk_older_entries_make_room_and_none_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    // A disk in memory that only the child has, and that goes with it. Some machines allow it to root, some to all.
    let ways: [&[&str]; 2] = [&["unshare", "--mount"], &["unshare", "--user", "--map-root-user", "--mount"]];
    let mount = format!("mount -t tmpfs -o size=700k none '{}'", folder.path().display());
    let mut refused = Vec::new();
    for way in ways {
        let tried = Command::new(way[0]).args(&way[1..]).args(["sh", "-c", &mount]).output();
        let tried = tried.expect("`unshare` of the package util-linux");
        if tried.status.success() {
            assert!(in_shell(way, &mount, "a_full_disk", folder.path()).status().unwrap().success());
            return;
        }
        refused.push(format!("{}: {}", way.join(" "), String::from_utf8_lossy(&tried.stderr).trim()));
    }
    let refused = refused.join("\n");
    assert!(
        env::var_os("FILE_BACKEND_MOUNT").is_none(),
        "nobody may mount a disk in memory here:\n{refused}\nThis needs root with CAP_SYS_ADMIN, or namespaces of users \
         (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, in a container \
         `--cap-add SYS_ADMIN`)"
    );
    println!("not run, since nobody may mount a disk in memory here:\n{refused}");
}

#[tokio::test]
#[ignore = "a process that another test gives a limit"]
async fn a_small_limit() {
    let backend = FileBackend::new(given_folder()).unwrap();
    backend.set("key", text(value(1, 0)), None).await.unwrap();
    let error = backend.set("key", text(vec![7; 100_000]), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(is_whole(1, &read(&backend, "key").await.expect("the value before")));
    assert_eq!((backend.damaged(), leftovers(&backend)), (0, vec![]));
}

#[test]
fn a_write_that_is_cut_off_leaves_the_value_before_it() {
    let folder = tempfile::tempdir().unwrap();
    // 8 blocks of 512 bytes, or of 1024; writes beyond fail, once the signal is ignored.
    // What it says goes through a pipe: the output of a test may be a file, and longer than that.
    let limited = in_shell(&["env"], "trap '' XFSZ; ulimit -f 8", "a_small_limit", folder.path()).output();
    let limited = limited.expect("a shell");
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stdout));
}
