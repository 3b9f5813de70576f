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

/// What a backend says at once.
pub(crate) enum Now<P> {
    /// An entry that is fresh, with which nothing else is to be done. Most lookups end so, and all else is kept out of
    /// their way.
    Plain(Found<P>),
    /// `None` if the backend has to be waited for.
    Other(Option<Looked<P>>),
}

impl<P> Now<P> {
    pub(super) fn into_looked(self) -> Option<Looked<P>> {
        match self {
            Self::Plain(found) => Some(Ok(found)),
            Self::Other(looked) => looked,
        }
    }
}

impl Cache {
    /// As of a caller that takes over from another one, and has found nothing itself.
    pub(super) fn not_shared<P: Payload>(&self) -> Missed<P> {
        let stores = self.core.stores.now();
        Missed { stores, ..Missed::new(MissReason::NotShared) }
    }

    /// Looks a key up, as far as the backend answers at once.
    #[inline]
    pub(crate) fn look_now<Q: Question>(&self, key: &impl KeyText, question: &Q) -> Now<Q::Payload> {
        if self.core.lags && FillContext::is_current() {
            return Now::Other(None);
        }
        match self.look_now_at_copies(key, question) {
            Now::Other(Some(looked)) if self.is_doubtful(&looked) => Now::Other(None),
            now => now,
        }
    }

    /// Whether it is to be asked for where entries are kept: copies that lag are for hits, not for misses and refreshes.
    #[inline]
    pub(super) fn is_doubtful<P>(&self, looked: &Looked<P>) -> bool {
        self.core.lags && !looked.as_ref().is_ok_and(|found| matches!(found.state, State::Fresh | State::Due))
    }

    #[inline]
    fn look_now_at_copies<Q: Question>(&self, key: &impl KeyText, question: &Q) -> Now<Q::Payload> {
        let stores = self.core.stores.now();
        let Some(value) = self.core.backend.get_now(key.primary()) else { return Now::Other(None) };
        let now = self.core.clock.now();
        match self.read(key, value) {
            Ok(record) if self.is_plain(now, &record, question) => {
                if question.takes(&record) {
                    return Now::Plain(Found { record, now, state: State::Fresh, stores });
                }
                Now::Other(Some(Err(Missed { stores, now, ..Missed::with(MissReason::IsStale, record) })))
            }
            read => Now::Other(self.look_further_now(now, key, read, question, stores)),
        }
    }

    #[inline(never)]
    fn look_further_now<Q: Question>(
        &self,
        now: u64,
        key: &impl KeyText,
        read: Result<Arc<Record<Q::Payload>>, MissReason>,
        question: &Q,
        stores: u64,
    ) -> Option<Looked<Q::Payload>> {
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
            match self.look_now_at_copies(key, question).into_looked() {
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
