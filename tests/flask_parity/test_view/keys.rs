//! `test_view.py`: what is in the key of a view.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    routing::{get as on_get, post},
};
use axum_caching::{CacheLayer, KeyPrefix};
use http::{Method, request::Parts};

use super::{body, counting};
use crate::{
    fixture::*,
    support::{Runs, cache, fetch, fetch_request, get},
};

/// The layer is what knows the keys, and any handler may hold it.
#[tokio::test]
async fn test_generate_cache_key_from_different_view() {
    let ((cache, _), keys) = (cache(), Log::new());
    let (cake, pie) = (CacheLayer::new(&cache).key_prefix("cake:%s"), CacheLayer::new(&cache).key_prefix("pie:%s"));
    let view = || {
        async |State((layer, keys)): State<(CacheLayer, Log<String>)>| {
            // What is the cache key for apple cake?
            keys.push(layer.key_for("/cake/apple").unwrap());
        }
    };
    let app = Router::new()
        .route("/cake/{flavor}", on_get(view()).layer(cake.clone()))
        .route("/pie/{flavor}", on_get(view()).layer(pie))
        .with_state((cake, keys.clone()));

    fetch(&app, "/cake/chocolate").await;
    fetch(&app, "/pie/chocolate").await;

    assert_eq!(keys.all(), ["cake:/cake/apple", "cake:/cake/apple"]);
}

/// What is stored is a response, which `get` does not read: the key finds it for `has` and `delete`.
#[tokio::test]
async fn test_cache_key_property() {
    let (cache, _) = cache();
    let layer = CacheLayer::new(&cache).ttl(seconds(5));
    let app = counting(layer.clone());
    let key = layer.key_for("/").unwrap();
    assert!(!cache.has(&key).await.unwrap());

    assert_eq!(body(&app, "/").await, "1");

    assert!(cache.has(&key).await.unwrap());
    assert!(cache.delete(&key).await.unwrap());
    assert_eq!(body(&app, "/").await, "2");
}

/// It is set before there are requests, on the layer.
#[tokio::test]
async fn test_set_make_cache_key_property() {
    fn foo(request: &Parts) -> Option<String> {
        let query = request.uri.query()?;
        query.split('&').find_map(|pair| pair.strip_prefix("foo=")).map(str::to_owned)
    }

    let (cache, _) = cache();
    let app = counting(CacheLayer::new(&cache).ttl(seconds(5)).make_cache_key(foo));
    let (a, b) = (body(&app, "/?foo=a").await, body(&app, "/?foo=b").await);
    assert_ne!(a, b);
    assert_eq!(body(&app, "/?foo=a").await, a);
    assert_eq!(body(&app, "/?x=1&foo=b").await, b, "it is the whole key");
}

/// The parameters are a set of pairs, but the order of those with one name says something: see COMPATIBILITY.md.
#[tokio::test]
async fn test_generate_cache_key_from_query_string_repeated_paramaters() {
    let (cache, _) = cache();
    let app = counting(CacheLayer::new(&cache));
    let first = body(&app, "/works?mock=true&offset=20&limit=15&user[]=123&user[]=124").await;
    let second = body(&app, "/works?user[]=123&limit=15&mock=true&user[]=124&offset=20").await;
    assert_eq!(second, first);

    let reversed = body(&app, "/works?mock=true&offset=20&limit=15&user[]=124&user[]=123").await;
    let third = body(&app, "/works?mock=true&offset=20&limit=15&user[]=125&user[]=124").await;
    assert!(reversed != first && third != first && third != reversed);
}

#[tokio::test]
async fn test_generate_cache_key_from_query_string() {
    let (cache, _) = cache();
    let app = counting(CacheLayer::new(&cache).query_string(true));
    let first = body(&app, "/works?mock=true&offset=20&limit=15").await;
    assert_eq!(body(&app, "/works?limit=15&mock=true&offset=20").await, first);
    assert_ne!(body(&app, "/works?limit=20&mock=true&offset=60").await, first);
}

#[tokio::test]
async fn test_generate_cache_key_from_request_body() {
    let ((cache, _), runs) = (cache(), Runs::default());
    let view = async |State(runs): State<Runs>, body: String| format!("{} {body}", runs.next());
    let layer = CacheLayer::new(&cache).methods([Method::POST]).key_by_body(1_024);
    let app = Router::new().route("/works/{argument}", post(view)).with_state(runs).layer(layer);
    let send = async |body: &'static str| {
        fetch_request(&app, Request::post("/works/arg").body(Body::from(body)).unwrap()).await.1
    };

    let first = send("mock=True&value=1&test=2").await;
    assert_eq!(first, "1 mock=True&value=1&test=2");
    assert_eq!(send("mock=True&value=1&test=2").await, first);
    assert_eq!(send("mock=True&value=2&test=3").await, "2 mock=True&value=2&test=3");
}

/// `source_check` is a version that a release changes.
#[tokio::test]
async fn test_cache_with_query_string_and_source_check_enabled() {
    let (cache, _) = cache();
    let release = |version: &str| CacheLayer::new(&cache).version(version);
    let uri = "/works?mock=true&offset=20&limit=15";
    let old = answering("old", release("1"));
    assert_eq!((body(&old, uri).await, body(&old, uri).await), ("old 1".into(), "old 1".into()));

    let new = answering("new", release("2"));
    assert_eq!(body(&new, uri).await, "new 1");

    let back = answering("old", release("1"));
    assert_eq!(body(&back, uri).await, "old 1");
    assert_eq!(cache.stats().misses, 2);
}

/// Without a version, a new release sees the pages of the one before.
#[tokio::test]
async fn test_cache_with_query_string_and_source_check_disabled() {
    let (cache, _) = cache();
    let uri = "/works?mock=true&offset=20&limit=15";
    let old = answering("old", CacheLayer::new(&cache));
    assert_eq!((body(&old, uri).await, body(&old, uri).await), ("old 1".into(), "old 1".into()));

    let new = answering("new", CacheLayer::new(&cache));
    assert_eq!(body(&new, uri).await, "old 1");
}

fn answering(release: &'static str, layer: CacheLayer) -> Router {
    crate::support::app(layer, move |_, run| format!("{release} {run}")).0
}

#[tokio::test]
async fn test_make_cache_key_outside_request_context() {
    let ((cache, _), keys) = (cache(), Log::new());
    let seen = keys.clone();
    let layer = CacheLayer::new(&cache).key_prefix(KeyPrefix::from("view/%s"));
    let inside = layer.clone();
    let (app, _) = crate::support::app(layer.clone(), move |request, _| {
        seen.push(inside.key_for_parts(&request.into_parts().0).unwrap());
    });

    fetch_request(&app, get("/works?mock=true&limit=15")).await;
    fetch_request(&app, get("/user/bob")).await;

    let outside = [layer.key_for("/works?limit=15&mock=true").unwrap(), layer.key_for("/user/bob").unwrap()];
    assert_eq!(keys.all(), outside);
    assert_ne!(outside[0], outside[1]);
    assert!(cache.has(&outside[0]).await.unwrap() && cache.has(&outside[1]).await.unwrap());
}
