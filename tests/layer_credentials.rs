//! Requests that say who sends them: `Authorization` and `Cookie`.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use axum::body::Body;
use axum_caching::{BypassReason, CacheLayer, CacheStatus, Cookies};
use http::{HeaderValue, Request, header};
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;

#[tokio::test]
async fn a_request_with_authorization_does_not_touch_the_cache() {
    // Flask-Caching Q-06, Hono CVE-2026-44457, RFC 9111 §3.5: also where the response says `public`.
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), &[("cache-control", "public, max-age=60")]);
    fetch(&app, "/me").await;

    let statuses = twice(&app, || get_with("/me", &[("authorization", "Bearer alice")])).await;

    assert_eq!(statuses, [CacheStatus::Bypass(BypassReason::Authorization); 2]);
    assert_eq!(runs.count(), 3);
    assert_eq!(fetch(&app, "/me").await.1, "run 1");
}

#[tokio::test]
async fn authorization_in_the_key_gives_each_value_a_variant_of_its_own() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).vary_by([header::AUTHORIZATION]), |request, _| seen(&request, "authorization"));
    let as_user = |name| get_with("/me", &[("authorization", name)]);

    for user in ["alice", "bob"] {
        assert!(is_miss(fetch_request(&app, as_user(user)).await.0));
    }

    assert_eq!(fetch_request(&app, as_user("alice")).await, (HIT, "alice".into()));
    assert_eq!(fetch_request(&app, as_user("bob")).await, (HIT, "bob".into()));
    assert_eq!(fetch(&app, "/me").await.1, "-");
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn authorization_that_is_ignored_shares_the_entry() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).ignore_authorization(), |_, run| format!("run {run}"));
    fetch(&app, "/news").await;

    let (status, body) = fetch_request(&app, get_with("/news", &[("authorization", "x")])).await;

    assert_eq!((status, body.as_str(), runs.count()), (HIT, "run 1", 1));
}

#[tokio::test]
async fn a_request_with_a_cookie_does_not_touch_the_cache() {
    // Flask-Caching Q-06; four of five peers gave one user's page to another.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, _| seen(&request, "cookie"));
    fetch(&app, "/me").await;

    let statuses = twice(&app, || get_with("/me", &[("cookie", "session=alice")])).await;
    let empty = twice(&app, || get_with("/me", &[("cookie", "")])).await;

    assert_eq!(statuses, [CacheStatus::Bypass(BypassReason::Cookie); 2]);
    assert_eq!(empty, [CacheStatus::Bypass(BypassReason::Cookie); 2]);
    assert_eq!(runs.count(), 5);
    assert_eq!(fetch(&app, "/me").await, (HIT, "-".into()));
}

#[tokio::test]
async fn only_the_named_cookies_select_a_variant() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).cookies(Cookies::only(["lang"])), |_, run| format!("run {run}"));
    let with = |cookies| get_with("/", &[("cookie", cookies)]);

    let german = fetch_request(&app, with("lang=de; session=alice")).await.1;
    let same = fetch_request(&app, with("session=bob; lang=de")).await;
    let french = fetch_request(&app, with("lang=fr; session=bob")).await.1;
    let none = fetch(&app, "/").await.1;
    let other = fetch_request(&app, with("session=carol")).await;
    let empty = fetch_request(&app, with("lang=")).await.1;

    assert_eq!([german.as_str(), &french, &none, &empty], ["run 1", "run 2", "run 3", "run 4"]);
    assert_eq!(same, (HIT, "run 1".into()));
    assert_eq!(other, (HIT, "run 3".into()));
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn a_named_cookie_that_is_there_twice_is_not_one_of_its_values() {
    // Which of the two the handler takes is its own affair.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).cookies(Cookies::only(["lang"])), |_, run| format!("run {run}"));
    let values = ["lang=de", "lang=de; lang=fr", "lang=fr; lang=de", "lang=\"de\"", "Lang=de", "lang=de%20"];

    for (index, cookies) in values.into_iter().enumerate() {
        let (status, _) = fetch_request(&app, get_with("/", &[("cookie", cookies)])).await;

        assert!(is_miss(status), "{cookies}");
        assert_eq!(runs.count(), index + 1, "{cookies}");
    }
}

