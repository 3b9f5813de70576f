//! Variants: what `Vary` and `vary_by` select, and what selects nothing.
#![cfg(all(feature = "memory", feature = "axum"))]

mod support;

use std::time::Duration;

use axum::body::Body;
use axum_caching::{CacheStatus, MissReason, NotStored};
use http::{HeaderName, Request, header};
use support::*;

const HIT: CacheStatus = CacheStatus::Hit;

fn language(value: &str) -> Request<Body> {
    get_with("/", &[("accept-language", value)])
}

#[tokio::test]
async fn each_value_of_a_varying_field_has_a_variant_of_its_own() {
    // Flask-Caching Q-07; three of five peers served the wrong language.
    for spelling in ["accept-language", "Accept-Language", " ACCEPT-LANGUAGE\t", ",accept-language,,"] {
        let (cache, _) = cache();
        let (app, runs) =
            app(layer(&cache), move |request, _| answer(&[("vary", spelling)], seen(&request, "accept-language")));

        for value in ["de", "fr", "de"] {
            assert_eq!(fetch_request(&app, language(value)).await.1, value, "{spelling}");
        }

        assert_eq!(fetch_request(&app, language("fr")).await, (HIT, "fr".into()));
        assert_eq!(runs.count(), 2);
    }
}

#[tokio::test]
async fn names_on_several_lines_all_select() {
    // Django CVE-2026-48587 is about names that were not found.
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), &[("vary", "accept"), ("vary", "x-a , X-B")]);
    let with = |name: &str, value: &str| get_with("/", &[(name, value)]);

    for name in ["accept", "x-a", "x-b"] {
        for value in ["1", "2"] {
            assert!(is_miss(fetch_request(&app, with(name, value)).await.0), "{name}: {value}");
            assert_eq!(fetch_request(&app, with(name, value)).await.0, HIT, "{name}: {value}");
        }
    }
    assert_eq!(
        fetch_request(&app, with("x-c", "1")).await.0,
        CacheStatus::Miss { reason: MissReason::Variant, not_stored: None }
    );
    assert_eq!(fetch_request(&app, with("x-c", "2")).await.0, HIT);
    assert_eq!(runs.count(), 7);
}

#[tokio::test]
async fn a_field_that_is_absent_is_not_an_empty_one() {
    // Django CVE-2026-113593
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, _| answer(&[("vary", "x-a")], seen(&request, "x-a")));

    assert_eq!(fetch(&app, "/").await.1, "-");
    assert_eq!(fetch_request(&app, get_with("/", &[("x-a", "")])).await.1, "");
    assert_eq!(fetch(&app, "/").await, (HIT, "-".into()));
    assert_eq!(fetch_request(&app, get_with("/", &[("x-a", "")])).await, (HIT, String::new()));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn values_cannot_be_moved_from_one_field_to_the_next() {
    // mercure GHSA-hwr4-mq23-wcv5: `a + "_" + b` was the key.
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), &[("vary", "x-a, x-b")]);
    let pairs = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc", ""),
        ("", "abc"),
        ("a,b", "c"),
        ("a", "b,c"),
        ("a_b", "c"),
        ("a+b", "c"),
        ("a", "b+c"),
    ];

    for (a, b) in pairs {
        assert!(is_miss(fetch_request(&app, get_with("/", &[("x-a", a), ("x-b", b)])).await.0), "{a:?} {b:?}");
    }
    for (a, b) in pairs {
        assert_eq!(fetch_request(&app, get_with("/", &[("x-a", a), ("x-b", b)])).await.0, HIT, "{a:?} {b:?}");
    }
    assert_eq!(runs.count(), pairs.len());
}

