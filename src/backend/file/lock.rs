//! Locks of files: the system takes them back when the process ends, however it does.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::Duration,
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, openat, statat},
    io::Errno,
};

use super::shard::Shard;

const NAME: &str = "lock";

/// So long a process waits for another one: that may be stopped, and work under a lock takes no time.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
const FIRST_WAIT: Duration = Duration::from_micros(20);
const LONGEST_WAIT: Duration = Duration::from_millis(4);

/// Keeps other processes from changing what a shard has.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held for its drop")] OwnedFd);

impl Lock {
    pub(super) fn take(shard: &Shard, patience: Duration) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let (mut wait, mut waited) = (FIRST_WAIT, Duration::ZERO);
        loop {
            let file = openat(&shard.dir, NAME, flags, Mode::RUSR | Mode::WUSR)?;
            while !try_lock(&file)? {
                if waited >= patience {
                    let text = format!("another process has held a lock for {patience:?}; is it stopped?");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, text));
                }
                pause(wait);
                waited += wait;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            // Whoever empties a directory by hand takes the file away from under those who have it.
            let (ours, there) = (fstat(&file)?, statat(&shard.dir, NAME, AtFlags::SYMLINK_NOFOLLOW));
            if there.is_ok_and(|there| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)) {
                return Ok(Self(file));
            }
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
