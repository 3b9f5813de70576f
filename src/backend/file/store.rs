//! What the backend does, on a thread that may wait.

use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    folder::{Failure, Folder, is_full},
    format::{self, Entry},
    lock::{Lock, Patience},
    place::{Name, Place, SHARDS},
    shard::{Content, Shard, Used, weight},
    tally::{Tally, Turn},
    temp::Temp,
};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind, Result},
    ttl::deadline,
    value::Value,
};

/// So often something is tried whose directory is removed meanwhile.
const TRIES: usize = 3;

/// So often something is tried for which room is made: what one frees another may take.
const ROUNDS: usize = 8;

#[derive(Debug)]
pub(super) struct Store {
    pub(super) folder: Folder,
    pub(super) clock: Clock,
    pub(super) tally: Tally,
    pub(super) max_bytes: u64,
    pub(super) max_entries: u64,
    pub(super) sync: bool,
    /// Held by the one who makes room.
    pub(super) room: Mutex<()>,
    /// How often room was made on a full disk.
    pub(super) rounds: AtomicU64,
    /// The shard that is listed next.
    pub(super) next: AtomicUsize,
    /// Stores since one was listed.
    pub(super) stores: AtomicU64,
}

/// What is under the name of a key.
enum Found {
    Nothing,
    Expired,
    /// It is no entry, or another key's.
    Damaged,
    Live(Entry, Used),
}

impl Store {
    pub(super) fn get(&self, key: &str) -> Result<Option<Value>> {
        let place = Place::of(key);
        let now = self.clock.now();
        let found = self.folder.shard(place.shard).and_then(|shard| match shard {
            Some(shard) => self.look(&shard, place.name, key, now),
            None => Ok(Found::Nothing),
        });
        match found.map_err(|error| self.folder.broken(&error))? {
            Found::Nothing => Ok(None),
            dead @ (Found::Expired | Found::Damaged) => {
                if matches!(dead, Found::Damaged) {
                    self.tally.damaged.fetch_add(1, Ordering::Relaxed);
                }
                self.remove_dead(place, key, now);
                Ok(None)
            }
            Found::Live(entry, used) => {
                used.mark(now);
                Ok(Some(Value::from_bytes(entry.value)))
            }
        }
    }

    pub(super) fn set(&self, key: &str, value: &Value, ttl: Option<Duration>) -> Result<()> {
        self.put(key, value, ttl, |_| true).map(|_| ())
    }

    pub(super) fn add(&self, key: &str, value: &Value, ttl: Option<Duration>) -> Result<bool> {
        self.put(key, value, ttl, |entry| entry.is_none())
    }

    pub(super) fn compare_and_set(
        &self,
        key: &str,
        token: &[u8],
        value: &Value,
        ttl: Option<Duration>,
    ) -> Result<bool> {
        self.put(key, value, ttl, |entry| entry.is_some_and(|entry| entry.value.starts_with(token)))
    }

    /// Stores a value if what is there is right, which is looked at once before the work and once under the lock.
    fn put(
        &self,
        key: &str,
        value: &Value,
        ttl: Option<Duration>,
        is_right: impl Fn(Option<&Entry>) -> bool,
    ) -> Result<bool> {
        let place = Place::of(key);
        let now = self.clock.now();
        let expires = deadline(now, ttl);
        let bytes = format::encode(key, &value.to_bytes()?, expires)?;
        self.check_size(bytes.len())?;
        // What is right whatever is there need not be looked at.
        let any = is_right(None) && is_right(Some(&Entry { value: Bytes::new(), expires }));
        let is_right_now = |shard: &Shard| -> io::Result<bool> {
            Ok(any || is_right(self.look(shard, place.name, key, now)?.entry().as_ref()))
        };
        let stored = self.tried(bytes.len(), || {
            let shard = self.folder.make_shard(place.shard, self.sync)?;
            if !is_right_now(&shard)? {
                return Ok(false);
            }
            let temp = self.write(&shard, &bytes, now, expires)?;
            self.change(place.shard, &shard, |turn| {
                if !is_right_now(&shard)? {
                    return Ok(false);
                }
                self.replace(turn, &shard, place.name, temp, bytes.len())?;
                Ok(true)
            })
        })?;
        if stored {
            self.keep_bounds(place);
        }
        Ok(stored)
    }

