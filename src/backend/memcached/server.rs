//! One server: its connections, and how something is said to it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    sync::{Mutex as Turn, MutexGuard as TurnGuard},
};

use super::{
    address::Address,
    connection::Connection,
    protocol::{Batch, Decoder, Reply, Wire},
    socket::Socket,
};
use crate::{
    error::{Error, ErrorKind, Result},
    timer::Bound,
};

/// So many connections may wait for the answers to changes while nothing else is heard from the server.
const MAX_ASIDE: usize = 8;

/// What connections have in common.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) wire: Wire,
    pub(super) log_in: Option<(Box<str>, Box<str>)>,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
    pub(super) connections: usize,
    /// The largest value that is taken from a server.
    pub(super) largest: usize,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: Address,
    settings: Settings,
    /// A connection lives on the runtime that made it, so each runtime has its own.
    places: Mutex<Vec<Place>>,
    next: AtomicUsize,
    aside: Mutex<Vec<Weak<Connection>>>,
    /// Who counts in one process waits here, and not at the server.
    turns: [Turn<()>; 64],
}

/// The connections of one runtime.
#[derive(Debug)]
struct Place {
    runtime: Id,
    lanes: Arc<[Lane]>,
}

#[derive(Debug, Default)]
struct Lane {
    now: Mutex<Option<Arc<Connection>>>,
    /// Whoever connects; it counts the attempts, so that those who waited for one share its outcome.
    turn: Turn<(usize, Option<(ErrorKind, String)>)>,
    attempts: AtomicUsize,
}

impl Lane {
    fn now(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Option<Arc<Connection>> {
        self.now().as_ref().filter(|connection| connection.is_open()).cloned()
    }
}

/// Its reader has the connection too, and would keep it.
impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(connection) = self.now().take() {
            connection.put_aside();
        }
    }
}

/// A connection that is put aside, unless it is wanted in the end: who makes it may leave before.
struct Unwanted<'a>(Option<&'a Connection>);

impl Drop for Unwanted<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            connection.put_aside();
        }
    }
}

impl Server {
    pub(super) fn new(address: Address, settings: Settings) -> Self {
        let turns = std::array::from_fn(|_| Turn::default());
        Self { address, settings, places: Mutex::default(), next: AtomicUsize::new(0), aside: Mutex::default(), turns }
    }

