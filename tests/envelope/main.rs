//! What is stored in an envelope: compressed, and read only if it is what was stored.
#![cfg(all(feature = "memory", feature = "axum", feature = "zstd", feature = "encryption"))]
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    unreachable_pub,
    reason = "helpers of a test are tests"
)]

#[path = "../bytewise/mod.rs"]
mod bytewise;
#[path = "../support/mod.rs"]
mod support;

mod common;
mod compression;
mod contract;
mod damage;
mod encryption;
mod golden;
mod refilled;
mod rotation;
