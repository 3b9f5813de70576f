//! One run of the origin, from its ticket to its answer: where origin, flight and tags meet.

use std::{collections::BTreeSet, sync::Arc};

use super::{Cache, claim::Claim, context::FillContext, lanes::Since, tags::Kind};
use crate::{
    flight::{Head, Lead},
    key::Key,
    observe::Event,
    reason::{MissReason, NotStored},
    record::{Carried, Token},
};

/// Where a new payload goes, beside what is in the slot of the primary key.
pub(crate) enum Place {
    /// Into the slot, under a nonce of its own.
    Primary,
    /// Into the slot, and what hangs on it stays. What is there now moves to this key, if it is still of use.
    Refresh { nonce: u64, old: Option<String> },
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

/// One run of the origin that may store. Dropped, it failed: one of those who wait takes over.
#[derive(Debug)]
#[must_use]
pub(crate) struct Fill {
    pub(crate) key: OwnedKey,
    pub(crate) reason: MissReason,
    pub(super) lead: Lead,
    pub(super) cache: Cache,
    pub(super) began: u64,
    /// The stamp of the namespace when the fill began: what is stored late is dead on arrival.
    pub(super) namespace: u64,
    /// The lanes of late tags, then.
    pub(super) since: Since,
    /// What tells whether another process has changed the key, where there are others.
    pub(super) claim: Option<Claim>,
    /// What its answer depends on beside that.
    pub(super) context: FillContext,
}

impl Fill {
    pub(super) fn begin(cache: &Cache, key: OwnedKey, lead: Lead, reason: MissReason) -> Self {
        match reason {
            MissReason::Refresh => cache.core.reporter.tell(&Event::Refresh { key: &key.primary }),
            reason => cache.core.reporter.tell(&Event::Miss { key: &key.primary, reason }),
        }
        let (began, namespace) = (cache.core.clock.now(), cache.space.stamp.now());
        let since = Since::now(&cache.core);
        let context = FillContext::of_fill(cache, &key.primary);
        Self { key, reason, lead, cache: cache.clone(), began, namespace, since, claim: None, context }
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The origin runs in it, so that the memoized values that it reads are noted.
    pub(crate) fn context(&self) -> &FillContext {
        &self.context
    }

    /// Notes what the answer depends on, before it is made.
    pub(crate) fn depends_on(&self, carried: &[Carried]) {
        self.context.note(carried, &self.cache.core.backend);
    }

    /// Takes its place among other processes, and reads what tells whether a tag is purged that is named late. Before
    /// the origin runs, where there are others.
    pub(crate) async fn prepare(&mut self) {
        // Boxed, as is whatever hardly a fill needs: every fill would have the room for it.
        if self.has_others() {
            Box::pin(self.take_place()).await;
        }
        if self.cache.reads_lanes() && !self.context.is_refused() {
            Box::pin(self.cache.read_lanes(&mut self.since)).await;
        }
    }

    /// Reads the stamps of tags before what depends on them; one that cannot be read leaves nothing to be stored.
    pub(crate) async fn read_tags(&self, keys: &[Arc<str>]) {
        for key in keys {
            if self.context.is_refused() {
                return;
            }
            match self.cache.read_tag(key).await {
                Ok(carried) => self.depends_on(&[carried]),
                Err(why) => self.context.refuse(why),
            }
        }
    }

    /// Takes up the tags that were named while the origin ran: their stamps first, then the lanes, so that a purge is
    /// seen by one of the two.
    pub(crate) async fn settle_tags(&self) {
        let tags = self.context.take_tags();
        if !tags.is_empty() {
            Box::pin(self.take_up(&tags)).await;
        }
    }

    async fn take_up(&self, tags: &BTreeSet<(Kind, Box<str>)>) {
        let keys: Vec<_> = tags.iter().map(|(kind, tag)| self.cache.tag_key(*kind, tag)).collect();
        self.read_tags(&keys).await;
        if !self.cache.are_clear(&keys, &self.since).await {
            self.context.refuse(NotStored::Refused);
        }
    }

    /// Hands what the answer depends on to the fill that its caller is a part of.
    pub(crate) fn hand_on(&self, outer: &FillContext) {
        if outer.is_empty() {
            return;
        }
        match self.context.carried() {
            Ok(carried) => outer.note(&carried, &self.cache.core.backend),
            Err(why) => outer.refuse(why),
        }
    }

    /// What its entry depends on.
    pub(super) fn carried(&self) -> Result<Vec<Carried>, NotStored> {
        let mut carried = self.context.carried()?;
        carried.extend(self.claim.as_ref().and_then(Claim::guard).cloned());
        Ok(carried)
    }

    /// What its slot has to begin with still.
    pub(super) fn token(&self) -> Option<Token> {
        self.claim.as_ref().and_then(Claim::token)
    }

    /// Whether its entry has to be a record, which has room for what it depends on.
    pub(super) fn needs_a_record(&self) -> bool {
        self.carried().map_or(true, |carried| !carried.is_empty())
    }

    /// Tells those who wait what is known of the answer.
    pub(crate) fn publish(&self, head: impl FnOnce() -> Head) {
        self.lead.publish(head);
    }
}
