//! A miss: the inner service runs, its client is answered, and what may be kept is kept.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header, request, response};
use http_body::Body;
use tower_service::Service;

use super::{
    body::CacheBody,
    future::{Answer, Oneshot},
    keeping::{Keeping, without_waiting},
    late::Kept,
    nested::{Advice, Inside},
    revalidate::{ConditionalRefresh, Source, Stale},
    rules::{Rules, Use, Verdict, is_negative},
    service::finish,
    status::CacheStatus,
};
use crate::{
    cache::{Fill, FillContext, Lifetime},
    policy::{CachePolicy, Terms},
    reason::{MissReason, NotStored},
};

/// Runs the inner service for a fill.
pub(super) fn run<S, ReqBody, ResBody>(
    rules: Arc<Rules>,
    fill: Fill,
    inner: S,
    plan: Use,
    mut parts: request::Parts,
    body: ReqBody,
) -> impl Future<Output = Answer<ResBody, S::Error>>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Send,
{
    // In a box, as is what not every run needs, and not an `async fn`, which has room for each argument twice: a future
    // is moved with all of its room, which was a fifth of the cost of a miss.
    let mut run = Box::new(Run { asked: Kept::of(&rules, &parts, plan), rules, fill, sent: 0 });
    async move {
        let stale = run.prepare(&mut parts).await;
        let request = Request::from_parts(parts, body);
        run.sent = run.fill.cache().core.clock.now();
        // An error drops the fill, and one of those who wait takes over.
        let response = run.fill.context().clone().scope(Oneshot::new(inner, request)).await;
        let received = run.fill.cache().core.clock.now();
        let response = response.map(|response| run.heard(stale, response));
        run.fill.settle_tags().await;
        // A fill around this one depends on what the response was made of.
        run.fill.hand_on(&FillContext::current());
        let has_failed = response.as_ref().map_or(true, |response| response.status().is_server_error());
        if has_failed && run.fill.reason.may_fall_back() {
            let Run { rules, fill, asked, .. } = &*run;
            // In the background there is nobody to be served.
            let is_watched = fill.reason != MissReason::Refresh;
            let stale = if is_watched { Box::pin(asked.rescue(fill.cache(), rules, &fill.key)).await } else { None };
            if !is_watched || stale.is_some() {
                run.fill.fall_back(run.rules.profile.backoff());
                return stale.map_or_else(|| Ok(response?.map(Source::into_body)), |mut stale| Ok(stale.respond()));
            }
        }
        Ok(run.answer(response?, received).await)
    }
}

/// A run of the origin.
pub(super) struct Run {
    pub(super) rules: Arc<Rules>,
    pub(super) fill: Fill,
    pub(super) asked: Kept,
    /// When the origin was asked, in UNIX milliseconds.
    sent: u64,
}

/// What is done with a response.
enum Judged<B> {
    /// It is for this client alone.
    Pass(Box<Run>, response::Parts, Source<B>, NotStored),
    /// Its body is read. The number is how long it was said to be.
    Keep(Keeping, response::Parts, Source<B>, Option<u64>),
}

impl Run {
    /// Reads what has to be read before the origin runs, and asks it for the whole answer, whatever this client, or a
    /// cache further out, has already.
    async fn prepare(&mut self, parts: &mut request::Parts) -> Option<Stale> {
        let Self { rules, fill, .. } = self;
        fill.prepare().await;
        let tags = rules.tags_of(parts);
        if !tags.is_empty() {
            let keys: Vec<_> = tags.iter().map(|(kind, name)| fill.cache().tag_key(*kind, name)).collect();
            Box::pin(fill.read_tags(&keys)).await;
        }
        let stale = if rules.conditional_refresh { Box::pin(Stale::find(rules, fill, parts)).await } else { None };
        ask_for_the_whole(parts);
        if let Some(stale) = &stale {
            stale.ask(parts);
        }
        Inside::fill(&mut parts.extensions, fill.cache());
        stale
    }

