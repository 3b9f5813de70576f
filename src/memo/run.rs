//! Computing in the caller, or in the background.

use std::{future::Future, sync::Arc};

use tokio::runtime::Handle;

use super::{
    Keep, Memoizer,
    call::{Own, Settings},
    flow::{Later, Next},
};

impl<T: Send + Sync + 'static, K: Keep<T>> Memoizer<T, K> {
    /// Computes in the caller, if anywhere: of those who find a stale value, one does.
    pub(super) async fn wait<V, E, F, Fut>(
        &self,
        later: Later<T>,
        own: Option<&Settings<'_, T>>,
        compute: F,
    ) -> Result<Arc<T>, E>
    where
        V: Into<Arc<T>>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        let (fill, fallback) = match Box::pin(self.next(later, own)).await {
            Next::Value(value) => return Ok(value),
            Next::Uncached => return compute().await.map(Into::into),
            Next::Run(fill, fallback) => (fill, fallback),
            Next::Late(value, late) => match self.cache.refill(late.key, 0, &late.found) {
                Some(fill) => (fill, Some(late.found.record)),
                None => return Ok(value),
            },
        };
        self.compute(fill, own, fallback, compute).await.map(|made| self.cache.served(made))
    }

    /// Computes in the background where the caller need not wait for it.
    pub(super) async fn wait_owned<V, E, F, Fut>(
        &self,
        later: Later<T>,
        own: Own<'static, T>,
        compute: F,
    ) -> Result<Arc<T>, E>
    where
        V: Into<Arc<T>> + Send,
        E: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (this, profile) = (self.clone(), self.shared.profile);
        match Box::pin(self.next(later, own.as_deref())).await {
            Next::Value(value) => Ok(value),
            Next::Uncached => compute().await.map(Into::into),
            Next::Late(value, late) => {
                let record = Arc::clone(&late.found.record);
                let Ok(runtime) = Handle::try_current() else {
                    let Some(fill) = self.cache.refill(late.key, 0, &late.found) else { return Ok(value) };
                    let made = self.compute(fill, own.as_deref(), Some(record), compute).await;
                    return made.map(|made| self.cache.served(made));
                };
                let run =
                    move |fill| async move { this.compute(fill, own.as_deref(), Some(record), compute).await.is_ok() };
                self.cache.refresh(&runtime, late.key, 0, &late.found, profile.backoff(), run);
                Ok(value)
            }
            Next::Run(fill, fallback) => {
                let (key, stale) = (fill.key.clone(), fallback.clone());
                // Of the run, and of the caller, who may leave it.
                let own = own.map(Arc::from);
                let of_run: Option<Arc<Settings<'static, T>>> = own.clone();
                let run = async move { this.compute(fill, of_run.as_deref(), fallback, compute).await };
                let value = |record: &_| self.value(record, own.as_deref());
                self.cache.unless_late(self.cache.handover(run), &key, &profile, stale, value).await
            }
        }
    }
}
