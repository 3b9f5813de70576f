//! `test_view.py`: `delete_cached`.

use std::collections::HashMap;

use axum_caching::CacheLayer;

use super::{body, counting};
use crate::support::cache;

#[tokio::test]
async fn test_delete_cached_query_string() {
    let (cache, _) = cache();
    let layer = CacheLayer::new(&cache);
    let app = counting(layer.clone());
    let uri = "/works?mock=true&offset=20&limit=15";
    assert_eq!((body(&app, uri).await, body(&app, uri).await), ("1".into(), "1".into()));

    assert!(layer.delete_cached("/works?limit=15&mock=true&offset=20").await.unwrap());
    assert_eq!(body(&app, uri).await, "2");

    let mapping = HashMap::from([("offset", "20"), ("limit", "15"), ("mock", "true")]);
    assert!(layer.delete_cached_query("/works", &mapping).await.unwrap());
    assert_eq!(body(&app, uri).await, "3");

    let pairs = [("offset", "20"), ("mock", "true"), ("limit", "15")];
    assert!(layer.delete_cached_query("/works", &pairs).await.unwrap());
    assert_eq!(body(&app, uri).await, "4");
}

#[tokio::test]
async fn test_delete_cached_query_string_only_deletes_matching_arguments() {
    let (cache, _) = cache();
    let app = counting(CacheLayer::new(&cache));
    let (kept, deleted) = (body(&app, "/works?limit=15").await, body(&app, "/works?limit=20").await);

    assert!(cache.delete_cached("/works?limit=20").await.unwrap());

    assert_eq!(body(&app, "/works?limit=15").await, kept);
    assert_ne!(body(&app, "/works?limit=20").await, deleted);
}

/// The order of equal names says something, so it does here too: see COMPATIBILITY.md.
#[tokio::test]
async fn test_delete_cached_query_string_repeated_parameters() {
    let (cache, _) = cache();
    let app = counting(CacheLayer::new(&cache));
    let uri = "/works?x=1&user[]=123&user[]=124";
    let first = body(&app, uri).await;

    assert!(!cache.delete_cached("/works?x=1&user[]=124&user[]=123").await.unwrap());
    assert_eq!(body(&app, uri).await, first);
    assert!(cache.delete_cached("/works?user[]=123&user[]=124&x=1").await.unwrap());

    assert_ne!(body(&app, uri).await, first);
}

#[tokio::test]
async fn test_delete_cached_view() {
    let (cache, _) = cache();
    let app = counting(CacheLayer::new(&cache));
    let (first, other) = (body(&app, "/user/bob").await, body(&app, "/user/eve").await);
    assert_eq!(body(&app, "/user/bob").await, first);

    assert!(cache.delete_cached("/user/bob").await.unwrap());

    assert_ne!(body(&app, "/user/bob").await, first);
    assert_eq!(body(&app, "/user/eve").await, other);
}

/// The path is written, not built from the name of a view; a name with spaces or accents may be written as it reads.
#[tokio::test]
async fn test_delete_cached_view_builds_the_path_with_url_for() {
    let (cache, _) = cache();
    let app = counting(CacheLayer::new(&cache));
    for (name, on_the_wire) in [("bob", "/user/bob"), ("zoë b", "/user/zo%C3%AB%20b")] {
        let first = body(&app, on_the_wire).await;
        assert_eq!(body(&app, on_the_wire).await, first);

        assert!(cache.delete_cached(&format!("/user/{name}")).await.unwrap());

        assert_ne!(body(&app, on_the_wire).await, first);
    }
}
