//! What nodes tell each other: each message takes some time to each of them, and some of them more than others. Some are
//! heard twice, some never; and connections break, which their nodes are told.

use std::sync::{Arc, Weak};

use axum_caching::{Backplane, Listener};
use bytes::Bytes;
use tokio::task_local;

use crate::{
    rng::Rng,
    world::{Fault, State, Step, World},
};

task_local! {
    /// The purge that the caller is about.
    pub static PURGE: usize;
}

/// The connection of one node.
#[derive(Clone, Debug)]
pub struct Wire {
    pub world: World,
    pub node: usize,
}

/// Its other end.
#[derive(Default)]
pub struct Line {
    listener: Option<Arc<Listener>>,
    is_broken: bool,
    /// How often it broke: what was on its way is lost then.
    breaks: u64,
}

impl Backplane for Wire {
    fn publish(&self, message: Bytes) {
        let purge = PURGE.try_with(|purge| *purge).ok();
        self.world.lock().publish(self.node, purge, &message);
    }

    fn subscribe(&self, listener: Listener) {
        let mut state = self.world.lock();
        state.tell(|| format!("{} listens", self.node));
        let line = &mut state.lines[self.node];
        (line.listener, line.is_broken) = (Some(Arc::new(listener)), false);
    }
}

impl State {
    fn publish(&mut self, from: usize, purge: Option<usize>, message: &Bytes) {
        for node in 0..self.lines.len() {
            // Who does not listen has no copies, and its own changes a node knows.
            let Some(listener) = self.lines[node].listener.as_ref().map(Arc::downgrade) else { continue };
            if let Some(purge) = purge.filter(|_| node != from) {
                self.rules.reach.tell(purge, node);
            }
            if !self.lines[node].is_broken {
                let heard = Heard { node, purge, listener, message: message.clone(), breaks: self.lines[node].breaks };
                self.push(node, format!("{node}: hears {from}"), Step::new(|state, fault| heard.happen(state, fault)));
            }
        }
    }

    /// The connection of a node breaks, or comes back.
    pub fn break_or_mend(&mut self, rng: &mut Rng) {
        let node = rng.index(self.lines.len());
        let line = &mut self.lines[node];
        let Some(listener) = line.listener.clone() else { return };
        let what = if line.is_broken {
            line.is_broken = false;
            listener.lose();
            "is connected again"
        } else if rng.one_in(3) {
            line.breaks += 1;
            line.listener = None;
            "listens no more"
        } else {
            (line.is_broken, line.breaks) = (true, line.breaks + 1);
            listener.lose();
            "is not connected"
        };
        // Its copies are gone, and all reads are void that were under way.
        self.rules.reach.tell_all(node);
        self.tell(|| format!("{node} {what}"));
    }
}

/// A message on its way to a node.
struct Heard {
    node: usize,
    purge: Option<usize>,
    /// It ends with the connection, and not with what is under way.
    listener: Weak<Listener>,
    message: Bytes,
    breaks: u64,
}

impl Heard {
    fn happen(self, state: &mut State, fault: Fault) -> Option<Step> {
        let is_lost = state.lines[self.node].breaks != self.breaks;
        match fault {
            _ if is_lost => None,
            Fault::Before => None,
            Fault::Late => Some(Step::new(|state, fault| self.happen(state, fault))),
            Fault::None | Fault::Unsent => {
                self.hear(state);
                None
            }
            // And once more, some time later.
            Fault::After => {
                self.hear(state);
                let again = Self { purge: None, ..self };
                Some(Step::new(|state, fault| again.happen(state, fault)))
            }
        }
    }

    fn hear(&self, state: &mut State) {
        let Some(listener) = self.listener.upgrade() else { return };
        listener.hear(&self.message);
        if let Some(purge) = self.purge {
            state.rules.reach.heard(purge, self.node);
        }
    }
}
