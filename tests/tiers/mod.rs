//! Nodes with copies of their own over one server, and a time that all of it goes by.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file is a crate of its own and uses a part of this"
)]

use std::{sync::Arc, time::Duration};

use axum_caching::{
    Backend, Breaker, Cache, MemoryBackend, Profile, TieredBackend, Ttl,
    testing::{Chaos, LocalBackplane, ManualClock},
};
use tokio::time::advance;

use crate::bytewise::{Bytewise, settle};

pub const LAG: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);

/// Two nodes, the server that they share, and the clock of all three.
pub struct Nodes {
    pub here: Cache,
    pub there: Cache,
    pub server: Chaos,
    pub clock: ManualClock,
}

pub fn server(compares: bool, clock: &ManualClock) -> Chaos {
    let server = if compares {
        Chaos::remote(MemoryBackend::builder().clock(clock.clock()).build())
    } else {
        Chaos::new(Bytewise::new(clock.clock()))
    };
    assert_eq!(server.compares(), compares);
    server
}

pub fn node(backend: TieredBackend, clock: &ManualClock) -> Cache {
    let profile = Profile::ttl(MINUTE).stale_while_revalidate(MINUTE).stale_if_error(10 * MINUTE);
    Cache::builder(backend).clock(clock.clock()).profile(profile).breaker(Breaker::off()).build()
}

/// Nodes that do not tell each other anything.
pub fn nodes(compares: bool) -> Nodes {
    let clock = ManualClock::new();
    let server = server(compares, &clock);
    let new = || node(TieredBackend::new(server.clone()), &clock);
    Nodes { here: new(), there: new(), server, clock }
}

/// Nodes that tell each other what they change.
pub fn connected(compares: bool, backplane: &LocalBackplane) -> Nodes {
    let clock = ManualClock::new();
    let server = server(compares, &clock);
    let new = || node(TieredBackend::builder(server.clone()).backplane(backplane.clone()).build(), &clock);
    Nodes { here: new(), there: new(), server, clock }
}

impl Nodes {
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        advance(time).await;
    }
}

/// What a node says, which runs the origin if it has nothing.
pub async fn read(cache: &Cache, text: &'static str) -> String {
    let value = cache.memoizer("text").at(&7).tags(["tag"]).call(async move || text.to_owned()).await;
    settle().await;
    value
}

pub const PURGES: [&str; 5] = ["delete", "delete_many", "clear", "purge_tag", "set"];

/// Takes away what [`read`] reads.
pub async fn purge(cache: &Cache, how: &str) {
    let name = cache.memoizer::<String>("text");
    let key = name.make_cache_key(&7).unwrap();
    match how {
        "delete" => drop(name.delete_memoized_for(&7).await.unwrap()),
        "delete_many" => drop(cache.delete_many([key.as_str(), "other"]).await.unwrap()),
        "clear" => cache.clear().await.unwrap(),
        "purge_tag" => cache.purge_tag("tag").await.unwrap(),
        "set" => cache.set(&key, "of another kind", Ttl::Default).await.unwrap(),
        other => panic!("{other} is no purge"),
    }
}

/// A backend of a node, to be asked without a cache.
pub fn tier(compares: bool) -> (Arc<dyn Backend>, Chaos, ManualClock) {
    let clock = ManualClock::new();
    let server = server(compares, &clock);
    (Arc::new(TieredBackend::new(server.clone())), server, clock)
}

/// Makes a test of each function, once over a server that compares and sets, and once over one that does not.
#[macro_export]
macro_rules! with_and_without_compare_and_set {
    ($($test:ident),* $(,)?) => {
        mod compared {$(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                super::$test(true).await;
            }
        )*}

        mod guarded {$(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                super::$test(false).await;
            }
        )*}
    };
}
