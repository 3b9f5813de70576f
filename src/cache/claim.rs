//! A fill's place in the slot of its key, where other processes see it.
//!
//! In one process flights have tickets, which a purge takes away. Between processes that share a backend which compares
//! and sets, a fill remembers what the slot began with before its origin ran, the nonce of the entry or of a lease that it
//! put there, and stores only over that. A purge deletes the slot, and everything else that is stored there has another
//! nonce, which never comes back. What is not there is no token: absent, purged and absent looks the same.
//!
//! Where the backend does not compare, a fill depends on a record beside its key, a guard, as on a tag: it reads the
//! stamp before its origin runs, its entry carries it, and whoever changes the key deletes the record after that. A
//! fill may still overwrite what is newer, but what it stores is dead on arrival. That costs each hit one more call.

use std::{sync::Arc, time::Duration};

use super::{Cache, Fill, tags::Kind};
use crate::{
    error::Result,
    reason::{MissReason, NotStored},
    record::{Carried, Token, lease},
    stamps,
};

/// A lease is there for so long after runs that nobody waits for are given up. A fill that takes longer is not stored.
const GRACE: Duration = Duration::from_secs(60);

/// What tells a fill whether another process has changed its key.
#[derive(Debug)]
pub(super) enum Claim {
    /// What the slot of the key began with.
    Token(Token),
    /// The stamp beside the key.
    Guard(Carried),
}

impl Claim {
    pub(super) fn token(&self) -> Option<Token> {
        match self {
            Self::Token(token) => Some(*token),
            Self::Guard(_) => None,
        }
    }

    pub(super) fn guard(&self) -> Option<&Carried> {
        match self {
            Self::Token(_) => None,
            Self::Guard(carried) => Some(carried),
        }
    }
}

impl Cache {
    /// Whether keys have guards.
    pub(super) fn has_guards(&self) -> bool {
        let backend = &self.core.backend;
        !backend.keeps_live() && backend.is_shared() && !backend.compares()
    }

    /// What is made of the result of a key depends on the same record: both go with that result.
    fn guard_of(&self, primary: &str) -> Arc<str> {
        self.tag_key(Kind::Result, primary)
    }

    /// Tells fills of other processes that a key was changed, once it was.
    pub(super) async fn break_guard(&self, primary: &str) -> Result<()> {
        if self.has_guards() {
            self.core.backend.delete(&self.guard_of(primary)).await?;
        }
        Ok(())
    }

    /// What the slot of a key begins with, which is a lease if nothing is there. `None`: it cannot be had.
    async fn take_token(&self, primary: &Arc<str>, is_absent: bool) -> Result<Option<Token>> {
        if !is_absent {
            if let Some(value) = self.core.backend.get_through(primary).await? {
                return Ok(Token::of(&value));
            }
        }
        let (core, key, own) = (Arc::clone(&self.core), Arc::clone(primary), lease(stamps::fresh()));
        let (put, lifetime) = (own.clone(), core.fill_timeout.saturating_add(GRACE));
        let add = async move { core.backend.add(&key, put, Some(lifetime)).await };
        if self.send(&mut self.core.bound(), add).await? {
            return Ok(Token::of(&own));
        }
        // Somebody else's will do: it was there before the data is read.
        Ok(self.core.backend.get_through(primary).await?.as_ref().and_then(Token::of))
    }
}

impl Fill {
    /// Whether other processes may fill the same key.
    pub(crate) fn has_others(&self) -> bool {
        let backend = &self.cache().core.backend;
        !backend.keeps_live() && (backend.compares() || backend.is_shared())
    }

    /// Takes a place that other processes see, before the origin runs. Without one nothing is stored.
    pub(crate) async fn take_place(&mut self) {
        let cache = self.cache().clone();
        let primary = Arc::clone(&self.key.primary);
        let claim = if self.reason == MissReason::Backend {
            // It has just failed, and is not waited for once more.
            Err(NotStored::Backend)
        } else if cache.has_guards() {
            cache.read_tag(&cache.guard_of(&primary)).await.map(Claim::Guard)
        } else {
            let token = cache.take_token(&primary, self.reason == MissReason::Absent).await;
            let token = token.map_err(|error| {
                cache.core.reporter.failed("claim", &error);
                NotStored::Backend
            });
            token.and_then(|token| token.map(Claim::Token).ok_or(NotStored::Refused))
        };
        match claim {
            Ok(claim) => self.claim = Some(claim),
            Err(why) => self.context().refuse(why),
        }
    }
}
