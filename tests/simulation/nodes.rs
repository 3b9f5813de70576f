//! Processes that share a server: what they read through their caches, and how they purge it.

use std::{cell::Cell, future::Future, time::Duration};

use axum_caching::{
    Breaker, Cache, CacheBuilder, ErrorKind, Event, Memoizer, MemoryBackend, NotStored, Profile, Result, TieredBackend,
    testing::ManualClock,
};
use tokio::task_local;

use crate::{
    backend::Shared,
    backplane::{PURGE, Wire},
    live::Slow,
    page::Page,
    reach::Effect,
    rules::{ERROR, IDLE, STALE, TTL},
    setup::{Class, Keeps, Setup, Tier},
    subjects::{Call, Purge, ROWS, Subject},
    world::World,
};

task_local! {
    /// Whether what a reader was last told of is a fresh entry of what it reads.
    static FRESH: (Subject, Cell<bool>);
}

/// The origin failed.
#[derive(Debug)]
pub struct Failed;

#[derive(Clone)]
pub struct Node {
    pub id: usize,
    pub cache: Cache,
    pub clock: ManualClock,
    world: World,
    early: Memoizer<String>,
    late: Memoizer<String>,
    nested: Memoizer<String>,
    sliding: Memoizer<String>,
    page: Page,
}