#[tokio::test]
async fn a_cookie_split_over_several_lines_is_read_whole() {
    // HTTP/2 sends a line for each pair (RFC 9113 §8.2.3).
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).cookies(Cookies::only(["lang"])), |_, run| format!("run {run}"));

    fetch_request(&app, get_with("/", &[("cookie", "session=a"), ("cookie", "lang=de")])).await;
    let (status, _) = fetch_request(&app, get_with("/", &[("cookie", "lang=de; session=b")])).await;

    assert_eq!((status, runs.count()), (HIT, 1));
}

#[tokio::test]
async fn an_escaped_name_of_a_named_cookie_does_not_poison_the_page_without_it() {
    // `axum_extra::extract::CookieJar` decodes names: `%6Cang=fr` is `lang=fr` to the handler.
    let (cache, _) = cache();
    let handler = |request: Request<Body>, _| {
        let cookies = seen(&request, "cookie").replace("%6C", "l");
        if cookies.contains("lang=fr") { "bonjour" } else { "hello" }
    };
    let (app, runs) = app(layer(&cache).cookies(Cookies::only(["lang"])), handler);

    let attack = fetch_request(&app, get_with("/", &[("cookie", "%6Cang=fr")])).await.1;
    let victim = fetch(&app, "/").await.1;

    assert_eq!((attack.as_str(), victim.as_str(), runs.count()), ("bonjour", "hello", 2));
}

#[tokio::test]
async fn a_cookie_line_that_is_no_text_does_not_poison_the_variant_of_a_named_cookie() {
    // `CookieJar` skips such a line as a whole, `lang` with it.
    let (cache, _) = cache();
    let handler = |request: Request<Body>, _| {
        let line = request.headers().get(header::COOKIE).and_then(|line| line.to_str().ok());
        if line.is_some_and(|line| line.contains("lang=fr")) { "bonjour" } else { "hello" }
    };
    let (app, runs) = app(layer(&cache).cookies(Cookies::only(["lang"])), handler);
    let mut attack = get("/");
    attack.headers_mut().insert(header::COOKIE, HeaderValue::from_bytes(b"lang=fr; x=\xe9").unwrap());

    let attack = fetch_request(&app, attack).await.1;
    let victim = fetch_request(&app, get_with("/", &[("cookie", "lang=fr")])).await.1;

    assert_eq!((attack.as_str(), victim.as_str(), runs.count()), ("hello", "bonjour", 2));
}

#[tokio::test]
async fn cookies_that_are_ignored_share_the_entry() {
    let ways: [fn(CacheLayer) -> CacheLayer; 2] =
        [CacheLayer::ignore_cookies, |layer| layer.cookies(Cookies::ignore())];
    for ignoring in ways {
        let (cache, _) = cache();
        let (app, runs) = app(ignoring(layer(&cache)), |_, run| format!("run {run}"));
        fetch_request(&app, get_with("/news", &[("cookie", "session=alice")])).await;

        let (status, body) = fetch_request(&app, get_with("/news", &[("cookie", "session=bob")])).await;

        assert_eq!((status, body.as_str(), runs.count()), (HIT, "run 1", 1));
    }
}

#[tokio::test]
async fn the_cookie_field_named_in_the_key_gives_each_value_a_variant() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).vary_by([header::COOKIE]), |request, _| seen(&request, "cookie"));

    for cookie in ["a=1", "a=2", "a=1; b=1"] {
        assert!(is_miss(fetch_request(&app, get_with("/", &[("cookie", cookie)])).await.0));
        let again = fetch_request(&app, get_with("/", &[("cookie", cookie)])).await;
        assert_eq!(again, (HIT, cookie.to_owned()));
    }
    assert_eq!(runs.count(), 3);
}
