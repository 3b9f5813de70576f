use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::error::Result;

/// The answer of a backend: there already, or a future.
///
/// A backend in memory answers with [`ready`](BackendFuture::ready) and allocates nothing; one behind a network
/// boxes one future. It is to a backend what `ValueTask` is in .NET.
///
/// # Examples
///
/// ```
/// use axum_caching::BackendFuture;
///
/// let now = BackendFuture::ready(Ok(1));
/// assert_eq!(now.into_ready().unwrap().unwrap(), 1);
///
/// let later: BackendFuture<'_, u8> = BackendFuture::new(async { Ok(2) });
/// assert!(later.into_ready().is_err());
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct BackendFuture<'a, T>(State<'a, T>);

enum State<'a, T> {
    Ready(Option<Result<T>>),
    Boxed(Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>),
}

impl<'a, T> BackendFuture<'a, T> {
    /// An answer that is there already.
    pub fn ready(result: Result<T>) -> Self {
        Self(State::Ready(Some(result)))
    }

    /// An answer that has to be waited for.
    pub fn new(future: impl Future<Output = Result<T>> + Send + 'a) -> Self {
        Self(State::Boxed(Box::pin(future)))
    }

    /// The answer, if it is there already, or else this future again, which was not polled.
    pub fn into_ready(self) -> Result<Result<T>, Self> {
        match self.0 {
            State::Ready(Some(result)) => Ok(result),
            other => Err(Self(other)),
        }
    }
}

// Nothing is pinned structurally: the answer is moved out, the box is its own pin.
impl<T> Unpin for BackendFuture<'_, T> {}

impl<T> Future for BackendFuture<'_, T> {
    type Output = Result<T>;

    /// # Panics
    ///
    /// If it is polled after it was ready, as futures may.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(result) => Poll::Ready(result.take().expect("polled after it was ready")),
            State::Boxed(future) => future.as_mut().poll(context),
        }
    }
}

impl<T> fmt::Debug for BackendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "BackendFuture(ready)",
            State::Boxed(_) => "BackendFuture(boxed)",
        })
    }
}
