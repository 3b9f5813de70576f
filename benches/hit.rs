//! What a hit costs, and a miss, each figure beside its budget.
//!
//! `cargo bench --bench hit` needs valgrind and takes about a minute. After `--`:
//! `--million` adds a cache of a million entries, `--check` fails if a figure is over its budget.
//!
//! Instructions and allocations are of one request through the service, the making of the request
//! subtracted; ratios are to the same request through the same router without a cache, in this run.

use std::{
    collections::HashMap,
    env,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use axum_caching::{Cache, CacheLayer, MemoryBackend, Profile, TieredBackend};

mod support;

use support::{
    budget::{Budget, COLUMNS, Figures, Limit, is_over},
    callgrind::{measure, request_cost},
    child,
    drive::{BARE, REQUEST, Subject, drive, serve},
    memory::bytes_per_entry,
    report::{Table, grouped},
    scenario::Scenario,
    stampede::stampede,
};

fn layer(entries: u32) -> CacheLayer {
    let backend = MemoryBackend::builder().max_entries(entries as usize).max_bytes(1 << 30).build();
    CacheLayer::new(&Cache::new(backend)).ttl(Duration::from_secs(3600))
}

const ROUTE: Subject = Subject { name: "route", build: |app, entries| serve(app.layer(layer(entries))) };
const AGE: Subject = Subject {
    name: "route, hit header and Age",
    build: |app, entries| serve(app.layer(layer(entries).response_hit_indication(true).age_header(true))),
};
const STATUS: Subject = Subject {
    name: "route, hit header, Age, Cache-Status",
    build: |app, entries| {
        let layer = layer(entries).response_hit_indication(true).age_header(true).cache_status("cache");
        serve(app.layer(layer))
    },
};
const NO_HOST: Subject =
    Subject { name: "route, ignore_host", build: |app, entries| serve(app.layer(layer(entries).ignore_host())) };
const TAGGED: Subject =
    Subject { name: "route, a tag", build: |app, entries| serve(app.layer(layer(entries).tags(["items"]))) };
const HARDY: Subject = Subject {
    name: "route, windows and time-outs",
    build: |app, entries| {
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
        let profile = Profile::new().stale_while_revalidate(day).stale_if_error(day).soft_timeout(second);
        serve(app.layer(layer(entries).profile(profile.hard_timeout(second).refresh_ahead(0.8))))
    },
};
const AROUND: Subject = Subject { name: "around", build: |app, entries| drive(layer(entries).around(app)) };
/// Copies in memory of what another backend keeps.
fn tiered(entries: u32) -> CacheLayer {
    let kept = MemoryBackend::builder().max_entries(entries as usize).max_bytes(1 << 30).build();
    let hour = Duration::from_secs(3600);
    let backend = TieredBackend::builder(kept).max_entries(entries as usize).max_bytes(1 << 30).lag(hour).build();
    CacheLayer::new(&Cache::new(backend)).ttl(hour)
}

const TIERED: Subject = Subject { name: "route, two tiers", build: |app, entries| serve(app.layer(tiered(entries))) };
const TIERED_AROUND: Subject =
    Subject { name: "around, two tiers", build: |app, entries| drive(tiered(entries).around(app)) };
const SUBJECTS: &[Subject] =
    &[REQUEST, BARE, ROUTE, AGE, STATUS, NO_HOST, TAGGED, HARDY, AROUND, TIERED, TIERED_AROUND];

const HIT: Scenario = Scenario::hit("hit");
const QUERY: Scenario = Scenario::hit("hit, query of two").with_query();
/// More than a thread knows the digests of.
const QUERIES: Scenario = Scenario::hit("hit, 10 000 queries of two").with_query().with_keys(10_000);
const HEADERS: Scenario = Scenario::hit("hit, seven request headers").with_headers();
const SMALL: Scenario = Scenario::hit("hit, 64 B").with_body(64);
const LARGE: Scenario = Scenario::hit("hit, 1 MiB").with_body(1 << 20).with_count(100);
const MANY: Scenario = Scenario::hit("hit, 10 000 keys").with_keys(10_000);
const MILLION: Scenario = Scenario::hit("hit, 1 000 000 keys").with_keys(1_000_000).with_body(64);
const MISS: Scenario = Scenario::miss("miss");
const MISS_QUERY: Scenario = Scenario::miss("miss, query of two").with_query();
const BYPASS: Scenario = Scenario::bypass("bypass (cookie)");
const SCENARIOS: &[Scenario] = &[HIT, QUERY, QUERIES, HEADERS, SMALL, LARGE, MANY, MILLION, MISS, MISS_QUERY, BYPASS];

const fn limit(must: f64, aim: f64) -> Limit {
    Limit { must, aim }
}

const fn bare(must: f64, aim: f64) -> Budget {
    Budget::Bare { instructions: limit(must, aim), allocations: None }
}

const fn bare_and(instructions: Limit, allocations: Limit) -> Budget {
    Budget::Bare { instructions, allocations: Some(allocations) }
}

/// What is measured, scenario by scenario; the plain hits first, since others refer to them.
const ROWS: &[(Scenario, &[(Subject, Budget)])] = &[
    (
        HIT,
        &[
            (ROUTE, bare_and(limit(1.00, 0.92), limit(15.0, 13.0))),
            (AROUND, bare_and(limit(0.40, 0.33), limit(4.0, 3.0))),
            (AGE, bare(1.05, 0.98)),
            (STATUS, bare(1.10, 1.02)),
            (NO_HOST, Budget::None),
            (TAGGED, bare(1.20, 1.10)),
            (HARDY, Budget::None),
            (TIERED, Budget::None),
            (TIERED_AROUND, Budget::None),
        ],
    ),
    (QUERY, &[(ROUTE, bare(1.12, 1.05)), (AROUND, bare(0.55, 0.45))]),
    (QUERIES, &[(ROUTE, Budget::None), (AROUND, Budget::None)]),
    (HEADERS, &[(ROUTE, bare(1.05, 1.00)), (AROUND, Budget::None), (NO_HOST, Budget::None)]),
    (SMALL, &[(ROUTE, Budget::Flat), (AROUND, Budget::Flat)]),
    (LARGE, &[(ROUTE, Budget::Flat), (AROUND, Budget::Flat)]),
    (MANY, &[(ROUTE, Budget::Flat), (AROUND, Budget::Flat)]),
    (MILLION, &[(ROUTE, Budget::Flat)]),
    (MISS, &[(ROUTE, bare(2.4, 2.0)), (AROUND, bare(2.2, 1.8))]),
    (MISS_QUERY, &[(ROUTE, Budget::None), (AROUND, Budget::None)]),
    (BYPASS, &[(ROUTE, Budget::None), (AROUND, Budget::None)]),
];

fn main() -> ExitCode {
    child::run(SUBJECTS, SCENARIOS);
    let asked = |flag: &str| env::args().any(|argument| argument == flag);
    let rows = costs(asked("--million")).and_then(|costs| Ok((costs, others()?)));
    match rows {
        Ok((costs, others)) => {
            let over = costs.iter().chain(&others).filter(|row| is_over(row)).count();
            let costs = Table::new(&COLUMNS, costs);
            let others = Table::new(&["", "figure", "budget", ""], others);
            let _ = writeln!(io::stdout(), "\n{costs}\n{others}\n{over} rows over budget");
            if asked("--check") && over > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Instructions and allocations.
fn costs(million: bool) -> Result<Vec<Vec<String>>, String> {
    let (mut table, mut hits) = (Vec::new(), HashMap::new());
    for (scenario, rows) in ROWS.iter().filter(|(scenario, _)| million || scenario.name != MILLION.name) {
        let _ = writeln!(io::stderr(), "{} ...", scenario.name);
        let request = request_cost(scenario)?;
        let floor = measure(&BARE, scenario, request)?;
        let name = |subject: &Subject| format!("{}: {}", scenario.name, subject.name);
        table.push(Budget::None.row(name(&BARE), Figures { cost: floor, floor, hit: floor }));
        for (subject, budget) in *rows {
            let cost = measure(subject, scenario, request)?;
            let hit = *hits.entry(subject.name).or_insert(cost);
            table.push(budget.row(name(subject), Figures { cost, floor, hit }));
        }
    }
    Ok(table)
}

/// What is not a cost of single requests.
fn others() -> Result<Vec<Vec<String>>, String> {
    let mut table = Vec::new();
    let mut push = |name: String, value: f64, limit: Limit| {
        let [limit, word] = limit.judge(value, 0);
        table.push(vec![name, grouped(value), limit, word]);
    };
    for subject in [&ROUTE, &AROUND] {
        let (calls, _) = stampede(subject, 1000);
        push(format!("handler calls, 1 000 callers of a cold key: {}", subject.name), calls, limit(1.0, 1.0));
    }
    let (bytes, kept) = bytes_per_entry(&ROUTE, 100_000)?;
    push("resident bytes per entry, body of 64 B".to_owned(), bytes, limit(1150.0, 500.0));
    push("percent of these entries missing".to_owned(), 100.0 * (1.0 - kept), limit(0.0, 0.0));
    Ok(table)
}
