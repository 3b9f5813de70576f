//! Which responses are kept: the rows about responses in the table of safe defaults, and what changes each.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use std::time::Duration;

use axum::response::IntoResponse;
use axum_caching::{CachePolicy, CacheStatus, NotStored};
use http::{HeaderValue, StatusCode, header};
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;

/// Says that two requests both reach a handler that answers with these fields, and why.
async fn assert_not_stored(fields: &[(&'static str, &'static str)], reason: NotStored) {
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), fields);

    let statuses = twice(&app, || get("/")).await;

    assert_eq!(statuses.map(not_stored), [Some(reason); 2], "{fields:?}");
    assert_eq!(runs.count(), 2, "{fields:?}");
}

async fn assert_stored(fields: &[(&'static str, &'static str)]) {
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), fields);

    let statuses = twice(&app, || get("/")).await;

    assert_eq!((statuses[1], runs.count()), (HIT, 1), "{fields:?}");
}

#[tokio::test]
async fn a_response_that_sets_a_cookie_is_not_stored() {
    // Symfony CVE-2022-24894, Nitro GHSA-39r7-wfcx-99xg, Django CVE-2026-35192, Flask-Caching Q-05.
    assert_not_stored(&[("set-cookie", "session=alice")], NotStored::SetCookie).await;
    assert_not_stored(&[("set-cookie", "a=1"), ("cache-control", "public, max-age=60")], NotStored::SetCookie).await;
    assert_not_stored(&[("set-cookie", "")], NotStored::SetCookie).await;
}

#[tokio::test]
async fn each_client_gets_a_cookie_of_its_own() {
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache), |_, run| answer(&[("set-cookie", &format!("session={run}"))], "page"));

    let cookies = [send(&app, get("/")).await, send(&app, get("/")).await].map(|it| lines(&it, "set-cookie"));

    assert_eq!(cookies, [["session=1"], ["session=2"]]);
}

