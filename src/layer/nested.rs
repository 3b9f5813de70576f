//! Layers of one cache within each other: the outermost fills, the others tell it what they would have done.

use arrayvec::ArrayVec;
use http::{Extensions, response};

use super::rules::Rules;
use crate::{
    cache::Cache,
    reason::{BypassReason, NotStored},
    response::{Selector, StoredResponse},
    ttl::Ttl,
};

/// How many caches can be filled with one response.
const DEPTH: usize = 4;

/// Says in the extensions of a request what layers further out, of which caches, do with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Inside {
    /// They fill an entry with its response: a layer of the same cache further in would wait for itself.
    filling: ArrayVec<usize, DEPTH>,
    /// They let it pass for what it carries: what is made of it is not for those who come without.
    passing: ArrayVec<usize, DEPTH>,
}

/// What a layer is to do with a request that came through others of its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outer {
    /// There is none, or none that matters.
    Nothing,
    /// Those of other caches fill entries with its response.
    Elsewhere,
    Fills,
    Passes,
}

impl Inside {
    /// A layer of this cache fills an entry with the response.
    pub(super) fn fill(extensions: &mut Extensions, cache: &Cache) {
        // Deeper than that, a layer further in would have to wait for itself: it waits, bounded, and goes alone.
        let _ = extensions.get_or_insert_default::<Self>().filling.try_push(cache.id());
    }

    /// A layer of this cache lets the request pass, for a reason that sets it apart from others with its key.
    pub(super) fn pass(extensions: &mut Extensions, cache: &Cache, reason: BypassReason) {
        if sets_apart(reason) {
            let _ = extensions.get_or_insert_default::<Self>().passing.try_push(cache.id());
        }
    }

    #[inline]
    pub(super) fn of(extensions: &Extensions, cache: &Cache) -> Outer {
        let Some(inside) = extensions.get::<Self>() else { return Outer::Nothing };
        if inside.filling.contains(&cache.id()) {
            Outer::Fills
        } else if inside.passing.contains(&cache.id()) || inside.passing.is_full() {
            Outer::Passes
        } else if inside.filling.is_empty() {
            Outer::Nothing
        } else {
            Outer::Elsewhere
        }
    }
}

/// Whether the reason is what the request carries, by the rules of one layer that another may not have.
fn sets_apart(reason: BypassReason) -> bool {
    matches!(reason, BypassReason::Authorization | BypassReason::Cookie | BypassReason::Unless | BypassReason::NoKey)
}

/// What the layers further in say of a response: an extension of it on its way out.
#[derive(Clone, Debug, Default)]
pub(super) struct Advice {
    /// The lifetime of the innermost one that has one.
    pub(super) ttl: Ttl,
    pub(super) selectors: Vec<Selector>,
    /// Why it is not kept.
    pub(super) no_store: Option<NotStored>,
    /// An answer that is stale already is fresh nowhere else.
    pub(super) is_stale: bool,
}

impl Advice {
    /// Says again, with an answer from the cache, what selects it: a cache further out that is being filled with it has
    /// to know, and the extensions of the answer to the first request are gone.
    pub(super) fn repeat(stored: &StoredResponse, is_stale: bool) -> Self {
        Self { selectors: stored.selecting().selectors().to_vec(), is_stale, ..Self::default() }
    }

    /// `allows` says whether the layer would have let the request use the cache.
    pub(super) fn add(rules: &Rules, allows: bool, parts: &mut response::Parts) {
        let filtered = rules.filters(parts).and_then(Result::err);
        let advice = parts.extensions.get_or_insert_default::<Self>();
        advice.ttl = advice.ttl.or(rules.own.ttl);
        // A key of its own may tell requests apart that the outer layer does not.
        let refused = if allows && !rules.has_own_key() { filtered } else { Some(NotStored::Filtered) };
        advice.no_store = match (advice.no_store, refused) {
            // It says nothing of the next response, where the other one does.
            (Some(NotStored::Status), Some(reason)) => Some(reason),
            (before, refused) => before.or(refused),
        };
        for selector in &*rules.selectors {
            if !advice.selectors.contains(selector) {
                advice.selectors.push(selector.clone());
            }
        }
    }
}
