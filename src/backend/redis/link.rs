//! The way to a server: it connects when it is first asked, and again when the connection is gone.
//!
//! A connection belongs to the runtime that drives it. A cache in a `static` is used from several, one after another or
//! at the same time, so there is one for each.

use std::{
    borrow::Cow,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::Duration,
};

use redis::{Cmd, RedisError, Value};
#[cfg(feature = "memory")]
use redis::{PushInfo, RedisResult, aio::MultiplexedConnection};
use tokio::{
    runtime::{self, Handle},
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    fault, probe,
    rungs::Rungs,
    source::{Source, Waits},
    wire::{Wait, Wire},
};
use crate::{
    error::{Error, ErrorKind, Result},
    stamps,
};

/// The wait after the first attempt that failed. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A connection that did not live so long counts as an attempt that failed.
const STABLE: Duration = Duration::from_millis(500);

pub(super) struct Link {
    source: Source,
    waits: Waits,
    /// What the server lacks; `None` where nobody wants to know.
    rungs: Option<Arc<Rungs>>,
    places: RwLock<Vec<Place>>,
}

/// What one runtime has.
struct Place {
    runtime: runtime::Id,
    failures: u32,
    state: State,
}

enum State {
    Idle,
    Connecting(watch::Receiver<Option<Outcome>>),
    Up(Wire),
    Down { until: Instant, why: Why },
}

type Outcome = Result<Wire, Why>;

/// Why there is no connection, for all who ask.
#[derive(Clone, Debug)]
pub(super) struct Why(ErrorKind, Cow<'static, str>);

impl Link {
    pub(super) fn new(source: Source, waits: Waits, rungs: Option<Arc<Rungs>>) -> Arc<Self> {
        Arc::new(Self { source, waits, rungs, places: RwLock::default() })
    }

    /// Asks for something that changes nothing. It is asked again if the connection was lost meanwhile.
    pub(super) async fn read(self: &Arc<Self>, command: &Cmd) -> Result<Result<Value, RedisError>> {
        let wire = self.wire().await?;
        match wire.ask(command, Wait::Bounded).await {
            Err(error) if wire.is_gone() && !wire.is_cluster() && !error.is_timeout() => {
                Ok(self.wire().await?.ask(command, Wait::Bounded).await)
            }
            answer => Ok(answer),
        }
    }

    pub(super) async fn write(self: &Arc<Self>, command: &Cmd) -> Result<Result<Value, RedisError>> {
        Ok(self.wire().await?.ask(command, Wait::Unbounded).await)
    }

    /// The connection of this runtime, made if there is none.
    pub(super) async fn wire(self: &Arc<Self>) -> Result<Wire> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(Error::message(ErrorKind::Config, "Redis is asked on a tokio runtime; there is none here"));
        };
        if let Some(wire) = self.wire_at_hand(runtime.id()) {
            return Ok(wire);
        }
        let mut waiting = match self.look(&runtime) {
            Ok(wire) => return Ok(wire),
            Err(Ok(waiting)) => waiting,
            Err(Err(error)) => return Err(error),
        };
        match waiting.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(wire))) => Ok(wire.clone()),
            Ok(Some(Err(why))) => Err(why.error(None)),
            _ => Err(interrupted().error(None)),
        }
    }

    /// The connection of this runtime, if there is one now; if there is none, it is made meanwhile.
    pub(super) fn wire_now(self: &Arc<Self>) -> Option<Wire> {
        let runtime = Handle::try_current().ok()?;
        self.wire_at_hand(runtime.id()).or_else(|| self.look(&runtime).ok())
    }

    /// The connection, if there is one that is well, which is what nearly all calls find.
    fn wire_at_hand(&self, id: runtime::Id) -> Option<Wire> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        match places.iter().find(|place| place.runtime == id) {
            Some(Place { failures: 0, state: State::Up(wire), .. }) if !wire.is_gone() => Some(wire.clone()),
            _ => None,
        }
    }

    /// The connection; or what it will come from; or why there is none for now.
    fn look(self: &Arc<Self>, runtime: &Handle) -> Result<Wire, Result<watch::Receiver<Option<Outcome>>, Error>> {
        let id = runtime.id();
        let mut places = self.places();
        let at = match places.iter().position(|place| place.runtime == id) {
            Some(at) => at,
            None => {
                places.retain(Place::is_of_use);
                places.push(Place { runtime: id, failures: 0, state: State::Idle });
                places.len() - 1
            }
        };
        let place = &mut places[at];
        let now = Instant::now();
        match &place.state {
            State::Up(wire) if !wire.is_gone() => {
                let wire = wire.clone();
                if place.failures > 0 && wire.age() >= STABLE {
                    place.failures = 0;
                }
                return Ok(wire);
            }
            State::Up(wire) if wire.age() < STABLE => {
                place.failed(Why(ErrorKind::Connect, "the connection was closed as soon as it was there".into()));
            }
            State::Connecting(waiting) => {
                if waiting.has_changed().is_ok() || waiting.borrow().is_some() {
                    return Err(Ok(waiting.clone()));
                }
            }
            State::Idle | State::Up(_) | State::Down { .. } => {}
        }
        if let State::Down { until, why } = &place.state {
            if *until > now {
                return Err(Err(why.error(Some(*until - now))));
            }
        }
        let (tell, waiting) = watch::channel(None);
        place.state = State::Connecting(waiting.clone());
        drop(places);
        let attempt = Attempt { link: Arc::clone(self), runtime: id, tell: Some(tell) };
        // In a task of its own, so that a caller that goes away does not take the attempt with it.
        drop(runtime.spawn(attempt.make()));
        Err(Ok(waiting))
    }

    /// A connection that hands on what the server says unasked.
    #[cfg(feature = "memory")]
    pub(super) async fn listening(
        &self,
        push: impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static,
    ) -> RedisResult<MultiplexedConnection> {
        let limit = self.waits.connect.saturating_mul(self.source.steps());
        let connected = timeout(limit, self.source.listening(self.waits, push)).await;
        connected.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    #[cfg(feature = "memory")]
    pub(super) fn is_of_cluster(&self) -> bool {
        matches!(self.source, Source::Cluster(..))
    }

    /// How long an answer may take.
    #[cfg(feature = "memory")]
    pub(super) fn patience(&self) -> Duration {
        self.waits.response
    }

    fn places(&self) -> RwLockWriteGuard<'_, Vec<Place>> {
        // A panic under this lock is not possible; if it was, each place is still in one of its states.
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Outcome {
        let limit = self.waits.connect.saturating_mul(self.source.steps());
        let connected = timeout(limit, self.source.connect(self.waits)).await;
        let wire = match connected {
            Ok(Ok(wire)) => wire,
            Ok(Err(error)) => {
                let (kind, text) = fault::connecting(&error);
                return Err(Why(kind, text));
            }
            Err(_) => return Err(Why(ErrorKind::Connect, "it was not ready in time".into())),
        };
        if let Some(rungs) = &self.rungs {
            if let Err(text) = probe::look(&wire, rungs, self.waits.connect).await {
                return Err(Why(ErrorKind::Connect, text.into()));
            }
        }
        Ok(wire)
    }
}

