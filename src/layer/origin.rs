//! A miss: the inner service runs, its client is answered, and what may be kept is kept.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header, request, response};
use http_body::Body;
use tokio::runtime::Handle;
use tower_service::Service;

use super::{
    body::{CacheBody, Rest},
    collect::{Collected, Collecting, Gathered, Limits, Unfit},
    date,
    future::{Answer, Oneshot},
    late::Kept,
    nested::Inside,
    pipe,
    question::place,
    revalidate::{ConditionalRefresh, Source, Stale},
    rules::{Rules, Use, Verdict, is_negative},
    service::finish,
    status::CacheStatus,
};
use crate::{
    cache::{Core, Fill, FillContext, Lifetime},
    flight::Head,
    policy::{CachePolicy, Terms},
    profile::Profile,
    reason::{MissReason, NotStored},
    response::{Selecting, StoredResponse},
};

/// Runs the inner service for a fill.
pub(super) async fn run<S, ReqBody, ResBody>(
    rules: Arc<Rules>,
    mut fill: Fill,
    inner: S,
    plan: Use,
    mut parts: request::Parts,
    body: ReqBody,
) -> Answer<ResBody, S::Error>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Send,
{
    let asked = Kept::of(&parts, plan);
    fill.prepare(rules.tags_of(&parts)).await;
    fill.read_tags(rules.sets.of(&parts)).await;
    // Boxed: a run that does not ask has no room for it.
    let stale = if rules.conditional_refresh { Box::pin(Stale::find(&rules, &fill, &parts)).await } else { None };
    ask_for_the_whole(&mut parts);
    if let Some(stale) = &stale {
        stale.ask(&mut parts);
    }
    Inside::fill(&mut parts.extensions, fill.cache());
    // An error drops the fill, and one of those who wait takes over.
    let response = fill.context().clone().scope(Oneshot::new(inner, Request::from_parts(parts, body))).await;
    if let Some(policy) = response.as_ref().ok().and_then(|response| response.extensions().get::<CachePolicy>()) {
        policy.names().iter().for_each(|tag| fill.context().tag(tag.as_str()));
    }
    let response = response.map(|response| noted(response, fill.context().noted_profile()));
    if let Ok(response) = &response {
        rules.note_groups(&fill, || asked.origin(), response.headers());
    }
    let response = response.map(|response| Source::of(&fill, stale, response));
    fill.settle_tags().await;
    // A fill around this one depends on what the response was made of.
    fill.hand_on(&FillContext::current());
    let has_failed = response.as_ref().map_or(true, |response| response.status().is_server_error());
    if has_failed && fill.reason.may_fall_back() {
        // In the background there is nobody to be served.
        let is_watched = fill.reason != MissReason::Refresh;
        let stale = if is_watched { asked.rescue(fill.cache(), &rules, &fill.key).await } else { None };
        if !is_watched || stale.is_some() {
            fill.fall_back(rules.profile.backoff());
            return stale.map_or_else(|| Ok(response?.map(Source::into_body)), |stale| Ok(stale.respond()));
        }
    }
    Ok(answer(&rules, fill, asked, response?).await)
}

/// What was said in the context of the fill holds where the response says nothing.
fn noted<B>(mut response: Response<B>, profile: Profile) -> Response<B> {
    if profile != Profile::default() {
        let policy = response.extensions_mut().get_or_insert_default::<CachePolicy>();
        policy.add(profile);
    }
    response
}

/// A run of the origin whose answer is to be kept, at least for those who wait.
struct Keeping {
    rules: Arc<Rules>,
    fill: Fill,
    asked: Kept,
    selecting: Selecting,
    /// When the head came, in UNIX milliseconds.
    received: u64,
    /// `Err`: only for those who wait already.
    lifetime: Result<Lifetime, NotStored>,
    /// Whether the body is that of the entry that is replaced.
    is_renewed: bool,
}

/// Asks for the whole answer, whatever this client, or a cache further out, has already.
fn ask_for_the_whole(parts: &mut request::Parts) {
    let lines = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE].map(|name| parts.headers.remove(name));
    if lines.iter().any(Option::is_some) {
        parts.extensions.remove::<ConditionalRefresh>();
    }
}

