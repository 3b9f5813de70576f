//! Keys: what shares an entry, what does not, and how an entry is named to be deleted.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails where a helper of it panics")]

mod support;

use axum::{Router, body::Body, extract::Path, routing::get as on_get};
use axum_caching::{Backend, BypassReason, CacheLayer, CacheStatus, ErrorKind, KeyPrefix, Query};
use http::{HeaderName, Method, Request};
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;

async fn has(backend: &impl Backend, key: &str) -> bool {
    backend.get(key).await.unwrap().is_some()
}

#[tokio::test]
async fn the_key_of_a_path_can_be_read_in_the_backend() {
    let (cache, backend, _) = cache_and_backend();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));

    fetch(&app, "/foo").await;

    assert!(has(&backend, "view//foo").await);
    assert_eq!(backend.entries(), 1);
}

#[tokio::test]
async fn the_key_of_a_query_is_the_digest_of_its_sorted_parameters() {
    let (cache, backend, _) = cache_and_backend();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));

    fetch(&app, "/foo?b=2&a=1").await;

    assert!(has(&backend, "view//foo?ed04c91cf6f6ab5a01a31c0295c5da34").await);
    assert_eq!(layer(&cache).key_for("/foo?a=1&b=2").unwrap(), "view//foo?ed04c91cf6f6ab5a01a31c0295c5da34");
}

#[tokio::test]
async fn pages_with_different_queries_are_different_pages() {
    // Fiber CVE-2026-30246, Flask-Caching Q-12; one peer served `?id=1` for `?id=2`.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, _| request.uri().query().unwrap_or("-").to_owned());
    let queries = ["id=1", "id=2", "id=1&id=2", "id=2&id=1", "id", "id=", "ID=1", "", "id=1&x", "id=%31"];

    for query in queries {
        let (status, body) = fetch(&app, &format!("/p?{query}")).await;
        assert!(is_miss(status), "{query}");
        assert_eq!(body, query);
    }
    assert_eq!(fetch(&app, "/p").await.1, "-");

    assert_eq!(runs.count(), queries.len() + 1);
}

#[tokio::test]
async fn the_order_of_parameters_says_nothing_and_the_order_of_equal_ones_does() {
    // Three of five peers had two entries; Flask-Caching Q-13 had one for both sorts.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/p?x=1&y=2").await;
    fetch(&app, "/p?sort=a&sort=b").await;

    assert_eq!(fetch(&app, "/p?y=2&x=1").await, (HIT, "run 1".into()));
    assert_eq!(fetch(&app, "/p?y=2&&x=1&").await, (HIT, "run 1".into()), "empty segments say nothing");
    assert!(is_miss(fetch(&app, "/p?sort=b&sort=a").await.0));
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn paths_are_compared_byte_for_byte() {
    // axum routes on the raw path: a decoded key would put the fallback's page under `/items`
    // (nuxt route rules GHSA-vjh5-4x84-xrqp, CVE-2026-114131; Flask-Caching K-01).
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, _| request.uri().path().to_owned());
    let paths =
        ["/items", "/%69tems", "/items/", "//items", "/Items", "/./items", "/a/../items", "/items%2F", "/items%2f"];

    for path in paths {
        let (status, body) = fetch(&app, path).await;
        assert!(is_miss(status), "{path}");
        assert_eq!(body, path);
    }
    assert_eq!(runs.count(), paths.len());
}

#[tokio::test]
async fn a_path_cannot_imitate_a_query_or_a_part_of_a_key() {
    // Ristretto #30, graph-node #1708, ocache: collisions through delimiters.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).version("1"), |request, _| request.uri().to_string());
    let digest = layer(&cache).key_for("/p?x=1").unwrap().split_once('?').unwrap().1.to_owned();
    let targets =
        ["/p?x=1".to_owned(), format!("/p%3F{digest}"), format!("/p?{digest}"), "/p".into(), "/p%23version=1:1".into()];

    for target in &targets {
        let (status, body) = fetch(&app, target).await;
        assert!(is_miss(status), "{target}");
        assert_eq!(&body, target);
    }
    assert_eq!(runs.count(), targets.len());
}