#[tokio::test]
async fn a_cookie_that_is_stripped_goes_to_its_own_client_and_is_never_replayed() {
    let (cache, _) = cache();
    let fields = [("set-cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-kept", "1")];
    let (app, runs) = answering(layer(&cache).strip_set_cookie(), &fields);

    let first = send(&app, get("/")).await;
    let second = send(&app, get("/")).await;

    assert_eq!(lines(&first, "set-cookie"), ["a=1", "b=2"]);
    assert_eq!(CacheStatus::of(&second), Some(HIT));
    assert_eq!(lines(&second, "set-cookie"), [""; 0]);
    assert_eq!(lines(&second, "x-kept"), ["1"]);
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn no_store_private_and_no_cache_are_obeyed_in_any_case_and_quoting() {
    // Django CVE-2026-8404, Hono CVE-2026-24472, Flask-Caching Q-09.
    for value in ["no-store", "NO-STORE", "max-age=60,No-Store", "public , no-store", ",,no-store", "no-store=\"\""] {
        assert_not_stored(&[("cache-control", value)], NotStored::NoStore).await;
    }
    for value in ["private", "Private", "s-maxage=60, PRIVATE", "private=\"set-cookie\"", "x=\"a,b\",private"] {
        assert_not_stored(&[("cache-control", value)], NotStored::Private).await;
    }
    for value in ["no-cache", "No-Cache", "no-cache=\"set-cookie, x\"", "max-age=60\t,\tno-cache"] {
        assert_not_stored(&[("cache-control", value)], NotStored::NoCache).await;
    }
}

#[tokio::test]
async fn a_restriction_on_a_second_line_counts() {
    assert_not_stored(&[("cache-control", "max-age=60"), ("cache-control", "no-store")], NotStored::NoStore).await;
    assert_not_stored(&[("cache-control", "private"), ("cache-control", "public")], NotStored::Private).await;
}

#[tokio::test]
async fn a_quote_that_is_never_closed_does_not_hide_a_restriction() {
    assert_not_stored(&[("cache-control", "x=\"open, no-store")], NotStored::NoStore).await;
    assert_not_stored(&[("cache-control", "x=\"a\\\", private")], NotStored::Private).await;
}

#[tokio::test]
async fn what_only_looks_like_a_restriction_is_none() {
    assert_stored(&[("cache-control", "x=\"no-store, private\"")]).await;
    assert_stored(&[("cache-control", "no-storex, xprivate, no-transform")]).await;
    assert_stored(&[("cache-control", "")]).await;
    assert_stored(&[("cache-control", "must-revalidate, proxy-revalidate, immutable, public")]).await;
}

#[tokio::test]
async fn a_lifetime_of_nothing_is_not_stored() {
    // Two of five peers cached `max-age=0`.
    for value in
        ["max-age=0", "s-maxage=0, max-age=60", "max-age=-1", "max-age=ten", "max-age", "max-age=60, max-age=0"]
    {
        assert_not_stored(&[("cache-control", value)], NotStored::NoLifetime).await;
    }
    assert_not_stored(&[("expires", "0")], NotStored::NoLifetime).await;
    assert_not_stored(&[("expires", "Thu, 01 Jan 1970 00:00:00 GMT")], NotStored::NoLifetime).await;
}

#[tokio::test]
async fn cache_control_and_expires_can_be_overridden_but_not_a_cookie_and_not_vary_any() {
    for value in ["no-store", "private", "no-cache", "max-age=0"] {
        let (cache, clock) = cache();
        let (app, runs) = answering(layer(&cache).override_cache_control(), &[("cache-control", value)]);

        assert_eq!(twice(&app, || get("/")).await[1], HIT, "{value}");
        clock.advance(Duration::from_millis(59_999));
        assert_eq!(fetch(&app, "/").await.0, HIT, "{value}");
        clock.advance(Duration::from_millis(1));
        assert!(is_miss(fetch(&app, "/").await.0), "{value}");
        assert_eq!(runs.count(), 2, "{value}");
    }
    for (field, reason) in [(("set-cookie", "a=1"), NotStored::SetCookie), (("vary", "*"), NotStored::VaryAny)] {
        let (cache, _) = cache();
        let (app, runs) = answering(layer(&cache).override_cache_control(), &[field]);

        assert_eq!(twice(&app, || get("/")).await.map(not_stored), [Some(reason); 2]);
        assert_eq!(runs.count(), 2);
    }
}

#[tokio::test]
async fn what_varies_with_anything_is_not_stored() {
    // Django CVE-2026-6907, CVE-2026-48587.
    for value in ["*", " * ", "accept, *", "*, accept", "accept,\t*\t,x", "accept,,*"] {
        assert_not_stored(&[("vary", value)], NotStored::VaryAny).await;
    }
    assert_not_stored(&[("vary", "accept"), ("vary", "*")], NotStored::VaryAny).await;
}

#[tokio::test]
async fn what_varies_with_something_that_is_no_name_is_not_stored() {
    for value in ["accept language", "\"accept\"", "accept;q=1", "a/b"] {
        assert_not_stored(&[("vary", value)], NotStored::VaryAny).await;
    }
}

#[tokio::test]
async fn what_varies_with_a_credential_is_not_stored_though_the_request_had_none() {
    // Django CVE-2026-48588 (`Vary: Cookie`), Hono CVE-2026-44457.
    for value in ["cookie", "Cookie", "accept, COOKIE", " cookie\t", "authorization", "Accept,Authorization"] {
        assert_not_stored(&[("vary", value)], NotStored::VaryCredentials).await;
    }
}

#[tokio::test]
async fn what_varies_with_a_credential_is_not_stored_where_that_is_ignored_either() {
    let (cache, _) = cache();
    let (app, runs) =
        answering(layer(&cache).ignore_cookies().ignore_authorization(), &[("vary", "cookie, authorization")]);

    let statuses = twice(&app, || get_with("/", &[("cookie", "a=1"), ("authorization", "x")])).await;

    assert_eq!(statuses.map(not_stored), [Some(NotStored::VaryCredentials); 2]);
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn only_five_statuses_are_stored() {
    // Flask-Caching Q-10: errors were stored for the full time.
    for status in (200..600).filter_map(|code| StatusCode::from_u16(code).ok()) {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache), move |_, _| (status, "body"));

        let statuses = twice(&app, || get("/")).await;

        match status.as_u16() {
            200 | 203 | 204 | 301 | 308 => assert_eq!((statuses[1], runs.count()), (HIT, 1), "{status}"),
            206 | 304 => {
                assert_eq!(statuses.map(not_stored), [Some(NotStored::Partial); 2], "{status}");
                assert_eq!(runs.count(), 2, "{status}");
            }
            _ => {
                assert_eq!(statuses.map(not_stored), [Some(NotStored::Status); 2], "{status}");
                assert_eq!(runs.count(), 2, "{status}");
            }
        }
    }
}

#[tokio::test]
async fn a_filter_or_a_policy_lets_other_statuses_in_but_never_a_part_of_an_answer() {
    // Flask-Caching Q-11: a stored 304 answered everybody with nothing.
    for status in [StatusCode::NOT_FOUND, StatusCode::GONE, StatusCode::FOUND, StatusCode::SERVICE_UNAVAILABLE] {
        let (cache, _) = cache();
        let filter = layer(&cache).response_filter(|_| true);
        let (filtered, runs) = app(filter, move |_, _| status);
        assert_eq!((twice(&filtered, || get("/filtered")).await[1], runs.count()), (HIT, 1), "{status}");

        let (own, runs) =
            app(layer(&cache), move |_, _| (status, CachePolicy::ttl(Duration::from_secs(1)), "").into_response());
        assert_eq!((twice(&own, || get("/own")).await[1], runs.count()), (HIT, 1), "{status}");
    }
    for status in [StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED] {
        let (cache, _) = cache();
        let filter = layer(&cache).response_filter(|_| true);
        let (app, runs) =
            app(filter, move |_, _| (status, CachePolicy::ttl(Duration::from_secs(1)), "part").into_response());

        let statuses = twice(&app, || get("/")).await;

        assert_eq!(statuses.map(not_stored), [Some(NotStored::Partial); 2]);
        assert_eq!(runs.count(), 2);
    }
}

