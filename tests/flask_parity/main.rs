//! The tests of Flask-Caching 2.5.1 and cachelib 0.17.0 that mean something here, under the names they have there.
//!
//! A module is a file of theirs. What differs is said at the test, and why in `COMPATIBILITY.md`. `anchor_tests.txt`
//! lists all of theirs, and `scripts/parity` counts.
#![cfg(all(feature = "memory", feature = "axum"))]
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

mod clear;
mod common;
mod delete_many_with_prefix;
mod fixture;
mod has;
#[cfg(feature = "json")]
mod serializer;
mod test_backend_cache;
mod test_base_cache;
mod test_basic_app;
mod test_cache;
mod test_cachelib;
mod test_hash_method;
mod test_init;
mod test_memoize;
mod test_serializer;
mod test_serializers;
mod test_signals;
mod test_simple_cache;
mod test_subclassing;
mod test_templates;
mod test_view;
