use std::{any::Any, borrow::Cow, sync::Arc};

use dashmap::DashMap;

use super::Cache;

/// What attribute macros have made for their functions, by name: a function has no place of its own to keep it.
#[derive(Default)]
pub(super) struct Functions(DashMap<Box<str>, Arc<dyn Any + Send + Sync>>);

impl Cache {
    /// What is kept for a function, made by the first call.
    pub(crate) fn function<S: Send + Sync + 'static>(&self, name: &str, new: impl FnOnce() -> Arc<S>) -> Arc<S> {
        let scope = self.space.scope.prefix();
        let name = if scope.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(format!("{scope}{name}")) };
        let known = self.core.functions.0.get(&*name).map(|known| Arc::clone(&known));
        if let Some(Ok(known)) = known.map(Arc::downcast) {
            return known;
        }
        // Made outside the table, whose lock nothing else may run under.
        let made = new();
        let mut place = self.core.functions.0.entry(name.into()).or_insert_with(|| Arc::<S>::clone(&made));
        // Two callers that are the first agree on one.
        if let Ok(known) = Arc::downcast(Arc::clone(&place)) {
            return known;
        }
        *place = Arc::<S>::clone(&made);
        made
    }
}
