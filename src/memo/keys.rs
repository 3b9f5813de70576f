//! How a call becomes a key.
//!
//! ```text
//! key := scope "memo/" name [ "#name=" length ] [ part ] [ "@" instance ] args
//! ```

use std::sync::Arc;

use serde::Serialize;

use super::{Memoizer, Shared};
use crate::{
    cache::{Kind, OwnedKey},
    error::{Error, ErrorKind, Result},
    key::{Key, MAX_KEY, MAX_TEXT, OPEN, Scope, write_after_open},
    profile::Profile,
};

impl<T> Shared<T> {
    /// Works out what follows from the settings.
    pub(super) fn settle(&mut self, scope: &Scope, cache: &Profile) {
        self.profile = self.own.or(*cache);
        self.early = self.profile.early();
        let mut lead = Key::default();
        scope.begin("memo/", &mut lead);
        lead.backend.push(&self.name);
        // Where a name could be taken for more than a name, its length says where it ends.
        if self.name.contains(['(', '#', '@']) {
            lead.backend.push("#name=");
            lead.backend.push_number(self.name.len());
        }
        if let Some(made) = &self.made {
            lead.part("as", made);
        }
        if let Some(version) = &self.version {
            lead.part("version", version);
        }
        if let Some(instance) = &self.instance {
            lead.backend.push("@");
            lead.backend.push(instance);
        }
        lead.backend.push(OPEN);
        self.lead = lead.backend.as_str().into();
    }

    /// Writes the key of a call.
    #[inline]
    pub(super) fn write_key<A: Serialize + ?Sized>(&self, scope: &Scope, args: &A, key: &mut Key) -> Result<()> {
        key.backend.push_some(&self.lead);
        write_after_open(args, &mut key.backend)?;
        if key.backend.is_short() {
            return Ok(());
        }
        match key.backend.as_str().len() {
            length if length > MAX_TEXT => Err(Error::message(
                ErrorKind::Key,
                format!("the arguments of `{}` make {length} bytes, expected {MAX_TEXT} at most", self.name),
            )),
            length if length > MAX_KEY => {
                key.bound(scope, self.hash);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl<T, K> Memoizer<T, K> {
    /// The key of a call, as [`Cache::delete`](crate::Cache::delete) of the same cache takes it.
    ///
    /// ```
    /// use axum_caching::{Cache, Memoizer, NullBackend};
    ///
    /// let sums: Memoizer<u32> = Cache::new(NullBackend::default()).memoizer("sum");
    /// assert_eq!(sums.make_cache_key(&(1, 2))?, "memo/sum(1,2)");
    /// assert_eq!(sums.make_cache_key(&[1, 2, 3][..])?, "memo/sum([1,2,3])");
    /// assert_eq!(sums.make_cache_key(&())?, "memo/sum()");
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// The text is the same on every machine and in every process. Maps are sorted by key; a set that is not sorted,
    /// as `HashSet`, has no order to go by: use a `BTreeSet`. What the serde form does not have is not told apart: skipped
    /// fields, and variants that are `untagged`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] if the arguments make more than 8 KiB, or their `Serialize` fails.
    pub fn make_cache_key<A: Serialize + ?Sized>(&self, args: &A) -> Result<String> {
        let mut key = Key::default();
        let scope = &self.cache.space.scope;
        self.shared.write_key(scope, args, &mut key)?;
        let text = key.backend.as_str();
        Ok(text.strip_prefix(scope.prefix()).unwrap_or(text).to_owned())
    }

    pub(super) fn owned_key<A: Serialize + ?Sized>(&self, args: &A) -> Result<OwnedKey> {
        let mut key = Key::default();
        self.shared.write_key(&self.cache.space.scope, args, &mut key)?;
        Ok(OwnedKey::from(&key))
    }

    /// The tag of one result, which exists while another depends on that result.
    pub(super) fn tag_of_result(&self, key: &OwnedKey) -> Arc<str> {
        self.cache.tag_key(Kind::Result, &key.primary)
    }
}
