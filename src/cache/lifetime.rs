use std::time::Duration;

use crate::{
    profile::{Profile, Windows},
    stamps,
    ttl::deadline,
};

/// When a new record may be used, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// When the answer came, in UNIX milliseconds.
    pub(crate) now: u64,
    /// How old the answer was when it came.
    pub(crate) age: Duration,
    /// From now on; `None` is for ever.
    pub(crate) fresh: Option<Duration>,
    /// After that.
    pub(crate) windows: Windows,
}

impl Lifetime {
    /// That of an answer that comes now, shortened by chance if the profile says so.
    pub(crate) fn of(now: u64, fresh: Option<Duration>, windows: Windows, profile: &Profile) -> Self {
        Self { now, age: Duration::ZERO, fresh, windows }.shortened(profile)
    }

    pub(crate) fn shortened(self, profile: &Profile) -> Self {
        Self { fresh: self.fresh.map(|fresh| profile.shortened(fresh, stamps::draw)), ..self }
    }

    /// Fresh for `idle`, which its use moves on, and good if its origin fails for the rest of the time.
    pub(crate) fn sliding(self, idle: Duration) -> Self {
        let fresh = self.fresh.map_or(idle, |fresh| fresh.min(idle));
        let rest = self.fresh.map_or(Duration::MAX, |whole| whole.saturating_sub(fresh));
        Self { fresh: Some(fresh), windows: Windows { error: rest, ..Windows::default() }, ..self }
    }

    /// How long it is kept from now on, be it for its validators only; `None` is for ever.
    pub(super) fn kept(&self) -> Option<Duration> {
        let Windows { revalidate, error, keep } = self.windows;
        self.fresh.map(|fresh| fresh.saturating_add(revalidate.max(error).max(keep)))
    }

    /// When it may no longer be served, in UNIX milliseconds.
    pub(crate) fn end(&self) -> u64 {
        self.after(self.windows.revalidate.max(self.windows.error))
    }

    pub(super) fn after(&self, window: Duration) -> u64 {
        deadline(self.now, self.fresh.map(|fresh| fresh.saturating_add(window)))
    }
}
