//! Keys as memcached has them: up to 250 bytes without blanks and control characters.

use std::borrow::Cow;

use super::protocol::STAMP;
use crate::key::HashMethod;

/// What a server takes.
const MAX_KEY: usize = 250;

/// So much is left when the stamp is in front.
const MAX_TEXT: usize = MAX_KEY - STAMP;

/// Begins every key that is not written as it is, so that none of those can be one of the others.
const HASHED: char = '~';

/// So many bytes of a hashed key can be read.
const READABLE: usize = 120;

/// The key of an entry, as it is written.
#[derive(Debug)]
pub(super) struct Name<'a> {
    pub(super) text: Cow<'a, str>,
    /// The whole key, where a hash stands for it: it is kept beside the value.
    pub(super) whole: Option<&'a str>,
}

impl<'a> Name<'a> {
    pub(super) fn new(key: &'a str) -> Self {
        let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain && !key.is_empty() && key.len() <= MAX_TEXT && !key.starts_with(HASHED) {
            return Self { text: Cow::Borrowed(key), whole: None };
        }
        let mut text = String::with_capacity(READABLE + 34);
        text.push(HASHED);
        text.extend(
            key.bytes().take(READABLE).map(|byte| if byte.is_ascii_graphic() { char::from(byte) } else { '_' }),
        );
        text.push('~');
        text.push_str(&HashMethod::default().hex(key.as_bytes()));
        Self { text: Cow::Owned(text), whole: Some(key) }
    }
}

/// One of many keys.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    /// Where it is among those that were asked for.
    pub(super) place: usize,
    pub(super) key: &'a str,
    pub(super) name: Name<'a>,
}

impl<'a> Listed<'a> {
    pub(super) fn new(place: usize, key: &'a str) -> Self {
        Self { place, key, name: Name::new(key) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_can_be_read_is_written_as_it_is() {
        for key in ["view//foo", "view//foo?0123456789abcdef", "@1:a/k", "#", &"k".repeat(MAX_TEXT)] {
            assert_eq!(Name::new(key).text, key);
            assert_eq!(Name::new(key).whole, None);
        }
        let blank = Name::new("users of Zürich\n");
        assert_eq!(blank.text, "~users_of_Z__rich_~87da5e3b9696b5662d2d407821b27de2");
        assert_eq!(blank.whole, Some("users of Zürich\n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_key_is_one_that_a_server_takes(key in "(\\PC|[\0-\u{20}~]){0,400}") {
            let name = Name::new(&key);
            prop_assert!((1..=MAX_TEXT).contains(&name.text.len()));
            prop_assert!(name.text.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(name.whole.is_some(), name.text.starts_with(HASHED));
        }

        #[test]
        fn no_key_is_written_as_the_name_of_another(key in "\\PC{0,40}") {
            let name = Name::new(&key).text.into_owned();
            let other = Name::new(&name);
            prop_assert!(name == key || other.text != name);
        }
    }
}
