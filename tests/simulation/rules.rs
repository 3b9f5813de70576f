//! The database, and what may be read of it through the cache.

use crate::{
    reach::{Effect, Mark, Reach},
    setup::Setup,
    subjects::{ROWS, Subject},
};

pub const TTL: u64 = 60_000;
pub const STALE: u64 = 30_000;
pub const ERROR: u64 = 60_000;
/// How long after it was used last what slides is fresh.
pub const IDLE: u64 = 16_000;

/// One run of the origin.
#[derive(Debug)]
struct Run {
    node: usize,
    subject: Subject,
    /// When the call began that it belongs to, in steps.
    since: u64,
    is_running: bool,
    /// When it ended, or its result was to be kept first, in true milliseconds.
    made: u64,
    is_kept: bool,
    /// When it was served last, by the clock of who was served.
    used: u64,
}

/// What a reader may see, as it was when it began.
#[derive(Clone, Debug)]
pub struct Began {
    pub step: u64,
    now: u64,
    /// The oldest version that may be served, and since when.
    floor: (u64, &'static str),
    marks: Vec<(Mark, &'static str)>,
    /// The oldest version that would have to be served if nothing lagged.
    newest: u64,
}

#[derive(Debug)]
pub struct Rules {
    rows: [u64; ROWS],
    pub reach: Reach,
    runs: Vec<Run>,
    /// Purges that are under way, and when the last one ended, of each node.
    purging: Vec<(usize, u64)>,
    /// How far the clock of each node is off, in milliseconds.
    pub skews: Vec<i64>,
    /// Nothing goes wrong but for lost records.
    is_calm: bool,
    pub failures: Vec<String>,
    pub served: u64,
    /// Fills that a purge, or a loss, has overtaken.
    pub refused: u64,
    /// Answers from before a purge of another node, of which the node did not have to know yet.
    pub lagged: u64,
}

impl Rules {
    pub fn new(skews: Vec<i64>, setup: &Setup) -> Self {
        Self {
            rows: [0; ROWS],
            reach: Reach::new(setup.nodes, setup.tier()),
            runs: Vec::new(),
            purging: vec![(0, 0); setup.nodes],
            skews,
            is_calm: setup.is_calm,
            failures: Vec::new(),
            served: 0,
            refused: 0,
            lagged: 0,
        }
    }

    pub fn commit(&mut self, subject: Subject) -> u64 {
        self.rows[subject.row()] += 1;
        self.rows[subject.row()]
    }

    pub fn row(&self, subject: Subject) -> u64 {
        self.rows[subject.row()]
    }

    pub fn rows(&self) -> [u64; ROWS] {
        self.rows
    }

    pub fn begin_purge(&mut self, node: usize) {
        self.purging[node].0 += 1;
    }

    pub fn end_purge(&mut self, node: usize, step: u64) {
        let (purging, last) = &mut self.purging[node];
        (*purging, *last) = (*purging - 1, step);
    }

    /// The reading of a node's clock.
    pub fn clock(&self, node: usize, now: u64) -> u64 {
        now.saturating_add_signed(self.skews[node])
    }

    /// What a purge that began with these rows does: how an entry is marked depends on the clock of its node.
    pub fn effect_of_mark(&self, node: usize, subject: Subject, rows: &[u64; ROWS], now: u64) -> Effect {
        let here = self.clock(node, now);
        Effect::Marked(Mark {
            row: subject.row(),
            version: rows[subject.row()],
            since: if subject.is_marked_by_key() { here } else { 0 },
            until: here + STALE.max(ERROR),
            // What a tag is marked for is good for as long as it was before.
            is_bounded: subject == Subject::Key,
        })
    }

    pub fn begin_read(&self, node: usize, subject: Subject, step: u64, now: u64) -> Began {
        let newest = self.reach.newest(subject.row());
        let mut began = Began { step, now, floor: (0, ""), marks: Vec::new(), newest };
        for (effect, why) in self.reach.known(node, now) {
            match effect {
                Effect::Gone(rows) if rows[subject.row()] > began.floor.0 => began.floor = (rows[subject.row()], why),
                Effect::Marked(mark) if mark.row == subject.row() => began.marks.push((mark, why)),
                _ => {}
            }
        }
        began
    }

    pub fn end_read(&mut self, node: usize, subject: Subject, began: &Began, value: &str, is_fresh: bool, now: u64) {
        self.served += 1;
        let version = number(value.as_bytes(), "version=").expect("it was made here");
        let run = number(value.as_bytes(), "run=").expect("it was made here");
        let who = format!("node {node} was served {value} of {subject:?}, asked at step {}", began.step);
        let (floor, why) = began.floor;
        if version < floor {
            self.failures.push(format!("{who}: {floor} was purged {why}"));
        }
        self.lagged += u64::from(version < began.newest);
        let here = self.clock(node, began.now);
        for (mark, why) in began.marks.iter().filter(|(mark, _)| version < mark.version) {
            if is_fresh && mark.since <= here {
                self.failures.push(format!("{who} as fresh: it was marked stale {why}"));
            }
            if mark.is_bounded && mark.until <= here {
                self.failures.push(format!("{who}: it was marked stale, and good until {}, {here} now", mark.until));
            }
        }
        let until = self.clock(node, now);
        let run = &mut self.runs[usize::try_from(run).expect("few")];
        // A refresh that takes too long is given up, which counts as a failure of the origin.
        let window = if subject == Subject::Sliding { 0 } else { STALE.max(ERROR) };
        let end = run.made.saturating_add_signed(self.skews[run.node]) + TTL + window;
        // What is made of others lives as long again.
        if subject != Subject::Nested && end <= here {
            self.failures.push(format!("{who}: it was good until {end}, {here} now"));
        }
        if subject == Subject::Sliding && is_fresh {
            let fresh = run.used.max(run.made.saturating_add_signed(self.skews[run.node])) + IDLE;
            if fresh <= here {
                self.failures.push(format!("{who} as fresh: nobody used it after {fresh}, {here} now"));
            }
            run.used = run.used.max(until);
        }
    }

    pub fn begin_run(&mut self, node: usize, subject: Subject, since: u64, now: u64) -> usize {
        let (purging, purged) = self.purging[node];
        let other = |run: &&Run| run.is_running && (run.node, run.subject) == (node, subject);
        if let Some(other) = self.runs.iter().find(other) {
            // A purge detaches the runs of the calls that began before it; and who asks for a page does not know yet by
            // what its variants are told apart.
            if self.is_calm && !subject.is_of_a_page() && purging == 0 && purged < other.since.min(since) {
                self.failures
                    .push(format!("two runs of {subject:?} on node {node}, since {} and {since}", other.since));
            }
        }
        self.runs.push(Run { node, subject, since, is_running: true, made: now, is_kept: false, used: 0 });
        self.runs.len() - 1
    }

    pub fn end_run(&mut self, run: usize, now: u64) {
        self.runs[run].is_running = false;
        self.runs[run].made = now;
    }

    pub fn note_store(&mut self, bytes: &[u8], now: u64) {
        let run = number(bytes, "run=").and_then(|run| self.runs.get_mut(usize::try_from(run).ok()?));
        // What is stored again, with other times, is not made again.
        if let Some(run) = run.filter(|run| !run.is_kept) {
            (run.made, run.is_kept) = (now, true);
        }
    }

    /// Of which run it is that something is stored under a key nobody can tell: of any that has ended.
    pub fn note_store_under(&mut self, key: &str, now: u64) {
        let of_key = |run: &&mut Run| !run.is_kept && !run.is_running && key.starts_with(run.subject.key());
        self.runs.iter_mut().filter(of_key).for_each(|run| (run.made, run.is_kept) = (now, true));
    }
}

/// The number after a name.
fn number(text: &[u8], name: &str) -> Option<u64> {
    let at = text.windows(name.len()).position(|window| window == name.as_bytes())? + name.len();
    let digits: String = text[at..].iter().map(|&byte| char::from(byte)).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
