//! Laws that hold for whatever a client or a handler writes.
#![cfg(all(feature = "memory", feature = "axum"))]
#![expect(clippy::unwrap_used, reason = "a test fails where a helper of it panics")]

mod support;

use std::{collections::BTreeMap, fmt::Write as _, sync::OnceLock};

use axum::body::Body;
use axum_caching::{Cache, CacheLayer, CacheStatus, NullBackend, Query};
use http::{HeaderName, HeaderValue, Request, Uri, header};
use proptest::{collection::vec, prelude::*, sample::select};
use support::*;
use tokio::runtime::Runtime;

const HIT: CacheStatus = CacheStatus::Hit;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap()).block_on(future)
}

fn keys(query: Query) -> CacheLayer {
    CacheLayer::new(&Cache::new(NullBackend::default())).query_string(query)
}

/// What a handler reads: for each parameter its values, in their order.
fn read(query: &str) -> BTreeMap<String, Vec<String>> {
    let uri: Uri = format!("/?{query}").parse().unwrap();
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).unwrap().0;
    let mut read = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in pairs {
        read.entry(name).or_default().push(value);
    }
    read
}

fn segment() -> impl Strategy<Value = String> {
    let names = vec![
        "a", "%61", "%6", "A", "b", "a+", "a%20", "a%2B", "", "%FF", "%FE", "%C3%A9", "page", "%70age", "a%3D", "%26",
    ];
    let values = vec!["", "1", "%31", "2", "+", "%20", "%26a=2", "=", "%FF", "%FE", "a", "%25", "%", "1#"];
    (select(names), proptest::option::of(select(values))).prop_map(|(name, value)| match value {
        Some(value) => format!("{name}={}", value.trim_end_matches('#')),
        None => name.to_owned(),
    })
}

fn segments() -> impl Strategy<Value = Vec<String>> {
    // Now and then more than are sorted on the stack.
    prop_oneof![4 => vec(segment(), 0..5), 1 => vec(segment(), 15..20)]
}

/// Two queries that have much in common.
fn two_queries() -> impl Strategy<Value = (String, String)> {
    let related = segments().prop_flat_map(|one| {
        let two = (Just(one.clone()).prop_shuffle(), 0..4_usize, segment()).prop_map(|(mut two, change, other)| {
            match change {
                0 => two.push(other),
                1 => drop(two.pop()),
                2 if !two.is_empty() => two[0] = other,
                _ => {}
            }
            two
        });
        (Just(one), two)
    });
    prop_oneof![related, (segments(), segments())].prop_map(|(one, two)| (one.join("&"), two.join("&")))
}

