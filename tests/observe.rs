//! Each event in its counter, its metric and its line of `tracing`, as the table in the docs of `Event` has it.
#![cfg(all(feature = "memory", feature = "metrics", feature = "tracing"))]

mod watching;

use std::{collections::BTreeSet, convert::Infallible, fs, time::Duration};

use axum_caching::{
    Breaker, Cache, CacheLayer, CacheStats, ErrorKind, MemoryBackend, NullBackend, Profile, Ttl,
    testing::{Calls, Chaos, ManualClock, Operation, assert_bypass},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use watching::{Lines, Metrics};

/// What one event comes to.
#[derive(Debug)]
struct Row {
    event: &'static str,
    counter: &'static str,
    read: fn(&CacheStats) -> u64,
    metric: &'static str,
    /// As [`watching`] writes it: the labels of the metric with what the test of the row makes them.
    labels: &'static str,
    line: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        event: "Hit",
        counter: "hits",
        read: |stats| stats.hits,
        metric: "axum_caching_hits_total",
        labels: "",
        line: r#"TRACE axum_caching: hit key="key""#,
    },
    Row {
        event: "Stale",
        counter: "stale",
        read: |stats| stats.stale,
        metric: "axum_caching_stale_total",
        labels: "",
        line: r#"DEBUG axum_caching: stale key="key""#,
    },
    Row {
        event: "Refresh",
        counter: "refreshes",
        read: |stats| stats.refreshes,
        metric: "axum_caching_refreshes_total",
        labels: "",
        line: r#"DEBUG axum_caching: refresh key="key""#,
    },
    Row {
        event: "OriginFailed",
        counter: "origin_failures",
        read: |stats| stats.origin_failures,
        metric: "axum_caching_origin_failures_total",
        labels: "",
        line: r#"DEBUG axum_caching: origin failed key="key""#,
    },
    Row {
        event: "Shared",
        counter: "shared",
        read: |stats| stats.shared,
        metric: "axum_caching_shared_total",
        labels: "",
        line: r#"DEBUG axum_caching: shared key="key""#,
    },
    Row {
        event: "Miss",
        counter: "misses",
        read: |stats| stats.misses,
        metric: "axum_caching_misses_total",
        labels: "{reason=absent}",
        line: r#"DEBUG axum_caching: miss key="key" reason="absent""#,
    },
    Row {
        event: "Bypass",
        counter: "bypasses",
        read: |stats| stats.bypasses,
        metric: "axum_caching_bypasses_total",
        labels: "{reason=method}",
        line: r#"DEBUG axum_caching: bypass reason="method""#,
    },
    Row {
        event: "Stored",
        counter: "stored",
        read: |stats| stats.stored,
        metric: "axum_caching_stored_total",
        labels: "",
        line: r#"DEBUG axum_caching: stored key="key""#,
    },
    Row {
        event: "NotStored",
        counter: "not_stored",
        read: |stats| stats.not_stored,
        metric: "axum_caching_not_stored_total",
        labels: "{reason=no-lifetime}",
        line: r#"DEBUG axum_caching: not stored key="key" reason="no-lifetime""#,
    },
    Row {
        event: "Failed",
        counter: "failures",
        read: |stats| stats.failures,
        metric: "axum_caching_failures_total",
        labels: "{operation=set,kind=connect}",
        line: r#"WARN axum_caching: the cache went on without its backend operation="set" kind="connect" error="#,
    },
    Row {
        event: "Breaker",
        counter: "breaker_changes",
        read: |stats| stats.breaker_changes,
        metric: "axum_caching_breaker_changes_total",
        labels: "{state=open}",
        line: r#"WARN axum_caching: the breaker of the backend state="open""#,
    },
];

/// Everything that a scenario did.
struct Seen {
    cache: Cache,
    metrics: Metrics,
    lines: Lines,
}

