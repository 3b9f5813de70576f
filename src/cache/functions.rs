use std::{
    any::{Any, TypeId},
    borrow::Cow,
    sync::Arc,
};

use dashmap::DashMap;

use super::Cache;

/// What attribute macros have made for their functions, by name: a function has no place of its own to keep it.
#[derive(Default)]
pub(super) struct Functions(DashMap<Box<str>, Known>);

struct Known {
    /// The type that stands for the function, if there is one.
    owner: Option<TypeId>,
    kept: Arc<dyn Any + Send + Sync>,
}

impl Cache {
    /// What is kept for a function, made by the first call. `None` if another function has the name, or one with values
    /// of another type: names of types are not unique, and two functions must not share results.
    pub(crate) fn function<S: Send + Sync + 'static>(
        &self,
        name: &str,
        owner: Option<TypeId>,
        new: impl FnOnce() -> Arc<S>,
    ) -> Option<Arc<S>> {
        let scope = self.space.scope.prefix();
        let name = if scope.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(format!("{scope}\0{name}")) };
        let kept = |known: &Known| {
            let is_own = known.owner == owner;
            is_own.then(|| Arc::downcast(Arc::clone(&known.kept)).ok()).flatten()
        };
        if let Some(known) = self.core.functions.0.get(&*name) {
            return kept(&known);
        }
        // Made outside the table, whose lock nothing else may run under. Callers that are the first agree on one.
        let made = new();
        let place = self.core.functions.0.entry(name.into()).or_insert_with(|| Known { owner, kept: made });
        kept(&place)
    }
}
