//! Stale pages that an origin is asked about, and what it says.

use axum_caching::{CacheStatus, ConditionalRefresh, Profile};
use http::StatusCode;

use super::{
    answer,
    held::Run,
    stale::{MINUTE, World},
};

pub const TAGGED: [(&str, &str); 1] = [("etag", "\"v1\"")];

/// Fresh for a minute, and kept for an hour to be asked for.
pub fn kept() -> Profile {
    Profile::ttl(MINUTE).keep(60 * MINUTE)
}

/// With a page of these fields that is stale.
pub async fn stale_page(profile: Profile, fields: &'static [(&'static str, &'static str)]) -> World {
    let mut world = World::of(|layer| layer.profile(profile).conditional_refresh(true).etag(true));
    world.fetch_with(|run| run.answer(answer(fields, "old"))).await;
    world.clock.advance(MINUTE);
    world
}

pub fn conditions(run: &Run) -> [Option<&str>; 2] {
    ["if-none-match", "if-modified-since"].map(|name| Some(run.request.headers().get(name)?.to_str().unwrap()))
}

pub fn not_modified(run: Run) {
    run.answer(StatusCode::NOT_MODIFIED);
}

/// Asks for the page, sees that the origin is not told of any other one, and ends its run.
pub async fn fetch_unconditionally(world: &mut World, end: impl FnOnce(Run)) -> (CacheStatus, String) {
    world
        .fetch_with(|run| {
            assert_eq!(conditions(&run), [None, None]);
            assert!(run.request.extensions().get::<ConditionalRefresh>().is_none());
            end(run);
        })
        .await
}