    pub(super) fn increment(&self, key: &str, by: i64) -> Result<i64> {
        let place = Place::of(key);
        let now = self.clock.now();
        let sum = self.tried(0, || {
            let shard = self.folder.make_shard(place.shard, self.sync)?;
            self.change(place.shard, &shard, |turn| {
                let (sum, expires) = match self.look(&shard, place.name, key, now)?.entry() {
                    Some(entry) => (sum(entry.value, by)?, entry.expires),
                    None => (by, deadline(now, None)),
                };
                let bytes = format::encode(key, sum.to_string().as_bytes(), expires)?;
                self.check_size(bytes.len())?;
                let temp = self.write(&shard, &bytes, now, expires)?;
                self.replace(turn, &shard, place.name, temp, bytes.len())?;
                Ok(sum)
            })
        })?;
        self.keep_bounds(place);
        Ok(sum)
    }

    /// Removes what is there without being an entry of its key. It is absent whether it can be removed or not, so that
    /// nobody is waited for.
    fn remove_dead(&self, place: Place, key: &str, now: u64) {
        let Ok(Some(shard)) = self.folder.shard(place.shard) else { return };
        let Some(mut turn) = self.tally.turn_now(place.shard) else { return };
        let Ok(Some(_lock)) = Lock::take_now(&shard) else { return };
        if matches!(self.look(&shard, place.name, key, now), Ok(Found::Expired | Found::Damaged)) {
            let _ = unlink(&mut turn, &shard, place.name);
        }
    }

    /// Removes a key; says whether it was there and live.
    pub(super) fn delete(&self, key: &str) -> Result<bool> {
        let place = Place::of(key);
        let now = self.clock.now();
        self.tried(0, || {
            let Some(shard) = self.folder.shard(place.shard)? else { return Ok(false) };
            // Nothing is locked, or made, for what is not there.
            if shard.weight(&place.name)?.is_none() {
                // But it may come back: who removed it to make room did not wait for the disk.
                self.sync(&shard)?;
                return Ok(false);
            }
            self.change(place.shard, &shard, |turn| {
                let was_live = matches!(self.look(&shard, place.name, key, now)?, Found::Live(..));
                unlink(turn, &shard, place.name)?;
                self.sync(&shard)?;
                Ok(was_live)
            })
        })
    }

    /// Removes every key that begins with a prefix. What cannot be removed, or looked at, keeps nothing else from it.
    pub(super) fn clear(&self, prefix: &str) -> Result<()> {
        let cleared: Vec<_> = (0..SHARDS).map(|number| self.clear_shard(number, prefix)).collect();
        cleared.into_iter().collect()
    }

    fn clear_shard(&self, number: usize, prefix: &str) -> Result<()> {
        self.tried(0, || {
            let Some(shard) = self.folder.shard(number)? else { return Ok(()) };
            self.change(number, &shard, |turn| {
                let mut cleared = Ok(());
                for entry in shard.list()? {
                    let removed = has_prefix(&shard, entry.name, prefix)
                        .and_then(|is_meant| if is_meant { unlink(turn, &shard, entry.name) } else { Ok(false) });
                    cleared = cleared.and(removed.map(drop));
                }
                self.sync(&shard)?;
                Ok(cleared?)
            })
        })
    }

    fn look(&self, shard: &Shard, name: Name, key: &str, now: u64) -> io::Result<Found> {
        // A process with a lower bound takes what others wrote for no entry.
        Ok(match shard.read(&name, self.max_bytes)? {
            Content::Absent => Found::Nothing,
            Content::Unusable => Found::Damaged,
            Content::Bytes(bytes, used) => match format::decode(bytes, key) {
                None => Found::Damaged,
                Some(entry) if entry.expires <= now => Found::Expired,
                Some(entry) => Found::Live(entry, used),
            },
        })
    }

