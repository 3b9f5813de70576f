//! Resident memory while unique query strings flood a cache: every request is a miss, and every answer is kept.
//!
//! `cargo bench --bench memory` sends a million requests to each case and takes about a minute; `-- --full` sends
//! five. Linux only, since the figures are those of `/proc/self/status`.
//!
//! Each case is a process of its own, as an allocator gives little back. "Resident" is what the process has grown by
//! since before the backend was made; "peak" is the most that it ever had grown by. It fails if that is more than
//! the bound and a quarter.

use std::{
    env, fs,
    io::{self, Write},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, Request, Response, header},
    routing::get,
};
use axum_caching::{Cache, CacheLayer, CacheStatus, MemoryBackend};
use tokio::{runtime::Runtime, task::JoinSet};
use tower::ServiceExt;

#[path = "support/report.rs"]
mod report;

use report::{Table, grouped};

/// Where memory is looked at, in requests.
const MARKS: [u32; 4] = [100_000, 500_000, 1_000_000, 5_000_000];

/// The last of the marks, unless `--full` is asked for.
const SHORT: u32 = 1_000_000;

/// How many requests are under way at once. Entries are freed by other threads than those that made them, as in a
/// server, and so the allocator has to show how it deals with that.
const AT_ONCE: usize = 4;

/// In KiB.
const MIB: f64 = 1_024.0;

/// What may be resident, as a multiple of `max_bytes`.
const MOST: f64 = 1.25;
const OVER: &str = " over";

struct Case {
    name: &'static str,
    /// More than the default, so that it is the bytes that bound.
    max_entries: Option<usize>,
    page: fn() -> Response<Body>,
}

const CASES: [Case; 4] = [
    Case { name: "defaults, 64 B", max_entries: None, page: small },
    Case { name: "defaults, proxied", max_entries: None, page: proxied },
    Case { name: "a million entries, 64 B", max_entries: Some(1_000_000), page: small },
    Case { name: "a million entries, proxied", max_entries: Some(1_000_000), page: proxied },
];

const FIELDS: [(HeaderName, &str); 4] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CONTENT_LANGUAGE, "en"),
    (header::ETAG, "\"5f0c-6419a3c1d4f80\""),
    (header::LAST_MODIFIED, "Sun, 01 Nov 2026 08:00:00 GMT"),
];

