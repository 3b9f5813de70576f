//! Entries that may not be served any more, and that the origin may say are still right.

use std::sync::Arc;

use super::{Cache, OwnedKey, Question};
use crate::{
    backend::Reads,
    freshness::is_cleared,
    record::{Carried, Hold, Home, Payload, Record},
};

/// An entry that may be renewed.
#[derive(Debug)]
pub(crate) struct Renewable<P> {
    pub(crate) record: Arc<Record<P>>,
    /// What it depends on, with the stamps that this has now: the origin that says that it is still right has not run
    /// yet, so what was marked stale before is no longer so, and a purge that comes from now on wins.
    pub(crate) carried: Vec<Carried>,
}

impl Cache {
    /// What is kept of the answer to a question, whatever it is still good for; `None` if it was purged.
    ///
    /// To be asked after the fill began that is to renew it: a purge before that is seen here, and a later one takes the
    /// ticket of the fill.
    pub(crate) async fn renewable<Q: Question>(&self, key: &OwnedKey, question: &Q) -> Option<Renewable<Q::Payload>> {
        let mut record = self.kept(key, &key.primary).await?;
        if !question.is_answered_by(&record.payload) {
            let variant = question.variant_key(&key.primary, &record);
            record = self.kept(key, &variant).await.filter(|record| question.is_answered_by(&record.payload))?;
        }
        if !question.takes(&record) {
            return None;
        }
        Some(Renewable { carried: self.carried_now(&record.meta.carried).await?, record })
    }

    async fn kept<P: Payload>(&self, key: &OwnedKey, name: &str) -> Option<Arc<Record<P>>> {
        let value = self.core.backend.get_through(name).await;
        let record = self.read::<P>(key, value).ok()?;
        (!is_cleared(self.space.stamp.now(), &record.meta)).then_some(record)
    }

    /// The same dependencies as they are now; `None` if one of them is gone.
    async fn carried_now(&self, carried: &[Carried]) -> Option<Vec<Carried>> {
        let mut all = Vec::with_capacity(carried.len());
        for one in carried {
            all.push(match one {
                Carried::Tag { key, was, home: Home::Here } => match self.read_tag(key).await.ok()? {
                    Carried::Tag { was: now, .. } if now.hard != was.hard => return None,
                    now => now,
                },
                // Of another backend, or of this process: only if nothing has happened at all.
                other if other.holds(&*self.core.backend, Reads::Through).await == Hold::Holds => other.clone(),
                _ => return None,
            });
        }
        Some(all)
    }
}
