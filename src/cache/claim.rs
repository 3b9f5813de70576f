//! A fill's place in the slot of its key, where other processes see it.
//!
//! In one process flights have tickets, which a purge takes away. Between processes that share a backend which compares
//! and sets, a fill remembers what the slot began with before its origin ran, the nonce of the entry or of a lease that it
//! put there, and stores only over that. A purge deletes the slot, and everything else that is stored there has another
//! nonce, which never comes back. What is not there is no token: absent, purged and absent looks the same.

use std::{sync::Arc, time::Duration};

use super::{Cache, Fill};
use crate::{
    error::Result,
    reason::MissReason,
    record::{Token, lease},
    stamps,
};

/// A lease is there for so long. A fill that takes longer is not stored.
const LEASE: Duration = Duration::from_secs(120);

impl Cache {
    /// What the slot of a key begins with, which is a lease if nothing is there. `None`: it cannot be had.
    async fn take_token(&self, primary: &Arc<str>, is_absent: bool) -> Result<Option<Token>> {
        if !is_absent {
            if let Some(value) = self.core.backend.get(primary).await? {
                return Ok(Token::of(&value));
            }
        }
        let (core, key, own) = (Arc::clone(&self.core), Arc::clone(primary), lease(stamps::fresh()));
        let put = own.clone();
        let add = async move { core.backend.add(&key, put, Some(LEASE)).await };
        if self.send(&mut self.core.bound(), add).await? {
            return Ok(Token::of(&own));
        }
        // Somebody else's will do: it was there before the data is read.
        Ok(self.core.backend.get(primary).await?.as_ref().and_then(Token::of))
    }
}

impl Fill {
    /// Whether other processes may fill the same key.
    pub(crate) fn has_others(&self) -> bool {
        let backend = &self.cache().core.backend;
        backend.compares() && !backend.keeps_live()
    }

    /// Takes a place that other processes see, before the origin runs. Without one nothing is stored.
    pub(crate) async fn take_place(&mut self) {
        let cache = self.cache().clone();
        let primary = Arc::clone(&self.key.primary);
        match cache.take_token(&primary, self.reason == MissReason::Absent).await {
            Ok(Some(token)) => self.token = Some(token),
            Ok(None) => self.context().refuse(),
            Err(error) => {
                cache.core.reporter.failed("claim", &error);
                self.context().refuse();
            }
        }
    }
}