impl Node {
    pub fn new(world: &World, id: usize, skew: i64, setup: &Setup) -> Self {
        let clock = ManualClock::new();
        clock.set(world.lock().table.now.saturating_add_signed(skew));
        let millis = Duration::from_millis;
        let profile = Profile::ttl(millis(TTL)).stale_while_revalidate(millis(STALE)).stale_if_error(millis(ERROR));
        let (server, others) = setup.patience();
        let told = world.clone();
        let cache = over(world, id, &clock, setup.keeps)
            .clock(clock.clock())
            .profile(profile)
            .backend_timeout(server)
            .max_wait(others)
            // It counts calls, and would hide what the faults of single ones do.
            .breaker(Breaker::off())
            .observer(move |event: &Event<'_>| hear(&told, id, event))
            .build();
        let (early, late, nested) = (cache.memoizer("early"), cache.memoizer("late"), cache.memoizer("nested"));
        let sliding = cache.memoizer("sliding").sliding(millis(IDLE));
        let page = Page::new(&cache);
        Self { id, cache, clock, world: world.clone(), early, late, nested, sliding, page }
    }

    /// Reads, and has what it was served judged.
    pub async fn read(self, call: Call) {
        let began = {
            let mut state = self.world.lock();
            let (step, now) = (state.step, state.table.now);
            state.tell(|| format!("{} reads {call:?}", self.id));
            state.rules.begin_read(self.id, call.subject, step, now)
        };
        let ask = async { (self.ask(call, began.step).await, FRESH.with(|(_, fresh)| fresh.get())) };
        let (answer, is_fresh) = FRESH.scope((call.subject, Cell::new(false)), ask).await;
        let mut state = self.world.lock();
        state.tell(|| format!("{} has read {:?}: {answer:?}, from a fresh entry: {is_fresh}", self.id, call.subject));
        if let Ok(value) = answer {
            let now = state.table.now;
            state.rules.end_read(self.id, call.subject, &began, &value, is_fresh, now);
        }
    }

    async fn ask(&self, call: Call, since: u64) -> Result<String, Failed> {
        let node = self.clone();
        let run = move || Box::pin(node.run(call, since));
        match (call.subject, call.is_owned) {
            (Subject::Key, true) => self.cache.try_get_or_compute_owned("key", Profile::new(), run).await,
            (Subject::Key, false) => self.cache.try_get_or_compute("key", Profile::new(), run).await,
            (Subject::Early, true) => self.early.at(&7).tags(["early"]).try_call_owned(run).await,
            (Subject::Early, false) => self.early.at(&7).tags(["early"]).try_call(run).await,
            (Subject::Late, true) => self.late.try_call_owned(&7, run).await,
            (Subject::Late, false) => self.late.try_call(&7, run).await,
            (Subject::Nested, true) => self.nested.try_call_owned(&7, run).await,
            (Subject::Nested, false) => self.nested.try_call(&7, run).await,
            (Subject::Sliding, true) => self.sliding.at(&7).tags(["sliding"]).try_call_owned(run).await,
            (Subject::Sliding, false) => self.sliding.at(&7).tags(["sliding"]).try_call(run).await,
            (Subject::Page | Subject::Beside, _) => self.page.get(self.clone(), call, since).await,
        }
    }

    /// The origin: it reads its row some time after it began, and ends some time after that.
    pub fn run(self, call: Call, since: u64) -> impl Future<Output = Result<String, Failed>> + Send {
        let subject = call.subject;
        async move {
            let running = Running::begin(&self, subject, since);
            let tag = |is_time: bool| {
                if subject == Subject::Late && is_time {
                    Memoizer::context().tag("late");
                }
            };
            tag(call.tags_first);
            self.world.point(self.id, format!("{}: row of {subject:?}", self.id)).await;
            let value = match subject {
                Subject::Nested => {
                    let inner = Call { subject: Subject::Late, ..call };
                    Box::pin(self.ask_inner(inner, since)).await?
                }
                _ => {
                    let row = self.world.lock().rules.row(subject);
                    format!("version={row} run={};", running.run)
                }
            };
            tag(!call.tags_first);
            self.world.point(self.id, format!("{}: end of {subject:?}", self.id)).await;
            if call.fails { Err(Failed) } else { Ok(value) }
        }
    }

    fn ask_inner(&self, call: Call, since: u64) -> impl Future<Output = Result<String, Failed>> + Send {
        let (node, late) = (self.clone(), self.late.clone());
        async move {
            let run = move || -> std::pin::Pin<Box<dyn Future<Output = Result<String, Failed>> + Send>> {
                Box::pin(node.run(call, since))
            };
            late.try_call(&7, run).await
        }
    }

    /// Commits, and purges some time after that. What was there when the purge began may not be served once it was
    /// acknowledged.
    pub async fn write(self, subject: Subject, how: Purge) {
        let version = self.world.lock().rules.commit(subject);
        self.world.tell(|| format!("{} commits {version} of {subject:?}", self.id));
        self.world.point(self.id, format!("{}: purges {subject:?}", self.id)).await;
        let (rows, purge) = {
            let mut state = self.world.lock();
            state.rules.begin_purge(self.id);
            state.tell(|| format!("{} begins {how:?} of {subject:?}", self.id));
            (state.rules.rows(), state.rules.reach.begin(self.id))
        };
        let ended = Purging(self.clone());
        let purged = PURGE.scope(purge, self.purge(subject, how)).await;
        drop(ended);
        let mut state = self.world.lock();
        state.tell(|| format!("{} has purged {how:?} of {subject:?}: {purged:?}", self.id));
        let now = state.table.now;
        let effect = match how {
            Purge::Clear => Effect::Gone(rows),
            Purge::Mark => state.rules.effect_of_mark(self.id, subject, &rows, now),
            Purge::One | Purge::All | Purge::Tag => {
                let mut gone = [0; ROWS];
                gone[subject.row()] = rows[subject.row()];
                Effect::Gone(gone)
            }
        };
        match purged {
            Ok(()) => state.rules.reach.done(purge, effect, now),
            Err(error) if error.kind() == ErrorKind::Connect => state.rules.reach.failed(purge, effect),
            Err(_) => {}
        }
    }

    async fn purge(&self, subject: Subject, how: Purge) -> Result<()> {
        let (memo, tag) = match subject {
            Subject::Early => (&self.early, "early"),
            Subject::Sliding => (&self.sliding, "sliding"),
            _ => (&self.late, "late"),
        };
        match (how, subject) {
            (Purge::Clear, _) => self.cache.clear().await,
            (Purge::Mark, Subject::Key) => self.cache.mark_stale("key").await.map(drop),
            (Purge::Mark, Subject::Sliding) => self.cache.mark_stale(&memo.make_cache_key(&7)?).await.map(drop),
            (Purge::Mark, Subject::Page) => self.cache.mark_stale_tag("page").await,
            (Purge::Mark, Subject::Beside) => self.cache.mark_stale("view//").await.map(drop),
            (Purge::Tag | Purge::All, Subject::Page | Subject::Beside) => self.cache.purge_tag("page").await,
            (Purge::One, Subject::Page | Subject::Beside) => self.cache.delete("view//").await.map(drop),
            (Purge::Mark, _) => self.cache.mark_stale_tag(tag).await,
            (Purge::One | Purge::Tag, Subject::Key) => self.cache.delete("key").await.map(drop),
            (Purge::All, Subject::Key) => self.cache.delete_many(["other", "key"]).await.map(drop),
            (Purge::One, _) => memo.delete_memoized_for(&7).await.map(drop),
            (Purge::All, _) => memo.delete_memoized().await,
            (Purge::Tag, _) => self.cache.purge_tag(tag).await,
        }
    }
}

fn over(world: &World, node: usize, clock: &ManualClock, keeps: Keeps) -> CacheBuilder {
    let server = |class: Class| Shared { world: world.clone(), node, class };
    let memory = || MemoryBackend::builder().clock(clock.clock()).build();
    match keeps {
        Keeps::Shared(class) => Cache::builder(server(class)),
        Keeps::Tiered(class, Tier { lag, tells }) => {
            let lag = Duration::from_millis(lag);
            let tiers = TieredBackend::builder(server(class)).lag(lag).max_bytes(1 << 20).max_entries(1_000);
            let wire = tells.then(|| Wire { world: world.clone(), node });
            Cache::builder(match wire {
                Some(wire) => tiers.backplane(wire).build(),
                None => tiers.build(),
            })
        }
        Keeps::Live { is_slow: true } => Cache::builder(Slow { memory: memory(), world: world.clone() }),
        Keeps::Live { is_slow: false } => Cache::builder(memory()),
    }
}

fn hear(world: &World, node: usize, event: &Event<'_>) {
    // In the task of the reader, who may be served by a fill that it is not a part of; then it is told of nothing.
    let served = |key: &str, is_fresh| {
        let _ = FRESH.try_with(|(subject, fresh)| {
            if key.starts_with(subject.key()) {
                fresh.set(is_fresh);
            }
        });
    };
    match event {
        Event::Hit { key } => served(key, true),
        Event::Stale { key } | Event::Miss { key, .. } | Event::Shared { key } => served(key, false),
        _ => {}
    }
    let mut state = world.lock();
    state.tell(|| format!("{node} {event:?}"));
    if let Event::NotStored { reason: NotStored::Refused, .. } = event {
        state.rules.refused += 1;
    }
}

/// A purge is over, also if its caller has gone away and it goes on in the background.
struct Purging(Node);

impl Drop for Purging {
    fn drop(&mut self) {
        let mut state = self.0.world.lock();
        let step = state.step;
        state.rules.end_purge(self.0.id, step);
    }
}

/// A run, until it ends or is dropped.
struct Running {
    world: World,
    run: usize,
}

impl Running {
    fn begin(node: &Node, subject: Subject, since: u64) -> Self {
        let mut state = node.world.lock();
        let now = state.table.now;
        let run = state.rules.begin_run(node.id, subject, since, now);
        state.tell(|| format!("{} run {run} of {subject:?} begins, of the call of step {since}", node.id));
        drop(state);
        Self { world: node.world.clone(), run }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        let now = state.table.now;
        state.rules.end_run(self.run, now);
    }
}