    fn write<'a>(&self, shard: &'a Shard, bytes: &[u8], now: u64, expires: u64) -> io::Result<Temp<'a>> {
        let temp = Temp::write(shard, bytes, now, expires)?;
        if self.sync {
            temp.sync()?;
        }
        Ok(temp)
    }

    fn replace(&self, turn: &mut Turn<'_>, shard: &Shard, name: Name, temp: Temp<'_>, length: usize) -> io::Result<()> {
        let old = shard.weight(&name)?;
        // Only a file is put aside; a link or the like is replaced.
        if old.is_some_and(|bytes| bytes > 0) {
            temp.exchange(&name)?;
        } else {
            temp.rename(&name)?;
        }
        turn.replaced(old, Some(weight(length as u64)));
        self.sync(shard)
    }

    fn sync(&self, shard: &Shard) -> io::Result<()> {
        if self.sync { shard.sync() } else { Ok(()) }
    }

    /// Changes a shard, while nobody else does: no thread of this process, and no other process.
    pub(super) fn change<T>(
        &self,
        number: usize,
        shard: &Shard,
        work: impl FnOnce(&mut Turn<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // Those who wait for their turn wait for the lock of another process too, which one of them waits for.
        let patience = Patience::begin();
        let mut turn = self.tally.turn(number);
        let _lock = match Lock::take_now(shard)? {
            Some(lock) => lock,
            None => {
                let was_in_vain = turn.is_held();
                turn.hold(true);
                patience.take(shard, was_in_vain)?
            }
        };
        turn.hold(false);
        work(&mut turn)
    }

    /// The same, if no process has to be waited for; `None` if one has.
    pub(super) fn change_soon<T>(
        &self,
        number: usize,
        shard: &Shard,
        work: impl FnOnce(&mut Turn<'_>) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let Some(mut turn) = self.tally.turn_soon(number) else { return Ok(None) };
        let Some(_lock) = Lock::take_now(shard)? else { return Ok(None) };
        work(&mut turn).map(Some)
    }

    /// Does something again whose directory was removed meanwhile, or that found no room for so many bytes.
    fn tried<T>(&self, bytes: usize, mut work: impl FnMut() -> Result<T, Failure>) -> Result<T> {
        let (mut tries, mut rounds) = (1, 0);
        loop {
            let seen = self.rounds.load(Ordering::Acquire);
            match work() {
                Ok(output) => return Ok(output),
                Err(Failure::Told(error)) => return Err(error),
                Err(Failure::Io(error)) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
                // A cache on a full disk has itself to give up first.
                Err(Failure::Io(error))
                    if is_full(&error) && rounds < ROUNDS && self.make_room_on_disk(bytes as u64, seen) =>
                {
                    rounds += 1;
                }
                Err(Failure::Io(error)) => return Err(self.folder.broken(&error)),
            }
        }
    }

    fn check_size(&self, length: usize) -> Result<()> {
        let bytes = weight(length as u64);
        if bytes <= self.max_bytes {
            return Ok(());
        }
        Err(Error::message(
            ErrorKind::TooLarge,
            format!(
                "a file of {bytes} bytes, and this FileBackend takes {} for all; see FileBackend::builder().max_bytes",
                self.max_bytes
            ),
        ))
    }
}

impl Found {
    fn entry(self) -> Option<Entry> {
        match self {
            Self::Live(entry, _) => Some(entry),
            _ => None,
        }
    }
}

/// Removes a file, and takes it from the count; says whether it was there.
pub(super) fn unlink(turn: &mut Turn<'_>, shard: &Shard, name: Name) -> io::Result<bool> {
    let old = shard.weight(&name)?;
    let was_there = shard.unlink(&name)?;
    if was_there {
        turn.replaced(old, None);
    }
    Ok(was_there)
}

fn has_prefix(shard: &Shard, name: Name, prefix: &str) -> io::Result<bool> {
    // What is damaged goes with everything.
    Ok(prefix.is_empty() || shard.read_key(&name)?.is_some_and(|(_, key)| key.starts_with(prefix.as_bytes())))
}

fn sum(value: Bytes, by: i64) -> Result<i64> {
    let Some(integer) = Value::from_bytes(value).as_integer() else {
        return Err(Error::message(ErrorKind::NotAnInteger, "the entry is another value; delete or set it first"));
    };
    integer
        .checked_add(by)
        .ok_or_else(|| Error::message(ErrorKind::NotAnInteger, format!("{integer} + {by} does not fit in 64 bits")))
}
