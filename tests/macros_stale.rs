//! The attributes and what may run in the background.
#![cfg(all(feature = "memory", feature = "macros"))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum_caching::{Cache, MemoryBackend, Profile, memoize, testing::ManualClock};

const MINUTE: Duration = Duration::from_secs(60);
const HARDY: Profile = Profile::new();

fn cache() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    (Cache::builder(backend).clock(clock.clock()).build(), clock)
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[memoize(cache = cache, skip(cache, runs), ttl = MINUTE, stale_while_revalidate = MINUTE)]
async fn name(cache: Cache, runs: Arc<AtomicU32>, id: String) -> String {
    format!("{id} {}", runs.fetch_add(1, Ordering::SeqCst))
}

#[tokio::test]
async fn a_stale_result_is_made_anew_behind_its_callers() {
    let (cache, clock) = cache();
    let runs = Arc::new(AtomicU32::new(0));
    let call = || name(cache.clone(), Arc::clone(&runs), "ada".into());
    assert_eq!(call().await, "ada 0");
    clock.advance(MINUTE);
    assert_eq!(call().await, "ada 0");
    settle().await;
    assert_eq!(call().await, "ada 1");
    name::delete_memoized_for(&cache, "ada".into()).await.unwrap();
    assert_eq!(call().await, "ada 2");
}

#[memoize(cache = cache, skip(cache, result), ttl = MINUTE, stale_if_error = 10 * MINUTE, profile = HARDY.jitter(0.1))]
async fn borrowed(cache: &Cache, id: &str, result: Result<u32, String>) -> Result<u32, String> {
    let _ = (cache, id);
    result
}

#[tokio::test]
async fn an_error_is_answered_with_what_is_kept_and_needs_nothing_owned() {
    let (cache, clock) = cache();
    assert_eq!(borrowed(&cache, "a", Ok(7)).await, Ok(7));
    clock.advance(2 * MINUTE);
    assert_eq!(borrowed(&cache, "a", Err("down".into())).await, Ok(7));
    clock.advance(10 * MINUTE);
    assert_eq!(borrowed(&cache, "a", Err("down".into())).await, Err("down".into()));
}

#[derive(Clone)]
struct Users {
    cache: Cache,
    runs: Arc<AtomicU32>,
}

impl Users {
    #[memoize(cache = self.cache, ttl = MINUTE, refresh_ahead = 0.5)]
    async fn shared(self, id: u32) -> Arc<(u32, u32)> {
        Arc::new((id, self.runs.fetch_add(1, Ordering::SeqCst)))
    }

    #[memoize(cache = self.cache, ttl = MINUTE, background)]
    async fn of_arc(self: Arc<Self>, id: u32) -> Result<u32, String> {
        Ok(id + self.runs.fetch_add(1, Ordering::SeqCst))
    }
}

#[tokio::test]
async fn methods_own_themselves() {
    let (cache, clock) = cache();
    let users = Users { cache, runs: Arc::default() };
    assert_eq!(*users.clone().shared(7).await, (7, 0));
    clock.advance(MINUTE / 2);
    assert_eq!(*users.clone().shared(7).await, (7, 0));
    settle().await;
    assert_eq!(*users.clone().shared(7).await, (7, 1));

    let users = Arc::new(users);
    assert_eq!(Arc::clone(&users).of_arc(7).await, Ok(9));
    assert_eq!(users.of_arc(7).await, Ok(9));
}
