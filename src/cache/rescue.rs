//! A second look, of a caller whose origin has failed.

use std::time::Duration;

use super::{Cache, Found, OwnedKey, Question, State};
use crate::{flight::Head, profile::Profile, record::Record};

impl Cache {
    /// What is there to serve though it is stale, since the origin has failed; it is then left alone for `backoff`.
    pub(crate) async fn rescue<Q: Question>(
        &self,
        key: &OwnedKey,
        question: &Q,
        backoff: Duration,
    ) -> Option<Found<Q::Payload>> {
        let found = self.look(key, &Rescue(question)).await.ok()?;
        if found.state == State::Spared {
            let id = question.id(Some(&found.record.payload));
            self.core.spare(&key.primary, id, backoff);
        }
        Some(found)
    }
}

/// The same question, of a caller whose origin has failed.
struct Rescue<'a, Q>(&'a Q);

impl<Q: Question> Question for Rescue<'_, Q> {
    type Payload = Q::Payload;

    fn is_answered_by(&self, payload: &Q::Payload) -> bool {
        self.0.is_answered_by(payload)
    }

    fn variant_key(&self, primary: &str, record: &Record<Q::Payload>) -> String {
        self.0.variant_key(primary, record)
    }

    fn id(&self, known: Option<&Q::Payload>) -> u64 {
        self.0.id(known)
    }

    fn leaves(&self, head: &Head) -> Option<u64> {
        self.0.leaves(head)
    }

    fn takes(&self, record: &Record<Q::Payload>) -> bool {
        self.0.takes(record)
    }

    fn profile(&self) -> &Profile {
        self.0.profile()
    }

    fn rescues(&self) -> bool {
        true
    }
}