#[tokio::test]
async fn the_order_of_fields_says_nothing_and_the_order_of_lines_does() {
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), &[("vary", "x-a, x-b")]);
    fetch_request(&app, get_with("/", &[("x-a", "1"), ("x-b", "2"), ("x-a", "3")])).await;

    let (same, _) = fetch_request(&app, get_with("/", &[("x-b", "2"), ("x-a", "1"), ("x-a", "3")])).await;
    let (combined, _) = fetch_request(&app, get_with("/", &[("x-b", "2"), ("x-a", "1, 3")])).await;
    let (turned, _) = fetch_request(&app, get_with("/", &[("x-b", "2"), ("x-a", "3"), ("x-a", "1")])).await;

    assert_eq!([same, combined], [HIT; 2], "RFC 9111 §4.1");
    assert!(is_miss(turned));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn codings_that_accept_the_same_are_one_variant() {
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), &[("vary", "Accept-Encoding")]);
    let with = |value: &str| get_with("/", &[("accept-encoding", value)]);
    fetch_request(&app, with("gzip, br")).await;

    for same in ["br, gzip", "br;q=1.0,gzip;q=0.8", "GZIP,BR", "gzip, br, zstd;q=0", "gzip,br,identity", "br,,gzip,br"]
    {
        assert_eq!(fetch_request(&app, with(same)).await.0, HIT, "{same}");
    }
    for other in ["gzip", "br;q=0, gzip;q=1", "*", "gzip, br, zstd", "identity", "gzip, br, identity;q=0"] {
        let (status, _) = fetch_request(&app, with(other)).await;
        assert!(is_miss(status) || other.starts_with("br;q=0"), "{other}");
    }
    assert!(is_miss(fetch(&app, "/").await.0), "absent accepts anything");
    assert_eq!(runs.count(), 7);
}

#[tokio::test]
async fn fields_named_by_the_layer_select_without_a_vary() {
    let (cache, _) = cache();
    let by = layer(&cache).vary_by([header::ACCEPT_LANGUAGE]);
    let (app, runs) = app(by, |request, _| seen(&request, "accept-language"));

    for value in ["de", "fr"] {
        assert!(is_miss(fetch_request(&app, language(value)).await.0));
        assert_eq!(fetch_request(&app, language(value)).await, (HIT, value.to_owned()));
    }
    assert_eq!(fetch(&app, "/").await.1, "-");
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn the_names_of_the_response_are_added_to_those_of_the_layer() {
    // django CMS PYSEC-2026-3824: the emitted `Vary` had more names than the key.
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache).vary_by([header::ACCEPT_LANGUAGE]), &[("vary", "x-theme")]);
    let with = |language: &str, theme: &str| get_with("/", &[("accept-language", language), ("x-theme", theme)]);

    for (language, theme) in [("de", "dark"), ("de", "light"), ("fr", "dark")] {
        assert!(is_miss(fetch_request(&app, with(language, theme)).await.0));
        assert_eq!(fetch_request(&app, with(language, theme)).await.0, HIT);
    }
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_response_without_vary_does_not_make_the_others_forget_theirs() {
    // Rails CVE-2026-126073: `Vary: Accept` was missing in some paths.
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, _| match seen(&request, "accept").as_str() {
        "text/plain" => answer(&[], "plain"),
        other => answer(&[("vary", "accept")], other.to_owned()),
    });
    let accepting = |value: &str| get_with("/", &[("accept", value)]);
    fetch_request(&app, accepting("text/html")).await;

    assert_eq!(fetch_request(&app, accepting("text/plain")).await.1, "plain");

    assert_eq!(fetch_request(&app, accepting("text/html")).await, (HIT, "text/html".into()));
    assert_eq!(fetch_request(&app, accepting("text/plain")).await, (HIT, "plain".into()));
    assert!(is_miss(fetch_request(&app, accepting("application/json")).await.0));
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_name_that_is_new_makes_no_old_variant_an_answer() {
    let (cache, clock) = cache();
    let (app, runs) = app(layer(&cache), |request, run| {
        let vary = if run < 3 { "x-a" } else { "x-a, x-b" };
        answer(&[("vary", vary)], format!("{} {} {run}", seen(&request, "x-a"), seen(&request, "x-b")))
    });
    let with = |a: &str, b: &str| get_with("/", &[("x-a", a), ("x-b", b)]);
    fetch_request(&app, with("1", "1")).await;
    clock.advance(Duration::from_secs(30));
    fetch_request(&app, with("2", "1")).await;
    clock.advance(Duration::from_secs(30));

    assert_eq!(fetch_request(&app, with("1", "1")).await.1, "1 1 3");

    assert_eq!(fetch_request(&app, with("2", "1")).await.1, "2 1 4", "stored when `x-b` was not known to select");
    assert_eq!(fetch_request(&app, with("1", "2")).await.1, "1 2 5");
    assert_eq!(fetch_request(&app, with("1", "1")).await, (HIT, "1 1 3".into()));
    assert_eq!(runs.count(), 5);
}

