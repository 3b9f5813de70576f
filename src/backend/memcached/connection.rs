//! One connection, which many callers share: each sends at once, and the answers come in the order of the commands.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, BufMut, BytesMut};
use tokio::{sync::oneshot, time::Instant};

use super::{
    clears::Reading,
    protocol::{Batch, Decoder, Reply},
    socket::Socket,
};
use crate::error::{Error, ErrorKind, Result};

/// So much may wait to be sent, beside the first batch: a server that takes nothing is not to fill the memory.
const MAX_UNSENT: usize = 64 << 20;

/// So many batches may wait for their answers.
const MAX_WAITING: usize = 16_384;

/// What is read at once, if there is as much, and no more: what follows a large value is copied out of its buffer.
const READ: usize = 64 << 10;

/// A handle on a connection.
pub(super) struct Connection {
    socket: Socket,
    state: Mutex<State>,
    /// What was read of the record of clears, on this connection: its `cas` means nothing to a server that was restarted.
    cleared: Mutex<Option<Arc<Reading>>>,
    /// So long an answer may take.
    timeout: Duration,
}

#[derive(Default)]
struct State {
    unsent: BytesMut,
    waiting: VecDeque<Waiting>,
    /// It is to end when no change is waited for.
    is_aside: bool,
    ended: Option<(ErrorKind, Box<str>)>,
    /// Wakes who reads.
    reader: Option<Waker>,
}

struct Waiting {
    replies: Vec<Reply>,
    missing: usize,
    changes: bool,
    sent: Instant,
    answer: oneshot::Sender<Result<Vec<Reply>>>,
}

impl State {
    /// Whether something can be sent. Not if what is asked first has waited for too long: its caller may have left before.
    fn is_open(&mut self, timeout: Duration) -> bool {
        if self.waiting.front().is_some_and(|first| first.sent.elapsed() > timeout) {
            self.put_aside();
        }
        self.ended.is_none() && !self.is_aside
    }

    fn put_aside(&mut self) {
        if !self.is_aside {
            self.is_aside = true;
            wake(self);
        }
    }

    fn awaits_changes(&self) -> bool {
        self.waiting.iter().any(|one| one.changes)
    }
}

/// The answer to a batch, which may be dropped.
pub(super) type Answer = oneshot::Receiver<Result<Vec<Reply>>>;

impl Connection {
    /// Begins to read, on this runtime, until it ends.
    pub(super) fn start(socket: Socket, decoder: Decoder, timeout: Duration) -> Arc<Self> {
        let connection = Arc::new(Self { socket, state: Mutex::default(), cleared: Mutex::default(), timeout });
        let reader = Reader { connection: Arc::clone(&connection), decoder, input: BytesMut::new() };
        tokio::spawn(reader.run());
        connection
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cleared(&self) -> MutexGuard<'_, Option<Arc<Reading>>> {
        self.cleared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something can be sent.
    pub(super) fn is_open(&self) -> bool {
        self.state().is_open(self.timeout)
    }

    /// Whether an answer to something that was sent and changes something is still to come.
    pub(super) fn awaits_changes(&self) -> bool {
        self.state().awaits_changes()
    }

    /// Sends nothing more; what was sent and changes something is waited for, since it may still be done.
    pub(super) fn put_aside(&self) {
        self.state().put_aside();
    }

    /// Ends it: nobody knows any more which answer is whose, those to changes included.
    pub(super) fn give_up(&self, why: &str) {
        self.end(ErrorKind::Protocol, why);
        self.put_aside();
    }

    /// Sends a batch.
    pub(super) fn send(&self, batch: &Batch) -> Result<Answer> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        if let Some((kind, why)) = &state.ended {
            return Err(Error::message(*kind, why.to_string()));
        }
        if !state.is_open(self.timeout) {
            return Err(Error::message(ErrorKind::Timeout, "the server does not answer"));
        }
        if state.unsent.len() > MAX_UNSENT || state.waiting.len() >= MAX_WAITING {
            return Err(Error::message(ErrorKind::Unavailable, "too much waits to be sent to the server"));
        }
        let missing = batch.replies();
        state.waiting.push_back(Waiting {
            replies: Vec::with_capacity(missing),
            missing,
            changes: batch.changes(),
            sent: Instant::now(),
            answer,
        });
        let mut rest = batch.bytes();
        if state.unsent.is_empty() {
            // Nobody is before it. An error is the reader's to find out.
            while let Ok(sent @ 1..) = self.socket.try_write(rest) {
                rest.advance(sent);
                if rest.is_empty() {
                    return Ok(answered);
                }
            }
        }
        state.unsent.extend_from_slice(rest);
        wake(&mut state);
        Ok(answered)
    }

