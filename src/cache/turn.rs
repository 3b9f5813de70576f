//! Who runs the origin, who waits, and who has an entry already.
//!
//! A caller asks for its [`Turn`]: an entry, the answer of somebody else's run, or the task of running the origin
//! itself, with a [`Fill`] that says how that ended. The layer and the computed values both go this way.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::time;

use super::{
    Cache, elsewhere,
    fill::{Fill, OwnedKey},
    lookup::{Found, KeyText, Missed},
};
use crate::{
    flight::{Follower, Head, Lead, News, Outcome, Role},
    observe::Event,
    profile::{Early, Profile},
    reason::MissReason,
    record::{Payload, Record},
    timer::{at_once, before},
};

/// What one caller asks, beside the key: which of the payloads under it is an answer.
pub(crate) trait Question: Sync {
    type Payload: Payload;

    /// Whether this payload is what the caller selects.
    fn is_answered_by(&self, payload: &Self::Payload) -> bool;
    /// Where the answer to this caller hangs, if not in the slot of the primary key itself.
    fn variant_key(&self, primary: &str, record: &Record<Self::Payload>) -> String;
    /// Callers with one id expect the same answer, as far as a payload that is known tells.
    fn id(&self, known: Option<&Self::Payload>) -> u64;
    /// As [`id`](Question::id), if what is known of a flight's answer says that it is not for this caller.
    fn leaves(&self, head: &Head) -> Option<u64>;
    /// Whether the caller takes an entry that may be used.
    fn takes(&self, record: &Record<Self::Payload>) -> bool;
    /// How entries are kept up.
    fn profile(&self) -> &Profile;

    /// Which fresh entries are to be made anew.
    #[inline]
    fn early(&self) -> Early {
        Early::default()
    }

    /// Whether the origin has failed, so that anything will do that is of use at all.
    #[inline]
    fn rescues(&self) -> bool {
        false
    }
}

/// What a caller does next.
pub(crate) enum Turn<P> {
    /// Use this entry.
    Hit(Found<P>, OwnedKey),
    /// Use the answer of somebody else's run, which may not even be stored.
    Shared(Arc<Record<P>>, OwnedKey),
    /// Run the origin; and serve this, which is stale, if it fails.
    Run(Fill, Option<Arc<Record<P>>>),
    /// Wait: only [`Cache::begin`] says so, which does not.
    Wait(Follower, OwnedKey),
}

impl Cache {
    /// Takes a place in the flight of a key. `moved` is where to wait if the answer of another flight said so.
    fn join<Q: Question>(
        &self,
        key: &OwnedKey,
        question: &Q,
        missed: &Missed<Q::Payload>,
        moved: Option<u64>,
    ) -> Joined {
        let known = missed.primary.as_ref().map(|record| &record.payload);
        let id = moved.filter(|_| known.is_none()).unwrap_or_else(|| question.id(known));
        if self.core.markers.is_set(self.core.marker(&key.primary, id), missed.now) {
            return Joined::Alone(id);
        }
        match self.core.flights.join(&key.primary, id) {
            Role::Follower(follower) => Joined::Waits(follower),
            Role::Leader(lead) => Joined::Leads(lead),
        }
    }

    /// The next step of a caller that found nothing, without waiting.
    pub(crate) fn begin<Q: Question>(
        &self,
        key: OwnedKey,
        question: &Q,
        missed: &Missed<Q::Payload>,
    ) -> Turn<Q::Payload> {
        match self.join(&key, question, missed, None) {
            Joined::Alone(id) => Turn::Run(self.alone(key, missed.reason, id), missed.fallback.clone()),
            Joined::Waits(follower) => Turn::Wait(follower, key),
            Joined::Leads(lead) => {
                // Somebody may have stored the entry between the look and now, and be gone.
                if self.core.stores.has_changed(&key.primary, missed.stores) {
                    if let Some(Ok(found)) = self.look_now(&key, question) {
                        lead.end(Outcome::LookUp);
                        return Turn::Hit(found, key);
                    }
                }
                Turn::Run(Fill::begin(self, key, lead, missed.reason), missed.fallback.clone())
            }
        }
    }

    /// A run that nobody waits for, and that may store.
    pub(crate) fn alone(&self, key: OwnedKey, reason: MissReason, id: u64) -> Fill {
        let lead = self.core.flights.solo(&key.primary, id);
        Fill::begin(self, key, lead, reason)
    }

