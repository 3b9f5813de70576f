//! Profiles that a configuration has, and their names.
#![cfg(all(feature = "memory", feature = "macros"))]
#![expect(clippy::unwrap_used, reason = "a test fails where a helper of it panics")]

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum_caching::{
    Cache, CacheLayer, ErrorKind, MemoryBackend, Profile, Profiles, Ttl, memoize, testing::ManualClock,
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

const FILE: &str = r#"
{
    "seconds": { "ttl": "30s", "jitter": 0.1 },
    "hours": {
        "ttl": "2h",
        "stale_while_revalidate": "10m",
        "stale_if_error": "1d",
        "keep": 86400,
        "failure_backoff": 10,
        "soft_timeout": "250ms",
        "hard_timeout": 2.5,
        "refresh_ahead": 0.8,
        "early_expiration": 1,
        "jitter": 0.25
    },
    "empty": {}
}
"#;

const KEYS: &str = "`ttl`, `stale_while_revalidate`, `stale_if_error`, `keep`, `failure_backoff`, `soft_timeout`, \
                    `hard_timeout`, `refresh_ahead`, `early_expiration`, `jitter`";

fn from_file() -> Profiles {
    serde_json::from_str(FILE).unwrap()
}

fn read(profile: &str) -> Result<Profile, String> {
    serde_json::from_str(profile).map_err(|error| error.to_string())
}

fn wrong(profile: &str) -> String {
    read(profile).unwrap_err()
}

fn hours() -> Profile {
    Profile::ttl(2 * HOUR)
        .stale_while_revalidate(10 * MINUTE)
        .stale_if_error(DAY)
        .keep(DAY)
        .failure_backoff(10 * SECOND)
        .soft_timeout(SECOND / 4)
        .hard_timeout(5 * SECOND / 2)
        .refresh_ahead(0.8)
        .early_expiration(1.0)
        .jitter(0.25)
}

#[test]
fn a_file_says_all_that_the_methods_say() {
    let cache = Cache::builder(MemoryBackend::default()).profiles(from_file()).build();
    assert_eq!(cache.profile("hours").unwrap(), hours());
    assert_eq!(cache.profile("seconds").unwrap(), Profile::ttl(30 * SECOND).jitter(0.1));
    assert_eq!(cache.scoped("admin").profile("empty").unwrap(), Profile::default());
    assert_eq!(cache.ttl(), Ttl::For(300 * SECOND), "a name changes nothing by itself");
    let _ = CacheLayer::new(&cache).profile(cache.profile("hours").unwrap());
}

#[test]
fn a_ttl_is_a_length_of_time_or_a_word() {
    for (text, ttl) in [
        ("60", Ttl::For(MINUTE)),
        ("0", Ttl::For(Duration::ZERO)),
        ("0.25", Ttl::For(SECOND / 4)),
        (r#""250ms""#, Ttl::For(SECOND / 4)),
        (r#""90s""#, Ttl::For(90 * SECOND)),
        (r#""5m""#, Ttl::For(5 * MINUTE)),
        (r#""2h""#, Ttl::For(2 * HOUR)),
        (r#""1d""#, Ttl::For(DAY)),
        (r#""forever""#, Ttl::Forever),
        (r#""never""#, Ttl::DontStore),
        (r#""none""#, Ttl::DontStore),
    ] {
        assert_eq!(read(&format!(r#"{{ "ttl": {text} }}"#)), Ok(Profile::ttl(ttl)), "{text}");
    }
}

#[test]
fn a_key_that_is_not_known_is_named_and_so_are_those_that_are() {
    let message = wrong(r#"{ "ttl": 60, "stale_if_eror": 5 }"#);
    assert!(message.starts_with(&format!("unknown field `stale_if_eror`, expected one of {KEYS}")), "{message}");
    let message = wrong(r#"{ "ttl": 60, "ttl": 70 }"#);
    assert!(message.starts_with("duplicate field `ttl`"), "{message}");
}

#[test]
fn what_is_no_length_of_time_is_an_error_that_says_what_was_found() {
    let expected = r#"expected seconds from 0, or a text like "250ms", "90s", "5m", "2h" or "1d""#;
    for (text, found) in [
        ("-1", "invalid value: integer `-1`"),
        ("-0.5", "invalid value: floating point `-0.5`"),
        (r#""90""#, r#"invalid value: string "90""#),
        (r#""""#, r#"invalid value: string """#),
        (r#""s""#, r#"invalid value: string "s""#),
        (r#""-5s""#, r#"invalid value: string "-5s""#),
        (r#""+5s""#, r#"invalid value: string "+5s""#),
        (r#""5 s""#, r#"invalid value: string "5 s""#),
        (r#""5weeks""#, r#"invalid value: string "5weeks""#),
        (r#""1.5h""#, r#"invalid value: string "1.5h""#),
        (r#""é""#, r#"invalid value: string "é""#),
        (r#""99999999999999999999s""#, r#"invalid value: string "99999999999999999999s""#),
        (r#""18446744073709551615d""#, r#"invalid value: string "18446744073709551615d""#),
        (r#""forever""#, r#"invalid value: string "forever""#),
        ("null", "invalid type: null"),
        ("true", "invalid type: boolean `true`"),
        ("[1]", "invalid type: sequence"),
    ] {
        for key in
            ["stale_while_revalidate", "stale_if_error", "keep", "failure_backoff", "soft_timeout", "hard_timeout"]
        {
            let message = wrong(&format!(r#"{{ "{key}": {text} }}"#));
            assert!(message.starts_with(&format!("`{key}`: {found}, {expected}")), "{text}: {message}");
        }
    }
    let message = wrong(r#"{ "ttl": "always" }"#);
    assert!(message.starts_with(r#"`ttl`: invalid value: string "always", expected seconds from 0, "#), "{message}");
    assert!(message.contains(r#""forever", "never" or "none""#), "{message}");
}

#[test]
fn numbers_that_would_turn_their_option_off_are_errors() {
    for key in ["refresh_ahead", "jitter"] {
        for (text, found) in [
            ("0", "integer `0`"),
            ("1", "integer `1`"),
            ("0.0", "floating point `0.0`"),
            ("1.0", "floating point `1.0`"),
            ("-0.5", "floating point `-0.5`"),
            (r#""0.5""#, r#"string "0.5""#),
        ] {
            let message = wrong(&format!(r#"{{ "{key}": {text} }}"#));
            let expected = format!("`{key}`: invalid value: {found}, expected a number above 0 and below 1");
            assert!(message.starts_with(&expected), "{message}");
        }
    }
    for (text, found) in [("0", "integer `0`"), ("-1", "integer `-1`"), ("-0.0", "floating point `-0.0`")] {
        let message = wrong(&format!(r#"{{ "early_expiration": {text} }}"#));
        let expected = format!("`early_expiration`: invalid value: {found}, expected a number above 0");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn an_error_in_a_file_names_the_profile_the_key_and_the_line() {
    let text = FILE.replace("\"250ms\"", "\"250\"");
    let message = serde_json::from_str::<Profiles>(&text).unwrap_err().to_string();
    assert!(message.starts_with(r#"profile "hours": `soft_timeout`: invalid value: string "250""#), "{message}");
    assert!(message.contains("at line 10"), "{message}");

    let twice = serde_json::from_str::<Profiles>(r#"{ "a": {}, "a": {} }"#).unwrap_err().to_string();
    assert!(twice.starts_with(r#"profile "a" is there twice"#), "{twice}");
    let list = wrong("[60]");
    assert!(list.starts_with("invalid type: sequence, expected a map of the settings of a profile"), "{list}");
    let list = serde_json::from_str::<Profiles>("[]").unwrap_err().to_string();
    assert!(list.starts_with("invalid type: sequence, expected a map from names to profiles"), "{list}");
}

#[test]
fn a_name_that_is_not_known_is_an_error_that_lists_those_that_are() {
    let builder = Cache::builder(MemoryBackend::default()).profiles(from_file());
    let later = [("days".to_owned(), Profile::ttl(DAY)), ("hours".to_owned(), Profile::ttl(HOUR))];
    let cache = builder.profiles(later.into_iter().collect()).build();
    let error = cache.profile("ours").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let expected = r#"wrong configuration: no profile "ours", expected "days", "empty", "hours", "seconds""#;
    assert_eq!(error.to_string(), expected);
    assert_eq!(cache.profile("hours").unwrap(), Profile::ttl(HOUR), "the later one holds");

    let error = Cache::new(MemoryBackend::default()).profile("hours").unwrap_err();
    assert_eq!(error.to_string(), r#"wrong configuration: no profile "hours", expected none, since none was given"#);
}

static CLOCK: LazyLock<ManualClock> = LazyLock::new(ManualClock::new);
static CACHE: LazyLock<Cache> =
    LazyLock::new(|| Cache::builder(MemoryBackend::default()).clock(CLOCK.clock()).profiles(from_file()).build());
static RUNS: AtomicU32 = AtomicU32::new(0);

#[memoize(cache = CACHE, profile = CACHE.profile("seconds").unwrap())]
async fn doubled(n: u32) -> u32 {
    RUNS.fetch_add(1, Ordering::SeqCst);
    2 * n
}

#[tokio::test]
async fn a_memoized_function_has_the_profile_that_the_configuration_names() {
    for (time, runs) in [(Duration::ZERO, 1), (26 * SECOND, 1), (5 * SECOND, 2)] {
        CLOCK.advance(time);
        assert_eq!(doubled(7).await, 14);
        assert_eq!(RUNS.load(Ordering::SeqCst), runs, "30 seconds, less a tenth at the most");
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    let texts = vec!["1d", "90s", "5", "forever", "never", "none", "", "ms", "é", "18446744073709551615h", "0ms"];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2.0..2.0).prop_map(Value::from),
        select(texts).prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        "[0-9]{1,22}[a-z]{0,2}".prop_map(Value::from),
    ]
}

/// A profile, or nearly.
fn profile() -> impl Strategy<Value = Value> {
    let keys: Vec<_> = KEYS.split([',', ' ', '`']).filter(|key| !key.is_empty()).map(str::to_owned).collect();
    let key = prop_oneof![20 => select(keys), 1 => ".{0,6}"];
    let whole = prop_oneof![4 => scalar(), 1 => vec(scalar(), 0..3).prop_map(Value::from)];
    vec((key, whole), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_file_says_is_a_profile_or_an_error_with_a_text(
        profiles in vec((".{0,3}", prop_oneof![8 => profile(), 1 => scalar()]), 0..3),
    ) {
        let file = Value::Object(profiles.into_iter().collect::<Map<_, _>>());
        let at_once = serde_json::from_value::<Profiles>(file.clone());
        let from_text = serde_json::from_str::<Profiles>(&file.to_string());
        prop_assert_eq!(at_once.is_ok(), from_text.is_ok());
        match from_text {
            Ok(profiles) => prop_assert_eq!(profiles.into_iter().count(), file.as_object().map_or(0, Map::len)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn a_number_is_taken_exactly_if_it_is_within_its_bounds(number in prop_oneof![any::<f64>(), -2.0..2.0]) {
        let number = if number.is_finite() { number } else { 0.5 };
        let taken = |key: &str| serde_json::from_value::<Profile>(json!({ key: number })).ok();
        let part = Some(number).filter(|part| 0.0 < *part && *part < 1.0);
        prop_assert_eq!(taken("jitter"), part.map(|part| Profile::new().jitter(part)));
        prop_assert_eq!(taken("refresh_ahead"), part.map(|part| Profile::new().refresh_ahead(part)));
        let beta = Some(number).filter(|beta| *beta > 0.0);
        prop_assert_eq!(taken("early_expiration"), beta.map(|beta| Profile::new().early_expiration(beta)));
        let length = Duration::try_from_secs_f64(number).ok();
        prop_assert_eq!(taken("keep"), length.map(|length| Profile::new().keep(length)));
    }
}