fn bytes() -> impl Strategy<Value = HeaderValue> {
    let words =
        vec!["no-cache", "max-age=1", "private", "\"", "\\", ",", ", ", "=", "a", "*", ";", "\t", " ", "x=\"", "é"];
    let piece = prop_oneof![select(words).prop_map(|word| word.as_bytes().to_vec()), vec(any::<u8>(), 0..4)];
    vec(piece, 0..8).prop_map(|pieces| {
        let legal = |byte: &u8| *byte == b'\t' || (*byte >= 32 && *byte != 127);
        HeaderValue::from_bytes(&pieces.concat().into_iter().filter(legal).collect::<Vec<_>>()).unwrap()
    })
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn queries_that_a_handler_reads_differently_never_share_a_key((one, two) in two_queries()) {
        let layer = keys(Query::all());

        if read(&one) != read(&two) {
            let (one, two) = (format!("/p?{one}"), format!("/p?{two}"));
            prop_assert_ne!(layer.key_for(&one).unwrap(), layer.key_for(&two).unwrap());
        }
    }

    #[test]
    fn parameters_that_count_and_are_read_differently_never_share_a_key((one, two) in two_queries()) {
        for (query, counts) in [
            (Query::only(["a", "page"]), (|name: &str| ["a", "page"].contains(&name)) as fn(&str) -> bool),
            (Query::except(["a", "page"]), |name| !["a", "page"].contains(&name)),
        ] {
            let layer = keys(query);
            let kept = |query| read(query).into_iter().filter(|(name, _)| counts(name)).collect::<BTreeMap<_, _>>();

            if kept(&one) != kept(&two) {
                let (one, two) = (format!("/p?{one}"), format!("/p?{two}"));
                prop_assert_ne!(layer.key_for(&one).unwrap(), layer.key_for(&two).unwrap());
            }
        }
    }

    #[test]
    fn the_order_of_different_parameters_and_what_does_not_count_never_matter(
        query in segments(),
        noise in vec(select(&["utm=1", "%75tm=2", "utm", "", "utm=a%26"][..]), 0..4),
    ) {
        let layer = keys(Query::except(["utm"]));
        let mut other: Vec<&str> = query.iter().map(String::as_str).collect();
        // By the name that is read: equal names keep their order.
        other.sort_by_key(|raw| read(raw).into_keys().next());
        other.extend(&noise);
        let is_empty = query.iter().all(String::is_empty);
        let plain = if is_empty { "/p".to_owned() } else { format!("/p?{}", query.join("&")) };
        // `/p?` is not `/p`, and `/p?&` is.
        let other = format!("/p?&{}", other.join("&"));

        prop_assert_eq!(layer.key_for(&plain).unwrap(), layer.key_for(&other).unwrap());
    }

    #[test]
    fn a_key_is_never_longer_than_a_backend_takes(
        path in "[/a-z0-9%.~_#-]{0,40}",
        repeat in 1..300_usize,
        query in segments(),
    ) {
        let layer = keys(Query::all()).version("1");
        let target = format!("/{}?{}", path.repeat(repeat), query.join("&"));

        if let Ok(key) = layer.key_for(&target) {
            prop_assert!(key.len() <= 512, "{} bytes", key.len());
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn no_store_among_other_lines_is_always_found(
        before in vec(bytes(), 0..3),
        after in vec(bytes(), 0..3),
        said in select(&["no-store", "No-Store", "private", "PRIVATE", ", no-store ,", "private=\"x\""][..]),
    ) {
        let lines: Vec<_> = before.into_iter().chain([HeaderValue::from_static(said)]).chain(after).collect();

        prop_assert_eq!(stored(&header::CACHE_CONTROL, lines), 2);
    }

    #[test]
    fn no_store_after_anything_on_its_line_is_always_found(before in bytes(), after in "[a-z=0-9 ,;-]{0,8}") {
        // What comes after has no quote that could make a string of it.
        let line = [before.as_bytes(), b", no-store,", after.as_bytes()].concat();

        prop_assert_eq!(stored(&header::CACHE_CONTROL, vec![HeaderValue::from_bytes(&line).unwrap()]), 2);
    }

    #[test]
    fn vary_any_among_other_lines_is_always_found(
        before in vec(bytes(), 0..3),
        after in vec(bytes(), 0..3),
        said in select(&["*", " * ", ",*", "a,*"][..]),
    ) {
        let lines: Vec<_> = before.into_iter().chain([HeaderValue::from_static(said)]).chain(after).collect();

        prop_assert_eq!(stored(&header::VARY, lines), 2);
    }
}

/// How often a handler runs for two requests, if it answers with these lines.
fn stored(name: &HeaderName, lines: Vec<HeaderValue>) -> usize {
    let name = name.clone();
    let (cache, _) = cache();
    let (app, runs) = app(layer(&cache), move |_, _| {
        let mut response = answer(&[], "body");
        for line in &lines {
            response.headers_mut().append(&name, line.clone());
        }
        response
    });
    run(twice(&app, || get("/")));
    runs.count()
}

/// What an `Accept-Encoding` accepts (RFC 9110 §12.5.3).
fn accepts(codings: &[(&str, bool)], coding: &str) -> bool {
    let said = |name: &str| codings.iter().find(|(other, _)| *other == name).map(|(_, accepted)| *accepted);
    said(coding).or_else(|| said("*")).unwrap_or(coding == "identity")
}

/// Names, and whether they are accepted.
type Codings = Vec<(&'static str, bool)>;

fn codings() -> impl Strategy<Value = Codings> {
    let all = vec!["gzip", "br", "zstd", "identity", "*"];
    let some = proptest::sample::subsequence(all, 0..=5).prop_shuffle();
    some.prop_flat_map(|names| {
        let count = names.len();
        vec(any::<bool>(), count).prop_map(move |accepted| names.iter().copied().zip(accepted).collect())
    })
}

/// Two lists that have much in common, or nothing.
fn two_codings() -> impl Strategy<Value = (Codings, Codings)> {
    let related =
        (codings(), select(vec!["gzip", "br", "identity", "*"]), any::<bool>()).prop_map(|(one, coding, says)| {
            let mut two: Vec<_> = one.iter().copied().filter(|(other, _)| *other != coding).collect();
            if says {
                two.push((coding, !one.contains(&(coding, true))));
            }
            (one, two)
        });
    prop_oneof![related, (codings(), codings())]
}

/// One of many ways to write the same.
fn written(codings: &[(&str, bool)], style: u8) -> String {
    let mut text = String::new();
    for (index, (coding, accepted)) in codings.iter().enumerate() {
        let coding = if style & 1 == 0 { (*coding).to_owned() } else { coding.to_ascii_uppercase() };
        let weight = match (*accepted, style & 6) {
            (true, 0) => "",
            (true, 2) => ";q=1.0",
            (true, _) => " ; Q=0.5",
            (false, 0 | 2) => ";q=0",
            (false, _) => "\t;q=0.000",
        };
        let _ = write!(text, "{}{coding}{weight}", if index == 0 { "" } else { [",", ", ", " ,,"][index % 3] });
    }
    text
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn those_who_accept_other_codings_never_share_and_those_who_write_it_otherwise_do(
        (one, two) in two_codings(), style in 0..8_u8, order in any::<bool>(),
    ) {
        let (cache, _) = cache();
        let (app, runs) = answering(layer(&cache), &[("vary", "accept-encoding")]);
        let with = |value: &str| get_with("/", &[("accept-encoding", value)]);
        let mut same = one.clone();
        if order {
            same.reverse();
        }

        run(fetch_request(&app, with(&written(&one, 0))));
        let (rewritten, _) = run(fetch_request(&app, with(&written(&same, style))));
        let (other, _) = run(fetch_request(&app, with(&written(&two, style))));

        prop_assert_eq!(rewritten, HIT);
        let all = ["gzip", "br", "zstd", "identity", "other"];
        let differs = all.iter().any(|coding| accepts(&one, coding) != accepts(&two, coding));
        prop_assert!(!differs || other != HIT, "{} and {}", written(&one, 0), written(&two, style));
        prop_assert_eq!(runs.count(), 1 + usize::from(other != HIT));
    }
}

/// A request of few words, so that many of them are alike.
fn any_request() -> impl Strategy<Value = (String, Vec<(HeaderName, HeaderValue)>)> {
    let path = select(&["/", "/a", "/%61", "/a/", "//a", "/a%3Fx=1", "/a;b", "/a%23version=1:1"][..]);
    let query = prop_oneof![Just(None), vec(segment(), 0..3).prop_map(|segments| Some(segments.join("&")))];
    let names =
        vec!["host", "x-a", "x-b", "cookie", "accept-language", "range", "if-none-match", "cache-control", "x-free"];
    let values = vec!["", "1", "2", "1, 2", "a=1", "a=1; b=2", "no-store", "no-cache", "*", "\u{e9}"];
    let field = (select(names), select(values));
    let field = field
        .prop_map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()));
    (path, query, vec(field, 0..3)).prop_map(|(path, query, fields)| {
        (query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")), fields)
    })
}

/// All that a handler reads of a request, where the layer knows that it does.
fn page(request: &Request<Body>) -> String {
    let values = |name: &str| -> Vec<_> { request.headers().get_all(name).iter().map(HeaderValue::as_bytes).collect() };
    let joined = |name: &str| (!values(name).is_empty()).then(|| values(name).join(&b", "[..]));
    let uri = request.uri();
    // `?` and `?&` are read alike, and neither as no query at all.
    let query = uri.query().map(read);
    format!(
        "{} {query:?} {:?} {:?} {:?} {:?}",
        uri.path(),
        joined("host").map(|host| host.to_ascii_lowercase()),
        joined("x-a"),
        joined("x-b"),
        joined("cookie"),
    )
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn whatever_was_asked_before_a_request_gets_its_own_page(requests in vec(any_request(), 1..25)) {
        let (cache, _) = cache();
        let by_field = layer(&cache).vary_by([HeaderName::from_static("x-a")]).response_hit_indication(true);
        let (app, _) = app(by_field, |request, _| {
            let vary = if request.uri().path().len() > 1 { "X-B , accept-encoding" } else { "accept-encoding" };
            let varies = if vary.starts_with('X') { page(&request) } else {
                // This page does not read `x-b`, and does not say so.
                let mut request = request;
                request.headers_mut().remove("x-b");
                page(&request)
            };
            answer(&[("vary", vary)], varies)
        });

        for (target, fields) in requests {
            let build = |with_b: bool| {
                let mut request = get(&target);
                for (name, value) in fields.iter().filter(|(name, _)| with_b || *name != "x-b") {
                    request.headers_mut().append(name.clone(), value.clone());
                }
                request
            };
            let reads_b = build(true).uri().path().len() > 1;
            let expected = page(&build(reads_b));

            let (_, body) = run(fetch_request(&app, build(true)));

            prop_assert_eq!(body, expected);
        }
    }

    #[test]
    fn bytes_that_somebody_changed_in_the_backend_harm_no_request(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let (cache, backend, _) = cache_and_backend();
        let all = layer(&cache).age_header(true).cache_status("c").response_hit_indication(true);
        let (app, _) = answering(all, &[("vary", "x-a"), ("etag", "\"1\""), ("x-b", "2")]);
        run(fetch(&app, "/p?q=1"));
        let key = layer(&cache).key_for("/p?q=1").unwrap();
        let value = run(axum_caching::Backend::get(&backend, &key)).unwrap().unwrap();
        let mut bytes = value.to_bytes().unwrap().to_vec();
        for (index, byte) in &changes {
            let index = index.index(bytes.len());
            bytes[index] = *byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        run(axum_caching::Backend::set(&backend, &key, axum_caching::Value::from_bytes(bytes), None)).unwrap();

        for value in ["1", "2", "1"] {
            let response = run(send(&app, get_with("/p?q=1", &[("x-a", value)])));
            prop_assert!(CacheStatus::of(&response).is_some());
        }
        run(send(&app, get("/p?q=1")));
    }

    #[test]
    fn a_path_in_any_letters_is_deleted_as_it_is_written(
        path in "[/a-zA-Z0-9 äß日\"<>#^`{}|\\\\.~!$&'()*+,;=:@-]{0,12}",
    ) {
        let (cache, _) = cache();
        let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
        let wire = path.bytes().fold(String::from("/"), |mut wire, byte| {
            let plain = byte.is_ascii_alphanumeric() || b"/.~!$&'()*+,;=:@-".contains(&byte);
            let _ = if plain { write!(wire, "{}", char::from(byte)) } else { write!(wire, "%{byte:02X}") };
            wire
        });
        prop_assert!(is_miss(run(fetch(&app, &wire)).0));

        let deleted = run(cache.delete_cached(&format!("/{path}"))).unwrap();
        prop_assert!(deleted);

        prop_assert!(is_miss(run(fetch(&app, &wire)).0));
    }

    #[test]
    fn a_query_in_any_letters_is_deleted_as_a_form_writes_it(
        pairs in vec(("[a-c é&=%+]{0,3}", "[a-c é&=%+#?]{0,3}"), 1..5),
    ) {
        let (cache, _) = cache();
        let (app, _) = app(layer(&cache), |_, run| format!("run {run}"));
        let written: Vec<String> = pairs.iter().map(|pair| serde_urlencoded::to_string([pair]).unwrap()).collect();
        let target = format!("/p?{}", written.join("&"));
        prop_assert!(is_miss(run(fetch(&app, &target)).0));

        prop_assert!(run(layer(&cache).delete_cached_query("/p", &pairs)).unwrap());
    }
}
