use std::time::Duration;

/// How long an entry stays fresh (`timeout` in Flask-Caching).
///
/// There is no magic number: zero seconds is [`DontStore`](Ttl::DontStore), not "for ever", and a negative
/// lifetime cannot be written down.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use axum_caching::Ttl;
///
/// assert_eq!(Ttl::from(Duration::from_secs(50)), Ttl::For(Duration::from_secs(50)));
/// assert_eq!(Ttl::default(), Ttl::Default);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "timeout")]
pub enum Ttl {
    /// What the next wider level says: the layer, then the cache, whose default is 300 seconds.
    #[default]
    Default,
    /// This long, exact to the millisecond. `Duration::ZERO` means [`DontStore`](Ttl::DontStore).
    For(Duration),
    /// Until it is deleted or evicted.
    Forever,
    /// Not at all.
    DontStore,
}

impl From<Duration> for Ttl {
    fn from(duration: Duration) -> Self {
        Self::For(duration)
    }
}

impl Ttl {
    /// This, or what the wider level says if this says nothing.
    pub(crate) fn or(self, wider: Self) -> Self {
        match self {
            Self::Default => wider,
            own => own,
        }
    }

    /// The shorter of the two; a level that says nothing does not count.
    pub(crate) fn min(self, other: Self) -> Self {
        match (self, other) {
            (Self::Default, only) | (only, Self::Default) => only,
            (Self::DontStore, _) | (_, Self::DontStore) => Self::DontStore,
            (Self::Forever, bound) | (bound, Self::Forever) => bound,
            (Self::For(one), Self::For(two)) => Self::For(one.min(two)),
        }
    }

    /// The lifetime for a backend: `None` is "do not store", `Some(None)` is "no end".
    ///
    /// A level that says nothing is the business of the caller: it counts as "no end" here.
    #[expect(clippy::option_option, reason = "whether to store, and whether there is an end, are two questions")]
    pub(crate) fn lifetime(self) -> Option<Option<Duration>> {
        match self {
            Self::DontStore => None,
            Self::For(duration) if duration.is_zero() => None,
            // Whole milliseconds, so that a backend which counts in them does not end it before the record does.
            Self::For(duration) => Some(Some(Duration::from_millis(millis(duration)))),
            Self::Default | Self::Forever => Some(None),
        }
    }
}

/// The end of a lifetime that begins now, in UNIX milliseconds; `u64::MAX` is never.
pub(crate) fn deadline(now: u64, lifetime: Option<Duration>) -> u64 {
    lifetime.map_or(u64::MAX, |lifetime| now.saturating_add(millis(lifetime)))
}

/// Rounded up: an entry never lives shorter than was asked for.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Ttl = Ttl::For(Duration::from_secs(1));
    const LONG: Ttl = Ttl::For(Duration::from_secs(9));

    #[test]
    fn the_smaller_lifetime_wins_and_silence_does_not_count() {
        assert_eq!(SHORT.min(LONG), SHORT);
        assert_eq!(Ttl::Forever.min(LONG), LONG);
        assert_eq!(Ttl::Default.min(LONG), LONG);
        assert_eq!(Ttl::DontStore.min(LONG), Ttl::DontStore);
        assert_eq!(Ttl::Default.min(Ttl::Default), Ttl::Default);
    }

    #[test]
    fn zero_is_not_stored_and_never_means_for_ever() {
        assert_eq!(Ttl::For(Duration::ZERO).lifetime(), None);
        assert_eq!(Ttl::Forever.lifetime(), Some(None));
    }

    #[test]
    fn a_deadline_is_rounded_up_and_does_not_overflow() {
        assert_eq!(deadline(1_000, Some(Duration::from_nanos(1))), 1_001);
        assert_eq!(deadline(1_000, Some(Duration::MAX)), u64::MAX);
        assert_eq!(deadline(1_000, None), u64::MAX);
    }
}
