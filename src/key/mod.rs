//! The canonical key: the one place that defines how a key is written.
//!
//! ```text
//! key   := scope prefix path [ "?" digest of the sorted query ] { part }
//! part  := "#" name "=" length ":" text
//! scope := key_prefix { "@" length ":" name } [ "/" ]
//! ```
//!
//! Neither `?` nor `#` occurs in the path of a request, so no path can imitate what follows it.

mod canonical;
mod digest;
mod known;
mod query;
mod scope;
mod text;

pub(crate) use self::{
    canonical::{OPEN, write_after_open, write_canonical},
    digest::HashMethod,
    query::{canonical_query, canonical_whole},
    scope::Scope,
    text::Text,
};

/// Keys over this many bytes are digested.
pub(crate) const MAX_KEY: usize = 512;

/// Texts over this many bytes are no keys.
pub(crate) const MAX_TEXT: usize = 8 * 1024;

/// What the keys of the cache's own records begin with, behind the scope; no key of a user's begins with it.
#[cfg(any(feature = "memory", feature = "zstd", feature = "encryption"))]
pub(crate) const CONTROL: &str = "@t/";

/// The key of an entry, and the text behind the digests in it.
#[derive(Debug, Default)]
pub(crate) struct Key {
    /// What the backend is asked for.
    pub(crate) backend: Text,
    /// What was digested. It is kept in the record and compared on every hit, so that two texts with one digest
    /// are a miss and never somebody else's entry.
    pub(crate) digested: Text,
}

impl Key {
    /// Appends a named part that no other part can imitate.
    pub(crate) fn part(&mut self, name: &str, text: &str) {
        for piece in ["#", name, "="] {
            self.backend.push(piece);
        }
        self.backend.push_number(text.len());
        self.backend.push(":");
        self.backend.push(text);
    }

    /// Appends the digest of a text, and notes the text.
    pub(crate) fn digest(&mut self, hash: HashMethod, text: &str) {
        self.backend.push(&hash.hex(text.as_bytes()));
        self.note(text);
    }

    /// Appends the digest of all that was noted so far.
    pub(crate) fn digest_noted(&mut self, hash: HashMethod) {
        known::push_digest(hash, self.digested.as_str(), &mut self.backend);
    }

    /// Digests the whole key if it is too long for a backend.
    pub(crate) fn bound(&mut self, scope: &Scope, hash: HashMethod) {
        if self.backend.as_str().len() <= MAX_KEY {
            return;
        }
        let long = std::mem::take(&mut self.backend);
        let own = long.as_str().strip_prefix(scope.prefix()).unwrap_or(long.as_str());
        let own = own.strip_prefix(scope::NO_CHILD).unwrap_or(own);
        self.backend.push(scope.prefix());
        self.backend.push("#long=");
        self.digest(hash, own);
    }

    /// Adds to the text that is compared on every hit.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.digested.as_str().is_empty() {
            self.digested.push("\n");
        }
        self.digested.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_is_a_short_digest_that_keeps_its_scope_and_its_text() {
        let scope = Scope::root("app:").child("admin");
        let mut key = Key::default();
        key.backend.push(scope.prefix());
        key.backend.push(&"x".repeat(600));

        key.bound(&scope, HashMethod::default());

        assert!(key.backend.as_str().len() < 100);
        assert!(key.backend.as_str().starts_with(scope.prefix()));
        assert_eq!(key.digested.as_str(), "x".repeat(600));
    }

    #[test]
    fn a_part_cannot_be_written_into_another() {
        let key = |parts: &[(&str, &str)]| {
            let mut key = Key::default();
            for (name, text) in parts {
                key.part(name, text);
            }
            key.backend.as_str().to_owned()
        };

        assert_ne!(key(&[("a", "1"), ("b", "2")]), key(&[("a", "1#b=1:2")]));
        assert_ne!(key(&[("a", "")]), key(&[]));
    }
}