/// Runs a scenario whose metrics and lines are seen. All of it happens on the thread of the test.
async fn watch(cache: Cache, scenario: impl AsyncFnOnce(&Cache)) -> Seen {
    let (metrics, lines) = (Metrics::default(), Lines::default());
    {
        let _recorder = metrics::set_default_local_recorder(&metrics);
        let _subscriber = tracing::subscriber::set_default(lines.clone());
        scenario(&cache).await;
    }
    Seen { cache, metrics, lines }
}

impl Seen {
    /// That the event of this name came once, and is to be seen everywhere.
    #[track_caller]
    fn has(&self, event: &str) {
        let row = ROWS.iter().find(|row| row.event == event).expect("a row");
        assert_eq!((row.read)(&self.cache.stats()), 1, "{row:?}");
        let metric = format!("{}{}", row.metric, row.labels);
        assert_eq!(self.metrics.counters().get(&metric), Some(&1), "{row:?}: {:?}", self.metrics);
        assert!(self.metrics.is_described(row.metric), "{row:?}");
        let lines = self.lines.all();
        assert_eq!(lines.iter().filter(|line| line.starts_with(row.line)).count(), 1, "{row:?}: {lines:?}");
    }

    /// That nothing but these events came.
    #[track_caller]
    fn has_only(&self, events: &[&str]) {
        for event in events {
            self.has(event);
        }
        assert_eq!(self.metrics.counters().len(), events.len(), "{:?}", self.metrics);
        assert_eq!(self.lines.all().len(), events.len(), "{:?}", self.lines);
    }
}

async fn answer(cache: &Cache) {
    assert_eq!(cache.get_or_compute("key", Ttl::Default, async || 42).await, 42);
}

#[tokio::test]
async fn a_miss_and_what_it_stores_are_seen() {
    let seen = watch(Cache::new(MemoryBackend::default()), answer).await;
    seen.has_only(&["Miss", "Stored"]);
}

#[tokio::test]
async fn a_hit_is_seen() {
    let cache = Cache::new(MemoryBackend::default());
    cache.set("key", &42, Ttl::Default).await.unwrap();
    watch(cache, answer).await.has_only(&["Hit"]);
}

#[tokio::test]
async fn a_shared_answer_is_seen() {
    let seen = watch(Cache::new(MemoryBackend::default()), async |cache| {
        let calls = Calls::default();
        calls.hold();
        let run = || cache.get_or_compute("key", Ttl::Default, async || calls.pass().await);
        tokio::join!(run(), run(), async {
            calls.reached(1).await;
            calls.release();
        });
    });
    seen.await.has_only(&["Miss", "Shared", "Stored"]);
}

/// Lets a scenario see an entry that is stale, and good for a while.
async fn watch_stale(scenario: impl AsyncFnOnce(&Cache)) -> Seen {
    let (clock, minute) = (ManualClock::new(), Duration::from_secs(60));
    let backend = MemoryBackend::builder().clock(clock.clock()).build();
    let profile = Profile::ttl(minute).stale_while_revalidate(minute).stale_if_error(minute);
    let cache = Cache::builder(backend).clock(clock.clock()).profile(profile).build();
    let seen = watch(cache, async |cache| {
        cache.get_or_compute("key", Profile::new(), async || "old".to_owned()).await;
        clock.advance(minute);
        scenario(cache).await;
    });
    seen.await
}

#[tokio::test]
async fn a_stale_entry_and_the_run_behind_it_are_seen() {
    let seen = watch_stale(async |cache| {
        cache.get_or_compute_owned("key", Profile::new(), async || "new".to_owned()).await;
        assert!(cache.close().await);
    });
    let seen = seen.await;
    seen.has("Stale");
    seen.has("Refresh");
}

#[tokio::test]
async fn an_origin_that_fails_is_seen() {
    let seen = watch_stale(async |cache| {
        let failed = cache.try_get_or_compute("key", Profile::new(), async || Err::<String, _>("down"));
        assert_eq!(failed.await.as_deref(), Ok("old"));
    });
    seen.await.has("OriginFailed");
}