#[tokio::test]
async fn a_fragment_is_in_neither_the_key_nor_what_the_handler_sees() {
    // Hono GHSA-crvj-82cr-hjcx: the application read a query after `#`, the key did not.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, _| request.uri().to_string());

    assert_eq!(fetch(&app, "/p#?admin=1").await.1, "/p");
    assert_eq!(fetch(&app, "/p").await, (HIT, "/p".into()));
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn the_query_can_be_left_out() {
    for none in [Query::none(), Query::from(false)] {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache).query_string(none), |_, run| format!("run {run}"));
        fetch(&app, "/p?x=1").await;

        for target in ["/p", "/p?x=2", "/p?"] {
            assert_eq!(fetch(&app, target).await, (HIT, "run 1".into()), "{target}");
        }
        assert_eq!(runs.count(), 1);
    }
}

#[tokio::test]
async fn only_the_named_parameters_count() {
    // Flask-Caching Q-58: with all of them an attacker fills the store.
    let (cache, backend, _) = cache_and_backend();
    let only = layer(&cache).query_string(Query::only(["page", "a b"]));
    let (app, runs) = app(only, |_, run| format!("run {run}"));
    fetch(&app, "/p?page=1").await;

    for same in ["/p?page=1&bust=1", "/p?bust=2&page=1", "/p?page=1&page%00=2"] {
        assert_eq!(fetch(&app, same).await.0, HIT, "{same}");
    }
    assert_eq!(backend.entries(), 1);
    for other in ["/p?page=2", "/p?page=1&page=1", "/p?%70age=3", "/p?page", "/p", "/p?a+b=1", "/p?a%20b=2"] {
        assert!(is_miss(fetch(&app, other).await.0), "{other}");
    }
    assert_eq!(fetch(&app, "/p?bust=3").await.0, HIT, "none of them is no query");
    assert_eq!(runs.count(), 8);
}

#[tokio::test]
async fn all_parameters_but_the_named_ones_count() {
    let (cache, _) = cache();
    let except = layer(&cache).query_string(Query::except(["utm_source"]));
    let (app, runs) = app(except, |_, run| format!("run {run}"));
    fetch(&app, "/p?x=1").await;
    fetch(&app, "/p").await;

    assert_eq!(fetch(&app, "/p?utm_source=mail&x=1").await, (HIT, "run 1".into()));
    assert_eq!(fetch(&app, "/p?%75tm_source=mail&x=1").await, (HIT, "run 1".into()));
    assert_eq!(fetch(&app, "/p?utm_source=mail").await, (HIT, "run 2".into()));
    for other in ["/p?x=2", "/p?x=1&%FF=1", "/p?x=1&Utm_source=1", "/p?x=1&utm_source%00=1"] {
        assert!(is_miss(fetch(&app, other).await.0), "{other}");
    }
    assert_eq!(runs.count(), 6);
}

#[tokio::test]
async fn a_name_that_hides_behind_escapes_is_the_parameter_that_the_handler_reads() {
    let (cache, _) = cache();
    let only = layer(&cache).query_string(Query::only(["page"]));
    let (app, runs) = app(only, |request: Request<Body>, _| {
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri()).unwrap().0;
        query.into_iter().find(|(name, _)| name == "page").map_or_else(|| "none".to_owned(), |(_, page)| page)
    });
    fetch(&app, "/p?page=1").await;

    assert_eq!(fetch(&app, "/p?%70age=2").await.1, "2");
    assert_eq!(fetch(&app, "/p?%70%61%67%65=3").await.1, "3");
    assert_eq!(fetch(&app, "/p").await.1, "none");
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn a_prefix_goes_around_the_path_or_is_the_whole_key_or_is_worked_out() {
    let forms: [(KeyPrefix, &str); 5] = [
        ("shop:%s".into(), "shop:/foo"),
        (String::from("100% of %s!").into(), "100% of /foo!"),
        ("front-page".into(), "front-page"),
        ("".into(), ""),
        (KeyPrefix::custom(|request| format!("{}:{}", request.method, request.uri.path().len())), "GET:4"),
    ];
    for (prefix, key) in forms {
        let (cache, backend, _) = cache_and_backend();
        let with = layer(&cache).key_prefix(prefix);
        let (app, runs) = app(with.clone(), |_, run| format!("run {run}"));

        assert_eq!(twice(&app, || get("/foo")).await[1], HIT, "{key}");

        assert!(has(&backend, key).await, "{key}");
        assert_eq!(with.key_for("/foo").unwrap(), key);
        assert!(with.delete_cached("/foo").await.unwrap(), "{key}");
        assert!(is_miss(fetch(&app, "/foo").await.0), "{key}");
        assert_eq!(runs.count(), 2);
    }
}

