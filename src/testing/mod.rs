//! What a test needs: a clock that stands still (feature `testing`).

pub use crate::clock::ManualClock;
