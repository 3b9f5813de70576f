//! Deleting stored responses by what a client would ask for.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use std::time::Duration;

use axum::{Router, routing::get as on_get};
use axum_caching::{Backend, CacheStatus, ErrorKind, Query};
use http::Uri;
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;

#[tokio::test]
async fn a_path_is_deleted_and_what_is_not_there_is_not() {
    let (cache, backend, _) = cache_and_backend();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/foo").await;
    fetch(&app, "/foo/bar").await;

    assert!(cache.delete_cached("/foo").await.unwrap());

    assert!(!cache.delete_cached("/foo").await.unwrap(), "twice");
    assert!(!cache.delete_cached("/never").await.unwrap());
    assert_eq!(backend.entries(), 1);
    assert_eq!(fetch(&app, "/foo").await.1, "run 3");
    assert_eq!(fetch(&app, "/foo/bar").await, (HIT, "run 2".into()));
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_path_with_a_query_is_deleted_in_any_order_of_parameters() {
    let (cache, _) = cache();
    let keyed = layer(&cache);
    let (app, runs) = app(keyed.clone(), |_, run| format!("run {run}"));
    let ways: [&[(&str, &str)]; 2] = [&[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")]];

    for target in ["/p?a=1&b=2", "/p?b=2&a=1"] {
        fetch(&app, "/p?b=2&a=1").await;
        assert!(keyed.delete_cached(target).await.unwrap());
    }
    for query in ways {
        fetch(&app, "/p?a=1&b=2").await;
        assert!(keyed.delete_cached_query("/p", query).await.unwrap());
    }
    fetch(&app, "/p").await;

    assert!(!keyed.delete_cached("/p?a=1").await.unwrap());
    assert_eq!(fetch(&app, "/p").await.0, HIT, "the path alone is another page");
    assert_eq!(runs.count(), 5);
}

#[tokio::test]
async fn a_query_is_deleted_as_a_form_writes_it() {
    // Flask-Caching X-05: a list became the text `[1, 2]`.
    let (cache, _) = cache();
    let keyed = layer(&cache);
    let (app, _) = app(keyed.clone(), |_, run| format!("run {run}"));

    for target in ["/p?q=a+b%26c&q=%C3%A9", "/p?q=a+b%26c&q=%C3%A9"] {
        fetch(&app, target).await;
        assert!(keyed.delete_cached_query("/p", &[("q", "a b&c"), ("q", "é")]).await.unwrap());
        assert!(is_miss(fetch(&app, target).await.0));
    }
    let nested = keyed.delete_cached_query("/p", &[("q", vec![1, 2])]).await;
    assert_eq!(nested.unwrap_err().kind(), ErrorKind::Encode);
}

#[tokio::test]
async fn a_path_that_is_written_unescaped_is_deleted_as_it_was_on_the_wire() {
    // Flask-Caching Q-27: paths with spaces or letters beyond ASCII were never deleted.
    let (cache, backend, _) = cache_and_backend();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));
    let pairs = [
        ("/caf%C3%A9", "/café"),
        ("/a%20b", "/a b"),
        ("/a%22b", "/a\"b"),
        ("/x?q=%C3%A9", "/x?q=é"),
        ("/done%20so%2Falready", "/done%20so%2Falready"),
        ("/100%25", "/100%25"),
    ];
    for (wire, written) in pairs {
        fetch(&app, wire).await;

        assert!(cache.delete_cached(written).await.unwrap(), "{written}");

        assert!(is_miss(fetch(&app, wire).await.0), "{written}");
        assert!(cache.delete_cached(wire).await.unwrap(), "{wire}");
    }
    assert_eq!(runs.count(), 2 * pairs.len());
    fetch(&app, "/caf%C3%A9").await;
    assert!(backend.get("view//caf%C3%A9").await.unwrap().is_some(), "as on the wire");
}

#[tokio::test]
async fn a_path_that_came_unescaped_is_deleted_as_it_is() {
    let Ok(uri) = "/café".parse::<Uri>() else { return };
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, &uri.to_string()).await;

    assert!(cache.delete_cached("/café").await.unwrap());
    assert!(is_miss(fetch(&app, "/café").await.0));
}

#[tokio::test]
async fn what_is_no_path_is_an_error() {
    let (cache, _) = cache();

    for target in ["", "foo", "http://", "*"] {
        let error = cache.delete_cached(target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key, "{target:?}");
    }
}

#[tokio::test]
async fn all_variants_go_together() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, run| {
        answer(&[("vary", "x-a")], format!("{} {} {run}", seen(&request, "host"), seen(&request, "x-a")))
    });
    let requests = [("a.example", "1"), ("a.example", "2"), ("b.example", "1"), ("b.example", "2")];
    let with = |(host, a): (&str, &str)| get_with("/", &[("host", host), ("x-a", a)]);
    for request in requests {
        fetch_request(&app, with(request)).await;
        assert_eq!(fetch_request(&app, with(request)).await.0, HIT);
    }

    assert!(cache.delete_cached("/").await.unwrap());

    // In the other order: the first to come back is another one than the first that was there.
    for request in requests.into_iter().rev() {
        assert!(is_miss(fetch_request(&app, with(request)).await.0), "{request:?}");
        assert_eq!(fetch_request(&app, with(request)).await.0, HIT);
    }
    assert_eq!(runs.count(), 8);
}

