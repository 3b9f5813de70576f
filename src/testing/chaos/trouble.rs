//! One trouble: which calls meet it, and what becomes of them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time;

use super::operation::Operation;
use crate::{
    error::{Error, ErrorKind, Result},
    testing::watched::Watched,
};

/// A handle on one trouble of a [`Chaos`](super::Chaos). Dropping it ends nothing.
///
/// # Examples
///
/// See [`Script`](super::Script).
#[derive(Clone)]
pub struct Trouble(pub(super) Arc<Rule>);

impl Trouble {
    /// How many calls have met it.
    pub fn met(&self) -> u64 {
        self.0.progress.now().met
    }

    /// How many calls it holds now; those whose callers went away do not count.
    pub fn held(&self) -> usize {
        self.0.progress.now().held
    }

    /// Waits until so many calls have met it. One that is to be held has met it when it is held.
    pub async fn reached(&self, calls: u64) {
        self.0.progress.wait_until(|progress| progress.met >= calls).await;
    }

    /// No further call meets it, and those that it holds go on, in the order in which they came.
    pub fn end(&self) {
        self.0.progress.change(|progress| progress.is_over = true);
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many of the calls that it could concern meet it.
#[derive(Debug)]
pub(super) enum Often {
    Always,
    /// What is left of those.
    Next(AtomicU64),
    OneIn {
        calls: u64,
        random: AtomicU64,
    },
}

impl Often {
    fn takes_one(&self) -> bool {
        match self {
            Self::Always => true,
            Self::Next(left) => {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            }
            Self::OneIn { calls, random } => draw(random) % calls == 0,
        }
    }

    fn is_used_up(&self) -> bool {
        matches!(self, Self::Next(left) if left.load(Ordering::Relaxed) == 0)
    }
}

/// The next number of a sequence that its seed determines (splitmix64).
fn draw(random: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let state = random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What becomes of a call, once its delay is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    Nothing,
    Hold,
    Fail(ErrorKind),
    Lose,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    met: u64,
    held: usize,
    is_over: bool,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) operations: Vec<Operation>,
    pub(super) often: Often,
    pub(super) delay: Duration,
    pub(super) is_afterwards: bool,
    pub(super) effect: Effect,
    pub(super) progress: Watched<Progress>,
}

impl Rule {
    /// Whether calls of this sort may meet it.
    pub(super) fn concerns(&self, operation: Operation) -> bool {
        self.operations.contains(&operation) && !self.often.is_used_up() && !self.progress.now().is_over
    }

    /// Whether one call of this sort meets it.
    pub(super) fn meets(&self, operation: Operation) -> bool {
        let meets = self.concerns(operation) && self.often.takes_one();
        // Calls that are to be held are counted when they are.
        if meets && !matches!(self.effect, Effect::Hold) {
            self.progress.change(|progress| progress.met += 1);
        }
        meets
    }

    /// Whether no call will meet it, and none is held by it.
    pub(super) fn is_done(&self) -> bool {
        let progress = self.progress.now();
        progress.is_over || self.often.is_used_up() && progress.held == 0
    }

    /// Does to a call what it is there for.
    pub(super) async fn strike(&self, operation: Operation) -> Result<()> {
        if !self.delay.is_zero() {
            time::sleep(self.delay).await;
        }
        match self.effect {
            Effect::Nothing | Effect::Lose => Ok(()),
            Effect::Fail(kind) => Err(Error::message(kind, format!("`Chaos` lets `{}` fail", operation.as_str()))),
            Effect::Hold => {
                let _held = Held::new(self);
                self.progress.wait_until(|progress| progress.is_over).await;
                Ok(())
            }
        }
    }
}

/// A call that is held, until it goes on or is dropped.
struct Held<'a>(&'a Rule);

impl<'a> Held<'a> {
    fn new(rule: &'a Rule) -> Self {
        rule.progress.change(|progress| {
            progress.met += 1;
            progress.held += 1;
        });
        Self(rule)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.progress.change(|progress| progress.held -= 1);
    }
}
