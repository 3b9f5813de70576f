use std::{
    error, fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::pipe::{Piece, Reader};

static EMPTY: Bytes = Bytes::new();

pin_project! {
    /// The body of a response that went through a [`CacheLayer`](crate::CacheLayer).
    ///
    /// It is the body of the origin, or a stored one, or the frames of the origin as they are collected.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum_caching::CacheBody;
    /// use bytes::Bytes;
    /// use http_body::Body;
    /// use http_body_util::Full;
    ///
    /// let empty: CacheBody<Full<Bytes>> = CacheBody::default();
    /// assert!(empty.is_end_stream());
    /// ```
    pub struct CacheBody<B>
    where
        B: Body,
    {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B>
    where
        B: Body,
    {
        Whole { bytes: Option<Bytes> },
        Absent,
        Inner { #[pin] body: B },
        Begun { body: Box<Begun<B>> },
        Collected { frames: Reader<B>, rest: Option<Box<Begun<B>>>, ended: bool },
    }
}

/// A body of which some was read.
pub(super) struct Begun<B: Body> {
    read: Option<Bytes>,
    rest: Rest<B>,
}

/// What comes after what was read.
pub(super) enum Rest<B: Body> {
    Body(Pin<Box<B>>),
    Trailers(HeaderMap),
    Error(B::Error),
    End,
}

/// The error of a [`CacheBody`].
///
/// # Examples
///
/// ```
/// use axum_caching::BodyError;
///
/// let error: BodyError<std::io::Error> = BodyError::Aborted;
/// assert_eq!(error.to_string(), "the body was cut off");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError<E> {
    /// The body of the origin failed.
    Origin(E),
    /// The task that collected the body is gone, so that what comes next is not known.
    Aborted,
}

impl<E: fmt::Display> fmt::Display for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(error) => error.fmt(f),
            Self::Aborted => f.pad("the body was cut off"),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> error::Error for BodyError<E> {}

impl<B: Body> CacheBody<B> {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { kind: Kind::Whole { bytes: (!bytes.is_empty()).then_some(bytes) } }
    }

    /// Of a response that has none, and is not one of length 0 either: nothing is to be said of its length.
    pub(super) fn absent() -> Self {
        Self { kind: Kind::Absent }
    }

    /// The bytes, if all of them are there.
    pub(super) fn as_whole(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Whole { bytes } => Some(bytes.as_ref().unwrap_or(&EMPTY)),
            _ => None,
        }
    }

    pub(super) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// A body of the origin's kind, if it is one already or all bytes are there to make one of.
    #[cfg(feature = "axum")]
    pub(super) fn into_inner(self, made_of: impl FnOnce(Bytes) -> B) -> Result<B, Self> {
        match self.kind {
            Kind::Whole { bytes } => Ok(made_of(bytes.unwrap_or_default())),
            Kind::Inner { body } => Ok(body),
            kind => Err(Self { kind }),
        }
    }

    pub(super) fn begun(read: Bytes, rest: Rest<B>) -> Self {
        Self { kind: Kind::Begun { body: Box::new(Begun::new(Some(read), rest)) } }
    }

    pub(super) fn collected(frames: Reader<B>) -> Self {
        Self { kind: Kind::Collected { frames, rest: None, ended: false } }
    }
}

impl<B: Body> Default for CacheBody<B> {
    /// An empty body.
    fn default() -> Self {
        Self::whole(Bytes::new())
    }
}

type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

impl<B: Body> Begun<B> {
    pub(super) fn new(read: Option<Bytes>, rest: Rest<B>) -> Self {
        Self { read: read.filter(|read| !read.is_empty()), rest }
    }
}

impl<B: Body<Data = Bytes>> Begun<B> {
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Polled<B::Error> {
        if let Some(chunk) = self.read.take() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if let Rest::Body(body) = &mut self.rest {
            return body.as_mut().poll_frame(context);
        }
        Poll::Ready(match std::mem::replace(&mut self.rest, Rest::End) {
            Rest::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Rest::Error(error) => Some(Err(error)),
            Rest::Body(_) | Rest::End => None,
        })
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.read.is_none()
            && match &self.rest {
                Rest::Body(body) => body.is_end_stream(),
                Rest::End => true,
                Rest::Trailers(_) | Rest::Error(_) => false,
            }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let read = self.read.as_ref().map_or(0, |read| read.len() as u64);
        let rest = match &self.rest {
            Rest::Body(body) => body.size_hint(),
            Rest::End | Rest::Trailers(_) => SizeHint::with_exact(0),
            Rest::Error(_) => SizeHint::default(),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(read.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}

impl<B: Body<Data = Bytes>> KindProjection<'_, B> {
    fn poll_frame(self, context: &mut Context<'_>) -> Polled<BodyError<B::Error>> {
        let frame = match self {
            Self::Whole { bytes } => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Inner { body } => ready!(body.poll_frame(context)),
            Self::Begun { body } => ready!(body.poll_frame(context)),
            Self::Collected { rest: Some(rest), .. } => ready!(rest.poll_frame(context)),
            Self::Absent | Self::Collected { ended: true, .. } => None,
            Self::Collected { frames, rest, ended } => match ready!(frames.poll_read(context)) {
                Piece::Bytes(bytes) => Some(Ok(Frame::data(bytes))),
                Piece::Rest(after) => ready!(rest.insert(Box::new(Begun::new(None, after))).poll_frame(context)),
                Piece::CutOff => {
                    *ended = true;
                    return Poll::Ready(Some(Err(BodyError::Aborted)));
                }
            },
        };
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Origin)))
    }
}

impl<B: Body<Data = Bytes>> Body for CacheBody<B> {
    type Data = Bytes;
    type Error = BodyError<B::Error>;

    #[inline]
    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<Self::Error> {
        match self.project().kind.project() {
            KindProjection::Whole { bytes } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            kind => kind.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole { bytes } => bytes.is_none(),
            Kind::Absent => true,
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Begun { body } => body.is_end_stream(),
            Kind::Collected { rest, ended, .. } => *ended || rest.as_ref().is_some_and(|rest| rest.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Inner { body } => body.size_hint(),
            Kind::Begun { body } => body.size_hint(),
            Kind::Absent | Kind::Collected { .. } => SizeHint::default(),
        }
    }
}

impl<B: Body> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Whole { .. } => "CacheBody(whole)",
            Kind::Absent => "CacheBody(absent)",
            Kind::Inner { .. } => "CacheBody(inner)",
            Kind::Begun { .. } => "CacheBody(begun)",
            Kind::Collected { .. } => "CacheBody(collected)",
        })
    }
}
