//! The commands that a server may lack, by its age, by `rename-command` or by the rights of the user, and what is done
//! without them.

use std::{
    fmt,
    sync::atomic::{AtomicU8, Ordering},
};

/// A command that can be done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    /// Without it: no compare-and-set.
    Eval,
    /// Without it: `EVAL`, which sends the script each time.
    EvalSha,
    /// Without it: `DEL`, which frees large values at once.
    Unlink,
    /// Without it: no `clear`.
    Scan,
    /// Without it: one `GET` for each key, in one go.
    MGet,
    /// Without it: `GET`.
    Exists,
    /// Without it: no `increment`.
    IncrBy,
    /// Without it, where it is asked for: the nodes do not hear of each other.
    Tracking,
}

const ALL: [Rung; 8] =
    [Rung::Eval, Rung::EvalSha, Rung::Unlink, Rung::Scan, Rung::MGet, Rung::Exists, Rung::IncrBy, Rung::Tracking];

impl Rung {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Eval => "EVAL",
            Self::EvalSha => "EVALSHA",
            Self::Unlink => "UNLINK",
            Self::Scan => "SCAN",
            Self::MGet => "MGET",
            Self::Exists => "EXISTS",
            Self::IncrBy => "INCRBY",
            Self::Tracking => "CLIENT TRACKING",
        }
    }

    #[cfg(feature = "tracing")]
    const fn instead(self) -> &'static str {
        match self {
            Self::Eval => "each entry depends on a small record beside its key, one more call a hit",
            Self::EvalSha => "the script is sent each time",
            Self::Unlink => "DEL is used",
            Self::Scan => "`clear` is not supported",
            Self::MGet | Self::Exists => "GET is used",
            Self::IncrBy => "`increment` is not supported",
            Self::Tracking => "nodes do not hear of each other, and their copies lag",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What the server was seen to lack. It is looked at anew with each connection.
#[derive(Default)]
pub(super) struct Rungs(AtomicU8);

impl Rungs {
    pub(super) fn has(&self, rung: Rung) -> bool {
        self.0.load(Ordering::Relaxed) & rung.bit() == 0
    }

    /// Remembers that a command was refused, and says so once.
    pub(super) fn lacks(&self, rung: Rung) {
        let before = self.0.fetch_or(rung.bit(), Ordering::Relaxed);
        if before & rung.bit() == 0 {
            #[cfg(feature = "tracing")]
            tracing::warn!(
                target: "axum_caching",
                command = rung.name(),
                instead = rung.instead(),
                "the Redis server lacks a command, or its user may not run it"
            );
        }
    }

    /// A command that was lacking is there again, after a failover or a change of the user's rights.
    pub(super) fn regained(&self, rung: Rung) {
        self.0.fetch_and(!rung.bit(), Ordering::Relaxed);
    }

    pub(super) fn lacking(&self) -> Vec<&'static str> {
        ALL.into_iter().filter(|rung| !self.has(*rung)).map(Rung::name).collect()
    }
}

impl fmt::Debug for Rungs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lacking()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_can_come_back() {
        let rungs = Rungs::default();
        assert!(ALL.into_iter().all(|rung| rungs.has(rung)));
        rungs.lacks(Rung::Eval);
        rungs.lacks(Rung::Unlink);
        assert_eq!(rungs.lacking(), ["EVAL", "UNLINK"]);
        rungs.regained(Rung::Eval);
        assert_eq!(rungs.lacking(), ["UNLINK"]);
        assert!(rungs.has(Rung::Eval) && !rungs.has(Rung::Unlink) && rungs.has(Rung::IncrBy));
    }
}
