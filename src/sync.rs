//! What flights, gates and stamps are built on, in one place, so that a model checker can put its own there.
//!
//! `--cfg model` does that in the tests of this crate: loom runs them in every order that makes a difference.

#[cfg(all(test, model))]
pub(crate) mod model;

#[cfg(not(all(test, model)))]
pub(crate) use {
    dashmap::{DashMap, Entry},
    std::sync::{Mutex, MutexGuard, atomic::AtomicU64},
    tokio::sync::Notify,
};

#[cfg(all(test, model))]
pub(crate) use {
    loom::sync::{Mutex, MutexGuard, atomic::AtomicU64},
    model::{DashMap, Entry, Notify},
};