#[tokio::test]
async fn a_name_that_is_new_with_a_variant_selects_from_then_on() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |_, run| {
        let vary = if run == 1 { "x-a" } else { "x-a, x-b" };
        answer(&[("vary", vary)], format!("run {run}"))
    });
    let with = |a: &str, b: &str| get_with("/", &[("x-a", a), ("x-b", b)]);
    for (a, b) in [("1", "1"), ("2", "1"), ("2", "2")] {
        fetch_request(&app, with(a, b)).await;
    }

    assert_eq!(fetch_request(&app, with("2", "1")).await, (HIT, "run 2".into()));
    assert_eq!(fetch_request(&app, with("2", "2")).await, (HIT, "run 3".into()));
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn a_variant_is_refreshed_alone() {
    let (cache, clock) = cache();
    let (app, runs) =
        app(layer(&cache), |request, run| answer(&[("vary", "x-a")], format!("{} {run}", seen(&request, "x-a"))));
    let with = |a: &str| get_with("/", &[("x-a", a)]);
    fetch_request(&app, with("1")).await;
    clock.advance(Duration::from_secs(30));
    fetch_request(&app, with("2")).await;
    clock.advance(Duration::from_secs(30));

    assert_eq!(fetch_request(&app, with("1")).await.1, "1 3");

    assert_eq!(fetch_request(&app, with("2")).await, (HIT, "2 2".into()));
    clock.advance(Duration::from_secs(30));
    assert_eq!(fetch_request(&app, with("2")).await.1, "2 4");
    assert_eq!(fetch_request(&app, with("1")).await, (HIT, "1 3".into()));
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn more_than_eight_selecting_fields_are_not_stored() {
    let names = |count: usize| (0..count).map(|n| HeaderName::try_from(format!("x-{n}")).unwrap());
    // The host is one of the eight.
    for (count, kept) in [(7, true), (8, false)] {
        let (cache, _) = cache();
        let (app, runs) = app(layer(&cache).vary_by(names(count)), |_, run| format!("run {run}"));

        let statuses = twice(&app, || get("/")).await;

        if kept {
            assert_eq!((statuses[1], runs.count()), (HIT, 1));
        } else {
            assert_eq!(statuses.map(not_stored), [Some(NotStored::TooManySelectors); 2]);
            assert_eq!(runs.count(), 2);
        }
    }
}

#[tokio::test]
async fn a_name_that_is_said_twice_counts_once() {
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), &[("vary", "a, A, a, a, a, a, a, a, a, host, Host")]);

    assert_eq!(twice(&app, || get("/")).await[1], HIT);
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_long_value_of_a_selecting_field_is_not_stored_and_harms_no_other() {
    let (cache, _) = cache();
    let (app, runs) = answering(layer(&cache), &[("vary", "x-a")]);
    let (fits, long) = ("x".repeat(4 * 1_024), "x".repeat(4 * 1_024 + 1));
    fetch(&app, "/").await;

    let fitting = twice(&app, || get_with("/", &[("x-a", &fits)])).await;
    let statuses = twice(&app, || get_with("/", &[("x-a", &long)])).await;

    assert_eq!(fitting[1], HIT);
    assert_eq!(statuses.map(not_stored), [Some(NotStored::TooManySelectors); 2]);
    assert_eq!(fetch(&app, "/").await, (HIT, "run 1".into()));
    assert_eq!(runs.count(), 4);
}

#[tokio::test]
async fn many_variants_are_each_found_again() {
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), |request, _| answer(&[("vary", "x-a")], seen(&request, "x-a")));

    for round in 0..2 {
        for n in 0..200 {
            let (status, body) = fetch_request(&app, get_with("/", &[("x-a", &n.to_string())])).await;
            assert_eq!((status == HIT, body), (round == 1, n.to_string()));
        }
    }
    assert_eq!(runs.count(), 200);
}

#[tokio::test]
async fn an_entry_that_was_stored_without_a_field_is_no_answer_where_that_selects() {
    // A new release names the field; the entries of the one before are still there.
    let (cache, _) = cache();
    let page = |request: Request<Body>, _| seen(&request, "accept-language");
    let (before, _) = app(layer(&cache), page);
    let (after, runs) = app(layer(&cache).vary_by([header::ACCEPT_LANGUAGE]), page);
    assert_eq!(fetch_request(&before, language("de")).await.1, "de");

    assert_eq!(fetch_request(&after, language("fr")).await.1, "fr");

    assert_eq!(fetch_request(&after, language("fr")).await, (HIT, "fr".into()));
    assert_eq!(runs.count(), 1);
}
