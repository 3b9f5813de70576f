//! What an entry that was found is good for.

use std::sync::Arc;

use super::{
    Cache,
    lookup::{Found, KeyText, Looked, Missed, State},
    turn::Question,
};
use crate::{
    error::{Error, Result},
    freshness::{Decision, Why, decide, decide_marked, is_cleared, is_due},
    reason::MissReason,
    record::{Hold, Payload, Record, is_lease},
    stamps,
    value::Value,
};

/// What the slot of the primary key says.
pub(super) enum Step<P> {
    Ended(Looked<P>),
    /// The caller selects another variant, which would be under this key.
    Variant(Arc<Record<P>>, String),
}

impl Cache {
    /// Whether a record is an answer, fresh, and nothing is to be done about it.
    #[inline]
    pub(super) fn is_plain<Q: Question>(&self, now: u64, record: &Record<Q::Payload>, question: &Q) -> bool {
        question.is_answered_by(&record.payload)
            && decide(now, self.space.stamp.now(), &record.meta, || false) == Decision::Fresh
            && question.early().is_off()
            && self.holds_plainly(record)
    }

    pub(super) fn judge<Q: Question>(
        &self,
        now: u64,
        key: &impl KeyText,
        read: Result<Arc<Record<Q::Payload>>, MissReason>,
        question: &Q,
    ) -> Step<Q::Payload> {
        let record = match read {
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

    pub(super) fn judge_variant<Q: Question>(
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
    fn judge_record<Q: Question>(
        &self,
        now: u64,
        key: &impl KeyText,
        record: Arc<Record<Q::Payload>>,
        question: &Q,
    ) -> Looked<Q::Payload> {
        let has_failed = || question.rescues() || self.is_spared(now, key.primary(), question, &record);
        let mut state = match decide(now, self.space.stamp.now(), &record.meta, has_failed) {
            Decision::Fresh => State::Fresh,
            Decision::Stale => State::Stale,
            Decision::Spared => State::Spared,
            Decision::Miss(Why::Cleared) => return Err(Missed::new(MissReason::Cleared)),
            Decision::Fallback => return Err(Missed::with_fallback(record, question)),
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
        Ok(Found { record, now, state, stores: 0 })
    }

    /// The record of a value, if it belongs to this key.
    #[inline]
    pub(super) fn read<P: Payload>(
        &self,
        key: &impl KeyText,
        value: Result<Option<Value>>,
    ) -> Result<Arc<Record<P>>, MissReason> {
        let record = match value {
            Ok(Some(value)) => match value.downcast::<Record<P>>() {
                Ok(record) => record,
                Err(value) => self.read_other(&value)?,
            },
            Ok(None) => return Err(MissReason::Absent),
            Err(error) => return Err(self.failed("get", &error, MissReason::Backend)),
        };
        if !record.belongs_to(key.digested()) {
            return Err(MissReason::Collision);
        }
        Ok(record)
    }

    #[inline(never)]
    fn read_other<P: Payload>(&self, value: &Value) -> Result<Arc<Record<P>>, MissReason> {
        if is_lease(value) {
            return Err(MissReason::Absent);
        }
        Record::from_other(value).map_err(|error| self.failed("decode", &error, MissReason::Unreadable))
    }

    #[cold]
    pub(super) fn failed(&self, operation: &'static str, error: &Error, reason: MissReason) -> MissReason {
        self.core.reporter.failed(operation, error);
        reason
    }

    /// What an entry is good for that depends on something that was marked stale, or purged.
    #[cold]
    pub(super) fn marked<Q: Question>(
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
            Decision::Stale => return Ok(Found { record, now, state: State::Stale, stores }),
            Decision::Spared => return Ok(Found { record, now, state: State::Spared, stores }),
            Decision::Fallback => Missed::with_fallback(record, question),
            Decision::Fresh | Decision::Miss(_) => Missed::with(MissReason::Purged, record),
        };
        Err(Missed { stores, now, ..missed })
    }

    /// Whether the origin of a record has failed, so lately that it is not to be asked again.
    #[cold]
    fn is_spared<Q: Question>(&self, now: u64, primary: &str, question: &Q, record: &Record<Q::Payload>) -> bool {
        self.core.failures.is_set(self.core.marker(primary, question.id(Some(&record.payload))), now)
    }
}
