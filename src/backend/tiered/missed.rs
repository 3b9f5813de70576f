//! Purges that were to be made and could not be: of each key the newest, and only so many.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::error::ErrorKind;

/// So many are remembered; the oldest go first. Whoever made one was told that it failed.
const MAX: usize = 10_000;

/// All keys are compared with each prefix.
const MAX_PREFIXES: usize = 64;

/// What is to be purged still.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Key(Box<str>),
    Prefix(Box<str>),
}

impl What {
    /// Whether a purge of this makes one of the other needless.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prefix(prefix), Self::Key(text) | Self::Prefix(text)) => text.starts_with(&**prefix),
            _ => self == other,
        }
    }
}

/// Whether a purge that was refused so would be refused later too, and need not be remembered. That is not the breaker's
/// question: a call outside a runtime (`Config`) says nothing against the backend, and a later one may be made.
pub(super) fn is_for_good(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unsupported | ErrorKind::Key)
}

/// The number of a purge: later ones have higher numbers.
pub(super) type Number = u64;

#[derive(Debug, Default)]
pub(super) struct Missed {
    /// Spares everybody the lock for as long as there are none.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Number,
    numbers: HashMap<What, Number>,
    by_number: BTreeMap<Number, What>,
    prefixes: HashSet<Box<str>>,
}

impl State {
    fn remove(&mut self, what: &What) {
        if let Some(number) = self.numbers.remove(what) {
            self.by_number.remove(&number);
            if let What::Prefix(prefix) = what {
                self.prefixes.remove(prefix);
            }
        }
    }

    fn remove_oldest(&mut self, is_one: impl Fn(&What) -> bool) {
        if let Some(oldest) = self.by_number.values().find(|what| is_one(what)).cloned() {
            self.remove(&oldest);
        }
    }
}

impl Missed {
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// The number of the last one: what is done from now on makes up for those until then.
    pub(super) fn last(&self) -> Number {
        if self.is_empty() { 0 } else { self.lock().last }
    }

    pub(super) fn add(&self, what: What) {
        let mut state = self.lock();
        state.remove(&what);
        if let What::Prefix(prefix) = &what {
            let covered: Vec<_> = state.numbers.keys().filter(|other| what.covers(other)).cloned().collect();
            for other in &covered {
                state.remove(other);
            }
            if state.prefixes.len() >= MAX_PREFIXES {
                state.remove_oldest(|what| matches!(what, What::Prefix(_)));
            }
            state.prefixes.insert(prefix.clone());
        }
        if state.numbers.len() >= MAX {
            state.remove_oldest(|_| true);
        }
        state.last += 1;
        let number = state.last;
        state.by_number.insert(number, what.clone());
        state.numbers.insert(what, number);
        self.any.store(true, Ordering::Release);
    }

    /// A purge of this was made: those until this number need not be made any more.
    pub(super) fn made(&self, what: &What, until: Number) {
        if self.is_empty() {
            return;
        }
        let mut state = self.lock();
        let is_over =
            |(other, number): (&What, &Number)| (*number <= until && what.covers(other)).then(|| other.clone());
        let over: Vec<_> = match what {
            What::Key(_) => state.numbers.get_key_value(what).into_iter().filter_map(is_over).collect(),
            What::Prefix(_) => state.numbers.iter().filter_map(is_over).collect(),
        };
        for other in &over {
            state.remove(other);
        }
        self.any.store(!state.numbers.is_empty(), Ordering::Release);
    }

    /// Those that concern a key.
    pub(super) fn concerning(&self, key: &str) -> Vec<(What, Number)> {
        if self.is_empty() {
            return Vec::new();
        }
        let state = self.lock();
        let prefixes = state.prefixes.iter().filter(|prefix| key.starts_with(&***prefix));
        let all = prefixes.map(|prefix| What::Prefix(prefix.clone())).chain([What::Key(key.into())]);
        all.filter_map(|what| state.numbers.get(&what).map(|number| (what.clone(), *number))).collect()
    }

    /// The oldest that has this number or a later one.
    pub(super) fn from(&self, number: Number) -> Option<(What, Number)> {
        self.lock().by_number.range(number..).next().map(|(number, what)| (what.clone(), *number))
    }

    // A panic under this lock is not possible; if it was, what is remembered is still right.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> What {
        What::Key(text.into())
    }

    fn prefix(text: &str) -> What {
        What::Prefix(text.into())
    }

    #[test]
    fn of_each_key_the_newest_is_remembered_and_what_is_older_is_made_up_for() {
        let missed = Missed::default();
        missed.add(key("a"));
        let sent = missed.last();
        missed.add(key("a"));
        missed.made(&key("a"), sent);
        assert_eq!(missed.concerning("a"), [(key("a"), 2)], "it failed again after that was sent");
        missed.made(&key("a"), missed.last());
        assert!(missed.is_empty() && missed.concerning("a").is_empty());
    }

    #[test]
    fn a_prefix_stands_for_the_keys_below_it() {
        let missed = Missed::default();
        missed.add(key("a/1"));
        missed.add(key("b"));
        missed.add(prefix("a/"));
        assert_eq!(missed.concerning("a/1"), [(prefix("a/"), 3)]);
        missed.made(&prefix(""), missed.last());
        assert!(missed.is_empty());
    }

    #[test]
    fn only_so_many_are_remembered_and_the_oldest_go_first() {
        let missed = Missed::default();
        for number in 0..=MAX {
            missed.add(key(&number.to_string()));
        }
        assert!(missed.concerning("0").is_empty() && !missed.concerning("1").is_empty());
        for number in 0..=MAX_PREFIXES {
            missed.add(prefix(&format!("p{number}/")));
        }
        assert!(missed.concerning("p0/").is_empty() && !missed.concerning("p1/").is_empty());
        let state = missed.lock();
        assert_eq!(state.numbers.len(), state.by_number.len());
    }
}
