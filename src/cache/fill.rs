//! Where lookup, flight, origin and store meet.
//!
//! A caller asks for its [`Turn`]: an entry, the answer of somebody else's run, or the task of running the origin
//! itself, with a [`Fill`] that says how that ended. The layer and the computed values both go this way.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{runtime::Handle, time};

use super::{
    Cache,
    lookup::{Found, Missed},
};
use crate::{
    error::{Error, ErrorKind},
    flight::{Follower, Head, Lead, News, Outcome, Role},
    key::Key,
    observe::Event,
    reason::{MissReason, NotStored},
    record::{Meta, Payload, Record},
    stamps,
    ttl::deadline,
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
    /// Whether the caller takes an entry that is fresh.
    fn takes(&self, record: &Record<Self::Payload>) -> bool;
}

/// Where a new payload goes, beside what is in the slot of the primary key.
pub(crate) enum Place {
    /// Into the slot, under a nonce of its own.
    Primary,
    /// Into the slot, and what hangs on it stays.
    Refresh { nonce: u64 },
    /// Under a key that hangs on the slot.
    Variant { key: String },
    /// Nowhere.
    Nowhere(NotStored),
}

/// A key that outlives the request it was made from.
#[derive(Clone, Debug)]
pub(crate) struct OwnedKey {
    pub(crate) primary: Arc<str>,
    pub(crate) digested: Option<Box<str>>,
}

impl From<&Key> for OwnedKey {
    fn from(key: &Key) -> Self {
        let digested = key.digested.as_str();
        Self { primary: key.backend.as_str().into(), digested: (!digested.is_empty()).then(|| digested.into()) }
    }
}

/// What a caller does next.
pub(crate) enum Turn<P> {
    /// Use this entry.
    Hit(Found<P>),
    /// Use the answer of somebody else's run, which may not even be stored.
    Shared(Arc<Record<P>>),
    /// Run the origin.
    Run(Fill),
    /// Wait: only [`Cache::begin`] says so, which does not.
    Wait(Follower, OwnedKey),
}

/// One run of the origin that may store. Dropped, it failed: one of those who wait takes over.
#[derive(Debug)]
#[must_use]
pub(crate) struct Fill {
    pub(crate) key: OwnedKey,
    pub(crate) reason: MissReason,
    lead: Lead,
    cache: Cache,
    began: u64,
    /// The stamp of the namespace when the fill began: what is stored late is dead on arrival.
    namespace: u64,
}

/// When a new record may be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// When the answer came, in UNIX milliseconds.
    pub(crate) now: u64,
    /// How old the answer was when it came.
    pub(crate) age: Duration,
    /// From now on; `None` is for ever.
    pub(crate) fresh: Option<Duration>,
    /// How long the backend keeps it, which may be longer.
    pub(crate) kept: Option<Duration>,
}

impl Cache {
    /// The next step of a caller that found nothing, without waiting.
    pub(crate) fn begin<Q: Question>(
        &self,
        key: OwnedKey,
        question: &Q,
        missed: &Missed<Q::Payload>,
        moved: Option<u64>,
    ) -> Turn<Q::Payload> {
        let reason = missed.reason;
        let known = missed.primary.as_ref().map(|record| &record.payload);
        let id = moved.filter(|_| known.is_none()).unwrap_or_else(|| question.id(known));
        if self.core.markers.is_set(self.core.marker(&key.primary, id), self.core.clock.now()) {
            return Turn::Run(self.alone(key, reason, id));
        }
        match self.core.flights.join(&key.primary, id) {
            Role::Follower(follower) => Turn::Wait(follower, key),
            Role::Leader(lead) => {
                // Between the look and this, somebody may have stored it and be gone.
                if self.core.stores.load(Ordering::Acquire) != missed.stores {
                    if let Some(Ok(found)) = self.look_now(&key, question) {
                        lead.end(Outcome::LookUp);
                        self.core.reporter.tell(&Event::Hit { key: &key.primary });
                        return Turn::Hit(found);
                    }
                }
                Turn::Run(self.fill(key, lead, reason))
            }
        }
    }

    /// A run that nobody waits for, and that may store.
    pub(crate) fn alone(&self, key: OwnedKey, reason: MissReason, id: u64) -> Fill {
        let lead = self.core.flights.solo(&key.primary, id);
        self.fill(key, lead, reason)
    }

