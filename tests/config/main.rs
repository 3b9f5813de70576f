//! Caches from URLs, files and the environment.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    unreachable_pub,
    reason = "helpers of a test are tests"
)]

#[cfg(all(feature = "memory", feature = "axum"))]
#[path = "../support/mod.rs"]
mod support;

/// Every backend is there.
#[cfg(all(
    feature = "memory",
    feature = "file",
    feature = "memcached",
    feature = "redis-tls",
    feature = "json",
    feature = "zstd",
    feature = "encryption",
    feature = "axum",
    unix
))]
mod whole;

mod features;
