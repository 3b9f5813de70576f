//! Reading an entry: what is under a key, and whether it may be used.

use std::sync::Arc;

use super::{Cache, FillContext, fill::OwnedKey, judge::Step, turn::Question};
use crate::{
    backend::{BackendFuture, Reads},
    error::{Error, ErrorKind, Result},
    key::Key,
    reason::MissReason,
    record::{Hold, Payload, Record},
    timer::Bound,
    value::Value,
};

/// An entry that may be used, and the one reading of the clock that said so.
#[derive(Debug)]
pub(crate) struct Found<P> {
    pub(crate) record: Arc<Record<P>>,
    pub(crate) now: u64,
    pub(crate) state: State,
    /// How many entries had been stored when the look began.
    pub(super) stores: u64,
}

/// What an entry that may be used is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Fresh,
    /// Fresh, and to be made anew in the background.
    Due,
    /// To be made anew in the background.
    Stale,
    /// Stale, and its origin has failed lately.
    Spared,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) struct Missed<P> {
    pub(crate) reason: MissReason,
    /// What is in the slot of the key all the same: it says what selects.
    pub(crate) primary: Option<Arc<Record<P>>>,
    /// What may be served if the origin fails.
    pub(super) fallback: Option<Arc<Record<P>>>,
    /// How many entries had been stored when the look began.
    pub(super) stores: u64,
    /// When it was judged, in UNIX milliseconds.
    pub(super) now: u64,
}

impl<P: Payload> Missed<P> {
    pub(super) fn new(reason: MissReason) -> Self {
        Self { reason, primary: None, fallback: None, stores: 0, now: 0 }
    }

    /// What may be served if the origin fails.
    pub(crate) fn into_fallback(self) -> Option<Arc<Record<P>>> {
        self.fallback
    }

    #[cold]
    pub(super) fn with(reason: MissReason, record: Arc<Record<P>>) -> Self {
        Self { primary: Some(record), ..Self::new(reason) }
    }

    #[cold]
    pub(super) fn with_fallback(record: Arc<Record<P>>, question: &impl Question<Payload = P>) -> Self {
        let fallback = question.takes(&record).then(|| Arc::clone(&record));
        Self { fallback, ..Self::with(MissReason::Expired, record) }
    }
}

/// A key in whichever form it is at hand.
pub(crate) trait KeyText {
    fn primary(&self) -> &str;
    fn digested(&self) -> &str;
}

impl KeyText for Key {
    fn primary(&self) -> &str {
        self.backend.as_str()
    }

    fn digested(&self) -> &str {
        self.digested.as_str()
    }
}

impl KeyText for OwnedKey {
    fn primary(&self) -> &str {
        &self.primary
    }

    fn digested(&self) -> &str {
        self.digested.as_deref().unwrap_or_default()
    }
}

pub(crate) type Looked<P> = Result<Found<P>, Missed<P>>;

/// What a glance saw that is not simply a hit. It is small, so that hits do not carry the room for all that can be
/// found with them.
pub(crate) enum Seen<P> {
    /// Nothing: the backend has to be waited for.
    Nothing,
    /// What was read, or why there is none.
    Read { now: u64, stores: u64, read: Result<Arc<Record<P>>, MissReason> },
    /// An entry that is fresh, and that the question does not take.
    Refused { now: u64, stores: u64, record: Arc<Record<P>> },
}

impl Cache {
    /// As of a caller that takes over from another one, and has found nothing itself.
    pub(super) fn not_shared<P: Payload>(&self) -> Missed<P> {
        let stores = self.core.stores.now();
        Missed { stores, ..Missed::new(MissReason::NotShared) }
    }

    /// Looks for an entry that is fresh, with which nothing else is to be done. Most lookups end so, and all else is
    /// kept out of their way: [`look_further`](Cache::look_further) says what else was seen.
    #[inline]
    pub(crate) fn glance<Q: Question>(
        &self,
        key: &impl KeyText,
        question: &Q,
    ) -> Result<Found<Q::Payload>, Seen<Q::Payload>> {
        if self.core.lags && FillContext::is_current() {
            return Err(Seen::Nothing);
        }
        self.glance_at_copies(key, question)
    }

    /// What the backend says at once; `None` if it has to be waited for.
    #[inline(never)]
    pub(crate) fn look_further<Q: Question>(
        &self,
        seen: Seen<Q::Payload>,
        key: &impl KeyText,
        question: &Q,
    ) -> Option<Looked<Q::Payload>> {
        self.look_further_at_copies(seen, key, question).filter(|looked| !self.is_doubtful(looked))
    }

    /// Looks a key up, as far as the backend answers at once.
    pub(super) fn look_now<Q: Question>(&self, key: &impl KeyText, question: &Q) -> Option<Looked<Q::Payload>> {
        match self.glance(key, question) {
            Ok(found) => Some(Ok(found)),
            Err(seen) => self.look_further(seen, key, question),
        }
    }

    /// Whether it is to be asked for where entries are kept: copies that lag are for hits, not for misses and refreshes.
    #[inline]
    pub(super) fn is_doubtful<P>(&self, looked: &Looked<P>) -> bool {
        self.core.lags && !looked.as_ref().is_ok_and(|found| matches!(found.state, State::Fresh | State::Due))
    }

