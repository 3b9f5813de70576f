//! Commands under the stamps of now: each batch looks at the record of clears too, and is made anew if that has changed.

use std::sync::Arc;

use super::{
    clears::{Clears, RECORD, Reading},
    connection::Connection,
    protocol::{About, Batch, Mode, Reply, Stored, WireKey},
    server::Server,
};
use crate::{
    error::{ErrorKind, Result},
    stamps::fresh,
};

/// So often a batch is made anew. Each time somebody cleared the server meanwhile, or its record was evicted.
pub(super) const ATTEMPTS: usize = 64;

/// What commands are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To look: once more, if the connection is lost meanwhile.
    Read,
    /// To take away: where nothing was ever stored, there is nothing to do.
    Delete,
    Store,
}

/// What was answered, and where.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) replies: Vec<Reply>,
    pub(super) reading: Arc<Reading>,
    pub(super) connection: Arc<Connection>,
}

/// What one attempt came to.
enum Once {
    Answered(Answered),
    /// There is no record of clears.
    Empty,
    Cleared,
}

impl Answered {
    /// The only reply, or the last of several.
    pub(super) fn last(&mut self) -> Reply {
        self.replies.pop().unwrap_or(Reply::Absent)
    }
}

impl Server {
    /// Sends what `fill` writes. `None`: nothing can be there, since the server has no record of clears.
    pub(super) async fn stamped(
        &self,
        purpose: Purpose,
        fill: impl Fn(&Clears, &mut Batch),
    ) -> Result<Option<Answered>> {
        let (mut lost, mut connection) = (purpose != Purpose::Read, None);
        for _ in 0..ATTEMPTS {
            let asked = self.stamped_once(&mut connection, purpose, &fill).await;
            match asked {
                Ok(Once::Answered(answered)) => return Ok(Some(answered)),
                Ok(Once::Empty) => return Ok(None),
                Ok(Once::Cleared) => {}
                Err(error) if error.kind() == ErrorKind::Connect && !lost => (lost, connection) = (true, None),
                Err(error) => return Err(error),
            }
        }
        Err(self.error(ErrorKind::Other, "it was cleared with each attempt"))
    }

    /// Stays on its connection, which knows of the clear that it found out about.
    async fn stamped_once(
        &self,
        connection: &mut Option<Arc<Connection>>,
        purpose: Purpose,
        fill: impl Fn(&Clears, &mut Batch),
    ) -> Result<Once> {
        let connection = match connection.take_if(|connection| connection.is_open()) {
            Some(open) => connection.insert(open),
            None => connection.insert(self.connection().await?),
        };
        let Some(reading) = self.reading(connection, purpose).await? else { return Ok(Once::Empty) };
        Ok(match self.stamped_on(connection, &reading, fill).await? {
            Some(replies) => Once::Answered(Answered { replies, reading, connection: Arc::clone(connection) }),
            None => Once::Cleared,
        })
    }

    /// The same, on this connection and under this reading, as a `cas` needs it. `None`: it was cleared meanwhile, and
    /// what was done is out of reach, or the connection is not used any more, and nothing was done.
    pub(super) async fn stamped_on(
        &self,
        connection: &Arc<Connection>,
        reading: &Arc<Reading>,
        fill: impl Fn(&Clears, &mut Batch),
    ) -> Result<Option<Vec<Reply>>> {
        if !connection.is_open() {
            return Ok(None);
        }
        let mut batch = self.batch();
        fill(&reading.clears, &mut batch);
        // Last: what is done before is done under stamps that were those of now.
        batch.look(WireKey::plain(RECORD));
        let mut replies = self.ask(connection, &batch).await?;
        let is_same = |about: About| about.cas == reading.cas && about.flags == reading.flags;
        match replies.pop() {
            Some(Reply::Done(about) | Reply::Value(about, _)) if is_same(about) => Ok(Some(replies)),
            Some(Reply::Done(_) | Reply::Value(..) | Reply::Absent) => {
                connection.cleared().take_if(|known| Arc::ptr_eq(known, reading));
                Ok(None)
            }
            other => Err(self.unexpected(connection, &other.unwrap_or(Reply::Absent))),
        }
    }

    /// The record of clears, as this connection knows it.
    async fn reading(&self, connection: &Arc<Connection>, purpose: Purpose) -> Result<Option<Arc<Reading>>> {
        for _ in 0..ATTEMPTS {
            let known = connection.cleared().clone();
            if known.is_some() {
                return Ok(known);
            }
            let mode = match self.read_record(connection).await? {
                (Some(reading), _) => {
                    let reading = Arc::new(reading);
                    *connection.cleared() = Some(Arc::clone(&reading));
                    return Ok(Some(reading));
                }
                _ if purpose != Purpose::Store => return Ok(None),
                (None, None) => Mode::IfAbsent,
                (None, Some(cas)) => Mode::IfStill(cas),
            };
            self.write_record(connection, mode, &Clears::new()).await?;
        }
        Err(self.error(ErrorKind::Other, "its record of clears does not stay; it may be too small"))
    }

    /// What the record says, and the `cas` of what is there.
    async fn read_record(&self, connection: &Arc<Connection>) -> Result<(Option<Reading>, Option<u64>)> {
        let mut batch = self.batch();
        batch.get(WireKey::plain(RECORD));
        Ok(match self.ask(connection, &batch).await?.pop() {
            Some(Reply::Value(About { cas: 0, .. }, _)) => {
                return Err(self.error(ErrorKind::Unsupported, "it was started with `-C`, and compares nothing"));
            }
            Some(Reply::Value(About { cas, flags, .. }, bytes)) => {
                (Clears::read(bytes).map(|clears| Reading { clears, cas, flags }), Some(cas))
            }
            Some(Reply::Absent) => (None, None),
            // A purge is done where there is no record, so that nothing else counts as none.
            other => return Err(self.unexpected(connection, &other.unwrap_or(Reply::Absent))),
        })
    }

    /// Says whether it was written.
    async fn write_record(&self, connection: &Arc<Connection>, mode: Mode, clears: &Clears) -> Result<bool> {
        let (body, mut batch) = (clears.write(), self.batch());
        // The flags tell one record from the next, beside the `cas`. They are the lower half of a random number.
        let flags = u32::try_from(fresh() & u64::from(u32::MAX)).unwrap_or_default();
        batch.set(WireKey::plain(RECORD), mode, &Stored { head: &[], body: &body, flags, expires: 0 });
        match self.ask(connection, &batch).await?.pop() {
            Some(Reply::Done(_)) => Ok(true),
            Some(Reply::Refused | Reply::Absent) => Ok(false),
            other => Err(self.unexpected(connection, &other.unwrap_or(Reply::Absent))),
        }
    }

    /// Puts everything on this server whose key begins with a prefix out of reach.
    pub(super) async fn clear(&self, prefix: &str) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let connection = self.connection().await?;
            let (clears, cas) = match self.read_record(&connection).await? {
                // No entry has stamps that could come back.
                (_, None) => return Ok(()),
                (Some(reading), Some(cas)) => (reading.clears.after(prefix), cas),
                (None, Some(cas)) => (Clears::new(), cas),
            };
            if self.write_record(&connection, Mode::IfStill(cas), &clears).await? {
                return Ok(());
            }
        }
        Err(self.error(ErrorKind::Other, "others cleared it with each attempt"))
    }
}