    /// Looks up, waits for others, and comes back with what there is to do. `waiting` is a flight joined already.
    ///
    /// Cancel safe: a caller that goes away leaves its place to the others.
    pub(crate) async fn turn<Q: Question>(
        &self,
        key: OwnedKey,
        question: &Q,
        mut waiting: Option<Follower>,
    ) -> Turn<Q::Payload> {
        let mut patience = Patience::new(self.core.wait, question.profile().soft_timeout);
        // Where to wait, once the answer of a flight turned out to be for others.
        let mut moved = None;
        loop {
            let follower = match waiting.take() {
                Some(follower) => follower,
                None => {
                    let missed = match self.look(&key, question).await {
                        Ok(found) => return Turn::Hit(found, key),
                        Err(missed) => missed,
                    };
                    match self.join(&key, question, &missed, moved) {
                        Joined::Waits(follower) => follower,
                        Joined::Alone(id) => {
                            return Turn::Run(self.alone(key, missed.reason, id), missed.fallback);
                        }
                        Joined::Leads(lead) => return self.lead(key, question, lead, missed).await,
                    }
                }
            };
            match self.wait(&key, follower, question, &mut patience).await {
                Waited::Stale(found) => return Turn::Hit(found, key),
                Waited::Shared(record) => {
                    self.core.reporter.tell(&Event::Shared { key: &key.primary });
                    return Turn::Shared(record, key);
                }
                Waited::Lead(lead) => {
                    let missed = self.not_shared();
                    return self.lead(key, question, lead, missed).await;
                }
                Waited::Alone(reason, id) => return Turn::Run(self.alone(key, reason, id), None),
                Waited::LookUp(id) => moved = id.or(moved),
            }
        }
    }

    async fn lead<Q: Question>(
        &self,
        key: OwnedKey,
        question: &Q,
        lead: Lead,
        missed: Missed<Q::Payload>,
    ) -> Turn<Q::Payload> {
        if self.core.stores.has_changed(&key.primary, missed.stores) {
            if let Ok(found) = self.look(&key, question).await {
                lead.end(Outcome::LookUp);
                return Turn::Hit(found, key);
            }
        }
        let mut place = None;
        if let Some(wait) = self.waits_elsewhere() {
            match Box::pin(self.wait_elsewhere(&key, question, missed.reason, wait)).await {
                elsewhere::Waited::Found(found) => {
                    lead.end(Outcome::LookUp);
                    return Turn::Hit(found, key);
                }
                elsewhere::Waited::Run(claim) => place = Some(claim),
            }
        }
        let mut fill = Fill::begin(self, key, lead, missed.reason);
        if let Some(claim) = place {
            fill.settle(claim);
        }
        Turn::Run(fill, missed.fallback)
    }

    async fn wait<Q: Question>(
        &self,
        key: &OwnedKey,
        mut follower: Follower,
        question: &Q,
        patience: &mut Patience,
    ) -> Waited<Q::Payload> {
        let id = follower.id();
        let mut is_streaming = false;
        loop {
            let Some(news) = patience.bound(follower.news()).await else {
                if let Some(found) = self.rescue(key, question, question.profile().backoff()).await {
                    return Waited::Stale(found);
                }
                if patience.goes_on() {
                    continue;
                }
                // A body that does not come to its end is not worth waiting for, for those who come next either.
                if is_streaming {
                    self.core.mark_uncacheable(&key.primary, id);
                }
                return Waited::Alone(MissReason::WaitedTooLong, id);
            };
            match news {
                News::Head(head) => {
                    if let Some(id) = question.leaves(&head) {
                        return Waited::LookUp(Some(id));
                    }
                    is_streaming = true;
                    patience.shorten(head.wait);
                }
                News::Lead(lead) => return Waited::Lead(lead),
                News::Ended(Outcome::LookUp) => return Waited::LookUp(None),
                News::Ended(Outcome::Alone) => return Waited::Alone(MissReason::NotShared, id),
                News::Ended(Outcome::Shared(value)) => {
                    return match Record::from_value(value) {
                        // The bytes are compared, whatever ids and digests said: two keys may be in one flight.
                        Ok(record) if !record.belongs_to(key.digested()) => Waited::Alone(MissReason::Collision, id),
                        Ok(record) if question.is_answered_by(&record.payload) => Waited::Shared(record),
                        Ok(record) => Waited::LookUp(Some(question.id(Some(&record.payload)))),
                        Err(_) => Waited::Alone(MissReason::NotShared, id),
                    };
                }
            }
        }
    }
}

/// What a caller has become.
enum Joined {
    Waits(Follower),
    Leads(Lead),
    /// The key is not worth waiting for.
    Alone(u64),
}

enum Waited<P> {
    /// It took too long, and there is something stale.
    Stale(Found<P>),
    Shared(Arc<Record<P>>),
    Lead(Lead),
    Alone(MissReason, u64),
    LookUp(Option<u64>),
}

/// What is left of the time that a caller waits for others, over all its rounds.
struct Patience {
    until: Option<time::Instant>,
    /// When it is over for those who have something stale.
    soft: Option<time::Instant>,
}

impl Patience {
    fn new(wait: Duration, soft: Option<Duration>) -> Self {
        let now = time::Instant::now();
        Self { until: now.checked_add(wait), soft: soft.and_then(|soft| now.checked_add(soft)) }
    }

    fn shorten(&mut self, wait: Option<Duration>) {
        let sooner = wait.and_then(|wait| time::Instant::now().checked_add(wait));
        if let (Some(until), Some(sooner)) = (&mut self.until, sooner) {
            *until = (*until).min(sooner);
        }
    }

    /// Whether it was over for those only who have something stale; the others wait on.
    fn goes_on(&mut self) -> bool {
        self.soft.take().is_some_and(|soft| self.until.is_none_or(|until| soft < until))
    }

    async fn bound<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        // What is ready needs no timer.
        match at_once(future.as_mut()).await {
            Some(output) => Some(output),
            None => before(self.soft.into_iter().chain(self.until).min(), future).await,
        }
    }
}
