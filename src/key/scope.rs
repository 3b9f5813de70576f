use crate::key::{HashMethod, Key, MAX_TEXT};

/// Before a key that looks like the start of a child scope.
pub(super) const NO_CHILD: &str = "@/";

/// The part of a backend that a cache lives in: a prefix that no other scope's keys begin with.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    prefix: Box<str>,
    is_root: bool,
}

impl Scope {
    /// The outermost scope; its prefix is written as it is given.
    pub(crate) fn root(prefix: &str) -> Self {
        Self { prefix: prefix.into(), is_root: true }
    }

    /// No scope: keys as a user hands them to a cache, which then puts its own in front.
    pub(crate) fn none() -> Self {
        Self { prefix: "".into(), is_root: false }
    }

    /// A scope inside this one.
    pub(crate) fn child(&self, name: &str) -> Self {
        // Length-prefixed, so that `a` in `b` is not `ab`; the slash ends the list and is only for the eye.
        Self { prefix: format!("{}@{}:{name}/", self.subtree(), name.len()).into(), is_root: false }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What the keys of this scope and of the scopes inside it begin with, and no others.
    pub(crate) fn subtree(&self) -> &str {
        if self.is_root { &self.prefix } else { self.prefix.strip_suffix('/').unwrap_or(&self.prefix) }
    }

    /// Begins a key in this scope.
    #[inline]
    pub(crate) fn begin(&self, first: &str, key: &mut Key) {
        key.backend.push(&self.prefix);
        // A key that looks like the start of a child scope is marked as none.
        if self.is_root && first.starts_with('@') {
            key.backend.push(NO_CHILD);
        }
        key.backend.push(first);
    }

    /// The key of a text that the user chose; `None` if it is longer than [`MAX_TEXT`].
    pub(crate) fn key(&self, text: &str) -> Option<Key> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut key = Key::default();
        self.begin(text, &mut key);
        key.bound(self, HashMethod::default());
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scope: &Scope, text: &str) -> String {
        scope.key(text).expect("short").backend.as_str().to_owned()
    }

    #[test]
    fn a_key_without_a_scope_is_written_as_it_is() {
        assert_eq!(key(&Scope::root(""), "view//foo"), "view//foo");
        assert_eq!(key(&Scope::root("flask_cache_"), "view//foo"), "flask_cache_view//foo");
    }

    #[test]
    fn no_key_of_one_scope_is_a_key_of_another() {
        let root = Scope::root("");
        let keys = [
            key(&root.child("a"), "b"),
            key(&root.child("ab"), ""),
            key(&root.child("a").child("b"), ""),
            key(&root.child("a/b"), ""),
            key(&root, "a/b"),
            key(&root, "@1:a/b"),
            key(&root, "@/@1:a/b"),
            key(&root, "@0:/x"),
            key(&root.child(""), "x"),
            key(&root.child(""), "b"),
            key(&root.child("a"), "@1:b/"),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    }
}
