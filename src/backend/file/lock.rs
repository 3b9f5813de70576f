//! Locks of files: the system takes them back when the process ends, however it does.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, openat, statat},
    io::Errno,
};

use super::shard::Shard;

const NAME: &str = "lock";

/// So long a change waits for others, of this process and of another one: that may be stopped, and work under a lock
/// takes no time.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long where one has waited in vain: those who wait have places that changes elsewhere need.
const SHORT: Duration = Duration::from_millis(20);
const FIRST_WAIT: Duration = Duration::from_micros(20);
const LONGEST_WAIT: Duration = Duration::from_millis(4);

/// Keeps other processes from changing what a shard has.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held for its drop")] OwnedFd);

impl Lock {
    /// The lock, if nobody has it.
    pub(super) fn take_now(shard: &Shard) -> io::Result<Option<Self>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        loop {
            let file = openat(&shard.dir, NAME, flags, Mode::RUSR | Mode::WUSR)?;
            if !try_lock(&file)? {
                return Ok(None);
            }
            // Whoever empties a directory by hand takes the file away from under those who have it.
            let (ours, there) = (fstat(&file)?, statat(&shard.dir, NAME, AtFlags::SYMLINK_NOFOLLOW));
            if there.is_ok_and(|there| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)) {
                return Ok(Some(Self(file)));
            }
        }
    }
}

/// The time that a change has to wait for others, from its beginning on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience(Instant);

impl Patience {
    #[expect(clippy::disallowed_methods, reason = "a time-out, which no clock of a test can make pass")]
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Waits for the lock as long as is left.
    pub(super) fn take(self, shard: &Shard, is_in_vain: bool) -> io::Result<Lock> {
        let left = PATIENCE.saturating_sub(self.0.elapsed());
        let until = self.0.elapsed() + if is_in_vain { left.min(SHORT) } else { left };
        let mut wait = FIRST_WAIT;
        loop {
            if let Some(lock) = Lock::take_now(shard)? {
                return Ok(lock);
            }
            if self.0.elapsed() >= until {
                let text = "another process has a lock and does not give it up; is it stopped?";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            pause(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a lock of a file wakes nobody, unless it is waited for without an end")]
fn pause(wait: Duration) {
    thread::sleep(wait);
}

/// Locks a file for as long as it is open; `false` if somebody else has it.
pub(super) fn try_lock(file: impl AsFd) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether nobody has a file; from then on it is the caller's.
pub(super) fn is_free(file: impl AsFd) -> bool {
    try_lock(file).unwrap_or(false)
}
