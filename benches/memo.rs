//! What a memoized hit costs, beside its budget.
//!
//! `cargo bench --bench memo` needs valgrind and takes a few seconds. After `--`: `--check` fails if a figure is over
//! its budget. Instructions and allocations are of one call, the loop around it subtracted. `benches/peers` has the
//! same calls through other crates.

use std::{
    env,
    hint::black_box,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use axum_caching::{Cache, Memoizer, MemoryBackend};
use tokio::runtime::Runtime;

#[expect(dead_code, reason = "hit.rs asks for more")]
mod support;

use support::{
    budget::{Limit, is_over},
    callgrind::{Cost, measure},
    child,
    drive::{Driver, Subject},
    report::{Table, grouped},
    scenario::{Load, Scenario},
};

/// A value as a database would give it.
type Row = (u64, String);

/// Makes calls one after the other; the keys go round, so that the table is what is asked and not one cache line.
struct Calls<F>(F);

impl<F: AsyncFnMut(u64)> Driver for Calls<F> {
    fn run(&mut self, runtime: &Runtime, load: &Load) -> usize {
        runtime.block_on(async {
            for id in (0..u64::from(KEYS)).cycle().take(load.count) {
                (self.0)(black_box(id)).await;
            }
        });
        0
    }

    fn run_at_once(&mut self, runtime: &Runtime, load: &Load) -> usize {
        self.run(runtime, load)
    }
}

const KEYS: u32 = 64;

fn row(id: u64) -> Row {
    (id, "ada".to_owned())
}

fn rows<T>() -> Memoizer<T> {
    Cache::new(MemoryBackend::default()).memoizer("rows::by_id")
}

const LOOP: Subject = Subject {
    name: "the loop alone",
    build: |_, _| {
        Box::new(Calls(async |id| {
            black_box(id);
        }))
    },
};

const SHARED: Subject = Subject {
    name: "call_shared(&(u64, &str)) -> Arc<T>",
    build: |_, _| {
        let rows = rows::<Row>();
        Box::new(Calls(async move |id| {
            black_box::<Arc<Row>>(rows.call_shared(&(id, "ada"), async || row(id)).await);
        }))
    },
};

const CLONED: Subject = Subject {
    name: "try_call(&u64) -> T",
    build: |_, _| {
        let rows = rows::<u64>();
        Box::new(Calls(async move |id| {
            black_box::<Result<u64, ()>>(rows.try_call(&id, async || Ok(id)).await).expect("kept");
        }))
    },
};

const TAGGED: Subject = Subject {
    name: "of an instance -> Arc<T>",
    build: |_, _| {
        let rows = rows::<Row>().instance(&7).expect("a key");
        Box::new(Calls(async move |id| {
            black_box::<Arc<Row>>(rows.call_shared(&(id, "ada"), async || row(id)).await);
        }))
    },
};

const SUBJECTS: &[Subject] = &[LOOP, SHARED, CLONED, TAGGED];
const HIT: Scenario = Scenario::hit("memoized hit").with_body(0).with_keys(KEYS).with_count(5_000);

const INSTRUCTIONS: Limit = Limit { must: 650.0, aim: 450.0 };
const ALLOCATIONS: Limit = Limit { must: 0.0, aim: 0.0 };

fn main() -> ExitCode {
    child::run(SUBJECTS, &[HIT]);
    match table() {
        Ok(rows) => {
            let over = rows.iter().filter(|row| is_over(row)).count();
            let table = Table::new(&["memoized hit", "instructions", "budget", "", "allocations", "budget", ""], rows);
            let _ = writeln!(io::stdout(), "\n{table}\n{over} rows over budget");
            if env::args().any(|argument| argument == "--check") && over > 0 {
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn table() -> Result<Vec<Vec<String>>, String> {
    let floor = measure(&LOOP, &HIT, Cost { instructions: 0.0, allocations: 0.0 })?;
    let mut rows = Vec::new();
    for (subject, has_budget) in [(&SHARED, true), (&CLONED, false), (&TAGGED, false)] {
        let cost = measure(subject, &HIT, floor)?;
        let judge = |value: f64, limit: Limit| if has_budget { limit.judge(value, 0) } else { Default::default() };
        let ([limit, word], [most, verdict]) =
            (judge(cost.instructions, INSTRUCTIONS), judge(cost.allocations, ALLOCATIONS));
        let allocations = format!("{:.2}", cost.allocations);
        rows.push(vec![subject.name.to_owned(), grouped(cost.instructions), limit, word, allocations, most, verdict]);
    }
    Ok(rows)
}