#[tokio::test]
async fn a_policy_that_gives_no_lifetime_does_not_let_a_status_in() {
    let (cache, _) = cache();
    let silent = CachePolicy::ttl(axum_caching::Ttl::Default);
    let (app, runs) = app(layer(&cache), move |_, _| (StatusCode::NOT_FOUND, silent.clone(), "").into_response());

    let statuses = twice(&app, || get("/")).await;

    assert_eq!(statuses.map(not_stored), [Some(NotStored::Status); 2]);
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn fields_of_one_connection_and_extensions_are_not_stored() {
    #[derive(Clone, Debug, PartialEq)]
    struct Secret(&'static str);
    let (cache, _) = cache();
    let hops = [
        ("connection", "close, X-Hop"),
        ("connection", "x-second-line"),
        ("x-hop", "1"),
        ("x-second-line", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "x"),
        ("proxy-authorization", "x"),
        ("proxy-connection", "close"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("upgrade", "h2c"),
    ];
    let (app, runs) = app(layer(&cache), move |_, _| {
        let mut response = answer(&hops, "body");
        response.headers_mut().insert("x-kept", HeaderValue::from_static("1"));
        response.extensions_mut().insert(Secret("alice"));
        response
    });

    let first = send(&app, get("/")).await;
    let second = send(&app, get("/")).await;

    assert_eq!(first.extensions().get(), Some(&Secret("alice")), "the first client's own");
    assert_eq!((CacheStatus::of(&second), runs.count()), (Some(HIT), 1));
    let mut names: Vec<_> = second.headers().keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "date", "x-kept"]);
    assert_eq!(second.extensions().get::<Secret>(), None);
}

#[tokio::test]
async fn what_a_request_carried_is_not_in_the_extensions_of_a_hit() {
    #[derive(Clone, Debug)]
    struct User;
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
    fetch(&app, "/").await;

    let mut request = get("/");
    request.extensions_mut().insert(User);
    let hit = send(&app, request).await;

    assert_eq!(CacheStatus::of(&hit), Some(HIT));
    assert!(hit.extensions().get::<User>().is_none());
}

#[tokio::test]
async fn a_body_over_the_limit_is_passed_on_whole() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).max_body_size(10), |request, _| match request.uri().path() {
        "/small" => "0123456789",
        _ => "0123456789+",
    });

    assert_eq!(twice(&app, || get("/small")).await[1], HIT);
    let large = send(&app, get("/large")).await;
    assert_eq!(not_stored(CacheStatus::of(&large).unwrap()), Some(NotStored::TooLarge));
    assert_eq!(text(large).await, "0123456789+");
    assert_eq!(fetch(&app, "/large").await.1, "0123456789+");
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_stored_and_one_byte_more_is_not() {
    let (cache, _) = cache();
    let size = |path: &str| if path == "/fits" { 1 << 20 } else { (1 << 20) + 1 };
    let (app, runs) = app(layer(&cache), move |request, _| vec![b'x'; size(request.uri().path())]);

    assert_eq!(twice(&app, || get("/fits")).await[1], HIT);
    assert_eq!(twice(&app, || get("/over")).await.map(not_stored), [Some(NotStored::TooLarge); 2]);
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn bodies_that_do_not_end_or_are_framed_for_one_reader_are_not_stored() {
    // Every peer hung on an endless event stream.
    for kind in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "multipart/byteranges; boundary=x"] {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache), move |_, run| answer(&[("content-type", kind)], format!("run {run}")));

        let statuses = twice(&app, || get("/")).await;

        assert_eq!(statuses.map(not_stored), [Some(NotStored::Streaming); 2], "{kind}");
        assert_eq!(runs.count(), 2, "{kind}");
    }
}

#[tokio::test]
async fn a_page_that_was_turned_uncacheable_takes_its_old_entry_with_it() {
    // nginx mailing list, 2010: the old copy came back for years.
    for turned in [("cache-control", "no-store"), ("set-cookie", "a=1"), ("vary", "*")] {
        let (cache, _) = cache();
        let forced = layer(&cache).forced_update(|request| request.headers.contains_key("x-refresh"));
        let (app, runs) = app(forced, move |_, run| match run {
            2 => answer(&[turned], "run 2"),
            _ => answer(&[], format!("run {run}")),
        });
        fetch(&app, "/").await;

        fetch_request(&app, get_with("/", &[("x-refresh", "1")])).await;

        assert_eq!(fetch(&app, "/").await.1, "run 3", "{turned:?}");
        assert_eq!(runs.count(), 3);
    }
}
