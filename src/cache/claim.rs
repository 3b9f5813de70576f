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

use bytes::Bytes;

use super::{Cache, Fill, elsewhere::Held, tags::Kind};
use crate::{
    error::Result,
    reason::{MissReason, NotStored},
    record::{Carried, Token, lease},
    stamps,
};

/// A lease is there for so long after runs that nobody waits for are given up. A fill that takes longer is not stored.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// What tells a fill whether another process has changed its key.
#[derive(Debug)]
pub(super) enum Claim {
    /// What the slot of the key began with.
    Token(Token),
    /// A lease of this fill, for whose end others may wait.
    Held(Held),
    /// The stamp beside the key.
    Guard(Carried),
}

impl Claim {
    pub(super) fn token(&self) -> Option<Token> {
        match self {
            Self::Token(token) => Some(*token),
            Self::Held(held) => Some(held.token),
            Self::Guard(_) => None,
        }
    }

    /// The lease that somebody else has taken, and not ended.
    pub(super) fn lease_of_another(&self) -> Option<Token> {
        match self {
            Self::Token(token) => Some(*token).filter(|token| token.is_held()),
            Self::Held(_) | Self::Guard(_) => None,
        }
    }

    /// Its lease is not in the slot any more, or never was.
    pub(super) fn is_over(&mut self) {
        if let Self::Held(held) = self {
            held.is_over();
        }
    }

    pub(super) fn guard(&self) -> Option<&Carried> {
        match self {
            Self::Token(_) | Self::Held(_) => None,
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

    /// Whether this is what an entry of that key depends on where keys have guards.
    pub(super) fn is_guard(&self, carried: &Carried, primary: &str) -> bool {
        matches!(carried, Carried::Tag { key, .. } if *key == self.guard_of(primary))
    }

    /// Tells fills of other processes that a key was changed, once it was.
    pub(super) async fn break_guard(&self, primary: &str) -> Result<()> {
        if self.has_guards() {
            self.core.backend.delete(&self.guard_of(primary)).await?;
        }
        Ok(())
    }

    /// What the slot of a key begins with, which is a lease if nothing is there. `None`: it cannot be had.
    async fn take_token(&self, primary: &Arc<str>, reason: MissReason) -> Result<Option<Claim>> {
        let backend = &self.core.backend;
        let found = if reason == MissReason::Absent { None } else { backend.get_through(primary).await? };
        let claim = match found {
            None => self.take_lease(primary, None).await?,
            Some(found) => match Token::of(&found) {
                Some(token) => return Ok(Some(Claim::Token(token))),
                // An integer, or what somebody else wrote. If it is of no use it makes room.
                None if is_useless(reason) => self.take_lease(primary, Some(found.to_bytes()?)).await?,
                None => return Ok(None),
            },
        };
        if claim.is_some() {
            return Ok(claim);
        }
        // Somebody else's will do: it was there before the data is read.
        Ok(backend.get_through(primary).await?.as_ref().and_then(Token::of).map(Claim::Token))
    }

    /// Puts a lease into the slot, if there is nothing, or still what is to make room.
    async fn take_lease(&self, primary: &Arc<str>, over: Option<Bytes>) -> Result<Option<Claim>> {
        let (core, key, own) = (Arc::clone(&self.core), Arc::clone(primary), lease(stamps::fresh()));
        let lifetime = Some(core.fill_timeout.saturating_add(GRACE));
        // Made before it is sent: whoever goes away meanwhile ends the lease all the same.
        let mut claim = Token::of(&own).map(|token| self.own(primary, token));
        let take = async move {
            let is_taken = match over {
                None => core.backend.add(&key, own, lifetime).await?,
                Some(over) => core.backend.compare_and_set(&key, &over, own, lifetime).await?,
            };
            if !is_taken {
                if let Some(mut claim) = claim.take() {
                    claim.is_over();
                }
            }
            Ok(claim)
        };
        self.send(&mut self.core.bound(), take).await
    }

    /// Others are told of the end of a lease where they may wait for it.
    fn own(&self, primary: &Arc<str>, token: Token) -> Claim {
        match self.waits_elsewhere() {
            Some(_) => Claim::Held(Held::new(&self.core, primary, token)),
            None => Claim::Token(token),
        }
    }

    /// What tells later whether another process has changed the key; `reason` is why nothing was found there.
    pub(super) async fn take_claim(&self, primary: &Arc<str>, reason: MissReason) -> Result<Claim, NotStored> {
        if reason == MissReason::Backend {
            // It has just failed, and is not waited for once more.
            return Err(NotStored::Backend);
        }
        if self.has_guards() {
            return self.read_tag(&self.guard_of(primary)).await.map(Claim::Guard);
        }
        match self.take_token(primary, reason).await {
            Ok(claim) => claim.ok_or(NotStored::Refused),
            Err(error) => {
                self.core.reporter.failed("claim", &error);
                Err(NotStored::Backend)
            }
        }
    }
}

/// Whether what is in the slot is of no use to anybody who asks so.
fn is_useless(reason: MissReason) -> bool {
    matches!(reason, MissReason::Unreadable | MissReason::IsStale | MissReason::Collision)
}

impl Fill {
    /// Whether other processes may fill the same key.
    pub(crate) fn has_others(&self) -> bool {
        let backend = &self.cache().core.backend;
        !backend.keeps_live() && (backend.compares() || backend.is_shared())
    }

    /// Takes a place that other processes see, before the origin runs. Without one nothing is stored.
    pub(crate) async fn take_place(&mut self) {
        // It may have one, where it waited for those who had it.
        if self.claim.is_none() && !self.context.is_refused() {
            let claim = self.cache.take_claim(&self.key.primary, self.reason).await;
            self.settle(claim);
        }
    }

    pub(super) fn settle(&mut self, claim: Result<Claim, NotStored>) {
        match claim {
            Ok(claim) => self.claim = Some(claim),
            Err(why) => self.context.refuse(why),
        }
    }
}
