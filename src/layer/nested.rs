//! Layers of one cache within each other: the outermost fills, the others tell it what they would have done.

use arrayvec::ArrayVec;
use http::{Extensions, response};

use super::rules::Rules;
use crate::{cache::Cache, response::Selector, ttl::Ttl};

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

/// What the layers further in say of a response: an extension of it on its way out.
#[derive(Clone, Debug, Default)]
pub(super) struct Advice {
    /// The lifetime of the innermost one that has one.
    pub(super) ttl: Ttl,
    pub(super) selectors: Vec<Selector>,
    pub(super) no_store: bool,
}

impl Advice {
    /// `allows` says whether the layer would have let the request use the cache.
    pub(super) fn add(rules: &Rules, allows: bool, parts: &mut response::Parts) {
        let is_filtered = rules.response_filter.as_ref().is_some_and(|filter| !filter(parts));
        let advice = parts.extensions.get_or_insert_default::<Self>();
        advice.ttl = advice.ttl.or(rules.ttl);
        // A key of its own may tell requests apart that the outer layer does not.
        advice.no_store |= is_filtered || !allows || rules.has_own_key();
        for selector in &rules.selectors {
            if !advice.selectors.contains(selector) {
                advice.selectors.push(selector.clone());
            }
        }
    }
}
