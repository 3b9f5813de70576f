//! `clear`.

use super::{answer, holds, is, key, read, set, supported};
use crate::backend::Backend;

/// `clear` takes every key that begins with the prefix, the prefix itself included, and no other key.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::clear};
///
/// clear::takes_what_begins_with_the_prefix(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn takes_what_begins_with_the_prefix(backend: &dyn Backend) {
    let prefix = key("space/");
    let inside: Vec<String> = (0..300).map(|n| format!("{prefix}{n}")).chain([prefix.clone()]).collect();
    let shorter = prefix.trim_end_matches('/').to_owned();
    let outside = [shorter.clone(), format!("{shorter}2/0"), format!("x{prefix}0"), prefix.to_uppercase()];
    for key in inside.iter().chain(&outside) {
        set(backend, key, "1", None).await;
    }
    if supported("clear", backend.clear(&prefix).await).is_none() {
        return;
    }
    for key in &inside {
        holds("`clear` takes every key that begins with the prefix", read(backend, key).await.is_none());
    }
    for key in &outside {
        holds(&format!("`clear` takes no other key; it took {key:?}"), is(backend, key, "1").await);
    }
    answer("clear", backend.clear(&prefix).await);
    set(backend, &inside[0], "2", None).await;
    holds("a key can be used again after it was cleared", is(backend, &inside[0], "2").await);
}

/// `*`, `?`, `[`, `\`, `%`, `_` and `.` are characters of the prefix, not patterns.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::clear};
///
/// clear::reads_the_prefix_literally(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn reads_the_prefix_literally(backend: &dyn Backend) {
    let own = key("");
    for (pattern, looks_alike) in [
        ("a*", "abc"),
        ("a?c", "abc"),
        ("[ab]", "a"),
        ("[^x]", "a"),
        ("\\a", "a"),
        ("a%", "abc"),
        ("a_c", "abc"),
        ("a.c", "abc"),
        ("^a", "a"),
    ] {
        let (literal, other) = (format!("{own}{pattern}/1"), format!("{own}{looks_alike}/1"));
        set(backend, &literal, "1", None).await;
        set(backend, &other, "1", None).await;
        if supported("clear", backend.clear(&format!("{own}{pattern}")).await).is_none() {
            return;
        }
        let gone = read(backend, &literal).await.is_none();
        holds(&format!("`clear` finds the prefix {pattern:?} literally"), gone);
        let stays = is(backend, &other, "1").await;
        holds(&format!("`clear` does not take {pattern:?} for a pattern"), stays);
    }
}