#[tokio::test]
async fn a_whole_key_is_shared_by_all_paths_and_not_by_all_queries() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).key_prefix("one"), |_, run| format!("run {run}"));
    fetch(&app, "/a").await;

    assert_eq!(fetch(&app, "/b").await, (HIT, "run 1".into()));
    assert!(is_miss(fetch(&app, "/b?x=1").await.0));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_key_function_gives_the_whole_key_and_none_does_not_touch_the_cache() {
    // Flask-Caching Q-28: `delete_cached` did not know the function.
    let (cache, backend, _) = cache_and_backend();
    let own = layer(&cache)
        .make_cache_key(|request| request.uri.path().strip_prefix("/page/").map(|page| format!("page:{page}")));
    let (app, runs) = app(own.clone(), |_, run| format!("run {run}"));

    assert_eq!(twice(&app, || get("/page/1?x=1")).await[1], HIT);
    assert_eq!(fetch(&app, "/page/1?x=2").await.0, HIT);
    assert!(has(&backend, "page:1").await);
    let unkeyed = twice(&app, || get("/other")).await;

    assert_eq!(unkeyed, [CacheStatus::Bypass(BypassReason::NoKey); 2]);
    assert_eq!(runs.count(), 3);
    assert_eq!(own.key_for("/other").unwrap_err().kind(), ErrorKind::Key);
    assert!(own.delete_cached("/page/1").await.unwrap());
    assert!(is_miss(fetch(&app, "/page/1").await.0));
}

#[tokio::test]
async fn keys_that_begin_like_a_scope_are_deleted_too() {
    for cache in [cache().0, cache().0.scoped("admin")] {
        let own = layer(&cache).make_cache_key(|request| Some(format!("@{}", request.uri.path())));
        let prefixed = layer(&cache).key_prefix("@5:admin%s");
        for layer in [own, prefixed] {
            let (app, runs) = app(layer.clone(), |_, run| format!("run {run}"));
            assert_eq!(twice(&app, || get("/alice")).await[1], HIT);

            assert!(layer.delete_cached("/alice").await.unwrap());

            assert!(is_miss(fetch(&app, "/alice").await.0));
            assert_eq!(runs.count(), 2);
        }
    }
}

#[tokio::test]
async fn a_version_is_a_part_of_every_key() {
    let own: fn(CacheLayer) -> CacheLayer = |layer| layer.make_cache_key(|_| Some("one".into()));
    for keyed in [|layer| layer, own] {
        let (cache, _) = cache();
        let key = |version| keyed(layer(&cache)).version(version).key_for("/foo").unwrap();
        assert_ne!(key("1"), key("2"));

        let (old, _) = app(keyed(layer(&cache)).version("1"), |_, _| "old");
        let (new, runs) = app(keyed(layer(&cache)).version("2"), |_, _| "new");
        fetch(&old, "/foo").await;

        assert_eq!(fetch(&new, "/foo").await.1, "new");
        assert_eq!((fetch(&old, "/foo").await, runs.count()), ((HIT, "old".into()), 1));
    }
}

