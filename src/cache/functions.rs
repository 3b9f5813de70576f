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
        let made = new();
        self.core.functions.0.insert(name.into(), Arc::<S>::clone(&made));
        made
    }
}
