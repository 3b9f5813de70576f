//! How a run of the origin ends: in an entry, in an answer for those who wait, or in nothing. What a purge has overtaken is
//! not stored, and not handed to others.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use super::{Fill, Lifetime, Place, lookup::KeyText};
use crate::{
    backend::Reads,
    error::{Error, ErrorKind, Result},
    flight::Outcome,
    freshness,
    observe::Event,
    profile::Windows,
    reason::NotStored,
    record::{Carried, Hold, Meta, Payload, Record, Token},
    stamps,
    timer::Bound,
    value::Value,
};

impl Fill {
    /// Stores a payload and shares it. `place` sees what is in the slot of the key at that moment.
    pub(crate) async fn store<P: Payload>(
        mut self,
        mut payload: P,
        lifetime: Lifetime,
        place: impl FnOnce(&str, Option<&Record<P>>, &mut P) -> Place,
    ) -> Result<(), NotStored> {
        self.lead.close();
        let core = Arc::clone(&self.cache.core);
        let mut bound = core.bound();
        let gate = match core.gate(self.lead.key(), &mut bound).await {
            Ok(gate) => gate,
            Err(error) => {
                core.reporter.failed("set", &error);
                Box::pin(self.share(payload, NotStored::Backend)).await;
                return Err(NotStored::Backend);
            }
        };
        if self.lead.is_void() {
            drop(gate);
            return Err(Box::pin(self.give_up(NotStored::Refused)).await);
        }
        let carried = match self.still_holds(&mut bound).await {
            Ok(carried) => carried,
            Err(NotStored::Backend) => {
                drop(gate);
                Box::pin(self.share(payload, NotStored::Backend)).await;
                return Err(NotStored::Backend);
            }
            Err(reason) => {
                drop(gate);
                return Err(Box::pin(self.give_up(reason)).await);
            }
        };
        let slot = if P::has_variants() { self.slot(&mut bound).await } else { None };
        let (key, nonce, old) = match place(&self.key.primary, slot.as_deref(), &mut payload) {
            Place::Primary => (None, stamps::fresh(), None),
            Place::Variant { key } => (Some(key), stamps::fresh(), None),
            Place::Refresh { nonce, old } => (None, nonce, old),
            Place::Nowhere(reason) => {
                drop(gate);
                return Err(Box::pin(self.give_up(reason)).await);
            }
        };
        let record = Arc::new(self.record(payload, lifetime, nonce, carried));
        let value = Arc::clone(&record).into_value();
        // Whether others may have it is not known before the token was compared.
        let is_compared = self.token().is_some() && key.is_none();
        let shared = || if is_compared { Outcome::Alone } else { Outcome::Shared(Arc::clone(&record).into_value()) };
        if let (Some(slot), Some(old)) = (slot, old) {
            Box::pin(self.wait_alone(self.make_room(slot, old, &lifetime), &mut bound, shared)).await;
        }
        let set = self.set(key.as_deref(), value, lifetime.kept());
        let stored = match self.wait_alone(set, &mut bound, shared).await {
            Ok(true) => {
                if let Some(claim) = &mut self.claim {
                    claim.is_over();
                }
                Ok(())
            }
            Ok(false) => {
                drop(gate);
                return Err(Box::pin(self.give_up(NotStored::Refused)).await);
            }
            Err(error) => Err(self.not_kept(&error)),
        };
        if stored.is_ok() {
            core.stores.note(&self.key.primary);
            let marker = core.marker(&self.key.primary, self.lead.id());
            core.markers.remove(marker);
            core.failures.remove(marker);
            core.reporter.tell(&Event::Stored { key: &self.key.primary });
        }
        // Whether a purge has come elsewhere is not known then.
        let is_unsure = is_compared && stored.is_err();
        let outcome = if is_unsure { Outcome::Alone } else { Outcome::Shared(record.into_value()) };
        self.lead.end_and_open(gate, outcome);
        stored
    }

