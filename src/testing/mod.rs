//! What a test needs: a clock that stands still, and the rules that every backend keeps (feature `testing`).

pub mod conformance;

pub use crate::clock::ManualClock;
