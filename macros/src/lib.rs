//! The attribute macros of `axum-caching`, which re-exports them. There are none yet.
