//! A kit to test an application with: time that stands still, statuses, and a cache that breaks (feature `testing`).
//!
//! ```toml
//! [dev-dependencies]
//! axum-caching = { version = "0.1", features = ["testing"] }
//! tower = { version = "0.5", features = ["util"] }    # sends a request to a router
//! ```
//!
//! - [`ManualClock`]: give its [`clock`](ManualClock::clock) to the cache *and* to the backend, and entries expire when
//!   the test says so.
//! - [`assert_hit!`], [`assert_miss!`], [`assert_stale!`], [`assert_shared!`], [`assert_bypass!`] and [`assert_not_stored!`] read the
//!   [`CacheStatus`] of a response. Where it is another, they say why it may be so.
//! - [`Chaos`], a backend around a backend: what it holds is dead, slow, hangs, fails now and then, or gets lost.
//! - [`Calls`] counts the runs of a handler, and holds them back.
//! - [`conformance`], the rules that every backend keeps, for those who write one.
//!
//! # Examples
//!
//! ```
//! # #[cfg(all(feature = "memory", feature = "axum"))]
//! # mod example {
//! use std::time::Duration;
//!
//! use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
//! use axum_caching::{
//!     Cache, CacheLayer, ErrorKind, MemoryBackend, MissReason,
//!     testing::{Calls, Chaos, ManualClock, Operation, assert_hit, assert_miss},
//! };
//! use tower::ServiceExt;
//!
//! // As the application has it; the cache comes from outside.
//! fn app(cache: &Cache, calls: Calls) -> Router {
//!     Router::new()
//!         .route("/prices", get(async move || format!("made {} times", calls.pass().await)))
//!         .layer(CacheLayer::new(cache).ttl(Duration::from_secs(60)))
//! }
//!
//! async fn fetch(app: &Router) -> Response {
//!     app.clone().oneshot(Request::get("/prices").body(Body::empty()).unwrap()).await.unwrap()
//! }
//!
//! // #[tokio::test]
//! # #[tokio::main(flavor = "current_thread")]
//! # pub
//! async fn prices_are_kept_for_a_minute_and_outlive_the_cache() {
//!     let (clock, calls) = (ManualClock::new(), Calls::default());
//!     let chaos = Chaos::new(MemoryBackend::builder().clock(clock.clock()).build());
//!     let cache = Cache::builder(chaos.clone()).clock(clock.clock()).build();
//!     let app = app(&cache, calls.clone());
//!
//!     assert_miss!(fetch(&app).await, MissReason::Absent);
//!     assert_hit!(fetch(&app).await);
//!     clock.advance(Duration::from_secs(60));
//!     assert_miss!(fetch(&app).await, MissReason::Expired);
//!     assert_eq!(calls.count(), 2);
//!
//!     // The backend dies: requests go on, each by a run of the handler.
//!     let outage = chaos.on(Operation::ALL).fail(ErrorKind::Connect);
//!     let response = fetch(&app).await;
//!     assert_eq!(response.status(), 200);
//!     assert_miss!(response, MissReason::Backend);
//!
//!     // It is back, with what it had.
//!     outage.end();
//!     assert_hit!(fetch(&app).await);
//!     assert_eq!(calls.count(), 3);
//! }
//! # }
//! # #[cfg(all(feature = "memory", feature = "axum"))]
//! # example::prices_are_kept_for_a_minute_and_outlive_the_cache();
//! ```
//!
//! [`CacheStatus`]: crate::CacheStatus

#[cfg(feature = "memory")]
mod backplane;
mod calls;
mod chaos;
pub mod conformance;
#[doc(hidden)]
pub mod status;
mod watched;

#[cfg(feature = "memory")]
pub use self::backplane::LocalBackplane;
pub use self::{
    calls::Calls,
    chaos::{Chaos, Operation, Script, Trouble},
};
pub use crate::clock::ManualClock;
#[doc(inline)]
pub use crate::{
    __assert_bypass as assert_bypass, __assert_hit as assert_hit, __assert_miss as assert_miss,
    __assert_not_stored as assert_not_stored, __assert_shared as assert_shared, __assert_stale as assert_stale,
};

/// From here on all that is drawn by chance on this thread comes from a seed: stamps, ttls that are spread, early
/// refreshes. For simulations that are to be repeated, and for nothing that serves: stamps may not come twice.
#[doc(hidden)]
pub fn seed(seed: u64) {
    crate::stamps::seeded::begin(seed);
}
