use std::sync::Arc;

use loom::{
    sync::{
        Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    flight::{Flights, Follower, Gate, Lead, News, Outcome, Role},
    stamps::{Stamp, Stamps},
    sync::model::{self, block_on, lock},
    value::Value,
};

/// A cache with one key.
pub(super) struct World {
    pub(super) flights: Flights,
    pub(super) stamps: Stamps,
    pub(super) slot: Mutex<Option<Entry>>,
    /// What the origin reads. It is written before the purge that says so.
    pub(super) data: AtomicI64,
    pub(super) runs: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) made: i64,
    pub(super) stamp: u64,
}

pub(super) const OLD: i64 = 1;
pub(super) const NEW: i64 = 2;

pub(super) fn key() -> Arc<str> {
    Arc::from("a/key")
}

pub(super) fn world() -> Arc<World> {
    Arc::new(World {
        flights: Flights::default(),
        stamps: Stamps::default(),
        slot: Mutex::new(None),
        data: AtomicI64::new(OLD),
        runs: AtomicUsize::new(0),
    })
}

impl World {
    pub(super) fn stamp(&self) -> Stamp {
        self.stamps.of("a/")
    }

    /// `Cache::look`
    pub(super) fn look(&self) -> Option<i64> {
        let entry = (*lock(&self.slot))?;
        (entry.stamp == self.stamp().now()).then_some(entry.made)
    }

    /// `Cache::turn`, and a run if it comes to that. What the caller is answered.
    pub(super) fn ask(&self) -> i64 {
        loop {
            if let Some(made) = self.look() {
                return made;
            }
            let mut follower = match self.flights.join(&key(), 0) {
                Role::Leader(lead) => match self.look() {
                    Some(made) => {
                        lead.end(Outcome::LookUp);
                        return made;
                    }
                    None => return self.run(lead),
                },
                Role::Follower(follower) => follower,
            };
            match block_on(follower.news()) {
                News::Ended(Outcome::LookUp) => {}
                News::Ended(Outcome::Shared(value)) => return value.as_integer().expect("a number"),
                News::Ended(Outcome::Alone) => return self.run(self.flights.solo(&key(), 0)),
                News::Lead(lead) => return self.run(lead),
                News::Head(_) => panic!("nobody publishes"),
            }
        }
    }

    /// `Fill::begin`, the origin, `Fill::store`
    pub(super) fn run(&self, lead: Lead) -> i64 {
        let stamp = self.stamp().now();
        let made = self.data.load(Ordering::Relaxed);
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.store(lead, Entry { made, stamp });
        made
    }

    pub(super) fn store(&self, lead: Lead, entry: Entry) {
        lead.close();
        let gate = block_on(self.flights.gate(lead.key()));
        if lead.is_void() {
            drop(gate);
            return lead.end(Outcome::LookUp);
        }
        *lock(&self.slot) = Some(entry);
        lead.end_and_open(gate, Outcome::Shared(Value::integer(entry.made)));
    }

    /// `Cache::purge`
    pub(super) fn purge(&self, key: &Arc<str>) -> Gate {
        let gate = block_on(self.flights.gate(key));
        gate.void();
        gate
    }

    /// `Cache::delete`
    pub(super) fn delete(&self) {
        let _gate = self.purge(&key());
        *lock(&self.slot) = None;
    }

    /// `Cache::clear`, up to where the backend gives the memory back
    pub(super) fn clear(&self) {
        self.stamps.replace("a/");
        for key in self.flights.keys("a/") {
            drop(self.purge(&key));
        }
    }

    pub(super) fn lead(&self) -> Lead {
        match self.flights.join(&key(), 0) {
            Role::Leader(lead) => lead,
            Role::Follower(_) => panic!("somebody leads already"),
        }
    }

    pub(super) fn follow(&self) -> Follower {
        match self.flights.join(&key(), 0) {
            Role::Follower(follower) => follower,
            Role::Leader(_) => panic!("nobody leads"),
        }
    }

    pub(super) fn ends(&self) {
        assert!(self.flights.is_empty(), "something is left in the table");
    }
}

pub(super) fn spawn<T: Send + 'static>(
    world: &Arc<World>,
    run: impl FnOnce(&World) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    model::spawn(move || run(&world))
}
