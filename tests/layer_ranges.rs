//! Parts of stored responses: `Range`, `If-Range`, `206 Partial Content`.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "helpers of a test are tests")]

mod support;

use axum::{Router, response::Response};
use axum_caching::{BypassReason, CacheStatus};
use http::{Method, StatusCode};
use proptest::{collection::vec, prelude::*, sample::select};
use support::{
    answer, app, cache, get, get_with, layer, lines, request, send,
    stale::{MINUTE, World, hardy},
    text,
};

const BODY: &str = "0123456789";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const MINUTE_LATER: &str = "Sun, 06 Nov 1994 08:50:37 GMT";

/// An application that has a stored response with these fields and this body.
async fn warm(fields: &'static [(&'static str, &'static str)], body: &'static str) -> Router {
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache).ranges(true).not_modified(true), move |_, _| answer(fields, body));
    assert_eq!(text(send(&app, get("/")).await).await, body);
    app
}

/// Status, `Content-Range` and body.
async fn seen(response: Response) -> (u16, String, String) {
    (response.status().as_u16(), lines(&response, "content-range").concat(), text(response).await)
}

async fn ask(app: &Router, fields: &[(&str, &str)]) -> (u16, String, String) {
    seen(send(app, get_with("/", fields)).await).await
}

fn whole() -> (u16, String, String) {
    (200, String::new(), BODY.into())
}

fn part(range: &str, text: &str) -> (u16, String, String) {
    (206, format!("bytes {range}/10"), text.into())
}

#[tokio::test]
async fn one_range_is_answered_with_that_part() {
    let app = warm(&[("etag", "\"v1\""), ("x-kept", "1")], BODY).await;
    for (range, expected) in [
        ("bytes=0-0", part("0-0", "0")),
        ("bytes=2-4", part("2-4", "234")),
        ("bytes=7-", part("7-9", "789")),
        ("bytes=-3", part("7-9", "789")),
        ("bytes=-99", part("0-9", BODY)),
        ("bytes=8-99", part("8-9", "89")),
        ("bytes=9-18446744073709551616", part("9-9", "9")),
        ("BYTES= 1-1 ", part("1-1", "1")),
        // A server takes the space around a field away (RFC 9110 §5.5); a caller that is none may leave it there.
        (" \tbytes=1-1", part("1-1", "1")),
    ] {
        assert_eq!(ask(&app, &[("range", range)]).await, expected, "{range}");
    }
    let response = send(&app, get_with("/", &[("range", "bytes=2-4")])).await;
    assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Hit));
    for (name, value) in [("content-length", "3"), ("etag", "\"v1\""), ("x-kept", "1"), ("accept-ranges", "bytes")] {
        assert_eq!(lines(&response, name), [value], "{name}");
    }
}

#[tokio::test]
async fn a_part_has_no_digest_of_the_whole() {
    // RFC 9530 §2: `Content-Digest` is of the content of this message, and `Repr-Digest` is not.
    const FIELDS: [(&str, &str); 3] =
        [("content-digest", "sha-256=:d2hvbGU=:"), ("content-md5", "d2hvbGU="), ("repr-digest", "sha-256=:d2hvbGU=:")];
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache).ranges(true), |_, _| answer(&FIELDS, BODY));
    for (range, left) in [(None, [1, 1, 1]), (Some("bytes=0-1"), [0, 0, 1])] {
        let fields: Vec<_> = range.map(|range| ("range", range)).into_iter().collect();
        let response = send(&app, get_with("/", &fields)).await;
        assert_eq!(FIELDS.map(|(name, _)| lines(&response, name).len()), left, "{range:?}");
    }
}

#[tokio::test]
async fn a_range_with_nothing_in_it_is_416_and_says_how_long_the_whole_is() {
    let app = warm(&[("cache-control", "max-age=60"), ("etag", "\"v1\"")], BODY).await;
    for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
        assert_eq!(ask(&app, &[("range", range)]).await, (416, "bytes */10".into(), String::new()), "{range}");
    }
    let response = send(&app, get_with("/", &[("range", "bytes=10-")])).await;
    assert!(!response.headers().contains_key("cache-control"), "an error is not to be kept by others");
}

