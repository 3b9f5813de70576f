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
#[cfg(all(feature = "file", unix))]
#[path = "../files/mod.rs"]
mod files;
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
#[cfg(all(feature = "file", unix))]
mod test_file_system_cache;
mod test_hash_method;
mod test_init;
#[cfg(all(feature = "memcached", unix))]
mod test_memcached_cache;
mod test_memoize;
#[cfg(all(feature = "redis", unix))]
mod test_redis_cache;
mod test_serializer;
mod test_serializers;
mod test_signals;
mod test_simple_cache;
mod test_subclassing;
mod test_templates;
mod test_view;

/// Without `scripts`, as in a published crate, there is nothing that counts.
#[cfg(unix)]
#[test]
fn the_readme_states_how_many_tests_are_ported() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("scripts/parity");
    if !script.exists() {
        return;
    }
    let output = std::process::Command::new("sh").arg(script).output().expect("there is a shell");
    let (count, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{wrong}");
    let stated = format!("{} portable tests of Flask-Caching and cachelib are ported by name", count.trim());
    for file in ["README.md", "COMPATIBILITY.md"] {
        let text = std::fs::read_to_string(root.join(file)).expect("a text");
        let words: Vec<_> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(&stated), "{file} does not say: {stated}");
    }
}
