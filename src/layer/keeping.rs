//! What is kept of a response, be its body there at once or on its way.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header, response};
use http_body::Body;
use tokio::runtime::Handle;

use super::{
    body::{CacheBody, Rest},
    collect::{Collected, Collecting, Gathered, Limits, Unfit},
    date,
    origin::{Respond, Run},
    pipe,
    question::place,
    revalidate::Source,
    rules::is_negative,
};
use crate::{
    cache::{Core, FillContext, Lifetime},
    flight::Head,
    reason::NotStored,
    response::{Selecting, StoredResponse},
};

/// A run of the origin whose answer is to be kept, at least for those who wait.
pub(super) struct Keeping {
    pub(super) run: Box<Run>,
    pub(super) selecting: Selecting,
    /// When the head came, in UNIX milliseconds.
    pub(super) received: u64,
    /// `Err`: only for those who wait already.
    pub(super) lifetime: Result<Lifetime, NotStored>,
    /// Whether the body is that of the entry that is replaced.
    pub(super) is_renewed: bool,
}

impl Keeping {
    /// Reads what is there of a body.
    pub(super) async fn gather<B>(&self, source: Source<B>, announced: Option<u64>) -> Gathered<B>
    where
        B: Body<Data = Bytes>,
    {
        match source {
            Source::Origin(body) => {
                let collecting = Collecting::new(body, Limits { size: self.run.rules.max_body_size, announced });
                self.run.fill.context().clone().scope(collecting.gather()).await
            }
            Source::Kept(bytes) | Source::Doubtful(bytes) => Gathered::Complete(bytes),
        }
    }

    /// Answers with what was read, and what comes after it.
    pub(super) fn answer<B>(
        self,
        gathered: Gathered<B>,
        mut parts: response::Parts,
        announced: Option<u64>,
        respond: Respond,
    ) -> impl Future<Output = Response<CacheBody<B>>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Send,
    {
        let core = Arc::clone(&self.run.fill.cache().core);
        async move {
            match gathered {
                Gathered::Complete(bytes) => {
                    self.run.fill.settle_tags().await;
                    self.run.fill.hand_on(&FillContext::current());
                    // A framing of its own, as a handler that proxies may copy it, contradicts the length that is now
                    // known.
                    parts.headers.remove(header::TRANSFER_ENCODING);
                    let not_stored = self.lifetime.err();
                    if not_stored.is_none() {
                        self.run.rules.mark(parts.status, &mut parts.headers, &bytes);
                    }
                    let keep = self.keep(parts.status, &parts.headers, &bytes);
                    // What is still on its way counts as stored.
                    let stored = without_waiting(&core, keep).await.unwrap_or(Ok(()));
                    respond.with(parts, CacheBody::whole(bytes), not_stored.or(stored.err()))
                }
                Gathered::Unfit(read, rest, why) => {
                    without_waiting(&core, Box::pin(self.run.fill.pass(why.into()))).await;
                    respond.with(parts, CacheBody::begun(read, rest), Some(why.into()))
                }
                Gathered::Pending(collecting) => match Handle::try_current() {
                    Ok(runtime) => self.stream(&runtime, collecting, parts, announced, respond),
                    Err(_) => {
                        Box::pin(self.run.fill.pass(NotStored::NoRuntime)).await;
                        let body = CacheBody::begun(collecting.so_far(), Rest::Body(collecting.into_body()));
                        respond.with(parts, body, Some(NotStored::NoRuntime))
                    }
                },
            }
        }
    }

    /// Keeps a body that is there.
    fn keep(self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Work<Result<(), NotStored>> {
        let Self { run, selecting, received, lifetime, is_renewed } = self;
        let Run { rules, fill, asked, .. } = *run;
        let date = date::value(received);
        let new = if is_renewed { StoredResponse::renewed } else { StoredResponse::new };
        let response = new(status, headers, body, &date, selecting, &rules.slots);
        match lifetime {
            Err(reason) => Box::pin(async move {
                // There is nothing here any more: what is stale has no right to be served.
                if is_negative(status) {
                    fill.forget().await;
                }
                fill.share(response, reason).await;
                Ok(())
            }),
            Ok(lifetime) => Box::pin(fill.store(response, lifetime, move |primary, slot, response| {
                place(rules.hash, asked.asked(), lifetime.end(), primary, slot, response)
            })),
        }
    }

    /// Answers with what is there, and has a task collect the rest for the client and the cache.
    fn stream<B>(
        self,
        runtime: &Handle,
        collecting: Collecting<B>,
        parts: response::Parts,
        announced: Option<u64>,
        respond: Respond,
    ) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Send,
    {
        let so_far = collecting.so_far();
        let wait = announced.is_none().then_some(self.run.rules.body_wait);
        self.run.fill.publish(|| Head { answer: Arc::new(self.selecting.clone()), wait });
        let (client, frames) = pipe::pipe();
        client.write(&so_far);
        let not_stored = self.lifetime.err();
        let (status, mut headers) = (parts.status, parts.headers.clone());
        let core = Arc::clone(&self.run.fill.cache().core);
        let (patience, background) = (core.fill_timeout, core.background.clone());
        let outer = FillContext::current();
        background.spawn(runtime, None, async move {
            let collected = self.run.fill.context().clone().scope(collecting.run(&client, patience)).await;
            // Before its end is told: a fill around this one knows what it depends on when it has read all of it.
            self.run.fill.settle_tags().await;
            self.run.fill.hand_on(&outer);
            let rest = match collected {
                Collected::Whole(bytes) => {
                    self.run.rules.mark(status, &mut headers, &bytes);
                    without_waiting(&core, self.keep(status, &headers, &bytes)).await;
                    Rest::End
                }
                Collected::Unfit(rest, why) => {
                    without_waiting(&core, Box::pin(self.run.fill.pass(why.into()))).await;
                    rest
                }
                // The fill is dropped, and one of those who wait takes over.
                Collected::Abandoned => return,
            };
            client.finish(rest);
        });
        respond.with(parts, CacheBody::collected(frames), not_stored)
    }
}

/// What may have to be done in the background.
type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Does what can be done at once; a client does not wait for a backend that takes longer.
pub(super) async fn without_waiting<T: Send + 'static>(core: &Arc<Core>, mut work: Work<T>) -> Option<T> {
    if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        return Some(done);
    }
    match Handle::try_current() {
        Ok(runtime) => {
            core.background.spawn(&runtime, None, work);
            None
        }
        // Nobody else would go on with it.
        Err(_) => Some(work.await),
    }
}

impl From<Unfit> for NotStored {
    fn from(why: Unfit) -> Self {
        match why {
            Unfit::TooLarge => Self::TooLarge,
            Unfit::Incomplete => Self::Incomplete,
        }
    }
}