#[tokio::test]
async fn of_an_empty_body_there_is_no_part() {
    let app = warm(&[], "").await;
    assert_eq!(ask(&app, &[("range", "bytes=-1")]).await, (200, String::new(), String::new()));
    assert_eq!(ask(&app, &[("range", "bytes=0-")]).await, (416, "bytes */0".into(), String::new()));
}

#[tokio::test]
async fn several_ranges_other_units_and_what_is_no_range_are_answered_with_the_whole() {
    let app = warm(&[], BODY).await;
    for range in ["bytes=0-1,3-4", "bytes=0-1,", "lines=0-1", "bytes 0-1", "bytes=", "bytes=-", "bytes=4-2"] {
        assert_eq!(ask(&app, &[("range", range)]).await, whole(), "{range}");
    }
    let backwards = "bytes=99999999999999999999999-18446744073709551616";
    for range in [backwards, "bytes=a-", "bytes=+1-2", "bytes=1--2", "bytes=0x1-2", "bytes=1 - 2", "=0-1", "0-1", ""] {
        assert_eq!(ask(&app, &[("range", range)]).await, whole(), "{range}");
    }
    assert_eq!(ask(&app, &[("range", "bytes=0-1"), ("range", "bytes=0-1")]).await, whole(), "two lines");
}

#[tokio::test]
async fn if_range_compares_strongly() {
    let strong = warm(&[("etag", "\"v1\"")], BODY).await;
    for (condition, is_part) in
        [("\"v1\"", true), ("W/\"v1\"", false), ("\"v2\"", false), ("v1", false), ("\"v1\", \"v1\"", false)]
    {
        let seen = ask(&strong, &[("range", "bytes=0-0"), ("if-range", condition)]).await;
        assert_eq!(seen.0, if is_part { 206 } else { 200 }, "{condition}");
    }
    let twice = [("range", "bytes=0-0"), ("if-range", "\"v1\""), ("if-range", "\"v1\"")];
    assert_eq!(ask(&strong, &twice).await, whole());
    assert_eq!(ask(&strong, &[("if-range", "\"v2\"")]).await, whole(), "without a range it says nothing");
    let weak = warm(&[("etag", "W/\"v1\"")], BODY).await;
    assert_eq!(ask(&weak, &[("range", "bytes=0-0"), ("if-range", "W/\"v1\"")]).await, whole());
}

#[tokio::test]
async fn if_range_with_a_date_wants_that_very_date_and_a_copy_that_was_made_well_after_it() {
    let asked = |date| [("range", "bytes=0-0"), ("if-range", date)];
    let strong = warm(&[("last-modified", MODIFIED), ("date", MINUTE_LATER)], BODY).await;
    assert_eq!(ask(&strong, &asked(MODIFIED)).await, part("0-0", "0"));
    assert_eq!(ask(&strong, &asked(MINUTE_LATER)).await, whole(), "later is not the same");
    let weak = warm(&[("last-modified", MODIFIED), ("date", MODIFIED)], BODY).await;
    assert_eq!(ask(&weak, &asked(MODIFIED)).await, whole(), "it may have changed within the second");
}

#[tokio::test]
async fn a_client_that_has_it_already_is_told_so_before_its_range_is_looked_at() {
    let app = warm(&[("etag", "\"v1\"")], BODY).await;
    assert_eq!(ask(&app, &[("range", "bytes=99-"), ("if-none-match", "\"v1\"")]).await.0, 304);
    assert_eq!(ask(&app, &[("range", "bytes=0-0"), ("if-none-match", "\"v2\"")]).await.0, 206);
    assert_eq!(ask(&app, &[("range", "bytes=0-0"), ("if-match", "\"v2\"")]).await, whole(), "the handler's affair");
}

#[tokio::test]
async fn head_ignores_it_and_says_that_there_are_parts() {
    let app = warm(&[], BODY).await;
    let mut head = request(Method::HEAD, "/");
    head.headers_mut().insert("range", "bytes=0-0".parse().unwrap());
    let response = send(&app, head).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        (lines(&response, "content-length"), lines(&response, "accept-ranges")),
        (vec!["10".into()], vec!["bytes".into()])
    );
}

#[tokio::test]
async fn only_a_stored_200_has_parts() {
    let (cache, _) = cache();
    let moved = |_, _| (StatusCode::MOVED_PERMANENTLY, BODY);
    let (app, _) = app(layer(&cache).ranges(true), moved);
    send(&app, get("/")).await;
    let response = send(&app, get_with("/", &[("range", "bytes=0-0")])).await;
    assert_eq!((response.status(), text(response).await), (StatusCode::MOVED_PERMANENTLY, BODY.into()));
}

