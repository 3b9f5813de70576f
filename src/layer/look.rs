//! What is done with a request, as far as that can be said without waiting.

use http::request;

use super::{
    CacheLayer,
    key_by::Target,
    nested::{Inside, Outer},
    question::Ask,
    rules::Use,
};
use crate::{
    cache::{Found, Looked, OwnedKey, Question, State, Turn},
    key::Key,
    reason::{BypassReason, MissReason},
    response::StoredResponse,
};

/// What there is to do.
pub(super) enum Look {
    /// The service in the middle of a fill of the same scope: it runs, and the layer says whether it would have cached.
    Nested {
        allows: bool,
    },
    Bypass(BypassReason),
    Hit(Found<StoredResponse>, Use),
    /// An entry that is not just fresh.
    Serve(Found<StoredResponse>, OwnedKey, Use),
    Turn(Turn<StoredResponse>, OwnedKey, Use),
    /// The backend has to be waited for.
    Wait(OwnedKey, Use),
}

impl Look {
    /// Whether the answer may be less than the whole.
    #[inline]
    pub(super) fn narrows(&self) -> bool {
        match self {
            Self::Hit(_, plan) | Self::Serve(.., plan) | Self::Turn(.., plan) | Self::Wait(_, plan) => plan.narrows,
            Self::Nested { .. } | Self::Bypass(_) => false,
        }
    }
}

impl CacheLayer {
    /// All that a hit needs of its request, in one function that does not depend on the service.
    pub(super) fn look(&self, parts: &request::Parts, has_body: bool) -> Look {
        let outer = Inside::of(&parts.extensions, &self.cache);
        if outer == Outer::Passes {
            return Look::Bypass(BypassReason::Nested);
        }
        let planned = self.rules.of_request(parts, has_body);
        if outer == Outer::Fills {
            return Look::Nested { allows: planned.is_ok() };
        }
        let (plan, host) = match planned {
            Ok((plan, host)) => (Use { is_nested: outer == Outer::Elsewhere, ..plan }, host),
            Err(reason) => return Look::Bypass(reason),
        };
        let mut key = Key::default();
        let target = Target::of(parts);
        if let Err(reason) = self.rules.key(&self.cache.space.scope, parts, target, &mut key) {
            return Look::Bypass(reason);
        }
        let ask = Ask { cache: &self.cache, rules: &self.rules, parts, target: target.uri, host };
        if plan.is_forced {
            let key = OwnedKey::from(&key);
            let fill = self.cache.alone(key.clone(), MissReason::Forced, ask.id(None));
            return Look::Turn(Turn::Run(fill, None), key, plan);
        }
        let found = match self.cache.glance(&key, &ask) {
            Ok(found) => found,
            Err(seen) => match self.cache.look_further(seen, &key, &ask) {
                Some(Ok(found)) if found.state == State::Fresh => found,
                looked => return self.other(looked, &key, plan, &ask),
            },
        };
        self.cache.core.reporter.tell_hit(key.backend.as_str());
        self.cache.note(&found.record);
        Look::Hit(found, plan)
    }

    #[inline(never)]
    fn other(&self, looked: Option<Looked<StoredResponse>>, key: &Key, plan: Use, ask: &Ask<'_>) -> Look {
        let key = OwnedKey::from(key);
        match (looked, plan.on_miss) {
            (Some(Ok(found)), _) => Look::Serve(found, key, plan),
            (Some(Err(_)), Some(reason)) => Look::Bypass(reason),
            (Some(Err(missed)), None) => Look::Turn(self.cache.begin(key.clone(), ask, &missed), key, plan),
            (None, _) => Look::Wait(key, plan),
        }
    }
}
