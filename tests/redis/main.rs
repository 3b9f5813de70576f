//! `RedisBackend` on real servers, in every deployment.
#![cfg(all(feature = "redis", feature = "memory", feature = "axum", unix))]
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    unreachable_pub,
    reason = "helpers of a test are tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod chaos;
mod clusters;
mod deployments;
#[cfg(all(feature = "zstd", feature = "encryption"))]
mod envelope;
mod ladder;
mod nodes;
mod outages;
mod replicas;
mod runtimes;
mod shop;
mod tiers;
mod tracking;
mod trips;