#[tokio::test]
async fn scopes_do_not_share_entries() {
    // Flask-Caching Q-14
    let (cache, _) = cache();
    let (admin, _) = app(layer(&cache.scoped("admin")), |_, _| "admin");
    let (public, runs) = app(layer(&cache), |_, _| "public");
    fetch(&admin, "/").await;

    assert_eq!(fetch(&public, "/").await.1, "public");
    assert_eq!(fetch(&admin, "/").await, (HIT, "admin".into()));
    assert!(cache.delete_cached("/").await.unwrap());
    assert_eq!(fetch(&admin, "/").await, (HIT, "admin".into()), "another scope's");
    assert_eq!(fetch(&public, "/").await.1, "public");
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn a_long_path_is_digested_and_a_longer_one_bypasses() {
    // Flask-Caching Q-57: never cached, and an exception for each request.
    let (cache, backend, _) = cache_and_backend();
    let keyed = layer(&cache);
    let (app, runs) = app(keyed.clone(), |request, _| request.uri().path().len().to_string());
    let [long, other, longer] =
        [('a', 2_000), ('b', 2_000), ('a', 8_192)].map(|(c, n)| format!("/{}", c.to_string().repeat(n)));

    assert_eq!(twice(&app, || get(&long)).await[1], HIT);
    assert!(is_miss(fetch(&app, &other).await.0));
    let key = keyed.key_for(&long).unwrap();
    assert!(key.len() <= 512 && has(&backend, &key).await);
    assert_eq!(twice(&app, || get(&longer)).await, [CacheStatus::Bypass(BypassReason::KeyTooLong); 2]);
    assert_eq!(runs.count(), 4);

    assert_eq!(keyed.key_for(&longer).unwrap_err().kind(), ErrorKind::Key);
    assert!(keyed.delete_cached(&long).await.unwrap());
    assert!(is_miss(fetch(&app, &long).await.0));
}

#[tokio::test]
async fn paths_around_the_bound_of_a_key_are_found_and_deleted_under_any_prefix() {
    for prefix in ["", "app:", "a-prefix-that-is-longer:"] {
        let clock = axum_caching::testing::ManualClock::new();
        let backend = axum_caching::MemoryBackend::builder().clock(clock.clock()).build();
        let cache = axum_caching::Cache::builder(backend).clock(clock.clock()).key_prefix(prefix).build();
        for cache in [cache.clone(), cache.scoped("s")] {
            let keyed = layer(&cache);
            let (app, _) = app(keyed.clone(), |request, _| request.uri().path().len().to_string());
            for length in 470..515 {
                let path = format!("/{}", "x".repeat(length));
                assert_eq!(twice(&app, || get(&path)).await[1], HIT, "{prefix}{length}");
                assert!(keyed.key_for(&path).unwrap().len() <= 512, "{prefix}{length}");

                assert!(keyed.delete_cached(&path).await.unwrap(), "{prefix}{length}");

                assert!(is_miss(fetch(&app, &path).await.0), "{prefix}{length}");
            }
        }
    }
}

#[tokio::test]
async fn route_parameters_of_any_name_are_only_a_path() {
    // Flask-Caching Q-22, Q-45: a parameter called `path` replaced the key.
    let (cache, _) = cache();
    let handler = async |Path((path, query)): Path<(String, String)>| format!("{path}{query}");
    let app = Router::new().route("/{path}/{query_args}", on_get(handler)).layer(layer(&cache));

    assert_eq!(fetch(&app, "/a/b").await.1, "ab");
    assert_eq!(fetch(&app, "/a/c").await.1, "ac");
    assert_eq!(fetch(&app, "/a/b").await, (HIT, "ab".into()));
}

#[tokio::test]
async fn entries_of_two_methods_are_never_shared() {
    let (cache, _) = cache();
    let both = layer(&cache)
        .methods([Method::POST, Method::PUT])
        .make_cache_key(|request| Some(format!("k:{}", request.uri.path())));
    let (app, runs) = app(both, |request, _| request.method().to_string());

    for method in [Method::GET, Method::POST, Method::PUT] {
        assert_eq!(twice(&app, || request(method.clone(), "/")).await[1], HIT, "{method}");
        assert_eq!(fetch_request(&app, request(method.clone(), "/")).await.1, method.as_str());
    }
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn an_entry_of_another_kind_under_the_key_is_a_miss_and_is_replaced() {
    // Flask-Caching Q-55: what could not be read stayed until its end.
    let (cache, backend, _) = cache_and_backend();
    let (app, runs) = app(layer(&cache), |_, run| format!("run {run}"));
    for foreign in ["garbage", "", "axc\u{1}r", "42"] {
        let before = runs.count();
        backend.set("view//foo", axum_caching::Value::from_bytes(foreign), None).await.unwrap();

        assert_eq!(twice(&app, || get("/foo")).await[1], HIT, "{foreign:?}");
        assert_eq!(runs.count(), before + 1, "{foreign:?}");
    }
    cache.set("view//foo", "a value", axum_caching::Ttl::Default).await.unwrap();
    assert_eq!(twice(&app, || get("/foo")).await[1], HIT);
    assert_eq!(runs.count(), 5);
}

#[tokio::test]
async fn a_request_cannot_name_its_key() {
    // nuxt-og-image CVE-2026-102527
    let (cache, backend, _) = cache_and_backend();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    let fields = ["x-cache-key", "key", "x-original-url", "x-rewrite-url", "x-http-method-override"];

    for field in fields {
        let name = HeaderName::try_from(field).unwrap();
        let mut request = get("/foo");
        request.headers_mut().insert(name, "view//admin".parse().unwrap());
        fetch_request(&app, request).await;
    }

    assert_eq!(backend.entries(), 1);
    assert!(has(&backend, "view//foo").await);
}
