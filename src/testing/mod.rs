//! A kit to test an application with: time that stands still, statuses, and runs that wait (feature `testing`).
//!
//! ```toml
//! [dev-dependencies]
//! axum-caching = { version = "0.1", features = ["testing"] }
//! ```
//!
//! - [`ManualClock`]: give its [`clock`](ManualClock::clock) to the cache *and* to the backend, and entries expire when
//!   the test says so.
//! - [`assert_hit!`], [`assert_miss!`], [`assert_shared!`], [`assert_bypass!`] and [`assert_not_stored!`] read the
//!   [`CacheStatus`] of a response. Where it is another, they say why it may be so.
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
//!     Cache, CacheLayer, MemoryBackend, MissReason,
//!     testing::{Calls, ManualClock, assert_hit, assert_miss},
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
//! async fn prices_are_kept_for_a_minute() {
//!     let (clock, calls) = (ManualClock::new(), Calls::default());
//!     let backend = MemoryBackend::builder().clock(clock.clock()).build();
//!     let cache = Cache::builder(backend).clock(clock.clock()).build();
//!     let app = app(&cache, calls.clone());
//!
//!     assert_miss!(fetch(&app).await, MissReason::Absent);
//!     assert_hit!(fetch(&app).await);
//!     clock.advance(Duration::from_secs(60));
//!     assert_miss!(fetch(&app).await, MissReason::Expired);
//!     assert_eq!(calls.count(), 2);
//! }
//! # }
//! # #[cfg(all(feature = "memory", feature = "axum"))]
//! # example::prices_are_kept_for_a_minute();
//! ```
//!
//! [`CacheStatus`]: crate::CacheStatus

mod calls;
pub mod conformance;
#[doc(hidden)]
pub mod status;
mod watched;

pub use self::calls::Calls;
pub use crate::clock::ManualClock;
#[doc(inline)]
pub use crate::{
    __assert_bypass as assert_bypass, __assert_hit as assert_hit, __assert_miss as assert_miss,
    __assert_not_stored as assert_not_stored, __assert_shared as assert_shared,
};
