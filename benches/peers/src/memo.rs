//! The same memoized call through each: `(u64, &str)` to a shared row, found.

use std::{
    hint::black_box,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum_caching::{Cache, MemoryBackend, Memoizer};
use tokio::runtime::Runtime;

use crate::support::{
    callgrind::{Cost, measure},
    drive::{Driver, Subject},
    report::{Table, grouped},
    scenario::{Load, Scenario},
};

type Row = (u64, String);

const KEYS: u32 = 64;
const TTL: Duration = Duration::from_hours(1);

pub(crate) const HIT: Scenario = Scenario::hit("memoized hit").with_body(0).with_keys(KEYS).with_count(5_000);

/// Makes calls one after the other.
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

fn row(id: u64, name: &str) -> Arc<Row> {
    Arc::new((id, name.to_owned()))
}

const LOOP: Subject = Subject {
    name: "the loop alone",
    build: |_, _| {
        Box::new(Calls(async |id| {
            black_box(id);
        }))
    },
};

const OURS: Subject = Subject {
    name: "axum-caching, Memoizer",
    build: |_, _| {
        let rows: Memoizer<Row> = Cache::new(MemoryBackend::default()).memoizer("rows").ttl(TTL);
        Box::new(Calls(async move |id| {
            black_box(rows.call_shared(&(id, "ada"), async || (id, "ada".to_owned())).await);
        }))
    },
};

#[cached::macros::cached(
    max_size = 10_000,
    ttl_secs = 3600,
    key = "(u64, String)",
    convert = { (id, name.to_owned()) }
)]
async fn cached_row(id: u64, name: &str) -> Arc<Row> {
    row(id, name)
}

const CACHED: Subject = Subject {
    name: "cached 4, #[cached] async, max_size and ttl",
    build: |_, _| {
        Box::new(Calls(async |id| {
            black_box(cached_row(id, "ada").await);
        }))
    },
};

#[cfg(feature = "http-cache")]
const MOKA: Subject = Subject {
    name: "moka 0.12, future::Cache::get_with, ttl",
    build: |_, _| {
        let rows = moka::future::Cache::builder().max_capacity(10_000).time_to_live(TTL).build();
        Box::new(Calls(async move |id| {
            black_box(rows.get_with((id, "ada".to_owned()), async { row(id, "ada") }).await);
        }))
    },
};

const QUICK: Subject = Subject {
    name: "quick_cache 0.7, get_or_insert_async, no ttl",
    build: |_, _| {
        static ROWS: LazyLock<quick_cache::sync::Cache<(u64, String), Arc<Row>>> =
            LazyLock::new(|| quick_cache::sync::Cache::new(10_000));
        Box::new(Calls(async |id| {
            let key = (id, "ada".to_owned());
            let found = ROWS.get_or_insert_async(&key, async { Ok::<_, ()>(row(id, "ada")) });
            black_box(found.await.expect("a row"));
        }))
    },
};

pub(crate) const ALL: &[Subject] = &[
    LOOP,
    OURS,
    CACHED,
    #[cfg(feature = "http-cache")]
    MOKA,
    QUICK,
];

/// Instructions and allocations per call.
pub(crate) fn table() -> Result<(), String> {
    eprintln!("{} ...", HIT.name);
    let floor = measure(&LOOP, &HIT, Cost { instructions: 0.0, allocations: 0.0 })?;
    let row = |subject: &Subject| {
        let cost = measure(subject, &HIT, floor)?;
        Ok(vec![subject.name.to_owned(), grouped(cost.instructions), format!("{:.1}", cost.allocations)])
    };
    let rows: Vec<_> = ALL[1..].iter().map(row).collect::<Result<_, String>>()?;
    let table = Table::new(&["", "instructions", "allocations"], rows);
    println!("A memoized call that is found, (u64, &str) to a shared value\n\n{table}");
    Ok(())
}
