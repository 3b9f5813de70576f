//! Reading an entry: what is under a key, and whether it may be used.

use std::sync::{Arc, atomic::Ordering};

use super::{Cache, FillContext, fill::OwnedKey, turn::Question};
use crate::{
    backend::{BackendFuture, Reads},
    error::{Error, ErrorKind, Result},
    freshness::{Decision, Times, Why, decide, decide_marked, is_cleared, is_due},
    key::Key,
    reason::MissReason,
    record::{Hold, Payload, Record, is_lease},
    stamps,
    timer::Bound,
    value::Value,
};

/// An entry that may be used, and its times on the one reading of the clock.
#[derive(Debug)]
pub(crate) struct Found<P> {
    pub(crate) record: Arc<Record<P>>,
    pub(crate) times: Times,
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
    fn with_fallback(record: Arc<Record<P>>, question: &impl Question<Payload = P>) -> Self {
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

/// What the slot of the primary key says.
pub(super) enum Step<P> {
    Ended(Looked<P>),
    /// The caller selects another variant, which would be under this key.
    Variant(Arc<Record<P>>, String),
}

impl Cache {
    /// As of a caller that takes over from another one, and has found nothing itself.
    pub(super) fn not_shared<P: Payload>(&self) -> Missed<P> {
        let stores = self.core.stores.load(Ordering::Acquire);
        Missed { stores, ..Missed::new(MissReason::NotShared) }
    }

    /// Looks a key up, if the backend answers at once.
    #[inline]
    pub(crate) fn look_now<Q: Question>(&self, key: &impl KeyText, question: &Q) -> Option<Looked<Q::Payload>> {
        if self.core.lags && FillContext::is_current() {
            return None;
        }
        let looked = self.look_now_at_copies(key, question)?;
        if self.is_doubtful(&looked) { None } else { Some(looked) }
    }

    /// Whether it is to be asked for where entries are kept: copies that lag are for hits, not for misses and refreshes.
    #[inline]
    pub(super) fn is_doubtful<P>(&self, looked: &Looked<P>) -> bool {
        self.core.lags && !looked.as_ref().is_ok_and(|found| matches!(found.state, State::Fresh | State::Due))
    }

    #[inline]
    fn look_now_at_copies<Q: Question>(&self, key: &impl KeyText, question: &Q) -> Option<Looked<Q::Payload>> {
        let stores = self.core.stores.load(Ordering::Acquire);
        let value = self.core.backend.get_now(key.primary())?;
        let now = self.core.clock.now();
        let looked = match self.judge(now, key, value, question) {
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
            match self.look_now_at_copies(key, question) {
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
        let stores = self.core.stores.load(Ordering::Acquire);
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
        let looked = match self.judge(now, key, value, question) {
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

    #[inline]
    pub(super) fn judge<Q: Question>(
        &self,
        now: u64,
        key: &impl KeyText,
        value: Result<Option<Value>>,
        question: &Q,
    ) -> Step<Q::Payload> {
        let record = match self.read(key, value) {
            Ok(record) => record,
            Err(reason) => return Step::Ended(Err(Missed::new(reason))),
        };
        if question.is_answered_by(&record.payload) {
            return Step::Ended(self.judge_record(now, key, record, question));
        }
        if is_cleared(self.space.stamp.now(), &record.meta) {
            return Step::Ended(Err(Missed::new(MissReason::Cleared)));
        }
        let variant = question.variant_key(key.primary(), &record);
        Step::Variant(record, variant)
    }

    fn judge_variant<Q: Question>(
        &self,
        now: u64,
        key: &impl KeyText,
        value: Result<Option<Value>>,
        question: &Q,
        primary: Arc<Record<Q::Payload>>,
    ) -> Looked<Q::Payload> {
        let looked = match self.read(key, value) {
            Ok(record) if question.is_answered_by(&record.payload) => self.judge_record(now, key, record, question),
            Ok(_) | Err(MissReason::Absent) => Err(Missed::new(MissReason::Variant)),
            Err(reason) => Err(Missed::new(reason)),
        };
        looked.map_err(|missed| Missed { primary: Some(primary), ..missed })
    }

    /// What an entry is good for, on one reading of the clock.
    #[inline]
    fn judge_record<Q: Question>(
        &self,
        now: u64,
        key: &impl KeyText,
        record: Arc<Record<Q::Payload>>,
        question: &Q,
    ) -> Looked<Q::Payload> {
        let has_failed = || question.rescues() || self.is_spared(now, key.primary(), question, &record);
        let (times, mut state) = match decide(now, self.space.stamp.now(), &record.meta, has_failed) {
            Decision::Fresh(times) => (times, State::Fresh),
            Decision::Stale(times) => (times, State::Stale),
            Decision::Spared(times) => (times, State::Spared),
            Decision::Miss(Why::Cleared) => return Err(Missed::new(MissReason::Cleared)),
            Decision::Fallback(_) => return Err(Missed::with_fallback(record, question)),
            Decision::Miss(Why::Expired) => return Err(Missed::with(MissReason::Expired, record)),
            Decision::Miss(Why::Skewed) => return Err(Missed::with(MissReason::Skewed, record)),
        };
        if !question.takes(&record) {
            return Err(Missed::with(MissReason::IsStale, record));
        }
        let early = question.early();
        if state == State::Fresh && !early.is_off() && is_due(now, &record.meta, early, stamps::draw) {
            state = State::Due;
        }
        Ok(Found { record, times, state, stores: 0 })
    }

    /// The record of a value, if it belongs to this key.
    #[inline]
    pub(super) fn read<P: Payload>(
        &self,
        key: &impl KeyText,
        value: Result<Option<Value>>,
    ) -> Result<Arc<Record<P>>, MissReason> {
        let value = match value {
            Ok(Some(value)) if is_lease(&value) => return Err(MissReason::Absent),
            Ok(Some(value)) => value,
            Ok(None) => return Err(MissReason::Absent),
            Err(error) => return Err(self.failed("get", &error, MissReason::Backend)),
        };
        let record = match Record::<P>::from_value(value) {
            Ok(record) => record,
            Err(error) => return Err(self.failed("decode", &error, MissReason::Unreadable)),
        };
        if !record.belongs_to(key.digested()) {
            return Err(MissReason::Collision);
        }
        Ok(record)
    }

    #[cold]
    pub(super) fn failed(&self, operation: &'static str, error: &Error, reason: MissReason) -> MissReason {
        self.core.reporter.failed(operation, error);
        reason
    }

    /// What an entry is good for that depends on something that was marked stale, or purged.
    #[cold]
    fn marked<Q: Question>(
        &self,
        now: u64,
        key: &impl KeyText,
        found: Found<Q::Payload>,
        question: &Q,
        hold: Hold,
        stores: u64,
    ) -> Looked<Q::Payload> {
        let record = found.record;
        let has_failed = || question.rescues() || self.is_spared(now, key.primary(), question, &record);
        let missed = match decide_marked(now, &record.meta, has_failed) {
            _ if hold == Hold::Gone => Missed::with(MissReason::Purged, record),
            Decision::Stale(times) => return Ok(Found { record, times, state: State::Stale, stores }),
            Decision::Spared(times) => return Ok(Found { record, times, state: State::Spared, stores }),
            Decision::Fallback(_) => Missed::with_fallback(record, question),
            Decision::Fresh(_) | Decision::Miss(_) => Missed::with(MissReason::Purged, record),
        };
        Err(Missed { stores, now, ..missed })
    }

    /// Whether the origin of a record has failed, so lately that it is not to be asked again.
    #[cold]
    fn is_spared<Q: Question>(&self, now: u64, primary: &str, question: &Q, record: &Record<Q::Payload>) -> bool {
        self.core.failures.is_set(self.core.marker(primary, question.id(Some(&record.payload))), now)
    }
}

/// Whether an answer that was there at once was a copy that may lag, where there are any.
struct WasCopy(bool);

/// All calls of one lookup have the time of one.
async fn in_time(bound: &mut Bound, get: BackendFuture<'_, Option<Value>>) -> Result<Option<Value>> {
    let late = || Err(Error::message(ErrorKind::Timeout, "the lookup took too long"));
    bound.over(get).await.unwrap_or_else(late)
}