    /// Stores a value in the slot, if it still begins with the token, or under a key that hangs on it.
    async fn set(&self, variant: Option<&str>, value: Value, ttl: Option<Duration>) -> Result<bool> {
        let backend = &self.cache.core.backend;
        match (variant, self.token()) {
            (Some(key), _) => backend.set(key, value, ttl).await.map(|()| true),
            (None, None) => backend.set(&self.key.primary, value, ttl).await.map(|()| true),
            (None, Some(token)) => self.replace(token, value, ttl).await,
        }
    }

    async fn replace(&self, token: Token, value: Value, ttl: Option<Duration>) -> Result<bool> {
        let backend = &self.cache.core.backend;
        let replace = |token: Token, value| async move {
            backend.compare_and_set(&self.key.primary, token.as_bytes(), value, ttl).await
        };
        if !token.is_held() || self.cache.waits_elsewhere().is_none() {
            return replace(token, value).await;
        }
        // The run whose lease it is may have ended meanwhile, and nothing else has happened then.
        Ok(replace(token, value.clone()).await? || replace(token.ended(), value).await?)
    }

    /// Waits for the answer of the backend, for which the gate stays shut, however long it takes. Those who wait for the
    /// fill wait no longer than its time-out.
    async fn wait_alone<T>(
        &self,
        change: impl Future<Output = T>,
        bound: &mut Bound,
        outcome: impl FnOnce() -> Outcome,
    ) -> T {
        let mut change = pin!(change);
        match bound.over(change.as_mut()).await {
            Some(done) => done,
            None => {
                self.lead.release(outcome());
                change.await
            }
        }
    }

    /// What the answer depends on, unless a purge has come since it was read.
    ///
    /// Others may only be handed what no purge has come to. Without others there is no need to ask the backend: what
    /// carries a stamp that is gone is dead on arrival.
    async fn still_holds(&self, bound: &mut Bound) -> Result<Vec<Carried>, NotStored> {
        self.settle_tags().await;
        let carried = self.carried()?;
        let holds = |hold: Option<Hold>| hold.is_some_and(|hold| hold < Hold::Gone);
        let is_asked = self.lead.is_followed() && !carried.is_empty();
        if is_asked && !holds(Box::pin(bound.over(self.cache.holds(&carried, Reads::Through))).await) {
            return Err(NotStored::Refused);
        }
        Ok(carried)
    }

    /// Moves what is in the slot to a key of its own, for as long as it is of use.
    async fn make_room<P: Payload>(&self, slot: Arc<Record<P>>, key: String, new: &Lifetime) {
        let Some(left) = freshness::left(new.now, &slot.meta, new.windows.keep) else { return };
        if let Err(error) = self.cache.core.backend.set(&key, slot.into_value(), left).await {
            self.cache.core.reporter.failed("set", &error);
        }
    }

    async fn slot<P: Payload>(&self, bound: &mut Bound) -> Option<Arc<Record<P>>> {
        // A lease was there, and is still, or what is compared with it is refused.
        if self.token().is_some_and(Token::is_lease) {
            return None;
        }
        let value = match bound.over(self.cache.core.backend.get_through(&self.key.primary)).await? {
            Ok(value) => value?,
            Err(error) => {
                self.cache.core.reporter.failed("get", &error);
                return None;
            }
        };
        // Something else than the fill began with: a purge came, or another fill. Nothing is to hang on that, and what is
        // compared with it is refused.
        if self.token().is_some_and(|token| Token::of(&value) != Some(token)) {
            return None;
        }
        let record = Record::from_value(value).ok()?;
        let alive = record.meta.namespace == self.namespace || record.meta.namespace == 0;
        (alive && record.belongs_to(self.key.digested())).then_some(record)
    }