#[tokio::test]
async fn a_range_that_nothing_stored_answers_is_the_handlers_and_fills_nothing() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache).ranges(true), |request, _| {
        assert_eq!(support::seen(&request, "range"), "bytes=0-0");
        (StatusCode::PARTIAL_CONTENT, [("content-range", "bytes 0-0/10")], "0")
    });
    for run in 1..3 {
        let response = send(&app, get_with("/", &[("range", "bytes=0-0")])).await;
        assert_eq!(CacheStatus::of(&response), Some(CacheStatus::Bypass(BypassReason::Conditional)));
        assert_eq!((seen(response).await, runs.count()), (part("0-0", "0"), run));
    }
}

#[tokio::test]
async fn a_stale_page_has_parts_too() {
    let mut world = World::of(|layer| layer.profile(hardy()).ranges(true));
    world.fetch_with(|run| run.answer("old")).await;
    world.clock.advance(MINUTE);
    assert_eq!(world.send(get_with("/", &[("range", "bytes=0-1")])).await, support::stale::stale("ol"));
}

#[tokio::test]
async fn it_is_off_by_default() {
    let (cache, _) = cache();
    let (app, _) = app(layer(&cache), |_, _| BODY);
    send(&app, get("/")).await;
    let response = send(&app, get_with("/", &[("range", "bytes=0-0")])).await;
    assert!(!response.headers().contains_key("accept-ranges"));
    assert_eq!(seen(response).await, whole());
}

#[tokio::test]
async fn a_part_is_not_copied() {
    let (cache, _) = cache();
    // Larger than what is copied when it is stored.
    let large: &'static [u8] = Box::leak(vec![7; 1 << 17].into_boxed_slice());
    let (app, _) = app(layer(&cache).ranges(true), move |_, _| large);
    send(&app, get("/")).await;
    let response = send(&app, get_with("/", &[("range", "bytes=100-199")])).await;
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!((body.as_ptr(), body.len()), (large[100..].as_ptr(), 100));
}

/// The positions that a range asks for, one by one; `None` if the field is to be ignored. Numbers are texts of one
/// length, so that none is too large.
fn model(field: &str, length: usize) -> Option<Vec<usize>> {
    let (unit, range) = field.split_once('=')?;
    let (first, last) = range.trim_matches([' ', '\t']).split_once('-')?;
    let number = |text: &str| -> Option<String> {
        (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).then(|| format!("{text:0>999}"))
    };
    let is_asked: Box<dyn Fn(usize) -> bool> = match (first, last) {
        ("", suffix) => {
            let suffix = number(suffix)?;
            Box::new(move |at| format!("{:0>999}", length - at) <= suffix)
        }
        (first, "") => {
            let first = number(first)?;
            Box::new(move |at| format!("{at:0>999}") >= first)
        }
        (first, last) => {
            let asked = number(first)?..=number(last)?;
            if asked.is_empty() {
                return None;
            }
            Box::new(move |at| asked.contains(&format!("{at:0>999}")))
        }
    };
    unit.eq_ignore_ascii_case("bytes").then(|| (0..length).filter(|at| is_asked(*at)).collect())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_range_is_read_as_the_standard_says(
        pieces in vec(select(&[
            "bytes", "Bytes", "lines", "=", "=", "-", "-", "0", "1", "3", "9", "10", "18446744073709551615",
            "99999999999999999999999999999999999999999999", ",", " ", "\t", "+", "x",
        ][..]), 0..8),
        is_likely in any::<bool>(),
    ) {
        let field = format!("{}{}", if is_likely { "bytes=" } else { "" }, pieces.concat());
        let (status, range, body) = run(async {
            let app = warm(&[], BODY).await;
            ask(&app, &[("range", &field)]).await
        });
        let expected = match model(field.trim_matches([' ', '\t']), 10).as_deref() {
            None => whole(),
            Some([]) => (416, "bytes */10".into(), String::new()),
            Some([first, .., last]) => part(&format!("{first}-{last}"), &BODY[*first..=*last]),
            Some([only]) => part(&format!("{only}-{only}"), &BODY[*only..=*only]),
        };
        prop_assert_eq!((status, range, body), expected, "{:?}", field);
    }
}
