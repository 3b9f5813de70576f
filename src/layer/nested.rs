//! Layers within each other. Of those of one scope the outermost fills, and the others tell it what they would have done;
//! one of another scope, or of another cache, has its own entry, and tells what that is kept by.

use std::time::Duration;

use arrayvec::ArrayVec;
use http::{Extensions, response};

use super::rules::Rules;
use crate::{
    cache::Cache,
    freshness::{Times, times, windows},
    policy::Terms,
    profile::Windows,
    reason::{BypassReason, NotStored},
    record::Record,
    response::{Selector, StoredResponse},
    ttl::Ttl,
};

/// How many caches and scopes can be filled with one response.
const DEPTH: usize = 4;

/// Says in the extensions of a request what layers further out, of which scopes of which caches, do with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Inside {
    /// They fill an entry with its response: a layer of the same scope further in would wait for itself.
    filling: ArrayVec<usize, DEPTH>,
    /// They let it pass for what it carries: what is made of it is not for those who come without.
    passing: ArrayVec<usize, DEPTH>,
}

/// What a layer is to do with a request that came through others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outer {
    /// There is none, or none that matters.
    Nothing,
    /// Those of other caches and scopes fill entries with its response.
    Elsewhere,
    Fills,
    Passes,
}

impl Inside {
    /// A layer of this scope fills an entry with the response.
    pub(super) fn fill(extensions: &mut Extensions, cache: &Cache) {
        // Deeper than that, a layer further in would have to wait for itself: it waits, bounded, and goes alone.
        let _ = extensions.get_or_insert_default::<Self>().filling.try_push(cache.scope_id());
    }

    /// A layer of this scope lets the request pass, for a reason that sets it apart from others with its key.
    pub(super) fn pass(extensions: &mut Extensions, cache: &Cache, reason: BypassReason) {
        if sets_apart(reason) {
            let _ = extensions.get_or_insert_default::<Self>().passing.try_push(cache.scope_id());
        }
    }

    #[inline]
    pub(super) fn of(extensions: &Extensions, cache: &Cache) -> Outer {
        let Some(inside) = extensions.get::<Self>() else { return Outer::Nothing };
        if inside.filling.contains(&cache.scope_id()) {
            Outer::Fills
        } else if inside.passing.contains(&cache.scope_id()) || inside.passing.is_full() {
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
    /// Requests are told apart in a way that a layer further out may not know.
    pub(super) has_own_key: bool,
    /// Why it is not kept.
    no_store: Option<NotStored>,
    /// An answer that is stale already is fresh nowhere else.
    is_stale: bool,
    /// Of the entry that is the answer: how old it is, how long it is fresh still, if not for ever, and its windows.
    entry: Option<(Duration, Option<Duration>, Windows)>,
}

impl Advice {
    /// Why a layer with these rules does not keep the response, if it does not.
    pub(super) fn refuses(&self, rules: &Rules) -> Option<NotStored> {
        let is_mixed = self.has_own_key && !rules.has_own_key();
        let is_over = self.entry.is_some_and(|(_, left, _)| left == Some(Duration::ZERO));
        self.no_store
            .or(is_mixed.then_some(NotStored::Filtered))
            .or((self.is_stale || is_over).then_some(NotStored::Stale))
    }

    /// What is made of an entry is as old as that, and is good for no longer: what gave that its lifetime, such as a
    /// policy, is not to be seen any more.
    pub(super) fn bound(&self, terms: Terms) -> Terms {
        let Some((age, left, within)) = self.entry else { return terms };
        let fresh = terms.fresh.into_iter().chain(left).min();
        let windows = Windows {
            revalidate: terms.windows.revalidate.min(within.revalidate),
            error: terms.windows.error.min(within.error),
            ..terms.windows
        };
        Terms { fresh, age: terms.age.max(age), windows }
    }

    /// Says with an answer from an entry what that is kept by: a cache further out that is filled with it has to know.
    pub(super) fn repeat(rules: &Rules, record: &Record<StoredResponse>, now: u64, is_stale: bool) -> Self {
        let selectors = record.payload.selecting().selectors().to_vec();
        let Times { age, left, .. } = times(now, &record.meta);
        let entry = (Duration::from_millis(age), left.map(Duration::from_millis), windows(&record.meta));
        Self { selectors, has_own_key: rules.has_own_key(), is_stale, entry: Some(entry), ..Self::default() }
    }

    /// Says the same with an answer of which an entry is made.
    pub(super) fn say(rules: &Rules, parts: &mut response::Parts) {
        let advice = parts.extensions.get_or_insert_default::<Self>();
        advice.has_own_key |= rules.has_own_key();
        advice.select_by(&rules.selectors);
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
        advice.select_by(&rules.selectors);
    }

    fn select_by(&mut self, selectors: &[Selector]) {
        for selector in selectors {
            if !self.selectors.contains(selector) {
                self.selectors.push(selector.clone());
            }
        }
    }
}
