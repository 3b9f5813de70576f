//! The database, and what may be read of it through the cache.

use crate::nodes::{ROWS, Subject};

pub const TTL: u64 = 60_000;
pub const STALE: u64 = 30_000;
pub const ERROR: u64 = 60_000;

/// One run of the origin.
#[derive(Debug)]
struct Run {
    node: usize,
    subject: Subject,
    /// When the call began that it belongs to, in steps.
    since: u64,
    is_running: bool,
    /// When it ended, or the server was asked to keep it, in true milliseconds.
    made: u64,
}

/// An entry was marked stale, which was acknowledged: what is older is good until then.
#[derive(Debug)]
struct Mark {
    subject: Subject,
    version: u64,
    /// Which reader has to know of it: of a tag everybody, of a key all whose clocks are not behind that.
    since: u64,
    until: u64,
}

/// What a reader may see, as it was when it began.
#[derive(Clone, Copy, Debug)]
pub struct Began {
    pub step: u64,
    now: u64,
    floor: u64,
    marks: usize,
}

#[derive(Debug, Default)]
pub struct Rules {
    rows: [u64; ROWS],
    /// The oldest version that may be served.
    floors: [u64; ROWS],
    marks: Vec<Mark>,
    runs: Vec<Run>,
    /// Purges that are under way, and when the last one ended, of each node.
    purging: Vec<(usize, u64)>,
    /// How far the clock of each node is off, in milliseconds.
    pub skews: Vec<i64>,
    /// Nothing goes wrong but for lost records.
    pub is_calm: bool,
    pub failures: Vec<String>,
    pub served: u64,
    /// Fills that a purge, or a loss, has overtaken.
    pub refused: u64,
}

impl Rules {
    pub fn new(skews: Vec<i64>, is_calm: bool) -> Self {
        Self { purging: vec![(0, 0); skews.len()], skews, is_calm, ..Self::default() }
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

    /// A purge of what was made of this row was acknowledged, which began when the row was so.
    pub fn raise(&mut self, row: usize, version: u64) {
        self.floors[row] = self.floors[row].max(version);
    }

    /// An entry was marked, by a node, which was acknowledged now.
    pub fn mark(&mut self, node: usize, subject: Subject, version: u64, now: u64) {
        let here = now.saturating_add_signed(self.skews[node]);
        let is_of_a_key = matches!(subject, Subject::Key | Subject::Beside);
        let since = if is_of_a_key { here } else { 0 };
        self.marks.push(Mark { subject, version, since, until: here + STALE.max(ERROR) });
    }

    pub fn begin_read(&self, subject: Subject, step: u64, now: u64) -> Began {
        Began { step, now, floor: self.floors[subject.row()], marks: self.marks.len() }
    }

    pub fn end_read(&mut self, node: usize, subject: Subject, began: Began, value: &str, is_fresh: bool) {
        self.served += 1;
        let version = number(value.as_bytes(), "version=").expect("it was made here");
        let run = number(value.as_bytes(), "run=").expect("it was made here");
        let who = format!("node {node} was served {value} of {subject:?}, asked at step {}", began.step);
        if version < began.floor {
            self.failures.push(format!("{who}: {} was purged before", began.floor));
        }
        let here = began.now.saturating_add_signed(self.skews[node]);
        let older = |mark: &&Mark| mark.subject.row() == subject.row() && version < mark.version;
        for mark in self.marks[..began.marks].iter().filter(older) {
            if is_fresh && mark.since <= here {
                self.failures.push(format!("{who} as fresh: it was marked stale before"));
            }
            // What a tag is marked for is good for as long as it was before.
            if mark.subject == Subject::Key && mark.until <= here {
                self.failures.push(format!("{who}: it was marked stale, and good until {}, {here} now", mark.until));
            }
        }
        let run = &self.runs[usize::try_from(run).expect("few")];
        let window = if self.is_calm { STALE } else { STALE.max(ERROR) };
        let end = run.made.saturating_add_signed(self.skews[run.node]) + TTL + window;
        // What is made of others lives as long again.
        if subject != Subject::Nested && end <= here {
            self.failures.push(format!("{who}: it was good until {end}, {here} now"));
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
        self.runs.push(Run { node, subject, since, is_running: true, made: now });
        self.runs.len() - 1
    }

    pub fn end_run(&mut self, run: usize, now: u64) {
        self.runs[run].is_running = false;
        self.runs[run].made = now;
    }

    pub fn note_store(&mut self, bytes: &[u8], now: u64) {
        if let Some(run) = number(bytes, "run=").and_then(|run| self.runs.get_mut(usize::try_from(run).ok()?)) {
            run.made = now;
        }
    }
}

/// The number after a name.
fn number(text: &[u8], name: &str) -> Option<u64> {
    let at = text.windows(name.len()).position(|window| window == name.as_bytes())? + name.len();
    let digits: String = text[at..].iter().map(|&byte| char::from(byte)).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
