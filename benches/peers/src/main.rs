//! Compares response caches for axum and tower: the same requests through each, in one run.
//!
//! See README.md beside Cargo.toml.

use std::process::ExitCode;

mod memo;
mod options;
mod scenarios;
mod subjects;
#[expect(dead_code, reason = "../hit.rs asks for more")]
#[path = "../../support/mod.rs"]
mod support;
mod tables;

fn main() -> ExitCode {
    support::child::run(subjects::ALL, scenarios::ALL);
    support::child::run(memo::ALL, &[memo::HIT]);
    let done = options::Options::parse().and_then(|options| {
        memo::table()?;
        tables::costs(&options)?;
        tables::stampedes(&options);
        tables::memory(&options)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