    fn fill(&self, key: OwnedKey, lead: Lead, reason: MissReason) -> Fill {
        self.core.reporter.tell(&Event::Miss { key: &key.primary, reason });
        let (began, namespace) = (self.core.clock.now(), self.space.stamp.now());
        Fill { key, reason, lead, cache: self.clone(), began, namespace }
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
        let mut patience = Patience::new(self.core.wait);
        let mut key = key;
        // Where to wait, once the answer of a flight turned out to be for others.
        let mut moved = None;
        loop {
            let follower = match waiting.take() {
                Some(follower) => follower,
                None => {
                    let missed = match self.look(&key, question).await {
                        Ok(found) => {
                            self.core.reporter.tell(&Event::Hit { key: &key.primary });
                            return Turn::Hit(found);
                        }
                        Err(missed) => missed,
                    };
                    match self.begin(key, question, &missed, moved) {
                        Turn::Wait(follower, owned) => {
                            key = owned;
                            follower
                        }
                        other => return other,
                    }
                }
            };
            match self.wait(follower, question, &mut patience).await {
                Waited::Shared(record) => {
                    self.core.reporter.tell(&Event::Shared { key: &key.primary });
                    return Turn::Shared(record);
                }
                Waited::Lead(lead) => return Turn::Run(self.fill(key, lead, MissReason::NotShared)),
                Waited::Alone(reason, id) => return Turn::Run(self.alone(key, reason, id)),
                Waited::LookUp(id) => moved = id.or(moved),
            }
        }
    }

    async fn wait<Q: Question>(
        &self,
        mut follower: Follower,
        question: &Q,
        patience: &mut Patience,
    ) -> Waited<Q::Payload> {
        let id = follower.id();
        loop {
            let Some(news) = patience.bound(follower.news()).await else {
                return Waited::Alone(MissReason::WaitedTooLong, id);
            };
            match news {
                News::Head(head) => {
                    if let Some(id) = question.leaves(&head) {
                        return Waited::LookUp(Some(id));
                    }
                    patience.shorten(head.wait);
                }
                News::Lead(lead) => return Waited::Lead(lead),
                News::Ended(Outcome::LookUp) => return Waited::LookUp(None),
                News::Ended(Outcome::Alone) => return Waited::Alone(MissReason::NotShared, id),
                News::Ended(Outcome::Shared(value)) => {
                    return match Record::from_value(value) {
                        // The bytes of what selects are compared, whatever the ids said.
                        Ok(record) if question.is_answered_by(&record.payload) => Waited::Shared(record),
                        Ok(record) => Waited::LookUp(Some(question.id(Some(&record.payload)))),
                        Err(_) => Waited::Alone(MissReason::NotShared, id),
                    };
                }
            }
        }
    }
}

enum Waited<P> {
    Shared(Arc<Record<P>>),
    Lead(Lead),
    Alone(MissReason, u64),
    LookUp(Option<u64>),
}

/// What is left of the time that a caller waits for others, over all its rounds.
struct Patience(Option<time::Instant>);

impl Patience {
    fn new(wait: Duration) -> Self {
        // Without a runtime nobody counts the time.
        Self(Handle::try_current().ok().and_then(|_| time::Instant::now().checked_add(wait)))
    }

    fn shorten(&mut self, wait: Option<Duration>) {
        if let (Some(until), Some(wait)) = (&mut self.0, wait) {
            *until = (*until).min(time::Instant::now() + wait);
        }
    }

    async fn bound<F: Future>(&self, future: F) -> Option<F::Output> {
        match self.0 {
            Some(until) => time::timeout_at(until, future).await.ok(),
            None => Some(future.await),
        }
    }
}

impl Fill {
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Tells those who wait what is known of the answer.
    pub(crate) fn publish(&self, head: impl FnOnce() -> Head) {
        self.lead.publish(head);
    }

