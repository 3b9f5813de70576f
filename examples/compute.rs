//! The cache without HTTP: computed values, counters, scopes. It prints what it finds, and serves nothing.
//!
//! ```text
//! cargo run --example compute
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{Cache, MemoryBackend, Ttl};
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::sleep};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u32,
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), axum_caching::BoxError> {
    let cache = Cache::new(MemoryBackend::default());

    let runs = stampede(&cache, 1_000).await?;
    println!("1000 callers of a missing key ran the origin {runs} time(s)");
    assert_eq!(runs, 1);

    // An error is not stored, so the next caller tries again.
    let first = cache.try_get_or_compute("port", Ttl::Default, async || "http".parse::<u16>()).await;
    let second = cache.try_get_or_compute("port", Ttl::Default, async || "80".parse::<u16>()).await;
    println!("{first:?}, then {second:?}");
    assert!(first.is_err());
    assert_eq!(second, Ok(80));

    // A counter is added to in the backend, so two callers never lose a step.
    for _ in 0..3 {
        cache.increment("visits", 1).await?;
    }
    let visits: Option<u32> = cache.get("visits").await?;
    println!("{visits:?} visits");
    assert_eq!(visits, Some(3));

    // A scope has keys of its own, and is cleared on its own.
    let guest = cache.scoped("guest");
    guest.set("visits", &40, Ttl::Forever).await?;
    guest.clear().await?;
    let (outer, inner) = (cache.get::<u32>("visits").await?, guest.get::<u32>("visits").await?);
    println!("after clearing the scope: {outer:?} outside, {inner:?} inside");
    assert_eq!((outer, inner), (Some(3), None));

    println!("{:?}", cache.stats());
    Ok(())
}

/// Has many callers ask for one key at once; says how often the origin ran.
async fn stampede(cache: &Cache, callers: usize) -> Result<usize, axum_caching::BoxError> {
    let runs = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (cache, runs) = (cache.clone(), Arc::clone(&runs));
        tasks.spawn(async move {
            cache.get_or_compute("user:7", Duration::from_secs(60), async || load(7, &runs).await).await
        });
    }
    while let Some(user) = tasks.join_next().await {
        assert_eq!(user?, User { id: 7, name: "Ada".to_owned() });
    }
    Ok(runs.load(Ordering::SeqCst))
}

/// Stands for a database.
async fn load(id: u32, runs: &AtomicUsize) -> User {
    runs.fetch_add(1, Ordering::SeqCst);
    sleep(Duration::from_millis(100)).await;
    User { id, name: "Ada".to_owned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_program_asserts_holds() {
        super::main().unwrap();
    }
}
