//! A change on its way: what this node had a copy of is gone before it is sent, and again before it is acknowledged.

use std::sync::Arc;

use super::{
    Inner,
    copies::Ticket,
    message::{Changed, MAX_KEYS},
    missed::{Number, What, is_for_good},
};
use crate::{error::Result, value::Value};

/// What a change is of.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    Key(&'a str),
    Keys(&'a [&'a str]),
    Prefix(&'a str),
}

/// What it does to what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Takes it away, or stores over it: if it cannot be made, it is made up for.
    Purge,
    /// Stores over what it knows, or into nothing, or adds to it.
    Alter,
}

/// Dropped before it was answered, it failed: nobody knows whether it was made.
pub(super) struct Change<'a> {
    inner: &'a Arc<Inner>,
    of: Of<'a>,
    does: Does,
    /// Of one key.
    ticket: Option<Ticket>,
    /// The purges that it makes up for.
    until: Number,
    is_over: bool,
}

impl<'a> Change<'a> {
    pub(super) fn begin(inner: &'a Arc<Inner>, of: Of<'a>, does: Does) -> Self {
        inner.listen();
        of.forget_in(inner);
        Self { inner, of, does, ticket: of.ticket(inner), until: inner.missed.last(), is_over: false }
    }

    /// It is sent now, and not when it was begun.
    pub(super) fn is_sent(&mut self) {
        self.until = self.inner.missed.last();
        self.ticket = self.of.ticket(self.inner);
    }

    /// It was answered. `stored` is what is there now, if that is known.
    pub(super) fn end<T>(mut self, answer: Result<T>, stored: impl FnOnce(&T) -> Stored) -> Result<T> {
        self.is_over = true;
        match &answer {
            Ok(done) => {
                let stored = stored(done);
                if self.does == Does::Purge {
                    self.make_up();
                }
                let value = match &stored {
                    Stored::Value(value) => Some(value),
                    Stored::Unknown | Stored::Nothing => None,
                };
                match (self.of, self.ticket) {
                    (Of::Key(key), Some(ticket)) => self.inner.copies.replace(key, ticket, value),
                    _ => self.of.forget_in(self.inner),
                }
                if !matches!(stored, Stored::Nothing) {
                    self.tell();
                }
            }
            Err(error) if is_for_good(error.kind()) => self.of.forget_in(self.inner),
            // What is too large or finds no room leaves what was there, which can be deleted.
            Err(_) => self.fail(),
        }
        answer
    }

    fn fail(&self) {
        self.of.forget_in(self.inner);
        if self.does == Does::Purge {
            self.of.for_each(|what| self.inner.remember(what));
        }
    }

    fn make_up(&self) {
        if !self.inner.missed.is_empty() {
            self.of.for_each(|what| self.inner.missed.made(&what, self.until));
        }
    }

    fn tell(&self) {
        match self.of {
            Of::Key(key) => self.inner.tell(&Changed::Keys(vec![key])),
            Of::Keys(keys) => keys.chunks(MAX_KEYS).for_each(|keys| self.inner.tell(&Changed::Keys(keys.to_vec()))),
            Of::Prefix(prefix) => self.inner.tell(&Changed::Prefix(prefix)),
        }
    }
}

/// What is under the key after a change.
pub(super) enum Stored {
    Value(Value),
    Unknown,
    /// The change has changed nothing that anybody could have a copy of.
    Nothing,
}

impl Of<'_> {
    fn forget_in(&self, inner: &Inner) {
        match self {
            Self::Key(key) => inner.copies.forget(key),
            Self::Keys(keys) => keys.iter().for_each(|key| inner.copies.forget(key)),
            Self::Prefix(prefix) => inner.copies.forget_prefix(prefix),
        }
    }

    fn ticket(&self, inner: &Inner) -> Option<Ticket> {
        match self {
            Self::Key(key) => Some(inner.copies.ticket(key)),
            Self::Keys(_) | Self::Prefix(_) => None,
        }
    }

    fn for_each(&self, mut work: impl FnMut(What)) {
        match self {
            Self::Key(key) => work(What::Key((*key).into())),
            Self::Keys(keys) => keys.iter().for_each(|key| work(What::Key((*key).into()))),
            Self::Prefix(prefix) => work(What::Prefix((*prefix).into())),
        }
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.fail();
        }
    }
}
