//! Reading an entry: what is under a key, and whether it may be used.

use std::sync::{Arc, atomic::Ordering};

use super::{Cache, fill::OwnedKey, turn::Question};
use crate::{
    backend::BackendFuture,
    error::{Error, ErrorKind, Result},
    freshness::{Decision, Why, decide},
    key::Key,
    reason::MissReason,
    record::{Payload, Record},
    timer::Bound,
    value::Value,
};

/// An entry that may be used, and its times on the one reading of the clock.
#[derive(Debug)]
pub(crate) struct Found<P> {
    pub(crate) record: Arc<Record<P>>,
    /// Milliseconds since the origin made it.
    pub(crate) age: u64,
    /// Milliseconds until it is stale; `None` if it never is.
    pub(crate) left: Option<u64>,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) struct Missed<P> {
    pub(crate) reason: MissReason,
    /// What is in the slot of the key all the same: it says what selects.
    pub(crate) primary: Option<Arc<Record<P>>>,
    /// How many entries had been stored when the look began.
    pub(super) stores: u64,
    /// When it was judged, in UNIX milliseconds.
    pub(super) now: u64,
}

impl<P> Missed<P> {
    fn new(reason: MissReason) -> Self {
        Self { reason, primary: None, stores: 0, now: 0 }
    }

    #[cold]
    fn purged(found: Found<P>) -> Self {
        Self { primary: Some(found.record), ..Self::new(MissReason::Purged) }
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
enum Step<P> {
    Ended(Looked<P>),
    /// The caller selects another variant, which would be under this key.
    Variant(Arc<Record<P>>, String),
}

impl Cache {
    /// Looks a key up, if the backend answers at once.
    #[inline]
    pub(crate) fn look_now<Q: Question>(&self, key: &impl KeyText, question: &Q) -> Option<Looked<Q::Payload>> {
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
            Ok(found) if self.holds_now(&found.record)? => Some(Ok(found)),
            Ok(found) => Some(Err(Missed { stores, now, ..Missed::purged(found) })),
            Err(missed) => Some(Err(Missed { stores, now, ..missed })),
        }
    }

    /// Looks a key up. A backend that fails is a miss.
    pub(crate) async fn look<Q: Question>(&self, key: &OwnedKey, question: &Q) -> Looked<Q::Payload> {
        if let Some(looked) = self.look_now(key, question) {
            return looked;
        }
        let stores = self.core.stores.load(Ordering::Acquire);
        let mut bound = self.core.bound();
        let value = in_time(&mut bound, self.core.backend.get(&key.primary)).await;
        let mut now = self.core.clock.now();
        let looked = match self.judge(now, key, value, question) {
            Step::Ended(looked) => looked,
            Step::Variant(primary, variant) => {
                let value = in_time(&mut bound, self.core.backend.get(&variant)).await;
                now = self.core.clock.now();
                self.judge_variant(now, key, value, question, primary)
            }
        };
        match looked {
            Ok(found) if bound.over(self.holds(&found.record.meta.carried)).await == Some(true) => Ok(found),
            Ok(found) => Err(Missed { stores, now, ..Missed::purged(found) }),
            Err(missed) => Err(Missed { stores, now, ..missed }),
        }
    }

    /// Looks many keys up in one call of the backend. There are no variants of what is asked for so.
    pub(crate) async fn look_many<Q: Question>(&self, keys: &[OwnedKey], question: &Q) -> Vec<Looked<Q::Payload>> {
        let names: Vec<&str> = keys.iter().map(|key| &*key.primary).collect();
        let values = match self.core.backend.get_many(&names).await {
            Ok(values) if values.len() == keys.len() => values,
            Ok(values) => {
                let message = format!("{} values for {} keys", values.len(), keys.len());
                let reason = self.failed("get", &Error::message(ErrorKind::Protocol, message), MissReason::Backend);
                return keys.iter().map(|_| Err(Missed::new(reason))).collect();
            }
            Err(error) => {
                let reason = self.failed("get", &error, MissReason::Backend);
                return keys.iter().map(|_| Err(Missed::new(reason))).collect();
            }
        };
        let now = self.core.clock.now();
        let judge = |(key, value): (&OwnedKey, _)| match self.judge(now, key, Ok(value), question) {
            Step::Ended(looked) => looked,
            Step::Variant(..) => Err(Missed::new(MissReason::Variant)),
        };
        let looked: Vec<_> = keys.iter().zip(values).map(judge).collect();
        let records: Vec<_> = looked.iter().flatten().map(|found| &*found.record).collect();
        let mut hold = self.hold(&records).await.into_iter();
        let keep = |looked: Looked<_>| match looked {
            Ok(found) if hold.next() != Some(true) => Err(Missed::purged(found)),
            looked => looked,
        };
        looked.into_iter().map(keep).collect()
    }

    #[inline]
    fn judge<Q: Question>(
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
        let decision = decide(now, self.space.stamp.now(), &record.meta);
        if decision == Decision::Miss(Why::Cleared) {
            return Step::Ended(Err(Missed::new(MissReason::Cleared)));
        }
        if !question.is_answered_by(&record.payload) {
            let variant = question.variant_key(key.primary(), &record);
            return Step::Variant(record, variant);
        }
        Step::Ended(use_it(decision, record, question))
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
            Ok(record) if question.is_answered_by(&record.payload) => {
                let decision = decide(now, self.space.stamp.now(), &record.meta);
                use_it(decision, record, question)
            }
            Ok(_) | Err(MissReason::Absent) => Err(Missed::new(MissReason::Variant)),
            Err(reason) => Err(Missed::new(reason)),
        };
        looked.map_err(|missed| Missed { primary: Some(primary), ..missed })
    }

    /// The record of a value, if it belongs to this key.
    #[inline]
    fn read<P: Payload>(&self, key: &impl KeyText, value: Result<Option<Value>>) -> Result<Arc<Record<P>>, MissReason> {
        let value = match value {
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
    fn failed(&self, operation: &'static str, error: &Error, reason: MissReason) -> MissReason {
        self.core.reporter.failed(operation, error);
        reason
    }
}

/// All calls of one lookup have the time of one.
async fn in_time(bound: &mut Bound, get: BackendFuture<'_, Option<Value>>) -> Result<Option<Value>> {
    let late = || Err(Error::message(ErrorKind::Timeout, "the lookup took too long"));
    bound.over(get).await.unwrap_or_else(late)
}

#[inline]
fn use_it<Q: Question>(decision: Decision, record: Arc<Record<Q::Payload>>, question: &Q) -> Looked<Q::Payload> {
    let reason = match decision {
        Decision::Fresh { age, left } if question.takes(&record) => return Ok(Found { record, age, left }),
        Decision::Fresh { .. } => MissReason::IsStale,
        Decision::Miss(Why::Expired) => MissReason::Expired,
        Decision::Miss(Why::Cleared) => MissReason::Cleared,
        Decision::Miss(Why::Skewed) => MissReason::Skewed,
    };
    Err(Missed { primary: Some(record), ..Missed::new(reason) })
}
