//! What a hit and a store of the backend in files take, of a value of 4 KiB.
//!
//! `cargo bench --bench file --features file`. Times are of this machine, its disk and its load; the same work by hand,
//! without a check and without a lock, is beside them. `TMPDIR` says where the files are.

use std::{
    fs,
    future::Future,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use axum_caching::{Backend, FileBackend, Value};
use tokio::runtime::{Builder, Runtime};

const LENGTH: usize = 4_096;
const KEYS: usize = 1_000;

fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = Builder::new_multi_thread().worker_threads(1).build()?;
    report("by hand: read a file of 4 KiB", 20_000, by_hand(folder.path())?)?;
    for sync in [false, true] {
        let path = folder.path().join(sync.to_string());
        let backend = FileBackend::builder(path).sync(sync).build().map_err(io::Error::other)?;
        let rounds = if sync { 200 } else { 5_000 };
        let with = if sync { "with sync" } else { "without sync" };
        let value = Value::from_bytes(vec![7; LENGTH]);
        let store = |number: usize| backend.set(key(number), value.clone(), None);
        report(&format!("set, new key, {with}"), rounds, over(&runtime, rounds.min(KEYS), store))?;
        report(&format!("set, over another, {with}"), rounds, over(&runtime, rounds, store))?;
        report(&format!("hit, {with}"), 20_000, over(&runtime, 20_000, |number| backend.get(key(number % 100))))?;
        report(&format!("miss, {with}"), 20_000, over(&runtime, 20_000, |_| backend.get("no such key")))?;
        // The thread that polls does the work: what is left is what handing it over costs.
        let hits = (0..20_000).map(|number| backend.get(key(number % 100)));
        report(&format!("hit, {with}, in place"), 20_000, in_place(hits))?;
    }
    Ok(())
}

fn key(number: usize) -> &'static str {
    // Leaked once each: the keys of a bench.
    static KEYS_TEXT: std::sync::LazyLock<Vec<String>> =
        std::sync::LazyLock::new(|| (0..KEYS).map(|number| format!("view//items/{number}")).collect());
    &KEYS_TEXT[number % KEYS]
}

fn by_hand(folder: &Path) -> io::Result<Duration> {
    let path = folder.join("by-hand");
    fs::write(&path, vec![7; LENGTH])?;
    let begun = now();
    for _ in 0..20_000 {
        std::hint::black_box(fs::read(&path)?);
    }
    Ok(begun.elapsed() / 20_000)
}

fn over<T, F: Future<Output = axum_caching::Result<T>>>(
    runtime: &Runtime,
    rounds: usize,
    call: impl Fn(usize) -> F,
) -> Duration {
    runtime.block_on(async {
        let begun = now();
        for number in 0..rounds {
            call(number).await.expect("a disk that works");
        }
        begun.elapsed() / u32::try_from(rounds).expect("few")
    })
}

fn in_place<T, F: Future<Output = axum_caching::Result<T>>>(calls: impl ExactSizeIterator<Item = F>) -> Duration {
    let rounds = u32::try_from(calls.len()).expect("few");
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let begun = now();
    for call in calls {
        assert!(std::pin::pin!(call).as_mut().poll(&mut context).is_ready());
    }
    begun.elapsed() / rounds
}

#[expect(clippy::disallowed_methods, reason = "a bench of a disk measures time")]
fn now() -> Instant {
    Instant::now()
}

fn report(what: &str, rounds: usize, each: Duration) -> io::Result<()> {
    writeln!(io::stdout(), "{what:<34} {:>9.1} µs   ({rounds} times)", each.as_secs_f64() * 1e6)
}
