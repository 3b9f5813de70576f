//! `test_templates.py`: fragments of a page, which are computed values.

use axum_caching::Cache;

use crate::{fixture::*, support::Runs};

/// `{% cache 60, name, vary_on.. %}`: the name is mandatory, since no template has one by itself.
async fn fragment(cache: &Cache, name: &str, vary_on: &[&str], runs: &Runs) -> String {
    let key = format!("fragment:{:?}", (name, vary_on));
    cache.get_or_compute(&key, seconds(60), async || format!("{name} {}", runs.next())).await
}

/// There is no tag of a template engine; the keys tell all lists of parts apart.
#[tokio::test]
async fn test_jinjaext_cache() {
    for (cache, clock) in caches() {
        let runs = Runs::default();
        let parts: [(&str, &[&str]); 6] =
            [("a", &[]), ("a", &["b"]), ("a", &["b", "c"]), ("a", &["b_c"]), ("a", &["b\", \"c"]), ("a_b", &["c"])];
        for _ in 0..2 {
            for (at, (name, vary_on)) in parts.iter().enumerate() {
                assert_eq!(fragment(&cache, name, vary_on, &runs).await, format!("{name} {}", at + 1));
            }
        }

        // 'del'
        assert!(cache.delete(&format!("fragment:{:?}", ("a", ["b", "c"]))).await.unwrap());
        assert_eq!(fragment(&cache, "a", &["b", "c"], &runs).await, "a 7");
        assert_eq!(fragment(&cache, "a", &["b_c"], &runs).await, "a 4");

        clock.advance(seconds(60));
        assert_eq!(fragment(&cache, "a", &[], &runs).await, "a 8");
    }
}
