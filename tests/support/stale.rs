//! A layer over a held origin, and the answers of a page that may be stale.

use std::time::Duration;

use axum::body::Body;
use axum_caching::{Cache, CacheLayer, CacheService, CacheStatus, Profile, testing::ManualClock};
use http::Request;
use tower::Layer;

use super::{
    cache, get,
    held::{Origin, Run, Runs, body, origin, settle, spawn},
    is_miss,
};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);

/// Fresh for a minute, good for two more while it is made anew, and for ten if that fails.
pub fn hardy() -> Profile {
    Profile::ttl(MINUTE).stale_while_revalidate(2 * MINUTE).stale_if_error(10 * MINUTE)
}

pub struct World {
    pub app: CacheService<Origin>,
    pub runs: Runs,
    pub cache: Cache,
    pub clock: ManualClock,
}

impl World {
    pub fn of(layer: impl FnOnce(CacheLayer) -> CacheLayer) -> Self {
        let (cache, clock) = cache();
        let (origin, runs) = origin();
        Self { app: layer(CacheLayer::new(&cache)).layer(origin), runs, cache, clock }
    }

    pub fn with(profile: Profile) -> Self {
        Self::of(|layer| layer.profile(profile))
    }

    /// With an entry in it that has this text.
    pub async fn filled(profile: Profile, text: &'static str) -> Self {
        let mut world = Self::with(profile);
        assert!(is_miss(world.fetch_with(|run| run.answer(text)).await.0));
        world
    }

    pub async fn send(&self, request: Request<Body>) -> (CacheStatus, String) {
        let response = spawn(&self.app, request).await.unwrap().expect("an answer");
        (CacheStatus::of(&response).expect("always there"), body(response).await)
    }

    /// Asks for the page, which has to be there.
    pub async fn fetch(&self) -> (CacheStatus, String) {
        self.send(get("/")).await
    }

    /// Asks for the page, and ends the run that this leads to.
    pub async fn fetch_with(&mut self, end: impl FnOnce(Run)) -> (CacheStatus, String) {
        let asked = spawn(&self.app, get("/"));
        end(self.runs.next().await);
        let response = asked.await.unwrap().expect("an answer");
        (CacheStatus::of(&response).expect("always there"), body(response).await)
    }

    /// Asks for the page, and ends the run that this leads to, if it does.
    pub async fn fetch_with_or_kept(&mut self, end: impl FnOnce(Run)) -> (CacheStatus, String) {
        let asked = spawn(&self.app, get("/"));
        if self.runs.waiting().await > 0 {
            end(self.runs.next().await);
            settle().await;
        }
        let response = asked.await.unwrap().expect("an answer");
        (CacheStatus::of(&response).expect("always there"), body(response).await)
    }

    pub async fn refresh_with(&mut self, end: impl FnOnce(Run)) {
        end(self.runs.next().await);
        settle().await;
    }
}

pub fn stale(text: &str) -> (CacheStatus, String) {
    (CacheStatus::Stale, text.into())
}

pub fn rescued(text: &str) -> (CacheStatus, String) {
    (CacheStatus::StaleOnError, text.into())
}

pub fn hit(text: &str) -> (CacheStatus, String) {
    (CacheStatus::Hit, text.into())
}