/// What a handler makes.
fn small() -> Response<Body> {
    let mut response = Response::new(Body::from(vec![b'x'; 64]));
    response.headers_mut().extend(FIELDS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// What a handler passes on that read it from a connection: body and fields are slices of a buffer of 64 KiB, which
/// stays in memory for as long as one of them does.
fn proxied() -> Response<Body> {
    let mut buffer = Vec::with_capacity(64 << 10);
    for (_, value) in &FIELDS {
        buffer.extend_from_slice(value.as_bytes());
    }
    let fields = buffer.len();
    buffer.resize(64 << 10, b'x');
    let buffer = Bytes::from(buffer);

    let mut response = Response::new(Body::from(buffer.slice(fields..fields + 200)));
    let mut from = 0;
    for (name, value) in FIELDS {
        let value = buffer.slice(from..from + value.len());
        from += value.len();
        let value = HeaderValue::from_maybe_shared(value).expect("valid fields");
        response.headers_mut().insert(name, value);
    }
    response
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let last = if arguments.iter().any(|argument| argument == "--full") { MARKS[3] } else { SHORT };
    if let Some(position) = arguments.iter().position(|argument| argument == "--case") {
        let case = arguments.get(position + 1).and_then(|number| CASES.get(number.parse::<usize>().ok()?));
        flood(case.expect("a case"), last);
        return ExitCode::SUCCESS;
    }
    let rows: Result<Vec<_>, _> = (0..CASES.len()).map(|number| in_a_process(number, last)).collect();
    match rows {
        Ok(rows) => {
            let rows = rows.concat();
            let over = rows.iter().flatten().any(|cell| cell.ends_with(OVER));
            let head = ["", "requests", "entries", "weight MiB", "resident MiB", "peak MiB", "of max_bytes", "k req/s"];
            let _ = writeln!(io::stdout(), "\n{}", Table::new(&head, rows));
            if over { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a case in a process of its own; gives its lines of the table.
fn in_a_process(number: usize, last: u32) -> io::Result<Vec<Vec<String>>> {
    let _ = writeln!(io::stderr(), "{} ...", CASES[number].name);
    let mut command = Command::new(env::current_exe()?);
    command.args(["--case", &number.to_string()]).stderr(Stdio::inherit());
    if last > SHORT {
        command.arg("--full");
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{}: {}", CASES[number].name, output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

/// Sends the requests, and prints a line of the table at the start and at each mark.
fn flood(case: &Case, last: u32) {
    let runtime = Runtime::new().expect("a runtime");
    // What the first requests of a process load and allocate is not the cache's.
    let first = app(&MemoryBackend::builder().max_bytes(1 << 20).max_entries(10).build(), case.page);
    send(&runtime, &first, 0, 1_000);
    drop(first);

    let before = status("VmRSS:");
    let mut backend = MemoryBackend::builder();
    if let Some(entries) = case.max_entries {
        backend = backend.max_entries(entries);
    }
    let backend = backend.build();
    let app = app(&backend, case.page);
    let mut sent = 0;
    row(case, &backend, before, (0, 0.0));
    for mark in MARKS.into_iter().filter(|mark| *mark <= last) {
        let started = now();
        send(&runtime, &app, sent, mark);
        let pace = f64::from(mark - sent) / started.elapsed().as_secs_f64();
        sent = mark;
        row(case, &backend, before, (sent, pace));
    }
}

fn row(case: &Case, backend: &MemoryBackend, before: u32, (sent, pace): (u32, f64)) {
    let weight = backend.weight();
    assert!(weight <= backend.max_bytes(), "{weight} bytes, and {} are allowed", backend.max_bytes());
    let [resident, peak] = ["VmRSS:", "VmHWM:"].map(|name| f64::from(status(name).saturating_sub(before)));
    let [weight, max_bytes] = [weight, backend.max_bytes()].map(kibibytes).map(f64::from);
    let cells = [
        case.name.to_owned(),
        grouped(sent.into()),
        grouped(u32::try_from(backend.entries()).expect("fewer").into()),
        format!("{:.1}", weight / MIB),
        format!("{:.1}", resident / MIB),
        format!("{:.1}", peak / MIB),
        format!("{:.2}{}", peak / max_bytes, if peak / max_bytes > MOST { OVER } else { "" }),
        format!("{:.0}", pace / 1000.0),
    ];
    let _ = writeln!(io::stdout(), "{}", cells.join("\t"));
}

fn app(backend: &MemoryBackend, page: fn() -> Response<Body>) -> Router {
    let layer = CacheLayer::new(&Cache::new(backend.clone())).ttl(Duration::from_secs(3_600));
    Router::new().route("/items", get(async move || page())).layer(layer).with_state(())
}

/// Sends `GET /items?q=<n>` for each n from `first` to before `end`.
fn send(runtime: &Runtime, app: &Router, first: u32, end: u32) {
    runtime.block_on(async {
        let mut senders = JoinSet::new();
        for sender in 0..AT_ONCE {
            let app = app.clone();
            senders.spawn(async move {
                for number in (first..end).skip(sender).step_by(AT_ONCE) {
                    let request = Request::get(format!("/items?q={number}")).body(Body::empty()).expect("a request");
                    let Ok(response) = app.clone().oneshot(request).await;
                    let status = CacheStatus::of(&response);
                    assert!(matches!(status, Some(CacheStatus::Miss { not_stored: None, .. })), "{status:?}");
                    // Reads it, and so has it stored.
                    axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
                }
            });
        }
        senders.join_all().await;
    });
}

/// A line of `/proc/self/status`, in KiB.
fn status(name: &str) -> u32 {
    let status = fs::read_to_string("/proc/self/status").expect("a Linux system");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn kibibytes(bytes: u64) -> u32 {
    u32::try_from(bytes >> 10).expect("less than 4 TiB")
}

#[expect(clippy::disallowed_methods, reason = "what is timed is the real thing")]
fn now() -> Instant {
    Instant::now()
}
