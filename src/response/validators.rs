//! What tells whether two copies are the same: entity tags and dates (RFC 9110 §8.8, §13.1).

use std::fmt::Write as _;

use arrayvec::ArrayString;
use http::{HeaderMap, HeaderValue, header};
use twox_hash::XxHash3_128;

use crate::fields;

/// A date is a strong validator if the copy was made this many seconds after it (RFC 9110 §8.8.2.2).
const STRONG_AFTER: u64 = 60;

/// An entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    is_weak: bool,
    opaque: &'a [u8],
}

impl<'a> Tag<'a> {
    /// The tag that a field is, and nothing else.
    pub(crate) fn of(field: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::first(field.trim_ascii())?;
        rest.is_empty().then_some(tag)
    }

    /// The tag that a text begins with, and what comes after it. Tags have no escapes, so a list of them is not split
    /// as others are.
    fn first(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (is_weak, text) = text.strip_prefix(b"W/").map_or((false, text), |text| (true, text));
        let text = text.strip_prefix(b"\"")?;
        let end = text.iter().position(|byte| *byte == b'"')?;
        let opaque = &text[..end];
        let is_legal = opaque.iter().all(|byte| matches!(byte, 0x21..=0x7e | 0x80..));
        is_legal.then_some((Self { is_weak, opaque }, &text[end + 1..]))
    }

    /// The weak comparison (RFC 9110 §8.8.3.2).
    pub(crate) fn is(self, other: Self) -> bool {
        self.opaque == other.opaque
    }

    fn is_strongly(self, other: Self) -> bool {
        !self.is_weak && self == other
    }
}

/// The first line of `ETag`, if it is a tag.
pub(crate) fn tag(headers: &HeaderMap) -> Option<Tag<'_>> {
    Tag::of(headers.get(header::ETAG)?.as_bytes())
}

/// A strong tag for a representation that has none. It is made of the body, and of the fields that say how to read it;
/// `XXH3` has a specification, so every process and every release makes the same.
pub(crate) fn make_tag(headers: &HeaderMap, body: &[u8]) -> HeaderValue {
    let mut read_as = Vec::new();
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
        for line in headers.get_all(name) {
            read_as.extend_from_slice(line.as_bytes());
            read_as.push(b'\n');
        }
        read_as.push(b'\n');
    }
    let seed = u64::try_from(XxHash3_128::oneshot(&read_as) >> 64).expect("the upper half");
    let digest = XxHash3_128::oneshot_with_seed(seed, body);
    let mut text = ArrayString::<34>::new();
    write!(text, "\"{digest:032x}\"").expect("as long as its digits and quotes");
    HeaderValue::from_str(&text).expect("digits and quotes are valid")
}

/// Whether `If-None-Match` says that the client has this (RFC 9110 §13.1.2). A list with anything in it that is no tag
/// names nothing.
pub(crate) fn is_named<'a>(lines: impl Iterator<Item = &'a [u8]>, own: Option<Tag<'_>>) -> bool {
    let lines: Vec<_> = lines.map(<[u8]>::trim_ascii).collect();
    if lines == [b"*"] {
        return true;
    }
    let Some(own) = own else { return false };
    let named: Option<Vec<bool>> = lines.into_iter().map(|line| names(line, own)).collect();
    named.is_some_and(|named| named.contains(&true))
}

/// Whether a list of tags has this one; `None` if it is no list of tags.
fn names(line: &[u8], own: Tag<'_>) -> Option<bool> {
    let (mut rest, mut names) = (line, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
            continue;
        }
        let (tag, after) = Tag::first(rest)?;
        names |= tag.is(own);
        rest = after.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
    Some(names)
}

/// Whether nothing has changed since the date of an `If-Modified-Since` (RFC 9110 §13.1.3). What is no date, or more
/// than one, is ignored.
pub(crate) fn is_unmodified_since<'a>(mut lines: impl Iterator<Item = &'a [u8]>, headers: &HeaderMap) -> bool {
    let (Some(since), None) = (lines.next().and_then(fields::date), lines.next()) else { return false };
    date_in(headers, header::LAST_MODIFIED).is_some_and(|modified| modified <= since)
}

/// Whether the part that a client has is of this very copy, so that another part fits to it (RFC 9110 §13.1.5).
pub(crate) fn is_same<'a>(mut lines: impl Iterator<Item = &'a [u8]>, headers: &HeaderMap) -> bool {
    let (Some(field), None) = (lines.next(), lines.next()) else { return false };
    if let Some(wanted) = Tag::of(field) {
        return tag(headers).is_some_and(|own| own.is_strongly(wanted));
    }
    let (Some(modified), Some(made)) = (date_in(headers, header::LAST_MODIFIED), date_in(headers, header::DATE)) else {
        return false;
    };
    fields::date(field) == Some(modified) && made >= modified.saturating_add(STRONG_AFTER)
}

fn date_in(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    fields::date(headers.get(name)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Tag<'static> {
        Tag::of(b"\"a,\\\"").expect("a tag")
    }

    #[test]
    fn a_tag_may_have_commas_and_backslashes_in_it() {
        assert!(is_named([&b"\"x\" , W/\"a,\\\",, \"y\""[..]].into_iter(), Some(own())));
        assert!(is_named([&b"\"x\""[..], b"\"a,\\\""].into_iter(), Some(own())));
        assert!(!is_named([&b"\"a,\", \"\\\""[..]].into_iter(), Some(own())));
    }

    #[test]
    fn a_star_stands_alone_and_a_list_with_anything_else_in_it_names_nothing() {
        assert!(is_named([&b" * "[..]].into_iter(), None));
        let nothing: [&[u8]; 8] =
            [b"", b"*, \"a,\\\"", b"\"a,\\\", *", b"\"a,\\\" x", b"w/\"a,\\\"", b"a", b"\"a,\\", b"\"a b\", \"a,\\\""];
        for field in nothing {
            assert!(!is_named([field].into_iter(), Some(own())), "{}", field.escape_ascii());
        }
    }

    #[test]
    fn the_tag_that_is_made_never_changes() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        let plain = make_tag(&headers, b"body");
        assert_eq!(plain, "\"cfe8f343c5ce877891a24e30e55aa5bf\"");
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_ne!(make_tag(&headers, b"body"), plain);
    }
}
