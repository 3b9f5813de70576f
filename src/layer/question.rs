//! One request as a question to the cache: which of the representations under its key is an answer.

use arrayvec::ArrayVec;
use http::{Extensions, Uri, request};

use super::rules::Rules;
use crate::{
    cache::{Cache, Place, Question},
    flight::Head,
    key::HashMethod,
    record::Record,
    response::{Asked, Selecting, Selector, StoredResponse, values},
};

/// A request, and the rules it is read by.
pub(super) struct Ask<'a> {
    pub(super) cache: &'a Cache,
    pub(super) rules: &'a Rules,
    pub(super) parts: &'a request::Parts,
    /// As the client wrote it.
    pub(super) target: &'a Uri,
}

impl Ask<'_> {
    fn asked(&self) -> Asked<'_> {
        Asked { headers: &self.parts.headers, uri: self.target }
    }

    fn hash<'a>(&self, selectors: impl Iterator<Item = &'a Selector>) -> u64 {
        let selectors: Vec<&Selector> = selectors.collect();
        let values = values(selectors.iter().copied(), self.asked());
        self.cache.core.hash((selectors, values))
    }
}

impl Question for Ask<'_> {
    type Payload = StoredResponse;

    fn is_answered_by(&self, stored: &StoredResponse) -> bool {
        stored.selecting().matches(self.asked())
    }

    fn variant_key(&self, primary: &str, record: &Record<StoredResponse>) -> String {
        variant_key(self.rules.hash, self.asked(), primary, record)
    }

    fn id(&self, known: Option<&StoredResponse>) -> u64 {
        match known {
            Some(stored) => self.hash(stored.selecting().selectors()),
            None => self.hash(self.rules.selectors.iter()),
        }
    }

    fn leaves(&self, head: &Head) -> Option<u64> {
        let selecting = head.answer.downcast_ref::<Selecting>()?;
        (!selecting.matches(self.asked())).then(|| self.hash(selecting.selectors()))
    }

    fn takes(&self, record: &Record<StoredResponse>) -> bool {
        !self.rules.is_stale.as_ref().is_some_and(|is_stale| is_stale(self.parts, &record.payload))
    }
}

/// The key of a variant. It hangs on the nonce of the primary record: with that it is unreachable for ever.
fn variant_key(hash: HashMethod, asked: Asked<'_>, primary: &str, record: &Record<StoredResponse>) -> String {
    let digest = record.payload.selecting().digest(asked, hash);
    format!("{primary}#variant={:x}:{digest}", record.meta.nonce)
}

/// Where a new response goes, beside what is in the slot of its key.
///
/// What selects is the union of what ever selected: a response without `Vary` does not make the others forget theirs.
/// When the union grows, the slot gets a new nonce, and what hung on the old one is not reached again.
pub(super) fn place(
    hash: HashMethod,
    asked: Asked<'_>,
    primary: &str,
    slot: Option<&Record<StoredResponse>>,
    response: &mut StoredResponse,
) -> Place {
    let Some(slot) = slot else { return Place::Primary };
    let mut selectors: Vec<Selector> = slot.payload.selecting().selectors().cloned().collect();
    let known = selectors.len();
    for selector in response.selecting().selectors() {
        if !selectors.contains(selector) {
            selectors.push(selector.clone());
        }
    }
    match Selecting::of(&selectors, asked) {
        Ok(selecting) => response.select_by(selecting),
        Err(reason) => return Place::Nowhere(reason),
    }
    if selectors.len() > known {
        Place::Primary
    } else if slot.payload.selecting().matches(asked) {
        Place::Refresh { nonce: slot.meta.nonce }
    } else {
        Place::Variant { key: variant_key(hash, asked, primary, slot) }
    }
}

/// How many caches can be filled with one response.
const DEPTH: usize = 4;

/// Says in the extensions of a request which caches are being filled with its response.
///
/// A layer of one of them further in would wait for itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Inside(ArrayVec<usize, DEPTH>);

impl Inside {
    pub(super) fn enter(extensions: &mut Extensions, cache: &Cache) {
        // Deeper than that, a layer further in would have to wait for itself: it waits, bounded, and goes alone.
        let _ = extensions.get_or_insert_default::<Self>().0.try_push(cache.id());
    }

    pub(super) fn is_in(extensions: &Extensions, cache: &Cache) -> bool {
        extensions.get::<Self>().is_some_and(|inside| inside.0.contains(&cache.id()))
    }
}