    #[inline]
    fn glance_at_copies<Q: Question>(
        &self,
        key: &impl KeyText,
        question: &Q,
    ) -> Result<Found<Q::Payload>, Seen<Q::Payload>> {
        let stores = self.core.stores.now();
        let Some(value) = self.core.backend.get_now(key.primary()) else { return Err(Seen::Nothing) };
        let now = self.core.clock.now();
        match self.read(key, value) {
            Ok(record) if self.is_plain(now, &record, question) => {
                if question.takes(&record) {
                    Ok(Found { record, now, state: State::Fresh, stores })
                } else {
                    Err(Seen::Refused { now, stores, record })
                }
            }
            read => Err(Seen::Read { now, stores, read }),
        }
    }

    fn look_further_at_copies<Q: Question>(
        &self,
        seen: Seen<Q::Payload>,
        key: &impl KeyText,
        question: &Q,
    ) -> Option<Looked<Q::Payload>> {
        let (now, stores, read) = match seen {
            Seen::Nothing => return None,
            Seen::Read { now, stores, read } => (now, stores, read),
            Seen::Refused { now, stores, record } => {
                return Some(Err(Missed { stores, now, ..Missed::with(MissReason::IsStale, record) }));
            }
        };
        let looked = match self.judge(now, key, read, question) {
            Step::Ended(looked) => looked,
            Step::Variant(primary, variant) => {
                let value = self.core.backend.get_now(&variant)?;
                self.judge_variant(now, key, value, question, primary)
            }
        };
        match looked {
            Ok(found) => match self.holds_now(&found.record)? {
                Hold::Holds => Some(Ok(Found { stores, ..found })),
                hold => Some(self.marked(now, key, found, question, hold, stores)),
            },
            Err(mut missed) => {
                if let Some(fallback) = &missed.fallback {
                    missed.fallback = (self.holds_now(fallback)? < Hold::Gone).then(|| Arc::clone(fallback));
                }
                Some(Err(Missed { stores, now, ..missed }))
            }
        }
    }

    /// Looks a key up. A backend that fails is a miss.
    pub(crate) async fn look<Q: Question>(&self, key: &OwnedKey, question: &Q) -> Looked<Q::Payload> {
        let reads = self.reads();
        let mut doubtful = None;
        if reads == Reads::Copies {
            let looked = match self.glance_at_copies(key, question) {
                Ok(found) => Some(Ok(found)),
                Err(seen) => self.look_further_at_copies(seen, key, question),
            };
            match looked {
                Some(looked) if !self.is_doubtful(&looked) => return looked,
                looked => doubtful = looked,
            }
        }
        if doubtful.is_none() {
            match self.look_at(reads, key, question).await {
                (looked, WasCopy(true)) if self.is_doubtful(&looked) => doubtful = Some(looked),
                (looked, _) => return looked,
            }
        }
        let (kept, _) = self.look_at(Reads::Through, key, question).await;
        match (kept, doubtful) {
            (Err(missed), Some(looked)) if missed.reason == MissReason::Backend => {
                looked.map_err(|before| Missed { reason: missed.reason, ..before })
            }
            (kept, _) => kept,
        }
    }

    async fn look_at<Q: Question>(&self, reads: Reads, key: &OwnedKey, question: &Q) -> (Looked<Q::Payload>, WasCopy) {
        let backend = &*self.core.backend;
        let stores = self.core.stores.now();
        let mut bound = self.core.bound();
        let (value, was_copy) = match reads.get(backend, &key.primary).into_ready() {
            Ok(value) => {
                let was_copy = WasCopy(value.is_ok());
                (value, was_copy)
            }
            // The guard bounds it, and what is asked for after it has what is left.
            Err(get) if self.core.guard.is_some() => {
                bound.begin();
                (get.await, WasCopy(false))
            }
            Err(get) => (in_time(&mut bound, get).await, WasCopy(false)),
        };
        let mut now = self.core.clock.now();
        let looked = match self.judge(now, key, self.read(key, value), question) {
            Step::Ended(looked) => looked,
            Step::Variant(primary, variant) => {
                let value = in_time(&mut bound, reads.get(backend, &variant)).await;
                now = self.core.clock.now();
                self.judge_variant(now, key, value, question, primary)
            }
        };
        let looked = match looked {
            Ok(found) => {
                match bound.over(self.holds(&found.record.meta.carried, Reads::Copies)).await.unwrap_or(Hold::Gone) {
                    Hold::Holds => Ok(Found { stores, ..found }),
                    hold => self.marked(now, key, found, question, hold, stores),
                }
            }
            Err(mut missed) => {
                if let Some(fallback) = &missed.fallback {
                    let hold =
                        bound.over(self.holds(&fallback.meta.carried, Reads::Copies)).await.unwrap_or(Hold::Gone);
                    missed.fallback = (hold < Hold::Gone).then(|| Arc::clone(fallback));
                }
                Err(Missed { stores, now, ..missed })
            }
        };
        (looked, was_copy)
    }
}

/// Whether an answer that was there at once was a copy that may lag, where there are any.
struct WasCopy(bool);

/// All calls of one lookup have the time of one.
async fn in_time(bound: &mut Bound, get: BackendFuture<'_, Option<Value>>) -> Result<Option<Value>> {
    let late = || Err(Error::message(ErrorKind::Timeout, "the lookup took too long"));
    bound.over(get).await.unwrap_or_else(late)
}
