//! Where the nodes of a seed keep what they read, and what their time does to them.

use std::time::Duration;

use crate::rng::Rng;

/// What a server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Compares,
    /// It gets, sets, adds and deletes, and nothing else.
    Plain,
}

#[derive(Clone, Copy, Debug)]
pub enum Keeps {
    /// On a server that all nodes share.
    Shared(Class),
    /// There, with copies in each node.
    Tiered(Class, Tier),
    /// In the memory of the only node.
    Live {
        /// Each operation takes some time, as one that has to wait for something may.
        is_slow: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Tier {
    /// How long a copy is trusted, in milliseconds.
    pub lag: u64,
    /// Whether nodes tell each other what they change.
    pub tells: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub keeps: Keeps,
    pub nodes: usize,
    /// Nothing goes wrong but for lost records.
    pub is_calm: bool,
    /// Nobody waits for long, for the server or for each other.
    pub is_hasty: bool,
}

impl Setup {
    pub fn any(rng: &mut Rng) -> Self {
        let class = if rng.one_in(4) { Class::Plain } else { Class::Compares };
        let keeps = match rng.below(16) {
            0..=8 => Keeps::Shared(class),
            9..=13 => Keeps::Tiered(class, Tier::any(rng)),
            _ => Keeps::Live { is_slow: !rng.one_in(4) },
        };
        let nodes = match keeps {
            Keeps::Shared(_) => rng.pick(&[1, 2, 2, 3]),
            Keeps::Tiered(..) => rng.pick(&[2, 2, 3]),
            Keeps::Live { .. } => 1,
        };
        let is_calm = rng.one_in(3);
        Self { keeps, nodes, is_calm, is_hasty: !is_calm && rng.one_in(6) }
    }

    pub fn tier(&self) -> Option<Tier> {
        match self.keeps {
            Keeps::Tiered(_, tier) => Some(tier),
            Keeps::Shared(_) | Keeps::Live { .. } => None,
        }
    }

    /// A write that is done after it has failed is outside of the contract of some backends.
    pub fn may_be_late(&self) -> bool {
        matches!(self.keeps, Keeps::Shared(Class::Compares) | Keeps::Tiered(Class::Compares, _))
    }

    /// How long the server is waited for, and others.
    pub fn patience(&self) -> (Duration, Duration) {
        let (server, others) = if self.is_hasty { (5, 10) } else { (1_000_000, 1_000_000) };
        (Duration::from_secs(server), Duration::from_secs(others))
    }
}

impl Tier {
    fn any(rng: &mut Rng) -> Self {
        Self { lag: rng.pick(&[2_000, 10_000, 30_000]), tells: rng.one_in(2) }
    }
}