    /// Stores a payload and shares it. `place` sees what is in the slot of the key at that moment.
    pub(crate) async fn store<P: Payload>(
        self,
        mut payload: P,
        lifetime: Lifetime,
        place: impl FnOnce(&str, Option<&Record<P>>, &mut P) -> Place,
    ) -> Result<(), NotStored> {
        self.lead.close();
        let core = Arc::clone(&self.cache.core);
        let gate = core.flights.gate(self.lead.key()).await;
        if self.lead.is_void() {
            drop(gate);
            return Err(self.give_up(NotStored::Refused).await);
        }
        let slot = self.slot().await;
        let (key, nonce) = match place(&self.key.primary, slot.as_deref(), &mut payload) {
            Place::Primary => (None, stamps::fresh()),
            Place::Refresh { nonce } => (None, nonce),
            Place::Variant { key } => (Some(key), stamps::fresh()),
            Place::Nowhere(reason) => {
                drop(gate);
                return Err(self.give_up(reason).await);
            }
        };
        let record = Arc::new(self.record(payload, lifetime, nonce));
        let value = Arc::clone(&record).into_value();
        let stored = core.backend.set(key.as_deref().unwrap_or(&self.key.primary), value, lifetime.kept).await;
        let stored = stored.map_err(|error| self.not_kept(&error));
        if stored.is_ok() {
            core.stores.fetch_add(1, Ordering::Release);
            core.markers.remove(core.marker(&self.key.primary, self.lead.id()));
            core.reporter.tell(&Event::Stored { key: &self.key.primary });
        }
        self.lead.end_and_open(gate, Outcome::Shared(record.into_value()));
        stored
    }

    /// Shares an answer with those who waited already, and stores nothing.
    pub(crate) fn share<P: Payload>(self, payload: P, reason: NotStored) {
        self.lead.close();
        let lifetime = Lifetime { now: self.began, age: Duration::ZERO, fresh: None, kept: None };
        let record = self.record(payload, lifetime, 0);
        self.report(reason);
        self.lead.end(Outcome::Shared(Arc::new(record).into_value()));
    }

    /// Shares nothing: everybody runs the origin, at once.
    pub(crate) async fn pass(self, reason: NotStored) {
        let core = Arc::clone(&self.cache.core);
        if reason.holds_for_the_key() {
            core.markers.set(core.marker(&self.key.primary, self.lead.id()), core.clock.now());
            if self.reason.leaves_an_entry() {
                self.forget().await;
            }
        }
        self.report(reason);
        self.lead.end(Outcome::Alone);
    }

    /// An answer that may no longer be stored takes the entry it was to replace with it.
    async fn forget(&self) {
        let core = &self.cache.core;
        let gate = core.flights.gate(self.lead.key()).await;
        if let Err(error) = core.backend.delete(&self.key.primary).await {
            core.reporter.failed("delete", &error);
        }
        drop(gate);
    }

    async fn slot<P: Payload>(&self) -> Option<Arc<Record<P>>> {
        let value = match self.cache.core.backend.get(&self.key.primary).await {
            Ok(value) => value?,
            Err(error) => {
                self.cache.core.reporter.failed("get", &error);
                return None;
            }
        };
        let record = Record::from_value(value).ok()?;
        let alive = record.meta.namespace == self.namespace || record.meta.namespace == 0;
        (alive && record.meta.digested == self.key.digested).then_some(record)
    }

    fn record<P: Payload>(&self, payload: P, lifetime: Lifetime, nonce: u64) -> Record<P> {
        let now = lifetime.now;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let fresh_until = deadline(now, lifetime.fresh);
        let meta = Meta {
            created: now.saturating_sub(millis(lifetime.age)),
            fresh_until,
            stale_until: fresh_until,
            error_until: fresh_until,
            nonce,
            took: u32::try_from(now.saturating_sub(self.began)).unwrap_or(u32::MAX),
            digested: self.key.digested.clone(),
            namespace: self.namespace,
        };
        Record { meta, payload }
    }

    async fn give_up(self, reason: NotStored) -> NotStored {
        if reason == NotStored::Refused {
            self.report(reason);
            self.lead.end(Outcome::LookUp);
        } else {
            self.pass(reason).await;
        }
        reason
    }

    fn not_kept(&self, error: &Error) -> NotStored {
        self.cache.core.reporter.failed("set", error);
        let reason = match error.kind() {
            ErrorKind::TooLarge => NotStored::TooLarge,
            _ => NotStored::Backend,
        };
        self.report(reason);
        reason
    }

    fn report(&self, reason: NotStored) {
        self.cache.core.reporter.tell(&Event::NotStored { key: &self.key.primary, reason });
    }
}