#[tokio::test]
async fn a_purge_of_variants_holds_when_the_same_first_variant_comes_back() {
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), &[("vary", "x-a")]);
    let with = |a: &str| get_with("/", &[("x-a", a)]);
    for a in ["1", "2"] {
        fetch_request(&app, with(a)).await;
    }

    cache.delete("view//").await.unwrap();
    fetch_request(&app, with("1")).await;

    assert_eq!(fetch_request(&app, with("2")).await.1, "run 4");
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn a_key_that_a_layer_names_can_be_deleted_in_the_cache() {
    let (cache, _) = cache();
    let keyed = layer(&cache).version("7").query_string(Query::except(["x"]));
    let (app, runs) = app(keyed.clone(), |_, run| format!("run {run}"));
    fetch(&app, "/p?a=1&x=2").await;

    let key = keyed.key_for("/p?x=9&a=1").unwrap();

    assert!(cache.has(&key).await.unwrap());
    assert!(cache.delete(&key).await.unwrap());
    assert!(is_miss(fetch(&app, "/p?a=1").await.0));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_key_of_a_request_is_the_key_that_it_is_stored_under() {
    let (cache, backend, _) = cache_and_backend();
    let by_field = layer(&cache).make_cache_key(|request| {
        let tenant = request.headers.get("x-tenant")?.to_str().ok()?;
        Some(format!("{tenant}:{}", request.uri.path()))
    });
    let (app, _) = app(by_field.clone(), |_, run| format!("run {run}"));
    let request = || get_with("/p", &[("x-tenant", "acme")]);
    fetch_request(&app, request()).await;

    let key = by_field.key_for_parts(&request().into_parts().0).unwrap();

    assert_eq!(key, "acme:/p");
    assert!(backend.get(&key).await.unwrap().is_some());
    assert!(cache.delete(&key).await.unwrap());
}

#[tokio::test]
async fn under_nested_routers_the_path_is_the_one_on_the_wire() {
    let runs = Runs::default();
    let (cache, backend, _) = cache_and_backend();
    let handler = {
        let runs = runs.clone();
        move |uri: Uri| async move { format!("{} {}", uri.path(), runs.next()) }
    };
    let items = |layer| Router::new().route("/items", on_get(handler.clone())).layer(layer);
    let app = Router::new()
        .nest("/api/v1", items(layer(&cache)))
        .nest("/api/v2", items(layer(&cache)))
        .nest("/deep", Router::new().nest("/er", items(layer(&cache))));

    for path in ["/api/v1/items", "/api/v2/items", "/deep/er/items"] {
        assert!(is_miss(fetch(&app, path).await.0), "{path}");
        assert_eq!(fetch(&app, path).await.0, HIT, "{path}");
        assert!(backend.get(&format!("view/{path}")).await.unwrap().is_some(), "{path}");
    }

    assert!(cache.delete_cached("/api/v2/items").await.unwrap());
    assert!(!cache.delete_cached("/items").await.unwrap());
    assert!(is_miss(fetch(&app, "/api/v2/items").await.0));
    assert_eq!(fetch(&app, "/api/v1/items").await.0, HIT);
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn under_nested_routers_a_key_function_sees_the_path_on_the_wire() {
    // Otherwise two routers that are alike share their pages, and `delete_cached` asks for another key.
    let (cache, _) = cache();
    let keyed = layer(&cache).make_cache_key(|request| Some(format!("page:{}", request.uri.path())));
    let items = |name: &'static str, layer| Router::new().route("/items", on_get(async move || name)).layer(layer);
    let app = Router::new().nest("/a", items("a", keyed.clone())).nest("/b", items("b", keyed.clone()));

    assert_eq!(fetch(&app, "/a/items").await.1, "a");
    assert_eq!(fetch(&app, "/b/items").await.1, "b");
    assert!(keyed.delete_cached("/a/items").await.unwrap());
    assert!(is_miss(fetch(&app, "/a/items").await.0));
}

#[tokio::test]
async fn a_path_that_was_rewritten_for_some_clients_is_not_given_to_others() {
    // Symfony CVE-2021-41267: what decided the path was not in the key. Both are `/home` on the wire.
    let (cache, _) = cache();
    let (inner, runs) = app(layer(&cache), |request, _| request.uri().path().to_owned());
    let rewrite = tower::util::MapRequestLayer::new(|mut request: http::Request<axum::body::Body>| {
        if request.headers().contains_key("x-german") {
            *request.uri_mut() = Uri::from_static("/de/home");
        }
        request
    });
    let inner = tower::ServiceBuilder::new().layer(rewrite).service(inner);
    let app = Router::new().fallback_service(inner);

    let german = fetch_request(&app, get_with("/home", &[("x-german", "1")])).await.1;
    let other = fetch(&app, "/home").await.1;

    assert_eq!((german.as_str(), other.as_str(), runs.count()), ("/de/home", "/home", 2));
}

#[tokio::test]
async fn a_cleared_cache_and_a_cleared_scope_have_nothing_left() {
    let (cache, _) = cache();
    let scope = cache.scoped("s");
    let (outer, _) = app(layer(&cache), |_, run| format!("outer {run}"));
    let (inner, _) = app(layer(&scope), |_, run| format!("inner {run}"));
    for app in [&outer, &inner] {
        fetch(app, "/").await;
        fetch_request(app, get_with("/", &[("host", "b.example")])).await;
    }

    scope.clear().await.unwrap();
    assert_eq!(fetch(&outer, "/").await, (HIT, "outer 1".into()));
    assert_eq!(fetch(&inner, "/").await.1, "inner 3");

    cache.clear().await.unwrap();
    assert_eq!(fetch(&outer, "/").await.1, "outer 3");
    assert_eq!(fetch(&inner, "/").await.1, "inner 4");
    assert_eq!(fetch_request(&outer, get_with("/", &[("host", "b.example")])).await.1, "outer 4");
}

#[tokio::test]
async fn an_entry_that_expired_was_not_there_to_be_deleted() {
    let (cache, clock) = cache();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/").await;
    clock.advance(Duration::from_secs(60));

    assert!(!cache.delete_cached("/").await.unwrap());
}
