//! What the benchmarks have in common: the application under test, services driven in batches, and
//! instructions and allocations counted by callgrind.
//!
//! `../hit.rs` uses it for this crate alone, `../peers/` (a crate of its own) for this crate beside others.
//! Both start themselves again for each figure, so their `main` begins with [`child::run`].

mod app;
pub(crate) mod budget;
pub(crate) mod callgrind;
pub(crate) mod child;
pub(crate) mod drive;
pub(crate) mod memory;
pub(crate) mod report;
pub(crate) mod scenario;
pub(crate) mod stampede;
