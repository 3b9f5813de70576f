//! One request as a question to the cache: which of the representations under its key is an answer.

use std::sync::Arc;

use http::{Uri, request};

use super::{key_by::Target, rules::Rules};
use crate::{
    cache::{Cache, Place, Question},
    flight::Head,
    freshness,
    key::HashMethod,
    profile::{Early, Profile},
    record::Record,
    response::{Asked, HostField, Selecting, Selector, StoredResponse},
};

/// A request, and the rules it is read by.
pub(super) struct Ask<'a> {
    pub(super) cache: &'a Cache,
    pub(super) rules: &'a Rules,
    pub(super) parts: &'a request::Parts,
    /// As the client wrote it.
    pub(super) target: &'a Uri,
    pub(super) host: HostField<'a>,
}

impl<'a> Ask<'a> {
    pub(super) fn of(cache: &'a Cache, rules: &'a Rules, parts: &'a request::Parts) -> Self {
        let host = HostField::of(&parts.headers);
        Self { cache, rules, parts, target: Target::of(parts).uri, host }
    }
}

impl Ask<'_> {
    fn asked(&self) -> Asked<'_> {
        Asked { headers: &self.parts.headers, uri: self.target, host: self.host }
    }

    fn hash(&self, selectors: &[Selector]) -> u64 {
        let asked = self.asked();
        self.cache.core.hash_all(selectors.iter().map(|selector| (selector, asked.value(selector))))
    }
}

impl Question for Ask<'_> {
    type Payload = StoredResponse;

    #[inline]
    fn is_answered_by(&self, stored: &StoredResponse) -> bool {
        // An entry from before a selector was named here may be anybody's.
        stored.selecting().covers(&self.rules.selectors) && stored.selecting().matches(self.asked())
    }

    fn variant_key(&self, primary: &str, record: &Record<StoredResponse>) -> String {
        variant_key(self.rules.hash, self.asked(), primary, record)
    }

    fn id(&self, known: Option<&StoredResponse>) -> u64 {
        match known {
            Some(stored) => self.hash(stored.selecting().selectors()),
            None => self.hash(&self.rules.selectors),
        }
    }

    fn leaves(&self, head: &Head) -> Option<u64> {
        let selecting = head.answer.downcast_ref::<Selecting>()?;
        (!selecting.matches(self.asked())).then(|| self.hash(selecting.selectors()))
    }

    fn takes(&self, record: &Record<StoredResponse>) -> bool {
        !self.rules.is_stale.as_ref().is_some_and(|is_stale| is_stale(self.parts, &record.payload))
    }

    fn profile(&self) -> &Profile {
        &self.rules.profile
    }

    #[inline]
    fn early(&self) -> Early {
        self.rules.early
    }
}

/// The key of a variant. It hangs on the nonce of the primary record: with that it is unreachable for ever.
fn variant_key(hash: HashMethod, asked: Asked<'_>, primary: &str, record: &Record<StoredResponse>) -> String {
    hanging(primary, record, &record.payload.selecting().digest(asked, hash))
}

fn hanging(primary: &str, record: &Record<StoredResponse>, digest: &str) -> String {
    format!("{primary}#variant={:x}:{digest}", record.meta.nonce)
}

/// Where a new response goes, beside what is in the slot of its key. `end` is when it is of no more use.
///
/// What selects is the union of what ever selected: a response without `Vary` does not make the others forget theirs.
/// When the union grows, the slot gets a new nonce, and what hung on the old one is not reached again. Otherwise the
/// slot has the variant that lives longest, since the others go with it.
pub(super) fn place(
    hash: HashMethod,
    asked: Asked<'_>,
    end: u64,
    primary: &str,
    slot: Option<&Record<StoredResponse>>,
    response: &mut StoredResponse,
) -> Place {
    let Some(slot) = slot else { return Place::Primary };
    let stored = slot.payload.selecting();
    let known = stored.selectors().len();
    let mut selectors = stored.selectors().to_vec();
    for selector in &**response.selecting().selectors() {
        if !selectors.contains(selector) {
            selectors.push(selector.clone());
        }
    }
    let grows = selectors.len() > known;
    let selectors = if grows { selectors.into() } else { Arc::clone(stored.selectors()) };
    match Selecting::of(&selectors, asked) {
        Ok(selecting) => response.select_by(selecting),
        Err(reason) => return Place::Nowhere(reason),
    }
    let nonce = slot.meta.nonce;
    if grows {
        Place::Primary
    } else if stored.matches(asked) {
        Place::Refresh { nonce, old: None }
    } else if !freshness::is_ahead(end, freshness::end(&slot.meta)) {
        Place::Refresh { nonce, old: Some(hanging(primary, slot, &stored.own_digest(hash))) }
    } else {
        Place::Variant { key: variant_key(hash, asked, primary, slot) }
    }
}