    /// Ends it: who waits is told why.
    fn end(&self, kind: ErrorKind, why: &str) {
        let waiting = {
            let mut state = self.state();
            if state.ended.is_none() {
                state.ended = Some((kind, why.into()));
            }
            state.unsent = BytesMut::new();
            std::mem::take(&mut state.waiting)
        };
        for one in waiting {
            // Who does not wait any more need not be told.
            let _ = one.answer.send(Err(Error::message(kind, why.to_owned())));
        }
    }
}

fn wake(state: &mut State) {
    if let Some(reader) = state.reader.take() {
        reader.wake();
    }
}

/// Reads answers, and sends what could not be sent at once. It ends with its runtime, and the connection with it.
struct Reader {
    connection: Arc<Connection>,
    decoder: Decoder,
    input: BytesMut,
}

impl Reader {
    async fn run(mut self) {
        let ended = poll_fn(|context| self.poll(context)).await;
        self.connection.end(ended.0, &ended.1);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(ErrorKind, String)> {
        let lost = |error: io::Error| (ErrorKind::Connect, format!("the connection was lost: {error}"));
        if let Poll::Ready(Err(error)) = self.write(context) {
            return Poll::Ready(lost(error));
        }
        loop {
            if self.has_no_more_to_wait_for() {
                return Poll::Ready((ErrorKind::Timeout, "the server does not answer".to_owned()));
            }
            if let Err(error) = ready!(self.connection.socket.poll_read_ready(context)) {
                return Poll::Ready(lost(error));
            }
            self.input.reserve(READ);
            match self.connection.socket.try_read(&mut (&mut self.input).limit(READ)) {
                Ok(0) => return Poll::Ready((ErrorKind::Connect, "the server closed the connection".to_owned())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Poll::Ready(lost(error)),
            }
            if let Err(error) = self.read() {
                return Poll::Ready((error.kind(), error.text().to_owned()));
            }
        }
    }

    /// Sends what waits.
    fn write(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.connection.state();
        state.reader = Some(context.waker().clone());
        while !state.unsent.is_empty() {
            match self.connection.socket.try_write(&state.unsent) {
                Ok(sent) => state.unsent.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.connection.socket.poll_write_ready(context))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // What was large once is not kept.
        if state.unsent.capacity() > 4 * READ {
            state.unsent = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    fn has_no_more_to_wait_for(&self) -> bool {
        let state = self.connection.state();
        state.is_aside && !state.awaits_changes()
    }

    /// Hands on the answers that are there.
    fn read(&mut self) -> Result<()> {
        while let Some(reply) = self.decoder.next(&mut self.input)? {
            let broken = match &reply {
                Reply::Broken(why) => Some(why.clone()),
                _ => None,
            };
            let mut state = self.connection.state();
            let Some(first) = state.waiting.front_mut() else {
                return Err(Error::message(ErrorKind::Protocol, "an answer to what nobody asked"));
            };
            first.replies.push(reply);
            first.missing = first.missing.saturating_sub(1);
            if first.missing == 0 || broken.is_some() {
                if let Some(done) = state.waiting.pop_front() {
                    drop(state);
                    // Who does not wait any more need not be told.
                    let _ = done.answer.send(Ok(done.replies));
                }
            }
            if let Some(why) = broken {
                return Err(Error::message(ErrorKind::Protocol, format!("the server said \"{why}\"")));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.connection.end(ErrorKind::Connect, "the runtime of the connection has ended");
    }
}