    fn record<P: Payload>(&self, payload: P, lifetime: Lifetime, nonce: u64, carried: Vec<Carried>) -> Record<P> {
        let now = lifetime.now;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let meta = Meta {
            created: now.saturating_sub(millis(lifetime.age)),
            fresh_until: lifetime.after(Duration::ZERO),
            stale_until: lifetime.after(lifetime.windows.revalidate),
            error_until: lifetime.after(lifetime.windows.error),
            nonce,
            took: u32::try_from(now.saturating_sub(self.began)).unwrap_or(u32::MAX),
            digested: self.key.digested.clone(),
            carried: carried.into(),
            namespace: self.namespace,
        };
        Record { meta, payload }
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

    /// Shares an answer with those who waited already, and stores nothing.
    pub(crate) async fn share<P: Payload>(self, payload: P, reason: NotStored) {
        self.lead.close();
        self.report(reason);
        let lifetime = Lifetime { now: self.began, age: Duration::ZERO, fresh: None, windows: Windows::default() };
        let outcome = match self.carried() {
            // What a purge has overtaken is for nobody else.
            Ok(carried) if self.is_untouched(&carried).await => {
                Outcome::Shared(Arc::new(self.record(payload, lifetime, 0, carried)).into_value())
            }
            // While the backend is left alone nobody knows whether a purge has come elsewhere; in this process none has. A
            // run for each of those who wait would be worse. What they make of it is not stored either.
            Err(NotStored::Backend)
                if self.cache.core.is_shut() && self.cache.core.lanes.are_untouched(&self.since) =>
            {
                Outcome::Shared(Arc::new(self.record(payload, lifetime, 0, vec![Carried::Unknown])).into_value())
            }
            _ => Outcome::LookUp,
        };
        self.lead.end(outcome);
    }

    /// Whether no purge has come since the fill began, as far as that is of interest to anybody.
    async fn is_untouched(&self, carried: &[Carried]) -> bool {
        if !self.lead.is_followed() {
            return true;
        }
        let mut bound = self.cache.core.bound();
        if bound.over(self.cache.holds(carried, Reads::Through)).await.is_none_or(|hold| hold == Hold::Gone) {
            return false;
        }
        let Some(token) = self.token() else { return true };
        let slot = bound.over(self.cache.core.backend.get_through(&self.key.primary)).await;
        matches!(slot, Some(Ok(Some(value))) if Token::of(&value).is_some_and(|now| token.is_untouched_in(now)))
    }

    /// Shares nothing, and says nothing of later answers.
    pub(crate) fn decline(self, reason: NotStored) {
        self.report(reason);
        self.lead.end(Outcome::Alone);
    }

    /// Shares nothing: everybody runs the origin, at once.
    pub(crate) async fn pass(self, reason: NotStored) {
        if reason.holds_for_the_key() {
            self.cache.core.mark_uncacheable(&self.key.primary, self.lead.id());
            self.forget().await;
        }
        self.report(reason);
        self.lead.end(Outcome::Alone);
    }

    /// The origin failed, and there is something stale to serve: those who wait look it up, and for `backoff` nobody
    /// asks again.
    pub(crate) fn fall_back(self, backoff: Duration) {
        self.cache.core.spare(&self.key.primary, self.lead.id(), backoff);
        self.lead.end(Outcome::LookUp);
    }

    /// An answer that may no longer be stored takes the entry it was to replace with it, and what that was good for.
    pub(crate) async fn forget(&self) {
        if !self.reason.leaves_an_entry() {
            return;
        }
        let core = &self.cache.core;
        let mut bound = core.bound();
        let deleted = match core.gate(self.lead.key(), &mut bound).await {
            // What came after a purge is not this fill's to remove.
            Ok(_) if self.lead.is_void() => return,
            Ok(gate) => {
                let delete = core.backend.delete(&self.key.primary);
                let deleted = self.wait_alone(delete, &mut bound, || Outcome::Alone).await;
                drop(gate);
                deleted
            }
            Err(error) => Err(error),
        };
        if let Err(error) = deleted {
            core.reporter.failed("delete", &error);
        }
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

    fn report(&self, reason: NotStored) {
        self.cache.core.reporter.tell(&Event::NotStored { key: &self.key.primary, reason });
    }
}
