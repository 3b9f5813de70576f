//! The rules that make a purge win, each with the order of events that loses without it.
//!
//! The rules were found by exploring a model of the cache in all orders; a rule is known by the shortest order in which
//! the model without it served what was purged, `D1` to `D18` and `F1` to `F9`. A test here has the number of its rule
//! in its name, and fails if the rule is taken out of the cache. Orders are forced by a server that two processes share
//! and that stops each of their operations (`server.rs`); nothing sleeps.
//!
//! Three numbers have no test, for there is nothing that a test could take away:
//!
//! - **D12**, a copy of an entry in a process is trusted from when it was read, not from when it was put there: there
//!   are no such copies. Every lookup asks the one backend.
//! - **F3**, stamps, lanes and slots are read from the primary: a cache has one backend, and reads nothing of another.
//!   A backend that reads from replicas breaks the contract of `Backend` by itself.
//! - **F9**, a backend that brings back what it has acknowledged to be gone, after a failover or from a snapshot: no rule
//!   is against that. It is outside of what is promised.
//!
//! Where it is built in another way than the model, the number stands for what took the place of its rule: there is no
//! fence beside a key that could be set too late (D1) or expire (D2), but a ticket and a lease; no sequence that could
//! be lost (D4) or written in the wrong order (D7), but stamps that never come back; no second look after a store (D8,
//! D9), but a comparison in it.
#![cfg(all(feature = "memory", feature = "axum"))]
#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    unreachable_pub,
    reason = "helpers of a test are tests; one has no outside"
)]

#[path = "../support/mod.rs"]
mod support;

mod flights;
mod keys;
mod lanes;
mod marks;
mod nested;
mod nodes;
mod server;
mod tags;
mod variants;
