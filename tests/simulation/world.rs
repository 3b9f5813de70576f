//! The one state of a simulation: the database, the server, what waits for the scheduler, and what must hold.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::oneshot;

use crate::{backplane::Line, rng::Rng, rules::Rules, table::Table};

/// What goes wrong with one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Its sender has gone away, and it with that.
    Unsent,
    /// It fails and does nothing.
    Before,
    /// It fails and is done.
    After,
    /// It fails, and is done some time later.
    Late,
}

/// What happens when the scheduler says so; perhaps something else is then to happen after it.
pub struct Step(Box<Do>);

type Do = dyn FnOnce(&mut State, Fault) -> Option<Step> + Send;

impl Step {
    pub fn new(step: impl FnOnce(&mut State, Fault) -> Option<Self> + Send + 'static) -> Self {
        Self(Box::new(step))
    }
}

/// Who does not reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutOff {
    Nobody,
    Node(usize),
    Everybody,
}

/// Parts of labels, with numbers of steps.
pub type Held = [Option<(&'static str, u64)>; 2];

/// How the label of an answer ends.
pub const ANSWER: &str = " <-";

struct Pending {
    node: usize,
    label: String,
    arrival: u64,
    /// It is held up to this step, if anything else can be done.
    until: u64,
    step: Step,
}

#[derive(Clone)]
pub struct World(Arc<Mutex<State>>);

pub struct State {
    pub table: Table,
    pub rules: Rules,
    /// The scheduler's steps so far.
    pub step: u64,
    /// Which nodes do not reach the server.
    pub cut_off: CutOff,
    /// To the nodes that tell each other what they change; none if they do not.
    pub lines: Vec<Line>,
    /// Whose operations take longer than those of others.
    pub slow: Option<usize>,
    /// What has one of these in its label is held up, each time, for so many steps.
    pub held: Held,
    pending: Vec<Pending>,
    arrivals: u64,
    trace: Option<Vec<String>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

impl World {
    pub fn new(rules: Rules, is_traced: bool) -> Self {
        let trace = is_traced.then(Vec::new);
        Self(Arc::new(Mutex::new(State {
            table: Table::new(),
            rules,
            step: 0,
            cut_off: CutOff::Nobody,
            lines: Vec::new(),
            slow: None,
            held: Held::default(),
            pending: Vec::new(),
            arrivals: 0,
            trace,
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics under it")
    }

    pub fn push(
        &self,
        node: usize,
        label: String,
        step: impl FnOnce(&mut State, Fault) -> Option<Step> + Send + 'static,
    ) {
        self.lock().push(node, label, Step::new(step));
    }

    /// Waits for the scheduler.
    pub async fn point(&self, node: usize, label: String) {
        let (go, gone) = oneshot::channel::<()>();
        self.push(node, label, move |_, _| {
            let _ = go.send(());
            None
        });
        let _ = gone.await;
    }

    /// The server is asked to keep what a run made.
    pub fn note_store(&self, bytes: &[u8]) {
        let mut state = self.lock();
        let now = state.table.now;
        state.rules.note_store(bytes, now);
    }

    /// As [`note_store`](World::note_store), of an object that has no bytes.
    pub fn note_store_under(&self, key: &str) {
        let mut state = self.lock();
        let now = state.table.now;
        state.rules.note_store_under(key, now);
    }

    pub fn tell(&self, line: impl FnOnce() -> String) {
        self.lock().tell(line);
    }
}

impl State {
    pub fn push(&mut self, node: usize, label: String, step: Step) {
        self.arrivals += 1;
        let mut held = self.held.iter().flatten();
        let held = held.find(|(what, _)| label.contains(what) && !label.ends_with(ANSWER));
        let until = held.map_or(0, |(_, steps)| self.step + steps);
        self.pending.push(Pending { node, label, arrival: self.arrivals, until, step });
    }

    pub fn is_cut_off(&self, node: usize) -> bool {
        match self.cut_off {
            CutOff::Nobody => false,
            CutOff::Node(other) => other == node,
            CutOff::Everybody => true,
        }
    }

    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Does one of the things that wait, any of them; one in `holds` of these is held up instead, and then another.
    pub fn go_on(&mut self, rng: &mut Rng, holds: u64, fault: impl FnOnce(&mut Rng) -> Fault) {
        // In an order that does not depend on who was woken first.
        self.pending.sort_by(|one, other| (&one.label, one.arrival).cmp(&(&other.label, other.arrival)));
        let mut next = self.any(rng);
        if holds > 0 && rng.one_in(holds) {
            // Long enough for others to begin and end something.
            self.pending[next].until = self.step + 10 + rng.below(50);
            next = self.any(rng);
        }
        let Pending { label, step, node, .. } = self.pending.remove(next);
        let fault = fault(rng);
        self.tell(|| if fault == Fault::None { label.clone() } else { format!("{label} [{fault:?}]") });
        if let Some(next) = step.0(self, fault) {
            self.push(node, format!("{label}{ANSWER}"), next);
        }
    }

    /// What a slow node does, and what is held up, takes as long as a lot that others do.
    fn any(&self, rng: &mut Rng) -> usize {
        let mut next = rng.index(self.pending.len());
        for _ in 0..8 {
            let pending = &self.pending[next];
            if self.slow != Some(pending.node) && pending.until <= self.step {
                break;
            }
            next = rng.index(self.pending.len());
        }
        next
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let step = self.step;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{step:4} {}", line()));
        }
    }

    pub fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }
}