#[tokio::test]
async fn a_bypass_is_seen() {
    let seen = watch(Cache::new(NullBackend::default()), async |cache| {
        let service = CacheLayer::new(cache).layer(service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
        assert_bypass!(service.oneshot(Request::post("/").body(Full::default()).unwrap()).await.unwrap());
    });
    seen.await.has_only(&["Bypass"]);
}

#[tokio::test]
async fn what_is_not_stored_is_seen() {
    let seen = watch(Cache::new(MemoryBackend::default()), async |cache| {
        cache.get_or_compute("key", Ttl::DontStore, async || 42).await;
    });
    seen.await.has_only(&["Miss", "NotStored"]);
}

#[tokio::test]
async fn a_breaker_that_opens_is_seen() {
    let chaos = Chaos::remote(MemoryBackend::default());
    chaos.on(Operation::ALL).fail(ErrorKind::Connect);
    let cache = Cache::builder(chaos).breaker(Breaker::default().failures(1)).build();
    watch(cache, answer).await.has("Breaker");
}

#[tokio::test]
async fn a_failure_is_seen_and_its_line_has_no_key() {
    let chaos = Chaos::new(MemoryBackend::default());
    chaos.on(Operation::Set).fail(ErrorKind::Connect);
    let seen = watch(Cache::new(chaos), answer).await;
    seen.has("Failed");
    seen.has("Miss");
    let lines = seen.lines.all();
    assert!(lines.iter().all(|line| !line.starts_with("WARN") || !line.contains("key")), "{lines:?}");
    let counters = seen.metrics.counters();
    assert_eq!(counters.get("axum_caching_not_stored_total{reason=backend}"), Some(&1), "{counters:?}");
}

#[tokio::test]
async fn a_name_is_a_label_of_each_metric_and_a_field_of_each_line() {
    let chaos = Chaos::new(MemoryBackend::default());
    let cache = Cache::builder(chaos.clone()).name("pages").build();
    let seen = watch(cache, async |cache| {
        answer(cache).await;
        answer(cache).await;
        chaos.on(Operation::ALL).fail(ErrorKind::Timeout);
        answer(cache).await;
        cache.record_usage();
    });
    let seen = seen.await;
    let counters = seen.metrics.counters();
    assert!(counters.contains_key("axum_caching_hits_total{cache=pages}"), "{counters:?}");
    assert!(counters.contains_key("axum_caching_misses_total{cache=pages,reason=absent}"), "{counters:?}");
    let failures = "axum_caching_failures_total{cache=pages,operation=get,kind=timeout}";
    assert!(counters.contains_key(failures), "{counters:?}");
    assert!(counters.keys().all(|name| name.contains("cache=pages") && !name.contains("key")), "{counters:?}");
    assert_eq!(seen.metrics.gauge("axum_caching_entries{cache=pages}"), Some(1.0));
    assert!(seen.lines.all().iter().all(|line| line.contains(r#" cache="pages""#)), "{:?}", seen.lines);
    assert!(format!("{:?}", seen.cache).contains("pages"));
}

#[tokio::test]
async fn each_reason_has_a_count_of_its_own() {
    let clock = ManualClock::new();
    let cache = Cache::builder(MemoryBackend::default()).clock(clock.clock()).ttl(Duration::from_secs(60)).build();
    let seen = watch(cache, async |cache| {
        for _ in 0..3 {
            cache.get_or_compute("key", Ttl::Default, async || "text".to_owned()).await;
            clock.advance(Duration::from_secs(60));
        }
    });
    let counters = seen.await.metrics.counters();
    let count = |reason| counters.get(&format!("axum_caching_misses_total{{reason={reason}}}")).copied();
    assert_eq!((count("absent"), count("expired")), (Some(1), Some(2)), "{counters:?}");
}

#[tokio::test]
async fn what_the_backend_holds_is_recorded_when_that_is_asked_for() {
    let backend = MemoryBackend::builder().max_entries(10).build();
    let seen = watch(Cache::new(backend.clone()), async |cache| {
        for number in 0..100 {
            cache.set(&number.to_string(), "text", Duration::from_secs(60)).await.unwrap();
        }
        cache.record_usage();
        cache.record_usage();
    });
    let seen = seen.await;
    let usage = seen.cache.usage().unwrap();
    assert_eq!((usage.entries, usage.weight), (backend.entries() as u64, backend.weight()));
    assert!(usage.evictions >= 90, "{usage:?}");

    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let gauges = (Some(usage.entries as f64), Some(usage.weight as f64));
    let gauge = |name| seen.metrics.gauge(name);
    assert_eq!((gauge("axum_caching_entries"), gauge("axum_caching_weight_bytes")), gauges);
    assert_eq!(seen.metrics.counters().get("axum_caching_evictions_total"), Some(&usage.evictions));
}

#[tokio::test]
async fn a_backend_that_does_not_know_what_it_holds_records_nothing() {
    let seen = watch(Cache::new(NullBackend::default()), async |cache| {
        answer(cache).await;
        cache.record_usage();
    });
    let seen = seen.await;
    assert_eq!(seen.cache.usage(), None);
    for metric in ["axum_caching_entries", "axum_caching_weight", "axum_caching_evictions"] {
        assert!(!seen.metrics.has(metric), "{metric}");
    }
    assert!(seen.metrics.has("axum_caching_hits_total"), "which is 0, and there from the first event on");
}

#[tokio::test]
async fn a_cache_that_is_older_than_the_recorder_is_counted() {
    let cache = Cache::builder(MemoryBackend::default()).build();
    watch(cache, answer).await.has("Miss");
}

/// The cells of the rows of a table in the docs of `file`, without their marks.
fn table(file: &str, first: &str) -> Vec<Vec<String>> {
    let source = fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).expect("text");
    let lines = source.lines().map(|line| line.trim_start_matches("/// "));
    let rows = lines.skip_while(|line| !line.starts_with(&format!("| {first} |"))).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect());
    cells.collect()
}

#[test]
fn every_event_has_a_row_in_the_docs_and_one_that_is_tested() {
    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/observe.rs")).unwrap();
    let events = source.split("pub enum Event<'a> {").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
    let variants = events.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix([' ', '{', ',']));
    let variants: BTreeSet<_> = variants
        .map(|line| line.trim_end_matches([' ', '{']))
        .filter(|line| line.starts_with(char::is_uppercase))
        .collect();
    assert_eq!(variants, ROWS.iter().map(|row| row.event).collect::<BTreeSet<_>>());

    let written = table("src/observe.rs", "event");
    assert_eq!(written.len(), ROWS.len(), "{written:?}");
    for (written, row) in written.iter().zip(ROWS) {
        let [event, counter, metric, labels, level, fields] = &written[..] else { panic!("{written:?}") };
        assert_eq!(*event, format!("[`{0}`](Event::{0})", row.event));
        assert_eq!(*counter, format!("`{}`", row.counter));
        assert_eq!(*metric, format!("`{}`", row.metric));
        assert_eq!(*labels, marked(row.labels.trim_matches(['{', '}']).split(',')), "{row:?}");
        assert!(row.line.starts_with(level), "{row:?}");
        assert_eq!(*fields, marked(row.line.split(' ')), "{row:?}");
    }
}

/// The names of `name=value`, as the docs write them.
fn marked<'a>(pairs: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = pairs.filter_map(|pair| Some(format!("`{}`", pair.split_once('=')?.0))).collect();
    names.join(", ")
}

#[test]
fn what_a_backend_holds_has_its_table_too() {
    let written: Vec<_> = table("src/backend/usage.rs", "field").into_iter().map(|row| row.join(" ")).collect();
    assert_eq!(
        written,
        [
            "`entries` `axum_caching_entries` gauge",
            "`weight` `axum_caching_weight_bytes` gauge",
            "`evictions` `axum_caching_evictions_total` counter",
        ]
    );
}
