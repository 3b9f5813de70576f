use std::fmt;

#[cfg(not(unix))]
use std::time::{SystemTime, UNIX_EPOCH};
#[cfg(feature = "testing")]
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Where the cache reads the time: UNIX time in milliseconds.
///
/// Every lifetime in this crate is a comparison with one reading of it. Clones read the same clock.
/// Tests use `testing::ManualClock`.
///
/// # Examples
///
/// ```
/// use axum_caching::Clock;
///
/// assert!(Clock::system().now() > 1_700_000_000_000);
/// ```
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    #[cfg(feature = "testing")]
    Manual(ManualClock),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Milliseconds since 1970-01-01, UTC.
    #[inline]
    pub fn now(&self) -> u64 {
        match &self.0 {
            Source::System => system_millis(),
            #[cfg(feature = "testing")]
            Source::Manual(clock) => clock.0.load(Ordering::Relaxed),
        }
    }
}

/// Each hit reads it, and what `SystemTime` does to say how long the epoch is ago costs twice the reading.
#[cfg(unix)]
#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::useless_conversion, reason = "the parts of a time have 32 bits on some systems")
)]
#[inline]
fn system_millis() -> u64 {
    // The only error is a clock that is not there, and this one is everywhere.
    let Ok(now) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME) else { return 0 };
    let (seconds, nanos) = (i64::from(now.tv_sec()), i64::from(now.tv_nsec()));
    // No clock is set to a year in which this wraps; before 1970 it is 1970.
    u64::try_from(seconds.wrapping_mul(1_000).wrapping_add(nanos / 1_000_000)).unwrap_or(0)
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
fn system_millis() -> u64 {
    // `as_millis` divides 128 bits, which costs as much as the reading.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().saturating_mul(1_000).saturating_add(since.subsec_millis().into()))
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock::system"),
            #[cfg(feature = "testing")]
            Source::Manual(clock) => write!(f, "Clock::manual({})", clock.now()),
        }
    }
}

/// A clock that stands still until it is told to move.
///
/// Clones are handles on the same clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use axum_caching::{Clock, testing::ManualClock};
///
/// let manual = ManualClock::new();
/// let clock: Clock = manual.clock();
/// let before = clock.now();
/// manual.advance(Duration::from_millis(1_500));
/// assert_eq!(clock.now(), before + 1_500);
/// ```
#[cfg(feature = "testing")]
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

#[cfg(feature = "testing")]
impl ManualClock {
    /// A clock that shows 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_767_225_600_000)))
    }

    /// The [`Clock`] that shows the time of this one.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.clone()))
    }

    /// Milliseconds since 1970-01-01, UTC.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Moves the clock forward; parts of a millisecond are dropped.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Sets the clock, backwards too, as the clock of a machine may jump.
    pub fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

#[cfg(feature = "testing")]
impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}
