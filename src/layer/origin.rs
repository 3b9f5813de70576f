//! A miss: the inner service runs, its client is answered, and what may be kept is kept.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header, request, response};
use http_body::Body;
use tokio::{runtime::Handle, sync::mpsc};
use tower_service::Service;

use super::{
    body::{CacheBody, Part, Rest},
    collect::{Collected, Collecting, Gathered, Limits, Unfit},
    future::{Answer, Oneshot},
    question::{Inside, place},
    rules::{Rules, Verdict, announced},
    service::finish,
    status::CacheStatus,
};
use crate::{
    cache::{Fill, Lifetime},
    flight::Head,
    reason::{MissReason, NotStored},
    response::{Asked, StoredResponse},
};

/// What of the request is still needed when the response comes.
#[derive(Clone)]
struct Kept {
    headers: HeaderMap,
    uri: Uri,
}

impl Kept {
    fn asked(&self) -> Asked<'_> {
        Asked { headers: &self.headers, uri: &self.uri }
    }
}

/// Runs the inner service for a fill.
pub(super) async fn run<S, ReqBody, ResBody>(
    rules: Arc<Rules>,
    fill: Fill,
    inner: S,
    mut parts: request::Parts,
    body: ReqBody,
) -> Answer<ResBody, S::Error>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Send,
{
    let kept = Kept { headers: parts.headers.clone(), uri: parts.uri.clone() };
    // The whole answer is wanted, whatever this client has already.
    parts.headers.remove(header::IF_NONE_MATCH);
    parts.headers.remove(header::IF_MODIFIED_SINCE);
    Inside::enter(&mut parts.extensions, fill.cache());
    // An error drops the fill, and one of those who wait takes over.
    let response = Oneshot::new(inner, Request::from_parts(parts, body)).await?;
    Ok(Reply { rules, reason: fill.reason, kept }.answer(fill, response).await)
}

struct Reply {
    rules: Arc<Rules>,
    reason: MissReason,
    kept: Kept,
}

/// A body that is to be kept, and how.
struct Keep {
    fill: Fill,
    /// Still without its body.
    stored: StoredResponse,
    /// `Err`: only for those who wait already.
    lifetime: Result<Lifetime, NotStored>,
}

impl Reply {
    async fn answer<B>(self, fill: Fill, response: Response<B>) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Send,
    {
        let (parts, body) = response.into_parts();
        let core = &fill.cache().core;
        let now = core.clock.now();
        let verdict = self.rules.of_response(&parts, self.kept.asked(), core.ttl, now);
        let (selecting, lifetime) = match verdict {
            Verdict::Pass(reason) => {
                fill.pass(reason).await;
                return self.respond(parts, CacheBody::inner(body), Some(reason));
            }
            Verdict::Share { selecting, reason } => (selecting, Err(reason)),
            Verdict::Keep { fresh, age, selecting } => {
                // What names the variants outlives its own representation, so that they stay reachable.
                let kept = fresh.map(|fresh| if selecting.is_varied() { fresh.saturating_mul(2) } else { fresh });
                (selecting, Ok(Lifetime { age, fresh, kept }))
            }
        };
        let limits = Limits { size: self.rules.max_body_size, announced: announced(&parts.headers) };
        let stored = StoredResponse::new(&parts, selecting, &self.rules.slots, || date(now));
        let keep = Keep { fill, stored, lifetime };
        let not_stored = keep.lifetime.err();
        match Collecting::new(body, limits).gather().await {
            Gathered::Complete(bytes) => {
                let whole = CacheBody::whole(bytes.clone());
                let stored = self.keep_now(keep, bytes).await;
                self.respond(parts, whole, not_stored.or(stored.err()))
            }
            Gathered::Unfit(read, rest, why) => {
                let reason = reason(why);
                keep.fill.pass(reason).await;
                self.respond(parts, CacheBody::begun(read, rest), Some(reason))
            }
            Gathered::Pending(collecting) => self.stream(keep, collecting, parts).await,
        }
    }

