//! Purges, and which node has to know of which.

use crate::{setup::Tier, subjects::ROWS};

/// What a purge was of.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// What is older than these rows may not be served.
    Gone([u64; ROWS]),
    /// It was marked stale.
    Marked(Mark),
}

/// What is older is good until then.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub row: usize,
    pub version: u64,
    /// Which reader has to know of it: of a tag everybody, of a key all whose clocks are not behind that.
    pub since: u64,
    pub until: u64,
    pub is_bounded: bool,
}

#[derive(Debug)]
struct Purged {
    node: usize,
    state: Is,
    /// How many of its messages each node has not heard yet.
    unheard: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Is {
    /// Or given up by its caller.
    UnderWay,
    /// Nothing of it is to be seen again on its own node, which makes up for it.
    Failed(Effect),
    /// It was acknowledged then, in true milliseconds.
    Done(Effect, u64),
}

#[derive(Debug)]
pub struct Reach {
    nodes: usize,
    tier: Option<Tier>,
    purges: Vec<Purged>,
    /// Purges that failed, and that a node makes up for.
    pub missed: u64,
    /// Messages of purges that came to a node.
    pub heard: u64,
}

impl Reach {
    pub fn new(nodes: usize, tier: Option<Tier>) -> Self {
        Self { nodes, tier, purges: Vec::new(), missed: 0, heard: 0 }
    }

    pub fn begin(&mut self, node: usize) -> usize {
        self.purges.push(Purged { node, state: Is::UnderWay, unheard: vec![0; self.nodes] });
        self.purges.len() - 1
    }

    pub fn done(&mut self, purge: usize, effect: Effect, now: u64) {
        self.purges[purge].state = Is::Done(effect, now);
    }

    /// The server could not be asked. A node that has copies makes up for that.
    pub fn failed(&mut self, purge: usize, effect: Effect) {
        if self.tier.is_some() && matches!(effect, Effect::Gone(_)) {
            self.purges[purge].state = Is::Failed(effect);
            self.missed += 1;
        }
    }

    /// All that could not be made has been made up for.
    pub fn made_up(&mut self, now: u64) {
        for purged in &mut self.purges {
            if let Is::Failed(effect) = purged.state {
                purged.state = Is::Done(effect, now);
                // Nobody counts the messages of that.
                purged.unheard.iter_mut().for_each(|unheard| *unheard += 1);
            }
        }
    }

    /// A message of a purge is on its way to a node.
    pub fn tell(&mut self, purge: usize, node: usize) {
        self.purges[purge].unheard[node] += 1;
    }

    pub fn heard(&mut self, purge: usize, node: usize) {
        self.heard += 1;
        let unheard = &mut self.purges[purge].unheard[node];
        *unheard = unheard.saturating_sub(1);
    }

    /// A node has dropped all that it could know otherwise.
    pub fn tell_all(&mut self, node: usize) {
        self.purges.iter_mut().for_each(|purged| purged.unheard[node] = 0);
    }

    /// What a node has to know of, with why.
    pub fn known(&self, node: usize, now: u64) -> impl Iterator<Item = (Effect, &'static str)> {
        self.purges.iter().filter_map(move |purged| {
            let is_own = purged.node == node;
            match (purged.state, self.tier) {
                (Is::Failed(effect), _) => is_own.then_some((effect, "though it could not be reached elsewhere")),
                (Is::Done(effect, _), None) => Some((effect, "before")),
                (Is::Done(effect, _), _) if is_own => Some((effect, "here before")),
                (Is::Done(effect, done), Some(tier)) if now >= done + tier.lag => {
                    Some((effect, "longer ago than the lag"))
                }
                // A mark says nothing where there was nothing to be marked; what took that away may be unheard still.
                (Is::Done(effect @ Effect::Gone(_), _), Some(tier)) if tier.tells && purged.unheard[node] == 0 => {
                    Some((effect, "which it had heard"))
                }
                (Is::UnderWay | Is::Done(..), _) => None,
            }
        })
    }

    /// What is older than this was taken away, wherever that is known by now.
    pub fn newest(&self, row: usize) -> u64 {
        let gone = |purged: &Purged| match purged.state {
            Is::Done(Effect::Gone(rows), _) => rows[row],
            _ => 0,
        };
        self.purges.iter().map(gone).max().unwrap_or(0)
    }
}
