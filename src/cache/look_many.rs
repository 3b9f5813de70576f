//! Looking many keys up at once.

use std::sync::Arc;

use super::{
    Cache, OwnedKey, Question,
    judge::Step,
    lookup::{Looked, Missed},
};
use crate::{
    backend::Reads,
    error::{Error, ErrorKind},
    reason::MissReason,
    record::Hold,
};

impl Cache {
    /// Looks many keys up in one call of the backend, and in a second one those of which a copy that lags may have said that
    /// they are no hits. There are no variants of what is asked for so.
    pub(crate) async fn look_many<Q: Question>(&self, keys: &[OwnedKey], question: &Q) -> Vec<Looked<Q::Payload>> {
        let reads = self.reads();
        let mut looked = self.look_many_at(reads, keys, question).await;
        // There is no copy of what is absent.
        let is_there = |looked: &Looked<_>| !matches!(looked, Err(missed) if matches!(missed.reason, MissReason::Absent | MissReason::Backend));
        let is_doubtful =
            |index: &usize| reads == Reads::Copies && self.is_doubtful(&looked[*index]) && is_there(&looked[*index]);
        let doubtful: Vec<usize> = (0..keys.len()).filter(is_doubtful).collect();
        if doubtful.is_empty() {
            return looked;
        }
        let again: Vec<OwnedKey> = doubtful.iter().map(|index| keys[*index].clone()).collect();
        for (index, kept) in doubtful.into_iter().zip(self.look_many_at(Reads::Through, &again, question).await) {
            // Where it cannot be asked, what the copy is good for is better than nothing.
            if !matches!(&kept, Err(missed) if missed.reason == MissReason::Backend) {
                looked[index] = kept;
            }
        }
        looked
    }

    async fn look_many_at<Q: Question>(
        &self,
        reads: Reads,
        keys: &[OwnedKey],
        question: &Q,
    ) -> Vec<Looked<Q::Payload>> {
        let names: Vec<&str> = keys.iter().map(|key| &*key.primary).collect();
        let values = match reads.get_many(&*self.core.backend, &names).await {
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
        let judge = |(key, value): (&OwnedKey, _)| match self.judge(now, key, self.read(key, Ok(value)), question) {
            Step::Ended(looked) => looked,
            Step::Variant(..) => Err(Missed::new(MissReason::Variant)),
        };
        let looked: Vec<_> = keys.iter().zip(values).map(judge).collect();
        let kept = |looked: &Looked<_>| match looked {
            Ok(found) => Some(Arc::clone(&found.record)),
            Err(missed) => missed.fallback.clone(),
        };
        let records: Vec<_> = looked.iter().filter_map(kept).collect();
        let mut hold = self.hold(&records.iter().map(|record| &**record).collect::<Vec<_>>()).await.into_iter();
        let keep = |(key, looked): (&OwnedKey, Looked<_>)| match looked {
            Ok(found) => match hold.next().unwrap_or(Hold::Gone) {
                Hold::Holds => Ok(found),
                hold => self.marked(now, key, found, question, hold, 0),
            },
            Err(missed) if missed.fallback.is_some() && hold.next() >= Some(Hold::Gone) => {
                Err(Missed { fallback: None, ..missed })
            }
            Err(missed) => Err(missed),
        };
        keys.iter().zip(looked).map(keep).collect()
    }
}