impl Place {
    /// A runtime that has ended leaves nothing behind.
    fn is_of_use(&self) -> bool {
        match &self.state {
            State::Up(wire) => !wire.is_gone(),
            State::Connecting(waiting) => waiting.has_changed().is_ok(),
            State::Idle => false,
            State::Down { until, .. } => *until > Instant::now(),
        }
    }

    fn failed(&mut self, why: Why) {
        self.failures = self.failures.saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
        // Not all at once, where there are many processes.
        let pause = pause.mul_f64(0.5 + 0.5 * stamps::draw());
        self.state = State::Down { until: Instant::now() + pause, why };
    }
}

/// An attempt to connect. Dropped before its end, with its runtime or by a panic, it has failed.
struct Attempt {
    link: Arc<Link>,
    runtime: runtime::Id,
    tell: Option<watch::Sender<Option<Outcome>>>,
}

impl Attempt {
    async fn make(mut self) {
        let outcome = self.link.connect().await;
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        let Some(tell) = self.tell.take() else { return };
        {
            let mut places = self.link.places();
            if let Some(place) = places.iter_mut().find(|place| place.runtime == self.runtime) {
                match &outcome {
                    Ok(wire) => place.state = State::Up(wire.clone()),
                    Err(why) => place.failed(why.clone()),
                }
            }
        }
        tell.send_replace(Some(outcome));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end(Err(interrupted()));
    }
}

fn interrupted() -> Why {
    Why(ErrorKind::Connect, "connecting was interrupted: it needs a tokio runtime with I/O and time".into())
}

impl Why {
    fn error(&self, pause: Option<Duration>) -> Error {
        match pause {
            Some(pause) => Error::message(self.0, format!("{}; it is tried again in {} ms", self.1, pause.as_millis())),
            None => Error::message(self.0, self.1.clone()),
        }
    }
}