    /// Takes down what was said of the entry, in the response and in the context of the fill, which holds where the
    /// response says nothing.
    fn heard<B>(&self, stale: Option<Stale>, mut response: Response<B>) -> Response<Source<B>> {
        let context = self.fill.context();
        if let Some(policy) = response.extensions().get::<CachePolicy>() {
            policy.names().iter().for_each(|tag| context.tag(tag.as_str()));
        }
        if let Some(profile) = context.noted_profile() {
            response.extensions_mut().get_or_insert_default::<CachePolicy>().add(profile);
        }
        self.rules.note_groups(&self.fill, || self.asked.origin(), response.headers());
        Source::of(&self.fill, stale, response)
    }

    fn judge<B>(self: Box<Self>, response: Response<Source<B>>, now: u64) -> Judged<B> {
        let (parts, source) = response.into_parts();
        let core = &self.fill.cache().core;
        let verdict = match source {
            Source::Doubtful(_) => Verdict::Pass(NotStored::Partial),
            _ => {
                let delay = Duration::from_millis(now.saturating_sub(self.sent));
                self.rules.of_response(&parts, self.asked.asked(), core.profile.ttl, now, delay)
            }
        };
        match verdict {
            Verdict::Pass(reason) => Judged::Pass(self, parts, source, reason),
            Verdict::Collect { keep, selecting, announced } => {
                let lifetime = |Terms { fresh, age, windows }| Lifetime { now, age, fresh, windows };
                let lifetime = keep.map(|terms| lifetime(terms).shortened(&self.rules.profile));
                let is_renewed = matches!(source, Source::Kept(_));
                let keeping = Keeping { run: self, selecting, received: now, lifetime, is_renewed };
                Judged::Keep(keeping, parts, source, announced)
            }
        }
    }

    /// Answers the client, and keeps what may be kept.
    fn answer<B>(
        self: Box<Self>,
        response: Response<Source<B>>,
        now: u64,
    ) -> impl Future<Output = Response<CacheBody<B>>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Send,
    {
        let is_nested = self.asked.plan.is_nested;
        let respond = Respond { rules: Arc::clone(&self.rules), reason: self.fill.reason, is_nested };
        let judged = self.judge(response, now);
        async move {
            match judged {
                Judged::Pass(run, parts, source, reason) => {
                    let core = Arc::clone(&run.fill.cache().core);
                    // There is nothing here any more, as in `Keeping::keep`, and a filter keeps it from the others.
                    let is_gone = reason == NotStored::Status && is_negative(parts.status);
                    if is_gone || matches!(source, Source::Doubtful(_)) {
                        Box::pin(run.fill.forget()).await;
                    }
                    without_waiting(&core, Box::pin(run.fill.pass(reason))).await;
                    respond.with(parts, source.into_body(), Some(reason))
                }
                Judged::Keep(keeping, parts, source, announced) => {
                    let gathered = keeping.gather(source, announced).await;
                    keeping.answer(gathered, parts, announced, respond).await
                }
            }
        }
    }
}

fn ask_for_the_whole(parts: &mut request::Parts) {
    if parts.headers.is_empty() {
        return;
    }
    let lines = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE].map(|name| parts.headers.remove(name));
    if lines.iter().any(Option::is_some) {
        parts.extensions.remove::<ConditionalRefresh>();
    }
}

/// Answers the client whose request ran the origin.
pub(super) struct Respond {
    rules: Arc<Rules>,
    reason: MissReason,
    is_nested: bool,
}

impl Respond {
    pub(super) fn with<B: Body>(
        self,
        mut parts: response::Parts,
        body: CacheBody<B>,
        not_stored: Option<NotStored>,
    ) -> Response<CacheBody<B>> {
        if self.is_nested {
            Advice::say(&self.rules, &mut parts);
        }
        let status = CacheStatus::Miss { reason: self.reason, not_stored };
        finish(Response::from_parts(parts, body), status, &self.rules)
    }
}