async fn answer<B>(rules: &Arc<Rules>, fill: Fill, asked: Kept, response: Response<Source<B>>) -> Response<CacheBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    let (mut parts, source) = response.into_parts();
    let respond = Respond { rules: Arc::clone(rules), reason: fill.reason };
    let core = &fill.cache().core;
    let now = core.clock.now();
    let verdict = match source {
        Source::Doubtful(_) => Verdict::Pass(NotStored::Partial),
        _ => rules.of_response(&parts, asked.asked(), core.profile.ttl, now),
    };
    let (selecting, lifetime, announced) = match verdict {
        Verdict::Pass(reason) => {
            let core = Arc::clone(core);
            if matches!(source, Source::Doubtful(_)) {
                fill.forget().await;
            }
            without_waiting(&core, fill.pass(reason)).await;
            return respond.with(parts, source.into_body(), Some(reason));
        }
        Verdict::Collect { keep, selecting, announced } => {
            let lifetime = |Terms { fresh, age, windows }| Lifetime { now, age, fresh, windows };
            (selecting, keep.map(|terms| lifetime(terms).shortened(&rules.profile)), announced)
        }
    };
    let is_renewed = matches!(source, Source::Kept(_));
    let keeping = Keeping { rules: Arc::clone(rules), fill, asked, selecting, received: now, lifetime, is_renewed };
    let gathered = match source {
        Source::Origin(body) => {
            let collecting = Collecting::new(body, Limits { size: rules.max_body_size, announced });
            keeping.fill.context().clone().scope(collecting.gather()).await
        }
        Source::Kept(bytes) | Source::Doubtful(bytes) => Gathered::Complete(bytes),
    };
    match gathered {
        Gathered::Complete(bytes) => {
            keeping.fill.settle_tags().await;
            keeping.fill.hand_on(&FillContext::current());
            // A framing of its own, as a handler that proxies may copy it, contradicts the length that is now known.
            parts.headers.remove(header::TRANSFER_ENCODING);
            let not_stored = keeping.lifetime.err();
            if not_stored.is_none() {
                keeping.rules.mark(parts.status, &mut parts.headers, &bytes);
            }
            let stored = keeping.keep_now(parts.status, &parts.headers, &bytes).await;
            respond.with(parts, CacheBody::whole(bytes), not_stored.or(stored.err()))
        }
        Gathered::Unfit(read, rest, why) => {
            let core = Arc::clone(&keeping.fill.cache().core);
            without_waiting(&core, keeping.fill.pass(why.into())).await;
            respond.with(parts, CacheBody::begun(read, rest), Some(why.into()))
        }
        Gathered::Pending(collecting) => keeping.stream(collecting, parts, announced, respond).await,
    }
}

impl Keeping {
    /// Keeps a body that is there.
    async fn keep_now(self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Result<(), NotStored> {
        let core = Arc::clone(&self.fill.cache().core);
        // What is still on its way counts as stored.
        without_waiting(&core, self.keep(status, headers, body)).await.unwrap_or(Ok(()))
    }

    fn keep(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> impl Future<Output = Result<(), NotStored>> + Send + 'static {
        let Self { rules, fill, asked, selecting, received, lifetime, is_renewed } = self;
        let date = date::value(received);
        let new = if is_renewed { StoredResponse::renewed } else { StoredResponse::new };
        let response = new(status, headers, body, &date, selecting, &rules.slots);
        async move {
            match lifetime {
                Err(reason) => {
                    // There is nothing here any more: what is stale has no right to be served.
                    if is_negative(status) {
                        fill.forget().await;
                    }
                    fill.share(response, reason).await;
                    Ok(())
                }
                Ok(lifetime) => {
                    let place = |primary: &str, slot: Option<&_>, response: &mut StoredResponse| {
                        place(rules.hash, asked.asked(), lifetime.end(), primary, slot, response)
                    };
                    fill.store(response, lifetime, place).await
                }
            }
        }
    }

    /// Answers with what is there, and has a task collect the rest for the client and the cache.
    async fn stream<B>(
        self,
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
        let Ok(runtime) = Handle::try_current() else {
            self.fill.pass(NotStored::NoRuntime).await;
            let body = CacheBody::begun(so_far, Rest::Body(collecting.into_body()));
            return respond.with(parts, body, Some(NotStored::NoRuntime));
        };
        let wait = announced.is_none().then_some(self.rules.body_wait);
        self.fill.publish(|| Head { answer: Arc::new(self.selecting.clone()), wait });
        let (client, frames) = pipe::pipe();
        client.write(&so_far);
        let not_stored = self.lifetime.err();
        let (status, mut headers) = (parts.status, parts.headers.clone());
        let core = Arc::clone(&self.fill.cache().core);
        let (patience, background) = (core.fill_timeout, core.background.clone());
        let outer = FillContext::current();
        background.spawn(&runtime, None, async move {
            let collected = self.fill.context().clone().scope(collecting.run(&client, patience)).await;
            // Before its end is told: a fill around this one knows what it depends on when it has read all of it.
            self.fill.settle_tags().await;
            self.fill.hand_on(&outer);
            let rest = match collected {
                Collected::Whole(bytes) => {
                    self.rules.mark(status, &mut headers, &bytes);
                    without_waiting(&core, self.keep(status, &headers, &bytes)).await;
                    Rest::End
                }
                Collected::Unfit(rest, why) => {
                    without_waiting(&core, self.fill.pass(why.into())).await;
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

/// Does what can be done at once; a client does not wait for a backend that takes longer.
async fn without_waiting<T: Send + 'static>(
    core: &Arc<Core>,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let mut work = Box::pin(work);
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

/// Answers the client whose request ran the origin.
struct Respond {
    rules: Arc<Rules>,
    reason: MissReason,
}

impl Respond {
    fn with<B: Body>(
        self,
        parts: response::Parts,
        body: CacheBody<B>,
        not_stored: Option<NotStored>,
    ) -> Response<CacheBody<B>> {
        let status = CacheStatus::Miss { reason: self.reason, not_stored };
        finish(Response::from_parts(parts, body), status, &self.rules)
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
