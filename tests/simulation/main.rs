//! Nodes that share a server, in one process and in an order that a seed says: fills, purges, marks, lost records,
//! callers that leave, and operations that fail, are held up or are done late.
//!
//! It runs the cache itself, through its public API. What is random is when a server does what it is told, when it
//! answers, and when an origin reads its row: all of that waits in a list, of which the scheduler takes one at a time
//! (`driver.rs`). What has to hold is in `rules.rs`.
//!
//! A seed is of one of three kinds (`setup.rs`). Nodes ask the server alone; or they have copies of what it keeps, and
//! may tell each other what they change (`backplane.rs`), by messages that are late, out of order, twice or lost; or
//! there is one node with live values. Where there are copies a node has to know of a purge of another one when the lag
//! is over, or when it has heard of it, and of its own at once, also of one that failed since the server was away
//! (`reach.rs`). The lag is by tokio's clock, which stands still until time passes for all; the clocks of the nodes
//! differ by up to ten seconds, and the lag does not depend on them.
//!
//! `SIMULATION_SEEDS=100000 cargo test --release --all-features --test simulation` runs more seeds than the usual, from
//! `SIMULATION_FROM=1000000` on if that is set, and `SIMULATION_SEED=7` one alone, with everything that happened.
#![cfg(feature = "memory")]
#![expect(clippy::print_stderr, unreachable_pub, reason = "a seed that fails is told; a test has no outside")]

mod backend;
mod backplane;
mod driver;
mod live;
mod mix;
mod nodes;
mod page;
mod reach;
mod rng;
mod rules;
mod setup;
mod subjects;
mod table;
mod world;

use std::{env, num::NonZero, ops::Range, thread};

use driver::{Outcome, simulate};

/// So many seeds are run, if nobody says another number: less than a minute on two cores, without optimization.
const SEEDS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs a seed again that has failed, and tells how it came to that.
fn tell(seed: u64) -> Outcome {
    let outcome = simulate(seed, true);
    eprintln!("seed {seed}:\n{}\n{}", outcome.trace.join("\n"), outcome.failures.join("\n"));
    outcome
}

/// So often a long run says how far it is, in seeds of one core.
const TOLD: u64 = 50_000;

/// On each core a part of the seeds.
fn run_all(seeds: Range<u64>) -> (Outcome, Vec<u64>) {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|first| {
                let seeds = seeds.clone();
                scope.spawn(move || run_part(seeds.skip(first).step_by(threads)))
            })
            .collect();
        let (mut sum, mut failed) = (Outcome::default(), Vec::new());
        for part in parts {
            let (part, failing) = part.join().expect("a simulation does not panic");
            sum.add(&part);
            failed.extend(failing);
        }
        failed.sort_unstable();
        (sum, failed)
    })
}

fn run_part(seeds: impl Iterator<Item = u64>) -> (Outcome, Vec<u64>) {
    let (mut sum, mut failed) = (Outcome::default(), Vec::new());
    for (done, seed) in (1..).zip(seeds) {
        let outcome = simulate(seed, false);
        if let Some(failure) = outcome.failures.first() {
            eprintln!("seed {seed}: {failure}");
            failed.push(seed);
        }
        sum.add(&outcome);
        if done % TOLD == 0 {
            eprintln!("one core is at seed {seed}, {done} done, failed: {failed:?}");
        }
    }
    (sum, failed)
}

#[test]
fn no_order_of_events_serves_what_was_purged_and_none_leaves_a_caller_unanswered() {
    if let Some(seed) = number("SIMULATION_SEED") {
        assert!(tell(seed).failures.is_empty(), "seed {seed} fails");
        return;
    }
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let first = number("SIMULATION_FROM").unwrap_or(0);
    let (sum, failed) = run_all(first..first + seeds);
    eprintln!("{seeds} seeds: {sum:?}");
    if let Some(&first) = failed.first() {
        tell(first);
    }
    assert!(failed.is_empty(), "{} of {seeds} seeds fail: {:?}", failed.len(), &failed[..failed.len().min(20)]);
    // What a simulation is about has to happen in it.
    let seen = [sum.served, sum.hits, sum.stale, sum.shared, sum.refused];
    assert!(seen.iter().all(|&seen| seen >= seeds / 10), "next to nothing happens: {sum:?}");
    let of_copies = [sum.lagged, sum.missed, sum.heard];
    assert!(of_copies.iter().all(|&seen| seen >= seeds / 50), "copies are of no use: {sum:?}");
}

#[test]
fn a_seed_is_one_order_of_events() {
    for seed in 0..60 {
        let (once, again) = (simulate(seed, true), simulate(seed, true));
        assert!(once.trace.len() > 20, "seed {seed}: {} lines", once.trace.len());
        assert_eq!(once.trace, again.trace, "seed {seed}");
    }
}
