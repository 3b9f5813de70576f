//! From a collector to its client: bytes that wait, and what comes after them.
//!
//! What waits is one buffer, so a client that does not read holds no more than the body that is collected anyway, in
//! however many frames it came.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http_body::Body;

use super::body::Rest;

pub(super) fn pipe<B: Body>() -> (Writer<B>, Reader<B>) {
    let pipe = Arc::new(Mutex::new(Pipe {
        bytes: BytesMut::new(),
        rest: None,
        reader: End::default(),
        writer: End::default(),
    }));
    (Writer(Arc::clone(&pipe)), Reader(pipe))
}

struct Pipe<B: Body> {
    bytes: BytesMut,
    rest: Option<Rest<B>>,
    reader: End,
    writer: End,
}

#[derive(Default)]
struct End {
    is_gone: bool,
    waker: Option<Waker>,
}

impl End {
    fn wait(&mut self, context: &Context<'_>) {
        self.waker = Some(context.waker().clone());
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

type Shared<B> = Arc<Mutex<Pipe<B>>>;

fn lock<B: Body>(pipe: &Shared<B>) -> MutexGuard<'_, Pipe<B>> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The collector's end.
pub(super) struct Writer<B: Body>(Shared<B>);

impl<B: Body> Writer<B> {
    /// Adds a chunk; if the reader is gone it goes nowhere.
    pub(super) fn write(&self, chunk: &Bytes) {
        let mut pipe = lock(&self.0);
        if !chunk.is_empty() && !pipe.reader.is_gone {
            pipe.bytes.extend_from_slice(chunk);
            pipe.reader.wake();
        }
    }

    /// Says what comes after the bytes. A pipe that ends without it was cut off.
    pub(super) fn finish(self, rest: Rest<B>) {
        lock(&self.0).rest = Some(rest);
    }

    /// Waits until the reader is gone.
    pub(super) async fn closed(&self) {
        poll_fn(|context| {
            let mut pipe = lock(&self.0);
            if pipe.reader.is_gone {
                return Poll::Ready(());
            }
            pipe.writer.wait(context);
            Poll::Pending
        })
        .await;
    }
}

impl<B: Body> Drop for Writer<B> {
    fn drop(&mut self) {
        let mut pipe = lock(&self.0);
        pipe.writer.is_gone = true;
        pipe.reader.wake();
    }
}

/// What a reader gets.
pub(super) enum Piece<B: Body> {
    Bytes(Bytes),
    Rest(Rest<B>),
    CutOff,
}

/// The client's end.
pub(super) struct Reader<B: Body>(Shared<B>);

impl<B: Body> Reader<B> {
    pub(super) fn poll_read(&mut self, context: &Context<'_>) -> Poll<Piece<B>> {
        let mut pipe = lock(&self.0);
        if !pipe.bytes.is_empty() {
            return Poll::Ready(Piece::Bytes(mem::take(&mut pipe.bytes).freeze()));
        }
        match pipe.rest.take() {
            Some(rest) => Poll::Ready(Piece::Rest(rest)),
            None if pipe.writer.is_gone => Poll::Ready(Piece::CutOff),
            None => {
                pipe.reader.wait(context);
                Poll::Pending
            }
        }
    }
}

impl<B: Body> Drop for Reader<B> {
    fn drop(&mut self) {
        let mut pipe = lock(&self.0);
        pipe.reader.is_gone = true;
        pipe.bytes = BytesMut::new();
        pipe.writer.wake();
    }
}
