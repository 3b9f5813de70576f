//! The caches compared, one a file.

use std::time::Duration;

use crate::support::drive::{BARE, REQUEST, Subject};

mod axum_response_cache;
#[cfg(feature = "hitbox")]
mod hitbox;
#[cfg(feature = "http-cache")]
mod http_cache;
mod ours;
mod tower_http_cache;

/// How long entries live, everywhere.
const TTL: Duration = Duration::from_hours(1);

/// All subjects, in the order of the tables.
pub(crate) const ALL: &[Subject] = &[
    REQUEST,
    BARE,
    ours::ROUTE,
    ours::AROUND,
    axum_response_cache::SUBJECT,
    tower_http_cache::SUBJECT,
    #[cfg(feature = "hitbox")]
    hitbox::SUBJECT,
    #[cfg(feature = "http-cache")]
    http_cache::SUBJECT,
];