    /// Keeps a body that is there, and does not let the client wait for a backend that does not answer at once.
    async fn keep_now(&self, keep: Keep, bytes: Bytes) -> Result<(), NotStored> {
        let cache = keep.fill.cache().clone();
        let mut storing = Some(cache.handover(keep.store(Arc::clone(&self.rules), self.kept.clone(), bytes)));
        poll_fn(|context| {
            let mut future = storing.take().expect("ready at the first poll");
            Poll::Ready(match Pin::new(&mut future).poll(context) {
                Poll::Ready(stored) => stored,
                // Dropped here, it goes on in the background.
                Poll::Pending => Ok(()),
            })
        })
        .await
    }

    /// Answers with what is there, and has a task collect the rest for the client and the cache.
    async fn stream<B>(self, keep: Keep, collecting: Collecting<B>, parts: response::Parts) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Send,
    {
        let so_far = collecting.so_far();
        let Ok(runtime) = Handle::try_current() else {
            keep.fill.pass(NotStored::NoRuntime).await;
            let body = CacheBody::begun(so_far, Rest::Body(collecting.into_body()));
            return self.respond(parts, body, Some(NotStored::NoRuntime));
        };
        let wait = announced(&parts.headers).is_none().then_some(self.rules.body_wait);
        let answer = Arc::new(keep.stored.selecting().clone());
        keep.fill.publish(|| Head { answer, wait });
        let (client, frames) = mpsc::unbounded_channel();
        if !so_far.is_empty() {
            // The receiver is at hand: this cannot fail.
            let _ = client.send(Part::Data(so_far));
        }
        let not_stored = keep.lifetime.err();
        let core = Arc::clone(&keep.fill.cache().core);
        let (rules, kept, patience) = (Arc::clone(&self.rules), self.kept.clone(), core.fill_timeout);
        core.background.spawn(&runtime, None, async move {
            let rest = match collecting.run(&client, patience).await {
                Collected::Whole(bytes) => {
                    let _ = keep.store(rules, kept, bytes).await;
                    Rest::End
                }
                Collected::Unfit(rest, why) => {
                    keep.fill.pass(reason(why)).await;
                    rest
                }
                // The fill is dropped, and one of those who wait takes over.
                Collected::Abandoned => return,
            };
            let _ = client.send(Part::Rest(rest));
        });
        self.respond(parts, CacheBody::collected(frames), not_stored)
    }

    fn respond<B: Body>(
        &self,
        parts: response::Parts,
        body: CacheBody<B>,
        not_stored: Option<NotStored>,
    ) -> Response<CacheBody<B>> {
        let status = CacheStatus::Miss { reason: self.reason, not_stored };
        finish(Response::from_parts(parts, body), status, &self.rules)
    }
}

impl Keep {
    async fn store(self, rules: Arc<Rules>, kept: Kept, bytes: Bytes) -> Result<(), NotStored> {
        let payload = self.stored.with_body(&bytes);
        match self.lifetime {
            Err(reason) => {
                self.fill.share(payload, reason);
                Ok(())
            }
            Ok(lifetime) => {
                let place = |primary: &str, slot: Option<&_>, payload: &mut StoredResponse| {
                    place(rules.hash, kept.asked(), primary, slot, payload)
                };
                self.fill.store(payload, lifetime, place).await.map(drop)
            }
        }
    }
}

fn reason(why: Unfit) -> NotStored {
    match why {
        Unfit::TooLarge => NotStored::TooLarge,
        Unfit::Incomplete => NotStored::Incomplete,
    }
}

/// The time of receipt (RFC 9110 §6.6.1). `now` in UNIX milliseconds.
fn date(now: u64) -> HeaderValue {
    let at = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(now));
    // Years of five digits are no HTTP date, and no date a clock should show.
    let at = at.filter(|_| now < 253_402_300_800_000).unwrap_or(std::time::UNIX_EPOCH);
    HeaderValue::try_from(httpdate::fmt_http_date(at)).expect("a date is ASCII")
}
