//! A call between its look and its result.

use std::{convert::Infallible, fmt, future::Future, sync::Arc};

use super::{Keep, Memoizer, call::Own, flow::State};
use crate::{cache::FillContext, error::Result, reason::NotStored};

/// A call that has been looked up, and no longer borrows its arguments.
#[must_use = "a call does nothing until it is told how to compute"]
pub struct Begun<'a, 's, T, K> {
    memoizer: &'a Memoizer<T, K>,
    own: Own<'s, T>,
    state: State<T>,
}

impl<'a, 's, T: Send + Sync + 'static, K: Keep<T>> Begun<'a, 's, T, K> {
    pub(super) fn of(memoizer: &'a Memoizer<T, K>, own: Own<'s, T>, state: State<T>) -> Self {
        Self { memoizer, own, state }
    }

    /// The value, if it was kept: before a future is made that could wait for it.
    #[inline]
    pub(super) fn into_ready(self) -> Result<Arc<T>, Self> {
        match self {
            Self { state: State::Ready(value), .. } => Ok(value),
            other => Err(other),
        }
    }

    /// The result: a kept one, or what `compute` makes.
    #[inline]
    pub async fn call<F, Fut>(self, compute: F) -> T
    where
        T: Clone,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        Arc::unwrap_or_clone(self.call_shared(compute).await)
    }

    /// As [`call`](Begun::call), without a copy.
    #[inline]
    pub async fn call_shared<F, Fut>(self, compute: F) -> Arc<T>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        match self.try_call_shared(async || Ok::<_, Infallible>(compute().await)).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The result: a kept one, or what `compute` makes; only `Ok` is kept.
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    #[inline]
    pub async fn try_call<E, F, Fut>(self, compute: F) -> Result<T, E>
    where
        T: Clone,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.try_call_shared(compute).await.map(Arc::unwrap_or_clone)
    }

    /// As [`try_call`](Begun::try_call), without a copy.
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    #[inline]
    pub async fn try_call_shared<E, F, Fut>(self, compute: F) -> Result<Arc<T>, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.try_call_arc(compute).await
    }

    /// As [`try_call_shared`](Begun::try_call_shared), of what may be shared already.
    #[inline]
    pub(crate) async fn try_call_arc<V, E, F, Fut>(self, compute: F) -> Result<Arc<T>, E>
    where
        V: Into<Arc<T>>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
    {
        // Begun outside of the fill that it is now a part of: what it has seen there was not noted.
        if self.state.has_seen() {
            FillContext::current_or_none(|context| context.refuse(NotStored::Refused));
        }
        match self.state {
            State::Ready(value) => Ok(value),
            State::Bypass => compute().await.map(Into::into),
            State::Later(later) => self.memoizer.wait(*later, self.own.as_deref(), compute).await,
        }
    }
}

impl<T: Send + Sync + 'static, K: Keep<T>> Begun<'_, 'static, T, K> {
    /// As [`call`](Begun::call), with a `compute` that may run in the background: see
    /// [`Memoizer::call_owned`].
    pub async fn call_owned<F, Fut>(self, compute: F) -> T
    where
        T: Clone,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let compute = move || {
            let computed = compute();
            async move { Ok::<_, Infallible>(computed.await) }
        };
        match self.try_call_owned(compute).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`try_call`](Begun::try_call), with a `compute` that may run in the background: see
    /// [`Memoizer::call_owned`].
    ///
    /// # Errors
    ///
    /// Only what `compute` returned.
    pub async fn try_call_owned<E, F, Fut>(self, compute: F) -> Result<T, E>
    where
        T: Clone,
        E: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.try_call_arc_owned(compute).await.map(Arc::unwrap_or_clone)
    }

    pub(crate) async fn try_call_arc_owned<V, E, F, Fut>(self, compute: F) -> Result<Arc<T>, E>
    where
        V: Into<Arc<T>> + Send,
        E: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        if self.state.has_seen() {
            FillContext::current_or_none(|context| context.refuse(NotStored::Refused));
        }
        match self.state {
            State::Ready(value) => Ok(value),
            State::Bypass => compute().await.map(Into::into),
            State::Later(later) => self.memoizer.wait_owned(*later, self.own, compute).await,
        }
    }
}

impl<T, K> fmt::Debug for Begun<'_, '_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("of", &self.memoizer.name()).finish_non_exhaustive()
    }
}
