//! Reading the body of a response that is to be kept, without keeping its client from it.

use std::{
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, sleep_until};

use super::{body::Rest, pipe::Writer};

/// After so many frames in one poll others get their turn.
const BUDGET: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// More bytes than this are not kept.
    pub(super) size: usize,
    /// What `Content-Length` says.
    pub(super) announced: Option<u64>,
}

/// A body on its way into memory.
pub(super) struct Collecting<B: Body> {
    body: Pin<Box<B>>,
    read: Read,
    limits: Limits,
}

/// How far the reading came.
pub(super) enum Gathered<B: Body> {
    /// All of it, and as long as it was announced.
    Complete(Bytes),
    /// Not all, and there is nothing to read at the moment.
    Pending(Collecting<B>),
    /// It cannot be kept: what was read, and what comes after it.
    Unfit(Bytes, Rest<B>, Unfit),
}

/// How a collection for a client ended.
pub(super) enum Collected<B: Body> {
    Whole(Bytes),
    Unfit(Rest<B>, Unfit),
    /// The client is gone, and it took too long.
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    TooLarge,
    /// An error, trailers, or another length than announced.
    Incomplete,
}

enum Step<B: Body> {
    Chunk(Bytes),
    TooLarge(Bytes),
    End(Rest<B>),
}

impl<B: Body<Data = Bytes>> Collecting<B> {
    pub(super) fn new(body: B, limits: Limits) -> Self {
        Self { body: Box::pin(body), read: Read::Nothing, limits }
    }

    /// Reads what is there already. Ready at the first poll.
    pub(super) async fn gather(self) -> Gathered<B> {
        let mut this = Some(self);
        poll_fn(|context| {
            let mut collecting = this.take().expect("ready at the first poll");
            for _ in 0..BUDGET {
                match collecting.poll_step(context) {
                    Poll::Pending => break,
                    Poll::Ready(Step::Chunk(_)) => {}
                    Poll::Ready(step) => return Poll::Ready(collecting.finished(step)),
                }
            }
            Poll::Ready(Gathered::Pending(collecting))
        })
        .await
    }

    /// Reads to the end, however long that takes.
    pub(super) async fn gather_all(self) -> Gathered<B> {
        let mut this = Some(self);
        poll_fn(|context| {
            let mut collecting = this.take().expect("not ready before");
            for step in 0.. {
                match collecting.poll_step(context) {
                    Poll::Ready(Step::Chunk(_)) if step < BUDGET => {}
                    Poll::Ready(Step::Chunk(_)) => {
                        context.waker().wake_by_ref();
                        break;
                    }
                    Poll::Pending => break,
                    Poll::Ready(step) => return Poll::Ready(collecting.finished(step)),
                }
            }
            this = Some(collecting);
            Poll::Pending
        })
        .await
    }

    /// What was read so far, for the client that is to see it now.
    pub(super) fn so_far(&self) -> Bytes {
        match &self.read {
            Read::Nothing => Bytes::new(),
            Read::One(chunk) => chunk.clone(),
            Read::Many(bytes) => Bytes::copy_from_slice(bytes),
        }
    }

    /// What was not read.
    pub(super) fn into_body(self) -> Pin<Box<B>> {
        self.body
    }

    /// Reads to the end, and gives each chunk to the client as it comes.
    ///
    /// A client that is gone does not stop it for another `patience`. What cannot be kept is the client's own affair
    /// from there on, at its own pace. The end is not told here: it comes after what is done with the body.
    pub(super) async fn run(self, client: &Writer<B>, patience: Duration) -> Collected<B> {
        let mut this = Some(self);
        let mut abandoned = pin!(async {
            client.closed().await;
            match Instant::now().checked_add(patience) {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        });
        poll_fn(|context| {
            let mut collecting = this.take().expect("not ready before");
            for step in 0.. {
                if step == BUDGET {
                    context.waker().wake_by_ref();
                    break;
                }
                // The client may be gone, which is no reason to stop.
                match collecting.poll_step(context) {
                    Poll::Pending => break,
                    Poll::Ready(Step::Chunk(chunk)) => client.write(&chunk),
                    Poll::Ready(Step::TooLarge(chunk)) => {
                        client.write(&chunk);
                        return Poll::Ready(Collected::Unfit(Rest::Body(collecting.body), Unfit::TooLarge));
                    }
                    Poll::Ready(Step::End(rest)) => {
                        return Poll::Ready(match collecting.ended(rest) {
                            Gathered::Complete(bytes) => Collected::Whole(bytes),
                            Gathered::Unfit(_, rest, why) => Collected::Unfit(rest, why),
                            Gathered::Pending(_) => Collected::Abandoned,
                        });
                    }
                }
            }
            this = Some(collecting);
            abandoned.as_mut().poll(context).map(|()| Collected::Abandoned)
        })
        .await
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step<B>> {
        if self.body.is_end_stream() {
            return Poll::Ready(Step::End(Rest::End));
        }
        let chunk = match ready!(self.body.as_mut().poll_frame(context)) {
            None => return Poll::Ready(Step::End(Rest::End)),
            Some(Err(error)) => return Poll::Ready(Step::End(Rest::Error(error))),
            Some(Ok(frame)) => match frame.into_data().map_err(Frame::into_trailers) {
                Ok(chunk) => chunk,
                Err(Ok(trailers)) => return Poll::Ready(Step::End(Rest::Trailers(trailers))),
                Err(Err(_)) => Bytes::new(),
            },
        };
        if self.read.len() + chunk.len() > self.limits.size {
            return Poll::Ready(Step::TooLarge(chunk));
        }
        self.read.push(chunk.clone(), &self.limits);
        Poll::Ready(Step::Chunk(chunk))
    }

    fn finished(mut self, last: Step<B>) -> Gathered<B> {
        match last {
            Step::Chunk(_) => Gathered::Pending(self),
            Step::End(rest) => self.ended(rest),
            Step::TooLarge(chunk) => {
                self.read.push(chunk, &self.limits);
                Gathered::Unfit(self.read.into_bytes(), Rest::Body(self.body), Unfit::TooLarge)
            }
        }
    }

    fn ended(self, rest: Rest<B>) -> Gathered<B> {
        let is_whole = self.limits.announced.is_none_or(|announced| announced == self.read.len() as u64);
        let bytes = self.read.into_bytes();
        match rest {
            Rest::End if is_whole => Gathered::Complete(bytes),
            rest => Gathered::Unfit(bytes, rest, Unfit::Incomplete),
        }
    }
}

/// What was read. A single chunk is kept as it is; several are copied together, so that many small slices do not hold
/// many large buffers.
enum Read {
    Nothing,
    One(Bytes),
    Many(Vec<u8>),
}

impl Read {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(chunk) => chunk.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, chunk: Bytes, limits: &Limits) {
        if chunk.is_empty() {
            return;
        }
        *self = match mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::One(chunk),
            Self::One(first) => {
                let announced = limits.announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
                let mut bytes = Vec::with_capacity(announced.min(limits.size).max(first.len() + chunk.len()));
                bytes.extend_from_slice(&first);
                bytes.extend_from_slice(&chunk);
                Self::Many(bytes)
            }
            Self::Many(mut bytes) => {
                bytes.extend_from_slice(&chunk);
                Self::Many(bytes)
            }
        };
    }

    /// All of it, in a buffer of exactly that size.
    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(chunk) => chunk,
            Self::Many(bytes) => Bytes::from(bytes.into_boxed_slice()),
        }
    }
}