    /// The turn of who counts under a key. It may be held as long as this server hangs, and others are not held up.
    pub(super) async fn turn(&self, key: &str) -> TurnGuard<'_, ()> {
        let turn = key.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.turns[turn % self.turns.len()].lock().await
    }

    pub(super) fn batch(&self) -> Batch {
        Batch::new(self.settings.wire)
    }

    /// A connection that is open, or a new one.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>> {
        let runtime = Handle::try_current().map_err(|_| self.error(ErrorKind::Connect, "there is no tokio runtime"))?;
        let lanes = self.lanes(runtime.id());
        let lane = &lanes[self.next.fetch_add(1, Ordering::Relaxed) % lanes.len()];
        if let Some(connection) = lane.open() {
            return Ok(connection);
        }
        let began = lane.attempts.load(Ordering::Acquire);
        let mut turn = lane.turn.lock().await;
        if let Some(connection) = lane.open() {
            return Ok(connection);
        }
        if let (number, Some((kind, why))) = &*turn {
            // It began after this call did.
            if *number > began {
                return Err(Error::message(*kind, why.clone()));
            }
        }
        if let Some(last) = lane.now().take().filter(|last| last.awaits_changes()) {
            self.aside().push(Arc::downgrade(&last));
        }
        let number = lane.attempts.fetch_add(1, Ordering::AcqRel) + 1;
        let connected = self.connect().await;
        match connected {
            Ok(connection) => {
                *turn = (number, None);
                *lane.now() = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(error) => {
                *turn = (number, Some((error.kind(), error.text().to_owned())));
                Err(error)
            }
        }
    }

    fn lanes(&self, runtime: Id) -> Arc<[Lane]> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.iter().find(|place| place.runtime == runtime) {
            return Arc::clone(&place.lanes);
        }
        // Runtimes that have ended have closed their connections.
        places.retain(|place| {
            Arc::strong_count(&place.lanes) > 1 || place.lanes.iter().any(|lane| lane.open().is_some())
        });
        let lanes: Arc<[Lane]> = (0..self.settings.connections).map(|_| Lane::default()).collect();
        places.push(Place { runtime, lanes: Arc::clone(&lanes) });
        lanes
    }

    async fn connect(&self) -> Result<Arc<Connection>> {
        if self.aside().len() >= MAX_ASIDE {
            return Err(self.error(ErrorKind::Unavailable, "it has not answered for a while, and changes wait for it"));
        }
        let opened = Bound::new(self.settings.connect_timeout).over(Socket::connect(&self.address)).await;
        let opened = opened.ok_or_else(|| self.error(ErrorKind::Connect, "no connection in time"))?;
        let socket = opened.map_err(|error| self.error(ErrorKind::Connect, &error.to_string()))?;
        let connection =
            Connection::start(socket, Decoder::new(self.settings.wire, self.settings.largest), self.settings.timeout);
        let mut unwanted = Unwanted(Some(&connection));
        if let Some((username, password)) = &self.settings.log_in {
            let mut batch = self.batch();
            batch.log_in(username, password);
            let answered = self.ask(&connection, &batch).await;
            if !matches!(answered.as_deref(), Ok([Reply::Done(_)])) {
                let why = answered.err().map_or_else(|| "it said no".to_owned(), |error| error.text().to_owned());
                return Err(self.error(ErrorKind::Connect, &format!("username and password were not accepted: {why}")));
            }
        }
        unwanted.0 = None;
        drop(unwanted);
        Ok(connection)
    }

    /// Sends a batch and waits for its answers: for those to changes as long as the connection is there, since what was
    /// sent may still be done; for others as long as the time-out says.
    pub(super) async fn ask(&self, connection: &Arc<Connection>, batch: &Batch) -> Result<Vec<Reply>> {
        let mut answer = connection.send(batch).map_err(|error| self.about(&error))?;
        let answered = match Bound::new(self.settings.timeout).over(&mut answer).await {
            Some(answered) => answered,
            None => {
                connection.put_aside();
                if !batch.changes() {
                    return Err(self.error(ErrorKind::Timeout, "no answer in time"));
                }
                answer.await
            }
        };
        let replies = match answered {
            Ok(replies) => replies.map_err(|error| self.about(&error))?,
            Err(_) => return Err(self.error(ErrorKind::Connect, "the connection is gone")),
        };
        match replies.iter().find(|reply| matches!(reply, Reply::Broken(_) | Reply::Failed(_))) {
            Some(Reply::Broken(why)) if why.contains("unauthenticated") || &**why == "Auth failure." => {
                let why = format!("it wants a username and a password: \"{why}\"; see `MemcachedBackendBuilder::sasl`");
                Err(self.error(ErrorKind::Connect, &why))
            }
            Some(Reply::Broken(why)) => Err(self.error(ErrorKind::Protocol, &format!("it said \"{why}\""))),
            Some(Reply::Failed(why)) => Err(self.error(ErrorKind::Other, &format!("it said \"{why}\""))),
            _ => Ok(replies),
        }
    }

    /// Those that are still waited for.
    fn aside(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        aside.retain(|connection| connection.upgrade().is_some_and(|connection| connection.awaits_changes()));
        aside
    }

    pub(super) fn error(&self, kind: ErrorKind, why: &str) -> Error {
        Error::message(kind, format!("memcached at {}: {why}", self.address))
    }

    /// What it said that it should not have: it is too much, or its answers are not those to what was asked.
    pub(super) fn unexpected(&self, connection: &Connection, reply: &Reply) -> Error {
        let what = match reply {
            Reply::TooLarge(why) => return self.error(ErrorKind::TooLarge, &format!("it said \"{why}\"")),
            // Not a value of somebody's.
            Reply::Value(..) => "it answered a value that was not asked for".to_owned(),
            other => format!("it answered {other:?}"),
        };
        connection.give_up(&what);
        self.error(ErrorKind::Protocol, &what)
    }

    fn about(&self, error: &Error) -> Error {
        self.error(error.kind(), error.text())
    }
}

/// Never the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("wire", &self.wire)
            .field("logs_in", &self.log_in.is_some())
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
